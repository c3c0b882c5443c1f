/* SPDX-License-Identifier: Apache-2.0 — confine.h: what a program of ours gives up for good: new
 * privileges, capabilities, paths, system calls. libcap and libseccomp are wrapped here alone.
 *
 * The first four are of the calling thread and of those that it makes afterwards: call them before
 * there are others. The filter of system calls is laid on all threads at once and comes last.
 * Source: capabilities(7), landlock(7), seccomp(2). */
#pragma once

#include "base/err.h"

#include <sys/resource.h>

/* Lowers the limit to `most`, where it is not lower already. */
int confine_limit(int resource, rlim_t most, struct err *e) MUST_CHECK;
/* no_new_privs: programs that are executed gain nothing; without CAP_SYS_ADMIN the fence and the
 * filter need it. */
int confine_no_new_privileges(struct err *e) MUST_CHECK;
/* From now on nothing outside of these folders and files (open descriptors, O_PATH is enough) can
 * be opened, made, changed or removed; within them everything but execution. What is open stays
 * open. A kernel without Landlock is no error: it is the second wall, not the first. */
int confine_fence(const int *fds, size_t count, struct err *e) MUST_CHECK;
/* Keeps these of CAP_* and drops all others. */
int confine_capabilities(const int *kept, size_t count, struct err *e) MUST_CHECK;

struct confine_call {
    long number; /* SYS_* */
    /* When mask is not 0: only while the argument `arg` (0 to 5), masked, is `value`. */
    unsigned arg;
    uint64_t mask, value;
    int error; /* not 0: it is not made, and answers with this errno */
};
/* A call that is not listed ends the process. What any program needs once it runs is allowed
 * besides: memory (none of it executable), locks, clocks, signals, ends; with a sanitizer in the
 * program what its reports need. */
int confine_syscalls(const struct confine_call *calls, size_t count, struct err *e) MUST_CHECK;
