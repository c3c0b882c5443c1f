/* SPDX-License-Identifier: Apache-2.0 — grpc_server.h: what grpc.c, grpc_conn.c and grpc_call.c
 * share; for them alone.
 *
 * Owners: the server owns its connections; a connection owns its session, the session its streams;
 * a call is owned by its handler until the answer has come back to the loop. A call may outlive its
 * stream, its connection and even grpc_server_free(): it holds a reference on the server. All on
 * the loop thread, but for what grpc_call.c says. */
#pragma once

#include "base/grpc.h"
#include "base/grpc_session.h"

#define GRPC_CONNECTIONS_MAX 1024
#define GRPC_CALLS_MAX       4096 /* in handlers, cancelled ones too, all connections together */
#define GRPC_READ_BYTES      (64 * 1024)

struct grpc_conn;
struct grpc_route {
    char *path; /* owned: "/runtime.v1.RuntimeService/Version" */
    const struct grpc_method *method;
};

struct grpc_server {
    struct loop *loop; /* borrowed */
    void *user;
    struct grpc_budget budget;
    struct grpc_route *routes; /* owned, sorted by path */
    size_t route_count;
    int fd; /* listening, or -1 */
    struct watch listener;
    struct timer accept_again;
    struct grpc_conn *conns;
    size_t conn_count;
    size_t call_count;
    size_t refs;   /* the owner's and one of each call */
    bool freed;    /* by its owner; calls may still hold it */
    bool draining; /* and the owner was not told the end yet */
    struct timer grace;
    struct task drained;
    void (*drain_done)(void *user);
    void *drain_user;
    uint8_t input[GRPC_READ_BYTES]; /* of the connection that is just being read */
};

/* NULL when there is no such method. */
const struct grpc_method *grpc_server_method(const struct grpc_server *s, struct str path);
void grpc_server_unref(struct grpc_server *s);
/* Something ended: the drain may be complete. */
void grpc_server_settle(struct grpc_server *s);

/* ---- grpc_conn.c ---- */

/* Serves fd, which it owns from here on. */
void grpc_conn_new(struct grpc_server *s, int fd);
/* Ends it at once; its calls become cancelled. */
void grpc_conn_free(struct grpc_conn *conn);
struct grpc_conn *grpc_conn_next(struct grpc_conn *conn);
/* Sends what waits; conn may be gone afterwards. */
void grpc_conn_pump(struct grpc_conn *conn);
void grpc_conn_goaway(struct grpc_conn *conn);

/* ---- grpc_call.c ---- */

/* The message of a stream is complete: unpacks it and calls the handler, or fails the stream. */
void grpc_call_start(struct grpc_conn *conn, struct grpc_server *s, struct grpc_stream *st);
/* The stream ended without our answer. */
void grpc_call_stream_closed(struct grpc_call *c);
