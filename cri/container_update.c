/* SPDX-License-Identifier: Apache-2.0 — container_update.c: UpdateContainerResources and
 * ReopenContainerLog.
 *
 * An update is merged into the container's resources, applied to its cgroup when it runs, and
 * recorded; applied and recorded, or neither. Of a container that was only created the record is
 * all there is. */
#include "base/log.h"
#include "cri/container.h"
#include "cri/methods.h"

struct updating {
    struct op op;
    struct call *call;
    struct container *container;
    Runtime__V1__LinuxContainerResources *after; /* owned: a copy for the loop */
    bool alive;
};

/* A field of `with` that is set replaces the one of `into`; proto3 knows no other "not set" than 0
 * and "". */
static void merge(Runtime__V1__LinuxContainerResources *into,
                  const Runtime__V1__LinuxContainerResources *with) {
    if (with->cpu_period) into->cpu_period = with->cpu_period;
    if (with->cpu_quota) into->cpu_quota = with->cpu_quota;
    if (with->cpu_shares) into->cpu_shares = with->cpu_shares;
    if (with->memory_limit_in_bytes) into->memory_limit_in_bytes = with->memory_limit_in_bytes;
    if (with->memory_swap_limit_in_bytes)
        into->memory_swap_limit_in_bytes = with->memory_swap_limit_in_bytes;
    if (with->oom_score_adj) into->oom_score_adj = with->oom_score_adj;
}

static void replace_text(char **at, const char *with) {
    if (!*text_of(with)) return;
    if (*at != protobuf_c_empty_string) free(*at);
    *at = xstrdup(with);
}

static Runtime__V1__LinuxContainerResources *merged(const struct container *k,
                                                    const Runtime__V1__LinuxContainerResources *r) {
    if (!k->record->resources) return message_copy(&r->base);
    Runtime__V1__LinuxContainerResources *out = message_copy(&k->record->resources->base);
    merge(out, r);
    replace_text(&out->cpuset_cpus, r->cpuset_cpus);
    replace_text(&out->cpuset_mems, r->cpuset_mems);
    /* lists are replaced whole when one is given: taken over from a copy of the request */
    Runtime__V1__LinuxContainerResources *copy = message_copy(&r->base);
    if (copy->n_hugepage_limits) {
        Runtime__V1__HugepageLimit **list = out->hugepage_limits;
        size_t count = out->n_hugepage_limits;
        out->hugepage_limits = copy->hugepage_limits;
        out->n_hugepage_limits = copy->n_hugepage_limits;
        copy->hugepage_limits = list;
        copy->n_hugepage_limits = count;
    }
    if (copy->n_unified) {
        Runtime__V1__LinuxContainerResources__UnifiedEntry **list = out->unified;
        size_t count = out->n_unified;
        out->unified = copy->unified;
        out->n_unified = copy->n_unified;
        copy->unified = list;
        copy->n_unified = count;
    }
    protobuf_c_message_free_unpacked(&copy->base, NULL);
    return out;
}

static int apply(const struct container *k, const Runtime__V1__LinuxContainerResources *r,
                 struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    struct cgroup_limits limits;
    if (cgroup_limits_of(r, &a, &limits, e) < 0) return -1;
    return cgroup_update(container_cri(k)->cgroups, k->cgroup.c, &limits, e);
}

static int check(const Runtime__V1__LinuxContainerResources *r, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    struct cgroup_limits limits;
    return cgroup_limits_of(r, &a, &limits, e);
}

static int update_work(struct op *o, struct err *e) {
    struct updating *u = CONTAINER_OF(o, struct updating, op);
    struct container *k = u->container;
    const Runtime__V1__UpdateContainerResourcesRequest *r = u->call->request;
    const Runtime__V1__LinuxContainerResources *asked = r->linux;
    if (!asked) return 0;
    if (u->alive ? apply(k, asked, e) < 0 : check(asked, e) < 0) return -1;
    Runtime__V1__LinuxContainerResources *before = k->record->resources;
    Runtime__V1__LinuxContainerResources *after = merged(k, asked);
    struct admission_request grant = {.id = str_of(k->record->id),
                                      .pod_id = str_of(k->pod->id),
                                      .contract = pod_contract(k->pod)};
    grant.memory_bytes =
        after->memory_limit_in_bytes > 0 ? (uint64_t)after->memory_limit_in_bytes : 0;
    if (after->cpu_quota > 0 && after->cpu_period > 0)
        grant.cpu_milli = (uint64_t)(after->cpu_quota * 1000 / after->cpu_period);
    const struct admission *admission = &container_cri(k)->options.admission;
    k->record->resources = after;
    if (admission->admit(admission->self, &grant, e) == 0 && container_save(k, e) == 0) {
        u->after = message_copy(&after->base);
        if (before) protobuf_c_message_free_unpacked(&before->base, NULL);
        return 0;
    }
    k->record->resources = before;
    protobuf_c_message_free_unpacked(&after->base, NULL);
    struct err ignored; /* the first error is told; limits that cannot be put back stay tighter or
                           wider until the next update */
    if (u->alive && before) (void)!apply(k, before, &ignored);
    return -1;
}

static void update_done(struct op *o) {
    struct updating *u = CONTAINER_OF(o, struct updating, op);
    Runtime__V1__UpdateContainerResourcesResponse reply =
        RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_RESPONSE__INIT;
    if (o->failed) {
        (void)err_in(&o->e, "UpdateContainerResources %s", u->container->record->id);
        call_fail(u->call, &o->e);
    } else {
        if (u->after) {
            Runtime__V1__LinuxContainerResources *shown = u->container->resources;
            if (shown) protobuf_c_message_free_unpacked(&shown->base, NULL);
            u->container->resources = u->after;
        }
        call_reply(u->call, &reply.base);
    }
    free(u);
}

void container_update_call(struct call *c) {
    const Runtime__V1__UpdateContainerResourcesRequest *r = c->request;
    struct container *k = container_of_call(c, r->container_id);
    if (!k) return;
    if (k->state == CONTAINER_EXITED) {
        call_refuse(c, ERR_BUSY, "UpdateContainerResources: container %s has ended", k->record->id);
        return;
    }
    struct updating *u = xnew(struct updating);
    u->call = c;
    u->container = k;
    u->alive = container_is_alive(k);
    op_start(&u->op, c->cri->loop, &k->pod->strand, update_work, update_done);
}

/* ---- ReopenContainerLog ---- */

void container_log_reopened(struct container *k, const struct shim_message *m) {
    Runtime__V1__ReopenContainerLogResponse reply =
        RUNTIME__V1__REOPEN_CONTAINER_LOG_RESPONSE__INIT;
    struct err e;
    if (m->sys == 0) {
        call_list_reply(&k->log_reopens, &reply.base);
        return;
    }
    (void)err_sys(&e, m->sys, "ReopenContainerLog: open '%s'", k->record->log_path);
    call_list_fail(&k->log_reopens, &e);
}

void container_reopen_log_call(struct call *c) {
    const Runtime__V1__ReopenContainerLogRequest *r = c->request;
    struct err e;
    struct container *k = container_of_call(c, r->container_id);
    if (!k) return;
    if (k->state != CONTAINER_RUNNING) {
        call_refuse(c, ERR_BUSY, "ReopenContainerLog: container %s is not running", k->record->id);
        return;
    }
    struct shim_message m = shim_message_make(SHIM_REOPEN_LOG, k->record->id);
    if (shim_request(&k->pod->shim, &m, NULL, &e) < 0)
        call_fail(c, &e);
    else
        call_wait(&k->log_reopens, c);
}
