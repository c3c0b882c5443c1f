/* SPDX-License-Identifier: Apache-2.0 — container_start.c: StartContainer.
 *
 *   call -> [cgroups with limits and devices; ask the shim] -> STARTING -> shim: STARTED |
 * START_FAILED -> reply From the moment the shim is asked it owns the truth: whatever happens to
 * this daemon, either the container runs or its exit.json says why not. A failure before that is
 * written down by us in the same form: exit code 128, StartError. */
#include "base/clock.h"
#include "base/log.h"
#include "cri/container.h"
#include "cri/methods.h"

#include <errno.h>
#include <stdio.h>

struct starting {
    struct op op;
    struct container *container;
};

/* ---- asking the shim ---- */

struct start_fds {
    int cgroup, oom;
    int tasks[CGROUP_HIERARCHIES_MAX];
    size_t tasks_count;
};

static void fds_close(struct start_fds *f) {
    if (f->cgroup >= 0) (void)close(f->cgroup);
    if (f->oom >= 0) (void)close(f->oom);
    for (size_t i = 0; i < f->tasks_count; i++) (void)close(f->tasks[i]);
}

static int cgroups_make(struct container *k, struct start_fds *out, struct err *e) {
    struct cgroup_node *n = container_cri(k)->cgroups;
    const char *path = k->cgroup.c;
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    struct cgroup_limits limits;
    if (cgroup_limits_of(k->record->resources, &a, &limits, e) < 0) return -1;
    if (cgroup_make(n, path, &limits, e) < 0) return -1;
    if (cgroup_devices_set(n, path, k->spec.devices, k->spec.device_count, e) < 0) return -1;
    if ((out->cgroup = cgroup_dir_fd(n, path, e)) < 0) return -1;
    if (cgroup_oom_fd(n, path, &out->oom, e) < 0) return -1;
    return cgroup_tasks_fds(n, path, out->tasks, &out->tasks_count, e);
}

/* A kubelet rotates the logs of pods it gave a log folder; of the others we do. */
static uint64_t log_limit(const struct container *k) {
    return *text_of(k->pod->config->log_directory) ? 0 : container_cri(k)->options.log_bytes_max;
}

#define LOG_FILES_MAX 5

static int ask_shim(const struct container *k, const struct start_fds *f, struct err *e) {
    struct shim_message m = shim_message_make(SHIM_START, k->record->id);
    int fds[SHIM_FDS_MAX];
    shim_message_add_fd(&m, fds, k->spec_fd, SHIM_ROLE_SPEC);
    shim_message_add_fd(&m, fds, k->dir_fd, SHIM_ROLE_DIR);
    shim_message_add_fd(&m, fds, image_layers_fd(container_cri(k)->options.images),
                        SHIM_ROLE_LAYERS);
    shim_message_add_fd(&m, fds, f->cgroup, SHIM_ROLE_CGROUP);
    shim_message_add_fd(&m, fds, f->oom, SHIM_ROLE_OOM);
    for (size_t i = 0; i < f->tasks_count; i++)
        shim_message_add_fd(&m, fds, f->tasks[i], SHIM_ROLE_TASKS);
    m.flags = k->spec.shim_flags;
    m.log_bytes_max = log_limit(k);
    m.log_files_max = LOG_FILES_MAX;
    (void)snprintf(m.target, sizeof m.target, "%.*s", STR_ARG(k->spec.target_id));
    int n = snprintf(m.path, sizeof m.path, "%s", k->record->log_path);
    if (n < 0 || (size_t)n >= sizeof m.path)
        return err_set(e, ERR_LIMIT, "the log path is longer than %d bytes", SHIM_PATH_BYTES - 1);
    return shim_request(&k->pod->shim, &m, fds, e);
}

static int start_work(struct op *o, struct err *e) {
    struct container *k = CONTAINER_OF(o, struct starting, op)->container;
    struct start_fds fds = {.cgroup = -1, .oom = -1};
    int r = 0;
    if (k->spec_fd < 0) r = container_resolve(k, &k->spec_fd, e);
    if (r == 0) r = cgroups_make(k, &fds, e);
    if (r == 0) r = ask_shim(k, &fds, e);
    fds_close(&fds);
    if (r == 0) return 0;
    struct container_exit x = {.code = START_FAILED_CODE, .finished_at_ns = clock_wall_ns()};
    (void)snprintf(x.reason, sizeof x.reason, "StartError");
    (void)snprintf(x.message, sizeof x.message, "%s", e->msg);
    struct err
        ignored; /* the cause is told in the reply; without the file the container reads as lost */
    (void)!container_exit_save(k->dir_fd, &x, &ignored);
    return -1;
}

static void fail_start(struct container *k, const struct err *e) {
    struct container_exit x = {.code = START_FAILED_CODE, .finished_at_ns = clock_wall_ns()};
    (void)snprintf(x.reason, sizeof x.reason, "StartError");
    (void)snprintf(x.message, sizeof x.message, "%s", e->msg);
    call_list_fail(&k->starts, e);
    container_ended(k, &x);
}

static void start_done(struct op *o) {
    struct starting *s = CONTAINER_OF(o, struct starting, op);
    struct container *k = s->container;
    if (k->spec_fd >= 0) (void)close(STEAL_FD(k->spec_fd));
    if (o->failed && k->state == CONTAINER_STARTING) {
        (void)err_in(&o->e, "StartContainer '%s'", k->record->config->metadata->name);
        fail_start(k, &o->e);
    }
    free(s); /* else container_started(), container_start_failed() or container_lost() follows */
}

/* ---- events of the shim ---- */

/* A start that a former daemon asked for is one that this daemon knows as CREATED. */
static bool may_be_starting(struct container *k) {
    if (k->state == CONTAINER_CREATED) k->state = CONTAINER_STARTING;
    return k->state == CONTAINER_STARTING;
}

void container_started(struct container *k, const struct shim_message *m) {
    Runtime__V1__StartContainerResponse reply = RUNTIME__V1__START_CONTAINER_RESPONSE__INIT;
    if (!may_be_starting(k)) return;
    k->state = CONTAINER_RUNNING;
    k->pid = m->pid;
    k->started_at_ns = m->at_ns;
    call_list_reply(&k->starts, &reply.base);
    container_stop_resume(k);
}

void container_start_failed(struct container *k, const struct shim_message *m) {
    struct err e;
    if (!may_be_starting(k)) return;
    enum err_kind kind = m->sys ? err_kind_of(m->sys) : ERR_INTERNAL;
    /* A missing program is no missing container: NOT_FOUND would tell a kubelet that the container
     * is gone. */
    if (kind == ERR_NOT_FOUND) kind = ERR_INVALID;
    (void)err_set(&e, kind, "StartContainer '%s': %s", k->record->config->metadata->name, m->text);
    fail_start(k, &e);
}

/* ---- the call ---- */

void container_start_call(struct call *c) {
    const Runtime__V1__StartContainerRequest *r = c->request;
    struct err e;
    struct container *k = container_find(c->cri, r->container_id, &e);
    if (!k) {
        call_fail(c, &e);
    } else if (k->state == CONTAINER_STARTING) {
        call_wait(&k->starts, c);
    } else if (k->state != CONTAINER_CREATED) {
        call_refuse(c, ERR_BUSY, "StartContainer: container %s was started already", k->record->id);
    } else if (k->pod->state != POD_READY) {
        call_refuse(c, ERR_BUSY, "StartContainer: pod sandbox %s is not ready", k->pod->id);
    } else {
        struct starting *s = xnew(struct starting);
        s->container = k;
        k->state = CONTAINER_STARTING;
        call_wait(&k->starts, c);
        op_start(&s->op, c->cri->loop, &k->pod->strand, start_work, start_done);
    }
}
