/* SPDX-License-Identifier: Apache-2.0 — http_output.c: sending.
 *
 * What is to be sent next are the slots of a call's queue, then a range of a file: so a small reply
 * is one system call, whatever it is made of. Nothing is copied but the head. When the socket is
 * full the rest waits where it lies, and the producer of the pieces is not asked for more.
 *
 * A client that takes a reply slowly is judged by what it acknowledged, not by what the socket
 * took: the kernel's buffer may be megabytes, and has room again only when a third of it is free.
 */
#include "base/http_conn.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>

#define FILE_BYTES_PER_CALL (1U << 20)
#define SENDS_PER_TURN      8 /* before the other connections have their turn */

static size_t queued(const struct http_call *c) {
    size_t n = 0;
    for (size_t i = 0; i < HTTP_QUEUE; i++) n += c->queue[i].n;
    return n;
}

/* What to do about a send that gave r <= 0: as http_output_flush(). */
static int not_sent(struct http_conn *conn, ssize_t r) {
    if (r == -EAGAIN) {
        conn->blocked = true;
        if (conn->deadline_ms == 0) http_output_wait(conn); /* else its window goes on */
        return 0;
    }
    http_conn_broke(conn, ERR_CANCELLED, "the client broke the connection off");
    return 1;
}

void http_output_wait(struct http_conn *conn) {
    conn->acknowledged_bytes = http_link_acknowledged(&conn->link);
    http_conn_deadline(conn, conn->server->options.limits.write_window_ms);
}

bool http_output_waited(struct http_conn *conn) {
    const struct http_limits *l = &conn->server->options.limits;
    uint64_t taken = http_link_acknowledged(&conn->link) - conn->acknowledged_bytes;
    return taken * 1000 / l->write_window_ms >= l->write_bytes_per_s_min;
}

static void note_first_byte(struct http_call *c) {
    if (c->replied && c->first_byte_ns == 0) c->first_byte_ns = clock_ns() - c->at_ns;
}

/* A client that takes as fast as we send must not keep the others waiting. */
static bool turn_over(struct http_conn *conn, unsigned *sends) {
    if (++*sends <= SENDS_PER_TURN) return false;
    http_server_wake(conn->server, conn);
    return true;
}

static int flush_file(struct http_conn *conn) {
    struct http_call *c = conn->call;
    unsigned sends = 0;
    while (c->file.length > 0) {
        if (turn_over(conn, &sends)) return 0;
        size_t n =
            c->file.length < FILE_BYTES_PER_CALL ? (size_t)c->file.length : FILE_BYTES_PER_CALL;
        ssize_t r = http_link_send_file(&conn->link, c->file.fd, c->file.offset, n);
        if (r == 0) {
            http_conn_broke(conn, ERR_CORRUPT, "the file of the reply is shorter than it was");
            return 1;
        }
        if (r < 0) return not_sent(conn, r);
        c->file.offset += (size_t)r;
        c->file.length -= (size_t)r;
        c->sent_bytes += (size_t)r;
    }
    return 1;
}

int http_output_flush(struct http_conn *conn) {
    struct http_call *c = conn->call;
    if (conn->blocked) return 0;
    unsigned sends = 0;
    while (queued(c) > 0) {
        if (turn_over(conn, &sends)) return 0;
        size_t before = c->queue[HTTP_QUEUE_BYTES].n;
        ssize_t r = http_link_send(&conn->link, c->queue, HTTP_QUEUE, c->file.length > 0);
        if (r <= 0) return not_sent(conn, r);
        c->sent_bytes += before - c->queue[HTTP_QUEUE_BYTES].n;
        note_first_byte(c);
    }
    if (flush_file(conn) == 0) return 0;
    int r = conn->broken ? 0 : http_link_flush(&conn->link); /* what was encrypted */
    return r < 0 ? not_sent(conn, r) : 1;
}

/* ---- replies ---- */

/* A body that was not read to its end: may it be dropped, so that the connection goes on? A client
 * that waits for 100 and gets the final status instead may send the body or not. */
static bool can_go_on(const struct http_call *c) {
    if (c->head.expects_continue && !c->continued) return false;
    if (http_body_ended(&c->body)) return true;
    return !c->head.chunked && c->body.left <= HTTP_DRAIN_BYTES_MAX;
}

static bool must_close(const struct http_call *c) {
    return c->refused || !c->head.keep_alive || c->conn->server->stopping || c->conn->ended ||
           !can_go_on(c);
}

static int encode(struct http_call *c, const struct http_answer *a, uint64_t length,
                  struct err *e) {
    struct http_reply_head r = {.status = a->status,
                                .date = http_server_date(c->conn->server, clock_wall_ns()),
                                .fields = a->fields,
                                .field_count = a->field_count,
                                .length = length,
                                .minor = c->refused ? 1 : c->head.minor,
                                .head_only = !c->refused && c->head.verb == HTTP_VERB_HEAD,
                                .close = a->close || must_close(c)};
    ssize_t n = http_reply_encode(&r, c->reply_head, sizeof c->reply_head, e);
    if (n < 0) return -1;
    c->framing = http_reply_framing(&r);
    c->close = r.close || c->framing == HTTP_UNTIL_CLOSE;
    c->status = a->status;
    c->queue[HTTP_QUEUE_HEAD] = str_make(c->reply_head, (size_t)n);
    return 0;
}

static void begin(struct http_call *c) {
    assert(!c->replied);
    c->replied = true;
    c->phase = HTTP_PHASE_SEND;
    c->due = HTTP_DUE_NOTHING;
}

void http_output_begin(struct http_call *c, const struct http_answer *a, uint64_t length) {
    begin(c);
    if (encode(c, a, length, &c->err) == 0) return;
    const struct http_answer failed = {.status = 500, .close = true};
    struct err e = {0};
    int r = encode(c, &failed, 0, &e);
    assert(r == 0);
    c->framing = HTTP_NO_BODY; /* what the handler gives is not sent */
}

static size_t refusal_line(struct http_call *c, const struct http_refusal *r) {
    int n = snprintf(c->refusal_text, sizeof c->refusal_text, "%u %s: %s\n", r->status,
                     http_status_text(r->status), r->why);
    assert(n > 0 && (size_t)n < sizeof c->refusal_text);
    return (size_t)n;
}

void http_output_refuse(struct http_call *c, enum err_kind kind, struct http_refusal r) {
    if (c->err.kind == ERR_NONE) (void)err_set(&c->err, kind, "the request was refused: %s", r.why);
    c->conn->deadline_ms = 0;
    begin(c);
    c->pieces = false;
    const struct http_options *o = &c->conn->server->options;
    struct str type_name = o->refusal_type ? str_of(o->refusal_type) : STR("text/plain");
    struct http_field type = {STR("Content-Type"), type_name};
    struct http_answer a = {.status = r.status, .fields = &type, .field_count = 1, .close = true};
    size_t n = o->refusal ? o->refusal(o->user, &r, http_call_id(c), c->refusal_text,
                                       sizeof c->refusal_text)
                          : refusal_line(c, &r);
    assert(n <= sizeof c->refusal_text);
    struct err e = {0};
    int encoded = encode(c, &a, n, &e);
    assert(encoded == 0);
    if (c->framing == HTTP_SIZED) c->queue[HTTP_QUEUE_BYTES] = str_make(c->refusal_text, n);
}

void http_output_piece(struct http_call *c, struct str bytes, enum http_piece which) {
    c->last = which == HTTP_LAST_PIECE;
    c->phase = HTTP_PHASE_SEND;
    assert(c->last || bytes.n > 0);
    c->queue[HTTP_QUEUE_BYTES] = bytes;
    switch (c->framing) {
    case HTTP_SIZED:
        assert(bytes.n <= c->pieces_left);
        c->pieces_left -= bytes.n;
        assert(!c->last || c->pieces_left == 0);
        break;
    case HTTP_CHUNKED: {
        int n = bytes.n ? snprintf(c->chunk_line, sizeof c->chunk_line, "%zx\r\n", bytes.n) : 0;
        c->queue[HTTP_QUEUE_CHUNK] = str_make(c->chunk_line, (size_t)n);
        c->queue[HTTP_QUEUE_CHUNK_END] = !c->last  ? STR("\r\n")
                                         : bytes.n ? STR("\r\n0\r\n\r\n")
                                                   : STR("0\r\n\r\n");
        break;
    }
    case HTTP_UNTIL_CLOSE:
    case HTTP_NO_BODY: break;
    }
}
