/* SPDX-License-Identifier: Apache-2.0 — proc.c: clone3 with CLONE_VM | CLONE_VFORK.
 *
 * The child shares our memory and we stand still until it executes or exits: no page table is
 * copied, whatever the daemon's size, and the child can leave the reason of a failure in a variable
 * of ours. glibc's posix_spawn does the same but can neither be born in a cgroup nor hand out a
 * pidfd. Because memory is shared, the child runs on a stack of its own (a piece of our frame),
 * calls the kernel only, is not instrumented by sanitizers, and runs with every signal blocked
 * until all handlers are back at their defaults. A dozen lines of assembly per architecture enter
 * the child on its stack: C cannot return twice from one call.
 *
 * A cgroup v1 is entered by the child itself, by "0" in its "tasks": the kernel moves a thread that
 * moves itself without waiting for a grace period, 10 ms on an idle machine, as any other write to
 * "tasks" or "cgroup.procs" makes it do.
 *
 * Descriptors: every source is first copied above all targets, so that any permutation works; then
 * the copies go to their targets, what is not a target is closed. The table is the child's own. */
#include "base/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILD_STACK_BYTES (32 * 1024)
#define SIGNALS           64 /* of the kernel, real-time ones included */
#define NOT_INSTRUMENTED  __attribute__((no_sanitize_address, no_sanitize_thread, noinline))

enum step {
    STEP_NONE,
    STEP_CGROUP,
    STEP_SESSION,
    STEP_PARENT,
    STEP_FDS,
    STEP_NULL,
    STEP_CWD,
    STEP_EXEC
};
static const char *const step_names[] = {"start",
                                         "enter its cgroups",
                                         "make a session",
                                         "tie to parent",
                                         "pass descriptors",
                                         "open /dev/null",
                                         "enter the working folder",
                                         "execute"};

struct child {
    const struct proc_spec *spec;
    enum step step;
    int sys; /* errno of the step that failed; written by the child */
};

/* ---- in the child: shared memory, own stack, own descriptors ---- */

NOT_INSTRUMENTED static int child_signals(void) {
    const struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } at_default = {0};
    uint64_t none = 0;
    for (int s = 1; s <= SIGNALS; s++)
        if (s != SIGKILL && s != SIGSTOP)
            (void)syscall(SYS_rt_sigaction, s, &at_default, NULL, sizeof none);
    return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

NOT_INSTRUMENTED static bool is_target(const struct proc_spec *spec, int fd) {
    for (size_t i = 0; i < spec->fd_count; i++)
        if (spec->fds[i].child == fd) return true;
    return false;
}

NOT_INSTRUMENTED static int child_null_fd(int target) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    if (fd < 0 || fd == target) return fd;
    if (syscall(SYS_dup3, fd, target, 0) < 0) return -1;
    return (int)syscall(SYS_close, fd);
}

NOT_INSTRUMENTED static int child_fds(const struct proc_spec *spec, enum step *step) {
    int copies[PROC_FDS_MAX];
    *step = STEP_FDS;
    for (size_t i = 0; i < spec->fd_count; i++) {
        copies[i] = (int)syscall(SYS_fcntl, spec->fds[i].ours, F_DUPFD_CLOEXEC, PROC_CHILD_FD_MAX);
        if (copies[i] < 0) return -1;
    }
    for (size_t i = 0; i < spec->fd_count; i++)
        if (syscall(SYS_dup3, copies[i], spec->fds[i].child, 0) < 0) return -1;
    for (int fd = 3; fd < PROC_CHILD_FD_MAX; fd++)
        if (!is_target(spec, fd)) (void)syscall(SYS_close, fd);
    /* The rest goes at exec: cwd_fd may be among it. */
    if (syscall(SYS_close_range, PROC_CHILD_FD_MAX, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return -1;
    *step = STEP_NULL;
    for (int fd = 0; fd < 3; fd++)
        if (!is_target(spec, fd) && child_null_fd(fd) < 0) return -1;
    return 0;
}

NOT_INSTRUMENTED static int child_steps(const struct proc_spec *spec, enum step *step) {
    static const char *const no_env[] = {NULL};
    *step = STEP_CGROUP;
    for (size_t i = 0; i < spec->tasks_count; i++)
        if (syscall(SYS_write, spec->tasks_fds[i], "0", 1) < 0) return -1;
    *step = STEP_SESSION;
    if ((spec->flags & PROC_NEW_SESSION) && syscall(SYS_setsid) < 0) return -1;
    *step = STEP_PARENT;
    if ((spec->flags & PROC_DIE_WITH_PARENT) && syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -1;
    *step = STEP_CWD;
    if (spec->cwd_fd >= 0 && syscall(SYS_fchdir, spec->cwd_fd) < 0) return -1;
    if (child_fds(spec, step) < 0) return -1;
    *step = STEP_EXEC;
    if (child_signals() < 0) return -1;
    return (int)syscall(SYS_execve, spec->path, spec->argv, spec->envp ? spec->envp : no_env);
}

NOT_INSTRUMENTED static void child_main(struct child *c) {
    enum step step = STEP_NONE;
    (void)child_steps(c->spec, &step); /* comes back only when something failed */
    c->sys = errno;
    c->step = step;
    for (;;) (void)syscall(SYS_exit_group, 127);
}

/* ---- entering it ---- */

/* clone3(args): in the child calls child_main(c) on the stack in args; in the parent returns the
 * pid or -errno. */
NOT_INSTRUMENTED static long clone_into(struct clone_args *args, struct child *c) {
    void (*entry)(struct child *) = child_main;
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %[c], %%rdi\n\t"
                     "callq *%[entry]\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(args),
                       "S"(sizeof *args), [c] "r"(c), [entry] "r"(entry)
                     : "rcx", "r11", "memory", "cc");
    return result;
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone3;
    register long first __asm__("x0") = (long)args;
    register long second __asm__("x1") = (long)sizeof *args;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "mov x0, %[c]\n\t"
                     "blr %[entry]\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(first)
                     : "r"(number), "r"(second), [c] "r"(c), [entry] "r"(entry)
                     : "memory", "cc");
    return first;
#else
#error "proc.c: write the entry into the child for this architecture"
#endif
}

static int check_spec(const struct proc_spec *spec, struct err *e) {
    if (spec->fd_count > PROC_FDS_MAX)
        return err_set(e, ERR_LIMIT, "start '%s': more than %d descriptors to pass", spec->path,
                       PROC_FDS_MAX);
    for (size_t i = 0; i < spec->fd_count; i++) {
        int target = spec->fds[i].child;
        bool twice = false;
        for (size_t k = 0; k < i; k++) twice |= spec->fds[k].child == target;
        if (target < 0 || target >= PROC_CHILD_FD_MAX || twice)
            return err_set(e, ERR_INVALID, "start '%s': cannot pass a descriptor as number %d",
                           spec->path, target);
    }
    return 0;
}

/* The kernel's own mask: glibc's functions leave its two internal signals alone. */
static long clone_blocked(struct clone_args *args, struct child *c) {
    uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof all);
    long pid = clone_into(args, c);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return pid;
}

static int clone_failed(const struct proc_spec *spec, int sys, struct err *e) {
    if (spec->cgroup_fd >= 0 && sys != ENOMEM && sys != EAGAIN)
        return err_sys(e, sys, "start '%s' in its cgroup (needs a writable cgroup v2 leaf)",
                       spec->path);
    return err_sys(e, sys, "start '%s'", spec->path);
}

int proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *e) {
    _Alignas(64) char stack[CHILD_STACK_BYTES];
    if (check_spec(spec, e) < 0) return -1;
    struct proc p = PROC_NONE;
    struct child c = {.spec = spec, .step = STEP_NONE};
    struct clone_args args = {.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&p.pidfd,
                              .exit_signal = SIGCHLD,
                              .stack = (uint64_t)(uintptr_t)stack,
                              .stack_size = sizeof stack};
    if (spec->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)(unsigned)spec->cgroup_fd;
    }
    long pid = clone_blocked(&args, &c);
    if (pid < 0) return clone_failed(spec, (int)-pid, e);
    p.pid = (pid_t)pid;
    if (c.sys == 0) {
        *out = p;
        return 0;
    }
    struct proc_exit ended;
    int reaped = proc_wait(&p, &ended); /* it is exiting already */
    assert(reaped == 0);
    proc_done(&p);
    if (c.step == STEP_EXEC) return err_sys(e, c.sys, "execute '%s'", spec->path);
    return err_sys(e, c.sys, "start '%s': %s", spec->path, step_names[c.step]);
}

static int wait_how(const struct proc *p, struct proc_exit *out, int options) {
    siginfo_t info = {.si_pid = 0};
    int r;
    do r = waitid(P_PIDFD, (id_t)p->pidfd, &info, options);
    while (r < 0 && errno == EINTR);
    if (r < 0) return -errno;
    if (info.si_pid == 0) return -EAGAIN;
    bool exited = info.si_code == CLD_EXITED;
    *out = (struct proc_exit){.status = exited ? info.si_status : 0,
                              .signal = exited ? 0 : info.si_status};
    return 0;
}

/* On a pidfd that is non-blocking, as a watch makes it, waitid(2) does not wait: poll(2) does. */
int proc_wait(const struct proc *p, struct proc_exit *out) {
    int r;
    while ((r = wait_how(p, out, WEXITED)) == -EAGAIN) {
        struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};
        if (poll(&ended, 1, -1) < 0 && errno != EINTR) return -errno;
    }
    return r;
}

int proc_try_wait(const struct proc *p, struct proc_exit *out) {
    return wait_how(p, out, WEXITED | WNOHANG);
}

int proc_kill(const struct proc *p, int signum) {
    return syscall(SYS_pidfd_send_signal, p->pidfd, signum, NULL, 0) < 0 ? -errno : 0;
}

void proc_done(struct proc *p) {
    if (p->pidfd >= 0) (void)close(p->pidfd);
    *p = PROC_NONE;
}

int proc_exit_code(struct proc_exit x) { return x.signal ? 128 + x.signal : x.status; }
