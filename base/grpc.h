/* SPDX-License-Identifier: Apache-2.0 — grpc.h: a gRPC server for unary calls over HTTP/2 without
 * TLS, on unix sockets.
 *
 * nghttp2 and protobuf-c behind one wrapper. Connections live on the loop thread; a method's
 * handler is called there with the request unpacked, and answers exactly once from any thread.
 * Limits: streams per connection, connections, header bytes, message bytes, resets per second
 * (rapid reset) - each with a constant in grpc_session.h or grpc_server.h and a test. Source: grpc
 * "gRPC over HTTP2" (doc/PROTOCOL-HTTP2.md), RFC 9113. */
#pragma once

#include "base/arena.h"
#include "base/loop.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_server;
struct grpc_call;

/* Status codes (grpc doc/statuscodes.md); the kinds of struct err map to them in grpc_code_of(). */
enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16
};

struct grpc_method {
    const char *service; /* "RuntimeService"; matched behind any package in grpc_options.packages */
    const char *name;    /* "RunPodSandbox" */
    const ProtobufCMessageDescriptor *request;
    /* Loop thread. Must lead to exactly one grpc_reply() or grpc_fail(). */
    void (*handle)(struct grpc_call *call, void *user);
};

struct grpc_options {
    const char *const
        *packages; /* {"runtime.v1", "runtime.v1alpha2", NULL}; borrowed for the server's life */
    const struct grpc_method *methods; /* borrowed; unknown methods answer UNIMPLEMENTED */
    size_t method_count;
    void *user;
    size_t message_bytes_max; /* of a request; 0: 16 MiB */
};

/* Listens on a unix socket at path (an old socket file is replaced, mode 0600 before anyone can
 * connect). */
struct grpc_server *grpc_listen(struct loop *l, const char *path, const struct grpc_options *o,
                                struct err *e) MUST_CHECK;
/* Stops accepting, sends GOAWAY, lets running calls end for grace_ms, then closes what is left and
 * calls done on the loop, never from inside this call. Once. */
void grpc_drain(struct grpc_server *s, uint64_t grace_ms, void (*done)(void *user), void *user);
/* Closes everything; the calls that handlers still have become cancelled and may be answered later.
 * A drain's done is not called any more. Not from inside a handler or on_cancel. NULL-safe. */
void grpc_server_free(struct grpc_server *s);

/* ---- inside a handler ---- */

/* The unpacked request; valid until the reply. */
const void *grpc_request(const struct grpc_call *c);
/* Memory that lives until the reply. One thread at a time; limit 32 MiB. */
struct arena *grpc_arena(struct grpc_call *c);
/* "RunPodSandbox" */
const char *grpc_method_name(const struct grpc_call *c);
/* clock_ns() at which the client gives up; UINT64_MAX without a deadline. When it passes, the
 * server itself answers DEADLINE_EXCEEDED and the call counts as cancelled; the handler's later
 * answer is dropped without harm. */
uint64_t grpc_deadline_ns(const struct grpc_call *c);
/* Any thread: the client reset the stream, went away, or its deadline passed. */
bool grpc_cancelled(const struct grpc_call *c);
/* Loop thread: calls on_cancel(user) on the loop at most once, when the call becomes cancelled
 * before its reply; not when it is cancelled already (ask grpc_cancelled() first). It may be
 * running while another thread replies: what it touches is freed on the loop, after the reply. */
void grpc_on_cancel(struct grpc_call *c, void (*on_cancel)(void *user), void *user);
/* Any thread; exactly one of the two, once. reply is packed before the call returns; msg is copied.
 * After it the call and its arena are gone. */
void grpc_reply(struct grpc_call *c, const ProtobufCMessage *reply);
void grpc_fail(struct grpc_call *c, enum grpc_code code, const char *msg);
void grpc_fail_err(struct grpc_call *c, const struct err *e);
enum grpc_code grpc_code_of(enum err_kind kind);
