/* SPDX-License-Identifier: Apache-2.0 — op_test.c: work on a strand, its end on the loop. */
#include "cri/op.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define OPS 100

static struct loop *loop;
static struct strand strand;
static unsigned worked, ended;

struct step {
    struct op op;
    unsigned number, rounds;
    pthread_t worker;
    bool fails;
};
static struct step steps[OPS];

static int set_up(void **state) {
    (void)state;
    loop = loop_new(4);
    strand_init(&strand, loop);
    worked = ended = 0;
    for (unsigned i = 0; i < OPS; i++) steps[i] = (struct step){.number = i};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    loop_free(loop);
    return 0;
}

/* No lock: the strand runs one at a time. */
static int work(struct op *o, struct err *e) {
    struct step *s = CONTAINER_OF(o, struct step, op);
    s->worker = pthread_self();
    worked++;
    return s->fails ? err_set(e, ERR_LIMIT, "step %u", s->number) : 0;
}

static void done(struct op *o) {
    const struct step *s = CONTAINER_OF(o, struct step, op);
    assert_int_equal(s->number, ended);
    assert_false(pthread_equal(s->worker, pthread_self()));
    assert_int_equal(o->failed, s->fails);
    ended++;
}

static void ops_of_a_strand_work_and_end_in_order(void **state) {
    (void)state;
    for (unsigned i = 0; i < OPS; i++) {
        steps[i].fails = i % 3 == 0;
        op_start(&steps[i].op, loop, &strand, work, done);
    }
    loop_settle(loop);
    assert_int_equal(worked, OPS);
    assert_int_equal(ended, OPS);
    assert_int_equal(steps[3].op.e.kind, ERR_LIMIT);
    assert_string_equal(steps[3].op.e.msg, "step 3");
}

static void again(struct op *o) {
    struct step *s = CONTAINER_OF(o, struct step, op);
    ended++;
    if (s->rounds++ > 0) {
        assert_false(o->failed); /* an error is that of this round */
        assert_int_equal(o->e.kind, ERR_NONE);
        return;
    }
    assert_true(o->failed);
    s->fails = false;
    op_start(o, loop, NULL, work, again);
}

static void an_op_may_be_started_again_by_its_own_end(void **state) {
    (void)state;
    steps[0].fails = true;
    op_start(&steps[0].op, loop, NULL, work, again);
    loop_settle(loop);
    assert_int_equal(ended, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ops_of_a_strand_work_and_end_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_op_may_be_started_again_by_its_own_end, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
