/* SPDX-License-Identifier: Apache-2.0 — http_conn.c: what a connection does next.
 *
 * States: idle (no call) -> HEAD -> HANDLER <-> READ, HANDLER <-> SEND -> idle, or DRAIN -> idle,
 * or lingering -> closed. http_conn_pump() makes steps until one has to wait for the socket or for
 * the handler, then says to the loop what it waits for. Each step is bounded, and so is their
 * number: a connection that always has work is pumped again after the others.
 *
 * Broken is not closed: while the handler has the turn its call must stay. The socket is closed at
 * once, the rest when the turn comes back.
 *
 * The watch for input stays armed while a handler works and nothing comes, because changing it
 * costs a system call; when something does come (a pipelined request, the end) it is noted as
 * `readable` and no longer watched for. So no more than one read is ever in store. */
#include "base/http_conn.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>

#define STEPS_PER_TURN 64

void http_conn_deadline(struct http_conn *conn, uint32_t delay_ms) {
    conn->deadline_ms = clock_ms() + delay_ms;
}

void http_conn_broke(struct http_conn *conn, enum err_kind kind, const char *why) {
    conn->broken = true;
    struct http_call *c = conn->call;
    if (c && c->err.kind == ERR_NONE) (void)err_set(&c->err, kind, "%s", why);
}

static void drop_call(struct http_conn *conn) {
    http_server_give_call(conn->server, conn->call);
    conn->call = NULL;
}

/* ---- between requests ---- */

static int wait_for_request(struct http_conn *conn) {
    struct http_server *s = conn->server;
    if (s->stopping || (conn->ended && !conn->readable)) {
        conn->closing = true;
        return 0;
    }
    if (!conn->readable) return 0;
    conn->call = http_server_take_call(s);
    conn->call->conn = conn;
    conn->call->in_n = 0;
    http_call_init(conn->call);
    return 1;
}

/* The request is read and answered: the next one, whose beginning may be here already. */
static void next_request(struct http_conn *conn) {
    const struct http_limits *limits = &conn->server->options.limits;
    struct http_call *c = conn->call;
    size_t left = c->in_n - c->in_at;
    if (left == 0) {
        drop_call(conn);
        http_conn_deadline(conn, limits->idle_ms);
        return;
    }
    memmove(c->in, c->in + c->in_at, left);
    c->in_n = left;
    http_call_init(c);
    http_conn_deadline(conn, limits->head_ms);
}

/* ---- the end of a reply ---- */

/* A socket that is closed while input waits in it is reset, which may take the reply from the
 * client before it was read. So only our direction is shut first. */
static void end_connection(struct http_conn *conn, bool input_waits) {
    drop_call(conn);
    http_link_end(&conn->link);
    if (!input_waits) {
        conn->closing = true;
        return;
    }
    conn->lingering = true;
    http_conn_deadline(conn, conn->server->options.limits.linger_ms);
}

static void reply_sent(struct http_conn *conn) {
    struct http_call *c = conn->call;
    http_call_end(c);
    bool body_left = c->refused || !http_body_ended(&c->body);
    if (c->close || conn->server->stopping) {
        end_connection(conn, body_left || c->in_n > c->in_at);
    } else if (body_left) {
        c->phase = HTTP_PHASE_DRAIN;
        http_conn_deadline(conn, conn->server->options.limits.body_window_ms);
    } else {
        next_request(conn);
    }
}

static int step_send(struct http_conn *conn) {
    struct http_call *c = conn->call;
    if (http_output_flush(conn) == 0) return 0;
    if (conn->broken) return 1;
    conn->deadline_ms = 0;
    if (c->pieces && !c->last) {
        c->phase = HTTP_PHASE_HANDLER;
        c->due = HTTP_DUE_MORE;
    } else {
        reply_sent(conn);
    }
    return 1;
}

static int step_drain(struct http_conn *conn) {
    bool over = false;
    int r = http_intake_drain(conn, &over);
    if (over) next_request(conn);
    return r;
}

/* ---- steps ---- */

static int step_broken(struct http_conn *conn) {
    struct http_call *c = conn->call;
    if (c && c->phase == HTTP_PHASE_HANDLER && c->due == HTTP_DUE_NOTHING) return 0;
    if (c) {
        if (c->phase != HTTP_PHASE_HEAD && c->phase != HTTP_PHASE_DRAIN) http_call_end(c);
        drop_call(conn);
    }
    conn->closing = true;
    return 0;
}

static int step_read(struct http_conn *conn) {
    if (http_output_flush(conn) == 0) return 0; /* "100 Continue" */
    return conn->broken ? 1 : http_intake_body(conn);
}

static int step_run(struct http_conn *conn) {
    if (conn->call->due == HTTP_DUE_NOTHING) return 0;
    http_call_run(conn->call);
    return 1;
}

/* 1: it went on, 0: it has to wait. */
static int step(struct http_conn *conn) {
    if (conn->closing) return 0;
    if (conn->broken) return step_broken(conn);
    if (conn->lingering) return http_intake_linger(conn);
    if (!conn->call) return wait_for_request(conn);
    switch (conn->call->phase) {
    case HTTP_PHASE_HEAD: return http_intake_head(conn);
    case HTTP_PHASE_HANDLER: return step_run(conn);
    case HTTP_PHASE_READ: return step_read(conn);
    case HTTP_PHASE_SEND: return step_send(conn);
    case HTTP_PHASE_DRAIN: return step_drain(conn);
    }
    return 0;
}

/* ---- the loop ---- */

static void conn_free(struct http_conn *conn) {
    struct http_server *s = conn->server;
    assert(!conn->call);
    watch_stop(&conn->watch);
    http_link_close(&conn->link);
    http_ring_leave(&conn->wake);
    http_ring_leave(&conn->all);
    http_source_give(&s->sources, conn->source);
    s->counts.connections--;
    free(conn);
    http_server_settle(s);
}

/* False when the kernel refuses. */
static bool arm(struct http_conn *conn) {
    int events =
        (conn->blocked ? WATCH_WRITE : 0) | (conn->readable || conn->ended ? 0 : WATCH_READ);
    if (events == 0) {
        watch_stop(&conn->watch);
        return true;
    }
    return watch_start(conn->server->loop, &conn->watch, conn->link.fd, events) == 0;
}

void http_conn_pump(struct http_conn *conn) {
    if (conn->pumping) return;
    conn->pumping = true;
    unsigned steps = 0;
    while (step(conn) > 0) {
        if (++steps < STEPS_PER_TURN) continue;
        http_server_wake(conn->server, conn);
        break;
    }
    conn->pumping = false;
    if (!conn->closing && !conn->broken && !arm(conn)) {
        http_conn_broke(conn, ERR_IO, "the kernel refused to watch the connection");
        http_server_wake(conn->server, conn);
    }
    if (conn->closing) {
        conn_free(conn);
    } else if (conn->broken) {
        watch_stop(&conn->watch);
        http_link_close(&conn->link);
    }
}

/* Something came that nobody reads now: a next request, the end, or the news that the client is
 * gone, which a handler at work may want to know. */
static void look_at_input(struct http_conn *conn) {
    int r = http_link_peek(&conn->link);
    if (r == 0) conn->ended = true;
    if (r == 1) conn->readable = true;
    if (r < 0 && r != -EAGAIN)
        http_conn_broke(conn, ERR_CANCELLED, "the client broke the connection off");
}

static void ready(struct watch *w, int events) {
    struct http_conn *conn = CONTAINER_OF(w, struct http_conn, watch);
    bool busy = conn->call &&
                (conn->call->phase == HTTP_PHASE_HANDLER || conn->call->phase == HTTP_PHASE_SEND);
    if (events & WATCH_READ && busy)
        look_at_input(conn);
    else if (events & WATCH_READ)
        conn->readable = true;
    if (events & WATCH_WRITE) conn->blocked = false;
    http_conn_pump(conn);
}

void http_conn_new(struct http_listener *l, int fd, const struct sockaddr_in6 *address,
                   struct http_source *source) {
    struct http_server *s = l->server;
    struct http_conn *conn = xnew(struct http_conn);
    conn->server = s;
    conn->link = (struct http_link){.fd = fd, .blocks = &s->blocks};
    if (l->tls) conn->link.tls = tls_new(l->tls);
    conn->watch.ready = ready;
    conn->source = source;
    conn->address = *address;
    http_ring_init(&conn->wake);
    http_ring_join(&s->all, &conn->all);
    s->counts.connections++;
    http_conn_deadline(conn, s->options.limits.head_ms);
    http_server_start_clock(s);
    conn->readable = true; /* as a rule the request is here with the connection */
    http_conn_pump(conn);
}

/* ---- ends that come from outside ---- */

static void late_call(struct http_conn *conn) {
    static const struct http_refusal slow_head = {408, "a request whose head came too slowly"};
    static const struct http_refusal slow_body = {408, "a request whose body came too slowly"};
    struct http_call *c = conn->call;
    switch (c->phase) {
    case HTTP_PHASE_HEAD:
        http_call_begin(c);
        http_output_refuse(c, ERR_TIMEOUT, slow_head);
        break;
    case HTTP_PHASE_READ:
        if (http_intake_waited(conn)) {
            http_intake_wait(conn);
            return;
        }
        http_output_refuse(c, ERR_TIMEOUT, slow_body);
        break;
    case HTTP_PHASE_SEND:
        if (http_output_waited(conn)) {
            http_output_wait(conn);
            return;
        }
        http_conn_broke(conn, ERR_TIMEOUT, "the client did not take the reply");
        break;
    case HTTP_PHASE_DRAIN: conn->broken = true; break;
    case HTTP_PHASE_HANDLER: return; /* has no deadline */
    }
    conn->server->counts.timed_out++;
}

void http_conn_late(struct http_conn *conn) {
    conn->deadline_ms = 0;
    if (conn->call) {
        late_call(conn);
    } else {
        if (!conn->lingering) conn->server->counts.timed_out++;
        conn->closing = true;
    }
    http_conn_pump(conn);
}

void http_conn_stop(struct http_conn *conn) {
    if (!conn->call && !conn->pumping) http_server_wake(conn->server, conn);
}

void http_conn_break(struct http_conn *conn) {
    http_conn_broke(conn, ERR_CANCELLED, "the server ends");
    http_conn_pump(conn);
}
