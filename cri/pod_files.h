/* SPDX-License-Identifier: Apache-2.0 — pod_files.h: resolv.conf, hostname and hosts of a pod.
 *
 * Written into the pod's folder and bound into its containers unless the CRI's own mounts give
 * them. Any thread, one writer per folder. Sources: resolv.conf(5), hosts(5), CRI DNSConfig. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "cri/proto/api.pb-c.h"

#define POD_FILES_DNS_SERVERS_MAX  64 /* resolvers read 3; more are written as given */
#define POD_FILES_DNS_SEARCHES_MAX 64
#define POD_FILES_DNS_OPTIONS_MAX  64
#define POD_FILES_NAME_BYTES_MAX   1024
#define POD_FILES_BYTES_MAX        (256u << 10)
#define POD_HOSTNAME_BYTES_MAX     64 /* as sethostname(2) */

#define POD_FILE_RESOLV_CONF "resolv.conf"
#define POD_FILE_HOSTNAME    "hostname"
#define POD_FILE_HOSTS       "hosts"

struct pod_files {
    const Runtime__V1__DNSConfig *dns; /* NULL or empty: a copy of the node's resolv.conf */
    struct str hostname;
    struct str ip4, ip6; /* "" when there is none */
    bool host_network;   /* hosts is a copy of the node's */
};
/* Writes the three files (0644, whole or not at all each) into dir. INVALID names the field. */
int pod_files_write(int dir, const struct pod_files *f, struct err *e) MUST_CHECK;
/* The content of resolv.conf for a DNSConfig that is not empty; for pod_files_write and its tests.
 */
int pod_files_resolv_conf(const Runtime__V1__DNSConfig *dns, struct buf *out,
                          struct err *e) MUST_CHECK;
