/* SPDX-License-Identifier: Apache-2.0 — zdbd_hook_runner.c: the process that executes hooks.
 *
 * Single-threaded: it polls the server's socket and the pidfds of the hooks that run. At most
 * RUNNING_MAX run at once; more wait in the socket. It ends when the server has gone and the last
 * hook has ended. */
#include "storage/zdb_server/zdbd_hook.h"
#include "storage/zdb_server/zdbd_hook_wire.h"

#include "base/log.h"
#include "base/proc.h"
#include "storage/zdb_server/zdbd_privileges.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#define RUNNING_MAX 64

extern char **environ;

struct running {
    struct proc proc;
    int fd; /* owned: who wants to know; -1: nobody */
};

struct runner {
    const char *path, *instance;
    struct running running[RUNNING_MAX];
    size_t count;
    bool is_orderly; /* the server said that it ends */
};

static void tell(int fd, int32_t n) {
    if (fd >= 0) (void)send(fd, &n, sizeof n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* words: name and arguments, NULL-terminated. fd is taken. */
static void start(struct runner *r, const char *const *words, int fd) {
    const char *argv[ZDBD_HOOK_ARGS_MAX + 4] = {r->path, words[0], r->instance};
    for (size_t i = 1; words[i]; i++) argv[i + 2] = words[i];
    const struct proc_fd fds[] = {{1, 1}, {2, 2}};
    struct proc_spec spec = PROC_SPEC;
    struct err e = {0};
    struct running *x = &r->running[r->count];
    spec.path = r->path;
    spec.argv = argv;
    spec.envp = (const char *const *)environ;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    *x = (struct running){.proc = PROC_NONE, .fd = fd};
    if (proc_spawn(&spec, &x->proc, &e) < 0) {
        LOG_ERROR("hook could not be started", F_C("hook", words[0]), F_ERR(&e));
        if (fd >= 0) (void)close(fd);
        return;
    }
    tell(fd, x->proc.pid);
    r->count++;
}

static int taken_fd(struct msghdr *m) {
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* One message. False: the server has gone. */
static bool take_call(struct runner *r) {
    static char bytes[ZDBD_HOOK_BYTES_MAX + 1];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {bytes, sizeof bytes - 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(ZDBD_HOOK_RUNNER_FD, &m, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    int fd = taken_fd(&m);
    bytes[n] = '\0';
    if (fd < 0 && n == 1) {
        r->is_orderly = true;
        return true;
    }
    const char *words[ZDBD_HOOK_ARGS_MAX + 1] = {NULL};
    size_t count = 0;
    for (char *at = bytes; at < bytes + n && count < ZDBD_HOOK_ARGS_MAX; at += strlen(at) + 1)
        words[count++] = at;
    start(r, words, fd);
    return true;
}

static void collect(struct runner *r, size_t i) {
    struct proc_exit exited;
    struct running *x = &r->running[i];
    if (proc_try_wait(&x->proc, &exited) < 0) return;
    tell(x->fd, proc_exit_code(exited));
    if (x->fd >= 0) (void)close(x->fd);
    proc_done(&x->proc);
    *x = r->running[--r->count];
}

static void run(struct runner *r) {
    bool is_open = true;
    while (is_open || r->count > 0) {
        struct pollfd fds[RUNNING_MAX + 1];
        for (size_t i = 0; i < r->count; i++)
            fds[i] = (struct pollfd){.fd = r->running[i].proc.pidfd, .events = POLLIN};
        bool takes = is_open && r->count < RUNNING_MAX;
        size_t count = r->count;
        fds[count] = (struct pollfd){.fd = takes ? ZDBD_HOOK_RUNNER_FD : -1, .events = POLLIN};
        if (poll(fds, count + 1, -1) < 0) continue;
        for (size_t i = count; i-- > 0;) /* the last one takes the place of one that has ended */
            if (fds[i].revents) collect(r, i);
        if (!fds[count].revents || take_call(r)) continue;
        is_open = false;
        if (!r->is_orderly && r->count < RUNNING_MAX) start(r, (const char *[]){"crash", NULL}, -1);
    }
}

int zdbd_hook_runner_main(int argc, char **argv) {
    struct runner r = {.path = NULL};
    struct err e = {0};
    if (argc != 5) return 2;
    r.path = argv[2];
    r.instance = argv[3];
    (void)signal(SIGPIPE, SIG_IGN);
    if (argv[4][0] && zdbd_privileges_become(argv[4], &e) < 0) {
        LOG_ERROR("hook runner cannot start", F_ERR(&e));
        return 1;
    }
    run(&r);
    return 0;
}
