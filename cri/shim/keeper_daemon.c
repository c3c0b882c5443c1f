/* SPDX-License-Identifier: Apache-2.0 — keeper_daemon.c: the conversation with gridletd.
 *
 * Requests are read only while nothing waits to be sent, so one place (`answer`) is enough for
 * replies that belong to no slot, and a daemon that does not read cannot make us remember more than
 * our tables hold. A daemon that goes away takes its execs with it (nobody waits for them any
 * more); containers go on, and what ended is in exit.json. */
#include "cri/launch/kernel.h"
#include "cri/shim/keeper.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void forget_daemon(struct keeper *k) {
    if (k->daemon < 0) return;
    (void)epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->daemon, NULL);
    keeper_close(&k->daemon);
    k->welcome = k->listing = k->has_answer = k->paused = false;
    k->sandbox_news = 0;
    keeper_close(&k->netlink);
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++) {
        struct exec *x = &k->execs[i];
        x->news = 0;
        if (x->state == EXEC_ENDED)
            keeper_exec_free(x);
        else if (x->child.pid)
            keeper_exec_kill(x);
    }
}

void keeper_accept(struct keeper *k) {
    int fd = accept4(k->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    forget_daemon(k);
    k->daemon = fd;
    keeper_watch(k, fd, EVENT_DAEMON, 0);
}

/* ---- requests ---- */

static void signal_container(struct keeper *k, const struct shim_message *m) {
    const struct container *c = keeper_find(k, m->container);
    if (c && c->child.pid) keeper_kill(&c->child, (int)m->number);
}

static void kill_container(struct keeper *k, const struct shim_message *m) {
    const struct container *c = keeper_find(k, m->container);
    if (c) keeper_container_kill(c);
}

static void reopen_log(struct keeper *k, const struct shim_message *m) {
    struct container *c = keeper_find(k, m->container);
    struct shim_message *answer = &k->out;
    memset(answer, 0, sizeof *answer);
    answer->op = SHIM_LOG_REOPENED;
    memcpy(answer->container, m->container, SHIM_ID_BYTES);
    answer->sys = ENOENT;
    if (c && c->state == CONTAINER_RUNNING) {
        keeper_raise();
        answer->sys = -keeper_log_reopen(&c->log);
        keeper_lower();
    }
    keeper_answer(k, answer);
}

/* What this daemon asks to start, it describes for its own gridlet-init: the one we have may be of
 * another version. */
static void hello(struct keeper *k, const struct shim_message *m, int *fds) {
    for (uint32_t i = 0; i < m->fd_count; i++) {
        if (m->roles[i] != SHIM_ROLE_INIT) continue;
        keeper_close(&k->init);
        k->init = STEAL_FD(fds[i]);
    }
    k->welcome = k->listing = true;
    k->list_next = 0;
    keeper_save_again(k);
}

static void request(struct keeper *k, const struct shim_message *m, int *fds) {
    const struct exec *x = NULL;
    switch ((int)m->op) {
    case SHIM_HELLO: hello(k, m, fds); break;
    case SHIM_SANDBOX: keeper_sandbox(k, m, fds); break;
    case SHIM_START: keeper_start(k, m, fds); break;
    case SHIM_SIGNAL: signal_container(k, m); break;
    case SHIM_KILL: kill_container(k, m); break;
    case SHIM_EXEC: keeper_exec(k, m, fds); break;
    case SHIM_EXEC_KILL:
        x = keeper_exec_find(k, m->exec);
        if (x) keeper_exec_kill(x);
        break;
    case SHIM_REOPEN_LOG: reopen_log(k, m); break;
    case SHIM_SHUTDOWN: k->closing = true; break;
    default: (void)dprintf(2, "gridlet-shim: %s: unknown request %u\n", k->pod, m->op);
    }
}

void keeper_daemon_ready(struct keeper *k, uint32_t events) {
    int fds[SHIM_FDS_MAX];
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return; /* room: keeper_tell() uses it */
    if (k->paused && !(events & (EPOLLHUP | EPOLLERR))) return;
    memset(&k->in, 0, offsetof(struct shim_message, path));
    int r = shim_receive(k->daemon, &k->in, fds);
    if (r == -EAGAIN) return;
    if (r <= 0) return forget_daemon(k);
    request(k, &k->in, fds);
    for (int i = 0; i < SHIM_FDS_MAX; i++) keeper_close(&fds[i]);
}

/* ---- news ---- */

/* False: the queue is full, or there is no daemon any more. */
static bool send_out(struct keeper *k, const struct shim_message *m, const int *fds) {
    int r = k->daemon >= 0 ? shim_send(k->daemon, m, fds) : -EPIPE;
    if (r < 0 && r != -EAGAIN) forget_daemon(k);
    return r == 0;
}

static struct shim_message *blank(struct keeper *k, enum shim_op op) {
    memset(&k->out, 0, offsetof(struct shim_message, path) + 1);
    k->out.op = op;
    return &k->out;
}

void keeper_answer(struct keeper *k, const struct shim_message *m) {
    if (send_out(k, m, NULL) || k->daemon < 0) return;
    k->answer = *m;
    k->has_answer = true;
}

static bool tell_welcome(struct keeper *k) {
    if (!k->welcome) return true;
    struct shim_message *m = blank(k, SHIM_WELCOME);
    m->number = SHIM_WIRE_VERSION;
    m->pid = k->reaper.pid;
    if (k->net >= 0) {
        m->fd_count = 1;
        m->roles[0] = SHIM_ROLE_NET;
    }
    if (!send_out(k, m, &k->net)) return false;
    k->welcome = false;
    return true;
}

static struct shim_message *about(struct keeper *k, enum shim_op op, const struct container *c) {
    struct shim_message *m = blank(k, op);
    memcpy(m->container, c->id, SHIM_ID_BYTES);
    return m;
}

static bool tell_failed(struct keeper *k, struct container *c) {
    struct shim_message *m = about(k, SHIM_START_FAILED, c);
    m->sys = c->failed_sys;
    m->at_ns = c->finished_ns;
    (void)snprintf(m->text, sizeof m->text, "%s", k->cold[keeper_slot(k, c)].failed_text);
    return send_out(k, m, NULL);
}

static bool tell_ended(struct keeper *k, struct container *c) {
    struct shim_message *m = about(k, SHIM_EXITED, c);
    m->number = c->exit_code;
    m->at_ns = c->finished_ns;
    if (c->oom_killed) m->flags |= SHIM_OOM_KILLED;
    return send_out(k, m, NULL);
}

/* One that is over is listed only when no file says so; its end, which follows, may be told twice.
 */
static bool tell_listed(struct keeper *k, struct container *c) {
    bool over = c->state == CONTAINER_TOLD;
    if (c->state == CONTAINER_FREE || (over && !c->unsaved)) return true;
    struct shim_message *m = about(k, SHIM_CONTAINER, c);
    m->pid = c->child.pid;
    m->at_ns = c->started_ns;
    if (!send_out(k, m, NULL)) return false;
    if (!over) return true;
    return keeper_container_failed(k, c) ? tell_failed(k, c) : tell_ended(k, c);
}

static bool tell_list(struct keeper *k) {
    for (; k->listing && k->list_next < SHIM_CONTAINERS_MAX; k->list_next++)
        if (!tell_listed(k, &k->containers[k->list_next])) return false;
    if (k->listing && !send_out(k, blank(k, SHIM_LISTED), NULL)) return false;
    k->listing = false;
    return true;
}

static bool tell_sandbox(struct keeper *k) {
    if (!k->sandbox_news) return true;
    bool made = k->sandbox_news == NEWS_STARTED;
    struct shim_message *m = blank(k, made ? SHIM_SANDBOX_READY : SHIM_SANDBOX_FAILED);
    int fds[2] = {k->net, k->netlink};
    if (made && k->net >= 0) {
        m->fd_count = 2;
        m->roles[0] = SHIM_ROLE_NET;
        m->roles[1] = SHIM_ROLE_NETLINK;
    }
    m->sys = k->sandbox_sys;
    m->pid = k->reaper.pid;
    if (!made) (void)snprintf(m->text, sizeof m->text, "%s", k->sandbox_text);
    if (!send_out(k, m, fds)) return false;
    k->sandbox_news = 0;
    keeper_close(&k->netlink);
    return true;
}

static bool tell_started(struct keeper *k, struct container *c) {
    struct shim_message *m = about(k, SHIM_STARTED, c);
    m->pid = c->child.pid ? c->child.pid : c->first_pid;
    m->at_ns = c->started_ns;
    return send_out(k, m, NULL);
}

static bool tell_container(struct keeper *k, struct container *c) {
    static bool (*const tellers[])(struct keeper *, struct container *) = {tell_started,
                                                                           tell_failed, tell_ended};
    for (unsigned i = 0; i < COUNT(tellers); i++) {
        if (!(c->news & 1u << i)) continue;
        if (!tellers[i](k, c)) return false;
        c->news &= ~(1u << i);
    }
    return true;
}

static bool tell_exec(struct keeper *k, struct exec *x) {
    if (x->news & NEWS_STARTED) {
        struct shim_message *m = blank(k, SHIM_EXEC_STARTED);
        m->exec = x->number;
        m->pid = x->child.pid;
        m->fd_count = x->tty >= 0;
        m->roles[0] = SHIM_ROLE_TTY;
        if (!send_out(k, m, &x->tty)) return false;
        keeper_close(&x->tty);
    }
    x->news &= ~(unsigned)NEWS_STARTED;
    if (x->news) {
        bool failed = x->news & NEWS_FAILED;
        struct shim_message *m = blank(k, failed ? SHIM_EXEC_FAILED : SHIM_EXEC_EXITED);
        m->exec = x->number;
        m->number = x->exit_code;
        m->sys = x->failed_sys;
        if (failed) (void)snprintf(m->text, sizeof m->text, "%s", k->exec_text[x - k->execs]);
        if (!send_out(k, m, NULL)) return false;
    }
    x->news = 0;
    return true;
}

static bool tell_all(struct keeper *k) {
    if (k->has_answer && !send_out(k, &k->answer, NULL)) return false;
    k->has_answer = false;
    if (!tell_welcome(k) || !tell_list(k) || !tell_sandbox(k)) return false;
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++)
        if (k->containers[i].news && !tell_container(k, &k->containers[i])) return false;
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++)
        if (k->execs[i].news && !tell_exec(k, &k->execs[i])) return false;
    return true;
}

/* Slots whose story is over and told, or has nobody to be told to. */
static void free_slots(struct keeper *k) {
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        struct container *c = &k->containers[i];
        if (k->daemon < 0) c->news = 0;
        if (c->state == CONTAINER_TOLD && !c->news) keeper_container_free(c);
    }
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++) {
        struct exec *x = &k->execs[i];
        if (k->daemon < 0) x->news = 0;
        if (x->state == EXEC_ENDED && !x->news) keeper_exec_free(x);
    }
}

void keeper_tell(struct keeper *k) {
    bool all = k->daemon >= 0 && tell_all(k);
    free_slots(k);
    if (k->daemon < 0 || k->paused == !all) return;
    k->paused = !all;
    struct epoll_event e = {.events = all ? EPOLLIN : EPOLLOUT,
                            .data.u64 = (uint64_t)EVENT_DAEMON << 32};
    (void)epoll_ctl(k->epoll, EPOLL_CTL_MOD, k->daemon, &e);
}
