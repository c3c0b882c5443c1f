/* SPDX-License-Identifier: Apache-2.0 — grpc.c: the server: its socket, its method table, its end.
 *
 * bytes: socket -> grpc_conn.c -> grpc_session.c (nghttp2) -> grpc_frame.c;
 * a complete request: grpc_conn.c -> grpc_call.c -> handler -> any thread -> loop -> the stream.
 *
 * Draining: no more accept, GOAWAY on every connection; a connection without open streams closes
 * itself; when there is neither connection nor call left, or the grace is over, the owner is told.
 * The socket file stays: a client gets "connection refused" until the next start replaces it. */
#include "base/grpc.h"

#include "base/grpc_server.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MESSAGE_BYTES_DEFAULT ((size_t)16 << 20)
#define LISTEN_BACKLOG        128
#define ACCEPTS_PER_EVENT_MAX 32
#define ACCEPT_AGAIN_MS       100 /* after descriptors or memory ran out */

/* ---- methods ---- */

static int route_order(const void *a, const void *b) {
    return strcmp(((const struct grpc_route *)a)->path, ((const struct grpc_route *)b)->path);
}

static int route_find(const void *path, const void *route) {
    return str_cmp(*(const struct str *)path, str_of(((const struct grpc_route *)route)->path));
}

static void routes_make(struct grpc_server *s, const struct grpc_options *o) {
    size_t packages = 0;
    while (o->packages[packages]) packages++;
    s->routes = xmalloc(packages * o->method_count * sizeof *s->routes);
    for (size_t p = 0; p < packages; p++) {
        for (size_t i = 0; i < o->method_count; i++) {
            const struct grpc_method *m = &o->methods[i];
            s->routes[s->route_count++] = (struct grpc_route){
                .path = xasprintf("/%s.%s/%s", o->packages[p], m->service, m->name), .method = m};
        }
    }
    qsort(s->routes, s->route_count, sizeof *s->routes, route_order);
}

const struct grpc_method *grpc_server_method(const struct grpc_server *s, struct str path) {
    const struct grpc_route *r =
        bsearch(&path, s->routes, s->route_count, sizeof *s->routes, route_find);
    return r ? r->method : NULL;
}

/* ---- the listening socket ---- */

/* Removes the socket file of a server that is no more; one that answers is left alone. */
static int remove_stale(const char *path, const struct sockaddr_un *addr, struct err *e) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "look for an old socket at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_EXISTS, "listen on '%s': a file that is no socket is there", path);
    AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return err_sys(e, errno, "make a socket");
    if (connect(probe, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno == EAGAIN)
        return err_set(e, ERR_BUSY, "listen on '%s': another process serves there; stop it first",
                       path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(e, errno, "remove the old socket '%s'", path);
    return 0;
}

static int open_socket(const char *path, int *out_fd, struct err *e) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof addr.sun_path)
        return err_set(e, ERR_INVALID, "listen on '%s': a socket's path has 1 to %zu bytes", path,
                       sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, n);
    if (remove_stale(path, &addr, e) < 0) return -1;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_sys(e, errno, "make a socket");
    if (bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
        return err_sys(e, errno, "bind a socket to '%s'", path);
    /* Nobody can connect before listen(). */
    if (chmod(path, 0600) < 0) return err_sys(e, errno, "set the mode of '%s'", path);
    if (listen(fd, LISTEN_BACKLOG) < 0) return err_sys(e, errno, "listen on '%s'", path);
    *out_fd = STEAL_FD(fd);
    return 0;
}

static int listen_again(struct grpc_server *s) {
    return watch_start(s->loop, &s->listener, s->fd, WATCH_READ);
}

static void accept_again(struct timer *t) {
    struct grpc_server *s = CONTAINER_OF(t, struct grpc_server, accept_again);
    if (listen_again(s) < 0) timer_arm(s->loop, t, ACCEPT_AGAIN_MS);
}

static void accept_failed(struct grpc_server *s, int error) {
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
    LOG_WARN("accept failed, trying again later", F_C("error", strerror(error)));
    watch_stop(&s->listener); /* it would stay readable and keep the loop busy */
    timer_arm(s->loop, &s->accept_again, ACCEPT_AGAIN_MS);
}

static void listener_ready(struct watch *w, int events) {
    (void)events;
    struct grpc_server *s = CONTAINER_OF(w, struct grpc_server, listener);
    for (int i = 0; i < ACCEPTS_PER_EVENT_MAX; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            accept_failed(s, errno);
            return;
        }
        if (s->conn_count >= GRPC_CONNECTIONS_MAX) {
            LOG_WARN("connection refused: too many are open", F_U64("open", s->conn_count));
            (void)close(fd);
            continue;
        }
        grpc_conn_new(s, fd);
    }
}

static void listener_close(struct grpc_server *s) {
    timer_cancel(&s->accept_again);
    watch_stop(&s->listener);
    if (s->fd >= 0) (void)close(STEAL_FD(s->fd));
}

/* ---- the server ---- */

static void drained(struct task *t) {
    struct grpc_server *s = CONTAINER_OF(t, struct grpc_server, drained);
    if (!s->freed) s->drain_done(s->drain_user);
    grpc_server_unref(s);
}

static void drain_end(struct grpc_server *s) {
    s->draining = false;
    timer_cancel(&s->grace);
    loop_post(s->loop, &s->drained);
}

void grpc_server_settle(struct grpc_server *s) {
    if (s->draining && s->conn_count == 0 && s->call_count == 0) drain_end(s);
}

static void close_connections(struct grpc_server *s) {
    while (s->conns) grpc_conn_free(s->conns);
}

static void grace_over(struct timer *t) {
    struct grpc_server *s = CONTAINER_OF(t, struct grpc_server, grace);
    close_connections(s);
    if (s->draining) drain_end(s);
}

void grpc_drain(struct grpc_server *s, uint64_t grace_ms, void (*done)(void *user), void *user) {
    assert(!s->drain_done);
    listener_close(s);
    s->drain_done = done;
    s->drain_user = user;
    s->drained.run = drained;
    s->refs++; /* of the drained task */
    s->grace.fire = grace_over;
    for (struct grpc_conn *conn = s->conns, *next; conn; conn = next) {
        next = grpc_conn_next(conn);
        grpc_conn_goaway(conn);
        grpc_conn_pump(conn);
    }
    s->draining = true;
    timer_arm(s->loop, &s->grace, grace_ms);
    grpc_server_settle(s);
}

void grpc_server_unref(struct grpc_server *s) {
    if (--s->refs > 0) return;
    for (size_t i = 0; i < s->route_count; i++) free(s->routes[i].path);
    free(s->routes);
    free(s);
}

void grpc_server_free(struct grpc_server *s) {
    if (!s) return;
    s->freed = true;
    listener_close(s);
    close_connections(s);
    if (s->draining) drain_end(s);
    grpc_server_unref(s);
}

struct grpc_server *grpc_listen(struct loop *l, const char *path, const struct grpc_options *o,
                                struct err *e) {
    AUTO_CLOSE int fd = -1;
    if (open_socket(path, &fd, e) < 0) return NULL;
    struct grpc_server *s = xnew(struct grpc_server);
    s->loop = l;
    s->user = o->user;
    s->refs = 1;
    s->fd = STEAL_FD(fd);
    s->budget.message_bytes_max =
        o->message_bytes_max ? o->message_bytes_max : MESSAGE_BYTES_DEFAULT;
    s->budget.requests_bytes_max = GRPC_REQUESTS_BYTES_MAX;
    routes_make(s, o);
    s->listener.ready = listener_ready;
    s->accept_again.fire = accept_again;
    int r = listen_again(s);
    if (r < 0) {
        (void)err_sys(e, -r, "watch the socket '%s'", path);
        grpc_server_free(s);
        return NULL;
    }
    return s;
}
