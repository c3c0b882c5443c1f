/* SPDX-License-Identifier: Apache-2.0 — unpack_confine.c: what unpacking may still do.
 *
 * Capabilities and Landlock belong to a thread, so unpack_confine_privileges() comes before the
 * decoding thread is made; the seccomp filter can be laid on all threads at once, so it comes after
 * (making a thread would need more system calls than unpacking does). */
#include "storage/unpack/unpack_confine.h"

#include "base/confine.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FDS_MAX           64
#define ADDRESS_SPACE_MAX ((rlim_t)1 << 30) /* libraries, ring, zstd window, remembered folders */

static const int CAPS[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,
                           CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP};

int unpack_confine_privileges(int root_fd, struct err *e) {
    (void)umask(0);
    if (confine_limit(RLIMIT_NOFILE, FDS_MAX, e) < 0 || confine_limit(RLIMIT_CORE, 0, e) < 0)
        return -1;
    if (confine_limit(RLIMIT_AS, ADDRESS_SPACE_MAX, e) < 0) return -1;
    if (confine_no_new_privileges(e) < 0) return -1;
    /* The paths are resolved below root_fd in any case. */
    if (confine_fence(&root_fd, 1, e) < 0) return -1;
    return confine_capabilities(CAPS, COUNT(CAPS), e);
}

static const struct confine_call CALLS[] = {
    {.number = SYS_read},       {.number = SYS_write},     {.number = SYS_pread64},
    {.number = SYS_pwrite64},   {.number = SYS_lseek},     {.number = SYS_close},
    {.number = SYS_openat},     {.number = SYS_openat2},   {.number = SYS_fstat},
    {.number = SYS_newfstatat}, {.number = SYS_statx},     {.number = SYS_fcntl},
    {.number = SYS_getdents64}, {.number = SYS_ftruncate}, {.number = SYS_mkdirat},
    {.number = SYS_mknodat},    {.number = SYS_symlinkat}, {.number = SYS_linkat},
    {.number = SYS_unlinkat},   {.number = SYS_fchown},    {.number = SYS_fchownat},
    {.number = SYS_fchmod},     {.number = SYS_fchmodat},  {.number = SYS_utimensat},
    {.number = SYS_fsetxattr},  {.number = SYS_lsetxattr}, {.number = SYS_fchdir},
};

int unpack_confine_syscalls(struct err *e) { return confine_syscalls(CALLS, COUNT(CALLS), e); }
