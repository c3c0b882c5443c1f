/* SPDX-License-Identifier: Apache-2.0 — kernel.h: system calls that musl 1.2.3 has no function for.
 *
 * Each returns what the kernel returns, with -errno for a failure. linux/mount.h and linux/sched.h
 * are included here only; sys/mount.h must not be included beside them (glibc 2.36 defines the same
 * names differently). Any thread. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define KERNEL_CLONE_INTO_CGROUP   UINT64_C(0x200000000)
#define KERNEL_CLOSE_RANGE_CLOEXEC (1u << 2)
#define KERNEL_MNT_DETACH          2

/* struct clone_args up to and with `cgroup` (version 2, Linux 5.7). */
struct kernel_clone {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

static inline long kernel_result(long r) { return r < 0 ? -errno : r; }

static inline int kernel_mount(const char *source, const char *target, const char *type,
                               unsigned long flags, const char *data) {
    return (int)kernel_result(syscall(SYS_mount, source, target, type, flags, data));
}
static inline int kernel_umount(const char *target, int flags) {
    return (int)kernel_result(syscall(SYS_umount2, target, flags));
}
static inline int kernel_pivot_root(const char *new_root, const char *put_old) {
    return (int)kernel_result(syscall(SYS_pivot_root, new_root, put_old));
}
static inline int kernel_open_tree(int dir, const char *path, unsigned flags) {
    return (int)kernel_result(syscall(SYS_open_tree, dir, path, flags));
}
/* Puts the detached mount `tree` on what `target` is. */
static inline int kernel_move_mount(int tree, int target) {
    return (int)kernel_result(syscall(SYS_move_mount, tree, "", target, "",
                                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
static inline int kernel_mount_setattr(int tree, unsigned flags, struct mount_attr *attr) {
    return (int)kernel_result(
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, attr, sizeof *attr));
}
static inline int kernel_fsopen(const char *type) {
    return (int)kernel_result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}
static inline int kernel_fsconfig(int fs, unsigned command, const char *key, const char *value) {
    return (int)kernel_result(syscall(SYS_fsconfig, fs, command, key, value, 0));
}
static inline int kernel_fsmount(int fs, unsigned attr) {
    return (int)kernel_result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr));
}
static inline int kernel_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    return (int)kernel_result(syscall(SYS_openat2, dir, path, &how, sizeof how));
}
static inline int kernel_close_range(unsigned from, unsigned to, unsigned flags) {
    return (int)kernel_result(syscall(SYS_close_range, from, to, flags));
}
static inline int kernel_pidfd_signal(int pidfd, int number) {
    return (int)kernel_result(syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0));
}
static inline int kernel_execveat(int fd, char *const *argv, char *const *envp) {
    return (int)kernel_result(syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH));
}
/* Sets the three capability sets of this thread. */
static inline int kernel_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
    return (int)kernel_result(syscall(SYS_capset, &head, data));
}
static inline int kernel_capget(uint64_t *out_effective, uint64_t *out_permitted) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &head, data) < 0) return -errno;
    *out_effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    *out_permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    return 0;
}
