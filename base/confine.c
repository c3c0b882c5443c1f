/* SPDX-License-Identifier: Apache-2.0 — confine.c: capabilities, Landlock, limits, seccomp. */
#include "base/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CAPABILITIES_MAX 64

/* gcc tells of a sanitizer by macros, clang by features. */
#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

int confine_limit(int resource, rlim_t most, struct err *e) {
    struct rlimit now;
    /* A sanitizer's shadow memory is terabytes of address space. */
    if (SANITIZED && resource == RLIMIT_AS) return 0;
    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return err_sys(e, errno, "read a resource limit");
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most) most = now.rlim_max;
    struct rlimit l = {most, most};
    if (setrlimit((__rlimit_resource_t)resource, &l) < 0)
        return err_sys(e, errno, "set a resource limit");
    return 0;
}

int confine_no_new_privileges(struct err *e) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return err_sys(e, errno, "set no_new_privs");
    return 0;
}

int confine_capabilities(const int *kept, size_t count, struct err *e) {
    cap_value_t values[CAPABILITIES_MAX];
    cap_t caps = cap_init();
    if (!caps || count > CAPABILITIES_MAX) abort();
    for (size_t i = 0; i < count; i++) values[i] = kept[i];
    int r = 0;
    if (count > 0) r = cap_set_flag(caps, CAP_PERMITTED, (int)count, values, CAP_SET);
    if (r == 0 && count > 0) r = cap_set_flag(caps, CAP_EFFECTIVE, (int)count, values, CAP_SET);
    if (r == 0) r = cap_set_proc(caps);
    int failed = errno;
    (void)cap_free(caps);
    if (r < 0) return err_sys(e, failed, "keep %zu capabilities (start it as root)", count);
    return 0;
}

/* ---- Landlock ---- */

/* The rights of ABI 1, and moving between folders (ABI 2, kernel 5.19). */
#define FILE_RIGHTS                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE)
#define ALL_RIGHTS ((((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) | UINT64_C(1) << 13)

static int allow_below(int rules, int fd, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) < 0) return err_sys(e, errno, "look at what stays open to the program");
    uint64_t rights = ALL_RIGHTS & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    if (!S_ISDIR(st.st_mode)) rights &= FILE_RIGHTS;
    struct landlock_path_beneath_attr below = {.allowed_access = rights, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0)
        return err_sys(e, errno, "add a Landlock rule");
    return 0;
}

int confine_fence(const int *fds, size_t count, struct err *e) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 2) return 0;
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL_RIGHTS};
    AUTO_CLOSE int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) return err_sys(e, errno, "make a Landlock rule set");
    for (size_t i = 0; i < count; i++)
        if (allow_below(rules, fds[i], e) < 0) return -1;
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys(e, errno, "apply Landlock");
    return 0;
}

/* ---- seccomp ---- */

static const int RUNTIME_SYSCALLS[] = {
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
 * ptrace: reports have no symbolizer, and leaks cannot be looked for. */
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

static int add_call(scmp_filter_ctx filter, const struct confine_call *c) {
    uint32_t action = c->error ? SCMP_ACT_ERRNO((uint32_t)c->error) : SCMP_ACT_ALLOW;
    if (!c->mask) return seccomp_rule_add(filter, action, (int)c->number, 0);
    struct scmp_arg_cmp condition = {c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value};
    return seccomp_rule_add_array(filter, action, (int)c->number, 1, &condition);
}

static int fill_filter(scmp_filter_ctx filter, const struct confine_call *calls, size_t count) {
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; r == 0 && i < count; i++) r = add_call(filter, &calls[i]);
    if (r == 0) r = allow(filter, RUNTIME_SYSCALLS, COUNT(RUNTIME_SYSCALLS));
    if (r == 0 && SANITIZED) r = allow(filter, SANITIZER_SYSCALLS, COUNT(SANITIZER_SYSCALLS));
    const int memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; r == 0 && i < COUNT(memory); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return r == 0 ? seccomp_load(filter) : r;
}

int confine_syscalls(const struct confine_call *calls, size_t count, struct err *e) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter) return err_set(e, ERR_INTERNAL, "make a seccomp filter");
    int r = fill_filter(filter, calls, count);
    seccomp_release(filter);
    if (r < 0) return err_sys(e, -r, "load the seccomp filter");
    return 0;
}
