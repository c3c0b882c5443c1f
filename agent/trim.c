/* SPDX-License-Identifier: Apache-2.0 — trim.c: note -> task (loop) -> timer until quiet -> job. */
#include "agent/trim.h"

#include "base/clock.h"

#include <malloc.h>

static void give_back(struct job *j) {
    struct trim *t = CONTAINER_OF(j, struct trim, job);
    (void)malloc_trim(0);
    __atomic_store_n(&t->pending, false, __ATOMIC_RELEASE);
}

static void look(struct timer *timer) {
    struct trim *t = CONTAINER_OF(timer, struct trim, timer);
    uint64_t quiet_ms = clock_ms() - __atomic_load_n(&t->active_ms, __ATOMIC_RELAXED);
    if (quiet_ms < TRIM_QUIET_MS)
        timer_arm(t->loop, &t->timer, TRIM_QUIET_MS - quiet_ms);
    else
        loop_work(t->loop, &t->job);
}

static void begin(struct task *task) {
    struct trim *t = CONTAINER_OF(task, struct trim, begin);
    timer_arm(t->loop, &t->timer, TRIM_QUIET_MS);
}

void trim_init(struct trim *t, struct loop *l) {
    *t = (struct trim){
        .loop = l, .begin = {.run = begin}, .timer = {.fire = look}, .job = {.run = give_back}};
}

void trim_note(struct trim *t) {
    __atomic_store_n(&t->active_ms, clock_ms(), __ATOMIC_RELAXED);
    if (!__atomic_exchange_n(&t->pending, true, __ATOMIC_ACQ_REL)) loop_post(t->loop, &t->begin);
}

void trim_done(struct trim *t) { timer_cancel(&t->timer); }
