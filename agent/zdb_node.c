/* SPDX-License-Identifier: Apache-2.0 — zdb_node.c: starting, finding, watching the server.
 *
 * OFF -> PREPARING -> STARTING -> ASKING -> UP; a death leads to PAUSE, and that to PREPARING.
 *
 * PREPARING (a worker): folders, password, config file (zdb_config.c). The lock RUN/zdb.lock tells
 * whether a server lives: the child inherits the locked descriptor, so it is held from before its
 * first instruction until after its last, whatever becomes of us. Held: a former gridletd's server
 * is taken over; the credentials of its socket say which process it is. A config file that differs
 * from what we want means that it runs with old settings: it is asked to end, and the next one gets
 * ours. The file is written only when no server lives, so it always says how the living one runs.
 *
 * STARTING: until --ready-fd speaks, or the socket of a server taken over answers. ASKING: every
 * namespace's limit is taken to the contract, since grants are not on disk. Only then UP, and
 * whoever waits is told. */
#include "agent/zdb_node.h"

#include "agent/zdb_config.h"
#include "agent/zdb_grants.h"
#include "agent/zdb_owner.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#define PATIENCE_MS    600000 /* opening large namespaces may take minutes */
#define PAUSE_MS       200
#define PAUSE_MS_MAX   30000
#define STEADY_MS      60000 /* lived so long: the pause is small again */
#define KNOCK_MS       50    /* between looks at the socket of a server taken over */
#define CHILD_LOCK_FD  3
#define CHILD_READY_FD 4
#define READY_LINE     "READY=1\n"
#define TIMEOUT_MS     30000 /* of a command: a namespace may be large to open or remove */

enum phase { OFF, PREPARING, STARTING, ASKING, UP, PAUSE };

struct waiter {
    struct waiter *next;
    void (*done)(void *user, struct zdb_client *c, const struct err *e);
    void *user;
};

struct zdb_node {
    struct loop *loop;
    struct zdb_node_options o;
    struct zdb_config config; /* the worker's while PREPARING */
    enum phase phase;
    struct waiter *waiters;
    size_t holds;
    struct task tell; /* those that came while it is UP, or CANCELLED */
    bool telling;
    struct job prepare;
    struct task prepared;
    int prepare_result;
    struct err prepare_error;
    struct timer timer; /* knocking, pause */
    struct proc proc;
    bool is_child;
    struct watch exited, ready;
    int ready_fd;
    uint64_t since_ms, give_up_ms, pause_ms;
    struct zdb_client *client;
    bool asked; /* we asked it to end: with other settings it is started anew, or not needed */
    bool late;  /* it was killed since it did not serve in time */
    bool closing;
};

static void begin(struct zdb_node *z);

static void tell_all(struct zdb_node *z, const struct err *e) {
    struct waiter *w = STEAL(z->waiters);
    for (struct waiter *next; w; w = next) {
        next = w->next;
        w->done(w->user, e ? NULL : z->client, e);
        free(w);
    }
}

static void release_server(struct zdb_node *z) {
    watch_stop(&z->exited);
    watch_stop(&z->ready);
    if (z->ready_fd >= 0) (void)close(STEAL_FD(z->ready_fd));
    proc_done(&z->proc);
    z->proc = PROC_NONE;
    zdb_client_close(STEAL(z->client), NULL, NULL);
    timer_cancel(&z->timer);
}

/* The server, as its own user, may not: the folder is ours. */
static void remove_socket(const struct zdb_node *z) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, z->o.run);
    if (unlink(path) < 0 && errno != ENOENT)
        LOG_WARN("the 0-db server's socket stays", F_C("path", path),
                 F_C("error", strerror(errno)));
}

/* After a death or a failed start: a pause, then anew. */
static void retry(struct zdb_node *z, const struct err *e) {
    bool asked = z->asked;
    release_server(z);
    z->asked = z->late = false;
    z->give_up_ms = 0;
    z->phase = OFF;
    if (asked) {
        if (z->waiters || zdb_config_has_namespaces(z->o.root)) {
            begin(z);
            return;
        }
        LOG_INFO("the 0-db server has ended: no namespace is left");
        remove_socket(z);
        return;
    }
    LOG_ERROR("the 0-db server does not serve; it is started again", F_U64("after_ms", z->pause_ms),
              F_ERR(e));
    z->phase = PAUSE;
    timer_arm(z->loop, &z->timer, z->pause_ms);
    z->pause_ms = z->pause_ms * 2 < PAUSE_MS_MAX ? z->pause_ms * 2 : PAUSE_MS_MAX;
    tell_all(z, e);
}

/* ---- its end ---- */

static void on_end(struct watch *w, int events) {
    struct zdb_node *z = CONTAINER_OF(w, struct zdb_node, exited);
    struct proc_exit x = {.status = 0};
    struct err e;
    (void)events;
    bool reaped = z->is_child && proc_try_wait(&z->proc, &x) == 0;
    if (z->late)
        (void)err_set(&e, ERR_TIMEOUT, "gridlet-zdb did not serve in %llu ms and was killed",
                      (unsigned long long)z->o.patience_ms);
    else if (reaped)
        (void)err_set(&e, ERR_IO, "gridlet-zdb has ended with %s %d; its log says why",
                      x.signal ? "signal" : "status", x.signal ? x.signal : x.status);
    else
        (void)err_set(&e, ERR_IO, "gridlet-zdb has ended");
    if (clock_ms() - z->since_ms >= STEADY_MS) z->pause_ms = z->o.pause_ms;
    retry(z, &e);
}

static int watch_server(struct zdb_node *z) {
    z->since_ms = clock_ms();
    return watch_start(z->loop, &z->exited, z->proc.pidfd, WATCH_READ);
}

/* ---- it serves ---- */

static void admitted(void *user, size_t count, const struct err *e) {
    struct zdb_node *z = user;
    if (z->phase != ASKING) return; /* it died meanwhile */
    if (e) {
        LOG_ERROR("the 0-db server does not answer: it is ended", F_ERR(e));
        (void)!proc_kill(&z->proc, SIGKILL); /* on_end() goes on */
        return;
    }
    z->phase = UP;
    z->give_up_ms = 0;
    LOG_INFO("the 0-db server serves", F_INT("pid", z->proc.pid), F_U64("namespaces", count));
    tell_all(z, NULL);
}

static void ask(struct zdb_node *z) {
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, z->o.run);
    struct zdb_client_options o = {.address = str_of(path),
                                   .admin_password = str_of(z->config.admin_password),
                                   .timeout_ms = TIMEOUT_MS};
    struct err e;
    z->phase = ASKING;
    timer_cancel(&z->timer);
    if (zdb_client_new(z->loop, &o, &z->client, &e) < 0) {
        LOG_ERROR("the 0-db server cannot be used: it is ended", F_ERR(&e));
        (void)!proc_kill(&z->proc, SIGTERM); /* on_end() goes on */
        return;
    }
    struct zdb_grants g = {.root = z->o.root,
                           .client = z->client,
                           .admission = z->o.admission,
                           .done = admitted,
                           .user = z};
    zdb_grants_load(&g);
}

static void too_late(struct zdb_node *z) {
    struct err e;
    z->late = true;
    if (z->exited.impl && proc_kill(&z->proc, SIGKILL) == 0) return; /* on_end() goes on */
    (void)err_set(&e, ERR_TIMEOUT,
                  "a gridlet-zdb holds '%s/" ZDB_NODE_LOCK "' but does not serve: end it",
                  z->o.run);
    retry(z, &e);
}

/* Asks it to end; on_end() goes on. */
static void end_it(struct zdb_node *z) {
    z->asked = true;
    z->phase = STARTING;
    timer_arm(z->loop, &z->timer, z->o.patience_ms);
    (void)!proc_kill(&z->proc, SIGTERM);
}

/* ---- a child of ours ---- */

static void on_ready(struct watch *w, int events) {
    struct zdb_node *z = CONTAINER_OF(w, struct zdb_node, ready);
    char line[64];
    (void)events;
    ssize_t n = read(z->ready_fd, line, sizeof line);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    watch_stop(&z->ready);
    (void)close(STEAL_FD(z->ready_fd));
    if (n > 0 && str_starts(str_make(line, (size_t)n), STR(READY_LINE))) ask(z);
    /* else it has ended, or is about to: on_end() */
}

static int spawn(struct zdb_node *z, struct err *e) {
    AUTO_FREE char *program = xasprintf("%s/gridlet-zdb", z->o.program_dir);
    AUTO_FREE char *config = xasprintf("%s/" ZDB_NODE_FOLDER "/gridlet-zdb.yaml", z->o.root);
    char ready[8];
    int pipe_fds[2];
    (void)snprintf(ready, sizeof ready, "%d", CHILD_READY_FD);
    const char *argv[] = {"gridlet-zdb", "--config", config, "--ready-fd", ready, NULL};
    /* In a sanitized build: its leak checker cannot work behind the server's own walls. */
    const char *asan = getenv("ASAN_OPTIONS") ? "ASAN_OPTIONS=detect_leaks=0" : NULL;
    const char *envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", asan, NULL};
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) return err_sys(e, errno, "make a pipe");
    AUTO_CLOSE int told = pipe_fds[1];
    z->ready_fd = pipe_fds[0];
    struct proc_fd fds[] = {{STDERR_FILENO, STDOUT_FILENO},
                            {STDERR_FILENO, STDERR_FILENO},
                            {z->config.lock_fd, CHILD_LOCK_FD},
                            {told, CHILD_READY_FD}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = program;
    spec.argv = argv;
    spec.envp = envp;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    spec.flags = PROC_NEW_SESSION;
    if (proc_spawn(&spec, &z->proc, e) < 0) return err_in(e, "start '%s'", program);
    z->is_child = true;
    (void)close(STEAL_FD(z->config.lock_fd)); /* the child's from now on */
    int r = watch_server(z);
    if (r == 0) r = watch_start(z->loop, &z->ready, z->ready_fd, WATCH_READ);
    if (r == 0) return 0;
    (void)!proc_kill(&z->proc, SIGKILL);
    (void)!proc_wait(&z->proc, &(struct proc_exit){.status = 0});
    return err_sys(e, -r, "watch gridlet-zdb");
}

/* ---- a server of a former gridletd ---- */

static void knock(struct zdb_node *z) {
    if (clock_ms() >= z->give_up_ms) {
        too_late(z);
        return;
    }
    AUTO_FREE char *path = xasprintf("%s/" ZDB_NODE_SOCKET, z->o.run);
    if (zdb_owner_find(path, &z->proc) < 0) {
        /* It is starting, or it has ended: then the lock is free. */
        z->phase = PAUSE;
        timer_arm(z->loop, &z->timer, KNOCK_MS);
        return;
    }
    z->is_child = false;
    if (watch_server(z) < 0) {
        too_late(z);
        return;
    }
    LOG_INFO("the 0-db server of an earlier gridletd is taken over", F_INT("pid", z->proc.pid));
    if (!z->config.differs) {
        ask(z);
        return;
    }
    LOG_WARN("it runs with other settings: it is started anew");
    end_it(z);
}

/* ---- beginning ---- */

static void prepare(struct job *j) {
    struct zdb_node *z = CONTAINER_OF(j, struct zdb_node, prepare);
    z->prepare_result = zdb_config_prepare(&z->config, &z->prepare_error);
    loop_post(z->loop, &z->prepared);
}

static void prepared(struct task *t) {
    struct zdb_node *z = CONTAINER_OF(t, struct zdb_node, prepared);
    struct err e;
    if (z->closing) return;
    if (z->prepare_result < 0) {
        retry(z, &z->prepare_error);
        return;
    }
    z->phase = STARTING;
    if (z->config.lock_fd < 0) {
        knock(z);
        return;
    }
    if (spawn(z, &e) < 0)
        retry(z, &e);
    else
        timer_arm(z->loop, &z->timer, z->o.patience_ms);
}

static void begin(struct zdb_node *z) {
    if (!z->give_up_ms) z->give_up_ms = clock_ms() + z->o.patience_ms;
    z->phase = PREPARING;
    loop_work(z->loop, &z->prepare);
}

static void on_timer(struct timer *t) {
    struct zdb_node *z = CONTAINER_OF(t, struct zdb_node, timer);
    if (z->phase == STARTING) {
        too_late(z);
        return;
    }
    begin(z);
}

static void tell_task(struct task *t) {
    struct zdb_node *z = CONTAINER_OF(t, struct zdb_node, tell);
    struct err e;
    z->telling = false;
    (void)err_set(&e, ERR_CANCELLED, "gridletd is stopping");
    if (z->closing)
        tell_all(z, &e);
    else if (z->phase == UP)
        tell_all(z, NULL);
}

static void tell_soon(struct zdb_node *z) {
    if (z->telling) return;
    z->telling = true;
    loop_post(z->loop, &z->tell);
}

int zdb_node_open(struct loop *l, const struct zdb_node_options *o, struct zdb_node **out,
                  struct err *e) {
    char addr[64];
    unsigned port;
    if (o->listen && zdb_config_listen(o->listen, addr, &port, e) < 0) return -1;
    struct zdb_node *z = xnew(struct zdb_node);
    z->loop = l;
    z->o = *o;
    if (!z->o.patience_ms) z->o.patience_ms = PATIENCE_MS;
    if (!z->o.pause_ms) z->o.pause_ms = PAUSE_MS;
    z->pause_ms = z->o.pause_ms;
    z->config =
        (struct zdb_config){.root = o->root, .run = o->run, .listen = o->listen, .lock_fd = -1};
    z->prepare.run = prepare;
    z->prepared.run = prepared;
    z->tell.run = tell_task;
    z->timer.fire = on_timer;
    z->exited.ready = on_end;
    z->ready.ready = on_ready;
    z->ready_fd = -1;
    z->proc = PROC_NONE;
    *out = z;
    if (zdb_config_has_namespaces(o->root)) begin(z);
    return 0;
}

void zdb_node_close(struct zdb_node *z) {
    if (!z) return;
    z->closing = true;
    release_server(z);
    z->phase = OFF;
    tell_soon(z);
}

void zdb_node_free(struct zdb_node *z) {
    if (!z) return;
    zdb_config_done(&z->config);
    explicit_bzero(&z->config, sizeof z->config);
    free(z);
}

void zdb_node_want(struct zdb_node *z,
                   void (*done)(void *user, struct zdb_client *c, const struct err *e),
                   void *user) {
    struct waiter *w = xnew(struct waiter);
    w->done = done;
    w->user = user;
    struct waiter **at = &z->waiters;
    while (*at) at = &(*at)->next;
    *at = w;
    if (z->phase == UP || z->closing)
        tell_soon(z);
    else if (z->phase == OFF || z->phase == PAUSE) {
        timer_cancel(&z->timer); /* somebody wants it now */
        begin(z);
    }
}

bool zdb_node_is_up(const struct zdb_node *z) { return z->phase == UP; }

bool zdb_node_in_use(const struct zdb_node *z) {
    return z->phase != OFF || zdb_config_has_namespaces(z->o.root);
}

void zdb_node_hold(struct zdb_node *z) { z->holds++; }

void zdb_node_let_go(struct zdb_node *z) {
    z->holds--;
    if (z->holds || z->phase != UP || zdb_config_has_namespaces(z->o.root)) return;
    end_it(z); /* whoever comes now waits for the next one */
}
