/* SPDX-License-Identifier: Apache-2.0 — zdbd_metrics_port.h: the counters over HTTP: GET /metrics.
 * Loop thread. */
#pragma once

#include "storage/zdb_server/zdbd_server.h"

struct zdbd_metrics_port;

/* where: as http_server_listen() takes it. Errors: its. */
int zdbd_metrics_open(struct loop *l, struct zdbd_server *s, const char *where,
                      struct zdbd_metrics_port **out, struct err *e) MUST_CHECK;
/* Before the server is freed; not from a callback of it. NULL-safe. */
void zdbd_metrics_close(struct zdbd_metrics_port *p);
