/* SPDX-License-Identifier: Apache-2.0 — buf_test.c: growth, maximum, consumption. */
#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void a_buffer_grows_to_its_maximum_and_no_further(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(1000);
    for (int i = 0; i < 100; i++) assert_int_equal(buf_append(&b, "0123456789", 10), 0);
    assert_int_equal(b.n, 1000);
    assert_int_equal(buf_append(&b, "x", 1), -ENOSPC);
    assert_int_equal(buf_fmt(&b, "%d", 1), -ENOSPC);
    assert_int_equal(buf_reserve(&b, 1), -ENOSPC);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOSPC);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(b.n, 1000);
    assert_int_equal(strlen(buf_c(&b)), 1000);
    assert_true(b.capacity <= 1001);
}

static void text_is_formatted_behind_what_is_there(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(1000);
    assert_string_equal(buf_c(&b), "");
    assert_int_equal(buf_str(&b, STR("a=")), 0);
    assert_int_equal(buf_fmt(&b, "%d;%s", 7, "x"), 0);
    assert_string_equal(buf_c(&b), "a=7;x");
    assert_true(str_eq(buf_view(&b), STR("a=7;x")));
}

static void formatting_fits_exactly(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4);
    assert_int_equal(buf_fmt(&b, "%s", "12345"), -ENOSPC);
    assert_int_equal(b.n, 0);
    assert_int_equal(buf_fmt(&b, "%s", "1234"), 0);
    assert_string_equal(buf_c(&b), "1234");
}

static void bytes_are_dropped_from_the_front(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(100);
    assert_int_equal(buf_str(&b, STR("abcdef")), 0);
    buf_consume(&b, 2);
    assert_string_equal(buf_c(&b), "cdef");
    buf_consume(&b, 99);
    assert_int_equal(b.n, 0);
    assert_int_equal(buf_str(&b, STR("x")), 0);
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_true(b.capacity > 0);
    buf_done(&b);
    assert_null(b.p);
    assert_int_equal(buf_str(&b, STR("again")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(text_is_formatted_behind_what_is_there),
        cmocka_unit_test(formatting_fits_exactly),
        cmocka_unit_test(bytes_are_dropped_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
