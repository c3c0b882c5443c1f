/* SPDX-License-Identifier: Apache-2.0 — confine.c: capabilities, Landlock, limits, seccomp.
 *
 * Capabilities and Landlock belong to a thread, so confine_privileges() comes before the decoding
 * thread is made; the seccomp filter can be laid on all threads at once, so it comes after (making
 * a thread would need more system calls than unpacking does). */
#include "storage/unpack/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CONFINE_FDS_MAX 64
#define CONFINE_AS_MAX  ((rlim_t)1 << 30) /* libraries, ring, zstd window, remembered folders */

/* gcc tells of a sanitizer by macros, clang by features. */
#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define SANITIZED 1 /* shadow memory is terabytes of address space */
#else
#define SANITIZED 0
#endif

static const cap_value_t CAPS[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,
                                   CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP};

static int limit(int resource, rlim_t most, struct err *e) {
    struct rlimit now;
    if (getrlimit(resource, &now) < 0) return err_sys(e, errno, "read a resource limit");
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    struct rlimit l = {most, most};
    if (setrlimit(resource, &l) < 0) return err_sys(e, errno, "set a resource limit");
    return 0;
}

static int drop_capabilities(struct err *e) {
    cap_t caps = cap_init();
    if (!caps) abort();
    int r = cap_set_flag(caps, CAP_PERMITTED, COUNT(CAPS), CAPS, CAP_SET);
    if (r == 0) r = cap_set_flag(caps, CAP_EFFECTIVE, COUNT(CAPS), CAPS, CAP_SET);
    if (r == 0) r = cap_set_proc(caps);
    int failed = errno;
    (void)cap_free(caps);
    if (r < 0) return err_sys(e, failed, "keep the capabilities to unpack with (start it as root)");
    return 0;
}

/* Everything but execution is for root_fd alone. A kernel without Landlock is no error: the paths
 * are resolved below root_fd in any case. */
static int fence(int root_fd, struct err *e) {
    const uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* the rights of ABI 1 */
    const uint64_t refer = UINT64_C(1) << 13;                    /* ABI 2, kernel 5.19 */
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 2) return 0;
    struct landlock_ruleset_attr attr = {.handled_access_fs = all | refer};
    AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) return err_sys(e, errno, "make a Landlock rule set");
    struct landlock_path_beneath_attr below = {
        .allowed_access = (all | refer) & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE,
        .parent_fd = root_fd,
    };
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0)
        return err_sys(e, errno, "add a Landlock rule");
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys(e, errno, "apply Landlock");
    return 0;
}

int confine_privileges(int root_fd, struct err *e) {
    (void)umask(0);
    if (limit(RLIMIT_NOFILE, CONFINE_FDS_MAX, e) < 0 || limit(RLIMIT_CORE, 0, e) < 0) return -1;
    if (!SANITIZED && limit(RLIMIT_AS, CONFINE_AS_MAX, e) < 0) return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "set no_new_privs");
    if (fence(root_fd, e) < 0) return -1;
    return drop_capabilities(e);
}

/* What unpacking calls; the last lines are memory, threads and the end of the process. */
static const int SYSCALLS[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(fcntl),
    SCMP_SYS(getdents64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(mkdirat),
    SCMP_SYS(mknodat),
    SCMP_SYS(symlinkat),
    SCMP_SYS(linkat),
    SCMP_SYS(unlinkat),
    SCMP_SYS(fchown),
    SCMP_SYS(fchownat),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(utimensat),
    SCMP_SYS(fsetxattr),
    SCMP_SYS(lsetxattr),
    SCMP_SYS(fchdir),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sched_yield),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo), /* glibc's qsort() asks for the memory's size, from 1 KiB on */
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(tgkill),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
};

/* What a sanitizer's runtime calls besides: its background thread, its locks, and the way to a
 * report, which must come out instead of a death by SIGSYS that hides it. No exec, no network, no
 * ptrace: reports have no symbolizer, and leaks are not looked for (unpack_main.c). */
static const int SANITIZER_SYSCALLS[] = {
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(prctl),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(uname),
    SCMP_SYS(ioctl),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(open),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(access),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(mincore),
    SCMP_SYS(msync),
    SCMP_SYS(membarrier),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(times),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(kill),
};

static int allow(scmp_filter_ctx filter, const int *calls, size_t count) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return r;
}

static int fill_filter(scmp_filter_ctx filter) {
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0) r = allow(filter, SYSCALLS, COUNT(SYSCALLS));
    if (r == 0 && SANITIZED) r = allow(filter, SANITIZER_SYSCALLS, COUNT(SANITIZER_SYSCALLS));
    const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; r == 0 && i < COUNT(memory); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return r == 0 ? seccomp_load(filter) : r;
}

int confine_syscalls(struct err *e) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter) return err_set(e, ERR_INTERNAL, "make a seccomp filter");
    int r = fill_filter(filter);
    seccomp_release(filter);
    if (r < 0) return err_sys(e, -r, "load the seccomp filter");
    return 0;
}
