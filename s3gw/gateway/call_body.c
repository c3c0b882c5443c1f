/* SPDX-License-Identifier: Apache-2.0 — call_body.c: the body of a request: a document, read whole,
 * or a stream into the data layer.
 *
 * Memory is bounded: a document by the route's body_max, a stream by one buffer of the data layer.
 * The loop reads from the connection, a worker hashes and writes; while one has the buffer the
 * other waits, so a slow disk slows the client down. */
#include "s3gw/data/data_put.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/gateway_internal.h"

#define FRAMING_BYTES (64 << 10) /* of aws-chunked, around a document */
#define READ_MIN      (256 << 10)

static int begin_body(struct call *c) {
    const struct http_head *h = http_call_head(c->http);
    uint64_t length = h->has_length ? h->length : UINT64_MAX;
    if (!h->has_length && !h->chunked) length = 0;
    c->has_body = true;
    return body_init(&c->body, &c->auth, &c->request, length, &c->error);
}

/* An empty body is read, too, when the client waits for a 100. */
static bool must_read(const struct call *c) {
    return http_call_has_body(c->http) || http_call_head(c->http)->expects_continue;
}

/* ---- documents ---- */

static int run_document(struct call *c, struct s3_error *x) {
    struct str in = buf_view(&c->in);
    struct buf out = BUF(c->route->body_max);
    struct str piece = STR_NONE;
    struct body_result result;
    int r = 0;
    while (r == 0 && (r = body_next(&c->body, &in, &piece, x)) > 0)
        r = buf_str(&out, piece) < 0 ? s3_fail(x, S3_ENTITY_TOO_LARGE) : 0;
    if (r == 0) r = body_end(&c->body, &result, x);
    if (r == 0) {
        c->document = arena_str(&c->arena, buf_view(&out));
        if (!c->document.p) r = s3_fail(x, S3_ENTITY_TOO_LARGE);
    }
    buf_done(&out);
    return r < 0 ? -1 : c->route->run(c, x);
}

static void read_document(struct call *c) {
    size_t room = c->in.bytes_max - c->in.n;
    if (room > 65536) room = 65536;
    if (room == 0 || buf_reserve(&c->in, room) < 0) {
        c->result = s3_fail(&c->error, S3_ENTITY_TOO_LARGE);
        call_answer(c);
        return;
    }
    http_call_read(c->http, c->in.p + c->in.n, room, room);
}

void call_body_document(struct call *c) {
    c->result = begin_body(c);
    if (c->result == 0 && body_bytes(&c->body) > c->route->body_max)
        c->result = s3_fail(&c->error, S3_ENTITY_TOO_LARGE);
    if (c->result < 0) {
        call_answer(c);
        return;
    }
    c->in = BUF(c->route->body_max + FRAMING_BYTES);
    if (must_read(c))
        read_document(c);
    else
        call_work(c, run_document, call_after_run);
}

/* ---- streams ---- */

static int end_stream(struct call *c, struct s3_error *x) {
    if (data_put_end(c->put, &c->body, x) < 0) return -1;
    return c->route->stored(c, x);
}

static void read_stream(struct call *c) {
    if (c->result < 0) {
        call_answer(c);
        return;
    }
    struct data_room room = data_put_room(c->put);
    size_t least = room.n < READ_MIN ? room.n : READ_MIN;
    http_call_read(c->http, room.p, least, room.n);
}

static int feed_stream(struct call *c, struct s3_error *x) {
    return data_put_feed(c->put, &c->body, x);
}

static int feed_and_end(struct call *c, struct s3_error *x) {
    return feed_stream(c, x) < 0 ? -1 : end_stream(c, x);
}

void call_body_stream(struct call *c) {
    c->result = begin_body(c);
    if (c->result == 0 && body_bytes(&c->body) > c->route->body_max)
        c->result = s3_fail(&c->error, S3_ENTITY_TOO_LARGE);
    if (c->result < 0) {
        call_answer(c);
        return;
    }
    c->put = data_put_new(c->gw->data, body_bytes(&c->body), c->route->place_of_bytes);
    if (c->has_also && c->body.checksum.kind != c->also) data_put_also(c->put, c->also);
    if (must_read(c))
        read_stream(c);
    else
        call_work(c, end_stream, call_after_run);
}

void call_body_on(struct call *c, size_t n, bool end) {
    if (c->route->body == ROUTE_DOCUMENT) {
        c->in.n += n;
        if (end)
            call_work(c, run_document, call_after_run);
        else
            read_document(c);
        return;
    }
    data_put_came(c->put, n);
    if (end)
        call_work(c, feed_and_end, call_after_run);
    else
        call_work(c, feed_stream, read_stream);
}
