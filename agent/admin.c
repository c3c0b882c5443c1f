/* SPDX-License-Identifier: Apache-2.0 — admin.c: connections of the admin socket on the loop.
 *
 * A connection reads one frame, runs its command and reads on after the answer. While a command
 * runs, the peer has nothing to say: bytes that come then, like the end of the stream, mean that
 * it has given up. What is written and not taken by the kernel at once waits in a bounded queue of
 * chunks; a chunk's descriptors go with its first byte, so frames and descriptors keep their order.
 *
 * A connection ends by conn_end(), only ever called from the loop's callbacks: a write error inside
 * a command shuts the socket down and lets the read side find out. A call outlives its connection
 * until it is answered. */
#include "agent/admin.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define READ_BYTES       (64 * 1024)
#define CALL_ARENA_BYTES (32 << 20)
#define ACCEPT_RETRY_MS  200 /* after the process ran out of descriptors */
#define LISTEN_BACKLOG   16

struct chunk {
    struct chunk *next;
    size_t n, sent;
    int fds[ADMIN_FRAME_FDS_MAX]; /* owned until sent */
    size_t fd_count;
    char bytes[];
};

struct conn {
    struct admin *admin;
    struct conn *next;
    int fd;
    struct watch watch;
    bool watching_write;
    struct buf in;
    int fds[ADMIN_FRAME_FDS_MAX]; /* owned: received, not yet taken by a call */
    size_t fd_count;
    struct chunk *out, *out_last;
    size_t out_bytes;
    struct admin_call *call; /* running, or NULL */
};

struct admin_call {
    struct conn *conn; /* NULL when the peer is gone */
    struct arena arena;
    struct admin_request request;
    int fds[ADMIN_FRAME_FDS_MAX]; /* owned */
    void (*on_gone)(void *user);
    void *gone_user;
};

struct admin {
    struct loop *loop;
    struct admin_options options;
    char *path; /* owned */
    int fd;
    struct watch watch;
    struct timer retry;
    struct conn *conns;
    size_t conn_count;
};

static void conn_ready(struct watch *w, int events);

/* ---- out ---- */

static void chunk_free(struct chunk *c) {
    for (size_t i = 0; i < c->fd_count; i++) (void)close(c->fds[i]);
    free(c);
}

static void watch_for(struct conn *c, bool write) {
    if (c->watching_write == write) return;
    c->watching_write = write;
    if (watch_start(c->admin->loop, &c->watch, c->fd, WATCH_READ | (write ? WATCH_WRITE : 0)) < 0)
        (void)shutdown(c->fd, SHUT_RDWR);
}

static ssize_t send_chunk(int fd, struct chunk *c) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ADMIN_FRAME_FDS_MAX)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = c->bytes + c->sent, .iov_len = c->n - c->sent};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (c->fd_count) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * c->fd_count);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * c->fd_count);
        memcpy(CMSG_DATA(h), c->fds, sizeof(int) * c->fd_count);
    }
    return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void conn_flush(struct conn *c) {
    while (c->out) {
        struct chunk *first = c->out;
        ssize_t n = send_chunk(c->fd, first);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) (void)shutdown(c->fd, SHUT_RDWR);
        if (n < 0) break;
        for (size_t i = 0; i < first->fd_count; i++) (void)close(first->fds[i]);
        first->fd_count = 0;
        first->sent += (size_t)n;
        c->out_bytes -= (size_t)n;
        if (first->sent < first->n) continue;
        c->out = first->next;
        if (!c->out) c->out_last = NULL;
        chunk_free(first);
    }
    watch_for(c, c->out != NULL);
}

/* Queues a frame with copies of the descriptors; false when it cannot be. */
static bool conn_send(struct conn *c, struct str frame, const int *fds, size_t fd_count) {
    if (frame.n > ADMIN_OUT_BYTES_MAX - c->out_bytes) return false;
    struct chunk *k = xmalloc(sizeof *k + frame.n);
    memcpy(k->bytes, frame.p, frame.n);
    k->n = frame.n;
    for (size_t i = 0; i < fd_count; i++) {
        k->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (k->fds[i] < 0) {
            chunk_free(k);
            return false;
        }
        k->fd_count++;
    }
    if (c->out_last)
        c->out_last->next = k;
    else
        c->out = k;
    c->out_last = k;
    c->out_bytes += frame.n;
    conn_flush(c);
    return true;
}

/* ---- calls ---- */

static void call_free(struct admin_call *c) {
    for (size_t i = 0; i < ADMIN_FRAME_FDS_MAX; i++)
        if (c->fds[i] >= 0) (void)close(c->fds[i]);
    arena_done(&c->arena);
    free(c);
}

const struct json *admin_args(const struct admin_call *c) { return c->request.args; }
struct arena *admin_arena(struct admin_call *c) {
    return &c->arena;
}
bool admin_gone(const struct admin_call *c) { return c->conn == NULL; }

int admin_take_fd(struct admin_call *c, size_t i) {
    return i < c->request.fd_count ? STEAL_FD(c->fds[i]) : -1;
}

void admin_on_gone(struct admin_call *c, void (*on_gone)(void *user), void *user) {
    c->on_gone = on_gone;
    c->gone_user = user;
}

void admin_event(struct admin_call *c, struct str value, const int *fds, size_t fd_count) {
    assert(fd_count <= ADMIN_FRAME_FDS_MAX);
    AUTO(buf_done) struct buf frame = BUF(ADMIN_FRAME_BYTES_MAX + ADMIN_FRAME_HEADER);
    if (!c->conn || admin_reply_write(&frame, ADMIN_EVENT, value, fd_count) < 0) return;
    (void)conn_send(c->conn, buf_view(&frame), fds, fd_count); /* a slow reader loses events */
}

static void answer(struct admin_call *c, struct str frame) {
    struct conn *conn = c->conn;
    if (conn) {
        conn->call = NULL;
        if (!conn_send(conn, frame, NULL, 0)) (void)shutdown(conn->fd, SHUT_RDWR);
    }
    call_free(c);
}

void admin_fail(struct admin_call *c, const struct err *e) {
    AUTO(buf_done) struct buf frame = BUF(ADMIN_FRAME_BYTES_MAX + ADMIN_FRAME_HEADER);
    int r = admin_error_write(&frame, e);
    assert(r == 0); /* a message is far below the limit */
    answer(c, buf_view(&frame));
}

void admin_result(struct admin_call *c, struct str value) {
    AUTO(buf_done) struct buf frame = BUF(ADMIN_FRAME_BYTES_MAX + ADMIN_FRAME_HEADER);
    if (admin_reply_write(&frame, ADMIN_RESULT, value, 0) < 0) {
        struct err e;
        (void)err_set(&e, ERR_LIMIT, "the answer is longer than %d bytes", ADMIN_FRAME_BYTES_MAX);
        admin_fail(c, &e);
        return;
    }
    answer(c, buf_view(&frame));
}

/* ---- in ---- */

/* Frees the connection; its call is told and lives on until it is answered. */
static void conn_end(struct conn *c) {
    struct conn **at = &c->admin->conns;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    c->admin->conn_count--;
    watch_stop(&c->watch);
    (void)close(c->fd);
    for (size_t i = 0; i < c->fd_count; i++) (void)close(c->fds[i]);
    for (struct chunk *k = c->out, *next; k; k = next) {
        next = k->next;
        chunk_free(k);
    }
    buf_done(&c->in);
    struct admin_call *call = c->call;
    free(c);
    if (!call) return;
    call->conn = NULL;
    if (call->on_gone) call->on_gone(call->gone_user);
}

static void run_command(struct conn *c, struct admin_call *call) {
    const struct admin_options *o = &c->admin->options;
    for (size_t i = 0; i < o->count; i++) {
        if (!str_eq(call->request.command, str_of(o->commands[i].name))) continue;
        o->commands[i].run(call, o->user);
        return;
    }
    struct err e;
    (void)err_set(&e, ERR_UNSUPPORTED,
                  "this gridletd (%s) has no command '%.*s': use the gridlet of the same version",
                  GRIDLET_VERSION, STR_ARG(call->request.command));
    admin_fail(call, &e);
}

static void start_call(struct conn *c, struct str body) {
    struct admin_call *call = xnew(struct admin_call);
    struct err e;
    call->conn = c;
    call->arena = ARENA(CALL_ARENA_BYTES);
    for (size_t i = 0; i < ADMIN_FRAME_FDS_MAX; i++) call->fds[i] = -1;
    c->call = call;
    int r = admin_request_parse(&call->arena, body, &call->request, &e);
    if (r == 0 && call->request.fd_count > c->fd_count)
        r = err_set(&e, ERR_INVALID, "%zu descriptors are announced, %zu came",
                    call->request.fd_count, c->fd_count);
    if (r < 0) {
        call->request.fd_count = 0;
        admin_fail(call, &e);
        return;
    }
    size_t taken = call->request.fd_count;
    memcpy(call->fds, c->fds, taken * sizeof(int));
    c->fd_count -= taken;
    memmove(c->fds, c->fds + taken, c->fd_count * sizeof(int));
    run_command(c, call);
}

/* Receives what is there; false at the end of the stream or on an error. */
static bool conn_receive(struct conn *c) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ADMIN_FRAME_FDS_MAX)];
        struct cmsghdr align;
    } control;
    if (buf_reserve(&c->in, READ_BYTES) < 0) return false;
    struct iovec part = {.iov_base = c->in.p + c->in.n, .iov_len = READ_BYTES};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    bool fits = !(m.msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (c->fd_count < ADMIN_FRAME_FDS_MAX) {
                c->fds[c->fd_count++] = fd;
            } else {
                (void)close(fd);
                fits = false;
            }
        }
    }
    c->in.n += (size_t)n;
    return n > 0 && fits;
}

static void conn_ready(struct watch *w, int events) {
    struct conn *c = CONTAINER_OF(w, struct conn, watch);
    if (events & WATCH_WRITE) conn_flush(c);
    if (!(events & WATCH_READ)) return;
    size_t before = c->in.n;
    bool open = conn_receive(c);
    bool spoke_out_of_turn = c->call && c->in.n > before;
    if (!open || spoke_out_of_turn) {
        conn_end(c);
        return;
    }
    if (c->call) return;
    struct str body;
    size_t bytes = 0;
    int r = admin_frame_next(buf_view(&c->in), &body, &bytes);
    if (r == 0) return;
    if (r < 0 || c->in.n > bytes) { /* no frame, or a second one before the answer */
        conn_end(c);
        return;
    }
    start_call(c, body);
    buf_done(&c->in); /* c is still there: only the loop's callbacks end a connection */
}

/* ---- listening ---- */

static void accept_one(struct admin *a, int fd) {
    if (a->conn_count == ADMIN_CONNECTIONS_MAX) {
        LOG_WARN("admin connection refused", F_INT("connections_max", ADMIN_CONNECTIONS_MAX));
        (void)close(fd);
        return;
    }
    struct conn *c = xnew(struct conn);
    c->admin = a;
    c->fd = fd;
    c->in = BUF(ADMIN_FRAME_BYTES_MAX + ADMIN_FRAME_HEADER + READ_BYTES);
    c->watch.ready = conn_ready;
    int r = watch_start(a->loop, &c->watch, fd, WATCH_READ);
    if (r < 0) {
        (void)close(fd);
        free(c);
        return;
    }
    c->next = a->conns;
    a->conns = c;
    a->conn_count++;
}

static void listen_ready(struct watch *w, int events) {
    struct admin *a = CONTAINER_OF(w, struct admin, watch);
    (void)events;
    int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        accept_one(a, fd);
        return;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
    LOG_WARN("admin connections wait", F_C("error", strerror(errno)));
    watch_stop(&a->watch); /* level-triggered: it would fire without end */
    timer_arm(a->loop, &a->retry, ACCEPT_RETRY_MS);
}

static void listen_again(struct timer *t) {
    struct admin *a = CONTAINER_OF(t, struct admin, retry);
    if (watch_start(a->loop, &a->watch, a->fd, WATCH_READ) < 0)
        timer_arm(a->loop, &a->retry, ACCEPT_RETRY_MS);
}

static int listen_socket(const char *path, struct err *e) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    AUTO_FREE char *fresh = xasprintf("%s.new", path);
    if (strlen(fresh) >= sizeof at.sun_path)
        return err_set(e, ERR_LIMIT,
                       "the socket path '%s' is longer than %zu bytes: use a shorter "
                       "--run folder",
                       path, sizeof at.sun_path - 5);
    memcpy(at.sun_path, fresh, strlen(fresh));
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_sys(e, errno, "make the admin socket");
    if (unlink(fresh) < 0 && errno != ENOENT) return err_sys(e, errno, "replace '%s'", fresh);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return err_sys(e, errno, "make the admin socket '%s'", path);
    /* Under its name only when it answers: who waits for the name may connect at once. */
    if (chmod(fresh, 0600) < 0 || listen(fd, LISTEN_BACKLOG) < 0 || rename(fresh, path) < 0)
        return err_sys(e, errno, "listen on '%s'", path);
    return STEAL_FD(fd);
}

struct admin *admin_listen(struct loop *l, const char *path, const struct admin_options *o,
                           struct err *e) {
    AUTO_CLOSE int fd = listen_socket(path, e);
    if (fd < 0) return NULL;
    struct admin *a = xnew(struct admin);
    a->loop = l;
    a->options = *o;
    a->watch.ready = listen_ready;
    a->retry.fire = listen_again;
    a->fd = fd;
    int r = watch_start(l, &a->watch, fd, WATCH_READ);
    if (r < 0) {
        free(a);
        (void)err_sys(e, -r, "watch '%s'", path);
        return NULL;
    }
    (void)STEAL_FD(fd);
    a->path = xstrdup(path);
    return a;
}

void admin_close(struct admin *a) {
    if (!a) return;
    watch_stop(&a->watch);
    timer_cancel(&a->retry);
    (void)close(a->fd);
    (void)unlink(a->path);
    while (a->conns) conn_end(a->conns);
    free(a->path);
    free(a);
}
