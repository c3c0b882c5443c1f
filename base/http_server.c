/* SPDX-License-Identifier: Apache-2.0 — http_server.c: what the connections of a server share.
 *
 * Time: one timer for all. While there are connections it ticks at a quarter of the shortest limit,
 * a second at most, and looks at each connection's deadline: a request costs no timer, and a limit
 * is passed by a quarter of itself at most.
 *
 * Memory: a connection between two requests holds no buffers. A call with its buffers is taken from
 * the spares (the last used first, so that its memory is warm) when the first byte of a request
 * comes. Buffers are never cleared, so the kernel gives pages only for what was used.
 *
 * The end: stop and free both break connections; the last connection that goes tells the waiter
 * and, when the owner has let go, frees the server (http_server_settle). Tasks that are posted keep
 * it too. */
#include "base/http_conn.h"

#include "base/clock.h"
#include "base/random.h"

#include <assert.h>

#define TICK_MS_MIN 10
#define TICK_MS_MAX 1000
#define NS_PER_S    1000000000

static void set_default(uint32_t *limit, uint32_t value) {
    if (*limit == 0) *limit = value;
}

static void set_defaults(struct http_limits *l) {
    set_default(&l->connections_max, 10000);
    set_default(&l->connections_per_address_max, 10000);
    set_default(&l->head_ms, 10000);
    set_default(&l->idle_ms, 75000);
    set_default(&l->body_window_ms, 20000);
    set_default(&l->body_bytes_per_s_min, 512);
    set_default(&l->write_window_ms, 30000);
    set_default(&l->write_bytes_per_s_min, 512);
    set_default(&l->linger_ms, 2000);
}

static uint32_t tick_of(const struct http_limits *l) {
    const uint32_t limits[] = {l->head_ms, l->idle_ms, l->body_window_ms, l->write_window_ms,
                               l->linger_ms};
    uint32_t shortest = 4 * TICK_MS_MAX;
    for (size_t i = 0; i < COUNT(limits); i++)
        if (limits[i] < shortest) shortest = limits[i];
    return shortest / 4 > TICK_MS_MIN ? shortest / 4 : TICK_MS_MIN;
}

/* ---- calls ---- */

struct http_call *http_server_take_call(struct http_server *s) {
    struct http_call *c = s->spares;
    if (c) {
        s->spares = c->next_spare;
        s->spare_count--;
    } else {
        c = xrealloc(NULL, sizeof *c); /* not cleared: most of it is never used */
    }
    s->counts.calls++;
    return c;
}

void http_server_give_call(struct http_server *s, struct http_call *c) {
    s->counts.calls--;
    c->conn = NULL;
    if (s->spare_count == HTTP_SPARE_CALLS_MAX) {
        free(c);
        return;
    }
    c->next_spare = s->spares;
    s->spares = c;
    s->spare_count++;
}

struct str http_server_date(struct http_server *s, int64_t wall_ns) {
    int64_t now_s = wall_ns / NS_PER_S;
    if (now_s != s->date_s) (void)http_date(now_s, s->date);
    s->date_s = now_s;
    return str_make(s->date, HTTP_DATE_CHARS);
}

/* ---- wake-ups ---- */

static void run_wakes(struct task *t) {
    struct http_server *s = CONTAINER_OF(t, struct http_server, wake_task);
    s->wake_posted = false;
    s->handshakes_left = HTTP_HANDSHAKES_PER_TURN;
    /* Those that want to be woken again wait for the next round. */
    struct http_ring round;
    http_ring_init(&round);
    while (!http_ring_alone(&s->wakes)) {
        struct http_ring *r = s->wakes.next;
        http_ring_leave(r);
        http_ring_join(&round, r);
    }
    s->pump_depth++;
    while (!http_ring_alone(&round)) {
        struct http_conn *conn = CONTAINER_OF(round.next, struct http_conn, wake);
        http_ring_leave(&conn->wake);
        http_conn_pump(conn);
    }
    s->pump_depth--;
    http_server_settle(s);
}

void http_server_wake(struct http_server *s, struct http_conn *conn) {
    if (!http_ring_alone(&conn->wake)) return;
    http_ring_join(&s->wakes, &conn->wake);
    if (s->wake_posted) return;
    s->wake_posted = true;
    s->wake_task.run = run_wakes;
    loop_post(s->loop, &s->wake_task);
}

/* ---- time ---- */

static void ticked(struct timer *t) {
    struct http_server *s = CONTAINER_OF(t, struct http_server, tick);
    uint64_t now = clock_ms();
    s->tick_armed = false;
    s->pump_depth++;
    for (struct http_ring *r = s->all.next, *next; r != &s->all; r = next) {
        next = r->next;
        struct http_conn *conn = CONTAINER_OF(r, struct http_conn, all);
        if (conn->deadline_ms && now >= conn->deadline_ms) http_conn_late(conn);
    }
    s->pump_depth--;
    if (s->counts.connections > 0) http_server_start_clock(s);
    http_server_settle(s);
}

void http_server_start_clock(struct http_server *s) {
    if (s->tick_armed || s->freed) return;
    s->tick_armed = true;
    timer_arm(s->loop, &s->tick, s->tick_ms);
}

/* ---- the end ---- */

static void stopped(struct task *t) {
    struct http_server *s = CONTAINER_OF(t, struct http_server, stop_task);
    s->stop_posted = false;
    void (*done)(void *) = s->stop_done;
    s->stop_done = NULL;
    s->pump_depth++; /* done may free the server */
    if (done) done(s->stop_user);
    s->pump_depth--;
    http_server_settle(s);
}

static void tell_stopped(struct http_server *s) {
    if (!s->stop_done || s->stop_posted) return;
    timer_cancel(&s->grace);
    s->stop_posted = true;
    s->stop_task.run = stopped;
    loop_post(s->loop, &s->stop_task);
}

void http_server_settle(struct http_server *s) {
    if (s->counts.connections > 0) return;
    if (s->stopping) tell_stopped(s);
    if (!s->freed || s->pump_depth > 0 || s->wake_posted || s->stop_posted) return;
    for (struct http_call *c = s->spares, *next; c; c = next) {
        next = c->next_spare;
        free(c);
    }
    http_blocks_done(&s->blocks);
    free(s);
}

static void for_each_conn(struct http_server *s, void (*f)(struct http_conn *conn)) {
    s->pump_depth++;
    for (struct http_ring *r = s->all.next, *next; r != &s->all; r = next) {
        next = r->next;
        f(CONTAINER_OF(r, struct http_conn, all));
    }
    s->pump_depth--;
}

static void close_listeners(struct http_server *s) {
    for (size_t i = 0; i < s->listener_count; i++) http_listener_close(&s->listeners[i]);
}

static void grace_over(struct timer *t) {
    struct http_server *s = CONTAINER_OF(t, struct http_server, grace);
    for_each_conn(s, http_conn_break);
    tell_stopped(s);
    http_server_settle(s);
}

void http_server_stop(struct http_server *s, uint64_t grace_ms, void (*done)(void *user),
                      void *user) {
    assert(!s->stopping);
    s->stopping = true;
    s->stop_done = done;
    s->stop_user = user;
    close_listeners(s);
    s->grace.fire = grace_over;
    timer_arm(s->loop, &s->grace, grace_ms);
    for_each_conn(s, http_conn_stop);
    http_server_settle(s);
}

void http_server_free(struct http_server *s) {
    if (!s) return;
    s->freed = true;
    s->stop_done = NULL;
    close_listeners(s);
    timer_cancel(&s->tick);
    timer_cancel(&s->grace);
    for_each_conn(s, http_conn_break);
    http_server_settle(s);
}

void http_server_counts(const struct http_server *s, struct http_counts *out) { *out = s->counts; }

struct http_server *http_server_new(struct loop *l, const struct http_options *o) {
    struct http_server *s = xnew(struct http_server);
    s->loop = l;
    s->options = *o;
    set_defaults(&s->options.limits);
    s->tick_ms = tick_of(&s->options.limits);
    s->tick.fire = ticked;
    s->date_s = -1;
    random_bytes(&s->id_base, sizeof s->id_base);
    http_sources_init(&s->sources);
    http_ring_init(&s->all);
    http_ring_init(&s->wakes);
    return s;
}
