/* SPDX-License-Identifier: Apache-2.0 — zdbd_session.c: one connection.
 *
 * Reading: up to ZDBD_READ_BYTES at once, or what the payload that is coming needs. All whole
 * requests of the input are executed, then everything that may leave is sent with one sendmsg().
 * An idle connection holds no buffer.
 *
 * Replies are written to `out` in order. What may not leave yet is marked by gates, in order too:
 *   WRITTEN the reply that starts there waits until its write is in the files (durability interval
 *           and never), which the first such gate of a turn sees to for all;
 *   COMMIT  the reply that starts there waits until its ticket is durable; when the commit failed
 *           it is replaced by an error, exactly it;
 *   WORK    the reply of a work (a large payload, a scan) belongs there, and is sent from the
 *           work's own buffer;
 *   PASSED  nothing any more: a ticket behind a work that is still being sent.
 * Execution goes on while replies wait. It stops when the peer does not take them: at
 * ZDBD_OUT_BYTES_MAX, ZDBD_BODY_BYTES_MAX or ZDBD_GATES_MAX the connection is not read any more,
 * and after stall_ms without progress it is closed. So a connection costs at most one request, that
 * much output, and the gates.
 *
 * Closing after a protocol error: the error is sent, the sending side shut down, and the rest of
 * the input read away for a while, since closing with unread input would reset the connection
 * before the peer has seen why. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define IOVECS_MAX       64
#define LINGER_MS        2000
#define LINGER_BYTES_MAX ((size_t)32 << 20)

/* ---- gates ---- */

static struct zdbd_gate *gate_at(struct zdbd_session *s, size_t i) {
    return &s->gates[(s->gate_head + i) % ZDBD_GATES_MAX];
}

static struct zdbd_gate *gate_add(struct zdbd_session *s) {
    if (!s->gates) s->gates = xmalloc(ZDBD_GATES_MAX * sizeof *s->gates);
    assert(s->gate_count < ZDBD_GATES_MAX); /* may_execute() */
    struct zdbd_gate *g = gate_at(s, s->gate_count++);
    *g = (struct zdbd_gate){.at = s->base + s->out.n};
    return g;
}

static void gate_pop(struct zdbd_session *s) {
    struct zdbd_gate *g = gate_at(s, 0);
    if (g->work) {
        s->body_bytes -= g->work->charged_bytes;
        zdbd_work_free(s->server, g->work);
    }
    s->gate_head = (s->gate_head + 1) % ZDBD_GATES_MAX;
    s->gate_count--;
}

void zdbd_session_hold(struct zdbd_session *s, size_t start, struct zdbd_space *space,
                       uint64_t ticket) {
    struct zdbd_gate *g = gate_add(s);
    g->at = s->base + start;
    bool is_always = space->settings.durability == ZDB_ALWAYS;
    g->kind = is_always ? ZDBD_GATE_COMMIT : ZDBD_GATE_WRITTEN;
    g->bytes = (uint32_t)(s->out.n - start);
    g->space = space;
    g->ticket = ticket;
    if (is_always) zdbd_space_want(space, ticket);
}

static void work_gate(struct zdbd_session *s, struct zdbd_work *w) {
    struct zdbd_gate *g = gate_add(s);
    g->kind = ZDBD_GATE_WORK;
    g->work = w;
    w->charged_bytes = w->reply.bytes_max; /* at once: many may be asked for before one is there */
    s->body_bytes += w->charged_bytes;
}

void zdbd_work_start(struct zdbd_work *w) {
    struct zdbd_session *s = w->session;
    work_gate(s, w);
    s->works++;
    if (w->space) w->space->busy++;
    loop_work(s->server->loop, &w->job);
}

void zdbd_work_start_barrier(struct zdbd_work *w) {
    w->is_barrier = true;
    w->session->is_barred = true;
    zdbd_work_start(w);
}

void zdbd_work_start_exclusive(struct zdbd_work *w) {
    struct zdbd_session *s = w->session;
    w->is_barrier = w->is_exclusive = true;
    s->is_barred = true;
    work_gate(s, w);
    s->works++;
    w->space->exclusive = w;
    zdbd_maintenance_cancel(s->server->maintenance, w->space);
    w->space->busy++; /* zdbd_space_leave() starts it when nobody else is */
    zdbd_space_leave(w->space);
}

/* The commit of the gate's ticket failed: its reply becomes an error. */
static void fail_reply(struct zdbd_session *s, size_t i, const struct err *e) {
    struct zdbd_gate *g = gate_at(s, i);
    AUTO(buf_done) struct buf error = BUF(2 * ERR_MSG_BYTES_MAX);
    resp_error(&error, str_of(e->msg));
    size_t at = (size_t)(g->at - s->base);
    size_t tail = s->out.n - at - g->bytes;
    int r = error.n > g->bytes ? buf_reserve(&s->out, error.n - g->bytes) : 0;
    assert(r == 0);
    (void)r;
    memmove(s->out.p + at + error.n, s->out.p + at + g->bytes, tail);
    memcpy(s->out.p + at, error.p, error.n);
    s->out.n = at + error.n + tail;
    for (size_t k = i + 1; k < s->gate_count; k++)
        gate_at(s, k)->at += error.n - g->bytes; /* modulo 2^64: may go down */
}

/* True when nothing has to wait at the gate. */
static bool gate_opens(struct zdbd_session *s, size_t i) {
    struct zdbd_gate *g = gate_at(s, i);
    struct err e = {0};
    switch (g->kind) {
    case ZDBD_GATE_PASSED: return true;
    case ZDBD_GATE_WORK: return g->work->is_done;
    case ZDBD_GATE_WRITTEN: break;
    case ZDBD_GATE_COMMIT:
        if (g->ticket > g->space->commit.settled) return false;
        break;
    }
    if (zdb_commit(g->space->ns, g->ticket, &e) < 0) fail_reply(s, i, &e);
    g->kind = ZDBD_GATE_PASSED;
    return true;
}

void zdbd_session_settle(struct zdbd_session *s, const struct zdbd_space *space) {
    for (size_t i = 0; i < s->gate_count; i++)
        if (gate_at(s, i)->space == space) (void)gate_opens(s, i);
}

/* Passes what can be passed; returns the count of open gates. */
static size_t open_gates(struct zdbd_session *s) {
    size_t open = 0;
    while (open < s->gate_count && gate_opens(s, open)) {
        if (open == 0 && gate_at(s, 0)->kind == ZDBD_GATE_PASSED)
            gate_pop(s);
        else
            open++;
    }
    return open;
}

/* ---- sending ---- */

/* What may leave: out, with the replies of works at their places. Returns the count. */
static int collect(struct zdbd_session *s, size_t open, struct iovec *iov) {
    size_t pos = s->sent;
    int n = 0;
    for (size_t i = 0; i <= open && n < IOVECS_MAX - 1; i++) {
        bool is_last = i == s->gate_count;
        struct zdbd_gate *g = is_last ? NULL : gate_at(s, i);
        size_t end = g ? (size_t)(g->at - s->base) : s->out.n;
        if (end > pos) iov[n++] = (struct iovec){s->out.p + pos, end - pos};
        pos = end;
        if (!g || i == open) break;
        if (g->kind != ZDBD_GATE_WORK) continue;
        struct zdbd_work *w = g->work;
        if (w->reply.n > w->sent)
            iov[n++] = (struct iovec){w->reply.p + w->sent, w->reply.n - w->sent};
    }
    return n;
}

static size_t take(size_t *left, size_t most) {
    size_t n = *left < most ? *left : most;
    *left -= n;
    return n;
}

/* n more bytes have left. */
static void advance(struct zdbd_session *s, size_t n) {
    for (;;) {
        while (s->gate_count > 0 && gate_at(s, 0)->kind == ZDBD_GATE_PASSED) gate_pop(s);
        struct zdbd_gate *g = s->gate_count > 0 ? gate_at(s, 0) : NULL;
        size_t end = g ? (size_t)(g->at - s->base) : s->out.n;
        s->sent += take(&n, end - s->sent);
        if (s->sent < end || !g || g->kind != ZDBD_GATE_WORK || !g->work->is_done) break;
        g->work->sent += take(&n, g->work->reply.n - g->work->sent);
        if (g->work->sent < g->work->reply.n) break;
        gate_pop(s);
    }
    assert(n == 0);
    if (s->sent == s->out.n && s->gate_count == 0) {
        s->base += s->out.n;
        s->sent = 0;
        zdbd_buf_give(s->server, &s->out);
    } else if (s->sent >= ZDBD_READ_BYTES) {
        s->base += s->sent;
        buf_consume(&s->out, s->sent);
        s->sent = 0;
    }
}

/* Sends what may leave. 1: all of it; 0: the socket is full; -1: the peer is gone. */
static int send_out(struct zdbd_session *s, size_t open) {
    struct iovec iov[IOVECS_MAX];
    for (;;) {
        int count = collect(s, open, iov);
        size_t total = 0;
        for (int i = 0; i < count; i++) total += iov[i].iov_len;
        if (total == 0) return 1;
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return 0;
        if (n < 0) return -1;
        s->server->counts.bytes_out += (uint64_t)n;
        s->active_ms = clock_ms();
        s->stalled_ms = 0;
        size_t before = s->gate_count;
        advance(s, (size_t)n);
        size_t gone = before - s->gate_count;
        open = open > gone ? open - gone : 0;
        if ((size_t)n < total) return 0;
    }
}

/* As send_out(); waits for the commit that the first shut gate needs. */
static int flush(struct zdbd_session *s) {
    size_t open = open_gates(s);
    zdbd_list_remove(&s->wait_link);
    if (open < s->gate_count && gate_at(s, open)->kind == ZDBD_GATE_COMMIT)
        zdbd_list_add(&gate_at(s, open)->space->commit.waiters, &s->wait_link);
    int r = send_out(s, open);
    if (r == 0 && !s->stalled_ms) s->stalled_ms = clock_ms();
    return r;
}

/* ---- executing ---- */

static bool may_execute(const struct zdbd_session *s) {
    return !s->is_closed && !s->is_closing && !s->is_barred && !s->watching &&
           s->out.n - s->sent < ZDBD_OUT_BYTES_MAX && s->body_bytes < ZDBD_BODY_BYTES_MAX &&
           s->gate_count < ZDBD_GATES_MAX;
}

void zdbd_session_prepare(struct zdbd_session *s) {
    if (!s->out.p) s->out = zdbd_buf_take(s->server, false);
    s->out.bytes_max = 2 * ZDBD_OUT_BYTES_MAX + ZDBD_REPLY_BYTES_MAX + ZDBD_READ_BYTES;
}

/* Executes whole requests of the input; false when there was none. */
static bool execute(struct zdbd_session *s) {
    struct resp_request *r = &s->server->request;
    size_t at = 0;
    bool any = false;
    while (may_execute(s) && s->in.n - at >= s->need && at < s->in.n) {
        enum resp_result result = resp_parse(str_make(s->in.p + at, s->in.n - at), r);
        s->need = result == RESP_MORE ? r->need : 0;
        if (result == RESP_MORE) break;
        zdbd_session_prepare(s);
        any = true;
        if (result == RESP_BAD) {
            s->server->counts.refused++;
            zdbd_error(s, r->error);
            s->is_closing = true;
            at = s->in.n;
            break;
        }
        at += r->bytes;
        zdbd_command_execute(s, r);
    }
    if (s->is_closed) return false;
    buf_consume(&s->in, at);
    if (s->in.n == 0) zdbd_buf_give(s->server, &s->in);
    return any;
}

/* Nothing more comes, and nothing more goes. */
static bool is_over(const struct zdbd_session *s) {
    return (s->is_closing || s->has_ended) && s->gate_count == 0 && s->sent == s->out.n &&
           !s->watching;
}

static void linger(struct zdbd_session *s) {
    if (s->has_ended || shutdown(s->fd, SHUT_WR) < 0) {
        zdbd_session_close(s);
        return;
    }
    s->is_lingering = true;
    s->body_bytes = 0; /* counts what is read away */
    s->active_ms = clock_ms();
    zdbd_buf_give(s->server, &s->in);
    if (watch_start(s->server->loop, &s->watch, s->fd, WATCH_READ) < 0) zdbd_session_close(s);
}

static void set_interest(struct zdbd_session *s, bool wants_to_write) {
    /* While the input cannot be executed one read's worth of it is kept, not more. */
    bool reads = !s->is_closing && !s->has_ended &&
                 (may_execute(s) || (s->watching && s->in.n < ZDBD_READ_BYTES));
    int events = (reads ? WATCH_READ : 0) | (wants_to_write ? WATCH_WRITE : 0);
    if (watch_start(s->server->loop, &s->watch, s->fd, events) < 0) zdbd_session_close(s);
}

void zdbd_session_run(struct zdbd_session *s) {
    if (s->is_closed || s->is_lingering) return;
    int sent = flush(s); /* makes room for what follows */
    while (sent > 0 && execute(s)) {
        if (s->server->uncommitted) zdbd_space_commit(STEAL(s->server->uncommitted));
        sent = flush(s);
    }
    if (s->is_closed) return;
    if (sent < 0) {
        zdbd_session_close(s);
    } else if (is_over(s)) {
        if (s->is_closing && !s->server->is_stopping)
            linger(s);
        else
            zdbd_session_close(s);
    } else {
        set_interest(s, sent == 0);
    }
}

/* ---- reading ---- */

static void read_away(struct zdbd_session *s) {
    char waste[16384];
    ssize_t n = read(s->fd, waste, sizeof waste);
    if (n > 0) s->body_bytes += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || s->body_bytes > LINGER_BYTES_MAX)
        zdbd_session_close(s);
}

/* One read; more when it filled all there was room for. False when the session was closed. */
static bool read_in(struct zdbd_session *s) {
    size_t want = s->need > s->in.n + ZDBD_READ_BYTES ? s->need - s->in.n : ZDBD_READ_BYTES;
    if (!s->in.p) s->in = zdbd_buf_take(s->server, want > ZDBD_READ_BYTES);
    s->in.bytes_max = RESP_REQUEST_BYTES_MAX + ZDBD_READ_BYTES;
    if (want > s->in.bytes_max - s->in.n) want = s->in.bytes_max - s->in.n;
    if (want == 0) return true;
    int r = buf_reserve(&s->in, want);
    assert(r == 0);
    (void)r;
    ssize_t n = read(s->fd, s->in.p + s->in.n, want);
    if (n > 0) {
        s->in.n += (size_t)n;
        s->server->counts.bytes_in += (uint64_t)n;
        s->active_ms = clock_ms();
        return true;
    }
    if (s->in.n == 0) zdbd_buf_give(s->server, &s->in);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) {
        zdbd_session_close(s);
        return false;
    }
    s->has_ended = true;
    if (s->watching) zdbd_command_unwatch(s);
    return true;
}

/* Everything of this turn is executed: its writes go out together, and then the replies. */
static void end_turn(struct task *t) {
    struct zdbd_server *server = CONTAINER_OF(t, struct zdbd_server, turn_end);
    server->is_turn_ending = false;
    if (server->uncommitted) zdbd_space_commit(STEAL(server->uncommitted));
    while (!zdbd_list_empty(&server->turn)) {
        struct zdbd_link *l = server->turn.next;
        zdbd_list_remove(l);
        zdbd_session_run(CONTAINER_OF(l, struct zdbd_session, turn_link));
    }
}

static void run_later(struct zdbd_session *s) {
    struct zdbd_server *server = s->server;
    if (s->is_closed) return;
    zdbd_list_remove(&s->turn_link);
    zdbd_list_add(&server->turn, &s->turn_link);
    if (server->is_turn_ending) return;
    server->is_turn_ending = true;
    server->turn_end.run = end_turn;
    loop_defer(server->loop, &server->turn_end);
}

static void ready(struct watch *w, int events) {
    struct zdbd_session *s = CONTAINER_OF(w, struct zdbd_session, watch);
    if (s->is_lingering) {
        read_away(s);
        return;
    }
    if ((events & WATCH_READ) && !s->has_ended && !s->is_closing && !read_in(s)) return;
    if (s->out.n > s->sent || s->gate_count > 0) {
        zdbd_session_run(s); /* makes room first */
        return;
    }
    (void)execute(s);
    run_later(s);
}

/* ---- beginning and end ---- */

void zdbd_session_new(struct zdbd_server *server, int fd) {
    struct zdbd_session *s = xnew(struct zdbd_session);
    s->server = server;
    s->fd = fd;
    s->watch.ready = ready;
    s->space = server->standard;
    s->is_admin = server->options.admin_password.n == 0;
    /* 0-db: a client starts in "default", and may write unless that is protected. */
    s->is_writable = zdbd_space_password(s->space).n == 0;
    s->active_ms = clock_ms();
    s->id = ++server->session_ids;
    zdbd_list_add(&server->sessions, &s->link);
    server->session_count++;
    server->counts.connections++;
    if (watch_start(server->loop, &s->watch, fd, WATCH_READ) < 0) zdbd_session_close(s);
}

static void free_session(struct task *t) {
    struct zdbd_session *s = CONTAINER_OF(t, struct zdbd_session, freeing);
    struct zdbd_server *server = s->server;
    free(s->gates);
    free(s);
    server->session_count--;
    zdbd_server_settle(server);
}

static void wake(struct task *t) {
    struct zdbd_session *s = CONTAINER_OF(t, struct zdbd_session, waking);
    s->is_waking = false;
    s->works--;
    if (!s->is_closed)
        zdbd_session_run(s);
    else if (s->works == 0)
        loop_post(s->server->loop, &s->freeing);
}

void zdbd_session_wake(struct zdbd_session *s) {
    if (s->is_waking || s->is_closed) return;
    s->is_waking = true;
    s->works++;
    s->waking.run = wake;
    loop_post(s->server->loop, &s->waking);
}

/* Works that still run free themselves when they have ended. */
static void drop_gates(struct zdbd_session *s) {
    while (s->gate_count > 0) {
        struct zdbd_gate *g = gate_at(s, 0);
        if (g->work && !g->work->is_done) {
            s->body_bytes -= g->work->charged_bytes;
            g->work = NULL;
        }
        gate_pop(s);
    }
}

void zdbd_session_close(struct zdbd_session *s) {
    if (s->is_closed) return;
    s->is_closed = true;
    watch_stop(&s->watch);
    (void)close(s->fd);
    zdbd_list_remove(&s->link);
    zdbd_list_remove(&s->wait_link);
    zdbd_list_remove(&s->turn_link);
    zdbd_command_unwatch(s);
    zdbd_list_remove(&s->watch_link);
    drop_gates(s);
    zdbd_buf_give(s->server, &s->in);
    zdbd_buf_give(s->server, &s->out);
    s->freeing.run = free_session;
    if (s->works == 0) loop_post(s->server->loop, &s->freeing);
}

void zdbd_session_stop(struct zdbd_session *s) {
    if (s->watching) zdbd_command_unwatch(s);
    s->is_closing = true;
    if (s->is_lingering)
        zdbd_session_close(s);
    else
        zdbd_session_run(s);
}

void zdbd_session_sweep(struct zdbd_session *s, uint64_t now_ms) {
    const struct zdbd_options *o = &s->server->options;
    uint64_t still = now_ms > s->active_ms ? now_ms - s->active_ms : 0;
    bool is_stuck = s->stalled_ms && now_ms > s->stalled_ms + o->stall_ms;
    bool is_half = s->in.n > 0 && may_execute(s) && still > o->stall_ms;
    bool is_idle = o->idle_ms && s->gate_count == 0 && s->sent == s->out.n && !s->watching &&
                   !s->is_mirror && still > o->idle_ms;
    if (is_stuck || is_half || is_idle || (s->is_lingering && still > LINGER_MS))
        zdbd_session_close(s);
}
