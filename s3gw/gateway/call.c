/* SPDX-License-Identifier: Apache-2.0 — call.c: a request's way from its head to its reply.
 *
 * Steps of a call, each ended by exactly one of the next: begin (loop) -> prepare (worker: bucket,
 * authorisation, route.run unless a document must come first) -> body (call_body.c) -> run or
 * stored (worker) -> op (metadata's thread) -> finish (loop) -> reply (loop) -> done (loop, frees).
 * An error at any step goes to the reply; nothing is visible before the op succeeded, and what an
 * upload has written by then is discarded by data_put_free(). The client may go away at any time:
 * the steps go on and the server calls done when the reply was given. */
#include "s3gw/gateway/call.h"

#include "base/clock.h"
#include "base/log.h"
#include "s3gw/data/data_get.h"
#include "s3gw/data/data_put.h"
#include "s3gw/gateway/gateway_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* ---- steps ---- */

static void work_done(struct task *t) {
    struct call *c = CONTAINER_OF(t, struct call, task);
    c->next(c);
}

static void work_run(struct job *j) {
    struct call *c = CONTAINER_OF(j, struct call, job);
    c->result = c->step(c, &c->error);
    c->task.run = work_done;
    loop_post(c->gw->loop, &c->task);
}

void call_work(struct call *c, int (*step)(struct call *c, struct s3_error *x),
               void (*next)(struct call *c)) {
    c->step = step;
    c->next = next;
    c->job.run = work_run;
    loop_work(c->gw->loop, &c->job);
}

static int prepare(struct call *c, struct s3_error *x) {
    const struct route *r = c->route;
    if (r->place != TARGET_SERVICE && !r->no_bucket) {
        struct meta_read read = call_read(c);
        struct err e = {0};
        if (meta_bucket(&read, c->target.bucket, &c->bucket, &e) < 0)
            return call_fail_meta(c, read.why, &e, x);
    }
    const char *action = r->action;
    if (r->version_action && call_param(c, "versionId").p) action = r->version_action;
    if (!r->is_open && call_authorize(c, action, x) < 0) return -1;
    return r->body == ROUTE_DOCUMENT ? 0 : r->run(c, x);
}

static void after_prepare(struct call *c) {
    if (c->result < 0) {
        call_answer(c);
        return;
    }
    switch (c->route->body) {
    case ROUTE_NO_BODY: call_after_run(c); break;
    case ROUTE_DOCUMENT: call_body_document(c); break;
    case ROUTE_STREAM: call_body_stream(c); break;
    }
}

/* ---- the op ---- */

static void op_done(struct meta_op *op) {
    struct call *c = CONTAINER_OF(op, struct call, op);
    c->result = 0;
    if (op->chunks_taken && c->put) data_put_taken(c->put);
    if (op->why != META_OK)
        c->result = call_fail_meta(c, op->why, &op->error, &c->error);
    else if (c->route->finish)
        c->result = c->route->finish(c, &c->error);
    call_answer(c);
}

static void fill_op(const struct call *c, struct meta_op *op) {
    if (!op->bucket.p) op->bucket = c->target.bucket;
    if (!op->key.p) op->key = c->target.key;
    if (!op->now_ms) op->now_ms = call_now_ms();
}

void call_after_run(struct call *c) {
    struct err e = {0};
    if (c->result == 0 && c->submitted) {
        fill_op(c, &c->op);
        c->op.done = op_done;
        if (meta_submit(c->gw->meta, &c->op, &e) == 0) return;
        c->result = s3_error_of_err(&c->error, &e);
    }
    call_answer(c);
}

int call_submit(struct call *c) {
    c->submitted = true;
    return 0;
}

int call_run(struct call *c, struct meta_op *op, struct s3_error *x) {
    struct err e = {0};
    fill_op(c, op);
    if (meta_run(c->gw->meta, op, &e) < 0) return call_fail_meta(c, op->why, &e, x);
    return 0;
}

/* ---- its end ---- */

static void call_free(struct call *c) {
    data_put_free(c->put);
    data_get_free(c->reply.source);
    if (c->has_body) body_done(&c->body);
    s3_auth_result_done(&c->auth);
    buf_done(&c->in);
    buf_done(&c->reply.document);
    arena_done(&c->arena);
    free(c);
}

static void on_done(void *user, struct http_call *http, const struct err *e) {
    (void)http;
    (void)e;
    struct call *c = user;
    gateway_log_call(c->gw, c);
    call_free(c);
}

static void on_body(void *user, struct http_call *http, size_t n, bool end) {
    (void)http;
    call_body_on(user, n, end);
}

static void more_read(struct call *c) {
    struct str piece = STR_NONE;
    bool last = false;
    struct err e = {0};
    if (data_get_result(c->reply.source, &piece, &last, &e) < 0) {
        LOG_ERROR("an object's bytes cannot be read", F_C("request", c->id), F_ERR(&e));
        http_call_fail(c->http, &e);
        return;
    }
    http_call_send(c->http, piece, last ? HTTP_LAST_PIECE : HTTP_PIECE);
}

static int read_step(struct call *c, struct s3_error *x) {
    (void)x;
    data_get_next(c->reply.source);
    return 0;
}

static void on_more(void *user, struct http_call *http) {
    (void)http;
    call_work(user, read_step, more_read);
}

static const struct http_handler HANDLER = {on_body, on_more, on_done};

/* ---- replies ---- */

static void reply_error(struct call *c) {
    const struct s3_error_place place = {.resource = c->request.path,
                                         .request_id = http_call_id(c->http),
                                         .host_id = str_of(GATEWAY_HOST_ID)};
    struct buf *out = &c->reply.document;
    buf_clear(out);
    out->bytes_max = CALL_REPLY_BYTES_MAX;
    unsigned status = (unsigned)s3_code_status(c->error.code);
    if (s3_error_document(&c->error, &place, out) < 0) buf_clear(out);
    c->reply.status = status;
    if (status == 304) buf_clear(out);
}

void call_answer(struct call *c) {
    struct call_reply *r = &c->reply;
    assert(!c->replied);
    c->replied = true;
    if (c->result < 0) {
        data_get_free(STEAL(r->source));
        r->body = STR_NONE;
        reply_error(c);
        reply_header(c, "Content-Type", STR("application/xml"));
    }
    reply_header(c, "x-amz-request-id", http_call_id(c->http));
    reply_header(c, "x-amz-id-2", STR(GATEWAY_HOST_ID));
    reply_header(c, "Server", STR("gridlet-s3"));
    const struct http_answer a = {
        .status = r->status ? r->status : 200, .fields = r->fields, .field_count = r->field_count};
    if (r->source)
        http_call_reply_pieces(c->http, &a, data_get_bytes(r->source));
    else
        http_call_reply(c->http, &a, r->document.n > 0 ? buf_view(&r->document) : r->body);
}

/* ---- its beginning ---- */

static int copy_headers(struct call *c, const struct http_head *h) {
    struct s3_pair *pairs = arena_array(&c->arena, h->field_count + 1, sizeof *pairs);
    if (!pairs) return -1;
    for (size_t i = 0; i < h->field_count; i++)
        pairs[i] = (struct s3_pair){h->fields[i].name, h->fields[i].value};
    c->request.headers = pairs;
    c->request.header_count = h->field_count;
    return 0;
}

static int read_head(struct call *c, struct s3_error *x) {
    const struct http_head *h = http_call_head(c->http);
    if (h->uri.form != HTTP_ORIGIN_FORM && h->uri.form != HTTP_ABSOLUTE_FORM)
        return s3_fail(x, S3_INVALID_URI);
    c->request.method = h->method;
    c->request.path = h->uri.path.n > 0 ? h->uri.path : STR("/");
    c->request.query = h->uri.query;
    c->request.service = STR("s3");
    c->request.now_s = clock_wall_ns() / 1000000000;
    if (copy_headers(c, h) < 0) return s3_fail(x, S3_REQUEST_HEADERS_TOO_LARGE);
    const struct target_ask ask = {c->gw->domain, c->request.path, h->host};
    if (target_parse(&c->arena, &ask, &c->target, x) < 0) return -1;
    c->request.vhost_bucket = c->target.vhost_bucket;
    int r = uri_query_parse(&c->arena, c->request.query, &c->query);
    return r < 0 ? s3_fail(x, r == -EINVAL ? S3_INVALID_URI : S3_REQUEST_HEADERS_TOO_LARGE) : 0;
}

static int accept_call(struct call *c, struct s3_error *x) {
    if (read_head(c, x) < 0) return -1;
    if (s3_auth_request(c->gw->auth, &c->arena, &c->request, &c->auth, x) < 0) return -1;
    c->who = c->auth.identity;
    const struct route_ask ask = {.verb = http_call_head(c->http)->verb,
                                  .place = c->target.place,
                                  .query = &c->query,
                                  .has_header = call_has_header,
                                  .call = c};
    c->route = route_find(&ask, x);
    return c->route ? 0 : -1;
}

void call_begin(struct gateway *g, struct http_call *http) {
    struct call *c = xnew(struct call);
    c->gw = g;
    c->http = http;
    c->arena = ARENA(CALL_ARENA_BYTES);
    (void)snprintf(c->id, sizeof c->id, "%.*s", STR_ARG(http_call_id(http)));
    http_call_handle(http, &HANDLER, c);
    c->result = accept_call(c, &c->error);
    if (c->result < 0)
        call_answer(c);
    else
        call_work(c, prepare, after_prepare);
}
