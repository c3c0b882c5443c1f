/* SPDX-License-Identifier: Apache-2.0 — capability.h: capability sets of containers (libcap is used
 * only here).
 *
 * Any thread. Sources: CRI message Capability, capabilities(7); the default set is that of
 * containerd and Docker. */
#pragma once

#include "base/err.h"

struct capability_request {
    bool privileged; /* everything that the daemon could give; lists are ignored */
    char *const *add, *const *drop, *const *ambient; /* "NET_ADMIN", "cap_net_admin", "ALL" */
    size_t add_count, drop_count, ambient_count;
};
#define CAPABILITY_NAMES_MAX 256 /* per list */

struct capability_sets { /* bit n: capability n */
    uint64_t effective, permitted, inheritable, bounding, ambient;
};

/* "ALL" in add or drop sets the start; then the single names are added, then dropped. What the
 * daemon itself may not give is left out silently. INVALID names an unknown capability. A process
 * that is not root loses permitted and effective at its execve(2), by the kernel's rules, but for
 * the ambient ones. */
int capability_resolve(const struct capability_request *r, struct capability_sets *out,
                       struct err *e) MUST_CHECK;
/* The daemon's own bounding set. */
uint64_t capability_own(void);
/* Bit of "SYS_ADMIN", "CAP_SYS_ADMIN", in any case; 0 when there is none of that name. */
uint64_t capability_bit(struct str name);
