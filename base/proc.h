/* SPDX-License-Identifier: Apache-2.0 — proc.h: starting other programs; the only place that does.
 *
 * A child gets exactly the descriptors, environment and cgroup that its spec names: no descriptor
 * leaks, all signals are at their defaults and unblocked, and a failure to execute is returned by
 * proc_spawn itself. A pidfd stands for the process, so nothing here can hit a reused pid. Any
 * thread, any number of threads at once. */
#pragma once

#include "base/err.h"

#include <sys/types.h>

#define PROC_FDS_MAX      32 /* entries of proc_spec.fds */
#define PROC_CHILD_FD_MAX 64 /* child descriptors are below this */

struct proc_fd {
    int ours;  /* borrowed; stays open here */
    int child; /* number in the child, 0 to PROC_CHILD_FD_MAX - 1, each at most once */
};

enum {
    PROC_NEW_SESSION = 1,     /* setsid: away from our terminal and process group */
    PROC_DIE_WITH_PARENT = 2, /* SIGKILL when the thread that spawned it ends */
};

struct proc_spec {
    const char *path;          /* executed as it is: no search in PATH */
    const char *const *argv;   /* NULL-terminated */
    const char *const *envp;   /* NULL-terminated, or NULL for an empty environment */
    const struct proc_fd *fds; /* in any order and overlap; 0, 1, 2 not named are /dev/null */
    size_t fd_count;
    int cwd_fd;           /* folder to start in, or -1: ours */
    int cgroup_fd;        /* cgroup v2 folder to be born in, or -1: ours */
    const int *tasks_fds; /* "tasks" of cgroup v1 folders that the child enters, open for writing */
    size_t tasks_count;
    int flags; /* PROC_* */
};
#define PROC_SPEC ((struct proc_spec){.cwd_fd = -1, .cgroup_fd = -1})

struct proc {
    pid_t pid;
    int pidfd; /* owned; becomes readable when the process has ended: watch_start() takes it */
};
#define PROC_NONE ((struct proc){.pid = -1, .pidfd = -1})

struct proc_exit {
    int status; /* of exit(), when signal is 0 */
    int signal; /* that killed it, or 0 */
};

/* Starts the program; returns when it was executed (or could not be). Errors: NOT_FOUND, DENIED,
 * INVALID, LIMIT, IO, UNSUPPORTED (no CLONE_INTO_CGROUP there). Source: clone(2) "clone3". */
int proc_spawn(const struct proc_spec *spec, struct proc *out, struct err *e) MUST_CHECK;
/* Waits for the end and collects it. Tier (a); -ECHILD when it was collected before. */
int proc_wait(const struct proc *p, struct proc_exit *out) MUST_CHECK;
/* The same without waiting: -EAGAIN while it runs. */
int proc_try_wait(const struct proc *p, struct proc_exit *out) MUST_CHECK;
/* Tier (a); -ESRCH when it has ended. */
int proc_kill(const struct proc *p, int signum) MUST_CHECK;
/* Closes the pidfd; neither kills nor waits. NULL-safe fields, idempotent. */
void proc_done(struct proc *p);
/* What a shell would call it: the status, or 128 + signal. */
int proc_exit_code(struct proc_exit x);
