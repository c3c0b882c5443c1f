/* SPDX-License-Identifier: Apache-2.0 — ipam.h: the persistent pool of pod addresses and host
 * ports.
 *
 * One file per pod under the folder is the truth; the bitmap of addresses and the table of pods are
 * rebuilt from the files. Addresses go round: one that was given back is the last to be given
 * again. A pod's record is held by one caller at a time (ipam_claim, ipam_hold .. ipam_settle,
 * ipam_return); others wait for it. Any thread; the lock inside is a leaf. */
#pragma once

#include "net/record.h"

struct ipam;

struct ipam_options {
    const char *folder; /* made when absent */
    struct cidr cidr4;  /* at most IPAM_HOST_BITS_MAX host bits, at least 2 */
    struct cidr cidr6;  /* base.family IP_NONE: no IPv6 */
};
#define IPAM_HOST_BITS_MAX 24
#define IPAM_PODS_MAX      4096

/* INVALID unless pods can be given addresses of both ranges. */
int ipam_check_ranges(const struct cidr *cidr4, const struct cidr *cidr6, struct err *e) MUST_CHECK;
/* Reads all records; leftovers of interrupted writes are removed, a record that cannot be read is
 * moved to folder/corrupt/ and counted. NULL with INVALID or an I/O kind. */
struct ipam *ipam_open(const struct ipam_options *o, struct err *e) MUST_CHECK;
void ipam_close(struct ipam *pool);
/* How many records were set aside, and what was wrong with the first (valid as long as the pool).
 */
unsigned ipam_corrupt(const struct ipam *pool, const char **out_first);

/* Gives the pod addresses and these ports, durably, and holds its record. A pod that has a record
 * with the same ports gets it again. EXISTS: it has one with other ports or of another range
 * (return it first); BUSY: a host port is another pod's; LIMIT: no address left. */
int ipam_claim(struct ipam *pool, struct str pod_id, const struct pod_ports *ports,
               const struct pod_record **out, struct err *e) MUST_CHECK;
/* Holds the record of a pod, or returns NULL when it has none. */
const struct pod_record *ipam_hold(struct ipam *pool, struct str pod_id);
/* Takes the IPv6 address out of a held record, durably. On failure it is still held. */
int ipam_drop_ip6(struct ipam *pool, const struct pod_record *held, struct err *e) MUST_CHECK;
/* Ends holding. */
void ipam_settle(struct ipam *pool, const struct pod_record *held);
/* Removes a held record and gives back what is in it. On failure it is still held. */
int ipam_return(struct ipam *pool, const struct pod_record *held, struct err *e) MUST_CHECK;

/* Copies the addresses of a pod; false when it has none. Does not wait. */
bool ipam_find(struct ipam *pool, struct str pod_id, struct ip_addr *out_ip4,
               struct ip_addr *out_ip6);
/* Calls visit for each record, under the lock: visit must not call the pool. */
void ipam_each(struct ipam *pool, void (*visit)(const struct pod_record *r, void *user),
               void *user);
