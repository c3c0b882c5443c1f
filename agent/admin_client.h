/* SPDX-License-Identifier: Apache-2.0 — admin_client.h: the CLI's side of the admin socket,
 * blocking.
 *
 * One thread at a time for each client. */
#pragma once

#include "agent/admin_frame.h"

struct admin_client {
    int fd; /* poll it: readable when admin_client_next() has something to read */
    struct buf in;
    int fds[ADMIN_FRAME_FDS_MAX]; /* received, not yet taken */
    size_t fd_count;
    bool lost; /* the daemon went away; admin_client_open() may find its successor */
};
#define ADMIN_CLIENT_NONE ((struct admin_client){.fd = -1})

/* Connects to RUN_DIR/admin.sock; the error says how to start a daemon. */
int admin_client_open(struct admin_client *c, const char *run_dir, struct err *e) MUST_CHECK;
/* request: a JSON object with "command" (and "fds" when fd_count > 0). */
int admin_client_send(struct admin_client *c, struct str request, const int *fds, size_t fd_count,
                      struct err *e) MUST_CHECK;
/* Waits for the next frame: 1 for an event, 0 for the result, -1 with e for the daemon's error or a
 * lost connection. *out is the event's or the result's value; it lives in a. out_fds (room for
 * ADMIN_FRAME_FDS_MAX, filled with -1 beyond those that came) is the caller's to close; NULL: they
 * are closed here. */
int admin_client_next(struct admin_client *c, struct arena *a, const struct json **out,
                      int *out_fds, struct err *e) MUST_CHECK;
/* A whole frame is buffered: admin_client_next() will not wait. */
bool admin_client_pending(const struct admin_client *c);
void admin_client_close(struct admin_client *c); /* idempotent */
