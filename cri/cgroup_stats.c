/* SPDX-License-Identifier: Apache-2.0 — cgroup_stats.c: what a group uses.
 *
 * One openat and one read per file, into one buffer on the stack; a file that is not there (its
 * controller is off) leaves zeros. The working set is what memory pressure cannot take away at
 * once: usage without inactive file pages, as kubelet and cAdvisor define it. */
#include "cri/cgroup_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define NO_LIMIT_BYTES (1ull << 60) /* v1 writes "no limit" as a number near 2^63 */

struct stats_reader {
    const struct cgroup_node *node;
    const char *path;
    char text[16384];
};

/* The content of a control file; empty when there is none. */
static struct str text_of(struct stats_reader *r, int h, const char *file) {
    ssize_t got =
        cgroup_file_read(r->node, h, r->path, file, (struct cgroup_text){r->text, sizeof r->text});
    return str_make(r->text, got > 0 ? (size_t)got : 0);
}

static uint64_t number_of(struct stats_reader *r, int h, const char *file, uint64_t missing) {
    uint64_t value = missing;
    (void)!cgroup_file_number(r->node, h, r->path, file, &value);
    return value;
}

/* The number behind "key " at the start of a line; 0 when there is none. */
static uint64_t value_of(struct str text, struct str key) {
    struct str line;
    uint64_t value = 0;
    while (str_next(&text, '\n', &line))
        if (line.n > key.n && line.p[key.n] == ' ' && str_starts(line, key))
            return str_u64(str_sub(line, key.n + 1, line.n), &value) == 0 ? value : 0;
    return 0;
}

/* The same, but "no limit" where the kernel writes none or a number near 2^63. */
static uint64_t limit_of(struct str text, struct str key) {
    uint64_t limit = value_of(text, key);
    return limit == 0 || limit >= NO_LIMIT_BYTES ? UINT64_MAX : limit;
}

static uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* ---- v1 ---- */

/* memory.stat has the limits too, and the swap: three files fewer per container and second. */
static void memory_v1(struct stats_reader *r, struct cgroup_stats *s) {
    int h = r->node->at[CGROUP_MEMORY];
    s->memory_usage_bytes = number_of(r, h, "memory.usage_in_bytes", 0);
    struct str text = text_of(r, h, "memory.stat");
    s->memory_limit_bytes = limit_of(text, STR("hierarchical_memory_limit"));
    uint64_t memsw_limit = limit_of(text, STR("hierarchical_memsw_limit"));
    s->swap_usage_bytes = value_of(text, STR("total_swap"));
    if (memsw_limit != UINT64_MAX && s->memory_limit_bytes != UINT64_MAX)
        s->swap_available_bytes =
            minus(minus(memsw_limit, s->memory_limit_bytes), s->swap_usage_bytes);
    s->memory_working_set_bytes =
        minus(s->memory_usage_bytes, value_of(text, STR("total_inactive_file")));
    s->memory_rss_bytes = value_of(text, STR("total_rss"));
    s->page_faults = value_of(text, STR("total_pgfault"));
    s->major_page_faults = value_of(text, STR("total_pgmajfault"));
}

/* ---- v2 ---- */

static void memory_v2(struct stats_reader *r, struct cgroup_stats *s) {
    int h = CGROUP_UNIFIED;
    s->memory_usage_bytes = number_of(r, h, "memory.current", 0);
    s->memory_limit_bytes = number_of(r, h, "memory.max", UINT64_MAX);
    s->swap_usage_bytes = number_of(r, h, "memory.swap.current", 0);
    uint64_t swap_limit = number_of(r, h, "memory.swap.max", UINT64_MAX);
    if (swap_limit != UINT64_MAX) s->swap_available_bytes = minus(swap_limit, s->swap_usage_bytes);
    struct str text = text_of(r, h, "memory.stat");
    s->memory_working_set_bytes =
        minus(s->memory_usage_bytes, value_of(text, STR("inactive_file")));
    s->memory_rss_bytes = value_of(text, STR("anon"));
    s->page_faults = value_of(text, STR("pgfault"));
    s->major_page_faults = value_of(text, STR("pgmajfault"));
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", then the same for "full". */
static bool pressure_of(struct stats_reader *r, const char *file, struct cgroup_pressure *out) {
    struct str text = text_of(r, CGROUP_UNIFIED, file), line;
    bool found = false;
    while (str_next(&text, '\n', &line)) {
        char copy[128], word[8];
        struct cgroup_pressure_line p = {0};
        unsigned long long total;
        (void)snprintf(copy, sizeof copy, "%.*s", STR_ARG(line));
        if (sscanf(copy, "%7s avg10=%lf avg60=%lf avg300=%lf total=%llu", word, &p.avg10, &p.avg60,
                   &p.avg300, &total) != 5)
            continue;
        p.total_us = total;
        if (word[0] == 's')
            out->some = p;
        else
            out->full = p;
        found = true;
    }
    return found;
}

/* ---- both ---- */

uint64_t cgroup_pids(const struct cgroup_node *n, const char *path) {
    struct stats_reader r = {.node = n, .path = path};
    return n->at[CGROUP_PIDS] < 0 ? 0 : number_of(&r, n->at[CGROUP_PIDS], "pids.current", 0);
}

int cgroup_stats(const struct cgroup_node *n, const char *path, struct cgroup_stats *out,
                 struct err *e) {
    struct stats_reader r = {.node = n, .path = path};
    struct cgroup_stats s = {.memory_limit_bytes = UINT64_MAX};
    AUTO_CLOSE int events = cgroup_file_open(n, CGROUP_UNIFIED, path, "cgroup.procs", O_RDONLY);
    if (events < 0 && !n->imitation) return err_sys(e, -events, "stats of cgroup '%s'", path);
    if (cgroup_in_v1(n, CGROUP_CPUACCT))
        s.cpu_usage_ns = number_of(&r, n->at[CGROUP_CPUACCT], "cpuacct.usage", 0);
    else
        s.cpu_usage_ns =
            value_of(text_of(&r, CGROUP_UNIFIED, "cpu.stat"), STR("usage_usec")) * 1000;
    if (cgroup_in_v1(n, CGROUP_MEMORY))
        memory_v1(&r, &s);
    else if (n->at[CGROUP_MEMORY] == CGROUP_UNIFIED)
        memory_v2(&r, &s);
    if (s.memory_limit_bytes != UINT64_MAX)
        s.memory_available_bytes = minus(s.memory_limit_bytes, s.memory_working_set_bytes);
    s.has_pressure = pressure_of(&r, "cpu.pressure", &s.cpu_pressure);
    s.has_pressure |= pressure_of(&r, "memory.pressure", &s.memory_pressure);
    s.has_pressure |= pressure_of(&r, "io.pressure", &s.io_pressure);
    *out = s;
    return 0;
}
