/* SPDX-License-Identifier: Apache-2.0 — arena_test.c: limits, alignment, copies. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define LIMIT 100000

static void memory_is_zeroed_and_aligned(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIMIT);
    for (size_t n = 1; n < 400; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        memset(p, 0xff, n); /* shows in the next one if they overlap */
    }
}

static void the_limit_holds_for_one_and_for_all(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIMIT);
    assert_null(arena_alloc(&a, LIMIT + 1));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    size_t given = 0;
    while (arena_alloc(&a, 1000)) given += 1000;
    assert_true(given <= LIMIT && given > LIMIT - 2000);
    assert_non_null(arena_alloc(&a, 16)); /* what fits still fits */
    arena_done(&a);
    assert_non_null(arena_alloc(&a, LIMIT / 2)); /* usable again */
}

static void strings_are_copied_with_an_end(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIMIT);
    struct str copy = arena_str(&a, STR("a\0b"));
    assert_int_equal(copy.n, 3);
    assert_memory_equal(copy.p, "a\0b", 4);
    assert_string_equal(arena_strdup(&a, "x"), "x");
    assert_string_equal(arena_fmt(&a, "%d-%s", 1, "two"), "1-two");
    assert_string_equal(str_to_c(&a, STR("path")), "path");
    assert_string_equal(str_to_c(&a, STR_NONE), "");
    assert_null(str_to_c(&a, STR("a\0b")));
}

static void copies_over_the_limit_are_refused(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(16);
    const char *text = "0123456789abcdef"; /* no room for the NUL */
    assert_null(arena_strdup(&a, text));
    assert_null(arena_str(&a, str_of(text)).p);
    assert_null(arena_fmt(&a, "%s", text));
    assert_null(str_to_c(&a, str_of(text)));
    assert_null(arena_str(&a, str_make(text, SIZE_MAX)).p);
    assert_non_null(arena_strdup(&a, text + 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(the_limit_holds_for_one_and_for_all),
        cmocka_unit_test(strings_are_copied_with_an_end),
        cmocka_unit_test(copies_over_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
