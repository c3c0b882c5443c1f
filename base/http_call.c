/* SPDX-License-Identifier: Apache-2.0 — http_call.c: one request and its reply, as its handler sees
 * it. The functions that give the turn away only note what is wanted and wake the connection. */
#include "base/http_conn.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>

/* The handler has the turn and gives it away. */
static void give_turn(struct http_call *c) {
    assert(c->phase == HTTP_PHASE_HANDLER && c->due == HTTP_DUE_NOTHING);
    if (!c->conn->pumping) http_server_wake(c->conn->server, c->conn);
}

/* ---- its life ---- */

void http_call_init(struct http_call *c) {
    struct http_conn *conn = c->conn;
    size_t in_n = c->in_n;
    memset(c, 0, offsetof(struct http_call, body));
    c->conn = conn;
    c->in_n = in_n;
    c->in_at = c->head_n = 0;
    c->phase = HTTP_PHASE_HEAD;
    c->refused = true; /* until the head is complete */
    http_head_init(&c->head);
}

/* A permutation of 64 bits (splitmix64's finaliser): ids of one server never repeat, and do not
 * show how many requests there were. */
static uint64_t scatter(uint64_t x) {
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void make_id(struct http_call *c) {
    static const char digits[] = "0123456789ABCDEF";
    uint64_t id = scatter(++c->conn->server->id_base);
    for (size_t i = 0; i < HTTP_CALL_ID_CHARS; i++) c->id[i] = digits[id >> (60 - 4 * i) & 15];
}

void http_call_begin(struct http_call *c) {
    make_id(c);
    c->at_ns = clock_ns();
    c->at_wall_ns = clock_wall_ns();
    c->phase = HTTP_PHASE_HANDLER;
}

void http_call_run(struct http_call *c) {
    const struct http_options *o = &c->conn->server->options;
    enum http_due due = c->due;
    c->due = HTTP_DUE_NOTHING;
    switch (due) {
    case HTTP_DUE_REQUEST: o->on_request(o->user, c); break;
    case HTTP_DUE_BODY:
        c->handler->on_body(c->user, c, c->read_n, http_body_ended(&c->body));
        break;
    case HTTP_DUE_MORE: c->handler->on_more(c->user, c); break;
    case HTTP_DUE_NOTHING: break;
    }
}

void http_call_end(struct http_call *c) {
    const struct http_options *o = &c->conn->server->options;
    if (c->err.kind == ERR_NONE && c->conn->broken)
        (void)err_set(&c->err, ERR_CANCELLED, "the client broke the connection off");
    const struct err *e = c->err.kind == ERR_NONE ? NULL : &c->err;
    if (o->on_access) {
        const struct http_access a = {.id = http_call_id(c),
                                      .peer = http_call_peer(c),
                                      .head = c->refused ? NULL : &c->head,
                                      .status = c->status,
                                      .received_bytes = c->refused ? 0 : c->body.total,
                                      .sent_bytes = c->sent_bytes,
                                      .at_wall_ns = c->at_wall_ns,
                                      .took_ns = clock_ns() - c->at_ns,
                                      .first_byte_ns = c->first_byte_ns,
                                      .encrypted = http_call_encrypted(c),
                                      .error = e};
        o->on_access(o->user, &a);
    }
    const struct http_handler *h = c->handler;
    c->handler = NULL;
    if (h && h->on_done) h->on_done(c->user, c, e);
}

/* ---- what handlers ask ---- */

const struct http_head *http_call_head(const struct http_call *c) { return &c->head; }

struct str http_call_id(const struct http_call *c) {
    return str_make(c->id, HTTP_CALL_ID_CHARS);
}

const char *http_call_peer(struct http_call *c) {
    const struct sockaddr_in6 *a = &c->conn->address;
    if (c->peer[0]) return c->peer;
    char text[INET6_ADDRSTRLEN] = "";
    bool v4 = IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
    if (a->sin6_family == AF_UNIX) return "unix";
    if (v4)
        (void)inet_ntop(AF_INET, a->sin6_addr.s6_addr + 12, text, sizeof text);
    else
        (void)inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof text);
    (void)snprintf(c->peer, sizeof c->peer, v4 ? "%s:%u" : "[%s]:%u", text, ntohs(a->sin6_port));
    return c->peer;
}

bool http_call_encrypted(const struct http_call *c) {
    return c->conn->link.tls != NULL;
}

bool http_call_gone(const struct http_call *c) { return c->conn->broken; }

bool http_call_has_body(const struct http_call *c) { return !http_body_ended(&c->body); }

struct str http_call_trailer(const struct http_call *c, struct str name) {
    return http_body_ended(&c->body) ? http_body_trailer(&c->body, name) : STR_NONE;
}

/* ---- what handlers do ---- */

void http_call_handle(struct http_call *c, const struct http_handler *h, void *user) {
    c->handler = h;
    c->user = user;
}

void http_call_read(struct http_call *c, char *out, size_t bytes_min, size_t bytes_max) {
    assert(bytes_min >= 1 && bytes_min <= bytes_max && !c->replied && c->handler);
    give_turn(c);
    c->read_out = out;
    c->read_min = bytes_min;
    c->read_max = bytes_max;
    c->read_n = 0;
    c->phase = HTTP_PHASE_READ;
    bool came = c->in_n > c->in_at || c->body.total > 0;
    if (c->head.expects_continue && !c->continued && !came)
        c->queue[HTTP_QUEUE_HEAD] = STR("HTTP/1.1 100 Continue\r\n\r\n");
    c->continued = true;
    http_intake_wait(c->conn);
}

void http_call_reply(struct http_call *c, const struct http_answer *a, struct str body) {
    give_turn(c);
    http_output_begin(c, a, body.n);
    if (c->framing == HTTP_SIZED) c->queue[HTTP_QUEUE_BYTES] = body;
}

void http_call_reply_file(struct http_call *c, const struct http_answer *a, struct http_range r) {
    give_turn(c);
    http_output_begin(c, a, r.length);
    if (c->framing == HTTP_SIZED) c->file = r;
}

void http_call_reply_pieces(struct http_call *c, const struct http_answer *a, uint64_t length) {
    assert(c->handler);
    give_turn(c);
    http_output_begin(c, a, length);
    c->pieces = c->framing != HTTP_NO_BODY && length > 0;
    c->pieces_left = length;
}

void http_call_send(struct http_call *c, struct str bytes, enum http_piece which) {
    give_turn(c);
    assert(c->replied && c->pieces && !c->last);
    http_output_piece(c, bytes, which);
}

void http_call_fail(struct http_call *c, const struct err *e) {
    give_turn(c);
    if (c->err.kind == ERR_NONE) c->err = *e;
    c->conn->broken = true;
    c->phase = HTTP_PHASE_SEND;
}
