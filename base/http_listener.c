/* SPDX-License-Identifier: Apache-2.0 — http_listener.c: where a server listens, and accepting. */
#include "base/http_conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LISTEN_BACKLOG        1024
#define ACCEPTS_PER_EVENT_MAX 64
#define ACCEPT_AGAIN_MS       100 /* after descriptors or memory ran out */
#define ADDRESS_CHARS_MAX     64

/* ---- addresses ---- */

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static int parse_port(struct str text, in_port_t *out) {
    uint64_t port = 0;
    if (str_u64(text, &port) < 0 || port > UINT16_MAX) return -EINVAL;
    *out = htons((uint16_t)port);
    return 0;
}

/* "1.2.3.4", "[::1]" or nothing, which is every address. */
static int parse_address(struct str text, in_port_t port, union place *p, socklen_t *out_n) {
    char c[ADDRESS_CHARS_MAX];
    bool v6 = text.n == 0 || text.p[0] == '[';
    if (text.n && v6) {
        if (text.n < 3 || text.p[text.n - 1] != ']') return -EINVAL;
        text = str_sub(text, 1, text.n - 1);
    }
    if (text.n >= sizeof c) return -EINVAL;
    if (text.n) memcpy(c, text.p, text.n);
    c[text.n] = '\0';
    if (!v6) {
        p->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        *out_n = sizeof p->v4;
        return inet_pton(AF_INET, c, &p->v4.sin_addr) == 1 ? 0 : -EINVAL;
    }
    p->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    *out_n = sizeof p->v6;
    return text.n == 0 || inet_pton(AF_INET6, c, &p->v6.sin6_addr) == 1 ? 0 : -EINVAL;
}

static int parse_where(const char *where, union place *p, socklen_t *out_n, struct err *e) {
    struct str text = str_of(where);
    if (str_starts(text, STR("unix:"))) {
        struct str path = str_sub(text, 5, text.n);
        p->local = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (path.n == 0 || path.n >= sizeof p->local.sun_path)
            return err_set(e, ERR_INVALID, "listen on '%s': a socket's path has 1 to %zu bytes",
                           where, sizeof p->local.sun_path - 1);
        memcpy(p->local.sun_path, path.p, path.n);
        *out_n = sizeof p->local;
        return 0;
    }
    ptrdiff_t colon = str_rfind(text, ':');
    in_port_t port = 0;
    if (colon < 0 || parse_port(str_sub(text, (size_t)colon + 1, text.n), &port) < 0 ||
        parse_address(str_sub(text, 0, (size_t)colon), port, p, out_n) < 0)
        return err_set(e, ERR_INVALID,
                       "listen on '%s': give ADDRESS:PORT, [IPV6]:PORT, :PORT or unix:/PATH",
                       where);
    return 0;
}

/* ---- sockets ---- */

/* Removes the socket file of a server that is no more; one that answers is left alone. */
static int remove_stale(const struct sockaddr_un *a, struct err *e) {
    struct stat st;
    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT ? 0
                               : err_sys(e, errno, "look for an old socket at '%s'", a->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_EXISTS, "listen on '%s': a file that is no socket is there",
                       a->sun_path);
    AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return err_sys(e, errno, "make a socket");
    if (connect(probe, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN)
        return err_set(e, ERR_BUSY, "listen on '%s': another process serves there; stop it first",
                       a->sun_path);
    if (unlink(a->sun_path) < 0 && errno != ENOENT)
        return err_sys(e, errno, "remove the old socket '%s'", a->sun_path);
    return 0;
}

static int set_options(int fd, const union place *p, bool dual) {
    int on = 1, off = 0;
    if (p->any.sa_family == AF_UNIX) return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
    if (p->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual ? &off : &on, sizeof on) < 0)
        return -errno;
    return 0;
}

static int open_socket(const char *where, int *out_fd, struct err *e) {
    union place p;
    socklen_t n = 0;
    if (parse_where(where, &p, &n, e) < 0) return -1;
    if (p.any.sa_family == AF_UNIX && remove_stale(&p.local, e) < 0) return -1;
    bool dual = where[0] == ':';
    AUTO_CLOSE int fd = socket(p.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && dual) { /* a machine without IPv6 */
        p.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = p.v6.sin6_port};
        n = sizeof p.v4;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0) return err_sys(e, errno, "make a socket for '%s'", where);
    int r = set_options(fd, &p, dual);
    if (r < 0) return err_sys(e, -r, "set the options of the socket for '%s'", where);
    if (bind(fd, &p.any, n) < 0)
        return errno == EADDRINUSE
                   ? err_set(e, ERR_BUSY, "listen on '%s': another process listens there", where)
                   : err_sys(e, errno, "bind a socket to '%s'", where);
    /* Nobody can connect before listen(). */
    if (p.any.sa_family == AF_UNIX && chmod(p.local.sun_path, 0600) < 0)
        return err_sys(e, errno, "set the mode of '%s'", p.local.sun_path);
    if (listen(fd, LISTEN_BACKLOG) < 0) return err_sys(e, errno, "listen on '%s'", where);
    *out_fd = STEAL_FD(fd);
    return 0;
}

static uint16_t port_of(int fd) {
    union place p = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t n = sizeof p;
    if (getsockname(fd, &p.any, &n) < 0) return 0;
    if (p.any.sa_family == AF_INET) return ntohs(p.v4.sin_port);
    return p.any.sa_family == AF_INET6 ? ntohs(p.v6.sin6_port) : 0;
}

/* ---- accepting ---- */

static void accept_again(struct timer *t) {
    struct http_listener *l = CONTAINER_OF(t, struct http_listener, again);
    if (watch_start(l->server->loop, &l->watch, l->fd, WATCH_READ) < 0)
        timer_arm(l->server->loop, t, ACCEPT_AGAIN_MS);
}

static void accept_failed(struct http_listener *l, int error) {
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
    watch_stop(&l->watch); /* it would stay readable and keep the loop busy */
    timer_arm(l->server->loop, &l->again, ACCEPT_AGAIN_MS);
}

/* IPv4 addresses are kept as mapped ones. */
static struct sockaddr_in6 mapped(const union place *p) {
    struct sockaddr_in6 a = {.sin6_family = AF_UNIX};
    if (p->any.sa_family == AF_INET6) a = p->v6;
    if (p->any.sa_family == AF_INET) {
        a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = p->v4.sin_port};
        a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
        memcpy(a.sin6_addr.s6_addr + 12, &p->v4.sin_addr, 4);
    }
    return a;
}

static void take(struct http_listener *l, int fd, const union place *p) {
    struct http_server *s = l->server;
    const struct http_limits *limits = &s->options.limits;
    s->counts.accepted++;
    if (s->counts.connections >= limits->connections_max) {
        s->counts.over_limit++;
        (void)close(fd);
        return;
    }
    bool counts = false;
    struct http_source *source =
        http_source_take(&s->sources, &p->any, limits->connections_per_address_max, &counts);
    if (counts && !source) {
        s->counts.over_address_limit++;
        (void)close(fd);
        return;
    }
    int on = 1;
    if (p->any.sa_family != AF_UNIX) /* a reply must not wait for the client's acknowledgement */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in6 address = mapped(p);
    http_conn_new(l, fd, &address, source);
}

static void listener_ready(struct watch *w, int events) {
    (void)events;
    struct http_listener *l = CONTAINER_OF(w, struct http_listener, watch);
    for (int i = 0; i < ACCEPTS_PER_EVENT_MAX; i++) {
        union place p = {.any = {.sa_family = AF_UNIX}};
        socklen_t n = sizeof p;
        int fd = accept4(l->fd, &p.any, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            accept_failed(l, errno);
            return;
        }
        take(l, fd, &p);
    }
}

void http_listener_close(struct http_listener *l) {
    timer_cancel(&l->again);
    watch_stop(&l->watch);
    if (l->fd >= 0) (void)close(STEAL_FD(l->fd));
}

int http_server_listen(struct http_server *s, const char *where, uint16_t *out_port,
                       struct err *e) {
    return http_server_listen_tls(s, where, NULL, out_port, e);
}

int http_server_listen_tls(struct http_server *s, const char *where, struct tls_config *tls,
                           uint16_t *out_port, struct err *e) {
    assert(!s->stopping);
    if (s->listener_count == HTTP_LISTENERS_MAX)
        return err_set(e, ERR_LIMIT, "listen on '%s': a server listens at %d places at most", where,
                       HTTP_LISTENERS_MAX);
    AUTO_CLOSE int fd = -1;
    if (open_socket(where, &fd, e) < 0) return -1;
    struct http_listener *l = &s->listeners[s->listener_count];
    *l = (struct http_listener){.server = s, .tls = tls, .fd = -1};
    l->watch.ready = listener_ready;
    l->again.fire = accept_again;
    int r = watch_start(s->loop, &l->watch, fd, WATCH_READ);
    if (r < 0) return err_sys(e, -r, "watch the socket for '%s'", where);
    if (out_port) *out_port = port_of(fd);
    l->fd = STEAL_FD(fd);
    s->listener_count++;
    return 0;
}
