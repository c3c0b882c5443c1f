/* SPDX-License-Identifier: Apache-2.0 — stats_message.c: what was read of a group, as CRI messages.
 */
#include "base/clock.h"
#include "cri/stats_sample.h"

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

static Runtime__V1__FilesystemUsage *disk_usage_message(struct arena *a, const struct sample *s,
                                                        int64_t now) {
    Runtime__V1__FilesystemUsage *u = arena_new(a, Runtime__V1__FilesystemUsage);
    Runtime__V1__FilesystemIdentifier *id = arena_new(a, Runtime__V1__FilesystemIdentifier);
    if (!u || !id) return NULL;
    runtime__v1__filesystem_usage__init(u);
    runtime__v1__filesystem_identifier__init(id);
    id->mountpoint = (char *)(uintptr_t)s->layers_path;
    u->timestamp = now;
    u->fs_id = id;
    u->used_bytes = value(a, s->disk.bytes);
    u->inodes_used = value(a, s->disk.inodes);
    return u;
}

Runtime__V1__ContainerStats *container_stats_message(struct arena *a, const struct sample *s) {
    const struct cgroup_stats *numbers = &s->numbers;
    int64_t now = clock_wall_ns();
    Runtime__V1__ContainerStats *out = arena_new(a, Runtime__V1__ContainerStats);
    if (!out) return NULL;
    runtime__v1__container_stats__init(out);
    out->attributes = (void *)s->attributes;
    out->cpu = cpu_usage(a, numbers, now);
    out->memory = memory_usage(a, numbers, now);
    out->swap = swap_usage(a, numbers, now);
    out->io = io_usage(a, numbers, now);
    out->writable_layer = disk_usage_message(a, s, now);
    return out->cpu && out->memory && out->swap && out->writable_layer ? out : NULL;
}

static Runtime__V1__NetworkUsage *network_usage(struct arena *a, const struct sample *s,
                                                int64_t now) {
    if (!s->has_traffic) return NULL;
    Runtime__V1__NetworkUsage *n = arena_new(a, Runtime__V1__NetworkUsage);
    Runtime__V1__NetworkInterfaceUsage *i = arena_new(a, Runtime__V1__NetworkInterfaceUsage);
    if (!n || !i) return NULL;
    runtime__v1__network_usage__init(n);
    runtime__v1__network_interface_usage__init(i);
    i->name = (char *)(uintptr_t) "eth0";
    i->rx_bytes = value(a, s->traffic.rx_bytes);
    i->rx_errors = value(a, s->traffic.rx_errors);
    i->tx_bytes = value(a, s->traffic.tx_bytes);
    i->tx_errors = value(a, s->traffic.tx_errors);
    n->timestamp = now;
    n->default_interface = i;
    return n;
}

Runtime__V1__PodSandboxStats *pod_stats_message(struct arena *a, const struct sample *s) {
    const struct cgroup_stats *numbers = &s->numbers;
    int64_t now = clock_wall_ns();
    Runtime__V1__PodSandboxStats *out = arena_new(a, Runtime__V1__PodSandboxStats);
    Runtime__V1__LinuxPodSandboxStats *l = arena_new(a, Runtime__V1__LinuxPodSandboxStats);
    Runtime__V1__ProcessUsage *processes = arena_new(a, Runtime__V1__ProcessUsage);
    if (!out || !l || !processes) return NULL;
    runtime__v1__pod_sandbox_stats__init(out);
    runtime__v1__linux_pod_sandbox_stats__init(l);
    runtime__v1__process_usage__init(processes);
    processes->timestamp = now;
    processes->process_count = value(a, s->pids);
    out->attributes = (void *)s->attributes;
    out->linux = l;
    l->cpu = cpu_usage(a, numbers, now);
    l->memory = memory_usage(a, numbers, now);
    l->io = io_usage(a, numbers, now);
    l->network = network_usage(a, s, now);
    l->process = processes;
    l->containers = arena_array(a, s->container_count + 1, sizeof *l->containers);
    if (!l->cpu || !l->memory || !l->containers) return NULL;
    for (size_t i = 0; i < s->container_count; i++) {
        const struct sample *c = s + 1 + i;
        if (c->there) l->containers[l->n_containers++] = c->message;
    }
    return out;
}
