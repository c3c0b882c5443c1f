/* SPDX-License-Identifier: Apache-2.0 — http_rig.h: a server whose paths do one thing each, and
 * clients of raw bytes on the same thread.
 *
 * For tests only, hence all static. Clients never block: whoever waits for something turns the loop
 * until it is there. ctest's time limit ends a wait that is in vain. */
#pragma once

#include "base/buf.h"
#include "base/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define RIG_BODY_BYTES     (256U << 10)
#define RIG_BIG_PIECES     256U
#define RIG_FILE_BYTES     (3U << 20)
#define RIG_CLIENTS_MAX    32
#define RIG_PATTERN_PERIOD 65521U

struct rig;
struct rig_call;
struct client {
    struct rig *rig;
    int fd;
    bool end, reset; /* of what the server sends */
    struct buf in;
    char head[2048];
    uint64_t pattern_at, pattern_left; /* still to be sent */
};

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct http_options options;
    uint16_t port;
    char folder[64], path[96];
    int file_fd;
    struct timer turn;
    struct client clients[RIG_CLIENTS_MAX];
    size_t client_count;
    /* what handlers saw */
    int requests, dones, errors, pieces, waiting, stops;
    uint64_t received;
    bool pattern_ok;
    char trailer[32];
    struct http_call *waiting_call;
    struct rig_call *waiting_user;
    struct err last_error;
    /* of the last access */
    unsigned access_status;
    uint64_t access_sent;
    bool access_refused;
    char access_peer[HTTP_PEER_CHARS], access_id[HTTP_CALL_ID_CHARS + 1];
};

struct rig_call { /* owned by the call, freed in on_done */
    struct rig *rig;
    char *buffer; /* RIG_BODY_BYTES */
    size_t n;
    unsigned piece;
    bool echo, held, trickle;
};

/* RIG_BODY_BYTES of the pattern that begins at `at`, or fewer. */
static UNUSED const char *rig_pattern(uint64_t at) {
    static char bytes[RIG_PATTERN_PERIOD + RIG_BODY_BYTES];
    if (!bytes[1])
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)(i % RIG_PATTERN_PERIOD * 7 + i % RIG_PATTERN_PERIOD / 255 + 1);
    return bytes + at % RIG_PATTERN_PERIOD;
}

/* ---- handlers ---- */

static const struct http_field rig_type = {STR("Content-Type"), STR("text/plain")};
static const struct http_answer rig_ok = {.status = 200, .fields = &rig_type, .field_count = 1};

static UNUSED void rig_read_on(struct rig_call *rc, struct http_call *c) {
    size_t room = rc->trickle ? 1 : RIG_BODY_BYTES - rc->n;
    http_call_read(c, rc->buffer + rc->n, rc->trickle ? 1 : room, room);
}

static UNUSED void rig_on_body(void *user, struct http_call *c, size_t n, bool end) {
    struct rig_call *rc = user;
    struct rig *r = rc->rig;
    if (!rc->trickle && memcmp(rc->buffer + rc->n, rig_pattern(r->received), n) != 0)
        r->pattern_ok = false;
    r->received += n;
    if (rc->echo) rc->n += n;
    if (end) {
        struct str t = http_call_trailer(c, STR("X-T"));
        (void)snprintf(r->trailer, sizeof r->trailer, "%.*s", STR_ARG(t));
        http_call_reply(c, &rig_ok, rc->echo ? str_make(rc->buffer, rc->n) : STR("done"));
    } else if (rc->held) {
        rc->held = false;
        r->waiting_user = rc;
        r->waiting_call = c;
        r->waiting = 1;
    } else {
        rig_read_on(rc, c);
    }
}

static UNUSED void rig_on_more(void *user, struct http_call *c) {
    static const struct str words[] = {STR("one"), STR("two"), STR("three")};
    struct rig_call *rc = user;
    rc->rig->pieces++;
    unsigned i = rc->piece++;
    if (rc->n) {
        enum http_piece which = rc->piece == RIG_BIG_PIECES ? HTTP_LAST_PIECE : HTTP_PIECE;
        http_call_send(c, str_make(rig_pattern((uint64_t)i * RIG_BODY_BYTES), RIG_BODY_BYTES),
                       which);
    } else {
        http_call_send(c, i < COUNT(words) ? words[i] : STR(""),
                       i < COUNT(words) ? HTTP_PIECE : HTTP_LAST_PIECE);
    }
}

static UNUSED void rig_on_done(void *user, struct http_call *c, const struct err *e) {
    (void)c;
    struct rig_call *rc = user;
    rc->rig->dones++;
    if (e) {
        rc->rig->errors++;
        rc->rig->last_error = *e;
    }
    free(rc->buffer);
    free(rc);
}

static const struct http_handler rig_handler = {rig_on_body, rig_on_more, rig_on_done};

static UNUSED void rig_route_body(struct rig_call *rc, struct http_call *c, struct str path) {
    rc->buffer = xmalloc(RIG_BODY_BYTES);
    rc->echo = str_eq(path, STR("/echo"));
    rc->held = str_eq(path, STR("/slow"));
    rc->trickle = str_eq(path, STR("/trickle"));
    rig_read_on(rc, c);
}

static UNUSED void rig_route(struct rig_call *rc, struct http_call *c, struct str path) {
    struct rig *r = rc->rig;
    if (str_eq(path, STR("/hello"))) {
        http_call_reply(c, &rig_ok, STR("hello"));
    } else if (str_eq(path, STR("/later"))) {
        r->waiting_call = c;
        r->waiting = 1;
    } else if (str_eq(path, STR("/pieces"))) {
        http_call_reply_pieces(c, &rig_ok, HTTP_LENGTH_UNKNOWN);
    } else if (str_eq(path, STR("/big"))) {
        rc->n = 1;
        http_call_reply_pieces(c, &rig_ok, (uint64_t)RIG_BIG_PIECES * RIG_BODY_BYTES);
    } else if (str_eq(path, STR("/file"))) {
        http_call_reply_file(c, &rig_ok, (struct http_range){r->file_fd, 0, RIG_FILE_BYTES});
    } else if (str_eq(path, STR("/file-short"))) {
        http_call_reply_file(c, &rig_ok, (struct http_range){r->file_fd, 1, RIG_FILE_BYTES});
    } else if (str_eq(path, STR("/range"))) {
        const struct http_field range = {STR("Content-Range"), STR("bytes 65536-131071/3145728")};
        http_call_reply_file(c, &(struct http_answer){206, &range, 1, false},
                             (struct http_range){r->file_fd, 65536, 65536});
    } else if (str_eq(path, STR("/none"))) {
        http_call_reply(c, &(struct http_answer){.status = 204}, STR(""));
    } else if (str_eq(path, STR("/inject"))) {
        const struct http_field bad = {STR("Location"), STR("/\r\nSet-Cookie: a=b")};
        http_call_reply(c, &(struct http_answer){302, &bad, 1, false}, STR("moved"));
    } else if (str_eq(path, STR("/fail"))) {
        struct err e = {0};
        (void)err_set(&e, ERR_IO, "the disk is gone");
        http_call_fail(c, &e);
    } else {
        rig_route_body(rc, c, path);
    }
}

static UNUSED void rig_on_request(void *user, struct http_call *c) {
    struct rig *r = user;
    r->requests++;
    struct rig_call *rc = xnew(struct rig_call);
    rc->rig = r;
    http_call_handle(c, &rig_handler, rc);
    rig_route(rc, c, http_call_head(c)->uri.path);
}

static UNUSED void rig_on_access(void *user, const struct http_access *a) {
    struct rig *r = user;
    r->access_status = a->status;
    r->access_sent = a->sent_bytes;
    r->access_refused = a->head == NULL;
    (void)snprintf(r->access_peer, sizeof r->access_peer, "%s", a->peer);
    (void)snprintf(r->access_id, sizeof r->access_id, "%.*s", STR_ARG(a->id));
}

static UNUSED void rig_stopped(void *user) { ((struct rig *)user)->stops++; }

/* ---- the loop ---- */

static UNUSED void client_push(struct client *c) {
    while (c->pattern_left > 0) {
        size_t want = c->pattern_left < RIG_BODY_BYTES ? (size_t)c->pattern_left : RIG_BODY_BYTES;
        ssize_t n = send(c->fd, rig_pattern(c->pattern_at), want, MSG_NOSIGNAL);
        if (n <= 0) return;
        c->pattern_at += (size_t)n;
        c->pattern_left -= (size_t)n;
    }
}

static UNUSED void rig_turn_over(struct timer *t) {
    loop_stop(CONTAINER_OF(t, struct rig, turn)->loop);
}

static UNUSED void rig_turn(struct rig *r) {
    for (size_t i = 0; i < r->client_count; i++) client_push(&r->clients[i]);
    r->turn.fire = rig_turn_over;
    timer_arm(r->loop, &r->turn, 1);
    loop_run(r->loop);
}

static UNUSED void rig_until(struct rig *r, const int *flag) {
    while (*flag == 0) rig_turn(r);
}

static UNUSED void rig_until_connections(struct rig *r, uint64_t count) {
    struct http_counts counts;
    for (http_server_counts(r->server, &counts); counts.connections != count;
         http_server_counts(r->server, &counts))
        rig_turn(r);
}

static UNUSED void rig_answer_waiting(struct rig *r, const char *text) {
    r->waiting = 0;
    http_call_reply(r->waiting_call, &rig_ok, str_of(text));
}

/* The handler of /slow takes the rest. */
static UNUSED void rig_go_on(struct rig *r) {
    r->waiting = 0;
    rig_read_on(r->waiting_user, r->waiting_call);
}

/* ---- clients ---- */

static UNUSED struct client *rig_client(struct rig *r, int family, const struct sockaddr *a,
                                        socklen_t n) {
    assert_in_range(r->client_count, 0, RIG_CLIENTS_MAX - 1);
    struct client *c = &r->clients[r->client_count++];
    *c = (struct client){.rig = r, .in = BUF(128U << 20)};
    c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    assert_int_equal(connect(c->fd, a, n), 0);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    return c;
}

static UNUSED struct client *rig_connect_port(struct rig *r, uint16_t port, int family) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    return family == AF_INET ? rig_client(r, family, (const struct sockaddr *)&v4, sizeof v4)
                             : rig_client(r, family, (const struct sockaddr *)&v6, sizeof v6);
}

static UNUSED struct client *rig_connect(struct rig *r) {
    return rig_connect_port(r, r->port, AF_INET);
}

static UNUSED struct client *rig_connect_unix(struct rig *r) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", r->path);
    return rig_client(r, AF_UNIX, (const struct sockaddr *)&a, sizeof a);
}

static UNUSED int rig_connect_errno(struct rig *r) {
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(r->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (const struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
}

static UNUSED void client_send(struct client *c, struct str bytes) {
    while (bytes.n > 0) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n > 0) {
            bytes = str_sub(bytes, (size_t)n, bytes.n);
            continue;
        }
        if (errno != EAGAIN)
            return; /* the server has ended it: what follows shows whether rightly */
        rig_turn(c->rig);
    }
}

static UNUSED void client_send_pattern(struct client *c, uint64_t n) { c->pattern_left = n; }

static UNUSED void client_shut(struct client *c) { assert_int_equal(shutdown(c->fd, SHUT_WR), 0); }

static UNUSED void client_close(struct client *c) {
    if (c->fd >= 0) (void)close(STEAL_FD(c->fd));
}

static UNUSED void client_reset(struct client *c) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    client_close(c);
}

/* More input, or the end; turns the loop while there is none. */
static UNUSED void client_fill(struct client *c) {
    while (!c->end) {
        assert_int_equal(buf_reserve(&c->in, RIG_BODY_BYTES), 0);
        ssize_t n = recv(c->fd, c->in.p + c->in.n, RIG_BODY_BYTES, 0);
        if (n > 0) {
            c->in.n += (size_t)n;
            return;
        }
        if (n < 0 && errno == EAGAIN) {
            rig_turn(c->rig);
            continue;
        }
        c->end = true;
        c->reset = n < 0;
    }
}

static UNUSED void client_expect_head(struct client *c, unsigned status, const char *part) {
    while (!str_contains(buf_view(&c->in), STR("\r\n\r\n"))) {
        if (c->end) fail_msg("the server ended: '%.*s'", (int)c->in.n, c->in.p);
        client_fill(c);
    }
    const char *end = strstr(buf_c(&c->in), "\r\n\r\n") + 4;
    size_t n = (size_t)(end - c->in.p);
    assert_in_range(n, 0, sizeof c->head - 1);
    memcpy(c->head, c->in.p, n);
    c->head[n] = '\0';
    buf_consume(&c->in, n);
    AUTO_FREE char *line = xasprintf("HTTP/1.1 %u ", status);
    if (!str_starts(str_of(c->head), str_of(line))) fail_msg("not %u: %s", status, c->head);
    if (!str_contains(str_of(c->head), str_of(part))) fail_msg("no '%s': %s", part, c->head);
}

static UNUSED struct str client_head(const struct client *c) { return str_of(c->head); }

static UNUSED void client_expect_bytes(struct client *c, const char *want) {
    size_t n = strlen(want);
    while (c->in.n < n && !c->end) client_fill(c);
    if (!str_starts(buf_view(&c->in), str_of(want)))
        fail_msg("'%.*s' is not '%s'", (int)c->in.n, c->in.p, want);
    buf_consume(&c->in, n);
}

static UNUSED void client_expect_reply(struct client *c, unsigned status, const char *body) {
    AUTO_FREE char *length = xasprintf("\r\nContent-Length: %zu\r\n", strlen(body));
    client_expect_head(c, status, length);
    client_expect_bytes(c, body);
}

static UNUSED void client_expect_pattern(struct client *c, uint64_t n) {
    for (uint64_t at = 0; at < n;) {
        if (c->in.n == 0) client_fill(c);
        assert_true(c->in.n > 0);
        size_t piece = c->in.n < RIG_BODY_BYTES ? c->in.n : RIG_BODY_BYTES;
        if (piece > n - at) piece = (size_t)(n - at);
        assert_memory_equal(c->in.p, rig_pattern(at), piece);
        buf_consume(&c->in, piece);
        at += piece;
    }
}

/* The rest, and then an orderly end. */
static UNUSED void client_expect_rest(struct client *c, const char *want) {
    while (!c->end) client_fill(c);
    assert_false(c->reset);
    assert_true(str_eq(buf_view(&c->in), str_of(want)));
}

static UNUSED void client_expect_end(struct client *c) { client_expect_rest(c, ""); }

/* An end of any kind, after anything. */
static UNUSED void client_expect_end_somewhere(struct client *c) {
    while (!c->end) {
        buf_clear(&c->in);
        client_fill(c);
    }
}

/* ---- its life ---- */

static UNUSED void rig_start(struct rig *r, const struct http_limits *limits) {
    err_clear(&r->last_error);
    r->options.user = r;
    r->options.on_request = rig_on_request;
    r->options.on_access = rig_on_access;
    r->options.limits = *limits;
    struct err e = {0};
    r->server = http_server_new(r->loop, &r->options);
    AUTO_FREE char *local = xasprintf("unix:%s", r->path);
    if (http_server_listen(r->server, "127.0.0.1:0", &r->port, &e) < 0 ||
        http_server_listen(r->server, local, NULL, &e) < 0)
        fail_msg("%s", e.msg);
}

static UNUSED void rig_restart(struct rig *r, const struct http_limits *limits) {
    http_server_free(r->server);
    rig_start(r, limits);
}

/* n bytes of the pattern, a multiple of RIG_BODY_BYTES. */
static UNUSED void rig_fill(int fd, size_t n) {
    for (size_t at = 0; at < n; at += RIG_BODY_BYTES)
        assert_int_equal(write(fd, rig_pattern(at), RIG_BODY_BYTES), RIG_BODY_BYTES);
}

static UNUSED int rig_setup(void **state) {
    struct rig *r = xnew(struct rig);
    *state = r;
    r->pattern_ok = true;
    r->loop = loop_new(1);
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/http-rig-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/sock", r->folder);
    r->file_fd = open(r->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(r->file_fd >= 0);
    rig_fill(r->file_fd, RIG_FILE_BYTES);
    rig_start(r, &(struct http_limits){0});
    return 0;
}

static UNUSED int rig_teardown(void **state) {
    struct rig *r = *state;
    http_server_free(r->server);
    loop_free(r->loop);
    for (size_t i = 0; i < r->client_count; i++) {
        client_close(&r->clients[i]);
        buf_done(&r->clients[i].in);
    }
    (void)close(r->file_fd);
    (void)unlink(r->path);
    (void)rmdir(r->folder);
    free(r);
    return 0;
}
