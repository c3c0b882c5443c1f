/* SPDX-License-Identifier: Apache-2.0 — zdb_conn.c: one connection.
 *
 * DOWN -> CONNECTING -> LOGIN -> READY -> DOWN. A failure in any state is zdb_conn_break(), which
 * frees everything of the connection, hands its calls back and says why; it is called from the
 * loop's callbacks only, so that no callback of a user runs inside a user's call.
 *
 * Calls stay in `in_flight` from their handing over until their reply: RESP has no ids, the n-th
 * reply is for the n-th command. A call whose time is over stays there, told, until its reply came.
 * Commands are written straight from the calls, many in one sendmsg().
 *
 * Login: with an admin password, and with a namespace's password, the server is asked for a
 * challenge, so that the password does not cross the wire; a server that has no challenges gets it
 * in plain, as 0-db's own clients send it. The steps are calls like others, told to login_answer().
 */
#include "storage/zdb_client/zdb_conn.h"

#include "base/clock.h"
#include "base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define READS_AT_ONCE 16 /* of ZDB_REPLY_FEED_MAX: a fast server must not keep the loop */
#define PARTS_MAX     64 /* commands in one sendmsg() */
#define PROOF_BYTES   (64 + ZDB_PASSWORD_BYTES_MAX + 2)

enum step { ADMIN_CHALLENGE, ADMIN, SPACE_CHALLENGE, SPACE, LOGGED_IN };

static char read_buffer[ZDB_REPLY_FEED_MAX]; /* of the loop thread; holds nothing between calls */

static void conn_ready(struct watch *w, int events);

void zdb_conn_init(struct zdb_conn *c, struct loop *l, const struct zdb_conn_events *events) {
    *c = (struct zdb_conn){.loop = l, .events = events, .fd = -1};
    c->watch.ready = conn_ready;
}

void zdb_conn_close(struct zdb_conn *c, struct zdb_calls *out) {
    zdb_connect_cancel(STEAL(c->connect));
    watch_stop(&c->watch);
    if (c->fd >= 0) (void)close(STEAL_FD(c->fd));
    zdb_resp_free(STEAL(c->resp));
    struct zdb_call *untouched = c->unsent && c->sent ? c->unsent->next : c->unsent;
    for (struct zdb_call *k = untouched; k; k = k->next) k->untouched = true;
    *out = c->in_flight;
    c->in_flight = (struct zdb_calls){.head = NULL};
    c->unsent = NULL;
    c->sent = 0;
    c->pinging = false;
    c->state = ZDB_CONN_DOWN;
}

void zdb_conn_break(struct zdb_conn *c, const struct err *e) {
    struct zdb_calls calls;
    struct err copy = *e;
    zdb_conn_close(c, &calls);
    c->events->broke(c, &calls, &copy);
}

/* ---- sending ---- */

static void watch_for(struct zdb_conn *c) {
    int events = WATCH_READ | (c->unsent ? WATCH_WRITE : 0);
    if (watch_start(c->loop, &c->watch, c->fd, events) < 0) (void)shutdown(c->fd, SHUT_RDWR);
}

/* n bytes have left. */
static void advance(struct zdb_conn *c, size_t n) {
    while (n && c->unsent) {
        struct zdb_call *call = c->unsent;
        size_t left = call->bytes_total - c->sent;
        size_t part = n < left ? n : left;
        c->sent += part;
        n -= part;
        if (part < left) return;
        if (!call->idempotent) buf_done(&call->bytes);
        c->unsent = call->next;
        c->sent = 0;
    }
}

void zdb_conn_flush(struct zdb_conn *c) {
    while (c->unsent) {
        struct iovec parts[PARTS_MAX];
        struct msghdr m = {.msg_iov = parts};
        size_t skip = c->sent;
        for (struct zdb_call *k = c->unsent; k && m.msg_iovlen < PARTS_MAX; k = k->next) {
            parts[m.msg_iovlen++] = (struct iovec){k->bytes.p + skip, k->bytes_total - skip};
            skip = 0;
        }
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) (void)shutdown(c->fd, SHUT_RDWR); /* reading tells */
        if (n < 0) break;
        advance(c, (size_t)n);
    }
    watch_for(c);
}

void zdb_conn_give(struct zdb_conn *c, struct zdb_call *call) {
    call->heard_before = c->heard;
    zdb_calls_push(&c->in_flight, call);
    if (!c->unsent) c->unsent = call;
}

/* A command of our own; false when it could not be made, which no input of ours leads to. */
static void give_own(struct zdb_conn *c, const struct str *args, size_t count,
                     zdb_client_done *done) {
    struct err e;
    struct zdb_call *call = zdb_call_new(args, count, &e);
    if (!call) abort(); /* passwords and names are limited far below a command's limit */
    call->deadline_ms = UINT64_MAX; /* the login as a whole has one */
    call->own = true;
    call->done = done;
    call->user = c;
    zdb_conn_give(c, call);
}

/* ---- login ---- */

static void login_answer(void *user, const struct zdb_reply *reply, const struct err *e);

static void login_send(struct zdb_conn *c, const struct str *args, size_t count) {
    give_own(c, args, count, login_answer);
    zdb_conn_flush(c);
}

/* Sends the step's command, going past steps that are not needed. */
static void login_step(struct zdb_conn *c) {
    const struct str challenge[] = {STR("AUTH"), STR("SECURE"), STR("CHALLENGE")};
    const struct str select[] = {STR("SELECT"), str_of(c->login->space)};
    if (c->step == ADMIN_CHALLENGE && !*c->login->admin_password) c->step = SPACE_CHALLENGE;
    if (c->step == SPACE_CHALLENGE && !*c->login->password) c->step = SPACE;
    if (c->step == SPACE && !*c->login->space) c->step = LOGGED_IN;
    if (c->step == LOGGED_IN) {
        c->state = ZDB_CONN_READY;
        c->was_ready = true;
        c->events->ready(c);
    } else if (c->step == SPACE) {
        login_send(c, select, COUNT(select)); /* without password */
    } else {
        login_send(c, challenge, COUNT(challenge));
    }
}

/* The step after a challenge; challenge empty: the server has none. */
static void login_prove(struct zdb_conn *c, struct str challenge) {
    bool admin = c->step == ADMIN_CHALLENGE;
    const char *password = admin ? c->login->admin_password : c->login->password;
    char proof[PROOF_BYTES];
    char hex[DIGEST_SHA1_HEX_CHARS + 1];
    struct str args[4];
    size_t n = 0;
    args[n++] = admin ? STR("AUTH") : STR("SELECT");
    if (!admin) args[n++] = str_of(c->login->space);
    if (challenge.n) args[n++] = STR("SECURE");
    int bytes = snprintf(proof, sizeof proof, "%.*s:%s", STR_ARG(challenge), password);
    args[n++] = challenge.n ? str_of(digest_sha1_hex(str_make(proof, (size_t)bytes), hex))
                            : str_of(password);
    c->step++;
    login_send(c, args, n);
}

static void login_answer(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct zdb_conn *c = user;
    struct err failed;
    if (!reply) return; /* the connection broke: its client knows */
    (void)e;
    bool ok = reply->type == ZDB_REPLY_STATUS || reply->type == ZDB_REPLY_BULK;
    bool asked = c->step == ADMIN_CHALLENGE || c->step == SPACE_CHALLENGE;
    bool open_server = reply->type == ZDB_REPLY_ERROR && str_contains(reply->text, STR("disabled"));
    if (asked && ok && reply->text.n > 0 && reply->text.n <= 64) {
        login_prove(c, reply->text);
    } else if (asked && reply->type == ZDB_REPLY_ERROR) {
        login_prove(c, STR_NONE);
    } else if (!asked && (ok || (c->step == ADMIN && open_server))) {
        c->step++;
        login_step(c); /* "Authentication disabled": everybody is admin there */
    } else if (reply->type == ZDB_REPLY_ERROR) {
        (void)err_set(&failed, zdb_error_kind(reply->text), "%s: %.*s",
                      c->step == ADMIN ? "log in as admin" : "select the namespace",
                      (int)(reply->text.n < 200 ? reply->text.n : 200), reply->text.p);
        zdb_conn_break(c, &failed);
    } else {
        (void)err_set(&failed, ERR_CORRUPT, "log in: the server answered with %s: it is no 0-db",
                      zdb_reply_type_name(reply->type));
        zdb_conn_break(c, &failed);
    }
}

static void connected(void *user, int fd, const struct err *e) {
    struct zdb_conn *c = user;
    c->connect = NULL;
    if (e) {
        zdb_conn_break(c, e);
        return;
    }
    c->fd = fd;
    c->resp = zdb_resp_new();
    c->state = ZDB_CONN_LOGIN;
    c->heard_ms = clock_ms();
    c->step = ADMIN_CHALLENGE;
    watch_for(c);
    login_step(c);
}

void zdb_conn_open(struct zdb_conn *c, const struct zdb_address *address) {
    c->state = ZDB_CONN_CONNECTING;
    c->was_ready = false;
    c->login_until_ms = clock_ms() + c->login->timeout_ms;
    c->connect = zdb_connect_start(c->loop, address, connected, c);
}

/* ---- receiving ---- */

static void ponged(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct zdb_conn *c = user;
    (void)reply;
    (void)e;
    c->pinging = false;
}

void zdb_conn_ping(struct zdb_conn *c, uint64_t deadline_ms) {
    const struct str ping = STR("PING");
    c->pinging = true;
    give_own(c, &ping, 1, ponged);
    c->in_flight.tail->deadline_ms = deadline_ms;
    zdb_conn_flush(c);
}

/* One reply, for the oldest call. */
static void take_reply(struct zdb_conn *c, const struct zdb_reply *reply) {
    struct err e;
    if (!c->in_flight.head || (c->in_flight.head == c->unsent && c->sent == 0)) {
        (void)err_set(&e, ERR_CORRUPT, "the server sent %s that nobody asked for: it is no 0-db",
                      zdb_reply_type_name(reply->type));
        zdb_conn_break(c, &e);
        return;
    }
    struct zdb_call *call = zdb_calls_pop(&c->in_flight);
    bool early = call == c->unsent; /* refused while it was being sent: it cannot be sent on */
    if (early) {
        c->unsent = c->in_flight.head;
        c->sent = 0;
    }
    if (!call->own) {
        c->events->answered(c, call, reply);
    } else {
        zdb_call_tell(call, reply, NULL);
        zdb_call_free(call);
    }
    if (!early) return;
    (void)err_set(&e, ERR_IO, "the server answered before it had the whole command");
    zdb_conn_break(c, &e);
}

/* Hands over every whole reply; false when the connection is down. */
static bool take_replies(struct zdb_conn *c) {
    struct zdb_reply *reply = NULL;
    struct err e;
    int next = 0;
    while (c->state != ZDB_CONN_DOWN && (next = zdb_resp_next(c->resp, &reply, &e)) > 0) {
        take_reply(c, reply);
        zdb_reply_free(reply);
    }
    if (c->state != ZDB_CONN_DOWN && next < 0) zdb_conn_break(c, &e);
    return c->state != ZDB_CONN_DOWN;
}

/* Reads once; 1: more may be there, 0: no more now, -1: the connection is down. */
static int receive(struct zdb_conn *c) {
    struct err e;
    ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) {
        if (n < 0)
            (void)err_sys(&e, errno, "receive");
        else
            (void)err_set(&e, ERR_IO, "the server closed the connection");
        zdb_conn_break(c, &e);
        return -1;
    }
    c->heard++;
    c->heard_ms = clock_ms();
    if (zdb_resp_feed(c->resp, str_make(read_buffer, (size_t)n), &e) < 0) {
        zdb_conn_break(c, &e);
        return -1;
    }
    if (!take_replies(c)) return -1;
    return n == (ssize_t)sizeof read_buffer;
}

static void conn_ready(struct watch *w, int events) {
    struct zdb_conn *c = CONTAINER_OF(w, struct zdb_conn, watch);
    int more = events & WATCH_READ ? 1 : 0;
    if (events & WATCH_WRITE) zdb_conn_flush(c);
    for (int i = 0; i < READS_AT_ONCE && more > 0; i++) more = receive(c);
}
