/* SPDX-License-Identifier: Apache-2.0 — conntrack.h: forgetting tracked UDP flows.
 *
 * A UDP flow is translated as its first packet was, for as long as packets come. A host port that
 * appears, goes or changes its pod would be ignored by clients that keep their source port. */
#pragma once

#include "base/own.h"
#include "net/addr.h"

/* nf: a NETLINK_NETFILTER socket, borrowed. Both walk the whole table of tracked flows; 0 or
 * -errno. Source: kernel net/netfilter/nf_conntrack_netlink.c, CTA_FILTER (5.8 and later). */

/* Forgets the UDP flows to a port, whatever address they went to. */
int conntrack_forget_port(int nf, uint16_t port) MUST_CHECK;
/* Forgets the UDP flows that a pod with this address answers. */
int conntrack_forget_pod(int nf, const struct ip_addr *pod) MUST_CHECK;
