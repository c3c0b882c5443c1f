/* SPDX-License-Identifier: Apache-2.0 — container_stop.c: StopContainer, RemoveContainer, and the
 * end of a container.
 *
 * A stop sends the stop signal and arms a timer; the timer kills; the shim's EXITED answers every
 * waiting call. A second stop with a shorter grace shortens the wait. Removal of what runs kills
 * first. All of it is idempotent: an unknown container is a removed one. */
#include "base/clock.h"
#include "base/log.h"
#include "cri/container.h"
#include "cri/methods.h"

#include <signal.h>
#include <stdio.h>

struct container_op {
    struct op op;
    struct container *container;
    struct container_exit exit;
};

static void start(struct container *k, int (*work)(struct op *o, struct err *e),
                  void (*done)(struct op *o)) {
    struct container_op *s = xnew(struct container_op);
    s->container = k;
    op_start(&s->op, container_cri(k)->loop, &k->pod->strand, work, done);
}

/* ---- the end ---- */

static int cleanup_work(struct op *o, struct err *e) {
    struct container *k = CONTAINER_OF(o, struct container_op, op)->container;
    return cgroup_remove(container_cri(k)->cgroups, k->cgroup.c, e);
}

static void cleanup_done(struct op *o) {
    struct container_op *s = CONTAINER_OF(o, struct container_op, op);
    if (o->failed)
        LOG_WARN("the cgroup of an ended container stays until its removal",
                 F_C("container", s->container->record->id), F_ERR(&o->e));
    free(s);
}

void container_ended(struct container *k, const struct container_exit *x) {
    Runtime__V1__StopContainerResponse reply = RUNTIME__V1__STOP_CONTAINER_RESPONSE__INIT;
    struct err e;
    if (!container_is_alive(k)) return;
    (void)err_set(&e, ERR_INTERNAL, "container %s ended: %s %s", k->record->id, x->reason,
                  x->message);
    k->state = CONTAINER_EXITED;
    k->exit = *x;
    k->pid = 0;
    if (x->started_at_ns) k->started_at_ns = x->started_at_ns;
    timer_cancel(&k->grace);
    container_execs_end(k);
    call_list_fail(&k->starts, &e);
    call_list_fail(&k->log_reopens, &e);
    call_list_reply(&k->stops, &reply.base);
    start(k, cleanup_work, cleanup_done);
    if (k->remove_wanted) container_remove_begin(k);
    pod_container_ended(k->pod);
}

struct container_exit container_exit_told(const struct shim_message *m, int64_t started_at_ns) {
    bool failed = m->op == SHIM_START_FAILED;
    struct container_exit x = {.code = failed ? START_FAILED_CODE : (int)(m->number & 0xff),
                               .started_at_ns = started_at_ns,
                               .finished_at_ns = m->at_ns};
    const char *reason = failed                       ? "StartError"
                         : m->flags & SHIM_OOM_KILLED ? "OOMKilled"
                         : x.code                     ? "Error"
                                                      : "Completed";
    (void)snprintf(x.reason, sizeof x.reason, "%s", reason);
    if (failed) (void)snprintf(x.message, sizeof x.message, "%s", m->text);
    return x;
}

void container_exited(struct container *k, const struct shim_message *m) {
    struct container_exit x = container_exit_told(m, k->started_at_ns);
    container_ended(k, &x);
}

/* The shim may have written exit.json before it died; else nobody saw the end. */
static int lost_work(struct op *o, struct err *e) {
    struct container_op *s = CONTAINER_OF(o, struct container_op, op);
    struct container *k = s->container;
    struct container_exit found;
    if (container_exit_load(k->dir_fd, &found, e) == 0) {
        s->exit = found;
        return 0;
    }
    if (cgroup_kill(container_cri(k)->cgroups, k->cgroup.c, e) < 0) return -1;
    return container_exit_save(k->dir_fd, &s->exit, e);
}

static void lost_done(struct op *o) {
    struct container_op *s = CONTAINER_OF(o, struct container_op, op);
    if (o->failed)
        LOG_ERROR("the end of a container could not be recorded",
                  F_C("container", s->container->record->id), F_ERR(&o->e));
    container_ended(s->container, &s->exit);
    free(s);
}

void container_lost(struct container *k, const char *reason) {
    struct container_op *s = xnew(struct container_op);
    s->container = k;
    s->exit = (struct container_exit){
        .code = LOST_CODE, .started_at_ns = k->started_at_ns, .finished_at_ns = clock_wall_ns()};
    (void)snprintf(s->exit.reason, sizeof s->exit.reason, "%s", reason);
    (void)snprintf(s->exit.message, sizeof s->exit.message,
                   "the process that watched this container is gone");
    op_start(&s->op, container_cri(k)->loop, &k->pod->strand, lost_work, lost_done);
}

/* ---- stopping ---- */

static void ask(const struct container *k, enum shim_op op, int64_t number) {
    struct shim_message m = shim_message_make(op, k->record->id);
    struct err e;
    m.number = number;
    if (shim_request(&k->pod->shim, &m, NULL, &e) <
        0) /* a shim that is gone ends the container itself */
        LOG_WARN("a container's shim could not be reached", F_C("container", k->record->id),
                 F_ERR(&e));
}

void container_kill(struct container *k) {
    k->kill_wanted = true;
    if (k->state == CONTAINER_RUNNING) ask(k, SHIM_KILL, SIGKILL);
}

static void grace_over(struct timer *t) {
    container_kill(CONTAINER_OF(t, struct container, grace));
}

/* Asks it to end within timeout_s, or sooner if an earlier call said so. */
static void stop_within(struct container *k, int64_t timeout_s) {
    if (timeout_s <= 0) {
        container_kill(k);
        return;
    }
    uint64_t until = clock_ms() + (uint64_t)timeout_s * 1000;
    bool first = k->grace_until_ms == 0;
    if (first && k->state == CONTAINER_RUNNING) ask(k, SHIM_SIGNAL, k->spec.stop_signal);
    if (!first && until >= k->grace_until_ms) return;
    k->grace_until_ms = until;
    k->grace.fire = grace_over;
    timer_arm(container_cri(k)->loop, &k->grace, (uint64_t)timeout_s * 1000);
}

void container_stop_resume(struct container *k) {
    if (k->kill_wanted)
        container_kill(k);
    else if (k->grace_until_ms)
        ask(k, SHIM_SIGNAL, k->spec.stop_signal);
}

#define STOP_SECONDS_MAX (365LL * 24 * 3600)

void container_stop_call(struct call *c) {
    const Runtime__V1__StopContainerRequest *r = c->request;
    Runtime__V1__StopContainerResponse reply = RUNTIME__V1__STOP_CONTAINER_RESPONSE__INIT;
    struct err e;
    struct container *k = container_find(c->cri, r->container_id, &e);
    if (!k || !container_is_alive(k)) {
        call_reply(c, &reply.base);
        return;
    }
    call_wait(&k->stops, c);
    stop_within(k, r->timeout > STOP_SECONDS_MAX ? STOP_SECONDS_MAX : r->timeout);
}

/* ---- removing ---- */

static int remove_work(struct op *o, struct err *e) {
    struct container *k = CONTAINER_OF(o, struct container_op, op)->container;
    struct cri *c = container_cri(k);
    const struct admission *admission = &c->options.admission;
    if (cgroup_remove(c->cgroups, k->cgroup.c, e) < 0) return -1;
    if (node_discard(c, CONTAINERS_FOLDER, k->record->id, e) < 0) return -1;
    admission->release(admission->self, str_of(k->record->id));
    return 0;
}

static void remove_done(struct op *o) {
    struct container_op *s = CONTAINER_OF(o, struct container_op, op);
    struct container *k = s->container;
    struct pod *p = k->pod;
    if (o->failed) {
        (void)err_in(&o->e, "RemoveContainer %s", k->record->id);
        k->state = CONTAINER_EXITED;
        k->remove_wanted = false;
        call_list_fail(&k->removes, &o->e);
        pod_container_stuck(p, &o->e);
    } else {
        Runtime__V1__RemoveContainerResponse reply = RUNTIME__V1__REMOVE_CONTAINER_RESPONSE__INIT;
        call_list_reply(&k->removes, &reply.base);
        container_free(k);
        node_empty_trash(p->cri);
        pod_container_gone(p);
    }
    free(s);
}

void container_remove_begin(struct container *k) {
    switch (k->state) {
    case CONTAINER_CREATING: k->remove_wanted = true; break;
    case CONTAINER_STARTING:
    case CONTAINER_RUNNING:
        k->remove_wanted = true;
        container_kill(k);
        break;
    case CONTAINER_CREATED:
    case CONTAINER_EXITED:
        if (k->execs) { /* the last of them calls again */
            k->remove_wanted = true;
            break;
        }
        k->state = CONTAINER_REMOVING;
        start(k, remove_work, remove_done);
        break;
    case CONTAINER_REMOVING: break;
    }
}

void container_remove_call(struct call *c) {
    const Runtime__V1__RemoveContainerRequest *r = c->request;
    Runtime__V1__RemoveContainerResponse reply = RUNTIME__V1__REMOVE_CONTAINER_RESPONSE__INIT;
    struct container *k = idmap_find(&c->cri->containers, str_of(text_of(r->container_id)));
    if (!k || k->state == CONTAINER_CREATING) {
        call_reply(c, &reply.base);
        return;
    }
    call_wait(&k->removes, c);
    container_remove_begin(k);
}
