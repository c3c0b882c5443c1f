/* SPDX-License-Identifier: Apache-2.0 — trim_test.c */
#include "agent/trim.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    struct trim trim;
    struct timer end;
    uint64_t noted_ms, seen_ms;
};

static void check(struct timer *t) {
    struct fixture *f = CONTAINER_OF(t, struct fixture, end);
    if (__atomic_load_n(&f->trim.pending, __ATOMIC_ACQUIRE)) {
        timer_arm(f->loop, t, 10);
        return;
    }
    f->seen_ms = clock_ms();
    loop_stop(f->loop);
}

static void work_is_followed_by_one_trim_after_a_quiet_time(void **state) {
    (void)state;
    struct fixture f = {.loop = loop_new(1), .end = {.fire = check}};
    trim_init(&f.trim, f.loop);
    f.noted_ms = clock_ms();
    for (int i = 0; i < 100; i++) trim_note(&f.trim);
    assert_true(f.trim.pending);
    timer_arm(f.loop, &f.end, 10);
    loop_run(f.loop);
    assert_true(f.seen_ms - f.noted_ms >= TRIM_QUIET_MS);
    trim_note(&f.trim); /* and it can begin again */
    assert_true(f.trim.pending);
    trim_done(&f.trim);
    loop_free(f.loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_followed_by_one_trim_after_a_quiet_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
