/* SPDX-License-Identifier: Apache-2.0 — pod_query.c: PodSandboxStatus and ListPodSandbox.
 *
 * Answers are put together from the records on the loop: no disk, no lock. Messages point into the
 * records, which cannot change before the answer is packed. */
#include "base/clock.h"
#include "base/json_out.h"
#include "cri/container.h"
#include "cri/labels.h"
#include "cri/methods.h"

#define INFO_BYTES_MAX (64u << 10)

/* ---- PodSandboxStatus ---- */

static Runtime__V1__PodSandboxNetworkStatus *network_status(struct arena *a, struct pod *p) {
    Runtime__V1__PodSandboxNetworkStatus *out = arena_new(a, Runtime__V1__PodSandboxNetworkStatus);
    if (!out) return NULL;
    runtime__v1__pod_sandbox_network_status__init(out);
    out->ip = p->addresses.ip4[0] ? p->addresses.ip4 : p->addresses.ip6;
    if (!p->addresses.ip4[0] || !p->addresses.ip6[0]) return out;
    Runtime__V1__PodIP *second = arena_new(a, Runtime__V1__PodIP);
    Runtime__V1__PodIP **list = arena_new(a, Runtime__V1__PodIP *);
    if (!second || !list) return NULL;
    runtime__v1__pod_ip__init(second);
    second->ip = p->addresses.ip6;
    list[0] = second;
    out->additional_ips = list;
    out->n_additional_ips = 1;
    return out;
}

static Runtime__V1__LinuxPodSandboxStatus *linux_status(struct arena *a, const struct pod *p) {
    static Runtime__V1__NamespaceOption defaults = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__LinuxPodSandboxStatus *out = arena_new(a, Runtime__V1__LinuxPodSandboxStatus);
    Runtime__V1__Namespace *ns = arena_new(a, Runtime__V1__Namespace);
    if (!out || !ns) return NULL;
    runtime__v1__linux_pod_sandbox_status__init(out);
    runtime__v1__namespace__init(ns);
    const Runtime__V1__LinuxPodSandboxConfig *config = p->config->linux;
    const Runtime__V1__LinuxSandboxSecurityContext *security =
        config ? config->security_context : NULL;
    ns->options = security && security->namespace_options ? security->namespace_options : &defaults;
    out->namespaces = ns;
    return out;
}

static Runtime__V1__PodSandboxStatus *status_message(struct arena *a, struct pod *p) {
    Runtime__V1__PodSandboxStatus *out = arena_new(a, Runtime__V1__PodSandboxStatus);
    if (!out) return NULL;
    runtime__v1__pod_sandbox_status__init(out);
    out->id = p->id;
    out->metadata = p->config->metadata;
    out->state = pod_cri_state(p);
    out->created_at = p->created_at_ns;
    out->n_labels = p->config->n_labels;
    out->labels = (void *)p->config->labels;
    out->n_annotations = p->config->n_annotations;
    out->annotations = (void *)p->config->annotations;
    out->runtime_handler = p->handler;
    out->network = network_status(a, p);
    out->linux = linux_status(a, p);
    return out->network && out->linux ? out : NULL;
}

static char *verbose_info(struct arena *a, const struct pod *p) {
    AUTO(buf_done) struct buf text = BUF(INFO_BYTES_MAX);
    struct json_out w = JSON_OUT(&text);
    json_out_object(&w, NULL);
    json_out_c(&w, "cgroup", p->cgroup);
    json_out_c(&w, "logDirectory", text_of(p->config->log_directory));
    json_out_bool(&w, "hostNetwork", pod_host_network(p));
    json_out_close(&w);
    return json_out_end(&w) < 0 ? NULL : arena_strdup(a, buf_c(&text));
}

static bool container_statuses(struct arena *a, const struct pod *p,
                               Runtime__V1__PodSandboxStatusResponse *reply) {
    size_t count = 0;
    for (const struct container *k = p->containers; k; k = k->next) count++;
    reply->containers_statuses = arena_array(a, count + 1, sizeof *reply->containers_statuses);
    if (!reply->containers_statuses) return false;
    for (struct container *k = p->containers; k; k = k->next) {
        if (!container_is_visible(k)) continue;
        Runtime__V1__ContainerStatus *status = container_status_message(a, k);
        if (!status) return false;
        reply->containers_statuses[reply->n_containers_statuses++] = status;
    }
    return true;
}

void pod_status_call(struct call *c) {
    const Runtime__V1__PodSandboxStatusRequest *r = c->request;
    struct pod *p = pod_of_call(c, r->pod_sandbox_id);
    if (!p) return;
    Runtime__V1__PodSandboxStatusResponse reply = RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INIT;
    Runtime__V1__PodSandboxStatusResponse__InfoEntry info =
        RUNTIME__V1__POD_SANDBOX_STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__PodSandboxStatusResponse__InfoEntry *infos[] = {&info};
    reply.status = status_message(c->arena, p);
    reply.timestamp = clock_wall_ns();
    if (r->verbose) {
        info.key = (char *)(uintptr_t) "info";
        info.value = verbose_info(c->arena, p);
        reply.n_info = info.value ? 1 : 0;
        reply.info = infos;
    }
    if (reply.status && container_statuses(c->arena, p, &reply))
        call_reply(c, &reply.base);
    else
        call_refuse(c, ERR_LIMIT, "PodSandboxStatus: the answer is too large");
}

/* ---- ListPodSandbox ---- */

static bool in_filter(const struct pod *p, const Runtime__V1__PodSandboxFilter *f) {
    if (!pod_is_visible(p)) return false;
    if (!f) return true;
    if (!str_starts(str_of(p->id), str_of(f->id))) return false;
    if (f->state && f->state->state != pod_cri_state(p)) return false;
    struct labels have = {(void *)p->config->labels, p->config->n_labels};
    struct labels wanted = {(void *)f->label_selector, f->n_label_selector};
    return labels_match(&have, &wanted);
}

static Runtime__V1__PodSandbox *list_item(struct arena *a, struct pod *p) {
    Runtime__V1__PodSandbox *out = arena_new(a, Runtime__V1__PodSandbox);
    if (!out) return NULL;
    runtime__v1__pod_sandbox__init(out);
    out->id = p->id;
    out->metadata = p->config->metadata;
    out->state = pod_cri_state(p);
    out->created_at = p->created_at_ns;
    out->n_labels = p->config->n_labels;
    out->labels = (void *)p->config->labels;
    out->n_annotations = p->config->n_annotations;
    out->annotations = (void *)p->config->annotations;
    out->runtime_handler = p->handler;
    return out;
}

void pod_list_call(struct call *c) {
    const Runtime__V1__ListPodSandboxRequest *r = c->request;
    Runtime__V1__ListPodSandboxResponse reply = RUNTIME__V1__LIST_POD_SANDBOX_RESPONSE__INIT;
    const struct idmap *pods = &c->cri->pods;
    reply.items = arena_array(c->arena, pods->count + 1, sizeof *reply.items);
    bool whole = reply.items != NULL;
    for (size_t i = 0; whole && i < pods->count; i++) {
        struct pod *p = pods->entries[i].thing;
        if (!in_filter(p, r->filter)) continue;
        Runtime__V1__PodSandbox *item = list_item(c->arena, p);
        whole = item != NULL;
        if (whole) reply.items[reply.n_items++] = item;
    }
    if (whole)
        call_reply(c, &reply.base);
    else
        call_refuse(c, ERR_LIMIT, "ListPodSandbox: the answer is too large");
}

/* A kubelet announces that it resized the pod's own cgroup; there is nothing left to do. */
void pod_update_resources_call(struct call *c) {
    const Runtime__V1__UpdatePodSandboxResourcesRequest *r = c->request;
    Runtime__V1__UpdatePodSandboxResourcesResponse reply =
        RUNTIME__V1__UPDATE_POD_SANDBOX_RESOURCES_RESPONSE__INIT;
    struct err e;
    if (pod_find(c->cri, r->pod_sandbox_id, &e))
        call_reply(c, &reply.base);
    else
        call_fail(c, &e);
}
