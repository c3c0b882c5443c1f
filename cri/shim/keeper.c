/* SPDX-License-Identifier: Apache-2.0 — keeper.c: the shim's event loop.
 *
 * One epoll event at a time, so that no event of a batch can be about a descriptor that an earlier
 * one closed. Whatever happened, the daemon is told at the end of the turn, as far as its queue
 * takes it; what it does not take waits as flags in the slots. A child is noticed by SIGCHLD and
 * reaped in one place, ours and orphans alike (we are their subreaper). */
#include "cri/shim/keeper.h"

#include "base/own.h"
#include "cri/launch/kernel.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define OOM_SCORE "-999"

void keeper_close(int *fd) {
    if (*fd >= 0) (void)close(*fd);
    *fd = -1;
}

static void die(const char *what) __attribute__((noreturn));
static void die(const char *what) {
    (void)dprintf(2, "gridlet-shim: %s: %s\n", what, strerror(errno));
    _exit(1);
}

void keeper_watch(struct keeper *k, int fd, enum keeper_event event, uint32_t slot) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)event << 32 | slot};
    if (epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e) < 0) die("watch a descriptor");
}

/* Moves a descriptor of enum shim_fd out of the way. */
static int move_up(int fd) {
    int up = fcntl(fd, F_DUPFD_CLOEXEC, KEEPER_FD_FIRST);
    if (up >= 0) (void)close(fd);
    return up;
}

/* 3..15 stay taken, so that no descriptor of ours ever has a number that init expects something
 * else under. */
static void take_low_numbers(struct keeper *k) {
    k->listen = move_up(SHIM_FD_LISTEN);
    k->daemon = move_up(SHIM_FD_DAEMON);
    k->init = move_up(SHIM_FD_INIT);
    if (k->init < 0) die("no gridlet-init on descriptor 5");
    k->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (k->null < 0) die("open /dev/null");
    for (int fd = SHIM_FD_LISTEN; fd < KEEPER_FD_FIRST; fd++)
        if (fd != k->null && fcntl(fd, F_GETFD) < 0 && dup3(k->null, fd, O_CLOEXEC) < 0)
            die("take the low descriptors");
    k->null = fcntl(k->null, F_DUPFD_CLOEXEC, KEEPER_FD_FIRST);
}

static void set_up_process(struct keeper *k) {
    sigset_t signals;
    (void)setsid();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, OOM_SCORE, sizeof OOM_SCORE - 1) < 0 && errno != EACCES)
        (void)dprintf(2, "gridlet-shim: oom_score_adj: %s\n", strerror(errno));
    keeper_close(&fd);
    k->own_pid_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (k->own_pid_ns < 0) die("open /proc/self/ns/pid");
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    k->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    k->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (k->signals < 0 || k->timer < 0 || k->epoll < 0) die("make the event loop");
    keeper_watch(k, k->signals, EVENT_SIGNAL, 0);
    keeper_watch(k, k->timer, EVENT_TIMER, 0);
    if (k->listen >= 0) {
        (void)fcntl(k->listen, F_SETFL, O_NONBLOCK);
        keeper_watch(k, k->listen, EVENT_LISTEN, 0);
    }
    if (k->daemon >= 0) keeper_watch(k, k->daemon, EVENT_DAEMON, 0);
    keeper_lower();
}

/* ---- children ---- */

static bool exited(struct keeper *k, pid_t pid, int status) {
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        if (k->containers[i].child.pid != pid) continue;
        keeper_container_exited(k, &k->containers[i], status);
        return true;
    }
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++) {
        if (k->execs[i].child.pid != pid) continue;
        keeper_exec_exited(k, &k->execs[i], status);
        return true;
    }
    return keeper_sandbox_exited(k, pid);
}

static void reap(struct keeper *k) {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) (void)exited(k, pid, status);
}

static void kill_everything(struct keeper *k) {
    k->closing = true;
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++)
        if (k->execs[i].child.pid) keeper_exec_kill(&k->execs[i]);
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++)
        if (k->containers[i].child.pid) keeper_container_kill(&k->containers[i]);
    if (k->reaper.pid) keeper_kill(&k->reaper, SIGKILL);
    if (k->maker.pid) keeper_kill(&k->maker, SIGKILL);
}

static bool anything_left(const struct keeper *k) {
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++)
        if (k->execs[i].child.pid) return true;
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        enum container_state state = k->containers[i].state;
        if (state != CONTAINER_FREE && state != CONTAINER_TOLD) return true;
    }
    return k->reaper.pid || k->maker.pid;
}

static void signalled(struct keeper *k) {
    struct signalfd_siginfo info;
    while (read(k->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(k);
        else
            kill_everything(k); /* the machine goes down, or an operator wants this pod gone */
    }
}

/* ---- the loop ---- */

static void turn(struct keeper *k, const struct epoll_event *e) {
    uint32_t slot = (uint32_t)e->data.u64;
    switch ((enum keeper_event)(e->data.u64 >> 32)) {
    case EVENT_LISTEN: keeper_accept(k); break;
    case EVENT_DAEMON: keeper_daemon_ready(k, e->events); break;
    case EVENT_SIGNAL: signalled(k); break;
    case EVENT_TIMER: keeper_drain_expired(k); break;
    case EVENT_SANDBOX: keeper_sandbox_report(k); break;
    case EVENT_STDOUT: keeper_stream_ready(k, &k->containers[slot], LOG_STDOUT); break;
    case EVENT_STDERR: keeper_stream_ready(k, &k->containers[slot], LOG_STDERR); break;
    case EVENT_REPORT: keeper_container_report(k, &k->containers[slot]); break;
    case EVENT_EXEC_REPORT: keeper_exec_report(k, &k->execs[slot]); break;
    }
}

int keeper_run(struct keeper *k, const char *pod) {
    k->pod = pod;
    k->net = k->ipc = k->uts = k->shm = k->netlink = k->sandbox_report = -1;
    take_low_numbers(k);
    set_up_process(k);
    while (!k->closing || anything_left(k)) {
        struct epoll_event e;
        int n = epoll_wait(k->epoll, &e, 1, -1);
        if (n < 0 && errno != EINTR) die("wait for events");
        if (n == 1) turn(k, &e);
        if (k->closing) kill_everything(k); /* also what was being started meanwhile */
        keeper_tell(k);
    }
    return 0;
}
