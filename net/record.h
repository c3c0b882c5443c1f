/* SPDX-License-Identifier: Apache-2.0 — record.h: what one pod holds of the network, and its text.
 *
 * The text is line-oriented and ends with a line of its own, so that a cut file is told from a
 * whole one: gridlet-pod-network 1 pod 0a1b... ip4 10.88.0.2 ip6 fd00:88::2             (absent
 * without IPv6) port tcp 8080 80 *         (protocol, host port, container port, host address or *)
 *     end
 * Any thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/addr.h"
#include "net/pod_network.h"

#define POD_ID_BYTES_MAX 64
#define RECORD_BYTES_MAX 32768

struct pod_port {
    enum port_protocol protocol;
    uint16_t host_port, container_port; /* never 0 */
    struct ip_addr host_ip;             /* IP_NONE: every address of the node */
};

struct pod_ports {
    const struct pod_port *items; /* borrowed */
    size_t count;
};

struct pod_record {
    char pod_id[POD_ID_BYTES_MAX + 1];
    struct ip_addr ip4, ip6;
    struct pod_port *ports; /* owned */
    size_t port_count;
};

/* Letters, digits, '-', '_', '.', not first '.': safe as a file name. */
bool pod_id_valid(struct str id);
const char *port_protocol_name(enum port_protocol p);

/* CORRUPT with the line that is wrong. out is written only on success; free with
 * pod_record_done(). */
int pod_record_parse(struct str text, struct pod_record *out, struct err *e) MUST_CHECK;
/* Appends the text; 0 or -ENOSPC. */
int pod_record_print(const struct pod_record *r, struct buf *out) MUST_CHECK;
void pod_record_done(struct pod_record *r);
