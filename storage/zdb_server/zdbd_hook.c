/* SPDX-License-Identifier: Apache-2.0 — zdbd_hook.c: the server's side of hooks. */
#include "storage/zdb_server/zdbd_hook.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "storage/zdb_server/zdbd_hook_wire.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#define NS_PER_S 1000000000

extern char **environ;

/* One that was posted; its place in the array is its record's. */
struct posted {
    struct zdbd_hook *hook;
    struct watch watch;
    int fd;
    bool is_used;
};

struct zdbd_hook {
    int fd; /* owned: to the runner */
    struct proc runner;
    pthread_mutex_t lock; /* of sending */
    struct posted posted[ZDBD_HOOK_RECORDS_MAX];
    struct zdbd_hook_record records[ZDBD_HOOK_RECORDS_MAX];
    struct zdbd_hook_record shown[ZDBD_HOOK_RECORDS_MAX];
};

int zdbd_hook_open(const struct zdbd_hook_options *o, struct zdbd_hook **out, struct err *e) {
    int pair[2];
    if (access(o->path, X_OK) < 0) return err_sys(e, errno, "hook '%s'", o->path);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "make a socket for the hook runner");
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    const char *argv[] = {"gridlet-zdb", ZDBD_HOOK_RUNNER,       o->path,
                          o->instance,   o->user ? o->user : "", NULL};
    const struct proc_fd fds[] = {{1, 1}, {2, 2}, {theirs, ZDBD_HOOK_RUNNER_FD}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = o->program;
    spec.argv = argv;
    spec.envp = (const char *const *)environ;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    spec.flags = PROC_NEW_SESSION; /* a ^C in a terminal is the server's to handle */
    struct proc runner = PROC_NONE;
    if (proc_spawn(&spec, &runner, e) < 0) return err_in(e, "start the hook runner");
    struct zdbd_hook *h = xnew(struct zdbd_hook);
    h->fd = STEAL_FD(ours);
    h->runner = runner;
    (void)pthread_mutex_init(&h->lock, NULL);
    *out = h;
    return 0;
}

static void record_done(struct zdbd_hook_record *r) {
    free(r->name);
    for (size_t i = 0; r->args && r->args[i]; i++) free(r->args[i]);
    free(r->args);
    *r = (struct zdbd_hook_record){.pid = 0};
}

void zdbd_hook_close(struct zdbd_hook *h) {
    struct proc_exit x;
    if (!h) return;
    (void)send(h->fd, "", 1, MSG_NOSIGNAL);
    (void)close(h->fd);
    (void)!proc_wait(&h->runner, &x);
    proc_done(&h->runner);
    for (size_t i = 0; i < ZDBD_HOOK_RECORDS_MAX; i++) {
        watch_stop(&h->posted[i].watch);
        if (h->posted[i].is_used && h->posted[i].fd >= 0) (void)close(h->posted[i].fd);
        record_done(&h->records[i]);
    }
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}

static int put_c(struct buf *b, const char *text) { return buf_append(b, text, strlen(text) + 1); }

/* Sends the call; returns the descriptor that tells about it, or -1. */
static int start(struct zdbd_hook *h, const char *name, const char *const *args, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(ZDBD_HOOK_BYTES_MAX);
    int pair[2];
    int r = put_c(&text, name);
    for (size_t i = 0; r == 0 && args[i]; i++) r = put_c(&text, args[i]);
    if (r < 0)
        return err_set(e, ERR_LIMIT, "hook '%s': its arguments have more than %d bytes", name,
                       ZDBD_HOOK_BYTES_MAX);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "make a socket for hook '%s'", name);
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {text.p, text.n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &theirs, sizeof theirs);
    (void)pthread_mutex_lock(&h->lock);
    ssize_t sent = sendmsg(h->fd, &m, MSG_NOSIGNAL);
    int why = errno;
    (void)pthread_mutex_unlock(&h->lock);
    if (sent < 0) return err_sys(e, why, "call hook '%s': the hook runner has gone", name);
    return STEAL_FD(ours);
}

/* 1 and a number; 0: the runner has closed it; -EAGAIN. */
static int receive(int fd, int32_t *out) {
    ssize_t n;
    do n = recv(fd, out, sizeof *out, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    return n == sizeof *out ? 1 : 0;
}

int zdbd_hook_call(struct zdbd_hook *h, const char *name, const char *const *args, struct err *e) {
    int32_t pid = 0;
    int32_t status = 0;
    AUTO_CLOSE int fd = start(h, name, args, e);
    if (fd < 0) return -1;
    if (receive(fd, &pid) <= 0 || receive(fd, &status) <= 0)
        return err_set(e, ERR_IO, "hook '%s' could not be started, or its runner has gone", name);
    return status;
}

static void posted_ready(struct watch *w, int events) {
    (void)events;
    struct posted *p = CONTAINER_OF(w, struct posted, watch);
    struct zdbd_hook_record *r = &p->hook->records[p - p->hook->posted];
    int32_t n = 0;
    int got = receive(p->fd, &n);
    if (got == -EAGAIN) return;
    if (got == 1 && !r->pid) {
        r->pid = n;
        return;
    }
    r->status = got == 1 ? n : -1;
    r->finished_s = clock_wall_ns() / NS_PER_S;
    watch_stop(w);
    (void)close(STEAL_FD(p->fd));
    if (r->status != 0) LOG_WARN("hook failed", F_C("hook", r->name), F_INT("status", r->status));
}

static void forget_old(struct zdbd_hook *h) {
    int64_t now = clock_wall_ns() / NS_PER_S;
    for (size_t i = 0; i < ZDBD_HOOK_RECORDS_MAX; i++) {
        struct zdbd_hook_record *r = &h->records[i];
        if (!h->posted[i].is_used || !r->finished_s) continue;
        if (now - r->finished_s < ZDBD_HOOK_RECORD_MS / 1000) continue;
        h->posted[i].is_used = false;
        record_done(r);
    }
}

/* A free place; when all are shown still, that of the first one that has ended. */
static ssize_t free_place(struct zdbd_hook *h) {
    ssize_t ended = -1;
    forget_old(h);
    for (size_t i = 0; i < ZDBD_HOOK_RECORDS_MAX; i++) {
        if (!h->posted[i].is_used) return (ssize_t)i;
        if (ended < 0 && h->records[i].finished_s) ended = (ssize_t)i;
    }
    if (ended >= 0) record_done(&h->records[ended]);
    return ended;
}

static char **copy_args(const char *const *args) {
    size_t n = 0;
    while (args[n]) n++;
    char **copy = xmalloc((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) copy[i] = xstrdup(args[i]);
    return copy;
}

void zdbd_hook_post(struct zdbd_hook *h, struct loop *l, const char *name,
                    const char *const *args) {
    struct err e = {0};
    if (!h) return;
    ssize_t place = free_place(h);
    if (place < 0) {
        LOG_WARN("hook not called: too many are running", F_C("hook", name));
        return;
    }
    struct posted *p = &h->posted[place];
    *p = (struct posted){.hook = h, .watch = {.ready = posted_ready}, .fd = -1, .is_used = true};
    h->records[place] = (struct zdbd_hook_record){
        .name = xstrdup(name), .args = copy_args(args), .created_s = clock_wall_ns() / NS_PER_S};
    p->fd = start(h, name, args, &e);
    if (p->fd < 0 || watch_start(l, &p->watch, p->fd, WATCH_READ) < 0) {
        LOG_WARN("hook not called", F_C("hook", name), F_ERR(&e));
        h->records[place].status = -1;
        h->records[place].finished_s = clock_wall_ns() / NS_PER_S;
    }
}

size_t zdbd_hook_records(struct zdbd_hook *h, const struct zdbd_hook_record **out) {
    size_t n = 0;
    forget_old(h);
    for (size_t i = 0; i < ZDBD_HOOK_RECORDS_MAX; i++)
        if (h->posted[i].is_used) h->shown[n++] = h->records[i];
    *out = h->shown;
    return n;
}
