/* SPDX-License-Identifier: Apache-2.0 — nft.h: one node's nftables table and the elements of its
 * maps.
 *
 * The table's chains and maps are written in nftables' own language and loaded once by executing
 * nft; what changes with pods is map elements, sent over nfnetlink (70 us against 4 ms). `nf` is a
 * NETLINK_NETFILTER socket, borrowed, one thread at a time. */
#pragma once

#include "base/err.h"
#include "net/netlink.h"

#define NFT_NAME_BYTES_MAX 63

/* Runs `nft -f -` with this ruleset; all of it is applied or nothing. NOT_FOUND: nft is not
 * installed. The message carries nft's first line of complaint. */
int nft_run(struct str ruleset, struct err *e) MUST_CHECK;

struct nft_element {
    const char *map; /* name of a map of the table */
    uint8_t key[24]; /* as the rule loads it into registers: each field padded to 4 bytes */
    uint8_t value[20];
    uint8_t key_bytes, value_bytes;
};

/* A table of the inet family and the socket to reach it by; both borrowed. */
struct nft_table {
    int nf;
    const char *name;
};

enum nft_change { NFT_ADD, NFT_REMOVE };
/* Adds or removes all elements in one transaction per NFT_ELEMENTS_MAX. Adding what is there with
 * another value replaces it; removing what is absent is no failure. */
#define NFT_ELEMENTS_MAX 2048
int nft_change(const struct nft_table *t, enum nft_change change,
               const struct nft_element *elements, size_t count, struct err *e) MUST_CHECK;
/* Makes these the only elements of the maps: flushes and adds in one transaction, as long as there
 * are no more than NFT_ELEMENTS_MAX; the rest follows in further ones. */
int nft_replace_all(const struct nft_table *t, const char *const *maps,
                    const struct nft_element *elements, size_t count, struct err *e) MUST_CHECK;
/* 1: the table is there, 0: it is not, -1: could not be asked. */
int nft_has_table(const struct nft_table *t, struct err *e) MUST_CHECK;
/* Removes the table; absent: 0. */
int nft_delete_table(const struct nft_table *t, struct err *e) MUST_CHECK;
