/* SPDX-License-Identifier: Apache-2.0 — keeper_spawn.c: starts gridlet-init.
 *
 * clone3 with CLONE_VM and CLONE_VFORK: no page table is copied, the child runs on a small stack of
 * its own until it has executed init, and tells a failure through our memory. Descriptors are put
 * in place in the child; all of ours are close-on-exec and lie above init's (KEEPER_FD_FIRST).
 *
 * The child itself enters cgroups v1, by "0" in their "tasks": the kernel moves a thread that moves
 * itself at once, and any other waits for a grace period first, 10 ms on an idle machine. */
#include "cri/launch/kernel.h"
#include "cri/shim/keeper.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CHILD_STACK_BYTES 8192

static char child_stack[CHILD_STACK_BYTES] __attribute__((aligned(16)));

struct child_job {
    const struct keeper *k;
    const struct keeper_spawn *spawn;
    int failed; /* errno, set by the child */
};

static void child_main(struct child_job *job) __attribute__((noreturn, used));
static void child_main(struct child_job *job) {
    static char *const environment[] = {NULL};
    char *const argv[] = {(char *)(uintptr_t) "gridlet-init",
                          (char *)(uintptr_t)job->spawn->argument, NULL};
    for (uint32_t i = 0; i < job->spawn->task_count; i++)
        if (write(job->spawn->tasks[i], "0", 1) < 0) goto failed;
    for (int i = 0; i < LAUNCH_FD_END; i++) {
        int fd = job->spawn->fds[i];
        if (fd < 0 && i <= 2) fd = job->k->null;
        if (fd >= 0 && dup2(fd, i) < 0) goto failed;
    }
    (void)kernel_execveat(job->k->init, argv, environment);
failed:
    job->failed = errno;
    _exit(127);
}

/* The child starts on its own stack and never returns from child_main. */
static long clone_child(struct kernel_clone *args, struct child_job *job) {
#if defined(__x86_64__)
    long result = SYS_clone3;
    register struct kernel_clone *arg __asm__("rdi") = args;
    register size_t size __asm__("rsi") = sizeof *args;
    register struct child_job *kept __asm__("r12") = job;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r12, %%rdi\n\t"
                     "call *%[entry]\n\t"
                     "hlt\n"
                     "1:"
                     : "+a"(result)
                     : "r"(arg), "r"(size), "r"(kept), [entry] "r"(child_main)
                     : "rcx", "r11", "memory", "cc");
    return result;
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone3;
    register long result __asm__("x0") = (long)args;
    register size_t size __asm__("x1") = sizeof *args;
    register struct child_job *kept __asm__("x19") = job;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x19\n\t"
                     "blr %[entry]\n\t"
                     "brk 0\n"
                     "1:"
                     : "+r"(result)
                     : "r"(number), "r"(size), "r"(kept), [entry] "r"(child_main)
                     : "memory", "cc");
    return result;
#else
#error "clone_child: this architecture is missing"
#endif
}

void keeper_spawn_init(struct keeper_spawn *s) {
    *s = (struct keeper_spawn){.cgroup = -1, .pid_ns = -1};
    for (int i = 0; i < LAUNCH_FD_END; i++) s->fds[i] = -1;
}

void keeper_spawn_tasks(struct keeper_spawn *s, const struct shim_message *m, const int *fds) {
    for (uint32_t i = 0; i < m->fd_count; i++)
        if (m->roles[i] == SHIM_ROLE_TASKS) s->tasks[s->task_count++] = fds[i];
}

static int clone_and_exec(const struct keeper *k, const struct keeper_spawn *s, struct child *out) {
    int pidfd = -1;
    struct child_job job = {.k = k, .spawn = s};
    struct kernel_clone args = {.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
                                .pidfd = (uint64_t)(uintptr_t)&pidfd,
                                .exit_signal = SIGCHLD,
                                .stack = (uint64_t)(uintptr_t)child_stack,
                                .stack_size = sizeof child_stack};
    if (s->new_pid_ns) args.flags |= CLONE_NEWPID;
    if (s->cgroup >= 0) {
        args.flags |= KERNEL_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)s->cgroup;
    }
    long pid = clone_child(&args, &job);
    if (pid < 0) return (int)pid;
    int failed = ((volatile struct child_job *)&job)->failed;
    if (failed) {
        (void)waitpid((pid_t)pid, NULL, 0);
        (void)close(pidfd);
        return -failed;
    }
    *out = (struct child){(pid_t)pid, pidfd};
    return 0;
}

int keeper_spawn(struct keeper *k, struct keeper_spawn *s, struct child *out) {
    keeper_raise();
    int r = 0;
    if (s->pid_ns >= 0 && setns(s->pid_ns, CLONE_NEWPID) < 0) r = -errno;
    if (r == 0) r = clone_and_exec(k, s, out);
    if (s->pid_ns >= 0 && setns(k->own_pid_ns, CLONE_NEWPID) < 0) _exit(1); /* cannot happen */
    keeper_lower();
    return r;
}

/* ---- the report socket ---- */

int keeper_report_pair(int *out_ours, int *out_theirs) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *out_ours = pair[0];
    *out_theirs = pair[1];
    return 0;
}

int keeper_report_next(int report, struct launch_report *out, int *fds, uint32_t most) {
    struct iovec part = {.iov_base = out, .iov_len = sizeof *out};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 8)];
    } control = {0};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    for (uint32_t i = 0; i < most; i++) fds[i] = -1;
    ssize_t n = 0;
    do n = recvmsg(report, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno == ECONNRESET ? 0 : -errno;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        uint32_t count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (uint32_t i = 0; i < count; i++) {
            int fd = -1;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (i < most)
                fds[i] = fd;
            else
                (void)close(fd);
        }
    }
    out->text[sizeof out->text - 1] = '\0';
    return n == (ssize_t)sizeof *out;
}

/* ---- rights ---- */

void keeper_raise(void) {
    uint64_t effective = 0;
    uint64_t permitted = 0;
    if (kernel_capget(&effective, &permitted) == 0) (void)kernel_capset(permitted, permitted, 0);
}

void keeper_lower(void) {
    uint64_t effective = 0;
    uint64_t permitted = 0;
    if (kernel_capget(&effective, &permitted) == 0) (void)kernel_capset(0, permitted, 0);
}

void keeper_kill_cgroup(int cgroup) {
    if (cgroup < 0) return;
    int fd = openat(cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, "1", 1);
    (void)close(fd);
}

void keeper_kill(const struct child *c, int number) {
    keeper_raise(); /* the process may be another user's */
    (void)kernel_pidfd_signal(c->pidfd, number);
    keeper_lower();
}
