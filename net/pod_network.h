/* SPDX-License-Identifier: Apache-2.0 — pod_network.h: the built-in bridge network of pods.
 *
 * One bridge per node, IPv4 and IPv6 addresses from a persistent pool, masquerade for what leaves
 * the pod range, host ports by elements of nftables maps. Setting up and releasing are idempotent
 * per pod id and may be interrupted by a kill at any point: what a pod holds is found again under
 * root/, and pod_network_sweep() gives back what belongs to no known pod. Any thread; a call blocks
 * on the kernel for milliseconds. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct pod_network;

struct pod_network_options {
    const char *root; /* addresses are recorded under root/network/: no need to outlive the boot */
    const char *bridge;    /* interface name, <= 15 bytes */
    const char *nft_table; /* name of the inet table, one per node */
    struct str cidr4;      /* "10.88.0.0/16" */
    struct str cidr6;      /* "fd00:88::/64", or empty: no IPv6 */
    uint32_t mtu;          /* 0: 1500 */
};

enum port_protocol { PORT_TCP, PORT_UDP, PORT_SCTP };
struct port_mapping {
    enum port_protocol protocol;
    uint16_t host_port, container_port;
    struct str host_ip; /* empty: every address of the node */
};
#define POD_PORTS_MAX 256

struct pod_addresses {
    char ip4[16], ip6[46]; /* text, "" when there is none */
};

/* Makes the bridge, the base nftables table and the sysctls when they are not there yet; reads the
 * address records. */
struct pod_network *pod_network_open(const struct pod_network_options *o, struct err *e) MUST_CHECK;
void pod_network_close(struct pod_network *n);

/* What the opener should tell the operator. */
struct pod_network_health {
    bool ip6;                  /* pods get IPv6; false too where the kernel has none */
    unsigned corrupt_records;  /* moved to root/network/pods/corrupt/ */
    const char *corrupt_first; /* what was wrong with the first; valid until pod_network_close() */
};
void pod_network_health(const struct pod_network *n, struct pod_network_health *out);

struct pod_network_request {
    int netns_fd;                     /* the pod's network namespace; borrowed */
    int nl_fd;                        /* a NETLINK_ROUTE socket opened inside it; borrowed */
    const struct port_mapping *ports; /* borrowed */
    size_t port_count;
};
/* Gives the pod its addresses, link, routes and host ports; nobody has to enter its namespace. The
 * link's name on the node is derived from pod_id. BUSY: a host port is taken (the message names the
 * pod); LIMIT: no address is left. out->ip6 is "" for a pod that has IPv6 switched off. */
int pod_network_setup(struct pod_network *n, struct str pod_id, const struct pod_network_request *r,
                      struct pod_addresses *out, struct err *e) MUST_CHECK;
/* Gives everything back, exactly once however often it is called; the link goes with its namespace.
 * Unknown: 0. */
int pod_network_release(struct pod_network *n, struct str pod_id, struct err *e) MUST_CHECK;
/* What a pod holds; NOT_FOUND. */
int pod_network_find(struct pod_network *n, struct str pod_id, struct pod_addresses *out,
                     struct err *e) MUST_CHECK;
/* After a restart, before the first pod_network_setup(): releases whatever belongs to none of the
 * given pods, re-adds missing map elements of the others (after a reboot the kernel's side is
 * empty). */
int pod_network_sweep(struct pod_network *n, const struct str *pod_ids, size_t count,
                      struct err *e) MUST_CHECK;
/* Removes the bridge, the pods' links on it and the table, not the records (tests, uninstallation).
 * Only pod_network_close() may follow. */
int pod_network_destroy(struct pod_network *n, struct err *e) MUST_CHECK;

/* ---- counters for stats, read through the host's end of the pod's link ---- */
struct pod_traffic {
    uint64_t rx_bytes, rx_errors, tx_bytes, tx_errors; /* as the pod sees them */
};
int pod_network_traffic(struct pod_network *n, struct str pod_id, struct pod_traffic *out,
                        struct err *e) MUST_CHECK;
