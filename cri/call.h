/* SPDX-License-Identifier: Apache-2.0 — call.h: one CRI request, whichever door it came through.
 *
 * A call is answered exactly once, by call_reply() or call_fail(); after that it is gone. Loop
 * thread only. Calls that wait for the same event stand in a list (struct call_list) and are
 * answered together. */
#pragma once

#include "base/grpc.h"
#include "cri/cri.h"

struct call {
    struct cri *cri;        /* borrowed */
    const char *method;     /* "RunPodSandbox" */
    const void *request;    /* the unpacked message; valid until the answer */
    struct arena *arena;    /* until the answer */
    struct grpc_call *grpc; /* NULL: from inside the daemon */
    struct local_call *local;
    struct call *next; /* in a call_list */
};

struct call_list {
    struct call *first;
};

typedef void call_handler(struct call *c);

void call_reply(struct call *c, const ProtobufCMessage *reply);
void call_fail(struct call *c, const struct err *e);
/* err_set + call_fail in one line. */
void call_refuse(struct call *c, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

void call_wait(struct call_list *list, struct call *c);
void call_list_reply(struct call_list *list, const ProtobufCMessage *reply);
void call_list_fail(struct call_list *list, const struct err *e);

/* A call from a gRPC request. */
void call_from_grpc(struct cri *cri, struct grpc_call *g, call_handler *handler);
/* A call from inside the daemon; see cri_call(). */
struct call_inside {
    struct loop *loop;
    const char *method;
    const ProtobufCMessage *request; /* copied */
    call_handler *handler;
    void (*on_done)(void *user, const ProtobufCMessage *reply, const struct err *e);
    void *user;
};
void call_from_inside(struct cri *cri, const struct call_inside *how);

/* Copies a message into fresh heap memory; free with protobuf_c_message_free_unpacked(m, NULL). */
void *message_copy(const ProtobufCMessage *m);
/* "" for a NULL or empty protobuf string field, for uniform reading. */
static inline const char *text_of(const char *field) { return field ? field : ""; }
