/* SPDX-License-Identifier: Apache-2.0 — stop.c: stop and rm.
 *
 * A pod that `gridlet run` made is one thing with its only container, whichever of the two is
 * named. In a pod that somebody else made (a kubelet), only what was named is touched. */
#include "agent/commands/commands.h"

#include "cri/call.h"

#define STOP_SECONDS_DEFAULT 10
#define STOP_SECONDS_MAX     86400

struct ending {
    struct daemon *daemon;
    struct admin_call *call;
    char pod[128], container[128]; /* ids; container "": the pod itself */
    bool whole_pod;                /* the pod goes with its container */
    bool remove;
};

static bool is_ours(const Runtime__V1__PodSandbox *p) {
    for (size_t i = 0; i < p->n_labels; i++)
        if (strcmp(p->labels[i]->key, COMMAND_LABEL) == 0) return true;
    return false;
}

/* ---- the last step ---- */

static void ended(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct ending *n = user;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    if (reply) {
        json_out_object(&w, NULL);
        json_out_c(&w, "id", *n->container ? n->container : n->pod);
        json_out_close(&w);
        command_answer(n->call, &w, &b);
    } else {
        admin_fail(n->call, e);
    }
    free(n);
}

static void remove_pod(struct ending *n) {
    Runtime__V1__RemovePodSandboxRequest r = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    r.pod_sandbox_id = n->pod;
    cri_call(n->daemon->cri, "RemovePodSandbox", &r.base, ended, n);
}

static void pod_stopped(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct ending *n = user;
    if (reply && n->remove)
        remove_pod(n);
    else
        ended(n, reply, e);
}

static void stop_pod(struct ending *n) {
    Runtime__V1__StopPodSandboxRequest r = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
    r.pod_sandbox_id = n->pod;
    cri_call(n->daemon->cri, "StopPodSandbox", &r.base, pod_stopped, n);
}

/* ---- stop ---- */

/* A stopped pod of ours keeps its addresses until rm, so that nothing but the process ends. */
static void stop_container(struct ending *n, uint64_t seconds) {
    Runtime__V1__StopContainerRequest r = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    r.container_id = n->container;
    r.timeout = (int64_t)seconds;
    cri_call(n->daemon->cri, "StopContainer", &r.base, ended, n);
}

static struct ending *ending_new(const struct listing *l, const struct target *t) {
    struct ending *n = xnew(struct ending);
    const Runtime__V1__Container *container = t->container;
    n->daemon = l->daemon;
    n->call = l->call;
    n->whole_pod = !container || is_ours(t->pod);
    for (size_t i = 0; !container && is_ours(t->pod) && i < l->containers->n_containers; i++)
        if (strcmp(l->containers->containers[i]->pod_sandbox_id, t->pod->id) == 0)
            container = l->containers->containers[i];
    (void)snprintf(n->pod, sizeof n->pod, "%s", t->pod->id);
    (void)snprintf(n->container, sizeof n->container, "%s", container ? container->id : "");
    return n;
}

static bool find_named(struct listing *l, struct target *out) {
    struct str name;
    struct err e;
    if (json_need_str(admin_args(l->call), "name", &name, &e) == 0 &&
        listing_find(l, name, out, &e) == 0)
        return true;
    admin_fail(l->call, &e);
    listing_free(l);
    return false;
}

static void stop(struct listing *l) {
    uint64_t seconds = STOP_SECONDS_DEFAULT;
    struct target t;
    struct err e;
    if (!find_named(l, &t)) return;
    if (json_opt_u64(admin_args(l->call), "seconds", &seconds, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    if (seconds > STOP_SECONDS_MAX) seconds = STOP_SECONDS_MAX;
    struct ending *n = ending_new(l, &t);
    listing_free(l);
    if (*n->container)
        stop_container(n, seconds);
    else
        stop_pod(n);
}

/* {"name", "seconds"} -> {"id"}: SIGTERM (or the image's signal), then SIGKILL after the seconds */
void command_stop(struct admin_call *c, void *user) { listing_get(user, c, stop); }

/* ---- rm ---- */

static bool runs(const struct listing *l, const struct ending *n) {
    for (size_t i = 0; i < l->containers->n_containers; i++) {
        const Runtime__V1__Container *k = l->containers->containers[i];
        bool meant = n->whole_pod ? strcmp(k->pod_sandbox_id, n->pod) == 0
                                  : strcmp(k->id, n->container) == 0;
        if (meant && k->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING) return true;
    }
    return false;
}

static void rm(struct listing *l) {
    bool force = false;
    struct target t;
    struct err e;
    if (!find_named(l, &t)) return;
    if (json_opt_bool(admin_args(l->call), "force", &force, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    struct ending *n = ending_new(l, &t);
    n->remove = true;
    if (!force && runs(l, n)) {
        const char *name = t.container ? t.container->metadata->name : t.pod->metadata->name;
        command_refuse(l->call, ERR_BUSY, "'%s' is running: gridlet stop %s first, or rm -f", name,
                       name);
        free(n);
    } else if (n->whole_pod) {
        stop_pod(n);
    } else {
        Runtime__V1__RemoveContainerRequest r = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;
        r.container_id = n->container;
        cri_call(n->daemon->cri, "RemoveContainer", &r.base, ended, n);
    }
    listing_free(l);
}

/* {"name", "force"} -> {"id"}: BUSY while it runs, unless forced */
void command_rm(struct admin_call *c, void *user) { listing_get(user, c, rm); }
