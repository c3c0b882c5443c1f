/* SPDX-License-Identifier: Apache-2.0 — grpc_conn.c: one client's socket and its session.
 *
 * Reading: one recv per readiness (more while it fills the buffer), fed to the session, then its
 * events. Writing: everything the session has goes out in one send; while the client does not read,
 * nothing is taken from the session beyond one piece, and nothing is read from the client either,
 * so that it cannot make us queue answers. A connection is freed at the end of grpc_conn_pump() or
 * in grpc_conn_free(), never from inside the session. */
#include "base/grpc_server.h"

#include "base/grpc_status.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define READS_PER_EVENT_MAX 4
#define OUTPUT_BYTES_MAX    (2 * GRPC_OUTPUT_BYTES_PER_TAKE)
#define OUTPUT_KEPT_BYTES   (64 * 1024) /* memory an idle connection keeps */

struct grpc_conn {
    struct grpc_server *server; /* borrowed */
    struct grpc_conn *prev, *next;
    int fd; /* owned */
    struct watch watch;
    struct grpc_session *session; /* owned */
    struct buf output;
    size_t sent_bytes; /* of output */
};

struct grpc_conn *grpc_conn_next(struct grpc_conn *conn) {
    return conn->next;
}

static void refuse_unknown(struct grpc_conn *conn, struct grpc_stream *st) {
    struct str path = grpc_stream_path(st);
    if (grpc_server_method(conn->server, path)) return;
    char text[GRPC_STATUS_TEXT_BYTES_MAX];
    int n = snprintf(text, sizeof text, "unknown method %.*s", STR_ARG(path));
    grpc_stream_fail(st, GRPC_UNIMPLEMENTED, str_make(text, (size_t)n));
}

static void run_events(struct grpc_conn *conn) {
    struct grpc_stream *st = NULL;
    for (;;) {
        switch (grpc_session_event(conn->session, &st)) {
        case GRPC_EVENT_NONE: return;
        case GRPC_EVENT_HEAD: refuse_unknown(conn, st); break;
        case GRPC_EVENT_REQUEST: grpc_call_start(conn, conn->server, st); break;
        case GRPC_EVENT_CLOSED:
            if (*grpc_stream_user(st)) grpc_call_stream_closed(*grpc_stream_user(st));
            break;
        }
    }
}

/* Sends the waiting output; 0 all, 1 the socket is full, or -errno. */
static int flush(struct grpc_conn *conn) {
    while (conn->sent_bytes < conn->output.n) {
        ssize_t n = send(conn->fd, conn->output.p + conn->sent_bytes,
                         conn->output.n - conn->sent_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN ? 1 : -errno;
        conn->sent_bytes += (size_t)n;
    }
    conn->sent_bytes = 0;
    buf_clear(&conn->output);
    if (conn->output.capacity > OUTPUT_KEPT_BYTES) buf_done(&conn->output);
    return 0;
}

/* Alternates output and events until the session is empty or the socket full. */
static int drain_session(struct grpc_conn *conn) {
    for (;;) {
        int blocked = flush(conn);
        if (blocked != 0) return blocked;
        int r = grpc_session_output(conn->session, &conn->output);
        run_events(conn); /* may make new output */
        if (r < 0) return r;
        if (conn->output.n == 0) return 0;
    }
}

void grpc_conn_pump(struct grpc_conn *conn) {
    run_events(conn);
    int blocked = drain_session(conn);
    if (blocked < 0 || (blocked == 0 && grpc_session_over(conn->session))) {
        grpc_conn_free(conn);
        return;
    }
    if (watch_start(conn->server->loop, &conn->watch, conn->fd,
                    blocked ? WATCH_WRITE : WATCH_READ) < 0)
        grpc_conn_free(conn);
}

/* False when the connection is to be closed. */
static bool take_input(struct grpc_conn *conn) {
    struct grpc_server *s = conn->server;
    for (int reads = 0; reads < READS_PER_EVENT_MAX; reads++) {
        ssize_t n = recv(conn->fd, s->input, sizeof s->input, 0);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        if (n == 0) return false;
        if (grpc_session_feed(conn->session, s->input, (size_t)n) < 0) {
            (void)drain_session(conn); /* the reason, if there is one to tell */
            LOG_DEBUG("connection closed: not HTTP/2, or a flood", F_INT("fd", conn->fd));
            return false;
        }
        run_events(conn);
        if ((size_t)n < sizeof s->input) return true;
    }
    return true;
}

static void conn_ready(struct watch *w, int events) {
    struct grpc_conn *conn = CONTAINER_OF(w, struct grpc_conn, watch);
    if (events & WATCH_READ && !take_input(conn))
        grpc_conn_free(conn);
    else
        grpc_conn_pump(conn);
}

void grpc_conn_goaway(struct grpc_conn *conn) { grpc_session_goaway(conn->session); }

void grpc_conn_new(struct grpc_server *s, int fd) {
    struct grpc_conn *conn = xnew(struct grpc_conn);
    conn->server = s;
    conn->fd = fd;
    conn->watch.ready = conn_ready;
    conn->output = BUF(OUTPUT_BYTES_MAX);
    conn->session = grpc_session_new(&s->budget);
    conn->next = s->conns;
    if (conn->next) conn->next->prev = conn;
    s->conns = conn;
    s->conn_count++;
    grpc_conn_pump(conn);
}

void grpc_conn_free(struct grpc_conn *conn) {
    struct grpc_server *s = conn->server;
    watch_stop(&conn->watch);
    grpc_session_abort(conn->session);
    run_events(conn); /* cancels the calls */
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        s->conns = conn->next;
    if (conn->next) conn->next->prev = conn->prev;
    s->conn_count--;
    grpc_session_free(conn->session);
    buf_done(&conn->output);
    (void)close(conn->fd);
    free(conn);
    grpc_server_settle(s);
}
