/* SPDX-License-Identifier: Apache-2.0 — zdb_client.c: the pool, its queue, time and repair.
 *
 * A call is in exactly one place: the queue, a connection's in_flight, or `lost` (its failure is
 * known but not told yet, since callbacks never run inside a user's call). pump() is the only
 * function that moves calls to connections; it runs as a task, so that everything that is sent
 * in one turn of the loop leaves in few writes.
 *
 * Time: one timer, armed for the earliest of all deadlines (calls, logins, pings, the pause before
 * connecting again); deadlines that passed without need cost one look. A call whose time is over
 * is told at once. If its connection has been silent since the call was given to it, that
 * connection is given up, too; else only its reply will be dropped.
 *
 * A connection that was ready and broke, and one that could not be made, both lengthen the pause;
 * an answer to a request, or a connection that lived until a ping is due, ends that. So a server
 * that accepts and drops is not hammered. */
#include "storage/zdb_client/zdb_client.h"

#include "base/clock.h"
#include "base/random.h"
#include "storage/zdb_client/zdb_conn.h"

#include <stdio.h>

#define CONNECTIONS_DEFAULT 2
#define WINDOW_DEFAULT      64
#define QUEUE_DEFAULT       4096
#define TIMEOUT_MS          5000
#define PING_MS             10000
#define BACKOFF_MS          50
#define BACKOFF_MS_MAX      5000
#define BACKOFF_DOUBLINGS   16
#define NEVER               UINT64_MAX

struct zdb_client {
    struct loop *loop;
    struct zdb_client_options o; /* the numbers of it, and nothing else */
    struct zdb_address address;
    char space[ZDB_NAMESPACE_BYTES_MAX + 1];
    char password[ZDB_PASSWORD_BYTES_MAX + 1];
    char admin_password[ZDB_PASSWORD_BYTES_MAX + 1];
    struct zdb_login login; /* views into them */
    struct zdb_conn conns[ZDB_CLIENT_CONNECTIONS_MAX];
    struct zdb_calls queue, lost;
    size_t queue_bytes;
    struct task pump;
    bool pumping; /* the task is posted */
    struct timer timer;
    uint64_t timer_at_ms;
    uint64_t retry_at_ms; /* 0: connect when needed */
    unsigned failures;    /* in a row */
    uint64_t answered, failed, breaks;
    struct err last_error;
    bool closing, ending; /* ending: no task and no timer may be begun any more */
    void (*on_closed)(void *user);
    void *closed_user;
};

static void pump_soon(struct zdb_client *c) {
    if (c->pumping || c->ending) return;
    c->pumping = true;
    loop_post(c->loop, &c->pump);
}

static void wake_at(struct zdb_client *c, uint64_t at_ms) {
    if (at_ms >= c->timer_at_ms || c->ending) return;
    uint64_t now = clock_ms();
    c->timer_at_ms = at_ms;
    timer_arm(c->loop, &c->timer, at_ms > now ? at_ms - now : 0);
}

/* ---- failures ---- */

void zdb_client_blame(const struct zdb_client *c, const char *verb, struct err *e) {
    if (*verb) (void)err_in(e, "%s", verb);
    if (*c->space)
        (void)err_in(e, "0-db server %s, namespace '%s'", c->address.text, c->space);
    else
        (void)err_in(e, "0-db server %s", c->address.text);
}

static void fail_call(struct zdb_client *c, struct zdb_call *call, const struct err *e) {
    struct err named = *e;
    zdb_client_blame(c, call->verb, &named);
    if (!call->told && !call->own) c->failed++;
    zdb_call_tell(call, NULL, &named);
    zdb_call_free(call);
}

static struct zdb_call *queue_pop(struct zdb_client *c) {
    struct zdb_call *call = zdb_calls_pop(&c->queue);
    if (call) c->queue_bytes -= call->bytes_total;
    return call;
}

static void fail_all(struct zdb_client *c, struct zdb_calls *calls, const struct err *e) {
    struct zdb_call *call;
    while ((call = zdb_calls_pop(calls))) fail_call(c, call, e);
}

static unsigned count_state(const struct zdb_client *c, enum zdb_conn_state state) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->o.connections; i++) n += c->conns[i].state == state;
    return n;
}

/* ---- events of connections ---- */

static void on_ready(struct zdb_conn *conn) { pump_soon(conn->owner); }

/* The pause before the next attempt: doubled each time, of which half is left to chance, so that
 * many clients of a server that was restarted do not come back at once. */
static void back_off(struct zdb_client *c) {
    uint64_t ms = c->o.backoff_ms;
    for (unsigned i = 0; i < c->failures && i < BACKOFF_DOUBLINGS && ms < c->o.backoff_ms_max; i++)
        ms *= 2;
    if (ms > c->o.backoff_ms_max) ms = c->o.backoff_ms_max;
    c->failures++;
    c->retry_at_ms = clock_ms() + ms / 2 + random_below(ms / 2 + 1);
    wake_at(c, c->retry_at_ms);
}

/* Sorts what was in flight: again what was not sent at all, and the idempotent ones that may; told
 * are the others. */
static void recover(struct zdb_client *c, struct zdb_calls *calls, const struct err *e) {
    struct zdb_calls again = {.head = NULL};
    struct zdb_call *call;
    struct err doubt = *e;
    (void)err_in(&doubt, "the connection broke before the answer, so it may have taken effect");
    doubt.kind = e->kind == ERR_CORRUPT || e->kind == ERR_LIMIT ? e->kind : ERR_IO;
    while ((call = zdb_calls_pop(calls))) {
        bool again_ok = call->idempotent && call->attempts < ZDB_CLIENT_ATTEMPTS_MAX;
        if (!call->told && !call->own && (call->untouched || again_ok)) {
            call->attempts -= call->untouched;
            call->untouched = false;
            c->queue_bytes += call->bytes_total;
            zdb_calls_push(&again, call);
        } else {
            fail_call(c, call, &doubt);
        }
    }
    zdb_calls_prepend(&c->queue, &again);
}

static void on_broke(struct zdb_conn *conn, struct zdb_calls *calls, const struct err *e) {
    struct zdb_client *c = conn->owner;
    c->breaks++;
    c->last_error = *e;
    back_off(c);
    recover(c, calls, e);
    bool hopeless = !conn->was_ready && count_state(c, ZDB_CONN_READY) == 0;
    struct zdb_call *call;
    while (hopeless && (call = queue_pop(c))) fail_call(c, call, e);
    pump_soon(c);
}

static void on_answered(struct zdb_conn *conn, struct zdb_call *call,
                        const struct zdb_reply *reply) {
    struct zdb_client *c = conn->owner;
    struct err e;
    c->failures = 0;
    c->answered += !call->told;
    if (reply->type == ZDB_REPLY_ERROR) {
        (void)err_set(&e, zdb_error_kind(reply->text), "%.*s",
                      (int)(reply->text.n < 300 ? reply->text.n : 300), reply->text.p);
        zdb_client_blame(c, call->verb, &e);
        zdb_call_tell(call, NULL, &e);
    } else {
        zdb_call_tell(call, reply, NULL);
    }
    zdb_call_free(call);
    if (c->queue.head) pump_soon(c);
}

/* ---- handing out ---- */

static struct zdb_conn *least_loaded(struct zdb_client *c) {
    struct zdb_conn *best = NULL;
    for (unsigned i = 0; i < c->o.connections; i++) {
        struct zdb_conn *conn = &c->conns[i];
        bool fits = conn->state == ZDB_CONN_READY && conn->in_flight.count < c->o.window;
        if (fits && (!best || conn->in_flight.count < best->in_flight.count)) best = conn;
    }
    return best;
}

/* One attempt at a time: when nothing is connected, or when the windows are full. */
static void connect_if_needed(struct zdb_client *c) {
    unsigned ready = count_state(c, ZDB_CONN_READY);
    bool coming = count_state(c, ZDB_CONN_CONNECTING) + count_state(c, ZDB_CONN_LOGIN) > 0;
    if (coming || c->retry_at_ms || (ready && !c->queue.head)) return;
    for (unsigned i = 0; i < c->o.connections; i++) {
        if (c->conns[i].state != ZDB_CONN_DOWN) continue;
        zdb_conn_open(&c->conns[i], &c->address);
        wake_at(c, c->conns[i].login_until_ms);
        return;
    }
}

static void end(struct zdb_client *c) {
    struct err e;
    c->ending = true;
    (void)err_set(&e, ERR_CANCELLED, "the connection was given up before the answer came");
    timer_cancel(&c->timer);
    for (unsigned i = 0; i < c->o.connections; i++) {
        struct zdb_calls calls;
        zdb_conn_close(&c->conns[i], &calls);
        fail_all(c, &calls, &e);
    }
    while (c->queue.head || c->lost.head) { /* what callbacks send now ends likewise */
        struct zdb_call *call = zdb_calls_pop(&c->lost);
        if (call) fail_call(c, call, &call->error);
        fail_all(c, &c->queue, &e);
    }
    void (*on_closed)(void *) = c->on_closed;
    void *user = c->closed_user;
    explicit_bzero(c, sizeof *c); /* passwords */
    free(c);
    if (on_closed) on_closed(user);
}

static void pump(struct task *t) {
    struct zdb_client *c = CONTAINER_OF(t, struct zdb_client, pump);
    struct zdb_conn *conn;
    struct zdb_calls lost = c->lost;
    struct zdb_call *call;
    c->pumping = false;
    if (c->closing) {
        end(c);
        return;
    }
    c->lost = (struct zdb_calls){.head = NULL};
    while ((call = zdb_calls_pop(&lost))) fail_call(c, call, &call->error);
    while (c->queue.head && (conn = least_loaded(c))) {
        call = queue_pop(c);
        call->attempts++;
        zdb_conn_give(conn, call);
    }
    for (unsigned i = 0; i < c->o.connections; i++)
        if (c->conns[i].unsent && c->conns[i].state == ZDB_CONN_READY) zdb_conn_flush(&c->conns[i]);
    connect_if_needed(c);
    for (unsigned i = 0; i < c->o.connections; i++)
        if (c->conns[i].state == ZDB_CONN_READY) wake_at(c, c->conns[i].heard_ms + c->o.ping_ms);
}

/* ---- time ---- */

static void expire(struct zdb_client *c, struct zdb_call *call, struct err *e) {
    struct err named;
    unsigned ready = count_state(c, ZDB_CONN_READY);
    if (ready || c->last_error.kind == ERR_NONE)
        (void)err_set(e, ERR_TIMEOUT, "no answer in time");
    else
        (void)err_set(e, ERR_TIMEOUT, "no connection in time; the last attempt: %s",
                      c->last_error.msg);
    named = *e;
    zdb_client_blame(c, call->verb, &named);
    if (!call->told && !call->own) c->failed++;
    zdb_call_tell(call, NULL, &named);
}

/* Tells what is overdue in the queue; the earliest deadline that is left. */
static uint64_t expire_queue(struct zdb_client *c, uint64_t now) {
    struct zdb_calls kept = {.head = NULL};
    struct zdb_calls late = {.head = NULL};
    struct zdb_call *call;
    struct err e;
    uint64_t next = NEVER;
    while ((call = zdb_calls_pop(&c->queue))) {
        zdb_calls_push(call->deadline_ms <= now ? &late : &kept, call);
        if (call->deadline_ms > now && call->deadline_ms < next) next = call->deadline_ms;
        if (call->deadline_ms <= now) c->queue_bytes -= call->bytes_total;
    }
    c->queue = kept;
    while ((call = zdb_calls_pop(&late))) { /* only now: a callback may send */
        expire(c, call, &e);
        zdb_call_free(call);
    }
    return next;
}

/* The same for what is in flight. *out_stalled: the connection said nothing for a whole timeout. */
static uint64_t expire_in_flight(struct zdb_client *c, struct zdb_conn *conn, uint64_t now,
                                 bool *out_stalled) {
    uint64_t next = NEVER;
    struct err e;
    *out_stalled = false;
    for (struct zdb_call *k = conn->in_flight.head; k; k = k->next) {
        if (k->deadline_ms > now) {
            if (k->deadline_ms < next) next = k->deadline_ms;
            continue;
        }
        if (k->told) continue;
        if (conn->heard == k->heard_before) *out_stalled = true;
        expire(c, k, &e);
    }
    return next;
}

static uint64_t look_at_conn(struct zdb_client *c, struct zdb_conn *conn, uint64_t now) {
    struct err e;
    bool stalled = false;
    if (conn->state == ZDB_CONN_DOWN) return NEVER;
    if (conn->state != ZDB_CONN_READY) {
        if (now < conn->login_until_ms) return conn->login_until_ms;
        (void)err_set(&e, ERR_TIMEOUT, "%s: no answer in %llu ms",
                      conn->state == ZDB_CONN_CONNECTING ? "connect" : "log in",
                      (unsigned long long)c->o.timeout_ms);
        zdb_conn_break(conn, &e);
        return NEVER;
    }
    uint64_t next = expire_in_flight(c, conn, now, &stalled);
    if (stalled) {
        (void)err_set(&e, ERR_IO, "the server has stopped answering");
        zdb_conn_break(conn, &e);
        return NEVER;
    }
    uint64_t ping_at = conn->heard_ms + c->o.ping_ms;
    if (now >= ping_at && conn->in_flight.count == 0) {
        c->failures = 0;
        zdb_conn_ping(conn, now + c->o.timeout_ms);
        return now + c->o.timeout_ms;
    }
    if (ping_at <= now) ping_at = now + c->o.ping_ms;
    return next < ping_at ? next : ping_at;
}

static void look(struct timer *t) {
    struct zdb_client *c = CONTAINER_OF(t, struct zdb_client, timer);
    uint64_t now = clock_ms();
    c->timer_at_ms = NEVER;
    uint64_t next = expire_queue(c, now);
    for (unsigned i = 0; i < c->o.connections; i++) {
        uint64_t at = look_at_conn(c, &c->conns[i], now);
        if (at < next) next = at;
    }
    if (c->retry_at_ms && now >= c->retry_at_ms) {
        c->retry_at_ms = 0;
        pump_soon(c);
    } else if (c->retry_at_ms && c->retry_at_ms < next) {
        next = c->retry_at_ms;
    }
    if (next != NEVER) wake_at(c, next);
}

/* ---- the outside ---- */

static int copy_text(struct str from, const char *what, char *out, size_t max, struct err *e) {
    if (from.n > max || (from.n && memchr(from.p, '\0', from.n)))
        return err_set(e, ERR_INVALID, "%s has at most %zu bytes and none that is NUL", what, max);
    if (from.n) memcpy(out, from.p, from.n);
    out[from.n] = '\0';
    return 0;
}

static void fill_defaults(struct zdb_client_options *o) {
    if (!o->connections) o->connections = CONNECTIONS_DEFAULT;
    if (!o->window) o->window = WINDOW_DEFAULT;
    if (!o->queue_max) o->queue_max = QUEUE_DEFAULT;
    if (!o->timeout_ms) o->timeout_ms = TIMEOUT_MS;
    if (!o->ping_ms) o->ping_ms = PING_MS;
    if (!o->backoff_ms) o->backoff_ms = BACKOFF_MS;
    if (!o->backoff_ms_max) o->backoff_ms_max = BACKOFF_MS_MAX;
}

static int take_options(struct zdb_client *c, const struct zdb_client_options *o, struct err *e) {
    if (zdb_address_parse(o->address, &c->address, e) < 0) return -1;
    if (copy_text(o->space, "a namespace's name", c->space, sizeof c->space - 1, e) < 0) return -1;
    if (copy_text(o->password, "a password", c->password, sizeof c->password - 1, e) < 0) return -1;
    if (copy_text(o->admin_password, "a password", c->admin_password, sizeof c->admin_password - 1,
                  e) < 0)
        return -1;
    if (o->connections > ZDB_CLIENT_CONNECTIONS_MAX || o->window > ZDB_CLIENT_WINDOW_MAX ||
        o->queue_max > ZDB_CLIENT_QUEUE_MAX)
        return err_set(e, ERR_INVALID,
                       "a client has at most %d connections, %d requests in flight on each and %d "
                       "waiting",
                       ZDB_CLIENT_CONNECTIONS_MAX, ZDB_CLIENT_WINDOW_MAX, ZDB_CLIENT_QUEUE_MAX);
    c->o = *o;
    c->o.address = c->o.space = c->o.password = c->o.admin_password = STR_NONE; /* borrowed */
    fill_defaults(&c->o);
    return 0;
}

int zdb_client_new(struct loop *l, const struct zdb_client_options *o, struct zdb_client **out,
                   struct err *e) {
    static const struct zdb_conn_events events = {on_ready, on_broke, on_answered};
    AUTO_FREE struct zdb_client *c = xnew(struct zdb_client);
    if (take_options(c, o, e) < 0) return -1;
    c->loop = l;
    c->login = (struct zdb_login){.space = c->space,
                                  .password = c->password,
                                  .admin_password = c->admin_password,
                                  .timeout_ms = c->o.timeout_ms};
    c->pump.run = pump;
    c->timer.fire = look;
    c->timer_at_ms = NEVER;
    for (unsigned i = 0; i < c->o.connections; i++) {
        zdb_conn_init(&c->conns[i], l, &events);
        c->conns[i].login = &c->login;
        c->conns[i].owner = c;
    }
    pump_soon(c);
    *out = STEAL(c);
    return 0;
}

void zdb_client_close(struct zdb_client *c, void (*on_closed)(void *user), void *user) {
    if (!c) return;
    c->closing = true;
    c->on_closed = on_closed;
    c->closed_user = user;
    pump_soon(c);
}

void zdb_client_send(struct zdb_client *c, const struct zdb_request *r) {
    struct err e;
    struct zdb_call *call = zdb_call_new(r->args, r->count, &e);
    bool good = call != NULL;
    if (!good) call = xnew(struct zdb_call);
    call->done = r->done;
    call->user = r->user;
    call->idempotent = r->idempotent;
    call->deadline_ms = clock_ms() + (r->timeout_ms ? r->timeout_ms : c->o.timeout_ms);
    if (good && (c->queue.count >= c->o.queue_max ||
                 call->bytes_total > ZDB_CLIENT_QUEUE_BYTES_MAX - c->queue_bytes)) {
        good = false;
        (void)err_set(&e, ERR_LIMIT,
                      "%zu requests with %zu bytes wait already: the server is too slow for this",
                      c->queue.count, c->queue_bytes);
    }
    if (good) {
        c->queue_bytes += call->bytes_total;
        zdb_calls_push(&c->queue, call);
        wake_at(c, call->deadline_ms);
    } else {
        call->error = e;
        zdb_calls_push(&c->lost, call);
    }
    pump_soon(c);
}

void zdb_client_state(const struct zdb_client *c, struct zdb_client_state *out) {
    struct zdb_client_state s = {.queued = c->queue.count,
                                 .answered = c->answered,
                                 .failed = c->failed,
                                 .breaks = c->breaks,
                                 .last_error = c->last_error};
    s.connected = count_state(c, ZDB_CONN_READY);
    s.connecting = count_state(c, ZDB_CONN_CONNECTING) + count_state(c, ZDB_CONN_LOGIN);
    for (unsigned i = 0; i < c->o.connections; i++) s.in_flight += c->conns[i].in_flight.count;
    *out = s;
}
