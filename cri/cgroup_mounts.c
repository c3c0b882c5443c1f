/* SPDX-License-Identifier: Apache-2.0 — cgroup_mounts.c: which hierarchies there are, and their
 * control files. */
#include "cri/cgroup_tree.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>

static const char *const v1_names[CGROUP_CONTROLLERS] = {"cpu",   "cpuacct", "cpuset",  "memory",
                                                         "blkio", "pids",    "hugetlb", "devices"};
static const char *const v2_names[CGROUP_CONTROLLERS] = {"cpu", NULL,   "cpuset",  "memory",
                                                         "io",  "pids", "hugetlb", NULL};

const char *cgroup_controller_name(enum cgroup_controller c) { return v1_names[c]; }

static uint32_t controllers_of(const char *const *names, struct str list, char separator) {
    uint32_t found = 0;
    struct str name;
    while (str_next(&list, separator, &name))
        for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
            if (names[c] && str_eq(str_trim(name), str_of(names[c]))) found |= 1U << c;
    return found;
}

struct mount_line {
    struct str point, type, options;
};

/* "36 35 0:32 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu" (proc(5)). */
static bool line_parse(struct str line, struct mount_line *out) {
    struct str field = STR_NONE;
    for (unsigned i = 0; i < 5; i++)
        if (!str_next(&line, ' ', &field)) return false;
    out->point = field;
    while (str_next(&line, ' ', &field))
        if (str_eq(field, STR("-"))) break;
    struct str source;
    return str_next(&line, ' ', &out->type) && str_next(&line, ' ', &source) &&
           str_next(&line, ' ', &out->options);
}

static int hierarchy_open(struct cgroup_node *n, struct str point, uint32_t controllers,
                          size_t index) {
    char path[CGROUP_PATH_BYTES_MAX];
    if (point.n >= sizeof path) return -ENAMETOOLONG;
    (void)snprintf(path, sizeof path, "%.*s", STR_ARG(point));
    int fd = file_open_dir(AT_FDCWD, path);
    if (fd < 0) return fd;
    n->hierarchies[index] = (struct cgroup_hierarchy){fd, controllers, xstrdup(path)};
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (controllers & (1U << c)) n->at[c] = (int)index;
    return 0;
}

static int unified_open(struct cgroup_node *n, struct str point) {
    char text[CGROUP_VALUE_BYTES_MAX];
    int r = hierarchy_open(n, point, 0, CGROUP_UNIFIED);
    if (r < 0) return r;
    ssize_t got = cgroup_file_read(n, CGROUP_UNIFIED, "/", "cgroup.controllers",
                                   (struct cgroup_text){text, sizeof text});
    if (got < 0) return (int)got;
    struct str list = str_trim(str_make(text, (size_t)got));
    uint32_t found = controllers_of(v2_names, list, ' ');
    n->hierarchies[CGROUP_UNIFIED].controllers = found;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (found & (1U << c)) n->at[c] = CGROUP_UNIFIED;
    return 0;
}

static int mount_use(struct cgroup_node *n, const struct mount_line *m, struct err *e) {
    bool unified = str_eq(m->type, STR("cgroup2"));
    if (!unified && !str_eq(m->type, STR("cgroup"))) return 0;
    if (unified && n->hierarchies[CGROUP_UNIFIED].fd >= 0) return 0;
    if (unified) {
        int r = unified_open(n, m->point);
        return r < 0 ? err_sys(e, -r, "open the cgroup2 mount '%.*s'", STR_ARG(m->point)) : 0;
    }
    uint32_t found = controllers_of(v1_names, m->options, ',');
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        if (n->at[c] > 0) found &= ~(1U << c); /* a second mount of the same hierarchy */
    if (!found) return 0;
    if (n->hierarchy_count >= CGROUP_HIERARCHIES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d cgroup hierarchies are mounted",
                       CGROUP_HIERARCHIES_MAX);
    int r = hierarchy_open(n, m->point, found, n->hierarchy_count);
    if (r < 0) return err_sys(e, -r, "open the cgroup mount '%.*s'", STR_ARG(m->point));
    n->hierarchy_count++;
    return 0;
}

int cgroup_mounts_open(struct cgroup_node *n, struct str mountinfo, struct err *e) {
    n->hierarchies[CGROUP_UNIFIED].fd = -1;
    n->hierarchy_count = 1;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) n->at[c] = -1;
    struct str line;
    while (str_next(&mountinfo, '\n', &line)) {
        struct mount_line m;
        if (line_parse(line, &m) && mount_use(n, &m, e) < 0) return -1;
    }
    if (n->hierarchies[CGROUP_UNIFIED].fd < 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "no cgroup2 file system is mounted; mount one at /sys/fs/cgroup, or at "
                       "/sys/fs/cgroup/unified beside cgroup v1");
    return 0;
}

const char *cgroup_mount_point(const struct cgroup_node *n, size_t index) {
    return index < n->hierarchy_count ? n->hierarchies[index].point : NULL;
}

bool cgroup_in_v1(const struct cgroup_node *n, enum cgroup_controller c) {
    return n->at[c] > CGROUP_UNIFIED;
}

/* ---- control files ---- */

#define CGROUP_WHOLE_BYTES 2048 /* a read of less has reached the end */

int cgroup_file_open(const struct cgroup_node *n, int hierarchy, const char *path, const char *file,
                     int flags) {
    char name[CGROUP_PATH_BYTES_MAX + CGROUP_FILE_BYTES_MAX];
    int length = snprintf(name, sizeof name, "%s%s%s", path + 1, path[1] ? "/" : "", file);
    if (length < 0 || (size_t)length >= sizeof name) return -ENAMETOOLONG;
    if (n->imitation && (flags & O_ACCMODE) == O_WRONLY) flags |= O_CREAT | O_TRUNC;
    int fd = openat(n->hierarchies[hierarchy].fd, name, flags | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

int cgroup_file_write(const struct cgroup_node *n, int hierarchy, const char *path,
                      const char *file, struct str value) {
    AUTO_CLOSE int fd = cgroup_file_open(n, hierarchy, path, file, O_WRONLY);
    if (fd < 0) return fd;
    ssize_t written = write(fd, value.n ? value.p : "\n", value.n ? value.n : 1);
    return written < 0 ? -errno : 0;
}

ssize_t cgroup_file_read(const struct cgroup_node *n, int hierarchy, const char *path,
                         const char *file, struct cgroup_text out) {
    AUTO_CLOSE int fd = cgroup_file_open(n, hierarchy, path, file, O_RDONLY);
    if (fd < 0) return fd;
    ssize_t got = read(fd, out.p, out.bytes - 1);
    /* The kernel gives as many whole records as fit its page: so few bytes are all there are, and
     * statistics, a dozen files per container, need no second call to hear that. */
    if (got >= CGROUP_WHOLE_BYTES && (size_t)got < out.bytes - 1) {
        ssize_t more = file_read_full(fd, out.p + got, out.bytes - 1 - (size_t)got);
        got = more < 0 ? more : got + more;
    } else if (got < 0) {
        got = -errno;
    }
    if (got >= 0) out.p[got] = '\0';
    return got;
}

int cgroup_file_number(const struct cgroup_node *n, int hierarchy, const char *path,
                       const char *file, uint64_t *out) {
    char text[64];
    ssize_t got =
        cgroup_file_read(n, hierarchy, path, file, (struct cgroup_text){text, sizeof text});
    if (got < 0) return (int)got;
    struct str value = str_trim(str_make(text, (size_t)got));
    if (str_eq(value, STR("max")) || str_eq(value, STR("-1"))) {
        *out = UINT64_MAX;
        return 0;
    }
    return str_u64(value, out);
}
