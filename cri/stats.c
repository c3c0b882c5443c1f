/* SPDX-License-Identifier: Apache-2.0 — stats.c: ContainerStats, PodSandboxStats and their lists.
 *
 * The loop copies what names and places an answer needs (a container may be gone before its numbers
 * are read), a few ops read the cgroups side by side, the loop builds the messages and replies. A
 * cgroup that vanished in between drops its container from a list; it never fails the list. The
 * writable layer is measured by walking it, at most every DISK_FRESH_MS. */
#include "base/clock.h"
#include "base/file.h"
#include "cri/container.h"
#include "cri/disk_usage.h"
#include "cri/labels.h"
#include "cri/methods.h"
#include "cri/stats_sample.h"

#include <stdio.h>

#define DISK_FRESH_MS       10000
#define READINGS_MAX        4 /* ops at a time for one call: other calls want workers too */
#define READING_SAMPLES_MIN 8 /* fewer are not worth an op */

struct sampling {
    struct call *call;
    struct sample *samples; /* in the call's arena */
    size_t count;
    size_t readings; /* ops under way */
    void (*reply)(struct sampling *s);
};

/* Some samples of a sampling. */
struct reading {
    struct op op;
    struct sampling *sampling;
    size_t from, to;
};

/* ---- reading ---- */

static void read_sample(const struct cri *c, struct sample *s) {
    struct image_usage found;
    struct err e; /* a group that is gone is left out, whatever the reason */
    s->there = cgroup_stats(c->cgroups, s->cgroup, &s->numbers, &e) == 0;
    if (!s->there) return;
    if (s->upper_fd >= 0 && disk_usage(s->upper_fd, &found) == 0) s->disk = found;
    if (s->is_pod) s->pids = cgroup_pids(c->cgroups, s->cgroup);
    s->has_traffic =
        s->network && pod_network_traffic(c->options.network, str_of(s->id), &s->traffic, &e) == 0;
}

static int read_work(struct op *o, struct err *e) {
    struct reading *r = CONTAINER_OF(o, struct reading, op);
    (void)e;
    for (size_t i = r->from; i < r->to; i++)
        read_sample(r->sampling->call->cri, &r->sampling->samples[i]);
    return 0;
}

/* ---- on the loop ---- */

static void remember_disk(struct cri *c, const struct sample *s) {
    struct container *k = s->upper_fd < 0 ? NULL : idmap_find(&c->containers, str_of(s->id));
    if (!k) return;
    k->disk = s->disk;
    k->disk_counted_ms = clock_ms();
}

static bool build_messages(struct sampling *g) {
    /* containers stand behind their pod: from the end, so that they are there when it is put
     * together */
    for (size_t i = g->count; i-- > 0;) {
        struct sample *s = &g->samples[i];
        if (!s->there) continue;
        s->message = s->is_pod ? (void *)pod_stats_message(g->call->arena, s)
                               : (void *)container_stats_message(g->call->arena, s);
        if (!s->message) return false;
    }
    return true;
}

static void finish(struct sampling *g) {
    size_t count = g->count;
    ProtobufCMessage **owned = xmalloc((count + 1) * sizeof *owned); /* samples go with the reply */
    for (size_t i = 0; i < count; i++) {
        struct sample *s = &g->samples[i];
        owned[i] = s->attributes;
        remember_disk(g->call->cri, s);
        if (s->upper_fd >= 0) (void)close(s->upper_fd);
    }
    if (build_messages(g))
        g->reply(g);
    else
        call_refuse(g->call, ERR_LIMIT, "%s: the answer is too large", g->call->method);
    for (size_t i = 0; i < count; i++) protobuf_c_message_free_unpacked(owned[i], NULL);
    free(owned);
    free(g);
}

static void read_done(struct op *o) {
    struct reading *r = CONTAINER_OF(o, struct reading, op);
    struct sampling *g = r->sampling;
    free(r);
    if (--g->readings == 0) finish(g);
}

static void begin(struct sampling *g) {
    size_t ops = g->count / READING_SAMPLES_MIN;
    ops = ops < 1 ? 1 : ops > READINGS_MAX ? READINGS_MAX : ops;
    g->readings = ops;
    for (size_t i = 0; i < ops; i++) {
        struct reading *r = xnew(struct reading);
        r->sampling = g;
        r->from = g->count * i / ops;
        r->to = g->count * (i + 1) / ops;
        op_start(&r->op, g->call->cri->loop, NULL, read_work, read_done);
    }
}

static struct sampling *sampling_new(struct call *c, size_t most,
                                     void (*reply)(struct sampling *s)) {
    struct sampling *g = xnew(struct sampling);
    g->call = c;
    g->reply = reply;
    g->samples = arena_array(c->arena, most + 1, sizeof *g->samples);
    if (g->samples) return g;
    free(g);
    call_refuse(c, ERR_LIMIT, "%s: too many containers for one answer", c->method);
    return NULL;
}

static void add_container(struct sampling *g, struct container *k) {
    struct sample *s = &g->samples[g->count++];
    Runtime__V1__ContainerConfig *config = k->record->config;
    Runtime__V1__ContainerAttributes attributes = RUNTIME__V1__CONTAINER_ATTRIBUTES__INIT;
    attributes.id = k->record->id;
    attributes.metadata = config->metadata;
    attributes.n_labels = config->n_labels;
    attributes.labels = (void *)config->labels;
    attributes.n_annotations = config->n_annotations;
    attributes.annotations = (void *)config->annotations;
    (void)snprintf(s->id, sizeof s->id, "%s", k->record->id);
    s->attributes = message_copy(&attributes.base);
    s->cgroup = arena_strdup(g->call->arena, k->cgroup.c);
    s->layers_path = image_layers_path(g->call->cri->options.images);
    s->disk = k->disk;
    bool stale = k->disk_counted_ms == 0 || clock_ms() - k->disk_counted_ms > DISK_FRESH_MS;
    s->upper_fd = stale ? openat(k->dir_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static void add_pod(struct sampling *g, struct pod *p) {
    struct sample *s = &g->samples[g->count++];
    Runtime__V1__PodSandboxAttributes attributes = RUNTIME__V1__POD_SANDBOX_ATTRIBUTES__INIT;
    attributes.id = p->id;
    attributes.metadata = p->config->metadata;
    attributes.n_labels = p->config->n_labels;
    attributes.labels = (void *)p->config->labels;
    attributes.n_annotations = p->config->n_annotations;
    attributes.annotations = (void *)p->config->annotations;
    s->is_pod = true;
    s->upper_fd = -1;
    (void)snprintf(s->id, sizeof s->id, "%s", p->id);
    s->attributes = message_copy(&attributes.base);
    s->cgroup = arena_strdup(g->call->arena, p->cgroup);
    s->network = !pod_host_network(p);
    size_t first = g->count;
    for (struct container *k = p->containers; k; k = k->next)
        if (k->state == CONTAINER_RUNNING) add_container(g, k);
    s->container_count = g->count - first;
}

static void reply_gone(struct sampling *g, const char *what) {
    call_refuse(g->call, ERR_NOT_FOUND, "%s %s: not found", what, g->samples[0].id);
}

/* ---- ContainerStats, ListContainerStats ---- */

static void reply_container(struct sampling *g) {
    Runtime__V1__ContainerStatsResponse reply = RUNTIME__V1__CONTAINER_STATS_RESPONSE__INIT;
    reply.stats = g->samples[0].message;
    if (g->samples[0].there)
        call_reply(g->call, &reply.base);
    else
        reply_gone(g, "container");
}

void container_stats_call(struct call *c) {
    const Runtime__V1__ContainerStatsRequest *r = c->request;
    struct container *k = container_of_call(c, r->container_id);
    if (!k) return;
    if (k->state != CONTAINER_RUNNING) {
        call_refuse(c, ERR_BUSY, "ContainerStats: container %s is not running", k->record->id);
        return;
    }
    struct sampling *g = sampling_new(c, 1, reply_container);
    if (!g) return;
    add_container(g, k);
    begin(g);
}

static void reply_containers(struct sampling *g) {
    Runtime__V1__ListContainerStatsResponse reply =
        RUNTIME__V1__LIST_CONTAINER_STATS_RESPONSE__INIT;
    reply.stats = arena_array(g->call->arena, g->count + 1, sizeof *reply.stats);
    for (size_t i = 0; reply.stats && i < g->count; i++)
        if (g->samples[i].there) reply.stats[reply.n_stats++] = g->samples[i].message;
    call_reply(g->call, &reply.base);
}

static bool container_in_filter(const struct container *k,
                                const Runtime__V1__ContainerStatsFilter *f) {
    if (k->state != CONTAINER_RUNNING) return false;
    if (!f) return true;
    if (!str_starts(str_of(k->record->id), str_of(f->id))) return false;
    if (!str_starts(str_of(k->pod->id), str_of(f->pod_sandbox_id))) return false;
    struct labels have = {(void *)k->record->config->labels, k->record->config->n_labels};
    struct labels wanted = {(void *)f->label_selector, f->n_label_selector};
    return labels_match(&have, &wanted);
}

void container_stats_list_call(struct call *c) {
    const Runtime__V1__ListContainerStatsRequest *r = c->request;
    const struct idmap *all = &c->cri->containers;
    struct sampling *g = sampling_new(c, all->count, reply_containers);
    if (!g) return;
    for (size_t i = 0; i < all->count; i++)
        if (container_in_filter(all->entries[i].thing, r->filter))
            add_container(g, all->entries[i].thing);
    begin(g);
}

/* ---- PodSandboxStats, ListPodSandboxStats ---- */

static void reply_pod(struct sampling *g) {
    Runtime__V1__PodSandboxStatsResponse reply = RUNTIME__V1__POD_SANDBOX_STATS_RESPONSE__INIT;
    reply.stats = g->samples[0].message;
    if (g->samples[0].there)
        call_reply(g->call, &reply.base);
    else
        reply_gone(g, "pod sandbox");
}

void pod_stats_call(struct call *c) {
    const Runtime__V1__PodSandboxStatsRequest *r = c->request;
    struct pod *p = pod_of_call(c, r->pod_sandbox_id);
    if (!p) return;
    struct sampling *g = sampling_new(c, c->cri->containers.count + 1, reply_pod);
    if (!g) return;
    add_pod(g, p);
    begin(g);
}

static void reply_pods(struct sampling *g) {
    Runtime__V1__ListPodSandboxStatsResponse reply =
        RUNTIME__V1__LIST_POD_SANDBOX_STATS_RESPONSE__INIT;
    reply.stats = arena_array(g->call->arena, g->count + 1, sizeof *reply.stats);
    for (size_t i = 0; reply.stats && i < g->count; i++)
        if (g->samples[i].there && g->samples[i].is_pod)
            reply.stats[reply.n_stats++] = g->samples[i].message;
    call_reply(g->call, &reply.base);
}

static bool pod_in_filter(const struct pod *p, const Runtime__V1__PodSandboxStatsFilter *f) {
    if (p->state != POD_READY) return false;
    if (!f) return true;
    if (!str_starts(str_of(p->id), str_of(f->id))) return false;
    struct labels have = {(void *)p->config->labels, p->config->n_labels};
    struct labels wanted = {(void *)f->label_selector, f->n_label_selector};
    return labels_match(&have, &wanted);
}

void pod_stats_list_call(struct call *c) {
    const Runtime__V1__ListPodSandboxStatsRequest *r = c->request;
    const struct idmap *pods = &c->cri->pods;
    struct sampling *g = sampling_new(c, pods->count + c->cri->containers.count, reply_pods);
    if (!g) return;
    for (size_t i = 0; i < pods->count; i++)
        if (pod_in_filter(pods->entries[i].thing, r->filter)) add_pod(g, pods->entries[i].thing);
    begin(g);
}
