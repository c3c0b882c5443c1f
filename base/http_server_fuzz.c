/* SPDX-License-Identifier: Apache-2.0 — http_server_fuzz.c: any bytes on one connection of a
 * server.
 *
 * The first byte says how the bytes are cut, the second whether the client ends in an orderly way
 * or with a reset. Whatever comes, each call that began ends once, the connection goes, and no
 * memory stays. Handlers do what the path's first letter says. */
#include "base/http_conn.h"

#include "base/clock.h"

#include <fcntl.h>
#include <sys/socket.h>

#define BODY_BYTES_MAX (64U << 10)
#define TURNS_MAX      10000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct loop *loop;
    struct http_server *server;
    struct http_listener listener;
    unsigned requests, dones;
    struct http_call *later; /* in the handler's turn */
    struct timer turn;
    char body[BODY_BYTES_MAX];
} f;

static const struct http_answer ok = {.status = 200};

static void must(bool holds) {
    if (!holds) abort();
}

static void on_body(void *user, struct http_call *c, size_t n, bool end) {
    must(n <= sizeof f.body && (n > 0 || end));
    bool more = *(char *)user == 'r';
    if (end || !more)
        http_call_reply(c, &ok, str_make(f.body, n));
    else
        http_call_read(c, f.body, 1, sizeof f.body);
}

static void on_more(void *user, struct http_call *c) {
    char *left = (char *)user + 1;
    enum http_piece which = --*left > 0 ? HTTP_PIECE : HTTP_LAST_PIECE;
    http_call_send(c, STR("piece"), which);
}

static void on_done(void *user, struct http_call *c, const struct err *e) {
    (void)c;
    must(!e || (e->kind != ERR_NONE && e->msg[0]));
    f.dones++;
    free(user);
}

static const struct http_handler handler = {on_body, on_more, on_done};

static void on_request(void *user, struct http_call *c) {
    (void)user;
    f.requests++;
    struct str path = http_call_head(c)->uri.path;
    char *what = xmalloc(2);
    what[0] = path.n > 1 ? path.p[1] : ' ';
    what[1] = 3;
    http_call_handle(c, &handler, what);
    struct err e = {0};
    switch (what[0]) {
    case 'r':
    case 'b': http_call_read(c, f.body, 1, sizeof f.body); break;
    case 'p': http_call_reply_pieces(c, &ok, HTTP_LENGTH_UNKNOWN); break;
    case 's': http_call_reply_pieces(c, &ok, 15); break;
    case 'l': f.later = c; break;
    case 'f':
        (void)err_set(&e, ERR_IO, "failed");
        http_call_fail(c, &e);
        break;
    default: http_call_reply(c, &ok, STR("hello")); break;
    }
}

static void on_access(void *user, const struct http_access *a) {
    (void)user;
    must(a->status == 0 || (a->status >= 200 && a->status <= 599));
    must(a->head || a->status >= 400);
}

static void turn_over(struct timer *t) {
    (void)t;
    loop_stop(f.loop);
}

static void turn(int client) {
    char dropped[4096];
    timer_arm(f.loop, &f.turn, 0);
    loop_run(f.loop);
    while (client >= 0 && recv(client, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
    if (f.later) http_call_reply(STEAL(f.later), &ok, STR("later"));
}

static void set_up(void) {
    if (f.loop) return;
    const struct http_options o = {.on_request = on_request, .on_access = on_access};
    f.loop = loop_new(1);
    f.server = http_server_new(f.loop, &o);
    f.listener = (struct http_listener){.server = f.server, .fd = -1};
    f.turn.fire = turn_over;
}

static void feed(int client, struct str bytes, size_t step) {
    while (bytes.n > 0) {
        ssize_t n =
            send(client, bytes.p, step < bytes.n ? step : bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) return; /* the server has ended it */
        bytes = str_sub(bytes, (size_t)n, bytes.n);
        turn(client);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    set_up();
    f.requests = f.dones = 0;
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const struct sockaddr_in6 address = {.sin6_family = AF_UNIX};
    http_conn_new(&f.listener, pair[0], &address, NULL);
    struct str bytes = str_make((const char *)data + 2, size - 2);
    feed(pair[1], bytes, data[0] ? data[0] : bytes.n);
    if (data[1] & 1)
        (void)close(STEAL_FD(pair[1]));
    else
        (void)shutdown(pair[1], SHUT_WR);
    struct http_counts counts = {.connections = 1};
    for (unsigned turns = 0; counts.connections > 0; turns++) {
        must(turns < TURNS_MAX);
        turn(pair[1]);
        http_server_counts(f.server, &counts);
    }
    must(f.requests == f.dones && counts.calls == 0);
    if (pair[1] >= 0) (void)close(pair[1]);
    return 0;
}
