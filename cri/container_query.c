/* SPDX-License-Identifier: Apache-2.0 — container_query.c: ContainerStatus and ListContainers.
 *
 * As in pod_query.c: put together on the loop, pointing into the records. */
#include "base/json_out.h"
#include "cri/container.h"
#include "cri/labels.h"
#include "cri/methods.h"

#include <stdio.h>

#define INFO_BYTES_MAX (64u << 10)

/* ---- ContainerStatus ---- */

static bool set_mounts(struct arena *a, const struct container *k,
                       Runtime__V1__ContainerStatus *out) {
    out->mounts = arena_array(a, k->spec.mount_count + 1, sizeof *out->mounts);
    if (!out->mounts) return false;
    for (size_t i = 0; i < k->spec.mount_count; i++) {
        const struct container_mount *from = &k->spec.mounts[i];
        Runtime__V1__Mount *m = arena_new(a, Runtime__V1__Mount);
        if (!m) return false;
        runtime__v1__mount__init(m);
        m->container_path = str_to_c(a, from->container_path);
        m->host_path = str_to_c(a, from->host_path);
        m->readonly = from->readonly;
        m->recursive_read_only = from->recursive_readonly;
        m->propagation = from->propagation;
        if (!m->container_path || !m->host_path) return false;
        out->mounts[out->n_mounts++] = m;
    }
    return true;
}

static bool set_user(struct arena *a, const struct container *k,
                     Runtime__V1__ContainerStatus *out) {
    const struct user *u = &k->spec.user;
    Runtime__V1__ContainerUser *user = arena_new(a, Runtime__V1__ContainerUser);
    Runtime__V1__LinuxContainerUser *ids = arena_new(a, Runtime__V1__LinuxContainerUser);
    int64_t *groups = arena_array(a, u->group_count + 1, sizeof *groups);
    if (!user || !ids || !groups) return false;
    runtime__v1__container_user__init(user);
    runtime__v1__linux_container_user__init(ids);
    for (size_t i = 0; i < u->group_count; i++) groups[i] = u->groups[i];
    ids->uid = u->uid;
    ids->gid = u->gid;
    ids->supplemental_groups = groups;
    ids->n_supplemental_groups = u->group_count;
    user->linux = ids;
    out->user = user;
    return true;
}

static bool set_resources(struct arena *a, const struct container *k,
                          Runtime__V1__ContainerStatus *out) {
    if (!k->resources) return true;
    Runtime__V1__ContainerResources *r = arena_new(a, Runtime__V1__ContainerResources);
    if (!r) return false;
    runtime__v1__container_resources__init(r);
    r->linux = k->resources;
    out->resources = r;
    return true;
}

/* The enum's names are the signals' own ("SIGTERM"), in an order of its own. */
static Runtime__V1__Signal signal_value(int number) {
    char name[16];
    const char *abbreviation = sigabbrev_np(number);
    if (!abbreviation) return RUNTIME__V1__SIGNAL__RUNTIME_DEFAULT;
    (void)snprintf(name, sizeof name, "SIGNAL_SIG%s", abbreviation);
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value_by_name(&runtime__v1__signal__descriptor, name);
    if (!v)
        v = protobuf_c_enum_descriptor_get_value_by_name(&runtime__v1__signal__descriptor,
                                                         name + 7);
    return v ? (Runtime__V1__Signal)v->value : RUNTIME__V1__SIGNAL__RUNTIME_DEFAULT;
}

Runtime__V1__ContainerStatus *container_status_message(struct arena *a, struct container *k) {
    Gridlet__Record__Container *r = k->record;
    Runtime__V1__ContainerStatus *out = arena_new(a, Runtime__V1__ContainerStatus);
    if (!out) return NULL;
    runtime__v1__container_status__init(out);
    out->id = r->id;
    out->metadata = r->config->metadata;
    out->state = container_cri_state(k);
    out->created_at = r->created_at_ns;
    out->started_at = k->started_at_ns;
    out->image = r->config->image;
    out->image_ref = r->image_id;
    out->image_id = r->image_id;
    out->n_labels = r->config->n_labels;
    out->labels = (void *)r->config->labels;
    out->n_annotations = r->config->n_annotations;
    out->annotations = (void *)r->config->annotations;
    out->log_path = r->log_path;
    out->stop_signal = signal_value(k->spec.stop_signal);
    if (k->state == CONTAINER_EXITED) {
        out->finished_at = k->exit.finished_at_ns;
        out->exit_code = k->exit.code;
        out->reason = k->exit.reason;
        out->message = k->exit.message;
    }
    bool whole = set_mounts(a, k, out) && set_user(a, k, out) && set_resources(a, k, out);
    return whole ? out : NULL;
}

static char *verbose_info(struct arena *a, const struct container *k) {
    AUTO(buf_done) struct buf text = BUF(INFO_BYTES_MAX);
    struct json_out w = JSON_OUT(&text);
    json_out_object(&w, NULL);
    json_out_c(&w, "sandboxID", k->pod->id);
    json_out_i64(&w, "pid", k->pid);
    json_out_c(&w, "cgroup", k->cgroup.c);
    json_out_close(&w);
    return json_out_end(&w) < 0 ? NULL : arena_strdup(a, buf_c(&text));
}

void container_status_call(struct call *c) {
    const Runtime__V1__ContainerStatusRequest *r = c->request;
    struct container *k = container_of_call(c, r->container_id);
    if (!k) return;
    Runtime__V1__ContainerStatusResponse reply = RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INIT;
    Runtime__V1__ContainerStatusResponse__InfoEntry info =
        RUNTIME__V1__CONTAINER_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__ContainerStatusResponse__InfoEntry *infos[] = {&info};
    reply.status = container_status_message(c->arena, k);
    if (r->verbose) {
        info.key = (char *)(uintptr_t) "info";
        info.value = verbose_info(c->arena, k);
        reply.n_info = info.value ? 1 : 0;
        reply.info = infos;
    }
    if (reply.status)
        call_reply(c, &reply.base);
    else
        call_refuse(c, ERR_LIMIT, "ContainerStatus: the answer is too large");
}

/* ---- ListContainers ---- */

static bool in_filter(const struct container *k, const Runtime__V1__ContainerFilter *f) {
    if (!container_is_visible(k)) return false;
    if (!f) return true;
    if (!str_starts(str_of(k->record->id), str_of(f->id))) return false;
    if (!str_starts(str_of(k->pod->id), str_of(f->pod_sandbox_id))) return false;
    if (f->state && f->state->state != container_cri_state(k)) return false;
    struct labels have = {(void *)k->record->config->labels, k->record->config->n_labels};
    struct labels wanted = {(void *)f->label_selector, f->n_label_selector};
    return labels_match(&have, &wanted);
}

static Runtime__V1__Container *list_item(struct arena *a, struct container *k) {
    Gridlet__Record__Container *r = k->record;
    Runtime__V1__Container *out = arena_new(a, Runtime__V1__Container);
    if (!out) return NULL;
    runtime__v1__container__init(out);
    out->id = r->id;
    out->pod_sandbox_id = k->pod->id;
    out->metadata = r->config->metadata;
    out->image = r->config->image;
    out->image_ref = r->image_id;
    out->image_id = r->image_id;
    out->state = container_cri_state(k);
    out->created_at = r->created_at_ns;
    out->n_labels = r->config->n_labels;
    out->labels = (void *)r->config->labels;
    out->n_annotations = r->config->n_annotations;
    out->annotations = (void *)r->config->annotations;
    return out;
}

void container_list_call(struct call *c) {
    const Runtime__V1__ListContainersRequest *r = c->request;
    Runtime__V1__ListContainersResponse reply = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
    const struct idmap *all = &c->cri->containers;
    reply.containers = arena_array(c->arena, all->count + 1, sizeof *reply.containers);
    bool whole = reply.containers != NULL;
    for (size_t i = 0; whole && i < all->count; i++) {
        struct container *k = all->entries[i].thing;
        if (!in_filter(k, r->filter)) continue;
        Runtime__V1__Container *item = list_item(c->arena, k);
        whole = item != NULL;
        if (whole) reply.containers[reply.n_containers++] = item;
    }
    if (whole)
        call_reply(c, &reply.base);
    else
        call_refuse(c, ERR_LIMIT, "ListContainers: the answer is too large");
}
