/* SPDX-License-Identifier: Apache-2.0 — log_line_test.c: lines, parts and rests, however the input
 * is cut. */
#include "cri/shim/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OUT_BYTES (256u * 1024)

static char hold[LOG_LINE_BYTES_MAX];
static char out[OUT_BYTES];
static size_t out_n;

static void put(struct log_piece piece) {
    out[out_n++] = piece.full ? 'F' : 'P';
    memcpy(out + out_n, piece.head.p, piece.head.n);
    out_n += piece.head.n;
    if (piece.tail.n) memcpy(out + out_n, piece.tail.p, piece.tail.n);
    out_n += piece.tail.n;
    out[out_n++] = '\n';
}

/* Feeds `in` in steps of `step` bytes; the result is in `out`. */
static void split(struct str in, size_t step) {
    struct log_line line = {.hold = hold};
    struct log_piece piece;
    out_n = 0;
    for (size_t at = 0; at < in.n; at += step) {
        struct str part = str_sub(in, at, at + step);
        while (log_line_next(&line, &part, &piece)) put(piece);
        log_line_hold(&line, part);
    }
    if (log_line_end(&line, &piece)) put(piece);
    assert_false(log_line_end(&line, &piece));
}

static void assert_out(struct str expected) {
    assert_int_equal(out_n, expected.n);
    assert_memory_equal(out, expected.p, expected.n);
}

static void lines_are_full_and_the_rest_is_partial(void **state) {
    (void)state;
    for (size_t step = 1; step < 12; step++) {
        split(STR("one\n\ntwo\nrest"), step);
        assert_out(STR("Fone\nF\nFtwo\nPrest\n"));
    }
}

static void an_ended_line_leaves_nothing_and_nul_bytes_pass(void **state) {
    (void)state;
    split(STR("a\0b\n"), 2);
    assert_out(STR("Fa\0b\n"));
    split(STR_NONE, 1);
    assert_int_equal(out_n, 0);
}

/* n times 'x', then "\n" or not: which pieces come out? */
static void long_line(size_t n, bool newline, size_t step, const char *tags) {
    static char in[4 * LOG_LINE_BYTES_MAX];
    memset(in, 'x', n);
    in[n] = '\n';
    split(str_make(in, n + newline), step);
    size_t at = 0;
    size_t payload = 0;
    for (; *tags; tags++) {
        const char *end = memchr(out + at, '\n', out_n - at);
        assert_non_null(end);
        assert_int_equal(out[at], *tags);
        payload += (size_t)(end - (out + at)) - 1;
        at = (size_t)(end - out) + 1;
    }
    assert_int_equal(at, out_n);
    assert_int_equal(payload, n);
}

static void a_line_over_the_limit_goes_out_in_parts(void **state) {
    (void)state;
    static const size_t steps[] = {1, 7, 4096, LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MAX + 1, 70000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        long_line(LOG_LINE_BYTES_MAX - 1, true, steps[i], "F");
        long_line(LOG_LINE_BYTES_MAX, true, steps[i], "F");
        long_line(LOG_LINE_BYTES_MAX, false, steps[i], "P");
        long_line(LOG_LINE_BYTES_MAX + 1, true, steps[i], "PF");
        long_line(2 * LOG_LINE_BYTES_MAX, true, steps[i], "PF");
        long_line(2 * LOG_LINE_BYTES_MAX + 1, false, steps[i], "PPP");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_full_and_the_rest_is_partial),
        cmocka_unit_test(an_ended_line_leaves_nothing_and_nul_bytes_pass),
        cmocka_unit_test(a_line_over_the_limit_goes_out_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
