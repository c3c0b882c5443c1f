/* SPDX-License-Identifier: Apache-2.0 — seccomp_default.c: what RuntimeDefault allows.
 *
 * A list of what programs need, everything else is EPERM. What is left out on purpose: the kernel's
 * key rings (not namespaced), modules, new mounts and namespaces, clocks, io_uring (a second way to
 * nearly every call, past this filter), userfaultfd, kexec, and the socket families AF_ALG and
 * AF_VSOCK (the host's crypto code and its hypervisor). Some calls come with the capability that
 * the kernel asks for anyway. clone3 passes its flags in memory, where no filter can look: it
 * answers ENOSYS, and C libraries fall back to clone. Source: the behaviour of the default profiles
 * of Docker and containerd, by observation. */
#include "cri/seccomp_filter.h"

#include "cri/capability.h"

#include <errno.h>
#include <sched.h>

/* CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET */
#define CLONE_NAMESPACES 0x7e020000u
#define WHOLE            0xffffffffu /* of an int argument; above it is noise */

static const char *const always[] = {
    /* files */
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown "
    "fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr "
    "fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd "
    "getdents "
    "getdents64 getxattr getxattrat lchown lchown32 lgetxattr link linkat listxattr listxattrat "
    "llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat "
    "name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev "
    "pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat "
    "renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 "
    "statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate truncate64 "
    "umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev cachestat "
    "arm_fadvise64_64 arm_sync_file_range",
    /* waiting, events */
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select signalfd "
    "signalfd4 io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup "
    "io_submit ioctl pipe pipe2",
    /* memory */
    "brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 "
    "mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "process_mrelease remap_file_pages map_shadow_stack cacheflush",
    /* processes, threads, users */
    "alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue "
    "futex_time64 futex_wait futex_waitv futex_wake getcpu getegid getegid32 geteuid geteuid32 "
    "getgid "
    "getgid32 getgroups getgroups32 getitimer getpgid getpgrp getpid getppid getpriority getrandom "
    "getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid gettid "
    "get_thread_area getuid getuid32 ioprio_get ioprio_set kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self modify_ldt nanosleep pause pidfd_open "
    "pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev ptrace restart_syscall "
    "rseq "
    "rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
    "rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr "
    "sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
    "setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list "
    "setsid "
    "set_thread_area set_tid_address setuid setuid32 set_tls breakpoint sigaltstack sigprocmask "
    "sigreturn sysinfo tgkill time times tkill ugetrlimit uname vfork wait4 waitid waitpid",
    /* clocks that are read, timers */
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 gettimeofday timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    /* sockets and messages */
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair ipc "
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop "
    "semtimedop_time64 shmat shmctl shmdt shmget"};

static const struct {
    const char *capability, *calls;
} with_capability[] = {
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount "
     "lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open quotactl "
     "quotactl_fd setdomainname sethostname setns statmount syslog umount umount2 "
     "unshare"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module finit_module init_module"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"SYS_RAWIO", "ioperm iopl"},
    {"SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYSLOG", "syslog"}};

static const struct seccomp_action allow = {.kind = SECCOMP_ALLOW};

uint64_t seccomp_default_capabilities(void) {
    uint64_t all = 0;
    for (size_t i = 0; i < COUNT(with_capability); i++)
        all |= capability_bit(str_of(with_capability[i].capability));
    return all;
}

static int allow_names(struct seccomp_filter *f, const char *names) {
    struct str rest = str_of(names), name;
    int r = 0;
    while (r == 0 && str_next(&rest, ' ', &name)) r = seccomp_filter_rule(f, allow, name, NULL, 0);
    return r;
}

static int allow_masked(struct seccomp_filter *f, struct str name, uint64_t mask, uint64_t value) {
    struct seccomp_condition c = {
        .argument = 0, .compare = SECCOMP_MASKED_EQ, .value = mask, .value2 = value};
    return seccomp_filter_rule(f, allow, name, &c, 1);
}

/* All families below 48 but 38 (AF_ALG) and 40 (AF_VSOCK), in blocks of powers of two. */
static int allow_sockets(struct seccomp_filter *f) {
    static const struct {
        uint32_t first, count;
    } blocks[] = {{0, 32}, {32, 4}, {36, 2}, {39, 1}, {41, 1}, {42, 2}, {44, 4}};
    int r = 0;
    for (size_t i = 0; i < COUNT(blocks) && r == 0; i++)
        r = allow_masked(f, STR("socket"), WHOLE & ~(blocks[i].count - 1), blocks[i].first);
    return r;
}

static int allow_personalities(struct seccomp_filter *f) {
    static const uint32_t known[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    int r = 0;
    for (size_t i = 0; i < COUNT(known) && r == 0; i++)
        r = allow_masked(f, STR("personality"), WHOLE, known[i]);
    return r;
}

static int build(struct seccomp_filter *f, uint64_t capabilities) {
    int r = 0;
    seccomp_filter_arch_all(f);
    for (size_t i = 0; i < COUNT(always) && r == 0; i++) r = allow_names(f, always[i]);
    if (r == 0) r = allow_sockets(f);
    if (r == 0) r = allow_personalities(f);
    for (size_t i = 0; i < COUNT(with_capability) && r == 0; i++)
        if (capabilities & capability_bit(str_of(with_capability[i].capability)))
            r = allow_names(f, with_capability[i].calls);
    if (r < 0 || (capabilities & capability_bit(STR("SYS_ADMIN")))) return r;
    r = allow_masked(f, STR("clone"), CLONE_NAMESPACES, 0);
    if (r < 0) return r;
    struct seccomp_action missing = {.kind = SECCOMP_ERRNO, .number = ENOSYS};
    return seccomp_filter_rule(f, missing, STR("clone3"), NULL, 0);
}

int seccomp_default_build(uint64_t capabilities, struct seccomp_filter **out) {
    struct seccomp_action otherwise = {.kind = SECCOMP_ERRNO, .number = EPERM};
    struct seccomp_filter *f = seccomp_filter_new(otherwise);
    int r = build(f, capabilities);
    if (r < 0) {
        seccomp_filter_free(f);
        return r;
    }
    *out = f;
    return 0;
}
