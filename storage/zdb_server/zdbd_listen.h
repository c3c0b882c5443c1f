/* SPDX-License-Identifier: Apache-2.0 — zdbd_listen.h: sockets to listen on. Start-up only: names
 * may be looked up. */
#pragma once

#include "base/err.h"

#define ZDBD_LISTEN_FDS_MAX 4

struct zdbd_sockets {
    int fds[ZDBD_LISTEN_FDS_MAX]; /* owned: zdbd_sockets_done() */
    size_t count;
    uint16_t port; /* that was taken, when 0 was asked for */
};

/* Opens TCP sockets at the address and port: "::" takes both families, a name all its addresses.
 * beyond_loopback: false refuses (DENIED) other addresses. Errors: INVALID, DENIED, IO, BUSY. */
struct zdbd_listen {
    const char *address; /* NULL: both loopback addresses */
    uint16_t port;
    bool beyond_loopback;
};
int zdbd_listen_tcp(const struct zdbd_listen *l, struct zdbd_sockets *s, struct err *e) MUST_CHECK;
/* A unix socket; a file of a server that is no more is replaced, one that serves is BUSY. */
int zdbd_listen_unix(const char *path, struct zdbd_sockets *s, struct err *e) MUST_CHECK;
void zdbd_sockets_done(struct zdbd_sockets *s);
