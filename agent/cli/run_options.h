/* SPDX-License-Identifier: Apache-2.0 — run_options.h: what people write behind -p, -v, -e and
 * --cpus. Without I/O (a relative volume path is made absolute by the caller's folder). */
#pragma once

#include "base/err.h"

/* "[IP:]HOST:CONTAINER[/tcp|/udp|/sctp]"; an IPv6 address in brackets. Views into text. */
struct run_port {
    struct str ip, protocol;
    uint64_t host, container;
};
int run_port_parse(struct str text, struct run_port *out, struct err *e) MUST_CHECK;

/* "SRC:DST[:ro|:rw]" */
struct run_volume {
    struct str source, target;
    bool readonly;
};
int run_volume_parse(struct str text, struct run_volume *out, struct err *e) MUST_CHECK;

/* "2", "0.5", "1.25": thousandths of a CPU. */
int run_cpus_parse(struct str text, uint64_t *out_milli, struct err *e) MUST_CHECK;
