/* SPDX-License-Identifier: Apache-2.0 — cgroup_limits.c: checking limits, and setting them all or
 * not at all.
 *
 * A set of limits becomes a list of writes (cgroup_v1.c and cgroup_v2.c know the files and their
 * order); the list is carried out one by one, each old value read first. When a write is refused,
 * the old values are written back in reverse order. What cannot be written back (the kernel may
 * have changed its mind about cpusets) stays; the error tells what failed first. */
#include "cri/cgroup_tree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define PLAN_BYTES_MAX (4u << 20)

uint64_t cgroup_weight_of_shares(uint64_t shares) {
    if (shares <= 2) return 1;
    if (shares >= 262144) return 10000;
    double l = log2((double)shares);
    double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
    return (uint64_t)ceil(pow(10, exponent));
}

/* ---- from CRI ---- */

static int check_ranges(const Runtime__V1__LinuxContainerResources *r, struct err *e) {
    if (r->cpu_period < 0 || (r->cpu_period && (r->cpu_period < 1000 || r->cpu_period > 1000000)))
        return err_set(e, ERR_INVALID, "cpu_period %lld: must be 1000 to 1000000 microseconds",
                       (long long)r->cpu_period);
    if (r->cpu_quota < -1 || (r->cpu_quota > 0 && r->cpu_quota < 1000))
        return err_set(e, ERR_INVALID, "cpu_quota %lld: must be at least 1000 microseconds, or -1",
                       (long long)r->cpu_quota);
    if (r->cpu_shares < 0)
        return err_set(e, ERR_INVALID, "cpu_shares %lld: must not be negative",
                       (long long)r->cpu_shares);
    if (r->memory_limit_in_bytes < -1)
        return err_set(e, ERR_INVALID, "memory_limit_in_bytes %lld: must not be negative",
                       (long long)r->memory_limit_in_bytes);
    int64_t swap = r->memory_swap_limit_in_bytes, memory = r->memory_limit_in_bytes;
    if (swap < -1)
        return err_set(e, ERR_INVALID, "memory_swap_limit_in_bytes %lld: must not be negative",
                       (long long)swap);
    if (swap > 0 && memory <= 0)
        return err_set(e, ERR_INVALID,
                       "memory_swap_limit_in_bytes %lld needs a memory_limit_in_bytes",
                       (long long)swap);
    if (swap > 0 && swap < memory)
        return err_set(e, ERR_INVALID,
                       "memory_swap_limit_in_bytes %lld is memory plus swap: it must not be below "
                       "memory_limit_in_bytes %lld",
                       (long long)swap, (long long)memory);
    return 0;
}

static int check_cpu_list(const char *field, const char *text, struct err *e) {
    struct str list = str_of(text);
    if (list.n >= CGROUP_VALUE_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "%s is longer than %d bytes", field, CGROUP_VALUE_BYTES_MAX);
    for (size_t i = 0; i < list.n; i++)
        if (!strchr("0123456789,-", list.p[i]))
            return err_set(e, ERR_INVALID, "%s '%s': must be a list like 0-3,7", field, text);
    return 0;
}

static bool is_page_size(struct str size) {
    if (size.n < 3 || size.n > 8 || size.p[size.n - 1] != 'B') return false;
    uint64_t number;
    if (str_u64(str_sub(size, 0, size.n - 2), &number) < 0 || number == 0) return false;
    return strchr("KMG", size.p[size.n - 2]) != NULL;
}

static int convert_hugepages(const Runtime__V1__LinuxContainerResources *r, struct arena *a,
                             struct cgroup_limits *out, struct err *e) {
    if (r->n_hugepage_limits > CGROUP_HUGEPAGES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d hugepage_limits", CGROUP_HUGEPAGES_MAX);
    struct cgroup_hugepage *pages = arena_array(a, r->n_hugepage_limits + 1, sizeof *pages);
    if (!pages) return err_set(e, ERR_LIMIT, "hugepage_limits: request too large");
    for (size_t i = 0; i < r->n_hugepage_limits; i++) {
        const Runtime__V1__HugepageLimit *limit = r->hugepage_limits[i];
        pages[i] = (struct cgroup_hugepage){str_of(limit->page_size), limit->limit};
        if (!is_page_size(pages[i].size))
            return err_set(e, ERR_INVALID, "hugepage_limits: page size '%.64s' is not like 2MB",
                           limit->page_size);
    }
    out->hugepages = pages;
    out->hugepage_count = r->n_hugepage_limits;
    return 0;
}

static bool is_control_file(struct str key) {
    if (key.n == 0 || key.n >= CGROUP_FILE_BYTES_MAX || str_starts(key, STR("cgroup.")))
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (!(key.p[i] >= 'a' && key.p[i] <= 'z') && !(key.p[i] >= 'A' && key.p[i] <= 'Z') &&
            !(key.p[i] >= '0' && key.p[i] <= '9') && !strchr("._-", key.p[i]))
            return false;
    return str_find(key, '.') > 0;
}

static int convert_unified(const Runtime__V1__LinuxContainerResources *r, struct arena *a,
                           struct cgroup_limits *out, struct err *e) {
    if (r->n_unified > CGROUP_UNIFIED_MAX)
        return err_set(e, ERR_LIMIT, "more than %d unified settings", CGROUP_UNIFIED_MAX);
    struct cgroup_setting *settings = arena_array(a, r->n_unified + 1, sizeof *settings);
    if (!settings) return err_set(e, ERR_LIMIT, "unified: request too large");
    for (size_t i = 0; i < r->n_unified; i++) {
        settings[i].key = str_of(r->unified[i]->key);
        settings[i].value = str_of(r->unified[i]->value);
        if (!is_control_file(settings[i].key))
            return err_set(e, ERR_INVALID, "unified: '%.100s' is not a file of a cgroup controller",
                           r->unified[i]->key);
        if (settings[i].value.n >= CGROUP_VALUE_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "unified: the value of '%s' is longer than %d bytes",
                           r->unified[i]->key, CGROUP_VALUE_BYTES_MAX);
    }
    out->unified = settings;
    out->unified_count = r->n_unified;
    return 0;
}

int cgroup_limits_of(const Runtime__V1__LinuxContainerResources *r, struct arena *a,
                     struct cgroup_limits *out, struct err *e) {
    struct cgroup_limits l = {0};
    if (!r) {
        *out = l;
        return 0;
    }
    if (check_ranges(r, e) < 0 || check_cpu_list("cpuset_cpus", r->cpuset_cpus, e) < 0 ||
        check_cpu_list("cpuset_mems", r->cpuset_mems, e) < 0)
        return -1;
    if (convert_hugepages(r, a, &l, e) < 0 || convert_unified(r, a, &l, e) < 0) return -1;
    l.cpu_period_us = (uint64_t)r->cpu_period;
    l.cpu_quota_us = r->cpu_quota;
    l.cpu_shares = (uint64_t)r->cpu_shares;
    l.memory_bytes = r->memory_limit_in_bytes;
    l.memory_swap_bytes = r->memory_swap_limit_in_bytes;
    l.cpuset_cpus = str_of(r->cpuset_cpus);
    l.cpuset_mems = str_of(r->cpuset_mems);
    *out = l;
    return 0;
}

/* ---- the plan ---- */

void cgroup_plan_text(struct cgroup_plan *p, int hierarchy, enum cgroup_need need, const char *file,
                      struct str value) {
    if (p->count >= CGROUP_WRITES_MAX || strlen(file) >= CGROUP_FILE_BYTES_MAX) {
        p->failed = true;
        return;
    }
    struct cgroup_write *w = &p->writes[p->count];
    w->hierarchy = hierarchy;
    w->optional = need == CGROUP_OPTIONAL;
    (void)snprintf(w->file, sizeof w->file, "%s", file);
    w->value = arena_str(p->arena, value);
    if (!w->value.p) p->failed = true;
    p->count++;
}

void cgroup_plan_number(struct cgroup_plan *p, int hierarchy, enum cgroup_need need,
                        const char *file, int64_t value) {
    char text[32];
    if (value < 0)
        (void)snprintf(text, sizeof text, "%s", hierarchy == CGROUP_UNIFIED ? "max" : "-1");
    else
        (void)snprintf(text, sizeof text, "%lld", (long long)value);
    cgroup_plan_text(p, hierarchy, need, file, str_of(text));
}

static int check_controllers(const struct cgroup_node *n, const struct cgroup_limits *l,
                             struct err *e) {
    bool wanted[CGROUP_CONTROLLERS] = {
        [CGROUP_CPU] = l->cpu_period_us || l->cpu_quota_us || l->cpu_shares,
        [CGROUP_CPUSET] = l->cpuset_cpus.n || l->cpuset_mems.n,
        [CGROUP_MEMORY] = l->memory_bytes || l->memory_swap_bytes,
        [CGROUP_PIDS] = l->pids != 0,
    };
    for (size_t i = 0; i < l->hugepage_count; i++)
        if (l->hugepages[i].limit_bytes) wanted[CGROUP_HUGETLB] = true;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (wanted[c] && n->at[c] < 0)
            return err_set(e, ERR_UNSUPPORTED,
                           "a limit needs the cgroup controller '%s', which this machine does not "
                           "offer",
                           cgroup_controller_name(c));
    return 0;
}

/* A file may have several lines (io.max); the kernel takes them one at a time. */
static void write_back(const struct cgroup_node *n, const char *path, const struct cgroup_write *w,
                       struct str old) {
    struct str line;
    while (str_next(&old, '\n', &line))
        if (line.n && cgroup_file_write(n, w->hierarchy, path, w->file, line) < 0) return;
}

static int carry_out(const struct cgroup_node *n, const struct cgroup_plan *p, struct err *e) {
    struct str *old = arena_array(p->arena, p->count + 1, sizeof *old);
    if (!old) return err_set(e, ERR_LIMIT, "too many cgroup settings");
    char text[CGROUP_VALUE_BYTES_MAX];
    for (size_t i = 0; i < p->count; i++) {
        const struct cgroup_write *w = &p->writes[i];
        ssize_t got = cgroup_file_read(n, w->hierarchy, p->path, w->file,
                                       (struct cgroup_text){text, sizeof text});
        if (got > 0) old[i] = arena_str(p->arena, str_make(text, (size_t)got));
        int r = cgroup_file_write(n, w->hierarchy, p->path, w->file, w->value);
        if (r == 0 || (r == -ENOENT && w->optional)) continue;
        while (i-- > 0) write_back(n, p->path, &p->writes[i], old[i]);
        if (r == -ENOENT)
            return err_set(e, ERR_UNSUPPORTED, "cgroup '%s' has no file %s", p->path, w->file);
        if (r == -EINVAL || r == -ERANGE)
            return err_set(e, ERR_INVALID, "cgroup '%s': the kernel refuses %s = '%.*s'", p->path,
                           w->file, STR_ARG(str_sub(w->value, 0, 100)));
        return err_sys(e, -r, "write '%.*s' to %s of cgroup '%s'",
                       STR_ARG(str_sub(w->value, 0, 100)), w->file, p->path);
    }
    return 0;
}

int cgroup_limits_apply(const struct cgroup_node *n, const char *path,
                        const struct cgroup_limits *l, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(PLAN_BYTES_MAX);
    if (check_controllers(n, l, e) < 0 || cgroup_v2_check(n, path, l, e) < 0) return -1;
    struct cgroup_plan p = {.arena = &a, .path = path, .limits = l};
    p.writes = arena_array(&a, CGROUP_WRITES_MAX, sizeof *p.writes);
    if (!p.writes) return err_set(e, ERR_INTERNAL, "the arena of a cgroup plan is too small");
    cgroup_v1_plan(n, &p);
    cgroup_v2_plan(n, &p);
    if (p.failed) return err_set(e, ERR_LIMIT, "too many cgroup settings");
    return carry_out(n, &p, e);
}
