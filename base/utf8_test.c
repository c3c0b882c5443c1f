/* SPDX-License-Identifier: Apache-2.0 — utf8_test.c */
#include "base/utf8.h"

#include "base/own.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Encodes any 21-bit value, valid or not. */
static struct str encode(unsigned c, char *out) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return str_make(out, n);
}

static void every_scalar_value_and_nothing_else_is_valid(void **state) {
    (void)state;
    char text[4];
    for (unsigned c = 0; c < 0x110010; c++) {
        struct str s = encode(c, text);
        bool scalar = (c < 0xd800 || c > 0xdfff) && c < 0x110000;
        assert_int_equal(utf8_next(s), scalar ? s.n : 0);
        if (s.n > 1) assert_int_equal(utf8_next(str_sub(s, 0, s.n - 1)), 0);
    }
}

static void overlong_and_stray_bytes_are_invalid(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\xc0\xaf",         "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\x80", "\xbf",
        "\xf5\x80\x80\x80", "\xff",     "\xc3(",        "\xe2\x82("};
    for (size_t i = 0; i < COUNT(bad); i++) assert_int_equal(utf8_next(str_of(bad[i])), 0);
    assert_int_equal(utf8_next(STR("")), 0);
    assert_int_equal(utf8_valid_prefix(STR("ab\xc3\xa9\xff z")), 4);
    assert_int_equal(utf8_valid_prefix(STR("ab\xc3\xa9")), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_and_nothing_else_is_valid),
        cmocka_unit_test(overlong_and_stray_bytes_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
