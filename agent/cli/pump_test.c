/* SPDX-License-Identifier: Apache-2.0 — pump_test.c */
#include "agent/cli/pump.h"

#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static void step(struct pump *p) {
    struct pollfd fd;
    pump_poll(p, &fd);
    if (fd.fd >= 0) (void)poll(&fd, 1, 0);
    pump_run(p, &fd);
}

static void bytes_and_the_end_are_passed_on(void **state) {
    (void)state;
    int a[2];
    int b[2];
    char got[16] = {0};
    struct pump p;
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    pump_begin(&p, a[0], b[1]);
    p.own_to = true;
    step(&p); /* nothing there */
    assert_false(pump_ended(&p));
    assert_int_equal(file_write_all(a[1], "hello", 5), 0);
    (void)close(a[1]);
    while (!pump_ended(&p)) step(&p);
    assert_int_equal(file_read_full(b[0], got, sizeof got), 5); /* and its end */
    assert_string_equal(got, "hello");
    (void)close(a[0]);
    (void)close(b[0]);
}

static void a_target_that_has_gone_ends_the_pump(void **state) {
    (void)state;
    int a[2];
    int b[2];
    struct pump p;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    pump_begin(&p, a[0], b[1]);
    (void)close(b[0]);
    assert_int_equal(file_write_all(a[1], "x", 1), 0);
    step(&p);
    step(&p);
    assert_true(pump_ended(&p));
    for (int i = 0; i < 2; i++) (void)close(a[i]);
    (void)close(b[1]);
}

static void the_rest_is_taken_without_waiting_for_the_end(void **state) {
    (void)state;
    int a[2];
    int b[2];
    char got[3 * PUMP_BYTES];
    AUTO_FREE char *text = xmalloc(2 * PUMP_BYTES + 10);
    struct pump p;
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    pump_begin(&p, a[0], b[1]);
    assert_int_equal(file_write_all(a[1], text, 2 * PUMP_BYTES + 10), 0);
    pump_rest(&p); /* the writer is still there */
    (void)close(b[1]);
    assert_int_equal(file_read_full(b[0], got, sizeof got), 2 * PUMP_BYTES + 10);
    assert_false(pump_ended(&p));
    for (int i = 0; i < 2; i++) (void)close(a[i]);
    (void)close(b[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_the_end_are_passed_on),
        cmocka_unit_test(a_target_that_has_gone_ends_the_pump),
        cmocka_unit_test(the_rest_is_taken_without_waiting_for_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
