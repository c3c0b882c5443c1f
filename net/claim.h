/* SPDX-License-Identifier: Apache-2.0 — claim.h: whose a bridge is, and with it its range of
 * addresses.
 *
 * Each node writes its name into its bridge's alias (IFLA_IFALIAS), where `ip link` shows it. The
 * claim lives as long as the bridge does: as long as pods may hang on it, whether their node runs
 * or not. */
#pragma once

#include "base/err.h"
#include "net/addr.h"

#define CLAIM_BYTES_MAX 256 /* IFALIASZ, with the NUL */

struct claim {
    const char *bridge;
    const char *owner;        /* the node's run folder; a long one is cut */
    struct cidr cidr4, cidr6; /* IP_NONE: none */
};

/* BUSY when another node has the bridge, or when another node's bridge has an address in an
 * overlapping range: the text names the node and its bridge and says what to do. rt: a
 * NETLINK_ROUTE socket. */
int claim_check_bridge(int rt, const struct claim *c, struct err *e) MUST_CHECK;
int claim_check_range(int rt, const struct claim *c, struct err *e) MUST_CHECK;
/* What the alias of the bridge says: CLAIM_BYTES_MAX. */
void claim_alias(const struct claim *c, char *out);
