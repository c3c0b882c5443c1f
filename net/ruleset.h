/* SPDX-License-Identifier: Apache-2.0 — ruleset.h: the node's nftables table as text, and the
 * kernel's switches that belong to it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/addr.h"

#define RULESET_BYTES_MAX 8192

struct ruleset_options {
    const char *table, *bridge; /* checked by the caller: letters, digits, '_', '-', '.' */
    const struct cidr *cidr4, *cidr6;
    bool ip6;
};
/* Appends the whole table. Loading it again renews the rules and leaves the maps' elements. 0 or
 * -ENOSPC. */
int ruleset_print(const struct ruleset_options *o, struct buf *out) MUST_CHECK;

/* True when the kernel has IPv6 and it is not switched off for the whole machine. */
bool sysctl_has_ip6(void);
/* Lets the machine forward, and lets 127.0.0.1 reach pods through the bridge. Values that are right
 * already are not written. Interfaces that get their IPv6 routes by router advertisements keep
 * them. */
int sysctl_enable_forwarding(const char *bridge, bool ip6, struct err *e) MUST_CHECK;
