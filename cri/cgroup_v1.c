/* SPDX-License-Identifier: Apache-2.0 — cgroup_v1.c: the files of v1 controllers and the order that
 * they want. */
#include "cri/cgroup_tree.h"

#include <errno.h>
#include <stdio.h>

static void plan_cpu(const struct cgroup_node *n, struct cgroup_plan *p) {
    const struct cgroup_limits *l = p->limits;
    int h = n->at[CGROUP_CPU];
    if (l->cpu_shares)
        cgroup_plan_number(p, h, CGROUP_REQUIRED, "cpu.shares", (int64_t)l->cpu_shares);
    /* Any period is allowed while there is no quota; else quota / period must stay below the
     * parent's at each step. */
    if (l->cpu_period_us && l->cpu_quota_us)
        cgroup_plan_number(p, h, CGROUP_REQUIRED, "cpu.cfs_quota_us", -1);
    if (l->cpu_period_us)
        cgroup_plan_number(p, h, CGROUP_REQUIRED, "cpu.cfs_period_us", (int64_t)l->cpu_period_us);
    if (l->cpu_quota_us)
        cgroup_plan_number(p, h, CGROUP_REQUIRED, "cpu.cfs_quota_us", l->cpu_quota_us);
}

/* memory.memsw (memory plus swap) may at no moment be below memory. */
static void plan_memory(const struct cgroup_node *n, struct cgroup_plan *p) {
    static const char limit_file[] = "memory.limit_in_bytes";
    static const char memsw_file[] = "memory.memsw.limit_in_bytes";
    int h = n->at[CGROUP_MEMORY];
    int64_t memory = p->limits->memory_bytes, memsw = p->limits->memory_swap_bytes;
    uint64_t now = UINT64_MAX; /* without swap accounting there is no such file, and no order */
    (void)!cgroup_file_number(n, h, p->path, memsw_file, &now);
    if (memory < 0) memsw = -1;
    if (memory > 0 && memsw == 0 && (uint64_t)memory > now) memsw = memory;
    bool memsw_first = memsw < 0 || (memsw > 0 && (uint64_t)memsw > now);
    if (memsw && memsw_first) cgroup_plan_number(p, h, CGROUP_OPTIONAL, memsw_file, memsw);
    if (memory) cgroup_plan_number(p, h, CGROUP_REQUIRED, limit_file, memory);
    if (memsw && !memsw_first) cgroup_plan_number(p, h, CGROUP_OPTIONAL, memsw_file, memsw);
}

static void plan_hugepages(const struct cgroup_node *n, struct cgroup_plan *p) {
    for (size_t i = 0; i < p->limits->hugepage_count; i++) {
        const struct cgroup_hugepage *page = &p->limits->hugepages[i];
        char file[CGROUP_FILE_BYTES_MAX];
        enum cgroup_need need = page->limit_bytes ? CGROUP_REQUIRED : CGROUP_OPTIONAL;
        uint64_t most = page->limit_bytes > INT64_MAX ? INT64_MAX : page->limit_bytes;
        (void)snprintf(file, sizeof file, "hugetlb.%.*s.limit_in_bytes", STR_ARG(page->size));
        cgroup_plan_number(p, n->at[CGROUP_HUGETLB], need, file, (int64_t)most);
        (void)snprintf(file, sizeof file, "hugetlb.%.*s.rsvd.limit_in_bytes", STR_ARG(page->size));
        cgroup_plan_number(p, n->at[CGROUP_HUGETLB], CGROUP_OPTIONAL, file, (int64_t)most);
    }
}

void cgroup_v1_plan(const struct cgroup_node *n, struct cgroup_plan *p) {
    const struct cgroup_limits *l = p->limits;
    if (cgroup_in_v1(n, CGROUP_CPUSET)) {
        int h = n->at[CGROUP_CPUSET];
        if (l->cpuset_mems.n)
            cgroup_plan_text(p, h, CGROUP_REQUIRED, "cpuset.mems", l->cpuset_mems);
        if (l->cpuset_cpus.n)
            cgroup_plan_text(p, h, CGROUP_REQUIRED, "cpuset.cpus", l->cpuset_cpus);
    }
    if (cgroup_in_v1(n, CGROUP_CPU)) plan_cpu(n, p);
    if (cgroup_in_v1(n, CGROUP_HUGETLB)) plan_hugepages(n, p);
    if (cgroup_in_v1(n, CGROUP_PIDS) && l->pids)
        cgroup_plan_text(p, n->at[CGROUP_PIDS], CGROUP_REQUIRED, "pids.max",
                         l->pids < 0 ? STR("max")
                                     : str_of(arena_fmt(p->arena, "%lld", (long long)l->pids)));
    if (cgroup_in_v1(n, CGROUP_MEMORY)) plan_memory(n, p);
}

int cgroup_v1_inherit(const struct cgroup_node *n, const char *parent, const char *path) {
    static const char *const files[] = {"cpuset.mems", "cpuset.cpus"};
    int h = n->at[CGROUP_CPUSET];
    for (size_t i = 0; i < COUNT(files); i++) {
        char text[CGROUP_VALUE_BYTES_MAX];
        ssize_t got =
            cgroup_file_read(n, h, path, files[i], (struct cgroup_text){text, sizeof text});
        if (got < 0 && got != -ENOENT) return (int)got;
        if (got > 0 && str_trim(str_make(text, (size_t)got)).n) continue;
        got = cgroup_file_read(n, h, parent, files[i], (struct cgroup_text){text, sizeof text});
        if (got < 0) return n->imitation ? 0 : (int)got;
        int r = cgroup_file_write(n, h, path, files[i], str_trim(str_make(text, (size_t)got)));
        if (r < 0) return r;
    }
    return 0;
}
