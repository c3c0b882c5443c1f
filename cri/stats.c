/* SPDX-License-Identifier: Apache-2.0 — stats.c: ContainerStats, PodSandboxStats and their lists.
 *
 * The loop copies what names and places an answer needs (a container may be gone before its numbers
 * are read), one op reads all cgroups and builds the messages, the loop replies. A cgroup that
 * vanished in between drops its container from a list; it never fails the list. The writable layer
 * is measured by walking it, at most every DISK_FRESH_MS. */
#include "base/clock.h"
#include "base/file.h"
#include "cri/container.h"
#include "cri/disk_usage.h"
#include "cri/labels.h"
#include "cri/methods.h"

#include <errno.h>
#include <stdio.h>

#define DISK_FRESH_MS 10000

struct sample {
    bool is_pod;
    char id[POD_ID_BYTES];
    ProtobufCMessage *attributes; /* copy in the heap; owned */
    const char *cgroup;           /* in the call's arena */
    int upper_fd; /* of the container's writable layer; owned, -1: not to be measured */
    struct image_usage disk;
    size_t first_container, container_count; /* of a pod: its samples */
    bool network;
    /* results */
    bool there;
    void *message; /* Runtime__V1__ContainerStats or PodSandboxStats, in the call's arena */
};

struct sampling {
    struct op op;
    struct call *call;
    struct sample *samples; /* in the call's arena */
    size_t count;
    const char *layers_path;
    void (*reply)(struct sampling *s);
};

/* ---- numbers to messages ---- */

static Runtime__V1__UInt64Value *value(struct arena *a, uint64_t number) {
    Runtime__V1__UInt64Value *v = arena_new(a, Runtime__V1__UInt64Value);
    if (!v) return NULL;
    runtime__v1__uint64_value__init(v);
    v->value = number;
    return v;
}

static Runtime__V1__PsiData *psi_line(struct arena *a, const struct cgroup_pressure_line *from) {
    Runtime__V1__PsiData *d = arena_new(a, Runtime__V1__PsiData);
    if (!d) return NULL;
    runtime__v1__psi_data__init(d);
    d->total = from->total_us;
    d->avg10 = from->avg10;
    d->avg60 = from->avg60;
    d->avg300 = from->avg300;
    return d;
}

static Runtime__V1__PsiStats *psi(struct arena *a, const struct cgroup_stats *s,
                                  const struct cgroup_pressure *from) {
    Runtime__V1__PsiStats *p = s->has_pressure ? arena_new(a, Runtime__V1__PsiStats) : NULL;
    if (!p) return NULL;
    runtime__v1__psi_stats__init(p);
    p->full = psi_line(a, &from->full);
    p->some = psi_line(a, &from->some);
    return p;
}

static Runtime__V1__CpuUsage *cpu_usage(struct arena *a, const struct cgroup_stats *s,
                                        int64_t now) {
    Runtime__V1__CpuUsage *c = arena_new(a, Runtime__V1__CpuUsage);
    if (!c) return NULL;
    runtime__v1__cpu_usage__init(c);
    c->timestamp = now;
    c->usage_core_nano_seconds = value(a, s->cpu_usage_ns);
    c->psi = psi(a, s, &s->cpu_pressure);
    return c;
}

static Runtime__V1__MemoryUsage *memory_usage(struct arena *a, const struct cgroup_stats *s,
                                              int64_t now) {
    Runtime__V1__MemoryUsage *m = arena_new(a, Runtime__V1__MemoryUsage);
    if (!m) return NULL;
    runtime__v1__memory_usage__init(m);
    m->timestamp = now;
    m->working_set_bytes = value(a, s->memory_working_set_bytes);
    if (s->memory_limit_bytes != UINT64_MAX)
        m->available_bytes = value(a, s->memory_available_bytes);
    m->usage_bytes = value(a, s->memory_usage_bytes);
    m->rss_bytes = value(a, s->memory_rss_bytes);
    m->page_faults = value(a, s->page_faults);
    m->major_page_faults = value(a, s->major_page_faults);
    m->psi = psi(a, s, &s->memory_pressure);
    return m;
}

static Runtime__V1__IoUsage *io_usage(struct arena *a, const struct cgroup_stats *s, int64_t now) {
    Runtime__V1__IoUsage *i = s->has_pressure ? arena_new(a, Runtime__V1__IoUsage) : NULL;
    if (!i) return NULL;
    runtime__v1__io_usage__init(i);
    i->timestamp = now;
    i->psi = psi(a, s, &s->io_pressure);
    return i;
}

static Runtime__V1__SwapUsage *swap_usage(struct arena *a, const struct cgroup_stats *s,
                                          int64_t now) {
    Runtime__V1__SwapUsage *w = arena_new(a, Runtime__V1__SwapUsage);
    if (!w) return NULL;
    runtime__v1__swap_usage__init(w);
    w->timestamp = now;
    w->swap_usage_bytes = value(a, s->swap_usage_bytes);
    w->swap_available_bytes = value(a, s->swap_available_bytes);
    return w;
}

static Runtime__V1__FilesystemUsage *disk_usage_message(struct sampling *g, const struct sample *s,
                                                        int64_t now) {
    struct arena *a = g->call->arena;
    Runtime__V1__FilesystemUsage *u = arena_new(a, Runtime__V1__FilesystemUsage);
    Runtime__V1__FilesystemIdentifier *id = arena_new(a, Runtime__V1__FilesystemIdentifier);
    if (!u || !id) return NULL;
    runtime__v1__filesystem_usage__init(u);
    runtime__v1__filesystem_identifier__init(id);
    id->mountpoint = (char *)(uintptr_t)g->layers_path;
    u->timestamp = now;
    u->fs_id = id;
    u->used_bytes = value(a, s->disk.bytes);
    u->inodes_used = value(a, s->disk.inodes);
    return u;
}

/* ---- the op ---- */

static void *container_message(struct sampling *g, const struct sample *s,
                               const struct cgroup_stats *numbers) {
    struct arena *a = g->call->arena;
    int64_t now = clock_wall_ns();
    Runtime__V1__ContainerStats *out = arena_new(a, Runtime__V1__ContainerStats);
    if (!out) return NULL;
    runtime__v1__container_stats__init(out);
    out->attributes = (void *)s->attributes;
    out->cpu = cpu_usage(a, numbers, now);
    out->memory = memory_usage(a, numbers, now);
    out->swap = swap_usage(a, numbers, now);
    out->io = io_usage(a, numbers, now);
    out->writable_layer = disk_usage_message(g, s, now);
    return out->cpu && out->memory && out->swap && out->writable_layer ? out : NULL;
}

static Runtime__V1__NetworkUsage *network_usage(struct sampling *g, const struct sample *s,
                                                int64_t now) {
    struct arena *a = g->call->arena;
    struct pod_traffic t;
    struct err e;
    if (!s->network ||
        pod_network_traffic(g->call->cri->options.network, str_of(s->id), &t, &e) < 0)
        return NULL;
    Runtime__V1__NetworkUsage *n = arena_new(a, Runtime__V1__NetworkUsage);
    Runtime__V1__NetworkInterfaceUsage *i = arena_new(a, Runtime__V1__NetworkInterfaceUsage);
    if (!n || !i) return NULL;
    runtime__v1__network_usage__init(n);
    runtime__v1__network_interface_usage__init(i);
    i->name = (char *)(uintptr_t) "eth0";
    i->rx_bytes = value(a, t.rx_bytes);
    i->rx_errors = value(a, t.rx_errors);
    i->tx_bytes = value(a, t.tx_bytes);
    i->tx_errors = value(a, t.tx_errors);
    n->timestamp = now;
    n->default_interface = i;
    return n;
}

static void *pod_message(struct sampling *g, const struct sample *s,
                         const struct cgroup_stats *numbers) {
    struct arena *a = g->call->arena;
    int64_t now = clock_wall_ns();
    Runtime__V1__PodSandboxStats *out = arena_new(a, Runtime__V1__PodSandboxStats);
    Runtime__V1__LinuxPodSandboxStats *l = arena_new(a, Runtime__V1__LinuxPodSandboxStats);
    Runtime__V1__ProcessUsage *processes = arena_new(a, Runtime__V1__ProcessUsage);
    if (!out || !l || !processes) return NULL;
    runtime__v1__pod_sandbox_stats__init(out);
    runtime__v1__linux_pod_sandbox_stats__init(l);
    runtime__v1__process_usage__init(processes);
    processes->timestamp = now;
    processes->process_count = value(a, cgroup_pids(g->call->cri->cgroups, s->cgroup));
    out->attributes = (void *)s->attributes;
    out->linux = l;
    l->cpu = cpu_usage(a, numbers, now);
    l->memory = memory_usage(a, numbers, now);
    l->io = io_usage(a, numbers, now);
    l->network = network_usage(g, s, now);
    l->process = processes;
    l->containers = arena_array(a, s->container_count + 1, sizeof *l->containers);
    if (!l->cpu || !l->memory || !l->containers) return NULL;
    for (size_t i = 0; i < s->container_count; i++) {
        const struct sample *c = &g->samples[s->first_container + i];
        if (c->there) l->containers[l->n_containers++] = c->message;
    }
    return out;
}

static void measure_disk(struct sample *s) {
    struct image_usage found;
    if (s->upper_fd >= 0 && disk_usage(s->upper_fd, &found) == 0) s->disk = found;
}

static int sample_work(struct op *o, struct err *e) {
    struct sampling *g = CONTAINER_OF(o, struct sampling, op);
    /* containers stand behind their pod: from the end, so that they are there when it is put
     * together */
    for (size_t i = g->count; i-- > 0;) {
        struct sample *s = &g->samples[i];
        struct cgroup_stats numbers;
        if (cgroup_stats(g->call->cri->cgroups, s->cgroup, &numbers, e) < 0) continue;
        if (!s->is_pod) measure_disk(s);
        s->message = s->is_pod ? pod_message(g, s, &numbers) : container_message(g, s, &numbers);
        if (!s->message)
            return err_set(e, ERR_LIMIT, "%s: the answer is too large", g->call->method);
        s->there = true;
    }
    return 0;
}

/* ---- on the loop ---- */

static void remember_disk(struct cri *c, const struct sample *s) {
    struct container *k = s->upper_fd < 0 ? NULL : idmap_find(&c->containers, str_of(s->id));
    if (!k) return;
    k->disk = s->disk;
    k->disk_counted_ms = clock_ms();
}

static void sample_done(struct op *o) {
    struct sampling *g = CONTAINER_OF(o, struct sampling, op);
    ProtobufCMessage **owned = xmalloc((g->count + 1) * sizeof *owned);
    size_t count = g->count;
    for (size_t i = 0; i < count; i++) {
        struct sample *s = &g->samples[i];
        owned[i] = s->attributes;
        remember_disk(g->call->cri, s);
        if (s->upper_fd >= 0) (void)close(s->upper_fd);
    }
    if (o->failed)
        call_fail(g->call, &o->e);
    else
        g->reply(g);
    for (size_t i = 0; i < count; i++) protobuf_c_message_free_unpacked(owned[i], NULL);
    free(owned);
    free(g);
}

static struct sampling *sampling_new(struct call *c, size_t most,
                                     void (*reply)(struct sampling *s)) {
    struct sampling *g = xnew(struct sampling);
    g->call = c;
    g->reply = reply;
    g->layers_path = image_layers_path(c->cri->options.images);
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
    s->first_container = g->count;
    for (struct container *k = p->containers; k; k = k->next)
        if (k->state == CONTAINER_RUNNING) add_container(g, k);
    s->container_count = g->count - s->first_container;
}

static void begin(struct sampling *g) {
    op_start(&g->op, g->call->cri->loop, NULL, sample_work, sample_done);
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
