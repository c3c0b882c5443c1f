/* SPDX-License-Identifier: Apache-2.0 — cgroup_v2.c: the files of v2 controllers, and giving
 * controllers to children. */
#include "cri/cgroup_tree.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define EVACUATE_PASSES_MAX 16
#define PROCS_BYTES_MAX     65536
#define CPU_PERIOD_US       100000 /* the kernel's own */

/* Quota and period are one file; the one that is not given keeps its value. */
static void plan_cpu_max(const struct cgroup_node *n, struct cgroup_plan *p) {
    char now[64] = "";
    (void)!cgroup_file_read(n, CGROUP_UNIFIED, p->path, "cpu.max",
                            (struct cgroup_text){now, sizeof now});
    struct str rest = str_trim(str_of(now)), quota;
    if (!str_next(&rest, ' ', &quota) || !quota.n) quota = STR("max");
    uint64_t period = CPU_PERIOD_US;
    if (str_u64(rest, &period) < 0) period = CPU_PERIOD_US;
    if (p->limits->cpu_period_us) period = p->limits->cpu_period_us;
    char text[80], number[32];
    if (p->limits->cpu_quota_us < 0) quota = STR("max");
    if (p->limits->cpu_quota_us > 0) {
        (void)snprintf(number, sizeof number, "%lld", (long long)p->limits->cpu_quota_us);
        quota = str_of(number);
    }
    (void)snprintf(text, sizeof text, "%.*s %llu", STR_ARG(quota), (unsigned long long)period);
    cgroup_plan_text(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "cpu.max", str_of(text));
}

static void plan_memory(struct cgroup_plan *p) {
    int64_t memory = p->limits->memory_bytes, memsw = p->limits->memory_swap_bytes;
    if (memory) cgroup_plan_number(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "memory.max", memory);
    /* No file: swap is not compiled in, so none can be used. */
    if (memsw) {
        int64_t swap = memsw < 0 ? -1 : memsw - memory;
        cgroup_plan_number(p, CGROUP_UNIFIED, CGROUP_OPTIONAL, "memory.swap.max", swap);
    }
}

static void plan_hugepages(struct cgroup_plan *p) {
    for (size_t i = 0; i < p->limits->hugepage_count; i++) {
        const struct cgroup_hugepage *page = &p->limits->hugepages[i];
        char file[CGROUP_FILE_BYTES_MAX];
        enum cgroup_need need = page->limit_bytes ? CGROUP_REQUIRED : CGROUP_OPTIONAL;
        uint64_t most = page->limit_bytes > INT64_MAX ? INT64_MAX : page->limit_bytes;
        (void)snprintf(file, sizeof file, "hugetlb.%.*s.max", STR_ARG(page->size));
        cgroup_plan_number(p, CGROUP_UNIFIED, need, file, (int64_t)most);
        (void)snprintf(file, sizeof file, "hugetlb.%.*s.rsvd.max", STR_ARG(page->size));
        cgroup_plan_number(p, CGROUP_UNIFIED, CGROUP_OPTIONAL, file, (int64_t)most);
    }
}

static void plan_unified(struct cgroup_plan *p) {
    for (size_t i = 0; i < p->limits->unified_count; i++) {
        const struct cgroup_setting *s = &p->limits->unified[i];
        char file[CGROUP_FILE_BYTES_MAX];
        (void)snprintf(file, sizeof file, "%.*s", STR_ARG(s->key));
        cgroup_plan_text(p, CGROUP_UNIFIED, CGROUP_REQUIRED, file, s->value);
    }
}

void cgroup_v2_plan(const struct cgroup_node *n, struct cgroup_plan *p) {
    const struct cgroup_limits *l = p->limits;
    if (n->at[CGROUP_CPUSET] == CGROUP_UNIFIED) {
        if (l->cpuset_mems.n)
            cgroup_plan_text(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "cpuset.mems", l->cpuset_mems);
        if (l->cpuset_cpus.n)
            cgroup_plan_text(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "cpuset.cpus", l->cpuset_cpus);
    }
    if (n->at[CGROUP_CPU] == CGROUP_UNIFIED) {
        if (l->cpu_shares)
            cgroup_plan_number(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "cpu.weight",
                               (int64_t)cgroup_weight_of_shares(l->cpu_shares));
        if (l->cpu_period_us || l->cpu_quota_us) plan_cpu_max(n, p);
    }
    if (n->at[CGROUP_HUGETLB] == CGROUP_UNIFIED) plan_hugepages(p);
    if (n->at[CGROUP_PIDS] == CGROUP_UNIFIED && l->pids)
        cgroup_plan_number(p, CGROUP_UNIFIED, CGROUP_REQUIRED, "pids.max", l->pids);
    if (n->at[CGROUP_MEMORY] == CGROUP_UNIFIED) plan_memory(p);
    plan_unified(p);
}

/* v1 answers EBUSY when it cannot reclaim enough; v2 would kill instead. */
int cgroup_v2_check(const struct cgroup_node *n, const char *path, const struct cgroup_limits *l,
                    struct err *e) {
    if (n->at[CGROUP_MEMORY] != CGROUP_UNIFIED || l->memory_bytes <= 0) return 0;
    struct cgroup_stats s;
    struct err ignored;
    if (cgroup_stats(n, path, &s, &ignored) < 0) return 0;
    if (s.memory_working_set_bytes <= (uint64_t)l->memory_bytes) return 0;
    return err_set(e, ERR_BUSY,
                   "memory limit %lld: cgroup '%s' uses %llu bytes that cannot be freed without "
                   "killing",
                   (long long)l->memory_bytes, path,
                   (unsigned long long)s.memory_working_set_bytes);
}

/* ---- giving controllers away ---- */

static bool holds_us(struct str procs) {
    struct str line;
    uint64_t pid;
    while (str_next(&procs, '\n', &line))
        if (str_u64(line, &pid) == 0 && pid == (uint64_t)getpid()) return true;
    return false;
}

/* A group that gives controllers away may hold no process: ours goes, with its neighbours, to the
 * leaf "daemon". */
static int evacuate(const struct cgroup_node *n, const char *path) {
    AUTO_FREE char *procs = xmalloc(PROCS_BYTES_MAX);
    AUTO_FREE char *leaf = xasprintf("%s/daemon", path[1] ? path : "");
    for (unsigned pass = 0; pass < EVACUATE_PASSES_MAX; pass++) {
        ssize_t got = cgroup_file_read(n, CGROUP_UNIFIED, path, "cgroup.procs",
                                       (struct cgroup_text){procs, PROCS_BYTES_MAX});
        if (got <= 0) return (int)got;
        struct str rest = str_make(procs, (size_t)got), line;
        if (pass == 0 && !holds_us(rest)) return -EBUSY;
        if (mkdirat(n->hierarchies[CGROUP_UNIFIED].fd, leaf + 1, 0755) < 0 && errno != EEXIST)
            return -errno;
        while (str_next(&rest, '\n', &line)) {
            int r = line.n ? cgroup_file_write(n, CGROUP_UNIFIED, leaf, "cgroup.procs", line) : 0;
            if (r < 0 && r != -ESRCH) return r;
        }
    }
    return -EBUSY;
}

int cgroup_v2_enable(const struct cgroup_node *n, const char *path) {
    static const char *const words[CGROUP_CONTROLLERS] = {"+cpu", NULL,    "+cpuset",  "+memory",
                                                          "+io",  "+pids", "+hugetlb", NULL};
    static const char file[] = "cgroup.subtree_control";
    uint32_t controllers = n->hierarchies[CGROUP_UNIFIED].controllers;
    char all[CGROUP_FILE_BYTES_MAX];
    size_t used = 0;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if ((controllers & (1U << c)) && words[c])
            used +=
                (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? " " : "", words[c]);
    if (!used) return 0;
    int r = cgroup_file_write(n, CGROUP_UNIFIED, path, file, str_make(all, used));
    if (r == -EBUSY) {
        r = evacuate(n, path);
        if (r < 0) return r;
        r = cgroup_file_write(n, CGROUP_UNIFIED, path, file, str_make(all, used));
    }
    if (r == 0) return 0;
    /* One controller may be unable to come along (cpu beside real-time processes): it is missed
     * when a limit needs it, with a message of its own. */
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if ((controllers & (1U << c)) && words[c])
            (void)!cgroup_file_write(n, CGROUP_UNIFIED, path, file, str_of(words[c]));
    return 0;
}
