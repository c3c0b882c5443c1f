/* SPDX-License-Identifier: Apache-2.0 — random_test.c */
#include "base/random.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void ids_are_64_hex_digits_and_differ(void **state) {
    (void)state;
    char a[RANDOM_ID_CHARS + 1];
    char b[RANDOM_ID_CHARS + 1];
    assert_true(str_is_hex(str_of(random_id(a))));
    assert_int_equal(strlen(a), RANDOM_ID_CHARS);
    assert_string_not_equal(a, random_id(b));
    assert_string_equal(random_hex(a, 0), "");
}

static void numbers_stay_below_the_limit_and_reach_all_values(void **state) {
    (void)state;
    unsigned seen = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t v = random_below(7);
        assert_true(v < 7);
        seen |= 1U << v;
    }
    assert_int_equal(seen, 0x7f);
    assert_int_equal(random_below(1), 0);
    (void)random_below(UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_64_hex_digits_and_differ),
        cmocka_unit_test(numbers_stay_below_the_limit_and_reach_all_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
