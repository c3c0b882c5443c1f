/* SPDX-License-Identifier: Apache-2.0 — exec.c: ExecSync, and exec with a caller's own descriptors.
 *
 *   call -> [exec spec, own sub-cgroup, ask the shim] -> EXEC_STARTED -> output until EXEC_EXITED
 * and end of file -> reply Output of ExecSync comes through pipes whose reading ends are watched by
 * the loop; both together are kept up to EXEC_OUTPUT_MAX and the rest is read and thrown away, so
 * that a chatty probe neither fails nor grows the daemon (CVE-2022-1708). At the timeout everything
 * in the exec's cgroup is killed and the answer is DEADLINE_EXCEEDED; the container runs on. A
 * background child that keeps the pipes open gets DRAIN_MS after the exit of the command itself. */
#include "base/buf.h"
#include "base/file.h"
#include "cri/container.h"
#include "cri/launch_builder.h"
#include "cri/methods.h"

#include <errno.h>
#include <stdio.h>

#define EXEC_REPLY_MAX   (16u << 20)             /* what kubelet and crictl accept as one message */
#define EXEC_OUTPUT_MAX  (EXEC_REPLY_MAX - 4096) /* of both streams; the rest is for the frame */
#define EXEC_ARENA_MAX   (16u << 20)
#define READ_BYTES       (64u << 10)
#define READS_MAX        16
#define DRAIN_MS         2000
#define EXEC_SECONDS_MAX (365LL * 24 * 3600)

struct stream {
    struct watch watch;
    struct exec *exec;
    int fd; /* owned; -1: ended */
    struct buf kept;
};

struct exec {
    struct op op;
    struct exec *next; /* in container->execs */
    struct container *container;
    uint64_t number;
    struct call *call;             /* ExecSync */
    struct cri_exec_request local; /* cri_exec(): callbacks; argv is not used after the start */
    char **argv;                   /* owned copies */
    size_t argc;
    int child_fds[3]; /* stdin, stdout, stderr of the command, ours until the shim has them */
    struct stream streams[2];
    uint64_t timeout_ms;       /* 0: none */
    struct timer timer;        /* the timeout, later the drain */
    struct cgroup_path cgroup; /* "" until made */
    int exit_code;
    bool settled;       /* the start op is over: `op` is free for the cleanup */
    bool finish_wanted; /* its end came before that */
    bool exited, timed_out, over;
    struct err e;
    bool failed;
};

static struct cri *cri_of(const struct exec *x) { return container_cri(x->container); }

/* ---- the end ---- */

static void stream_close(struct stream *s) {
    if (s->fd < 0) return;
    watch_stop(&s->watch);
    (void)close(s->fd);
    s->fd = -1;
}

static void exec_free(struct exec *x) {
    struct container *k = x->container;
    struct exec **at = &k->execs;
    while (*at && *at != x) at = &(*at)->next;
    if (*at) *at = x->next;
    timer_cancel(&x->timer);
    for (size_t i = 0; i < COUNT(x->streams); i++) {
        stream_close(&x->streams[i]);
        buf_done(&x->streams[i].kept);
    }
    for (size_t i = 0; i < COUNT(x->child_fds); i++)
        if (x->child_fds[i] >= 0) (void)close(x->child_fds[i]);
    for (size_t i = 0; i < x->argc; i++) free(x->argv[i]);
    free(x->argv);
    free(x);
    if (!k->execs && k->remove_wanted && k->state == CONTAINER_EXITED) container_remove_begin(k);
}

static int cleanup_work(struct op *o, struct err *e) {
    struct exec *x = CONTAINER_OF(o, struct exec, op);
    return x->cgroup.c[0] ? cgroup_remove(cri_of(x)->cgroups, x->cgroup.c, e) : 0;
}

static void cleanup_done(struct op *o) {
    /* A failure leaves the group to the removal of the container's own, which takes it along. */
    exec_free(CONTAINER_OF(o, struct exec, op));
}

static void answer_call(struct exec *x) {
    Runtime__V1__ExecSyncResponse reply = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
    struct call *c = STEAL(x->call);
    if (x->failed) {
        call_fail(c, &x->e);
        return;
    }
    reply.stdout = (ProtobufCBinaryData){x->streams[0].kept.n, (uint8_t *)x->streams[0].kept.p};
    reply.stderr = (ProtobufCBinaryData){x->streams[1].kept.n, (uint8_t *)x->streams[1].kept.p};
    reply.exit_code = x->exit_code;
    call_reply(c, &reply.base);
}

static void finish(struct exec *x) {
    if (x->over) return;
    if (!x->settled) {
        x->finish_wanted = true;
        return;
    }
    x->over = true;
    timer_cancel(&x->timer);
    for (size_t i = 0; i < COUNT(x->streams); i++) stream_close(&x->streams[i]);
    if (x->call)
        answer_call(x);
    else
        x->local.on_done(x->local.user, x->exit_code, x->failed ? &x->e : NULL);
    op_start(&x->op, cri_of(x)->loop, &x->container->pod->strand, cleanup_work, cleanup_done);
}

static void finish_when_drained(struct exec *x) {
    if (x->exited && x->streams[0].fd < 0 && x->streams[1].fd < 0) finish(x);
}

static void drain_over(struct timer *t) { finish(CONTAINER_OF(t, struct exec, timer)); }

static void exited(struct exec *x, int code) {
    if (x->exited) return;
    x->exited = true;
    x->exit_code = code;
    if (x->timed_out) {
        finish(x);
        return;
    }
    x->timer.fire = drain_over;
    timer_arm(cri_of(x)->loop, &x->timer, DRAIN_MS);
    finish_when_drained(x);
}

static void fail(struct exec *x, const struct err *e) {
    x->failed = true;
    x->e = *e;
    finish(x);
}

/* ---- output ---- */

static void keep(struct stream *s, const char *bytes, size_t n) {
    const struct stream *streams = s->exec->streams;
    size_t room = EXEC_OUTPUT_MAX - streams[0].kept.n - streams[1].kept.n;
    int r = buf_append(&s->kept, bytes, n < room ? n : room);
    (void)r; /* fits by construction */
}

static void stream_ready(struct watch *w, int events) {
    struct stream *s = CONTAINER_OF(w, struct stream, watch);
    struct exec *x = s->exec;
    static char bytes[READ_BYTES]; /* loop thread only */
    (void)events;
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n = read(s->fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) {
            stream_close(s);
            finish_when_drained(x);
            return;
        }
        keep(s, bytes, (size_t)n);
    }
}

static int stream_open(struct exec *x, size_t i, struct err *e) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "make a pipe for the command's output");
    struct stream *s = &x->streams[i];
    s->fd = ends[0];
    x->child_fds[i + 1] = ends[1];
    s->watch.ready = stream_ready;
    int r = watch_start(cri_of(x)->loop, &s->watch, s->fd, WATCH_READ);
    return r < 0 ? err_sys(e, -r, "watch the command's output") : 0;
}

/* ---- starting ---- */

static int build_spec(struct exec *x, int *out_fd, struct err *e) {
    char hostname[HOST_NAME_BYTES];
    AUTO_FREE char *pod_dir = xmalloc(POD_DIR_BYTES);
    AUTO(arena_done) struct arena a = ARENA(EXEC_ARENA_MAX);
    AUTO(launch_build_done) struct launch_builder b;
    struct container_spec_input in = container_spec_input_of(x->container, hostname, pod_dir);
    struct exec_request r = {.argv = x->argv, .argc = x->argc, .tty = x->local.tty};
    launch_build_init(&b, LAUNCH_EXEC);
    if (exec_spec_build(&in, &r, &a, &b, e) < 0) return -1;
    return launch_build_seal(&b, out_fd, e);
}

static int ask_shim(struct exec *x, int spec_fd, struct err *e) {
    static const enum shim_role stdio[] = {SHIM_ROLE_STDIN, SHIM_ROLE_STDOUT, SHIM_ROLE_STDERR};
    struct container *k = x->container;
    struct cgroup_node *n = cri_of(x)->cgroups;
    struct shim_message m = shim_message_make(SHIM_EXEC, k->record->id);
    int fds[SHIM_FDS_MAX];
    int tasks[CGROUP_HIERARCHIES_MAX];
    size_t count = 0;
    AUTO_CLOSE int cgroup_fd = cgroup_dir_fd(n, x->cgroup.c, e);
    if (cgroup_fd < 0) return -1;
    if (cgroup_tasks_fds(n, k->cgroup.c, tasks, &count, e) < 0) return -1;
    m.exec = x->number;
    if (x->local.tty) m.flags |= SHIM_TTY;
    shim_message_add_fd(&m, fds, spec_fd, SHIM_ROLE_SPEC);
    for (size_t i = 0; i < COUNT(stdio); i++)
        shim_message_add_fd(&m, fds, x->child_fds[i], stdio[i]);
    shim_message_add_fd(&m, fds, cgroup_fd, SHIM_ROLE_CGROUP);
    for (size_t i = 0; i < count; i++) shim_message_add_fd(&m, fds, tasks[i], SHIM_ROLE_TASKS);
    int r = shim_request(&k->pod->shim, &m, fds, e);
    for (size_t i = 0; i < count; i++) (void)close(tasks[i]);
    return r;
}

static int start_work(struct op *o, struct err *e) {
    struct exec *x = CONTAINER_OF(o, struct exec, op);
    struct container *k = x->container;
    char name[32];
    AUTO_CLOSE int spec_fd = -1;
    (void)snprintf(name, sizeof name, EXEC_CGROUP_PREFIX "%llu", (unsigned long long)x->number);
    if (build_spec(x, &spec_fd, e) < 0) return -1;
    if (cgroup_sub(cri_of(x)->cgroups, k->cgroup.c, name, &x->cgroup, e) < 0) {
        x->cgroup.c[0] = '\0';
        return -1;
    }
    return ask_shim(x, spec_fd, e);
}

static void timed_out(struct timer *t) {
    struct exec *x = CONTAINER_OF(t, struct exec, timer);
    struct shim_message m = shim_message_make(SHIM_EXEC_KILL, x->container->record->id);
    struct err e;
    x->timed_out = true;
    x->failed = true;
    (void)err_set(&x->e, ERR_TIMEOUT,
                  "exec in container %s: the command did not end in time and was killed",
                  x->container->record->id);
    m.exec = x->number;
    /* EXEC_EXITED follows and answers; without a shim nothing will. */
    if (shim_request(&x->container->pod->shim, &m, NULL, &e) < 0) finish(x);
}

static void start_done(struct op *o) {
    struct exec *x = CONTAINER_OF(o, struct exec, op);
    struct err e;
    x->settled = true;
    for (size_t i = 0; i < COUNT(x->child_fds); i++)
        if (x->child_fds[i] >= 0) (void)close(STEAL_FD(x->child_fds[i]));
    if (o->failed) {
        (void)err_in(&o->e, "exec in container %s", x->container->record->id);
        fail(x, &o->e);
    } else if (x->finish_wanted) {
        finish(x);
    } else if (x->container->state != CONTAINER_RUNNING) {
        (void)err_set(&e, ERR_BUSY, "exec: container %s has ended", x->container->record->id);
        fail(x, &e);
    } else if (x->timeout_ms && !x->exited) {
        x->timer.fire = timed_out;
        timer_arm(cri_of(x)->loop, &x->timer, x->timeout_ms);
    }
}

static struct exec *exec_new(struct container *k, char *const *argv, size_t argc) {
    struct exec *x = xnew(struct exec);
    x->container = k;
    x->number = ++container_cri(k)->exec_number;
    x->argc = argc;
    x->argv = xmalloc((argc + 1) * sizeof *x->argv);
    for (size_t i = 0; i < argc; i++) x->argv[i] = xstrdup(argv[i]);
    for (size_t i = 0; i < COUNT(x->child_fds); i++) x->child_fds[i] = -1;
    for (size_t i = 0; i < COUNT(x->streams); i++)
        x->streams[i] = (struct stream){.exec = x, .fd = -1, .kept = BUF(EXEC_OUTPUT_MAX)};
    x->next = k->execs;
    k->execs = x;
    return x;
}

/* ---- events of the shim, and the container's end ---- */

static struct exec *exec_numbered(const struct pod *p, uint64_t number) {
    for (const struct container *k = p->containers; k; k = k->next)
        for (struct exec *x = k->execs; x; x = x->next)
            if (x->number == number) return x;
    return NULL;
}

void pod_exec_event(struct pod *p, const struct shim_message *m, const int *fds) {
    struct exec *x = exec_numbered(p, m->exec);
    if (!x || x->over) return;
    struct err e;
    if (m->op == SHIM_EXEC_EXITED) {
        exited(x, (int)(m->number & 0xff));
    } else if (m->op == SHIM_EXEC_FAILED) {
        enum err_kind kind = m->sys ? err_kind_of(m->sys) : ERR_INTERNAL;
        (void)err_set(&e, kind == ERR_NOT_FOUND ? ERR_INVALID : kind, "exec in container %s: %s",
                      x->container->record->id, m->text);
        fail(x, &e);
    } else if (x->local.on_started) {
        int tty = shim_fd_of(m, fds, SHIM_ROLE_TTY);
        x->local.on_started(x->local.user, tty < 0 ? -1 : fcntl(tty, F_DUPFD_CLOEXEC, 3));
    }
}

void container_execs_end(struct container *k) {
    struct err e;
    (void)err_set(&e, ERR_BUSY, "exec: container %s has ended", k->record->id);
    struct exec *next;
    for (struct exec *x = k->execs; x; x = next) {
        next = x->next;
        if (x->settled && !x->over) fail(x, &e);
    }
}

void container_execs_forget(struct container *k) {
    struct err e;
    (void)err_set(&e, ERR_CANCELLED, "exec in container %s: the daemon is stopping", k->record->id);
    k->remove_wanted = false;
    while (k->execs) {
        struct exec *x = k->execs;
        if (x->call && !x->over)
            call_fail(STEAL(x->call), &e);
        else if (!x->over)
            x->local.on_done(x->local.user, -1, &e);
        exec_free(x);
    }
}

/* ---- the calls ---- */

static struct container *running_container(struct cri *c, const char *id, struct err *e) {
    struct container *k = container_find(c, id, e);
    if (k && k->state != CONTAINER_RUNNING) {
        (void)err_set(e, ERR_BUSY, "exec: container %s is not running", k->record->id);
        return NULL;
    }
    return k;
}

void exec_sync_call(struct call *c) {
    const Runtime__V1__ExecSyncRequest *r = c->request;
    struct err e;
    struct container *k = running_container(c->cri, r->container_id, &e);
    if (!k) {
        call_fail(c, &e);
        return;
    }
    if (r->n_cmd == 0) {
        call_refuse(c, ERR_INVALID, "ExecSync: no command is given");
        return;
    }
    struct exec *x = exec_new(k, r->cmd, r->n_cmd);
    x->call = c;
    if (stream_open(x, 0, &e) < 0 || stream_open(x, 1, &e) < 0) {
        x->call = NULL;
        exec_free(x);
        call_fail(c, &e);
        return;
    }
    int64_t seconds = r->timeout > EXEC_SECONDS_MAX ? EXEC_SECONDS_MAX : r->timeout;
    if (seconds > 0) x->timeout_ms = (uint64_t)seconds * 1000;
    op_start(&x->op, c->cri->loop, &k->pod->strand, start_work, start_done);
}

/* A refusal is told in a later turn of the loop, like every other end of an exec. */
struct refusal {
    struct task task;
    struct err e;
    void (*on_done)(void *user, int exit_code, const struct err *e);
    void *user;
};

static void refusal_tell(struct task *t) {
    struct refusal *r = CONTAINER_OF(t, struct refusal, task);
    r->on_done(r->user, -1, &r->e);
    free(r);
}

static void refuse(struct cri *c, const struct cri_exec_request *r, const struct err *e) {
    struct refusal *told = xnew(struct refusal);
    told->task.run = refusal_tell;
    told->e = *e;
    told->on_done = r->on_done;
    told->user = r->user;
    loop_post(c->loop, &told->task);
}

static int lend_fd(int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3); }

void cri_exec(struct cri *c, const struct cri_exec_request *r) {
    struct err e;
    AUTO(arena_done) struct arena a = ARENA(EXEC_ARENA_MAX);
    char *id = str_to_c(&a, r->container_id);
    char **argv = arena_array(&a, r->argc + 1, sizeof *argv);
    bool usable = id && argv && r->argc > 0;
    for (size_t i = 0; usable && i < r->argc; i++)
        usable = (argv[i] = str_to_c(&a, r->argv[i])) != NULL;
    if (!usable) {
        (void)err_set(&e, ERR_INVALID, "exec: no command is given, or one with a NUL byte");
        refuse(c, r, &e);
        return;
    }
    struct container *k = running_container(c, id, &e);
    if (!k) {
        refuse(c, r, &e);
        return;
    }
    struct exec *x = exec_new(k, argv, r->argc);
    x->local = *r;
    if (!r->tty) {
        x->child_fds[0] = lend_fd(r->stdin_fd);
        x->child_fds[1] = lend_fd(r->stdout_fd);
        x->child_fds[2] = lend_fd(r->stderr_fd);
    }
    op_start(&x->op, c->loop, &k->pod->strand, start_work, start_done);
}
