/* SPDX-License-Identifier: Apache-2.0 — shim_client.c: starting, finding and hearing a pod's shim.
 *
 * The socket that a later daemon will connect to is bound and listening before the shim exists and
 * handed to it, so there is no moment at which a shim lives and cannot be found. The first
 * connection is a socket pair: no connect, no wait. */
#include "cri/shim_client.h"

#include "base/file.h"
#include "cri/pod.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SHIM_LOG_FILE     "shim.log"
#define SHIM_BACKLOG      4
#define SHIM_MESSAGES_MAX 64 /* read in one turn of the loop, so that others get theirs */

/* sun_path is short and a daemon's folders may be deep: reach the socket through the folder's
 * descriptor. */
static socklen_t socket_address(int pod_run_fd, struct sockaddr_un *out) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", pod_run_fd,
                   SHIM_SOCKET_FILE);
    return (socklen_t)sizeof *out;
}

static int listen_for_daemons(int pod_run_fd, struct err *e) {
    AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    socklen_t n = socket_address(pod_run_fd, &address);
    if (sock < 0) return err_sys(e, errno, "make the shim's socket");
    if (bind(sock, (struct sockaddr *)&address, n) < 0 || listen(sock, SHIM_BACKLOG) < 0)
        return err_sys(e, errno, "listen on the shim's socket");
    return STEAL_FD(sock);
}

int shim_spawn(struct cri *c, const struct shim_start *how, int *out_sock, struct proc *out_proc,
               struct err *e) {
    AUTO_CLOSE int listener = listen_for_daemons(how->pod_run_fd, e);
    if (listener < 0) return -1;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_sys(e, errno, "make the shim's connection");
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    AUTO_CLOSE int log = openat(how->pod_run_fd, SHIM_LOG_FILE,
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0) return err_sys(e, errno, "open the shim's log");
    const char *argv[] = {c->shim_path, "--pod", how->pod_id, NULL};
    const struct proc_fd fds[] = {{log, 1},
                                  {log, 2},
                                  {listener, SHIM_FD_LISTEN},
                                  {theirs, SHIM_FD_DAEMON},
                                  {c->init_fd, SHIM_FD_INIT}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = c->shim_path;
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    spec.cgroup_fd = how->cgroup_fd;
    spec.tasks_fds = how->tasks_fds;
    spec.tasks_count = how->tasks_count;
    struct proc child;
    if (proc_spawn(&spec, &child, e) < 0) return err_in(e, "start the pod's shim");
    *out_proc = child;
    *out_sock = STEAL_FD(ours);
    return 0;
}

void shim_reap(struct proc *p) {
    struct proc_exit ignored;
    if (p->pidfd < 0) return;
    (void)!proc_wait(p, &ignored);
    proc_done(p);
}

int shim_connect(int pod_run_fd, int *out_sock, struct err *e) {
    AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    socklen_t n = socket_address(pod_run_fd, &address);
    if (sock < 0) return err_sys(e, errno, "make a socket to the shim");
    if (connect(sock, (struct sockaddr *)&address, n) < 0)
        return err_sys(e, errno, "connect to the shim");
    *out_sock = STEAL_FD(sock);
    return 0;
}

static void close_all(int *fds) {
    for (size_t i = 0; i < SHIM_FDS_MAX; i++)
        if (fds[i] >= 0) (void)close(fds[i]);
}

static void shim_ready(struct watch *w, int events) {
    struct pod *p = CONTAINER_OF(CONTAINER_OF(w, struct shim, watch), struct pod, shim);
    (void)events;
    for (int i = 0; i < SHIM_MESSAGES_MAX; i++) {
        struct shim_message m;
        int fds[SHIM_FDS_MAX];
        int r = shim_receive(p->shim.sock, &m, fds);
        if (r == -EAGAIN) return;
        if (r == -EBADMSG) continue;
        if (r <= 0) {
            shim_detach(p);
            pod_shim_gone(p);
            return; /* p may be gone */
        }
        pod_on_shim_message(p, &m, fds);
        close_all(fds);
        if (!p->shim.attached) return;
    }
}

void shim_attach(struct pod *p, int sock) {
    assert(p->shim.sock < 0);
    p->shim.sock = sock;
    p->shim.attached = true;
    p->shim.watch = (struct watch){.ready = shim_ready};
    int r = watch_start(p->cri->loop, &p->shim.watch, sock, WATCH_READ);
    assert(r == 0); /* a socket can be watched */
}

void shim_detach(struct pod *p) {
    if (!p->shim.attached) return;
    p->shim.attached = false;
    watch_stop(&p->shim.watch);
    (void)shutdown(p->shim.sock, SHUT_RDWR);
}

void shim_close(struct shim *s) {
    if (s->sock >= 0) (void)close(STEAL_FD(s->sock));
}

int shim_request(const struct shim *s, const struct shim_message *m, const int *fds,
                 struct err *e) {
    if (s->sock < 0) return err_set(e, ERR_BUSY, "the pod's shim is gone");
    int r = shim_send(s->sock, m, fds);
    if (r < 0) return err_sys(e, -r, "ask the pod's shim");
    return 0;
}

struct shim_message shim_message_make(enum shim_op op, const char *container_id) {
    struct shim_message m = {.op = op};
    (void)snprintf(m.container, sizeof m.container, "%s", container_id);
    return m;
}

void shim_message_add_fd(struct shim_message *m, int *fds, int fd, enum shim_role role) {
    if (fd < 0) return;
    assert(m->fd_count < SHIM_FDS_MAX);
    fds[m->fd_count] = fd;
    m->roles[m->fd_count++] = (uint8_t)role;
}
