/* SPDX-License-Identifier: Apache-2.0 — pod_stop.c: StopPodSandbox, RemovePodSandbox, and a shim
 * that died.
 *
 *   READY -> STOPPING: every container is killed by its shim (which records the exit) -> all ended:
 * [give back shim, cgroups, addresses, grant; record "not ready"] -> NOTREADY A shim that is gone
 * takes the same way: its containers are reported as ended with a reason, never guessed alive, and
 * whatever of them still runs dies with the pod's cgroups. Calls are idempotent: an unknown pod is
 * a removed one, and calls for a pod on its way wait for the end of that way. */
#include "base/file.h"
#include "base/log.h"
#include "cri/container.h"
#include "cri/methods.h"
#include "cri/op.h"

#include <errno.h>
#include <stdio.h>

struct pod_ending {
    struct op op;
    struct pod *pod;
};

static void start(struct pod *p, int (*work)(struct op *o, struct err *e),
                  void (*done)(struct op *o)) {
    struct pod_ending *s = xnew(struct pod_ending);
    s->pod = p;
    op_start(&s->op, p->cri->loop, &p->strand, work, done);
}

/* ---- giving back ---- */

static int remove_cgroups(const struct pod *p, struct err *e) {
    struct cgroup_path leaf;
    if (pod_leaf(p, &leaf, e) < 0) return -1;
    return cgroup_remove(p->cri->cgroups, p->owns_cgroup ? p->cgroup : leaf.c, e);
}

int pod_undo(struct pod *p, struct err *e) {
    struct cri *c = p->cri;
    const struct admission *admission = &c->options.admission;
    struct err first = {0};
    shim_close(&p->shim);
    if (remove_cgroups(p, e) < 0)
        first = *e;
    else
        shim_reap(&p->shim.proc); /* it was in one of them */
    if (pod_network_release(c->options.network, str_of(p->id), e) < 0 && !first.kind) first = *e;
    admission->release(admission->self, str_of(p->id));
    char path[sizeof PODS_FOLDER + POD_ID_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", PODS_FOLDER, p->id);
    int r = file_remove_tree(c->run_fd, path);
    if (r < 0 && !first.kind) (void)err_sys(&first, -r, "remove '%s'", path);
    if (p->state == POD_MAKING) {
        r = file_remove_tree(c->root_fd, path);
        if (r < 0 && !first.kind) (void)err_sys(&first, -r, "remove '%s'", path);
    }
    if (!first.kind) return 0;
    *e = first;
    return -1;
}

/* ---- stopping ---- */

static void stopped(struct pod *p) {
    Runtime__V1__StopPodSandboxResponse reply = RUNTIME__V1__STOP_POD_SANDBOX_RESPONSE__INIT;
    p->state = POD_NOTREADY;
    call_list_reply(&p->stops, &reply.base);
    if (p->removes.first) pod_remove_begin(p);
}

static int stop_work(struct op *o, struct err *e) {
    struct pod *p = CONTAINER_OF(o, struct pod_ending, op)->pod;
    if (pod_undo(p, e) < 0) return -1;
    return pod_save(p, POD_RECORD_NOTREADY, e);
}

static void stop_done(struct op *o) {
    struct pod_ending *s = CONTAINER_OF(o, struct pod_ending, op);
    struct pod *p = s->pod;
    if (o->failed) {
        LOG_ERROR("a pod could not be stopped whole", F_C("pod", p->id), F_ERR(&o->e));
        p->state = POD_READY; /* the next stop tries again what is left to give back */
        call_list_fail(&p->stops, &o->e);
        call_list_fail(&p->removes, &o->e);
    } else {
        stopped(p);
    }
    free(s);
}

static bool any_alive(const struct pod *p) {
    for (const struct container *k = p->containers; k; k = k->next)
        if (container_is_alive(k)) return true;
    return false;
}

void pod_container_ended(struct pod *p) {
    if (p->state != POD_STOPPING || p->giving_back || any_alive(p)) return;
    p->giving_back = true;
    shim_detach(p);
    start(p, stop_work, stop_done);
}

void pod_stop_begin(struct pod *p) {
    p->state = POD_STOPPING;
    p->giving_back = false;
    for (struct container *k = p->containers; k; k = k->next)
        if (container_is_alive(k)) container_kill(k);
    pod_container_ended(p);
}

void pod_shim_gone(struct pod *p) {
    if (p->state == POD_MAKING) {
        pod_making_shim_gone(p);
        return;
    }
    LOG_WARN("a pod's shim is gone: the pod is stopped", F_C("pod", p->id));
    if (p->state == POD_READY) {
        p->state = POD_STOPPING;
        p->giving_back = false;
    }
    struct container *next;
    for (struct container *k = p->containers; k; k = next) {
        next = k->next;
        if (container_is_alive(k)) container_lost(k, "ShimDied");
    }
    pod_container_ended(p);
}

void pod_stop_call(struct call *c) {
    const Runtime__V1__StopPodSandboxRequest *r = c->request;
    Runtime__V1__StopPodSandboxResponse reply = RUNTIME__V1__STOP_POD_SANDBOX_RESPONSE__INIT;
    struct err e;
    struct pod *p = pod_find(c->cri, r->pod_sandbox_id, &e);
    if (!p || p->state == POD_NOTREADY) {
        call_reply(c, &reply.base);
        return;
    }
    call_wait(&p->stops, c);
    if (p->state == POD_READY) pod_stop_begin(p);
}

/* ---- removing ---- */

static int remove_work(struct op *o, struct err *e) {
    const struct pod *p = CONTAINER_OF(o, struct pod_ending, op)->pod;
    return node_discard(p->cri, PODS_FOLDER, p->id, e);
}

static void remove_done(struct op *o) {
    struct pod_ending *s = CONTAINER_OF(o, struct pod_ending, op);
    struct pod *p = s->pod;
    struct cri *c = p->cri;
    if (o->failed) {
        p->state = POD_NOTREADY;
        call_list_fail(&p->removes, &o->e);
    } else {
        Runtime__V1__RemovePodSandboxResponse reply =
            RUNTIME__V1__REMOVE_POD_SANDBOX_RESPONSE__INIT;
        call_list_reply(&p->removes, &reply.base);
        pod_free(p);
        node_empty_trash(c);
    }
    free(s);
}

void pod_container_gone(struct pod *p) {
    if (p->state == POD_REMOVING && !p->containers) start(p, remove_work, remove_done);
}

void pod_container_stuck(struct pod *p, const struct err *e) {
    if (p->state != POD_REMOVING) return;
    p->state = POD_NOTREADY;
    call_list_fail(&p->removes, e);
}

void pod_remove_begin(struct pod *p) {
    p->state = POD_REMOVING;
    struct container *next;
    for (struct container *k = p->containers; k; k = next) {
        next = k->next;
        container_remove_begin(k);
    }
    pod_container_gone(p);
}

void pod_remove_call(struct call *c) {
    const Runtime__V1__RemovePodSandboxRequest *r = c->request;
    Runtime__V1__RemovePodSandboxResponse reply = RUNTIME__V1__REMOVE_POD_SANDBOX_RESPONSE__INIT;
    struct pod *p = idmap_find(&c->cri->pods, str_of(text_of(r->pod_sandbox_id)));
    if (!p || p->state == POD_MAKING) {
        call_reply(c, &reply.base);
        return;
    }
    call_wait(&p->removes, c);
    if (p->state == POD_READY)
        pod_stop_begin(p);
    else if (p->state == POD_NOTREADY)
        pod_remove_begin(p);
}
