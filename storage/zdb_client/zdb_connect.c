/* SPDX-License-Identifier: Apache-2.0 — zdb_connect.c: look up, connect, next address.
 *
 * The object lives until its lookup has come back to the loop, also when it was cancelled: a worker
 * may be inside the resolver. `cancelled` is the loop's; the worker touches `list` and `failure`
 * only, before its task is posted. */
#include "storage/zdb_client/zdb_connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct zdb_connect {
    struct loop *loop;
    struct zdb_address address;
    void (*done)(void *user, int fd, const struct err *e);
    void *user;
    bool looking_up, cancelled;
    struct job lookup;
    struct task looked_up;
    int failure;           /* of getaddrinfo, EAI_* */
    struct addrinfo *list; /* owned */
    struct addrinfo *next; /* to try, in list */
    struct sockaddr_un unix_at;
    struct addrinfo unix_info; /* next, for a unix socket */
    int sys;                   /* why the last address failed */
    int fd;
    struct watch watch;
};

static void connect_free(struct zdb_connect *c) {
    watch_stop(&c->watch);
    if (c->fd >= 0) (void)close(c->fd);
    if (c->list) freeaddrinfo(c->list);
    free(c);
}

static void finish(struct zdb_connect *c, const struct err *e) {
    void (*done)(void *, int, const struct err *) = c->done;
    void *user = c->user;
    watch_stop(&c->watch);
    int fd = e ? -1 : STEAL_FD(c->fd);
    struct err copy = {0};
    if (e) copy = *e;
    connect_free(c);
    done(user, fd, e ? &copy : NULL);
}

static void try_next(struct zdb_connect *c);

static void connected(struct watch *w, int events) {
    struct zdb_connect *c = CONTAINER_OF(w, struct zdb_connect, watch);
    int sys = 0;
    socklen_t n = sizeof sys;
    (void)events;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &sys, &n) < 0) sys = errno;
    if (sys == 0) {
        finish(c, NULL);
        return;
    }
    watch_stop(&c->watch);
    (void)close(STEAL_FD(c->fd));
    c->sys = sys;
    try_next(c);
}

/* True when the kernel works on it; the rest happens in connected(). */
static bool begin(struct zdb_connect *c, const struct addrinfo *at) {
    int on = 1;
    c->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return c->sys = errno, false;
    if (at->ai_family != AF_UNIX) (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int r = connect(c->fd, at->ai_addr, at->ai_addrlen) < 0 ? errno : 0;
    if (r == 0 || r == EINPROGRESS) r = -watch_start(c->loop, &c->watch, c->fd, WATCH_WRITE);
    if (r == 0) return true;
    (void)close(STEAL_FD(c->fd));
    c->sys = r;
    return false;
}

static void try_next(struct zdb_connect *c) {
    struct err e;
    while (c->next) {
        const struct addrinfo *at = c->next;
        c->next = at->ai_next;
        if (begin(c, at)) return;
    }
    (void)err_sys(&e, c->sys, "connect");
    finish(c, &e);
}

static void lookup_done(struct task *t) {
    struct zdb_connect *c = CONTAINER_OF(t, struct zdb_connect, looked_up);
    struct err e;
    c->looking_up = false;
    if (c->cancelled) {
        connect_free(c);
        return;
    }
    c->next = c->address.is_unix ? &c->unix_info : c->list;
    if (c->failure) {
        (void)err_set(&e, ERR_NOT_FOUND, "look up '%s': %s", c->address.host,
                      gai_strerror(c->failure));
        finish(c, &e);
        return;
    }
    try_next(c);
}

static void lookup(struct job *j) {
    struct zdb_connect *c = CONTAINER_OF(j, struct zdb_connect, lookup);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    c->failure = getaddrinfo(c->address.host, c->address.port, &hints, &c->list);
    loop_post(c->loop, &c->looked_up);
}

struct zdb_connect *zdb_connect_start(struct loop *l, const struct zdb_address *address,
                                      void (*done)(void *user, int fd, const struct err *e),
                                      void *user) {
    struct zdb_connect *c = xnew(struct zdb_connect);
    c->loop = l;
    c->address = *address;
    c->done = done;
    c->user = user;
    c->fd = -1;
    c->watch.ready = connected;
    c->looked_up.run = lookup_done;
    c->lookup.run = lookup;
    c->looking_up = true;
    if (!address->is_unix) {
        loop_work(l, &c->lookup);
        return c;
    }
    c->unix_at.sun_family = AF_UNIX;
    memcpy(c->unix_at.sun_path, address->host, strlen(address->host));
    c->unix_info = (struct addrinfo){.ai_family = AF_UNIX,
                                     .ai_addr = (struct sockaddr *)&c->unix_at,
                                     .ai_addrlen = sizeof c->unix_at};
    loop_post(l, &c->looked_up);
    return c;
}

void zdb_connect_cancel(struct zdb_connect *c) {
    if (!c) return;
    c->cancelled = true;
    if (!c->looking_up) connect_free(c);
}
