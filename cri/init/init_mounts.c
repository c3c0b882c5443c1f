/* SPDX-License-Identifier: Apache-2.0 — init_mounts.c: mounts, device nodes and masks of a
 * container.
 *
 * Everything is mounted through descriptors: the source as a detached mount, the target as an
 * O_PATH descriptor that was resolved inside of the root, so no path is looked up twice. Attributes
 * and propagation are set on the detached mount, before anybody can see it. The types that give a
 * container its view of the kernel (proc, sysfs, everything below /dev) are never mounted through a
 * symbolic link of the image. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define OPTION_BYTES 256 /* the kernel's limit for one fsconfig string */
#define FS_LOG_BYTES 200

static const struct launch_mount *mount_at(const struct init *in, uint32_t i) {
    const struct launch_mount *mounts = launch_table(in->spec, in->spec->mounts);
    return &mounts[i];
}

/* A failure of mount i: fatal, unless the mount is optional. */
static void mount_failed(const struct init *in, uint32_t i, int sys, const char *what) {
    const struct launch_mount *m = mount_at(in, i);
    if (m->flags & LAUNCH_MOUNT_OPTIONAL) return;
    const char *source = launch_str(in->spec, m->source);
    init_fail(sys, "mount %s%s%s: %s", m->kind == LAUNCH_MOUNT_SHM ? "shm" : source,
              *source || m->kind == LAUNCH_MOUNT_SHM ? " on " : "", launch_str(in->spec, m->target),
              what);
}

static int clone_shm(void) {
    AUTO_CLOSE int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (host < 0) init_fail(errno, "open the host's mount namespace");
    if (setns(LAUNCH_FD_SHM, CLONE_NEWNS) < 0) init_fail(errno, "enter the pod's shm");
    int tree = kernel_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (setns(host, CLONE_NEWNS) < 0) init_fail(errno, "go back to the host's mounts");
    return tree;
}

void init_mounts_collect(struct init *in) {
    uint32_t count = in->spec->mounts.n;
    if (count == 0) return;
    in->trees =
        mmap(NULL, count * sizeof(int), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (in->trees == MAP_FAILED) init_fail(errno, "memory for %u mounts", count);
    for (uint32_t i = 0; i < count; i++) {
        const struct launch_mount *m = mount_at(in, i);
        in->trees[i] = -1;
        if (m->kind == LAUNCH_MOUNT_SHM) {
            in->trees[i] = clone_shm();
        } else if (m->kind == LAUNCH_MOUNT_BIND) {
            unsigned flags = m->flags & LAUNCH_MOUNT_RECURSIVE ? AT_RECURSIVE : 0;
            in->trees[i] = kernel_open_tree(AT_FDCWD, launch_str(in->spec, m->source),
                                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
        } else {
            continue;
        }
        if (in->trees[i] < 0) mount_failed(in, i, -in->trees[i], "open the source");
    }
}

/* Sets "k=v,flag,..." on a file system in the making. */
static int set_options(int fs, const char *options) {
    while (*options) {
        char one[OPTION_BYTES];
        size_t n = strcspn(options, ",");
        if (n >= sizeof one) return -E2BIG;
        memcpy(one, options, n);
        one[n] = '\0';
        char *value = strchr(one, '=');
        if (value) *value++ = '\0';
        int r = n == 0 ? 0
                       : kernel_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, one,
                                         value);
        if (r < 0) return r;
        options += n + (options[n] == ',');
    }
    return 0;
}

/* What the kernel wrote about the last failure: "e tmpfs: Bad value for 'size'". */
static const char *fs_message(int fs, char *out) {
    ssize_t n = read(fs, out, FS_LOG_BYTES - 1);
    if (n <= 2) return "make the file system";
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return out + 2;
}

static int new_fs(const struct init *in, uint32_t i) {
    const struct launch_mount *m = mount_at(in, i);
    char text[FS_LOG_BYTES];
    AUTO_CLOSE int fs = kernel_fsopen(launch_str(in->spec, m->source));
    if (fs < 0) {
        mount_failed(in, i, -fs, "unknown type of file system");
        return -1;
    }
    int r = set_options(fs, launch_str(in->spec, m->options));
    if (r == 0) r = kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
    int tree = r == 0 ? kernel_fsmount(fs, 0) : r;
    if (tree >= 0) return tree;
    mount_failed(in, i, -tree, fs_message(fs, text));
    return -1;
}

static bool is_strict(const struct init *in, const struct launch_mount *m) {
    if (m->kind == LAUNCH_MOUNT_BIND) return false;
    const char *target = launch_str(in->spec, m->target);
    const char *type = m->kind == LAUNCH_MOUNT_FS ? launch_str(in->spec, m->source) : "";
    return strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0 || strcmp(target, "/dev") == 0 ||
           strncmp(target, "/dev/", 5) == 0;
}

static int set_attributes(const struct launch_mount *m, int tree) {
    static const unsigned long propagation[] = {
        [LAUNCH_PRIVATE] = MS_PRIVATE, [LAUNCH_SLAVE] = MS_SLAVE, [LAUNCH_SHARED] = MS_SHARED};
    struct mount_attr attr = {0};
    if (m->flags & (LAUNCH_MOUNT_READONLY | LAUNCH_MOUNT_READONLY_RECURSIVE))
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (m->flags & LAUNCH_MOUNT_NOSUID) attr.attr_set |= MOUNT_ATTR_NOSUID;
    if (m->flags & LAUNCH_MOUNT_NODEV) attr.attr_set |= MOUNT_ATTR_NODEV;
    if (m->flags & LAUNCH_MOUNT_NOEXEC) attr.attr_set |= MOUNT_ATTR_NOEXEC;
    unsigned recursive = m->flags & LAUNCH_MOUNT_READONLY_RECURSIVE ? AT_RECURSIVE : 0;
    int r = attr.attr_set ? kernel_mount_setattr(tree, recursive, &attr) : 0;
    if (r < 0 || m->kind == LAUNCH_MOUNT_FS) return r;
    struct mount_attr spread = {.propagation = propagation[m->propagation]};
    return kernel_mount_setattr(tree, AT_RECURSIVE, &spread);
}

static void attach(struct init *in, uint32_t i) {
    const struct launch_mount *m = mount_at(in, i);
    if (m->kind == LAUNCH_MOUNT_FS) in->trees[i] = new_fs(in, i);
    AUTO_CLOSE int tree = in->trees[i];
    if (tree < 0) return; /* optional, and not to be had */
    struct stat st;
    if (fstat(tree, &st) < 0) return mount_failed(in, i, errno, "look at the source");
    enum target_kind kind = S_ISDIR(st.st_mode) ? TARGET_FOLDER : TARGET_FILE;
    const char *path = launch_str(in->spec, m->target);
    AUTO_CLOSE int target = is_strict(in, m) ? init_target_strict(in->root, path, kind)
                                             : init_target(in->root, path, kind);
    if (target == -ELOOP)
        return mount_failed(in, i, ELOOP, "the image has a symbolic link in this path");
    if (target < 0) return mount_failed(in, i, -target, "make the mount point");
    int r = set_attributes(m, tree);
    if (r < 0) return mount_failed(in, i, -r, "set attributes");
    r = kernel_move_mount(tree, target);
    if (r < 0) mount_failed(in, i, -r, "attach");
}

void init_mounts_attach(struct init *in) {
    for (uint32_t i = 0; i < in->spec->mounts.n; i++) attach(in, i);
}

/* ---- devices ---- */

static int make_node(int folder, const char *name, const struct launch_device *d) {
    dev_t number = makedev(d->major, d->minor);
    mode_t type = d->type & S_IFMT;
    if (mknodat(folder, name, type | (d->mode & 07777), number) < 0) {
        struct stat st;
        if (errno != EEXIST) return -errno;
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
        if ((st.st_mode & S_IFMT) != type || st.st_rdev != number) return -EEXIST;
    }
    if (fchownat(folder, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    return fchmodat(folder, name, d->mode & 07777, 0) < 0 ? -errno : 0;
}

static void make_device(const struct init *in, const struct launch_device *d) {
    const char *path = launch_str(in->spec, d->path);
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (!slash || slash[1] == '\0' || n >= sizeof folder)
        init_fail(EINVAL, "device %.200s: not an absolute path", path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    AUTO_CLOSE int at = n ? init_target_strict(in->root, folder, TARGET_FOLDER)
                          : init_target_strict(in->root, "/", TARGET_FOLDER);
    if (at < 0) init_fail(-at, "device %s: make its folder", path);
    int r = make_node(at, slash + 1, d);
    if (r < 0) init_fail(-r, "device %s: make the node", path);
}

static bool has_devpts(const struct init *in) {
    for (uint32_t i = 0; i < in->spec->mounts.n; i++) {
        const struct launch_mount *m = mount_at(in, i);
        if (m->kind == LAUNCH_MOUNT_FS && strcmp(launch_str(in->spec, m->source), "devpts") == 0)
            return true;
    }
    return false;
}

static void make_links(const struct init *in) {
    static const char *const links[][2] = {{"/proc/self/fd", "fd"},
                                           {"/proc/self/fd/0", "stdin"},
                                           {"/proc/self/fd/1", "stdout"},
                                           {"/proc/self/fd/2", "stderr"},
                                           {"pts/ptmx", "ptmx"}};
    AUTO_CLOSE int dev = init_target_strict(in->root, "/dev", TARGET_FOLDER);
    if (dev < 0) init_fail(-dev, "links in /dev");
    for (size_t i = 0; i < COUNT(links); i++)
        if (symlinkat(links[i][0], dev, links[i][1]) < 0 && errno != EEXIST)
            init_fail(errno, "link /dev/%s", links[i][1]);
}

void init_devices(struct init *in) {
    const struct launch_device *devices = launch_table(in->spec, in->spec->devices);
    for (uint32_t i = 0; i < in->spec->devices.n; i++) make_device(in, &devices[i]);
    if (has_devpts(in)) make_links(in);
}

/* ---- masked and read-only paths ---- */

static int read_only_tmpfs(void) {
    AUTO_CLOSE int fs = kernel_fsopen("tmpfs");
    if (fs < 0) return fs;
    int r = kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
    return r < 0 ? r : kernel_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
}

/* A folder is hidden by an empty tmpfs, anything else by the host's own /dev/null: the container's
 * could be a link or another file (CVE-2025-31133). */
static void mask(const struct init *in, const char *path) {
    AUTO_CLOSE int target = init_target_find(in->root, path);
    struct stat st;
    if (target < 0 || fstat(target, &st) < 0) return; /* nothing there to hide */
    AUTO_CLOSE int tree =
        S_ISDIR(st.st_mode)
            ? read_only_tmpfs()
            : kernel_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) init_fail(-tree, "mask %s", path);
    struct mount_attr attr = {.propagation = MS_PRIVATE};
    int r = kernel_mount_setattr(tree, 0, &attr);
    if (r == 0) r = kernel_move_mount(tree, target);
    if (r < 0) init_fail(-r, "mask %s", path);
}

static void protect(const struct init *in, const char *path) {
    AUTO_CLOSE int target = init_target_find(in->root, path);
    if (target < 0) return;
    AUTO_CLOSE int tree = kernel_open_tree(
        target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) init_fail(-tree, "make %s read-only", path);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    int r = kernel_mount_setattr(tree, AT_RECURSIVE, &attr);
    if (r == 0) r = kernel_move_mount(tree, target);
    if (r < 0) init_fail(-r, "make %s read-only", path);
}

void init_masked(struct init *in) {
    const struct launch_ref *paths = launch_table(in->spec, in->spec->readonly);
    for (uint32_t i = 0; i < in->spec->readonly.n; i++) protect(in, launch_str(in->spec, paths[i]));
    paths = launch_table(in->spec, in->spec->masked);
    for (uint32_t i = 0; i < in->spec->masked.n; i++) mask(in, launch_str(in->spec, paths[i]));
}
