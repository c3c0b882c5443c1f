/* SPDX-License-Identifier: Apache-2.0 — clock_test.c: faking, and dates as text. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_faked_clock_moves_by_hand(void **state) {
    (void)state;
    clock_fake(5000000, -1);
    assert_true(clock_ns() == 5000000 && clock_ms() == 5 && clock_wall_ns() == -1);
    clock_fake_advance(2);
    assert_true(clock_ns() == 7000000 && clock_wall_ns() == 1999999);
    clock_real();
    uint64_t before = clock_ns();
    assert_true(before != 7000000);
    assert_true(clock_ns() >= before);
    assert_true(clock_wall_ns() > 0);
}

static void dates_have_nine_digits_and_utc(void **state) {
    (void)state;
    const struct {
        int64_t ns;
        const char *text;
    } dates[] = {
        {0, "1970-01-01T00:00:00.000000000Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {INT64_C(1795253400123456789), "2026-11-21T09:30:00.123456789Z"},
        {INT64_C(951782400000000000), "2000-02-29T00:00:00.000000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        char out[CLOCK_RFC3339_BYTES];
        assert_int_equal(clock_rfc3339(dates[i].ns, out), strlen(dates[i].text));
        assert_string_equal(out, dates[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faked_clock_moves_by_hand),
        cmocka_unit_test(dates_have_nine_digits_and_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
