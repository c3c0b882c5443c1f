/* SPDX-License-Identifier: Apache-2.0 — zdbd_privileges.c: giving up rights, in an order that
 * leaves each step possible: user, fence, capabilities, and the filter when the threads are there.
 *
 * The engine may still make a thread (INTERVAL, compaction): clone() with CLONE_THREAD only, never
 * a process. clone3() answers ENOSYS, since a filter cannot look into its arguments; glibc then
 * takes clone(). */
#include "storage/zdb_server/zdbd_privileges.h"

#include "base/confine.h"
#include "base/file.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define FOLDERS_MAX 8

#define MORE_MAX 16

static const struct confine_call CALLS[] = {
    /* sockets */
    {.number = SYS_read},
    {.number = SYS_write},
    {.number = SYS_readv},
    {.number = SYS_writev},
    {.number = SYS_recvfrom},
    {.number = SYS_recvmsg},
    {.number = SYS_sendto},
    {.number = SYS_sendmsg},
    {.number = SYS_accept4},
    {.number = SYS_shutdown},
    {.number = SYS_setsockopt},
    {.number = SYS_getsockopt},
    {.number = SYS_getsockname},
    {.number = SYS_close},
    {.number = SYS_epoll_ctl},
    {.number = SYS_epoll_pwait},
    {.number = SYS_epoll_pwait2},
    {.number = SYS_ppoll},
    {.number = SYS_ioctl, .arg = 1, .mask = UINT32_MAX, .value = FIONBIO},
    {.number = SYS_ioctl, .arg = 1, .mask = UINT32_MAX, .value = TIOCOUTQ}, /* slow readers: HTTP */
    {.number = SYS_socket, .arg = 0, .mask = UINT32_MAX, .value = AF_UNIX}, /* sd_notify */
    {.number = SYS_socketpair},
#ifdef SYS_epoll_wait
    {.number = SYS_epoll_wait},
#endif
#ifdef SYS_poll
    {.number = SYS_poll},
#endif
    /* files */
    {.number = SYS_openat},
    {.number = SYS_openat2},
    {.number = SYS_pread64},
    {.number = SYS_pwrite64},
    {.number = SYS_preadv},
    {.number = SYS_pwritev},
    {.number = SYS_preadv2},
    {.number = SYS_pwritev2},
    {.number = SYS_lseek},
    {.number = SYS_fstat},
    {.number = SYS_newfstatat},
    {.number = SYS_statx},
    {.number = SYS_statfs},
    {.number = SYS_fstatfs},
    {.number = SYS_fsync},
    {.number = SYS_fdatasync},
    {.number = SYS_sync_file_range},
    {.number = SYS_ftruncate},
    {.number = SYS_fallocate},
    {.number = SYS_fadvise64},
    {.number = SYS_copy_file_range},
    {.number = SYS_sendfile},
    {.number = SYS_flock},
    {.number = SYS_fcntl},
    {.number = SYS_dup},
    {.number = SYS_fchmod},
    {.number = SYS_getdents64},
    {.number = SYS_mkdirat},
    {.number = SYS_unlinkat},
    {.number = SYS_renameat},
    {.number = SYS_renameat2},
    {.number = SYS_linkat},
    {.number = SYS_utimensat},
#ifdef SYS_rename
    {.number = SYS_rename},
    {.number = SYS_unlink},
    {.number = SYS_mkdir},
    {.number = SYS_rmdir},
    {.number = SYS_open},
    {.number = SYS_stat},
    {.number = SYS_lstat},
    {.number = SYS_access},
#endif
    {.number = SYS_faccessat},
    {.number = SYS_faccessat2},
    /* threads */
    {.number = SYS_clone3, .error = ENOSYS},
    {.number = SYS_clone, .arg = 0, .mask = CLONE_THREAD, .value = CLONE_THREAD},
    {.number = SYS_prctl, .arg = 0, .mask = UINT32_MAX, .value = PR_SET_NAME},
    {.number = SYS_sched_getaffinity},
    {.number = SYS_clock_nanosleep},
    {.number = SYS_prlimit64},
    {.number = SYS_wait4}, /* the hook runner's end */
    {.number = SYS_waitid},
};

void zdbd_privileges_raise_files(void) {
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0) return;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
}

bool zdbd_privileges_user(const char *wanted, const char **out, struct err *e) {
    const char *name = wanted && *wanted ? wanted : ZDBD_USER_NAME;
    if (geteuid() != 0) {
        (void)err_set(e, ERR_DENIED, "not started as root");
        return false;
    }
    if (!getpwnam(name)) {
        (void)err_set(e, ERR_NOT_FOUND, "there is no user '%s'", name);
        return false;
    }
    *out = name;
    return true;
}

int zdbd_privileges_become(const char *user, struct err *e) {
    const struct passwd *p = getpwnam(user);
    if (!p) return err_set(e, ERR_NOT_FOUND, "there is no user '%s'", user);
    if (initgroups(user, p->pw_gid) < 0 || setgid(p->pw_gid) < 0 || setuid(p->pw_uid) < 0)
        return err_sys(e, errno, "become the user '%s'", user);
    return 0;
}

int zdbd_privileges_folder(const char *path, const char *user, struct err *e) {
    int there = file_exists(AT_FDCWD, path);
    if (there < 0) return err_sys(e, -there, "look for the folder '%s'", path);
    int r = there ? 0 : file_mkdirs(AT_FDCWD, path, 0700);
    if (r < 0) return err_sys(e, -r, "make the folder '%s'", path);
    const struct passwd *p = user && !there ? getpwnam(user) : NULL;
    if (p && chown(path, p->pw_uid, p->pw_gid) < 0)
        return err_sys(e, errno, "give the folder '%s' to '%s'", path, user);
    return 0;
}

int zdbd_privileges_check(const char *path, const char *user, struct err *e) {
    if (access(path, R_OK | W_OK | X_OK) == 0) return 0;
    (void)err_sys(e, errno, "use the folder '%s' as the user '%s'", path, user);
    return err_in(e, "give it to that user (chown -R), and let it pass the folders above (o+x)");
}

int zdbd_privileges_fence(const char *const *folders, size_t count, struct err *e) {
    int fds[FOLDERS_MAX];
    size_t n = 0;
    int r = confine_no_new_privileges(e);
    for (size_t i = 0; r == 0 && i < count && n < FOLDERS_MAX; i++) {
        if (!folders[i]) continue;
        int fd = open(folders[i], O_PATH | O_CLOEXEC);
        if (fd < 0)
            r = err_sys(e, errno, "open '%s'", folders[i]);
        else
            fds[n++] = fd;
    }
    if (r == 0) r = confine_fence(fds, n, e);
    for (size_t i = 0; i < n; i++) (void)close(fds[i]);
    return r < 0 ? -1 : confine_capabilities(NULL, 0, e);
}

int zdbd_privileges_filter(struct err *e) { return confine_syscalls(CALLS, COUNT(CALLS), e); }

int zdbd_privileges_filter_with(const struct confine_call *more, size_t count, struct err *e) {
    struct confine_call all[COUNT(CALLS) + MORE_MAX];
    if (count > MORE_MAX) return err_set(e, ERR_INTERNAL, "too many further system calls");
    memcpy(all, CALLS, sizeof CALLS);
    memcpy(all + COUNT(CALLS), more, count * sizeof *more);
    return confine_syscalls(all, COUNT(CALLS) + count, e);
}
