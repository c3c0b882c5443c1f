/* SPDX-License-Identifier: Apache-2.0 — hostport.h: host ports of pods: rules of who may have
 * which, and the map elements that stand for them.
 *
 * No I/O. Any thread. */
#pragma once

#include "net/nft.h"
#include "net/record.h"

/* The maps of the node's table, NULL-ended: ports of every address and of one address. */
extern const char *const hostport_maps[];
#define HOSTPORT_ANY4     "host_ports4"
#define HOSTPORT_ANY6     "host_ports6"
#define HOSTPORT_ADDRESS4 "host_address_ports4"
#define HOSTPORT_ADDRESS6 "host_address_ports6"

/* What a caller asked for, checked. A host port of 0 means none and is left out; "0.0.0.0" and "::"
 * stay as every address of their family. out has room for
 * POD_PORTS_MAX. Returns how many it wrote, or -1: INVALID: no container port, no
 * IP address, or one port twice; LIMIT: over POD_PORTS_MAX; UNSUPPORTED: an IPv6 address without
 * IPv6. */
int hostport_convert(const struct port_mapping *in, size_t count, bool ip6, struct pod_port *out,
                     struct err *e) MUST_CHECK;
/* Whether the same packet could belong to both. */
bool hostport_overlap(const struct pod_port *a, const struct pod_port *b);
/* BUSY, naming the pod, when one of the wanted ports overlaps one that holder has. */
int hostport_check(const struct pod_port *held, const struct pod_ports *wanted, const char *holder,
                   struct err *e) MUST_CHECK;
bool hostport_same(const struct pod_ports *a, const struct pod_ports *b);

#define HOSTPORT_ELEMENTS_MAX 2 /* per port */
/* Writes the elements of a record's ports; returns how many. out has room for
 * HOSTPORT_ELEMENTS_MAX * r->port_count. */
size_t hostport_elements(const struct pod_record *r, struct nft_element *out);
