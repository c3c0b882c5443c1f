/* SPDX-License-Identifier: Apache-2.0 — http_intake.c: receiving.
 *
 * A head is received into the call's `in` and stays there until the call is over. What follows it
 * is body or the next request. Bytes that are certainly body are received straight into the
 * handler's buffer; only those that came with the head or with a chunk's framing are copied.
 *
 * A client that sends a body slowly is judged by windows of waiting time: the time that the handler
 * takes does not count, and short reads cannot begin a window anew. */
#include "base/http_conn.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>

#define LINGER_READ_BYTES (16U << 10)

/* Many handshakes at once must not keep the other connections waiting: after a few the rest is put
 * off to the next round of wake-ups. */
static bool may_shake_hands(struct http_conn *conn) {
    struct http_server *s = conn->server;
    if (!http_link_shakes_hands(&conn->link)) return true;
    if (s->handshakes_left > 0) {
        s->handshakes_left--;
        return true;
    }
    http_server_wake(s, conn);
    return false;
}

/* Up to n bytes: their count; 0 when there is nothing now, or when nothing will come any more,
 * which is noted in conn. */
static size_t receive(struct http_conn *conn, char *out, size_t n) {
    if (!conn->readable || !may_shake_hands(conn)) return 0;
    bool more = false;
    ssize_t r = http_link_recv(&conn->link, out, n, &more);
    conn->readable = r > 0 && more;
    if (r > 0) return (size_t)r;
    if (r == 0) {
        conn->ended = true;
    } else if (r != -EAGAIN) {
        http_conn_broke(conn, ERR_CANCELLED,
                        r == -EPROTO ? tls_failure(conn->link.tls)
                                     : "the client broke the connection off");
    }
    return 0;
}

/* ---- heads ---- */

static int no_head(struct http_conn *conn) {
    struct http_call *c = conn->call;
    if (conn->ended || conn->broken) {
        conn->broken = true; /* between two requests or within a head: nobody waits for an answer */
        return 1;
    }
    if (c->in_n == 0) { /* a false alarm: back to waiting without buffers */
        http_server_give_call(conn->server, c);
        conn->call = NULL;
    }
    return 0;
}

int http_intake_head(struct http_conn *conn) {
    struct http_call *c = conn->call;
    ssize_t r = http_head_feed(&c->head, c->in, c->in_n);
    if (r == 0) {
        size_t n = receive(conn, c->in + c->in_n, HTTP_HEAD_BYTES_MAX - c->in_n);
        if (n == 0) return no_head(conn);
        if (c->in_n == 0) http_conn_deadline(conn, conn->server->options.limits.head_ms);
        c->in_n += n;
        return 1;
    }
    conn->deadline_ms = 0;
    http_call_begin(c);
    if (r < 0) {
        conn->server->counts.refused++;
        http_output_refuse(c, ERR_INVALID, c->head.refusal);
        return 1;
    }
    conn->server->counts.requests++;
    c->refused = false;
    c->head_n = c->in_at = (size_t)r;
    http_body_init(&c->body, &c->head, &c->room);
    c->due = HTTP_DUE_REQUEST;
    return 1;
}

/* ---- bodies ---- */

void http_intake_wait(struct http_conn *conn) {
    struct http_call *c = conn->call;
    uint32_t window_ms = conn->server->options.limits.body_window_ms;
    c->read_since_ms = clock_ms();
    conn->deadline_ms = c->read_since_ms + window_ms - c->read_waited_ms;
}

bool http_intake_waited(struct http_conn *conn) {
    const struct http_limits *l = &conn->server->options.limits;
    struct http_call *c = conn->call;
    c->read_waited_ms += clock_ms() - c->read_since_ms;
    if (c->read_waited_ms < l->body_window_ms) return true;
    bool enough = c->read_window_bytes * 1000 / c->read_waited_ms >= l->body_bytes_per_s_min;
    c->read_waited_ms = c->read_window_bytes = 0;
    return enough;
}

static int body_read(struct http_conn *conn) {
    struct http_call *c = conn->call;
    static const struct http_refusal slow = {408, "a request whose body came too slowly"};
    if (!http_intake_waited(conn)) {
        conn->server->counts.timed_out++;
        http_output_refuse(c, ERR_TIMEOUT, slow);
        return 1;
    }
    conn->deadline_ms = 0;
    c->phase = HTTP_PHASE_HANDLER;
    c->due = HTTP_DUE_BODY;
    return 1;
}

/* Body bytes that lie in `in`, to the handler's buffer. */
static enum http_body_event copy_pieces(struct http_call *c) {
    enum http_body_event event = HTTP_BODY_PIECE;
    while (event == HTTP_BODY_PIECE && c->read_n < c->read_max) {
        struct str in = str_make(c->in + c->in_at, c->in_n - c->in_at), piece;
        event = http_body_next(&c->body, &in, c->read_max - c->read_n, &piece);
        c->in_at = c->in_n - in.n;
        if (event != HTTP_BODY_PIECE) break;
        memcpy(c->read_out + c->read_n, piece.p, piece.n);
        c->read_n += piece.n;
    }
    return event;
}

/* More of the body; 0 when there is none now. `in` is used up. */
static size_t receive_body(struct http_conn *conn) {
    struct http_call *c = conn->call;
    c->in_at = c->in_n = c->head_n;
    uint64_t direct = http_body_direct(&c->body);
    size_t room = c->read_max - c->read_n;
    if (direct == 0) {
        size_t n = receive(conn, c->in + c->in_n, sizeof c->in - c->in_n);
        c->in_n += n;
        c->read_window_bytes += n;
        return n;
    }
    char *at = c->read_out + c->read_n;
    size_t n = receive(conn, at, direct < room ? (size_t)direct : room);
    struct str in = str_make(at, n), piece;
    if (n) {
        enum http_body_event event = http_body_next(&c->body, &in, n, &piece);
        assert(event == HTTP_BODY_PIECE && in.n == 0);
    }
    c->read_n += n;
    c->read_window_bytes += n;
    return n;
}

int http_intake_body(struct http_conn *conn) {
    struct http_call *c = conn->call;
    for (;;) {
        switch (copy_pieces(c)) {
        case HTTP_BODY_PIECE: return body_read(conn); /* the buffer is full */
        case HTTP_BODY_END: return body_read(conn);
        case HTTP_BODY_REFUSED:
            conn->server->counts.refused++;
            http_output_refuse(c, ERR_INVALID, c->body.refusal);
            return 1;
        case HTTP_BODY_MORE: break;
        }
        if (receive_body(conn) > 0) continue;
        if (conn->ended)
            http_conn_broke(conn, ERR_CANCELLED, "the client ended before its request's body");
        if (conn->broken) return 1;
        return c->read_n >= c->read_min ? body_read(conn) : 0;
    }
}

/* ---- what nobody wants ---- */

int http_intake_drain(struct http_conn *conn, bool *out_over) {
    struct http_call *c = conn->call;
    struct str in = str_make(c->in + c->in_at, c->in_n - c->in_at), piece;
    enum http_body_event event;
    while ((event = http_body_next(&c->body, &in, in.n + 1, &piece)) == HTTP_BODY_PIECE) {
    }
    c->in_at = c->in_n - in.n;
    *out_over = event == HTTP_BODY_END;
    if (event == HTTP_BODY_REFUSED) conn->broken = true;
    if (event != HTTP_BODY_MORE) return 1;
    c->in_at = c->in_n = c->head_n;
    size_t n = receive(conn, c->in + c->in_n, sizeof c->in - c->in_n);
    c->in_n += n;
    if (n == 0 && conn->ended) conn->broken = true;
    return n > 0 || conn->broken;
}

int http_intake_linger(struct http_conn *conn) {
    char dropped[LINGER_READ_BYTES];
    size_t n = receive(conn, dropped, sizeof dropped);
    conn->linger_bytes += n;
    if (conn->ended || conn->broken || conn->linger_bytes > HTTP_LINGER_BYTES_MAX)
        conn->closing = true;
    return n > 0;
}
