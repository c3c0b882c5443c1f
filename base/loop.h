/* SPDX-License-Identifier: Apache-2.0 — loop.h: the event loop, its timers and watches, the worker
 * pool, strands.
 *
 * A process is one loop thread plus one worker pool. Sockets belong to the loop. A domain object
 * belongs to a strand: an ordered queue whose jobs run one at a time on any worker, so a job owns
 * its object and takes no lock. A job may block on the kernel or a local helper for about a second;
 * what waits for a workload, a peer or a person arms a watch or a timer and goes on as a second
 * job. A strand never waits for another strand. Callbacks are called from the loop thread, never
 * from inside the call that armed them. libuv is wrapped here alone. */
#pragma once

#include "base/err.h"

struct loop;
struct strand;

/* One per process. workers: threads of the pool, 1 to 64. Aborts when the kernel refuses the
 * basics. */
struct loop *loop_new(unsigned workers);
/* Runs until loop_stop(); pending posted tasks are run before it returns. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
/* Finishes queued jobs and the tasks they post, in the calling thread's turn; only after loop_run()
 * returned, before what they work on is freed. */
void loop_settle(struct loop *l);
/* Settles, joins the workers and frees everything; only after
 * loop_run() returned. Timers and watches that are still armed end without a call. */
void loop_free(struct loop *l);

/* ---- tasks: from any thread to the loop ---- */

/* Embedded in the caller's object, which must live until run() was called; may be posted again from
 * run(). */
struct task {
    void (*run)(struct task *t);
    struct task *next; /* owned by the loop while queued */
};
void loop_post(struct loop *l, struct task *t); /* any thread; order is kept */
/* Runs the task once, when every watch that is ready in this turn has been called: for work that is
 * cheaper done for all of them together. Only from a watch's ready() or a task, on the loop's
 * thread. */
void loop_defer(struct loop *l, struct task *t);
/* It does not run any more; nothing when it was not deferred. */
void loop_undefer(struct loop *l, struct task *t);

/* ---- timers: loop thread only ---- */

struct timer {
    void (*fire)(struct timer *t);
    void *impl; /* owned; NULL when not armed */
};
/* Fires once after delay_ms, never earlier; arming again replaces. The timer may be freed in fire()
 * or after timer_cancel(). */
void timer_arm(struct loop *l, struct timer *t, uint64_t delay_ms);
void timer_cancel(struct timer *t); /* no fire() after it; idempotent */

/* ---- watches: readiness of descriptors, loop thread only ---- */

enum { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_HUP = 4 };
struct watch {
    void (*ready)(struct watch *w, int events);
    int fd;     /* borrowed: the caller closes it after watch_stop() */
    void *impl; /* owned; NULL when stopped */
};
/* events: WATCH_* to wait for (level-triggered); called again changes them. An error condition of
 * fd is reported as all of them: read or write tells the cause. Makes fd non-blocking. 0 or -errno
 * (EPERM: not pollable, EEXIST: fd is watched already). */
int watch_start(struct loop *l, struct watch *w, int fd, int events) MUST_CHECK;
void watch_stop(struct watch *w); /* no ready() after it; idempotent */

/* ---- signals: loop thread only ---- */

/* Calls on_signal on the loop for each arrival; lives as long as the loop. */
void loop_on_signal(struct loop *l, int signum, void (*on_signal)(int signum, void *user),
                    void *user);

/* ---- strands and jobs ---- */

struct job {
    void (*run)(struct job *j);
    struct job *next; /* owned by the strand while queued */
};
struct worker;
struct strand {
    struct loop *loop; /* borrowed */
    /* The rest is the pool's, under its lock. */
    struct job *head; /* queued jobs, oldest first */
    struct job *tail;
    struct strand *next_ready;
    struct worker *holder; /* the last worker that took a job; holds it still while turn is its */
    uint64_t turn;
    bool queued; /* waits for a worker */
};
void strand_init(struct strand *s, struct loop *l);
/* Any thread. The job must live until its run() was called; run() may free it (and post further
 * jobs). The strand must outlive its queued jobs; the last job may free it, or post a task to the
 * loop that does. */
void strand_post(struct strand *s, struct job *j);
/* Runs j on any worker, in no order. */
void loop_work(struct loop *l, struct job *j); /* any thread */
