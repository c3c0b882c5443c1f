/* SPDX-License-Identifier: Apache-2.0 — admin.h: the daemon's side of the admin socket.
 *
 * Root's own door (RUN/admin.sock, 0600) for the CLI: one command at a time per connection, each
 * answered by events and one result or error (admin_frame.h). Everything here is loop thread only.
 * A peer that does not read loses events and, when a result does not fit, its connection. */
#pragma once

#include "agent/admin_frame.h"
#include "base/loop.h"

#define ADMIN_CONNECTIONS_MAX 64
#define ADMIN_OUT_BYTES_MAX   (16 << 20) /* waiting for one peer to read */

struct admin;
struct admin_call;

struct admin_command {
    const char *name;
    /* Must lead to exactly one admin_result() or admin_fail(). user: of admin_options. */
    void (*run)(struct admin_call *c, void *user);
};

struct admin_options {
    const struct admin_command *commands; /* borrowed for the server's life */
    size_t count;
    void *user;
};

/* Replaces an old socket file at path. */
struct admin *admin_listen(struct loop *l, const char *path, const struct admin_options *o,
                           struct err *e) MUST_CHECK;
/* Closes all connections (their calls hear on_gone, and may answer later without effect), removes
 * the socket file. Calls that have not answered must do so before the loop ends. NULL-safe. */
void admin_close(struct admin *a);

/* ---- inside a command ---- */

const struct json *admin_args(const struct admin_call *c); /* lives until the answer */
struct arena *admin_arena(struct admin_call *c);           /* the same; limit 32 MiB */
/* Takes the i-th descriptor that came with the request (the caller's from now on); -1: none. */
int admin_take_fd(struct admin_call *c, size_t i);
/* value: one JSON value, copied. fds (copied too, up to ADMIN_FRAME_FDS_MAX) may be NULL. Dropped
 * when the peer is gone or too slow. */
void admin_event(struct admin_call *c, struct str value, const int *fds, size_t fd_count);
/* The end of the call: c is gone afterwards. value empty: {}. */
void admin_result(struct admin_call *c, struct str value);
void admin_fail(struct admin_call *c, const struct err *e);
/* on_gone(user) is called at most once, when the peer goes away before the answer; the answer is
 * still due. */
void admin_on_gone(struct admin_call *c, void (*on_gone)(void *user), void *user);
/* The peer is gone. */
bool admin_gone(const struct admin_call *c);
