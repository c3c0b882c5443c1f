/* SPDX-License-Identifier: Apache-2.0 — cgroup.c: making, emptying and removing groups.
 *
 * A group is one path in several hierarchies. It is made from the root down in each of them, so
 * that a crash in between leaves a prefix that the next cgroup_make() completes or cgroup_remove()
 * takes away; there is no record of it besides the file system itself. The unified hierarchy leads:
 * a process is there from its birth, so killing and waiting happen there, and the v1 groups are
 * empty when it is. What moved itself out of the unified group but not out of a v1 group is found
 * by the refused rmdir(2), killed by its number, and reported as BUSY; the caller tries again. */
#include "cri/cgroup_tree.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define MOUNTINFO_BYTES_MAX (8u << 20)
#define PROCS_BYTES_MAX     65536
#define SYSTEMD_RUNS_PATH   "/run/systemd/system" /* sd_booted(3) */

static bool is_path(const char *path) { return path[0] == '/'; }

/* ---- opening ---- */

void cgroup_close(struct cgroup_node *n) {
    if (!n) return;
    for (size_t i = 0; i < n->hierarchy_count; i++) {
        free(n->hierarchies[i].point);
        if (n->hierarchies[i].fd >= 0) (void)close(n->hierarchies[i].fd);
    }
    cgroup_programs_done(n);
    (void)pthread_mutex_destroy(&n->programs_lock);
    free(n);
}

static void auto_cgroup_close(struct cgroup_node **n) { cgroup_close(*n); }

static int check_driver(const struct cgroup_node *n, enum cgroup_driver driver, bool systemd_runs,
                        struct err *e) {
    if (driver != CGROUP_DRIVER_SYSTEMD || !systemd_runs || !cgroup_is_v2(n)) return 0;
    return err_set(e, ERR_UNSUPPORTED,
                   "cgroup-driver 'systemd' cannot keep limits on cgroup v2 under systemd, which "
                   "resets groups that it does not know: use cgroup-driver 'cgroupfs' here, and "
                   "cgroupDriver: cgroupfs for kubelet (from 1.31 on it asks by itself)");
}

int cgroup_open_from(const struct cgroup_source *source, const char *root_name,
                     enum cgroup_driver driver, struct cgroup_node **out, struct err *e) {
    AUTO(auto_cgroup_close) struct cgroup_node *n = xnew(struct cgroup_node);
    (void)pthread_mutex_init(&n->programs_lock, NULL);
    n->driver = CGROUP_DRIVER_CGROUPFS; /* the root's name is a path under both drivers */
    n->imitation = source->imitation;
    if (cgroup_mounts_open(n, source->mountinfo, e) < 0 ||
        check_driver(n, driver, source->systemd_runs, e) < 0)
        return -1;
    struct cgroup_path root;
    struct str name = str_of(root_name);
    if (name.n == 0 || cgroup_pod_path(n, name, STR_NONE, &root, e) < 0 || root.c[0] == '\0')
        return err_set(e, ERR_INVALID, "cgroup root '%s' is not a path", root_name);
    (void)snprintf(n->root, sizeof n->root, "%s", root.c);
    n->driver = driver;
    if (cgroup_make(n, n->root, NULL, e) < 0) return err_in(e, "make the node's cgroup");
    int r = cgroup_v2_enable(n, n->root);
    if (r < 0)
        return err_sys(e, -r, "give the controllers of cgroup '%s' to its children", n->root);
    *out = STEAL(n);
    return 0;
}

int cgroup_open(const char *root_name, enum cgroup_driver driver, struct cgroup_node **out,
                struct err *e) {
    AUTO(buf_done) struct buf text = BUF(0);
    int r = file_read_all(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_BYTES_MAX, &text);
    if (r < 0) return err_sys(e, -r, "read /proc/self/mountinfo");
    struct cgroup_source source = {.mountinfo = buf_view(&text),
                                   .systemd_runs = access(SYSTEMD_RUNS_PATH, F_OK) == 0};
    return cgroup_open_from(&source, root_name, driver, out, e);
}

const char *cgroup_root_path(const struct cgroup_node *n) { return n->root; }
enum cgroup_driver cgroup_driver_of(const struct cgroup_node *n) { return n->driver; }

bool cgroup_is_v2(const struct cgroup_node *n) { return n->hierarchy_count == 1; }

/* ---- making ---- */

struct cgroup_made { /* per hierarchy: length of the first prefix of the path that was made; 0: none
                      */
    size_t from[CGROUP_HIERARCHIES_MAX];
};

static int make_level(const struct cgroup_node *n, int h, const char *parent, const char *path) {
    if (h == CGROUP_UNIFIED) {
        int r = cgroup_v2_enable(n, parent);
        if (r < 0) return r;
    }
    bool made = mkdirat(n->hierarchies[h].fd, path + 1, 0755) == 0;
    if (!made && errno != EEXIST) return -errno;
    if (n->at[CGROUP_CPUSET] == h && h != CGROUP_UNIFIED) {
        int r = cgroup_v1_inherit(n, parent, path);
        if (r < 0) return r;
    }
    return made ? 1 : 0;
}

static int make_in(const struct cgroup_node *n, int h, const char *path, size_t *made_from) {
    char at[CGROUP_PATH_BYTES_MAX], parent[CGROUP_PATH_BYTES_MAX] = "/";
    for (size_t i = 1, length = strlen(path); i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        (void)snprintf(at, sizeof at, "%.*s", (int)i, path);
        int r = make_level(n, h, parent, at);
        if (r < 0) return r;
        if (r > 0 && !*made_from) *made_from = i;
        (void)snprintf(parent, sizeof parent, "%s", at);
    }
    return 0;
}

static void unmake(const struct cgroup_node *n, const char *path, const struct cgroup_made *made) {
    char at[CGROUP_PATH_BYTES_MAX];
    for (size_t h = 0; h < n->hierarchy_count; h++) {
        for (size_t i = strlen(path); made->from[h] && i >= made->from[h]; i--) {
            if (path[i] != '/' && path[i] != '\0') continue;
            (void)snprintf(at, sizeof at, "%.*s", (int)i, path);
            if (n->imitation)
                (void)!file_remove_tree(n->hierarchies[h].fd, at + 1);
            else
                (void)unlinkat(n->hierarchies[h].fd, at + 1, AT_REMOVEDIR);
        }
    }
}

int cgroup_make(struct cgroup_node *n, const char *path, const struct cgroup_limits *limits,
                struct err *e) {
    struct cgroup_made made = {{0}};
    if (!is_path(path) || strlen(path) >= CGROUP_PATH_BYTES_MAX)
        return err_set(e, ERR_INVALID, "'%.100s' is not a cgroup path", path);
    for (size_t h = 0; h < n->hierarchy_count; h++) {
        int r = make_in(n, (int)h, path, &made.from[h]);
        if (r < 0) {
            unmake(n, path, &made);
            return err_sys(e, -r, "make cgroup '%s'", path);
        }
    }
    if (limits && cgroup_limits_apply(n, path, limits, e) < 0) {
        unmake(n, path, &made);
        return -1;
    }
    return 0;
}

int cgroup_update(struct cgroup_node *n, const char *path, const struct cgroup_limits *limits,
                  struct err *e) {
    AUTO_CLOSE int dir = cgroup_dir_fd(n, path, e);
    if (dir < 0) return -1;
    return cgroup_limits_apply(n, path, limits, e);
}

int cgroup_sub(struct cgroup_node *n, const char *path, const char *name, struct cgroup_path *out,
               struct err *e) {
    struct cgroup_path sub;
    int length = snprintf(sub.c, sizeof sub.c, "%s/%s", path, name);
    if (!is_path(path) || strchr(name, '/') || name[0] == '.' || name[0] == '\0')
        return err_set(e, ERR_INVALID, "'%.100s' cannot name a cgroup", name);
    if (length < 0 || (size_t)length >= sizeof sub.c)
        return err_set(e, ERR_LIMIT, "cgroup path is longer than %zu bytes", sizeof sub.c);
    if (mkdirat(n->hierarchies[CGROUP_UNIFIED].fd, sub.c + 1, 0755) < 0 && errno != EEXIST)
        return err_sys(e, errno, "make cgroup '%s'", sub.c);
    *out = sub;
    return 0;
}

/* ---- emptying and removing ---- */

int cgroup_kill(struct cgroup_node *n, const char *path, struct err *e) {
    int r = cgroup_file_write(n, CGROUP_UNIFIED, path, "cgroup.kill", STR("1"));
    if (r < 0 && r != -ENOENT && r != -ENODEV) return err_sys(e, -r, "kill cgroup '%s'", path);
    return 0;
}

/* cgroup.events reports a change as POLLPRI after it was read once. */
static int wait_empty(const struct cgroup_node *n, const char *path, struct err *e) {
    AUTO_CLOSE int fd = cgroup_file_open(n, CGROUP_UNIFIED, path, "cgroup.events", O_RDONLY);
    if (fd == -ENOENT || fd == -ENODEV) return 0;
    if (fd < 0) return err_sys(e, -fd, "open cgroup.events of '%s'", path);
    uint64_t until_ms = clock_ms() + CGROUP_EMPTY_MS_MAX;
    for (;;) {
        char text[256];
        ssize_t got = pread(fd, text, sizeof text, 0);
        if (got < 0 && errno == ENODEV) return 0;
        if (got < 0) return err_sys(e, errno, "read cgroup.events of '%s'", path);
        if (!str_contains(str_make(text, (size_t)got), STR("populated 1"))) return 0;
        uint64_t now_ms = clock_ms();
        if (now_ms >= until_ms)
            return err_set(e, ERR_TIMEOUT, "cgroup '%s' still has processes %d ms after SIGKILL",
                           path, CGROUP_EMPTY_MS_MAX);
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        if (poll(&p, 1, (int)(until_ms - now_ms)) < 0 && errno != EINTR)
            return err_sys(e, errno, "wait for cgroup '%s'", path);
    }
}

/* Removes the group and those below it, deepest first. */
static int remove_below(int dir, const char *name, unsigned depth) {
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    if (errno != EBUSY && errno != ENOTEMPTY) return -errno;
    if (depth >= CGROUP_DEPTH_MAX) return -ELOOP;
    AUTO_CLOSE int fd = file_open_dir(dir, name);
    if (fd < 0) return fd == -ENOENT ? 0 : fd;
    AUTO(file_dir_close) struct file_dir entries = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&entries, fd, ".");
    while (r >= 0 && (r = file_dir_next(&entries, &entry)) > 0)
        if (entry.type == DT_DIR) r = remove_below(fd, entry.name, depth + 1);
    if (r < 0) return r;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static void kill_listed(const struct cgroup_node *n, int h, const char *path) {
    AUTO_FREE char *text = xmalloc(PROCS_BYTES_MAX);
    ssize_t got =
        cgroup_file_read(n, h, path, "cgroup.procs", (struct cgroup_text){text, PROCS_BYTES_MAX});
    if (got <= 0) return;
    struct str rest = str_make(text, (size_t)got), line;
    uint64_t pid;
    while (str_next(&rest, '\n', &line))
        if (str_u64(line, &pid) == 0 && pid > 1 && pid != (uint64_t)getpid())
            (void)kill((pid_t)pid, SIGKILL);
}

int cgroup_remove(struct cgroup_node *n, const char *path, struct err *e) {
    if (!is_path(path) || !path[1])
        return err_set(e, ERR_INVALID, "'%.100s' is not a cgroup that can be removed", path);
    if (cgroup_kill(n, path, e) < 0 || wait_empty(n, path, e) < 0) return -1;
    for (size_t i = n->hierarchy_count; i-- > 0;) {
        int dir = n->hierarchies[i].fd;
        int r = n->imitation ? file_remove_tree(dir, path + 1) : remove_below(dir, path + 1, 0);
        if (r == -EBUSY) kill_listed(n, (int)i, path);
        if (r < 0) return err_sys(e, -r, "remove cgroup '%s'", path);
    }
    return 0;
}

/* ---- descriptors for a shim ---- */

static void close_all(int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) (void)close(fds[i]);
}

int cgroup_tasks_fds(struct cgroup_node *n, const char *path, int *fds, size_t *out_count,
                     struct err *e) {
    size_t count = 0;
    for (size_t h = CGROUP_UNIFIED + 1; h < n->hierarchy_count; h++) {
        int fd = cgroup_file_open(n, (int)h, path, "tasks", O_WRONLY);
        if (fd < 0) {
            close_all(fds, count);
            return err_sys(e, -fd, "open tasks of '%s'", path);
        }
        fds[count++] = fd;
    }
    *out_count = count;
    return 0;
}

int cgroup_dir_fd(struct cgroup_node *n, const char *path, struct err *e) {
    int fd = file_open_dir(n->hierarchies[CGROUP_UNIFIED].fd, path[1] ? path + 1 : ".");
    return fd < 0 ? err_sys(e, -fd, "open cgroup '%s'", path) : fd;
}

int cgroup_oom_fd(struct cgroup_node *n, const char *path, int *out_fd, struct err *e) {
    int fd = -1;
    if (cgroup_in_v1(n, CGROUP_MEMORY)) {
        fd = cgroup_file_open(n, n->at[CGROUP_MEMORY], path, "memory.oom_control", O_RDONLY);
        if (fd < 0) return err_sys(e, -fd, "open memory.oom_control of cgroup '%s'", path);
    }
    *out_fd = fd;
    return 0;
}

/* ---- listing ---- */

struct name_list {
    struct arena *arena;
    struct str *names;
    size_t count;
};

static int list_add(struct name_list *l, const char *name) {
    if (l->count >= CGROUP_CHILDREN_MAX) return -E2BIG;
    struct str copy = arena_str(l->arena, str_of(name));
    if (!copy.p) return -ENOSPC;
    l->names[l->count++] = copy;
    return 0;
}

static int list_in(const struct cgroup_node *n, size_t h, const char *path, struct name_list *l) {
    AUTO(file_dir_close) struct file_dir entries = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&entries, n->hierarchies[h].fd, path[1] ? path + 1 : ".");
    if (r == -ENOENT) return 0;
    while (r >= 0 && (r = file_dir_next(&entries, &entry)) > 0)
        if (entry.type == DT_DIR) r = list_add(l, entry.name);
    return r;
}

static int by_name(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int cgroup_list(struct cgroup_node *n, const char *path, struct arena *a, const struct str **out,
                size_t *out_count, struct err *e) {
    AUTO_FREE struct str *names = xmalloc(CGROUP_CHILDREN_MAX * sizeof *names);
    struct name_list l = {.arena = a, .names = names};
    for (size_t h = 0; h < n->hierarchy_count; h++) {
        int r = list_in(n, h, path, &l);
        if (r < 0) return err_sys(e, -r, "list cgroup '%s'", path);
    }
    if (l.count) qsort(names, l.count, sizeof *names, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < l.count; i++)
        if (kept == 0 || !str_eq(names[i], names[kept - 1])) names[kept++] = names[i];
    struct str *copy = arena_array(a, kept + 1, sizeof *copy);
    if (!copy) return err_set(e, ERR_LIMIT, "list cgroup '%s': too many groups", path);
    if (kept) memcpy(copy, names, kept * sizeof *copy);
    *out = copy;
    *out_count = kept;
    return 0;
}
