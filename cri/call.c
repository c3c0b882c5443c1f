/* SPDX-License-Identifier: Apache-2.0 — call.c: answering calls of both doors. */
#include "cri/call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define LOCAL_CALL_BYTES_MAX (32u << 20)

/* A call from inside the daemon: its answer is kept and told in a later turn of the loop, so that a
 * caller is never called back from inside its own call. */
struct local_call {
    struct task task;
    struct arena arena;
    void *request;           /* owned copy */
    ProtobufCMessage *reply; /* owned copy; NULL: failed */
    struct err e;
    struct loop *loop;
    void (*on_done)(void *user, const ProtobufCMessage *reply, const struct err *e);
    void *user;
};

void *message_copy(const ProtobufCMessage *m) {
    size_t bytes = protobuf_c_message_get_packed_size(m);
    AUTO_FREE uint8_t *packed = xmalloc(bytes);
    (void)protobuf_c_message_pack(m, packed);
    ProtobufCMessage *copy = protobuf_c_message_unpack(m->descriptor, NULL, bytes, packed);
    assert(copy); /* what we packed can be unpacked */
    return copy;
}

static void local_done(struct task *t) {
    struct local_call *local = CONTAINER_OF(t, struct local_call, task);
    local->on_done(local->user, local->reply, local->reply ? NULL : &local->e);
    if (local->reply) protobuf_c_message_free_unpacked(local->reply, NULL);
    protobuf_c_message_free_unpacked(local->request, NULL);
    arena_done(&local->arena);
    free(local);
}

static void local_answer(struct local_call *local) {
    local->task.run = local_done;
    loop_post(local->loop, &local->task);
}

void call_reply(struct call *c, const ProtobufCMessage *reply) {
    if (c->grpc) {
        grpc_reply(c->grpc, reply);
    } else {
        c->local->reply = message_copy(reply);
        local_answer(c->local);
    }
    free(c);
}

void call_fail(struct call *c, const struct err *e) {
    if (c->grpc) {
        grpc_fail_err(c->grpc, e);
    } else {
        c->local->e = *e;
        local_answer(c->local);
    }
    free(c);
}

void call_refuse(struct call *c, enum err_kind kind, const char *fmt, ...) {
    struct err e = {.kind = kind};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e.msg, sizeof e.msg, fmt, args);
    va_end(args);
    call_fail(c, &e);
}

void call_wait(struct call_list *list, struct call *c) {
    c->next = list->first;
    list->first = c;
}

static struct call *take(struct call_list *list) {
    struct call *c = list->first;
    if (c) list->first = c->next;
    return c;
}

void call_list_reply(struct call_list *list, const ProtobufCMessage *reply) {
    for (struct call *c; (c = take(list));) call_reply(c, reply);
}

void call_list_fail(struct call_list *list, const struct err *e) {
    for (struct call *c; (c = take(list));) call_fail(c, e);
}

void call_from_grpc(struct cri *cri, struct grpc_call *g, call_handler *handler) {
    struct call *c = xnew(struct call);
    c->cri = cri;
    c->method = grpc_method_name(g);
    c->request = grpc_request(g);
    c->arena = grpc_arena(g);
    c->grpc = g;
    handler(c);
}

void call_from_inside(struct cri *cri, const struct call_inside *how) {
    struct local_call *local = xnew(struct local_call);
    local->arena = ARENA(LOCAL_CALL_BYTES_MAX);
    local->request = message_copy(how->request);
    local->loop = how->loop;
    local->on_done = how->on_done;
    local->user = how->user;
    struct call *c = xnew(struct call);
    c->cri = cri;
    c->method = how->method;
    c->request = local->request;
    c->arena = &local->arena;
    c->local = local;
    how->handler(c);
}
