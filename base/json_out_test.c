/* SPDX-License-Identifier: Apache-2.0 — json_out_test.c: byte-exact output. */
#include "base/json_out.h"

#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void write_sample(struct json_out *w) {
    json_out_object(w, NULL);
    json_out_c(w, "name", "n\"\\\n\x01\x7f/");
    json_out_c(w, "none", NULL);
    json_out_array(w, "list");
    json_out_u64(w, NULL, UINT64_MAX);
    json_out_i64(w, NULL, -5);
    json_out_bool(w, NULL, true);
    json_out_object(w, NULL);
    json_out_close(w);
    json_out_array(w, NULL);
    json_out_close(w);
    json_out_close(w);
    json_out_key(w, STR("a key"));
    json_out_raw(w, NULL, STR("{\"x\":[]}"));
    json_out_bool(w, "last", false);
    json_out_close(w);
}

static void one_line_is_byte_exact(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    write_sample(&w);
    assert_int_equal(json_out_end(&w), 0);
    assert_string_equal(buf_c(&b), "{\"name\":\"n\\\"\\\\\\n\\u0001\x7f/\",\"none\":null,"
                                   "\"list\":[18446744073709551615,-5,true,{},[]],"
                                   "\"a key\":{\"x\":[]},\"last\":false}");
}

static void pretty_form_is_byte_exact(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT_PRETTY(&b);
    write_sample(&w);
    assert_int_equal(json_out_end(&w), 0);
    assert_string_equal(buf_c(&b),
                        "{\n  \"name\": \"n\\\"\\\\\\n\\u0001\x7f/\",\n  \"none\": null,\n"
                        "  \"list\": [\n    18446744073709551615,\n    -5,\n    true,\n"
                        "    {},\n    []\n  ],\n  \"a key\": {\"x\":[]},\n"
                        "  \"last\": false\n}");
}

static void bytes_that_are_not_utf8_are_replaced_and_the_rest_is_kept(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    json_out_str(&w, NULL, STR("\xc3\xa9 \xff\xc3 \xe2\x82 \xed\xa0\x80 end\xc3"));
    assert_int_equal(json_out_end(&w), 0);
#define R "\xef\xbf\xbd"
    assert_string_equal(buf_c(&b), "\"\xc3\xa9 " R R " " R R " " R R R " end" R "\"");
}

static void what_is_written_can_be_read(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    AUTO(arena_done) struct arena a = ARENA(65536);
    const struct json *v = NULL;
    struct err e = {0};
    char all[255];
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)(i + 1);
    struct json_out w = JSON_OUT(&b);
    json_out_str(&w, NULL, str_make(all, sizeof all));
    assert_int_equal(json_out_end(&w), 0);
    assert_int_equal(json_parse(&a, buf_view(&b), JSON_LIMITS, &v, &e), 0);
    assert_memory_equal(v->text.p, all, 127);
}

static void a_full_buffer_is_told_at_the_end(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(20);
    struct json_out w = JSON_OUT(&b);
    write_sample(&w);
    assert_int_equal(json_out_end(&w), -ENOSPC);
    assert_true(b.n <= 20);
}

static void nesting_reaches_its_limit(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    for (int i = 0; i < JSON_OUT_DEPTH_MAX; i++) json_out_array(&w, NULL);
    for (int i = 0; i < JSON_OUT_DEPTH_MAX; i++) json_out_close(&w);
    assert_int_equal(json_out_end(&w), 0);
    assert_int_equal(b.n, 2 * JSON_OUT_DEPTH_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_is_byte_exact),
        cmocka_unit_test(pretty_form_is_byte_exact),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced_and_the_rest_is_kept),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
        cmocka_unit_test(nesting_reaches_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
