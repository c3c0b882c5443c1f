/* SPDX-License-Identifier: Apache-2.0 — trim.h: gives freed memory back to the kernel when a burst
 * of work is over.
 *
 * The allocator keeps what was freed between two live blocks: after 50 pods that is half of the
 * daemon. A quiet moment after work, malloc_trim(3) returns it; an idle daemon does nothing. */
#pragma once

#include "base/loop.h"

#define TRIM_QUIET_MS 2000

struct trim {
    struct loop *loop; /* borrowed */
    struct task begin;
    struct timer timer;
    struct job job;
    uint64_t active_ms; /* clock_ms() of the last work; any thread */
    bool pending;       /* the task, the timer or the job is under way; any thread */
};

void trim_init(struct trim *t, struct loop *l);
/* Any thread: there was work. Cheap. */
void trim_note(struct trim *t);
/* Loop thread, or after loop_run(). */
void trim_done(struct trim *t);
