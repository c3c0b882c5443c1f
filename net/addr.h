/* SPDX-License-Identifier: Apache-2.0 — addr.h: IP addresses and CIDR ranges as values, and their
 * text.
 *
 * Addresses are kept in network byte order. Parsers take any bytes and read nothing past the str.
 * Any thread. */
#pragma once

#include "base/own.h"
#include "base/str.h"

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };
struct ip_addr {
    enum ip_family family;
    uint8_t bytes[16]; /* the first 4 for IPv4; the rest is zero */
};
#define IP_TEXT_BYTES 46 /* with the NUL */

struct cidr {
    struct ip_addr base; /* no host bit is set */
    unsigned prefix_bits;
};

/* Dotted IPv4 or RFC 4291 IPv6, without zone. 0 or -EINVAL. */
int ip_parse(struct str text, struct ip_addr *out) MUST_CHECK;
/* Text with NUL; "" for IP_NONE. out has IP_TEXT_BYTES. */
void ip_format(const struct ip_addr *a, char *out);
bool ip_eq(const struct ip_addr *a, const struct ip_addr *b);
/* 0.0.0.0 or :: */
bool ip_is_any(const struct ip_addr *a);
static inline size_t ip_bytes(const struct ip_addr *a) { return a->family == IP_V4 ? 4 : 16; }

/* "10.88.0.0/16". 0, -EINVAL, or -EDOM when bits behind the prefix are set. */
int cidr_parse(struct str text, struct cidr *out) MUST_CHECK;
unsigned cidr_host_bits(const struct cidr *c);
/* The address offset behind the base; offset must fit into the host bits. */
struct ip_addr cidr_at(const struct cidr *c, uint32_t offset);
/* The offset of an address of the range; false when it is outside or over 32 bits away. */
bool cidr_offset(const struct cidr *c, const struct ip_addr *a, uint32_t *out);
