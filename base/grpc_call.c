/* SPDX-License-Identifier: Apache-2.0 — grpc_call.c: one call, from its unpacked request to its
 * answer.
 *
 * The handler owns the call until it answers, once, from any thread. The answer is made ready in
 * the calling thread and travels to the loop as a task; there it goes to the stream, if that is
 * still open, and the call is freed. Until then the stream pointer is cut on the loop thread when
 * the client resets, leaves, or its deadline passes; all that other threads see of that is the
 * atomic `cancelled`. */
#include "base/grpc_server.h"

#include "base/clock.h"
#include "base/grpc_status.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

#define CALL_ARENA_BYTES_MAX ((size_t)32 << 20)
#define REPLY_BYTES_MAX      ((size_t)64 << 20)
#define NS_PER_MS            1000000

struct grpc_call {
    struct grpc_server *server; /* referenced */
    struct loop *loop;          /* borrowed; also for other threads */
    struct grpc_conn *conn;     /* valid while stream is not NULL */
    struct grpc_stream *stream; /* NULL once the call is cancelled */
    const struct grpc_method *method;
    ProtobufCMessage *request; /* in the arena */
    struct arena arena;
    bool arena_full; /* unpacking met the limit */
    uint64_t started_ns;
    uint64_t deadline_ns;
    struct timer deadline;
    bool cancelled; /* atomic */
    bool answered;  /* atomic: an answer is on its way */
    void (*on_cancel)(void *user);
    void *on_cancel_user;
    struct task answer;
    enum grpc_code code;
    char *message;   /* of a failure; owned */
    uint8_t *framed; /* of a reply; owned */
    size_t framed_bytes;
};

static bool get(const bool *flag) { return __atomic_load_n(flag, __ATOMIC_ACQUIRE); }
static void set(bool *flag) { __atomic_store_n(flag, true, __ATOMIC_RELEASE); }

/* ---- on the loop ---- */

static void call_free(struct grpc_call *c) {
    struct grpc_server *s = c->server;
    timer_cancel(&c->deadline);
    arena_done(&c->arena);
    free(c->message);
    free(c->framed);
    free(c);
    s->call_count--;
    grpc_server_settle(s);
    grpc_server_unref(s);
}

static void cancel(struct grpc_call *c) {
    c->stream = NULL;
    c->conn = NULL;
    timer_cancel(&c->deadline);
    set(&c->cancelled);
    if (c->on_cancel && !get(&c->answered)) c->on_cancel(c->on_cancel_user);
}

void grpc_call_stream_closed(struct grpc_call *c) { cancel(c); }

static void deadline_passed(struct timer *t) {
    struct grpc_call *c = CONTAINER_OF(t, struct grpc_call, deadline);
    struct grpc_conn *conn = c->conn;
    char text[GRPC_STATUS_TEXT_BYTES_MAX];
    int n = snprintf(text, sizeof text, "%s: the client's deadline passed", c->method->name);
    grpc_stream_fail(c->stream, GRPC_DEADLINE_EXCEEDED, str_make(text, (size_t)n));
    *grpc_stream_user(c->stream) = NULL;
    cancel(c);
    grpc_conn_pump(conn);
}

/* The answer arrived on the loop. */
static void answer_run(struct task *t) {
    struct grpc_call *c = CONTAINER_OF(t, struct grpc_call, answer);
    LOG_DEBUG("call answered", F_C("method", c->method->name), F_INT("code", (int64_t)c->code),
              F_U64("took_us", (clock_ns() - c->started_ns) / 1000));
    struct grpc_stream *st = c->stream;
    struct grpc_conn *conn = c->conn;
    if (st) {
        *grpc_stream_user(st) = NULL;
        if (c->framed)
            grpc_stream_reply(st, STEAL(c->framed), c->framed_bytes);
        else
            grpc_stream_fail(st, c->code, str_of(c->message));
    }
    call_free(c);
    if (st) grpc_conn_pump(conn);
}

static void *arena_allocate(void *call, size_t bytes) {
    struct grpc_call *c = call;
    void *p = arena_alloc(&c->arena, bytes);
    if (!p) c->arena_full = true;
    return p;
}

static void arena_free_later(void *call, void *p) {
    (void)call;
    (void)p;
}

static void fail_stream(struct grpc_stream *st, enum grpc_code code, const char *method,
                        const char *why) {
    char text[GRPC_STATUS_TEXT_BYTES_MAX];
    int n = snprintf(text, sizeof text, "%s: %s", method, why);
    grpc_stream_fail(st, code, str_make(text, (size_t)n));
}

static bool unpack(struct grpc_call *c, struct grpc_stream *st) {
    AUTO(buf_done) struct buf message = grpc_stream_take_message(st);
    ProtobufCAllocator allocator = {arena_allocate, arena_free_later, c};
    c->request = protobuf_c_message_unpack(c->method->request, &allocator, message.n,
                                           (const uint8_t *)buf_c(&message));
    if (c->request) return true;
    if (c->arena_full)
        fail_stream(st, GRPC_RESOURCE_EXHAUSTED, c->method->name,
                    "the unpacked request is over the size limit");
    else
        fail_stream(st, GRPC_INVALID_ARGUMENT, c->method->name,
                    "the request is not a valid protobuf message");
    return false;
}

static void arm_deadline(struct grpc_call *c) {
    if (c->deadline_ns == UINT64_MAX) return;
    uint64_t left_ns = c->deadline_ns > c->started_ns ? c->deadline_ns - c->started_ns : 0;
    timer_arm(c->loop, &c->deadline, left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0));
}

void grpc_call_start(struct grpc_conn *conn, struct grpc_server *s, struct grpc_stream *st) {
    const struct grpc_method *method = grpc_server_method(s, grpc_stream_path(st));
    assert(method); /* the connection refused the others at the head */
    if (s->call_count >= GRPC_CALLS_MAX) {
        fail_stream(st, GRPC_RESOURCE_EXHAUSTED, method->name, "too many calls are running");
        return;
    }
    struct grpc_call *c = xnew(struct grpc_call);
    c->server = s;
    s->refs++;
    s->call_count++;
    c->loop = s->loop;
    c->conn = conn;
    c->stream = st;
    c->method = method;
    c->arena = ARENA(CALL_ARENA_BYTES_MAX);
    c->started_ns = clock_ns();
    c->deadline_ns = grpc_stream_deadline_ns(st);
    c->deadline.fire = deadline_passed;
    c->answer.run = answer_run;
    if (!unpack(c, st)) {
        call_free(c);
        return;
    }
    *grpc_stream_user(st) = c;
    arm_deadline(c);
    method->handle(c, s->user);
}

/* ---- for handlers ---- */

const void *grpc_request(const struct grpc_call *c) { return c->request; }
struct arena *grpc_arena(struct grpc_call *c) {
    return &c->arena;
}
const char *grpc_method_name(const struct grpc_call *c) { return c->method->name; }
uint64_t grpc_deadline_ns(const struct grpc_call *c) { return c->deadline_ns; }
bool grpc_cancelled(const struct grpc_call *c) { return get(&c->cancelled); }

void grpc_on_cancel(struct grpc_call *c, void (*on_cancel)(void *user), void *user) {
    c->on_cancel = on_cancel;
    c->on_cancel_user = user;
}

static void send_answer(struct grpc_call *c) {
    assert(!get(&c->answered));
    set(&c->answered);
    loop_post(c->loop, &c->answer);
}

void grpc_reply(struct grpc_call *c, const ProtobufCMessage *reply) {
    size_t n = protobuf_c_message_get_packed_size(reply);
    if (n > REPLY_BYTES_MAX) {
        grpc_fail(c, GRPC_RESOURCE_EXHAUSTED, "the reply is over 64 MiB");
        return;
    }
    if (!grpc_cancelled(c)) {
        c->framed_bytes = GRPC_FRAME_PREFIX_BYTES + n;
        c->framed = xmalloc(c->framed_bytes);
        grpc_frame_prefix((uint32_t)n, c->framed);
        (void)protobuf_c_message_pack(reply, c->framed + GRPC_FRAME_PREFIX_BYTES);
    }
    send_answer(c);
}

void grpc_fail(struct grpc_call *c, enum grpc_code code, const char *msg) {
    assert(code != GRPC_OK);
    c->code = code;
    c->message = xstrdup(msg);
    send_answer(c);
}

void grpc_fail_err(struct grpc_call *c, const struct err *e) {
    grpc_fail(c, grpc_code_of(e->kind), e->msg);
}
