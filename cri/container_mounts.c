/* SPDX-License-Identifier: Apache-2.0 — container_mounts.c: what is mounted in a container.
 *
 * Three lists become one, sorted by depth of the target, so that a parent comes before what lies in
 * it: our defaults (/proc, /dev, /sys, cgroups), the pod's files (/etc/hosts, ...), the request's
 * mounts. A mount of the request with the same target takes the place of one of ours; one on /dev
 * takes the place of everything of ours in /dev.
 *
 * Volumes that the image declares need no mount: the container's writable layer already shows the
 * image's content there and keeps what is written as long as the container lives, which is all that
 * an anonymous volume of the CRI would do. */
#include "cri/container_parts.h"

#include "cri/pod_files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULTS_MAX (32 + CGROUP_HIERARCHIES_MAX)
#define COMMON_FLAGS (LAUNCH_MOUNT_NOSUID | LAUNCH_MOUNT_NODEV | LAUNCH_MOUNT_NOEXEC)

struct planned {
    struct str target; /* clean */
    struct str source, options;
    uint32_t kind, flags, propagation;
    size_t depth, order;
};

struct mount_plan {
    const struct container_build *build;
    struct planned *items;
    size_t count, items_max;
    bool full;
};

struct str container_path_clean(struct arena *a, struct str path) {
    char *out = arena_alloc(a, path.n + 2);
    size_t used = 0;
    struct str part;
    if (!out) return STR_NONE;
    while (str_next(&path, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR("."))) continue;
        if (str_eq(part, STR(".."))) {
            while (used && out[used - 1] != '/') used--;
            if (used) used--;
            continue;
        }
        out[used++] = '/';
        memcpy(out + used, part.p, part.n);
        used += part.n;
    }
    if (used == 0) out[used++] = '/';
    return str_make(out, used);
}

bool container_mounts_has(const struct container_build *b, const char *target) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    for (size_t i = 0; i < c->n_mounts; i++) {
        struct str path = container_path_clean(b->arena, str_of(c->mounts[i]->container_path));
        if (path.p && str_eq(path, str_of(target))) return true;
    }
    return false;
}

static void plan(struct mount_plan *p, struct planned m) {
    if (p->count >= p->items_max || !m.target.p || (!m.source.p && m.kind != LAUNCH_MOUNT_SHM)) {
        p->full = true;
        return;
    }
    for (size_t i = 0; i < m.target.n; i++) m.depth += m.target.p[i] == '/';
    m.order = p->count;
    p->items[p->count++] = m;
}

/* ---- defaults ---- */

static void plan_default(struct mount_plan *p, const char *target, struct planned m) {
    struct str path = str_of(target);
    if (container_mounts_has(p->build, target)) return;
    if (str_starts(path, STR("/dev")) && container_mounts_has(p->build, "/dev")) return;
    m.target = path;
    plan(p, m);
}

static struct planned new_fs(const char *type, const char *options, uint32_t flags) {
    return (struct planned){.kind = LAUNCH_MOUNT_FS,
                            .source = str_of(type),
                            .options = str_of(options),
                            .flags = flags};
}

static void plan_shm(struct mount_plan *p) {
    struct planned m = {.kind = LAUNCH_MOUNT_SHM, .flags = COMMON_FLAGS};
    if (p->build->host_ipc)
        m = (struct planned){.kind = LAUNCH_MOUNT_BIND,
                             .source = STR("/dev/shm"),
                             .flags = LAUNCH_MOUNT_RECURSIVE | COMMON_FLAGS};
    plan_default(p, "/dev/shm", m);
}

/* v2: the container's own tree by way of its cgroup namespace. v1: a folder with a bind of the
 * container's group in each hierarchy. */
static void plan_cgroups(struct mount_plan *p) {
    static const char folder[] = "/sys/fs/cgroup";
    const struct container_spec_input *in = p->build->in;
    struct arena *a = p->build->arena;
    uint32_t readonly = p->build->privileged ? 0 : LAUNCH_MOUNT_READONLY;
    if (container_mounts_has(p->build, folder) || container_mounts_has(p->build, "/sys")) return;
    if (cgroup_is_v2(in->cgroups)) {
        plan_default(p, folder, new_fs("cgroup2", "", COMMON_FLAGS | readonly));
        return;
    }
    plan_default(p, folder, new_fs("tmpfs", "mode=755,size=64k", COMMON_FLAGS));
    const char *point;
    for (size_t i = 0; (point = cgroup_mount_point(in->cgroups, i)) != NULL; i++) {
        const char *name = strrchr(point, '/');
        struct planned m = {.kind = LAUNCH_MOUNT_BIND, .propagation = LAUNCH_SLAVE};
        m.flags = COMMON_FLAGS | readonly | LAUNCH_MOUNT_OPTIONAL;
        m.source = str_of(arena_fmt(a, "%s%s", point, in->cgroup->c));
        m.target = str_of(arena_fmt(a, "%s%s", folder, name ? name : "/unified"));
        plan(p, m);
    }
}

static void plan_pod_files(struct mount_plan *p) {
    static const char *const files[][2] = {{POD_FILE_RESOLV_CONF, "/etc/resolv.conf"},
                                           {POD_FILE_HOSTNAME, "/etc/hostname"},
                                           {POD_FILE_HOSTS, "/etc/hosts"}};
    const struct container_build *b = p->build;
    bool readonly = b->security && b->security->readonly_rootfs;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct planned m = {.kind = LAUNCH_MOUNT_BIND, .flags = LAUNCH_MOUNT_RECURSIVE};
        if (readonly) m.flags |= LAUNCH_MOUNT_READONLY;
        m.source = str_of(arena_fmt(b->arena, "%s/%s", b->in->pod_dir, files[i][0]));
        plan_default(p, files[i][1], m);
    }
}

static void plan_defaults(struct mount_plan *p) {
    uint32_t nosuid_noexec = LAUNCH_MOUNT_NOSUID | LAUNCH_MOUNT_NOEXEC;
    uint32_t sys_readonly = p->build->privileged ? 0 : LAUNCH_MOUNT_READONLY;
    plan_default(p, "/proc", new_fs("proc", "", COMMON_FLAGS));
    plan_default(p, "/dev", new_fs("tmpfs", "mode=755,size=65536k", LAUNCH_MOUNT_NOSUID));
    plan_default(p, "/dev/pts", new_fs("devpts", "ptmxmode=0666,mode=0620,gid=5", nosuid_noexec));
    plan_default(p, "/dev/mqueue", new_fs("mqueue", "", COMMON_FLAGS));
    plan_default(p, "/sys", new_fs("sysfs", "", COMMON_FLAGS | sys_readonly));
    plan_shm(p);
    plan_cgroups(p);
    plan_pod_files(p);
}

/* ---- the request's ---- */

static int check_mount(const Runtime__V1__Mount *m, struct err *e) {
    if (str_of(m->container_path).n == 0)
        return err_set(e, ERR_INVALID, "mount of '%.200s': container_path is empty", m->host_path);
    if (m->image && str_of(m->image->image).n)
        return err_set(e, ERR_UNSUPPORTED, "mount on '%.200s': image volumes are not offered here",
                       m->container_path);
    if (str_of(m->host_path).n == 0)
        return err_set(e, ERR_INVALID, "mount on '%.200s': host_path is empty", m->container_path);
    if (str_of(m->host_path).n >= CONTAINER_PATH_BYTES_MAX ||
        str_of(m->container_path).n >= CONTAINER_PATH_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "mount on '%.200s': a path is longer than %d bytes",
                       m->container_path, CONTAINER_PATH_BYTES_MAX);
    if (m->n_uidmappings || m->n_gidmappings)
        return err_set(e, ERR_UNSUPPORTED, "mount on '%.200s': ID mappings are not offered here",
                       m->container_path);
    if (m->recursive_read_only && !m->readonly)
        return err_set(e, ERR_INVALID, "mount on '%.200s': recursive_read_only needs readonly too",
                       m->container_path);
    if (m->recursive_read_only &&
        m->propagation != RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE)
        return err_set(e, ERR_INVALID,
                       "mount on '%.200s': recursive_read_only needs private propagation",
                       m->container_path);
    return 0;
}

static int propagation_of(const Runtime__V1__Mount *m, uint32_t *out, struct err *e) {
    switch (m->propagation) {
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_PRIVATE: *out = LAUNCH_PRIVATE; return 0;
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER:
        *out = LAUNCH_SLAVE;
        return 0;
    case RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL: *out = LAUNCH_SHARED; return 0;
    case _RUNTIME__V1__MOUNT_PROPAGATION_IS_INT_SIZE: break;
    }
    return err_set(e, ERR_INVALID, "mount on '%.200s': unknown propagation %d", m->container_path,
                   (int)m->propagation);
}

static int resolve_source(const struct container_build *b, const Runtime__V1__Mount *m,
                          struct str *out, struct err *e) {
    AUTO_FREE char *real = realpath(m->host_path, NULL);
    if (!real && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "mount on '%.200s': host path '%.200s' does not exist",
                       m->container_path, m->host_path);
    if (!real)
        return err_sys(e, errno, "mount on '%.200s': resolve host path '%.200s'", m->container_path,
                       m->host_path);
    *out = arena_str(b->arena, str_of(real));
    return out->p ? 0 : err_set(e, ERR_LIMIT, "mounts: the request is too large");
}

static int plan_request(struct mount_plan *p, const Runtime__V1__Mount *m,
                        struct container_mount *status, struct err *e) {
    const struct container_build *b = p->build;
    struct planned item = {.kind = LAUNCH_MOUNT_BIND, .flags = LAUNCH_MOUNT_RECURSIVE};
    if (check_mount(m, e) < 0 || propagation_of(m, &item.propagation, e) < 0 ||
        resolve_source(b, m, &item.source, e) < 0)
        return -1;
    item.target = container_path_clean(b->arena, str_of(m->container_path));
    if (item.target.p && item.target.n == 1)
        return err_set(e, ERR_INVALID, "mount of '%.200s': nothing can be mounted on '/'",
                       m->host_path);
    if (m->readonly) item.flags |= LAUNCH_MOUNT_READONLY;
    if (m->recursive_read_only) item.flags |= LAUNCH_MOUNT_READONLY_RECURSIVE;
    plan(p, item);
    *status = (struct container_mount){.container_path = str_of(m->container_path),
                                       .host_path = str_of(m->host_path),
                                       .readonly = m->readonly,
                                       .recursive_readonly = m->recursive_read_only,
                                       .propagation = m->propagation};
    return 0;
}

/* ---- together ---- */

static int by_depth(const void *left, const void *right) {
    const struct planned *a = left, *b = right;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int write_mounts(struct mount_plan *p, struct err *e) {
    struct launch_builder *spec = p->build->spec;
    struct launch_mount *mounts = arena_array(p->build->arena, p->count + 1, sizeof *mounts);
    if (p->full || !mounts) return err_set(e, ERR_LIMIT, "mounts: the request is too large");
    qsort(p->items, p->count, sizeof *p->items, by_depth);
    for (size_t i = 0; i < p->count; i++) {
        const struct planned *m = &p->items[i];
        mounts[i] = (struct launch_mount){
            .kind = m->kind, .flags = m->flags, .propagation = m->propagation};
        mounts[i].source = launch_build_str(spec, m->source);
        mounts[i].target = launch_build_str(spec, m->target);
        mounts[i].options = launch_build_str(spec, m->options);
    }
    spec->spec.mounts = launch_build_table(spec, mounts, sizeof *mounts, p->count);
    return 0;
}

static int write_paths(const struct container_build *b, char *const *paths, size_t count,
                       struct launch_ref *out, struct err *e) {
    if (count > LAUNCH_PATHS_MAX)
        return err_set(e, ERR_LIMIT, "more than %u masked or read-only paths", LAUNCH_PATHS_MAX);
    struct str *list = arena_array(b->arena, count + 1, sizeof *list);
    if (!list) return err_set(e, ERR_LIMIT, "masked paths: the request is too large");
    for (size_t i = 0; i < count; i++) {
        list[i] = container_path_clean(b->arena, str_of(paths[i]));
        if (!list[i].p) return err_set(e, ERR_LIMIT, "masked paths: the request is too large");
    }
    *out = launch_build_strs(b->spec, list, count);
    return 0;
}

int container_mounts(const struct container_build *b, struct container_spec_output *out,
                     struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    const Runtime__V1__LinuxContainerSecurityContext *s = b->security;
    if (c->n_mounts > CONTAINER_MOUNTS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d mounts", CONTAINER_MOUNTS_MAX);
    struct mount_plan p = {.build = b, .items_max = c->n_mounts + DEFAULTS_MAX};
    p.items = arena_array(b->arena, p.items_max, sizeof *p.items);
    struct container_mount *status = arena_array(b->arena, c->n_mounts + 1, sizeof *status);
    if (!p.items || !status) return err_set(e, ERR_LIMIT, "mounts: the request is too large");
    plan_defaults(&p);
    for (size_t i = 0; i < c->n_mounts; i++)
        if (plan_request(&p, c->mounts[i], &status[i], e) < 0) return -1;
    if (write_mounts(&p, e) < 0) return -1;
    if (s && !b->privileged &&
        (write_paths(b, s->masked_paths, s->n_masked_paths, &b->spec->spec.masked, e) < 0 ||
         write_paths(b, s->readonly_paths, s->n_readonly_paths, &b->spec->spec.readonly, e) < 0))
        return -1;
    out->mounts = status;
    out->mount_count = c->n_mounts;
    return 0;
}
