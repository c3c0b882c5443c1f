/* SPDX-License-Identifier: Apache-2.0 — h2_client.h: a small gRPC client on nghttp2, for the tests.
 *
 * Bytes in, bytes out, like the session it talks to. What it receives is kept per call. */
#pragma once

#include "base/buf.h"
#include "base/grpc_frame.h"

#include <nghttp2/nghttp2.h>

#define H2_CALLS_MAX    4096
#define H2_BYTES_MAX    ((size_t)128 << 20)
#define H2_HEADERS_MAX  12
#define H2_WINDOW_BYTES (1 << 28)
#define H2_ERROR_NONE   UINT32_MAX
#define H2_CODE_NONE    (-1)

struct h2_call {
    int32_t id;
    int http_status; /* 0: none came */
    int code;        /* grpc-status, or H2_CODE_NONE */
    char message[4096];
    struct buf reply; /* framed */
    bool closed;
    uint32_t error; /* of the close */
    /* the request */
    struct buf body;
    size_t sent_bytes;
    bool keep_open; /* no END_STREAM behind the body */
};

struct h2_client {
    nghttp2_session *h2;
    struct h2_call *calls[H2_CALLS_MAX];
    size_t call_count;
    size_t closed_count;
    bool goaway;
    uint32_t goaway_error;
};

struct h2_request {
    const char *path;
    const char *method;       /* NULL: POST */
    const char *content_type; /* NULL: application/grpc */
    const char *timeout;      /* NULL: none */
    const char *encoding;     /* NULL: none */
    const char *extra;        /* value of a header x-extra, or NULL */
    struct str body;          /* as it goes onto the wire */
    bool keep_open;
};

static inline struct h2_call *h2_call_of(nghttp2_session *h2, int32_t id) {
    return nghttp2_session_get_stream_user_data(h2, id);
}

static int h2_on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
                        size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags,
                        void *user) {
    (void)flags;
    (void)user;
    struct h2_call *c = h2_call_of(h2, frame->hd.stream_id);
    if (!c) return 0;
    struct str key = str_make((const char *)name, name_n);
    struct str text = str_make((const char *)value, value_n);
    uint64_t number = 0;
    if (str_eq(key, STR(":status")) && str_u64(text, &number) == 0) c->http_status = (int)number;
    if (str_eq(key, STR("grpc-status")) && str_u64(text, &number) == 0) c->code = (int)number;
    if (str_eq(key, STR("grpc-message")) && text.n < sizeof c->message)
        memcpy(c->message, text.p, text.n); /* the rest is zero */
    return 0;
}

static int h2_on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *bytes,
                      size_t n, void *user) {
    (void)flags;
    (void)user;
    struct h2_call *c = h2_call_of(h2, id);
    if (c && buf_append(&c->reply, bytes, n) < 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int h2_on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *user) {
    struct h2_client *client = user;
    struct h2_call *c = h2_call_of(h2, id);
    if (!c) return 0;
    c->closed = true;
    c->error = error;
    client->closed_count++;
    return 0;
}

static int h2_on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user) {
    (void)h2;
    struct h2_client *client = user;
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    client->goaway = true;
    client->goaway_error = frame->goaway.error_code;
    return 0;
}

static ssize_t h2_read_body(nghttp2_session *h2, int32_t id, uint8_t *out, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *user) {
    (void)h2;
    (void)id;
    (void)user;
    struct h2_call *c = source->ptr;
    size_t left = c->body.n - c->sent_bytes;
    size_t n = left < room ? left : room;
    if (n) memcpy(out, c->body.p + c->sent_bytes, n);
    c->sent_bytes += n;
    if (c->sent_bytes < c->body.n) return (ssize_t)n;
    if (c->keep_open && n == 0) return NGHTTP2_ERR_DEFERRED;
    if (!c->keep_open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline struct h2_client *h2_client_new(void) {
    struct h2_client *client = xnew(struct h2_client);
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *o = NULL;
    if (nghttp2_session_callbacks_new(&cb) != 0 || nghttp2_option_new(&o) != 0) abort();
    nghttp2_session_callbacks_set_on_header_callback(cb, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, h2_on_frame);
    nghttp2_option_set_peer_max_concurrent_streams(o, H2_CALLS_MAX);
    if (nghttp2_session_client_new2(&client->h2, cb, client, o) != 0) abort();
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cb);
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES};
    if (nghttp2_submit_settings(client->h2, 0, &window, 1) != 0) abort();
    if (nghttp2_session_set_local_window_size(client->h2, 0, 0, H2_WINDOW_BYTES) != 0) abort();
    return client;
}

static inline nghttp2_nv h2_nv(const char *name, const char *value) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)(uintptr_t)value,
                        .valuelen = strlen(value)};
}

static inline struct h2_call *h2_send(struct h2_client *client, const struct h2_request *r) {
    if (client->call_count == H2_CALLS_MAX) abort();
    struct h2_call *c = xnew(struct h2_call);
    client->calls[client->call_count++] = c;
    c->code = H2_CODE_NONE;
    c->error = H2_ERROR_NONE;
    c->reply = BUF(H2_BYTES_MAX);
    c->body = BUF(H2_BYTES_MAX);
    c->keep_open = r->keep_open;
    if (buf_str(&c->body, r->body) < 0) abort();
    nghttp2_nv nv[H2_HEADERS_MAX];
    size_t n = 0;
    nv[n++] = h2_nv(":method", r->method ? r->method : "POST");
    nv[n++] = h2_nv(":scheme", "http");
    nv[n++] = h2_nv(":path", r->path);
    nv[n++] = h2_nv(":authority", "localhost");
    nv[n++] = h2_nv("content-type", r->content_type ? r->content_type : "application/grpc");
    nv[n++] = h2_nv("te", "trailers");
    if (r->timeout) nv[n++] = h2_nv("grpc-timeout", r->timeout);
    if (r->encoding) nv[n++] = h2_nv("grpc-encoding", r->encoding);
    if (r->extra) nv[n++] = h2_nv("x-extra", r->extra);
    nghttp2_data_provider body = {.source = {.ptr = c}, .read_callback = h2_read_body};
    c->id = nghttp2_submit_request(client->h2, NULL, nv, n, &body, c);
    if (c->id < 0) abort();
    return c;
}

static inline void h2_cancel(struct h2_client *client, const struct h2_call *c) {
    if (nghttp2_submit_rst_stream(client->h2, 0, c->id, NGHTTP2_CANCEL) != 0) abort();
}

/* 0, or -1 when the server broke the protocol. */
static inline int h2_feed(struct h2_client *client, const void *bytes, size_t n) {
    return nghttp2_session_mem_recv(client->h2, bytes, n) == (ssize_t)n ? 0 : -1;
}

/* Appends all that the client has to send. */
static inline void h2_output(struct h2_client *client, struct buf *out) {
    const uint8_t *bytes = NULL;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(client->h2, &bytes)) > 0)
        if (buf_append(out, bytes, (size_t)n) < 0) abort();
    if (n < 0) abort();
}

static inline void h2_client_free(struct h2_client *client) {
    for (size_t i = 0; i < client->call_count; i++) {
        buf_done(&client->calls[i]->reply);
        buf_done(&client->calls[i]->body);
        free(client->calls[i]);
    }
    nghttp2_session_del(client->h2);
    free(client);
}
