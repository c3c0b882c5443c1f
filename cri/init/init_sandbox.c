/* SPDX-License-Identifier: Apache-2.0 — init_sandbox.c: makes the namespaces of a pod, and is pid 1
 * of its PID namespace.
 *
 * Namespaces live on as descriptors that the shim keeps: nothing is bind-mounted, so nothing is
 * left behind when the shim is gone. The pod's shm is a mount namespace too: one tmpfs as its root.
 */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SYSCTL_PATH_BYTES 256
#define OPTION_BYTES      32

static int open_namespace(const char *name) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) init_fail(errno, "open %s", path);
    return fd;
}

/* "net.ipv4.ip_forward" or "net/ipv4/..." as the path below /proc/sys. */
static bool sysctl_path(const char *key, char *out) {
    size_t n = strlen(key);
    if (n == 0 || n >= SYSCTL_PATH_BYTES) return false;
    memcpy(out, key, n + 1);
    if (strchr(key, '/')) return true; /* openat2 below keeps it inside */
    for (char *p = out; *p; p++)
        if (*p == '.') *p = '/';
    return true;
}

static void set_sysctls(const struct launch_spec *spec) {
    const struct launch_pair *pairs = launch_table(spec, spec->sysctls);
    if (!pairs) return;
    AUTO_CLOSE int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) init_fail(errno, "open /proc/sys");
    for (uint32_t i = 0; i < spec->sysctls.n; i++) {
        const char *key = launch_str(spec, pairs[i].key);
        const char *value = launch_str(spec, pairs[i].value);
        char path[SYSCTL_PATH_BYTES];
        if (!sysctl_path(key, path)) init_fail(EINVAL, "sysctl '%s': not a name", key);
        AUTO_CLOSE int fd =
            kernel_openat2(dir, path, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (fd < 0) init_fail(-fd, "sysctl '%s': open", key);
        if (write(fd, value, strlen(value)) < 0)
            init_fail(errno, "sysctl '%s': set to '%s'", key, value);
    }
}

/* A detached tmpfs; attr: MOUNT_ATTR_*. */
static int new_tmpfs(const char *size, const char *mode, unsigned attr) {
    AUTO_CLOSE int fs = kernel_fsopen("tmpfs");
    if (fs < 0) init_fail(-fs, "tmpfs");
    int r = size ? kernel_fsconfig(fs, FSCONFIG_SET_STRING, "size", size) : 0;
    if (r == 0) r = kernel_fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode);
    if (r == 0) r = kernel_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
    if (r < 0) init_fail(-r, "tmpfs");
    int mount = kernel_fsmount(fs, attr);
    if (mount < 0) init_fail(-mount, "tmpfs");
    return mount;
}

/* A new mount namespace in which there is `tmpfs` and nothing else. */
static void enter_alone(int tmpfs) {
    if (unshare(CLONE_NEWNS) < 0) init_fail(errno, "make a mount namespace");
    int r = kernel_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (r < 0) init_fail(-r, "make mounts private");
    AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC); /* any folder will do */
    r = kernel_move_mount(tmpfs, proc);
    if (r < 0) init_fail(-r, "attach tmpfs");
    if (fchdir(tmpfs) < 0) init_fail(errno, "enter tmpfs");
    r = kernel_pivot_root(".", ".");
    if (r == 0) r = kernel_umount(".", KERNEL_MNT_DETACH);
    if (r < 0) init_fail(-r, "leave the host's mounts");
}

static int make_shm(uint64_t bytes) {
    char size[OPTION_BYTES];
    (void)snprintf(size, sizeof size, "%llu", (unsigned long long)bytes);
    AUTO_CLOSE int tmpfs =
        new_tmpfs(size, "1777", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    AUTO_CLOSE int self = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    enter_alone(tmpfs);
    int fd = openat(self, "mnt", O_RDONLY | O_CLOEXEC);
    if (fd < 0) init_fail(errno, "open the shm namespace");
    return fd;
}

static int make_netlink(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) init_fail(errno, "netlink socket in the pod's network");
    return fd;
}

void init_sandbox(const struct launch_spec *spec) {
    int kinds = 0;
    if (spec->flags & LAUNCH_NEW_NET) kinds |= CLONE_NEWNET;
    if (spec->flags & LAUNCH_NEW_IPC) kinds |= CLONE_NEWIPC;
    if (spec->flags & LAUNCH_NEW_UTS) kinds |= CLONE_NEWUTS;
    if (kinds && unshare(kinds) < 0) init_fail(errno, "make the pod's namespaces");
    const char *hostname = launch_str(spec, spec->hostname);
    if ((spec->flags & LAUNCH_NEW_UTS) && *hostname && sethostname(hostname, strlen(hostname)) < 0)
        init_fail(errno, "set host name '%s'", hostname);
    set_sysctls(spec);
    struct launch_report report = {.kind = LAUNCH_NAMESPACES,
                                   .made = spec->flags &
                                           (LAUNCH_NEW_NET | LAUNCH_NEW_IPC | LAUNCH_NEW_UTS)};
    int fds[5];
    size_t count = 0;
    if (spec->flags & LAUNCH_NEW_NET) fds[count++] = open_namespace("net");
    if (spec->flags & LAUNCH_NEW_IPC) fds[count++] = open_namespace("ipc");
    if (spec->flags & LAUNCH_NEW_UTS) fds[count++] = open_namespace("uts");
    int netlink = spec->flags & LAUNCH_NEW_NET ? make_netlink() : -1;
    if (spec->shm_bytes) {
        report.made |= LAUNCH_MADE_SHM;
        fds[count++] = make_shm(spec->shm_bytes); /* last: the host's mounts are gone after it */
    }
    if (netlink >= 0) fds[count++] = netlink;
    init_report(&report, fds, count);
    _exit(0);
}

static void join_if(int fd, int kind) {
    if (fcntl(fd, F_GETFD) >= 0) (void)setns(fd, kind);
}

void init_reaper(void) {
    join_if(LAUNCH_FD_NET, CLONE_NEWNET);
    join_if(LAUNCH_FD_IPC, CLONE_NEWIPC);
    join_if(LAUNCH_FD_UTS, CLONE_NEWUTS);
    enter_alone(new_tmpfs("4096", "0555", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV));
    (void)setsid();
    (void)prctl(PR_SET_NAME, "pod-init");
    sigset_t wanted;
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGCHLD);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &wanted, NULL);
    int r = kernel_capset(0, 0, 0);
    if (r < 0) init_fail(-r, "drop capabilities");
    (void)kernel_close_range(0, ~0U, 0);
    for (;;) {
        int number = 0;
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        (void)sigwait(&wanted, &number);
        if (number == SIGTERM) _exit(0);
    }
}
