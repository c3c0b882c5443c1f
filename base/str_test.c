/* SPDX-License-Identifier: Apache-2.0 — str_test.c: comparing, cutting and reading. */
#include "base/str.h"

#include "base/own.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void comparing_is_by_bytes_and_length(void **state) {
    (void)state;
    assert_true(str_eq(STR("a\0b"), str_make("a\0b", 3)));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq(STR(""), STR_NONE));
    assert_true(str_eq(str_of(NULL), STR_NONE));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    assert_false(str_eq_nocase(STR("["), STR("{"))); /* not letters, though 0x20 apart */
    assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_cmp(STR("b"), STR_NONE) > 0);
}

static void parts_are_found(void **state) {
    (void)state;
    struct str s = STR("a/b/c");
    assert_true(str_starts(s, STR("a/")) && str_starts(s, STR_NONE) && str_starts(s, s));
    assert_false(str_starts(STR("a"), s));
    assert_true(str_ends(s, STR("/c")) && str_ends(s, STR("")) && str_ends(s, s));
    assert_false(str_ends(s, STR("b")));
    assert_false(str_ends(STR("c"), s));
    assert_int_equal(str_find(s, '/'), 1);
    assert_int_equal(str_rfind(s, '/'), 3);
    assert_int_equal(str_find(s, 'x'), -1);
    assert_int_equal(str_rfind(STR_NONE, 'x'), -1);
    assert_true(str_contains(s, STR("b/c")) && str_contains(STR_NONE, STR_NONE));
    assert_false(str_contains(STR("b"), s));
}

static void cutting_is_clamped(void **state) {
    (void)state;
    assert_true(str_eq(str_sub(STR("hello"), 1, 3), STR("el")));
    assert_true(str_eq(str_sub(STR("hello"), 3, 99), STR("lo")));
    assert_int_equal(str_sub(STR("hello"), 4, 2).n, 0);
    assert_int_equal(str_sub(STR("hello"), 99, 100).n, 0);
    assert_int_equal(str_sub(STR_NONE, 0, 1).n, 0);
    assert_true(str_eq(str_trim(STR(" \t\r\n a b \v\f")), STR("a b")));
    assert_int_equal(str_trim(STR("  ")).n, 0);
    assert_int_equal(str_trim(STR_NONE).n, 0);
}

static void a_list_is_walked_to_its_end(void **state) {
    (void)state;
    struct str rest = STR("a,,b,");
    const char *parts[] = {"a", "", "b", ""};
    struct str part;
    for (size_t i = 0; i < COUNT(parts); i++) {
        assert_true(str_next(&rest, ',', &part));
        assert_true(str_eq(part, str_of(parts[i])));
    }
    assert_false(str_next(&rest, ',', &part));
    assert_int_equal(part.n, 0);
}

static void numbers_are_whole_and_in_range(void **state) {
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    assert_int_equal(str_u64(STR("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_u64(STR("18446744073709551616"), &u), -ERANGE);
    assert_int_equal(str_u64(STR("99999999999999999999"), &u), -ERANGE);
    const char *bad[] = {"", "-1", "+1", " 1", "1 ", "1a", "0x1"};
    for (size_t n = 0; n < COUNT(bad); n++) assert_int_equal(str_u64(str_of(bad[n]), &u), -EINVAL);
    assert_true(u == UINT64_MAX); /* untouched */
    assert_int_equal(str_i64(STR("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(str_i64(STR("9223372036854775807"), &i), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(str_i64(STR("9223372036854775808"), &i), -ERANGE);
    assert_int_equal(str_i64(STR("-9223372036854775809"), &i), -ERANGE);
    assert_int_equal(str_i64(STR("-"), &i), -EINVAL);
    assert_int_equal(str_i64(STR("--1"), &i), -EINVAL);
    assert_int_equal(str_i64(STR_NONE, &i), -EINVAL);
}

static void hex_is_lower_case_and_not_empty(void **state) {
    (void)state;
    assert_true(str_is_hex(STR("09af")));
    assert_false(str_is_hex(STR("AF")) || str_is_hex(STR("g")) || str_is_hex(STR_NONE));
}

static void the_hash_is_fnv_1a(void **state) {
    (void)state;
    assert_true(str_hash(STR_NONE) == 0xcbf29ce484222325U);
    assert_true(str_hash(STR("a")) == 0xaf63dc4c8601ec8cU);
    assert_true(str_hash(STR("foobar")) == 0x85944171f73967e8U);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_is_by_bytes_and_length),
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(cutting_is_clamped),
        cmocka_unit_test(a_list_is_walked_to_its_end),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(hex_is_lower_case_and_not_empty),
        cmocka_unit_test(the_hash_is_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
