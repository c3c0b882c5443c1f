/* SPDX-License-Identifier: Apache-2.0 — container_devices.c: device nodes of a container, and which
 * devices its cgroup allows.
 *
 * Every container has the seven nodes that programs count on and may make any node, but use only
 * those that the rules name. A request's device may be a folder (/dev/snd): all nodes below it come
 * along. A privileged container has all of the machine's nodes and no rules. */
#include "cri/container_parts.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FOLDER_DEPTH_MAX 8
#define RULES_FIXED      16

struct device_list {
    const struct container_build *build;
    struct launch_device *nodes;
    struct cgroup_device *rules;
    size_t node_count, rule_count;
    uint32_t access; /* of what is being added */
};

static void add_rule(struct device_list *l, char type, int64_t major, int64_t minor) {
    l->rules[l->rule_count++] =
        (struct cgroup_device){.type = type, .major = major, .minor = minor, .access = l->access};
}

static int add_node(struct device_list *l, struct str path, const struct stat *st, struct err *e) {
    if (l->node_count >= CONTAINER_DEVICES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d devices", CONTAINER_DEVICES_MAX);
    struct launch_device *d = &l->nodes[l->node_count++];
    *d = (struct launch_device){.path = launch_build_str(l->build->spec, path),
                                .type = st->st_mode & S_IFMT,
                                .major = major(st->st_rdev),
                                .minor = minor(st->st_rdev),
                                .mode = st->st_mode & 07777,
                                .uid = st->st_uid,
                                .gid = st->st_gid};
    add_rule(l, S_ISBLK(st->st_mode) ? 'b' : 'c', d->major, d->minor);
    return 0;
}

static int add_defaults(struct device_list *l, struct err *e) {
    static const struct {
        struct str path;
        unsigned major, minor;
    } nodes[] = {{{"/dev/null", 9}, 1, 3},     {{"/dev/zero", 9}, 1, 5},
                 {{"/dev/full", 9}, 1, 7},     {{"/dev/random", 11}, 1, 8},
                 {{"/dev/urandom", 12}, 1, 9}, {{"/dev/tty", 8}, 5, 0}};
    l->access = CGROUP_DEVICE_MKNOD;
    add_rule(l, 'c', -1, -1);
    add_rule(l, 'b', -1, -1);
    l->access = CGROUP_DEVICE_ALL;
    for (size_t i = 0; i < COUNT(nodes); i++) {
        struct stat st = {.st_mode = S_IFCHR | 0666,
                          .st_rdev = makedev(nodes[i].major, nodes[i].minor)};
        if (add_node(l, nodes[i].path, &st, e) < 0) return -1;
    }
    add_rule(l, 'c', 5, 1);    /* console */
    add_rule(l, 'c', 5, 2);    /* ptmx */
    add_rule(l, 'c', 136, -1); /* pts */
    return 0;
}

/* ---- folders ---- */

static bool is_skipped(const char *name, unsigned depth) {
    static const char *const own[] = {"pts", "shm", "mqueue", "fd", "console", "ptmx"};
    if (name[0] == '.') return true;
    for (size_t i = 0; i < COUNT(own) && depth == 0; i++)
        if (strcmp(name, own[i]) == 0) return true;
    return false;
}

/* The nodes below `dir` under the container's `path`; links are passed over. */
static int add_folder(struct device_list *l, int dir, const char *path, unsigned depth,
                      struct err *e) {
    AUTO(file_dir_close) struct file_dir entries = FILE_DIR_NONE;
    struct file_entry entry;
    int r = depth < FOLDER_DEPTH_MAX ? file_dir_open(&entries, dir, ".") : 0;
    while (r >= 0 && depth < FOLDER_DEPTH_MAX && (r = file_dir_next(&entries, &entry)) > 0) {
        struct stat st;
        if (is_skipped(entry.name, depth)) continue;
        if (fstatat(dir, entry.name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue; /* just removed */
        char *name = arena_fmt(l->build->arena, "%s/%s", path, entry.name);
        if (!name) return err_set(e, ERR_LIMIT, "devices: the request is too large");
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            if (add_node(l, str_of(name), &st, e) < 0) return -1;
        } else if (S_ISDIR(st.st_mode)) {
            AUTO_CLOSE int below = file_open_dir(dir, entry.name);
            if (below >= 0 && add_folder(l, below, name, depth + 1, e) < 0) return -1;
        }
    }
    return r < 0 ? err_sys(e, -r, "list the devices in '%s'", path) : 0;
}

/* ---- the request's ---- */

static int access_of(const char *permissions, uint32_t *out, struct err *e) {
    uint32_t access = 0;
    struct str text = str_of(permissions);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == 'r')
            access |= CGROUP_DEVICE_READ;
        else if (text.p[i] == 'w')
            access |= CGROUP_DEVICE_WRITE;
        else if (text.p[i] == 'm')
            access |= CGROUP_DEVICE_MKNOD;
        else
            return err_set(e, ERR_INVALID, "device permissions '%.20s': must be of r, w and m",
                           permissions);
    }
    *out = access ? access : CGROUP_DEVICE_ALL;
    return 0;
}

static int add_request(struct device_list *l, const Runtime__V1__Device *d, struct err *e) {
    struct stat st;
    if (access_of(d->permissions, &l->access, e) < 0) return -1;
    struct str host = str_of(d->host_path);
    struct str target = str_of(d->container_path).n ? str_of(d->container_path) : host;
    if (host.n == 0 || host.p[0] != '/')
        return err_set(e, ERR_INVALID, "device '%.200s': host_path must be absolute",
                       host.n ? d->host_path : "");
    target = container_path_clean(l->build->arena, target);
    if (!target.p) return err_set(e, ERR_LIMIT, "devices: the request is too large");
    AUTO_CLOSE int fd = open(d->host_path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) return err_sys(e, errno, "device '%.200s'", d->host_path);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) return add_node(l, target, &st, e);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID, "'%.200s' is neither a device nor a folder of devices",
                       d->host_path);
    char *folder = str_to_c(l->build->arena, target);
    if (!folder) return err_set(e, ERR_LIMIT, "devices: the request is too large");
    return add_folder(l, fd, folder[1] ? folder : "", 1, e);
}

static int add_all(struct device_list *l, struct err *e) {
    AUTO_CLOSE int dev = file_open_dir(AT_FDCWD, "/dev");
    if (dev < 0) return err_sys(e, -dev, "open /dev");
    l->access = CGROUP_DEVICE_ALL;
    return add_folder(l, dev, "/dev", 0, e);
}

int container_devices(const struct container_build *b, struct container_spec_output *out,
                      struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    struct device_list l = {.build = b};
    /* Room for all is 80 kB: the arena, which lives with the container, gets what is used. */
    AUTO_FREE struct launch_device *nodes = xmalloc(CONTAINER_DEVICES_MAX * sizeof *nodes);
    AUTO_FREE struct cgroup_device *rules =
        xmalloc((CONTAINER_DEVICES_MAX + RULES_FIXED) * sizeof *rules);
    l.nodes = nodes;
    l.rules = rules;
    if (c->n_devices > CONTAINER_DEVICES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d devices", CONTAINER_DEVICES_MAX);
    if (c->n_cdi_devices)
        return err_set(e, ERR_UNSUPPORTED, "CDI device '%.200s': CDI is not offered here",
                       c->cdi_devices[0]->name);
    if (b->privileged ? add_all(&l, e) < 0 : add_defaults(&l, e) < 0) return -1;
    for (size_t i = 0; i < c->n_devices; i++)
        if (add_request(&l, c->devices[i], e) < 0) return -1;
    if (b->privileged) {
        l.access = CGROUP_DEVICE_ALL;
        l.rule_count = 0;
        add_rule(&l, 'a', -1, -1);
    }
    /* The machine's own /dev, bound in by the request, has its nodes already. */
    if (!container_mounts_has(b, "/dev"))
        b->spec->spec.devices = launch_build_table(b->spec, l.nodes, sizeof *l.nodes, l.node_count);
    struct cgroup_device *used = arena_array(b->arena, l.rule_count, sizeof *used);
    if (!used) return err_set(e, ERR_LIMIT, "devices: the request is too large");
    memcpy(used, l.rules, l.rule_count * sizeof *used);
    out->devices = used;
    out->device_count = l.rule_count;
    return 0;
}
