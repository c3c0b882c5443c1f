/* SPDX-License-Identifier: Apache-2.0 — log_decode_test.c */
#include "agent/cli/log_decode.h"

#include "base/own.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T "2026-11-21T09:30:00.123456789Z "

static void full_lines_and_parts_give_their_payload(void **state) {
    (void)state;
    static const struct {
        struct str line, payload;
        enum log_source source;
        bool full;
    } cases[] = {{STR(T "stdout F hello world"), STR("hello world"), LOG_OF_STDOUT, true},
                 {STR(T "stderr P half"), STR("half"), LOG_OF_STDERR, false},
                 {STR(T "stdout F "), STR(""), LOG_OF_STDOUT, true},
                 {STR(T "stdout F"), STR(""), LOG_OF_STDOUT, true},
                 {STR(T "stdout F:x:y  two spaces"), STR(" two spaces"), LOG_OF_STDOUT, true},
                 {STR(T "stdout P a\0b"), STR("a\0b"), LOG_OF_STDOUT, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct log_entry e;
        assert_true(log_decode(cases[i].line, &e));
        assert_true(str_eq(e.payload, cases[i].payload));
        assert_int_equal(e.source, cases[i].source);
        assert_int_equal(e.full, cases[i].full);
    }
}

static void foreign_lines_are_given_whole(void **state) {
    (void)state;
    static const struct str lines[] = {STR(""),
                                       STR("x"),
                                       STR(T),
                                       STR(T "stdin F x"),
                                       STR(T "stdout X y"),
                                       STR(" stdout F x"),
                                       STR(T "stdout")};
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct log_entry e;
        assert_false(log_decode(lines[i], &e));
        assert_true(str_eq(e.payload, lines[i]));
        assert_true(e.full);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_lines_and_parts_give_their_payload),
        cmocka_unit_test(foreign_lines_are_given_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
