/* SPDX-License-Identifier: Apache-2.0 — init_rootfs.c: from an image's layers to a container's
 * root.
 *
 * Order: clones of what comes from the host are taken while we are in its mount namespace; then our
 * own namespace (everything in it a slave of the host's, so nothing leaks back); overlay; mounts;
 * devices; masks; pivot_root. After it the host's tree is gone from the namespace. A clone keeps
 * its source's peer group, which is how a shared mount propagates both ways without the root being
 * shared. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNT_DATA_BYTES 4096 /* the kernel copies one page of options */
#define ROOT_PATH        "/proc/self/fd/10/rootfs"

_Static_assert(LAUNCH_FD_DIR == 10, "the paths below name the descriptor");

static void mount_root(const struct launch_spec *spec) {
    const char *lowers = launch_str(spec, spec->lowers);
    if (*lowers == '\0') { /* an image without layers: the writable folder is all there is */
        int r = kernel_mount("/proc/self/fd/10/upper", ROOT_PATH, NULL, MS_BIND, NULL);
        if (r < 0) init_fail(-r, "mount the empty root");
        return;
    }
    char data[MOUNT_DATA_BYTES];
    int n = snprintf(data, sizeof data,
                     "upperdir=/proc/self/fd/10/upper,workdir=/proc/self/fd/10/work,volatile,"
                     "lowerdir=%s",
                     lowers);
    if (n < 0 || (size_t)n >= sizeof data)
        init_fail(E2BIG, "mount the root: names of the layers are over %d bytes", MOUNT_DATA_BYTES);
    int r = kernel_mount("overlay", ROOT_PATH, "overlay", 0, data);
    if (r < 0) init_fail(-r, "mount the root of layers %.200s", lowers);
}

/* A descriptor goes on meaning the mounts of the namespace it was opened in, and overlayfs takes
 * folders of its own namespace only. The working folder moves along with unshare (that is how the
 * layers come); the container's folder is opened again by the name it has. */
static void make_private(void) {
    char path[PATH_MAX];
    struct stat before;
    struct stat after;
    ssize_t n = readlink("/proc/self/fd/10", path, sizeof path - 1);
    if (n < 0 || fstat(LAUNCH_FD_DIR, &before) < 0) init_fail(errno, "find the container's folder");
    path[n] = '\0';
    if (fcntl(LAUNCH_FD_LAYERS, F_GETFD) >= 0 && fchdir(LAUNCH_FD_LAYERS) < 0)
        init_fail(errno, "enter the folder of layers");
    if (unshare(CLONE_NEWNS) < 0) init_fail(errno, "make a mount namespace");
    int r = kernel_mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
    if (r < 0) init_fail(-r, "make the host's mounts slaves");
    AUTO_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &after) < 0) init_fail(errno, "open the container's folder %s", path);
    if (after.st_dev != before.st_dev || after.st_ino != before.st_ino)
        init_fail(ESTALE, "open the container's folder %s", path);
    if (dup3(dir, LAUNCH_FD_DIR, O_CLOEXEC) < 0) init_fail(errno, "take the container's folder");
}

/* The root stays a slave even beside bidirectional mounts: those keep their source's peer group. */
static void enter_root(const struct init *in) {
    if (fchdir(in->root) < 0) init_fail(errno, "enter the root");
    int r = kernel_pivot_root(".", ".");
    if (r == 0) r = kernel_umount(".", KERNEL_MNT_DETACH);
    if (r < 0) init_fail(-r, "pivot to the root");
    if (chdir("/") < 0) init_fail(errno, "enter the root");
}

void init_rootfs(struct init *in) {
    in->proc_self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (in->proc_self < 0) init_fail(errno, "open /proc/self");
    (void)umask(0);
    init_mounts_collect(in);
    make_private();
    mount_root(in->spec);
    in->root = openat(LAUNCH_FD_DIR, "rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (in->root < 0) init_fail(errno, "open the root");
    init_mounts_attach(in);
    init_devices(in);
    init_masked(in);
    AUTO_CLOSE int cwd =
        in->spec->cwd.n ? init_target(in->root, launch_str(in->spec, in->spec->cwd), TARGET_FOLDER)
                        : -1; /* a failure is told when it is entered */
    (void)cwd;                /* it is there to be closed */
    if (in->spec->flags & LAUNCH_READONLY_ROOT) {
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        int r = kernel_mount_setattr(in->root, 0, &attr);
        if (r < 0) init_fail(-r, "make the root read-only");
    }
    enter_root(in);
}
