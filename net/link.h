/* SPDX-License-Identifier: Apache-2.0 — link.h: the node's bridge and the pods' links, over
 * rtnetlink.
 *
 * `rt` is a NETLINK_ROUTE socket of the node's namespace, `pod` one of the pod's; borrowed, one
 * thread at a time per socket. Messages name the interface and carry the kernel's explanation. */
#pragma once

#include "base/err.h"
#include "net/addr.h"

#define LINK_NAME_BYTES 16 /* IFNAMSIZ: 15 bytes and a NUL */

/* What one end of the network looks like: the bridge's own side, or a pod's. */
struct link_addresses {
    struct ip_addr ip4, ip6; /* IP_NONE: none */
    unsigned prefix4_bits, prefix6_bits;
    struct ip_addr gateway4, gateway6; /* for pods */
};

struct link_bridge {
    const char *name;
    uint32_t mtu;
    const struct link_addresses *addresses; /* the node's own */
    const char *alias;                      /* what `ip link` shows beside its name; NULL: none */
};
/* Makes the bridge when it is not there, sets it up with these addresses (adding what is missing).
 * *out_ip6: false when the kernel refuses IPv6 on it (absent or disabled), which is no failure. */
int link_bridge_ensure(int rt, const struct link_bridge *bridge, bool *out_ip6,
                       struct err *e) MUST_CHECK;
/* NOT_FOUND when no such interface. */
int link_index(int rt, const char *name, uint32_t *out_index, struct err *e) MUST_CHECK;

struct link_veth {
    const char *host_name; /* the node's end */
    int netns_fd;          /* where the other end, eth0, is created */
    uint32_t bridge_index; /* the node's end becomes its port */
    uint32_t mtu;
    struct ip_addr mac_from; /* the pod's IPv4: its end's hardware address follows from it */
};
/* Makes both ends, the node's one up, in hairpin mode, with one system call; a link of this name
 * that an interrupted attempt left behind is removed first. */
int link_veth_create(int rt, const struct link_veth *v, struct err *e) MUST_CHECK;
/* lo and eth0 up, addresses, default routes: inside the pod, with two requests. *out_ip6: false
 * when none was wanted, or the pod's namespace has IPv6 switched off, which is no failure. */
int link_pod_configure(int pod, const struct link_addresses *a, bool *out_ip6,
                       struct err *e) MUST_CHECK;

/* Removes a link and waits until it is gone (10 ms and more: an RCU grace period). Absent: 0. */
int link_delete(int rt, const char *name, struct err *e) MUST_CHECK;

struct link_counters {
    uint64_t rx_bytes, rx_errors, tx_bytes, tx_errors; /* as the node's end counts them */
};
int link_read_counters(int rt, const char *name, struct link_counters *out,
                       struct err *e) MUST_CHECK;

/* The names of a bridge's ports. */
struct link_list {
    char (*names)[LINK_NAME_BYTES]; /* owned; free with link_list_done() */
    size_t count, capacity;
};
int link_ports(int rt, uint32_t bridge_index, struct link_list *out, struct err *e) MUST_CHECK;
void link_list_done(struct link_list *l);
