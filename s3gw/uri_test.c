/* SPDX-License-Identifier: Apache-2.0 — uri_test.c */
#include "s3gw/uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void decoding_and_encoding_are_those_of_s3(void **state) {
    (void)state;
    static const struct {
        const char *raw, *canonical;
    } rows[] = {
        {"/", "/"},
        {"/b/a%20b", "/b/a%20b"},
        {"/b/a+b", "/b/a%2Bb"},
        {"/b/a%2fb%7e~", "/b/a/b~~"},
        {"/b//./../x", "/b//./../x"},
        {"/b/\xC3\xA9", "/b/%C3%A9"},
        {"/b/(x)'*!", "/b/%28x%29%27%2A%21"},
        {"/b/%00%0a", "/b/%00%0A"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(4096);
        AUTO(buf_done) struct buf b = BUF(4096);
        struct str plain;
        assert_int_equal(uri_decode_path(&a, str_of(rows[i].raw), &plain), 0);
        assert_int_equal(uri_encode_path(&b, plain), 0);
        assert_string_equal(buf_c(&b), rows[i].canonical);
    }
    AUTO(buf_done) struct buf b = BUF(9);
    assert_int_equal(uri_encode(&b, STR("a/b c")), 0);
    assert_string_equal(buf_c(&b), "a%2Fb%20c");
    assert_int_equal(uri_encode(&b, STR("x")), -ENOSPC);
}

static void broken_escapes_and_control_characters_are_refused(void **state) {
    (void)state;
    static const char *const rows[] = {"%", "%1", "%zz", "%1g", "a%", "a b", "a\rb", "a\n", "\x7f"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(4096);
        struct str out;
        struct uri_query q;
        assert_int_equal(uri_decode_path(&a, str_of(rows[i]), &out), -EINVAL);
        assert_int_equal(uri_query_parse(&a, str_of(rows[i]), &q), -EINVAL);
    }
}

static void parameters_come_in_order_and_decoded(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(16 << 10);
    struct uri_query q;
    assert_int_equal(uri_query_parse(&a, STR("&uploads&p=a+b%2B=c&&e=&p=2&%70x=1"), &q), 0);
    assert_int_equal(q.count, 5);
    assert_true(str_eq(q.at[0].name, STR("uploads")) && !q.at[0].has_equals);
    assert_true(str_eq(q.at[1].value, STR("a b+=c")));
    assert_true(q.at[2].has_equals && q.at[2].value.n == 0);
    assert_true(str_eq(q.at[4].name, STR("px")));
    assert_int_equal(uri_query_count(&q, "p"), 2);
    assert_ptr_equal(uri_query_get(&q, "p"), &q.at[1]);
    assert_null(uri_query_get(&q, "P"));
    assert_int_equal(uri_query_parse(&a, STR(""), &q), 0);
    assert_int_equal(q.count, 0);
}

static void the_number_of_parameters_is_limited(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(64 << 10);
    AUTO(buf_done) struct buf b = BUF(4096);
    struct uri_query q;
    for (int i = 0; i < URI_PARAMETERS_MAX; i++) assert_int_equal(buf_str(&b, STR("a&")), 0);
    assert_int_equal(uri_query_parse(&a, buf_view(&b), &q), 0);
    assert_int_equal(q.count, URI_PARAMETERS_MAX);
    assert_int_equal(buf_str(&b, STR("a")), 0);
    assert_int_equal(uri_query_parse(&a, buf_view(&b), &q), -E2BIG);
    AUTO(arena_done) struct arena small = ARENA(8);
    assert_int_equal(uri_query_parse(&small, STR("a=1"), &q), -ENOSPC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_and_encoding_are_those_of_s3),
        cmocka_unit_test(broken_escapes_and_control_characters_are_refused),
        cmocka_unit_test(parameters_come_in_order_and_decoded),
        cmocka_unit_test(the_number_of_parameters_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
