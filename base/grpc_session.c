/* SPDX-License-Identifier: Apache-2.0 — grpc_session.c: nghttp2 as the server of unary gRPC calls.
 *
 * A stream's life: HEADERS make it and give HEAD; DATA goes through grpc_frame; END_STREAM with one
 * whole message gives REQUEST; the answer is submitted; nghttp2's close callback gives CLOSED and
 * the stream is freed at the call after that. What breaks a rule is refused: an answer, no event.
 *
 * Callbacks only change our own state and put the stream on the event list; submitting happens when
 * the list is drained. The one exception is the trailers, which nghttp2 wants submitted inside the
 * read callback of the last DATA frame.
 *
 * An answer given before the client ended its request is followed by RST_STREAM(NO_ERROR) (RFC 9113
 * 8.1), which must not overtake it: it is submitted after the answer was serialised. */
#include "base/grpc_session.h"

#include "base/clock.h"
#include "base/grpc_status.h"
#include "base/grpc_timeout.h"

#include <assert.h>
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

#define WINDOW_STREAM_BYTES     (1 << 20)
#define WINDOW_CONNECTION_BYTES (16 << 20)
#define HEADER_OVERHEAD_BYTES   32 /* RFC 9113 6.5.2 */
#define REPLY_HEADERS_MAX       5

enum { TODO_HEAD = 1, TODO_REQUEST = 2, TODO_REFUSE = 4, TODO_RESET = 8, TODO_CLOSED = 16 };

struct grpc_stream {
    struct grpc_session *session; /* borrowed */
    struct grpc_stream *prev, *next;
    struct grpc_stream *next_listed;
    unsigned todo; /* TODO_*; on the list while not 0 */
    int32_t id;
    bool is_post, is_grpc, ended, answered;
    size_t header_bytes;
    size_t path_bytes;
    char path[GRPC_PATH_BYTES_MAX];
    uint64_t deadline_ns;
    struct grpc_frame frame;
    size_t budgeted_bytes;   /* of the frame, counted in the budget */
    const char *http_status; /* of a refusal that is not gRPC's, or NULL */
    enum grpc_code refusal;  /* GRPC_OK: none */
    const char *refusal_text;
    uint8_t *reply; /* owned */
    size_t reply_bytes, reply_sent;
    void *user; /* the caller's */
};

struct grpc_session {
    nghttp2_session *h2;
    struct grpc_budget *budget; /* borrowed */
    struct grpc_stream *streams;
    struct grpc_stream *listed_head, *listed_tail;
    struct grpc_stream *closed; /* freed at the next call */
    size_t replies_bytes;
    bool goaway;
};

/* ---- streams ---- */

static struct grpc_stream *stream_of(nghttp2_session *h2, int32_t id) {
    return nghttp2_session_get_stream_user_data(h2, id);
}

static void stream_list(struct grpc_stream *st, unsigned todo) {
    struct grpc_session *s = st->session;
    if (st->todo == 0) {
        st->next_listed = NULL;
        if (s->listed_tail)
            s->listed_tail->next_listed = st;
        else
            s->listed_head = st;
        s->listed_tail = st;
    }
    st->todo |= todo;
}

static void stream_drop_message(struct grpc_stream *st) {
    st->session->budget->requests_bytes_used -= st->budgeted_bytes;
    st->budgeted_bytes = 0;
    grpc_frame_done(&st->frame);
}

static void stream_drop_reply(struct grpc_stream *st) {
    st->session->replies_bytes -= st->reply_bytes;
    free(st->reply);
    st->reply = NULL;
    st->reply_bytes = st->reply_sent = 0;
}

static void stream_new(struct grpc_session *s, int32_t id) {
    struct grpc_stream *st = xnew(struct grpc_stream);
    st->session = s;
    st->id = id;
    st->deadline_ns = UINT64_MAX;
    grpc_frame_init(&st->frame, s->budget->message_bytes_max);
    st->next = s->streams;
    if (st->next) st->next->prev = st;
    s->streams = st;
    (void)nghttp2_session_set_stream_user_data(s->h2, id, st);
}

static void stream_free(struct grpc_stream *st) {
    if (!st) return;
    if (st->prev)
        st->prev->next = st->next;
    else
        st->session->streams = st->next;
    if (st->next) st->next->prev = st->prev;
    stream_drop_message(st);
    stream_drop_reply(st);
    free(st);
}

static void stream_refuse(struct grpc_stream *st, enum grpc_code code, const char *text) {
    if (st->refusal != GRPC_OK) return; /* the first reason counts */
    st->refusal = code;
    st->refusal_text = text;
    stream_drop_message(st);
    stream_list(st, TODO_REFUSE);
}

struct str grpc_stream_path(const struct grpc_stream *st) {
    return str_make(st->path, st->path_bytes);
}

uint64_t grpc_stream_deadline_ns(const struct grpc_stream *st) { return st->deadline_ns; }

struct buf grpc_stream_take_message(struct grpc_stream *st) {
    struct buf message = st->frame.message;
    st->frame.message = BUF(0);
    stream_drop_message(st);
    return message;
}

void **grpc_stream_user(struct grpc_stream *st) { return &st->user; }

/* ---- answers ---- */

static nghttp2_nv header(const char *name, struct str value) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .valuelen = value.n};
}

static nghttp2_nv code_header(enum grpc_code code, char text[4]) {
    int n = snprintf(text, 4, "%d", code);
    return header("grpc-status", str_make(text, (size_t)n));
}

static ssize_t read_reply(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)user;
    struct grpc_stream *st = source->ptr;
    size_t left = st->reply_bytes - st->reply_sent;
    size_t n = left < room ? left : room;
    memcpy(out, st->reply + st->reply_sent, n);
    st->reply_sent += n;
    if (st->reply_sent < st->reply_bytes) return (ssize_t)n;
    stream_drop_reply(st);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    char text[4];
    nghttp2_nv trailer = code_header(GRPC_OK, text);
    if (nghttp2_submit_trailer(h2, id, &trailer, 1) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* the stream is reset */
    return (ssize_t)n;
}

static void submit(struct grpc_stream *st, const nghttp2_nv *headers, size_t count,
                   const nghttp2_data_provider *body) {
    st->answered = true;
    stream_drop_message(st);
    nghttp2_session *h2 = st->session->h2;
    if (nghttp2_submit_response(h2, st->id, headers, count, body) != 0)
        (void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_INTERNAL_ERROR);
}

static void submit_http(struct grpc_stream *st, const char *status) {
    nghttp2_nv headers[] = {header(":status", str_of(status)), header("allow", STR("POST"))};
    submit(st, headers, COUNT(headers), NULL);
}

void grpc_stream_fail(struct grpc_stream *st, enum grpc_code code, struct str message) {
    if (st->answered || st->todo & TODO_CLOSED) return;
    char wire[GRPC_STATUS_WIRE_BYTES];
    size_t n = grpc_status_encode(message, wire);
    char text[4];
    nghttp2_nv headers[REPLY_HEADERS_MAX] = {
        header(":status", STR("200")),
        header("content-type", STR("application/grpc")),
        code_header(code, text),
        header("grpc-message", str_make(wire, n)),
        header("grpc-accept-encoding", STR("identity")),
    };
    headers[3].flags = NGHTTP2_NV_FLAG_NO_INDEX; /* seldom the same twice */
    submit(st, headers, COUNT(headers), NULL);
}

void grpc_stream_reply(struct grpc_stream *st, uint8_t *framed, size_t n) {
    assert(n >= GRPC_FRAME_PREFIX_BYTES);
    if (st->answered || st->todo & TODO_CLOSED) {
        free(framed);
        return;
    }
    if (n > GRPC_REPLIES_BYTES_MAX - st->session->replies_bytes) {
        free(framed);
        grpc_stream_fail(st, GRPC_RESOURCE_EXHAUSTED,
                         STR("more bytes of replies wait on this connection than may: read them"));
        return;
    }
    st->reply = framed;
    st->reply_bytes = n;
    st->session->replies_bytes += n;
    const nghttp2_nv headers[] = {
        header(":status", STR("200")),
        header("content-type", STR("application/grpc")),
    };
    nghttp2_data_provider body = {.source = {.ptr = st}, .read_callback = read_reply};
    submit(st, headers, COUNT(headers), &body);
}

/* ---- nghttp2's callbacks ---- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    (void)h2;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        stream_new(user, frame->hd.stream_id);
    return 0;
}

static bool is_grpc_type(struct str value) {
    if (!str_starts(value, STR("application/grpc"))) return false;
    struct str rest = str_sub(value, STR("application/grpc").n, value.n);
    return rest.n == 0 || rest.p[0] == '+' || rest.p[0] == ';';
}

static void take_header(struct grpc_stream *st, struct str name, struct str value) {
    if (str_eq(name, STR(":path"))) {
        st->path_bytes = value.n < sizeof st->path ? value.n : sizeof st->path;
        memcpy(st->path, value.p, st->path_bytes);
    } else if (str_eq(name, STR(":method"))) {
        st->is_post = str_eq(value, STR("POST"));
    } else if (str_eq(name, STR("content-type"))) {
        st->is_grpc = is_grpc_type(value);
    } else if (str_eq(name, STR("grpc-encoding"))) {
        if (!str_eq(value, STR("identity")))
            stream_refuse(st, GRPC_UNIMPLEMENTED,
                          "compressed requests are not supported: send grpc-encoding identity");
    } else if (str_eq(name, STR("grpc-timeout"))) {
        uint64_t ns = 0;
        uint64_t now = clock_ns();
        if (grpc_timeout_parse(value, &ns) < 0)
            stream_refuse(st, GRPC_INVALID_ARGUMENT, "malformed grpc-timeout header");
        else
            st->deadline_ns = ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
    }
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *user) {
    (void)flags;
    (void)user;
    struct grpc_stream *st = stream_of(h2, frame->hd.stream_id);
    if (!st) return 0;
    st->header_bytes += name_bytes + value_bytes + HEADER_OVERHEAD_BYTES;
    if (st->header_bytes > GRPC_HEADER_BYTES_MAX)
        stream_refuse(st, GRPC_RESOURCE_EXHAUSTED, "the request has more than 16 KiB of headers");
    else if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        take_header(st, str_make((const char *)name, name_bytes),
                    str_make((const char *)value, value_bytes));
    return 0;
}

static void head_received(struct grpc_stream *st) {
    if (!st->is_post)
        st->http_status = "405";
    else if (!st->is_grpc)
        st->http_status = "415";
    stream_list(st, st->http_status ? TODO_REFUSE : TODO_HEAD);
}

static void request_ended(struct grpc_stream *st) {
    st->ended = true;
    if (st->answered || st->todo & TODO_REFUSE) return;
    if (grpc_frame_complete(&st->frame))
        stream_list(st, TODO_REQUEST);
    else
        stream_refuse(st, GRPC_INVALID_ARGUMENT, "the request ended before its message did");
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct grpc_stream *st = stream_of(h2, frame->hd.stream_id);
    if (!st) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        head_received(st);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) request_ended(st);
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                   void *user) {
    (void)flags;
    (void)user;
    struct grpc_stream *st = stream_of(h2, id);
    if (!st || st->answered || st->todo & TODO_REFUSE) return 0;
    struct grpc_budget *budget = st->session->budget;
    if (n > budget->requests_bytes_max - budget->requests_bytes_used) {
        stream_refuse(st, GRPC_RESOURCE_EXHAUSTED, "too many requests are being received");
        return 0;
    }
    budget->requests_bytes_used += n;
    st->budgeted_bytes += n;
    switch (grpc_frame_feed(&st->frame, bytes, n)) {
    case 0: break;
    case -EMSGSIZE:
        stream_refuse(st, GRPC_RESOURCE_EXHAUSTED, "the request message is over the size limit");
        break;
    case -ENOTSUP:
        stream_refuse(st, GRPC_UNIMPLEMENTED, "compressed request messages are not supported");
        break;
    default:
        stream_refuse(st, GRPC_INVALID_ARGUMENT, "the request is not one framed gRPC message");
        break;
    }
    return 0;
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    struct grpc_stream *st = stream_of(h2, frame->hd.stream_id);
    if (st && frame->hd.flags & NGHTTP2_FLAG_END_STREAM && !st->ended) stream_list(st, TODO_RESET);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t code, void *user) {
    (void)code;
    (void)user;
    struct grpc_stream *st = stream_of(h2, id);
    if (st) stream_list(st, TODO_CLOSED);
    return 0;
}

/* ---- events ---- */

static void refuse(struct grpc_stream *st) {
    if (st->http_status)
        submit_http(st, st->http_status);
    else
        grpc_stream_fail(st, st->refusal, str_of(st->refusal_text));
}

/* Takes the most urgent thing to do off st. */
static unsigned next_todo(struct grpc_stream *st) {
    if (st->todo & TODO_CLOSED) {
        st->todo = 0;
        return TODO_CLOSED;
    }
    if (st->answered || st->todo & TODO_REFUSE) st->todo &= ~(unsigned)(TODO_HEAD | TODO_REQUEST);
    unsigned lowest = st->todo & -st->todo;
    st->todo &= ~lowest;
    return lowest;
}

enum grpc_event grpc_session_event(struct grpc_session *s, struct grpc_stream **out_stream) {
    stream_free(s->closed);
    s->closed = NULL;
    while (s->listed_head) {
        struct grpc_stream *st = s->listed_head;
        unsigned todo = next_todo(st);
        if (st->todo == 0) {
            s->listed_head = st->next_listed;
            if (!s->listed_head) s->listed_tail = NULL;
        }
        *out_stream = st;
        if (todo == TODO_REFUSE && !st->answered) refuse(st);
        if (todo == TODO_RESET)
            (void)nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
        if (todo == TODO_HEAD) return GRPC_EVENT_HEAD;
        if (todo == TODO_REQUEST) return GRPC_EVENT_REQUEST;
        if (todo != TODO_CLOSED) continue;
        s->closed = st;
        return GRPC_EVENT_CLOSED;
    }
    return GRPC_EVENT_NONE;
}

/* ---- the session ---- */

static void *h2_malloc(size_t n, void *user) {
    (void)user;
    return xmalloc(n);
}
static void h2_free(void *p, void *user) {
    (void)user;
    free(p);
}
static void *h2_calloc(size_t count, size_t n, void *user) {
    (void)user;
    size_t bytes = 0;
    return __builtin_mul_overflow(count, n, &bytes) ? NULL : xmalloc(bytes);
}
static void *h2_realloc(void *p, size_t n, void *user) {
    (void)user;
    return xrealloc(p, n);
}

static void must(int r) {
    if (r != 0) abort(); /* only wrong arguments are left as a cause */
}

static nghttp2_session_callbacks *make_callbacks(void) {
    nghttp2_session_callbacks *cb = NULL;
    must(nghttp2_session_callbacks_new(&cb));
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    return cb;
}

static nghttp2_option *make_options(void) {
    nghttp2_option *o = NULL;
    must(nghttp2_option_new(&o));
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, GRPC_ACKS_MAX);
    nghttp2_option_set_max_settings(o, GRPC_SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(o, GRPC_RESET_BURST_MAX, GRPC_RESETS_PER_S_MAX);
    return o;
}

struct grpc_session *grpc_session_new(struct grpc_budget *budget) {
    struct grpc_session *s = xnew(struct grpc_session);
    s->budget = budget;
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_option *o = make_options();
    nghttp2_mem mem = {NULL, h2_malloc, h2_free, h2_calloc, h2_realloc};
    must(nghttp2_session_server_new3(&s->h2, cb, s, o, &mem));
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADER_BYTES_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_STREAM_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    must(nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings, COUNT(settings)));
    must(nghttp2_session_set_local_window_size(s->h2, NGHTTP2_FLAG_NONE, 0,
                                               WINDOW_CONNECTION_BYTES));
    return s;
}

int grpc_session_feed(struct grpc_session *s, const uint8_t *bytes, size_t n) {
    return nghttp2_session_mem_recv(s->h2, bytes, n) == (ssize_t)n ? 0 : -EPROTO;
}

int grpc_session_output(struct grpc_session *s, struct buf *out) {
    size_t taken = 0;
    while (taken < GRPC_OUTPUT_BYTES_PER_TAKE) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(s->h2, &bytes);
        if (n == 0) return 0;
        if (n < 0 || buf_append(out, bytes, (size_t)n) < 0) return -EPROTO;
        taken += (size_t)n;
    }
    return 0;
}

bool grpc_session_over(struct grpc_session *s) {
    return !nghttp2_session_want_read(s->h2) && !nghttp2_session_want_write(s->h2);
}

void grpc_session_goaway(struct grpc_session *s) {
    if (s->goaway) return;
    s->goaway = true;
    (void)nghttp2_submit_goaway(s->h2, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(s->h2), NGHTTP2_NO_ERROR,
                                NULL, 0);
}

void grpc_session_abort(struct grpc_session *s) {
    for (struct grpc_stream *st = s->streams; st; st = st->next)
        if (st != s->closed) stream_list(st, TODO_CLOSED);
}

void grpc_session_free(struct grpc_session *s) {
    if (!s) return;
    nghttp2_session_del(s->h2);
    while (s->streams) stream_free(s->streams);
    free(s);
}
