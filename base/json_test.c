/* SPDX-License-Identifier: Apache-2.0 — json_test.c */
#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEST_ARENA_BYTES (16 << 20)

static int parse(struct arena *a, struct str text, const struct json **out, struct err *e) {
    return json_parse(a, text, JSON_LIMITS, out, e);
}

static void expect_refused(struct str text, enum err_kind kind, const char *msg) {
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    assert_int_equal(parse(&a, text, &v, &e), -1);
    assert_null(v);
    assert_int_equal(e.kind, kind);
    if (!strstr(e.msg, msg)) fail_msg("'%s' does not say '%s'", e.msg, msg);
}

static void a_document_becomes_a_tree_in_order(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    struct str s;
    uint64_t size = 0;
    bool yes = false;
    assert_int_equal(parse(&a,
                           STR(" {\"a\":[1,\"two\",null,true,{}],\"size\":12,\"b\":\"\\u00e9"
                               "\\ud83d\\ude00\\n\"} "),
                           &v, &e),
                     0);
    const struct json *item = json_first(json_get(v, "a"));
    assert_int_equal(json_get(v, "a")->count, 5);
    assert_int_equal(json_u64(item, &size), 0);
    assert_int_equal(size, 1);
    item = item->next;
    assert_int_equal(json_str(item, &s), 0);
    assert_string_equal(s.p, "two");
    item = item->next;
    assert_int_equal(item->type, JSON_NULL);
    item = item->next;
    assert_int_equal(json_bool(item, &yes), 0);
    assert_true(yes);
    assert_int_equal(item->next->type, JSON_OBJECT);
    assert_null(item->next->next);
    assert_int_equal(json_need_u64(v, "size", &size, &e), 0);
    assert_int_equal(size, 12);
    assert_int_equal(json_need_str(v, "b", &s, &e), 0);
    assert_string_equal(s.p, "\xc3\xa9\xf0\x9f\x98\x80\n");
}

static void scalars_stand_alone(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    int64_t n = 0;
    assert_int_equal(parse(&a, STR("-9223372036854775808"), &v, &e), 0);
    assert_int_equal(json_i64(v, &n), 0);
    assert_true(n == INT64_MIN);
    assert_int_equal(parse(&a, STR("\"\""), &v, &e), 0);
    assert_int_equal(v->text.n, 0);
}

static void numbers_keep_their_text_and_only_whole_ones_that_fit_convert(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    uint64_t u = 7;
    int64_t i = 7;
    assert_int_equal(
        parse(&a, STR("[18446744073709551615,18446744073709551616,1.5,1e3,-1]"), &v, &e), 0);
    const struct json *n = v->first;
    assert_int_equal(json_u64(n, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(json_i64(n, &i), -ERANGE);
    n = n->next;
    assert_int_equal(json_u64(n, &u), -ERANGE);
    n = n->next;
    assert_int_equal(json_u64(n, &u), -EINVAL);
    assert_string_equal(n->text.p, "1.5");
    n = n->next;
    assert_int_equal(json_i64(n, &i), -EINVAL);
    n = n->next;
    assert_int_equal(json_u64(n, &u), -EINVAL);
    assert_int_equal(json_i64(n, &i), 0);
    assert_int_equal(i, -1);
}

static void what_is_not_json_is_refused_with_its_place(void **state) {
    (void)state;
    expect_refused(STR(""), ERR_INVALID, "JSON line 1 byte 1");
    expect_refused(STR("  "), ERR_INVALID, "JSON line 1");
    expect_refused(STR("{"), ERR_INVALID, "JSON line 1 byte 2");
    expect_refused(STR("{} {}"), ERR_INVALID, "trailing garbage");
    expect_refused(STR("{\"a\":1,}"), ERR_INVALID, "JSON line 1");
    expect_refused(STR("{\n\n \"a\" 1}"), ERR_INVALID, "JSON line 3");
    expect_refused(STR("[01]"), ERR_INVALID, "JSON");
    expect_refused(STR("nul"), ERR_INVALID, "JSON");
    expect_refused(STR("/* c */ 1"), ERR_INVALID, "JSON");
    expect_refused(STR("\"\t\""), ERR_INVALID, "JSON");
    expect_refused(STR("\"\\x\""), ERR_INVALID, "JSON");
    expect_refused(STR("\xef\xbb\xbf{}"), ERR_INVALID, "JSON");
    expect_refused(STR("{}\0"), ERR_INVALID, "JSON");
}

static void strings_that_no_other_part_could_hold_are_refused(void **state) {
    (void)state;
    expect_refused(STR("[\n\"a\\u0000b\"]"), ERR_INVALID, "JSON line 2");
    expect_refused(STR("{\"\\u0000\":1}"), ERR_INVALID, "NUL");
    expect_refused(STR("\"\xff\""), ERR_INVALID, "byte 2: not UTF-8");
    expect_refused(STR("\"\xc0\x80\""), ERR_INVALID, "not UTF-8");
    expect_refused(STR("\"\xed\xa0\x80\""), ERR_INVALID, "not UTF-8");
    expect_refused(STR("\"\xf4\x90\x80\x80\""), ERR_INVALID, "not UTF-8");
    expect_refused(STR("\"\xe2\x82\""), ERR_INVALID, "not UTF-8");
    expect_refused(STR("\"\\ud800\""), ERR_INVALID, "surrogate");
    expect_refused(STR("\"\\ud800\\u0041\""), ERR_INVALID, "surrogate");
    expect_refused(STR("\"\\udc00\""), ERR_INVALID, "surrogate");
}

static void an_escaped_backslash_before_u_is_no_escape(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    assert_int_equal(parse(&a, STR("\"\\\\ud800\""), &v, &e), 0);
    assert_string_equal(v->text.p, "\\ud800");
}

static void duplicate_keys_are_refused_in_small_and_large_objects(void **state) {
    (void)state;
    expect_refused(STR("{\"a\":1,\"b\":2,\"a\":3}"), ERR_INVALID, "'a' comes twice");
    expect_refused(STR("{\"a\":1,\"\\u0061\":3}"), ERR_INVALID, "'a' comes twice");
    AUTO(buf_done) struct buf b = BUF(1 << 20);
    assert_int_equal(buf_str(&b, STR("{")), 0);
    for (int i = 0; i < 1000; i++) assert_int_equal(buf_fmt(&b, "\"k%d\":0,", i), 0);
    assert_int_equal(buf_str(&b, STR("\"k500\":1}")), 0);
    expect_refused(buf_view(&b), ERR_INVALID, "'k500' comes twice");
    b.p[b.n - 6] = '7'; /* now it is "k570" that is doubled */
    expect_refused(buf_view(&b), ERR_INVALID, "comes twice");
    b.p[b.n - 7] = 'x';
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    struct err e = {0};
    assert_int_equal(parse(&a, buf_view(&b), &v, &e), 0);
    assert_int_equal(v->count, 1001);
}

static void every_limit_is_reached_exactly(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    char deep[2 * (JSON_DEPTH_MAX + 1)];
    const struct json *v = NULL;
    struct err e = {0};
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(parse(&a, str_make(deep + 1, sizeof deep - 2), &v, &e), 0);
    expect_refused(str_make(deep, sizeof deep), ERR_LIMIT, "deeper than 64");
    struct json_limits limits = {.bytes_max = 7, .values_max = 4};
    assert_int_equal(json_parse(&a, STR("[1,2,3]"), limits, &v, &e), 0);
    limits.values_max = 3;
    assert_int_equal(json_parse(&a, STR("[1,2,3]"), limits, &v, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(json_parse(&a, STR("[1,2,3] "), limits, &v, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    AUTO(arena_done) struct arena tiny = ARENA(256);
    assert_int_equal(parse(&tiny, STR("[1,2,3,4]"), &v, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void members_have_types_and_the_error_names_the_key(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(TEST_ARENA_BYTES);
    const struct json *v = NULL;
    const struct json *tree = NULL;
    struct err e = {0};
    struct str s = STR("kept");
    uint64_t u = 5;
    int64_t i = 5;
    bool b = true;
    assert_int_equal(
        parse(&a, STR("{\"s\":\"x\",\"n\":-3,\"z\":null,\"o\":{},\"b\":false}"), &v, &e), 0);
    assert_int_equal(json_opt_str(v, "absent", &s, &e), 0);
    assert_int_equal(json_opt_str(v, "z", &s, &e), 0);
    assert_int_equal(json_opt_str(NULL, "z", &s, &e), 0);
    assert_string_equal(s.p, "kept");
    assert_int_equal(json_opt_str(v, "n", &s, &e), -1);
    assert_string_equal(e.msg, "'n' must be a string");
    assert_int_equal(json_opt_u64(v, "n", &u, &e), -1);
    assert_string_equal(e.msg, "'n' must be a whole number, not negative");
    assert_int_equal(json_opt_i64(v, "n", &i, &e), 0);
    assert_int_equal(i, -3);
    assert_int_equal(json_opt_bool(v, "b", &b, &e), 0);
    assert_false(b);
    assert_int_equal(json_opt_bool(v, "s", &b, &e), -1);
    assert_int_equal(json_need_str(v, "z", &s, &e), -1);
    assert_string_equal(e.msg, "'z' is missing");
    assert_int_equal(json_need_u64(v, "s", &u, &e), -1);
    assert_int_equal(json_need_tree(v, "o", JSON_OBJECT, &tree, &e), 0);
    assert_non_null(tree);
    assert_int_equal(json_opt_tree(v, "o", JSON_ARRAY, &tree, &e), -1);
    assert_string_equal(e.msg, "'o' must be an array");
    assert_null(json_get(json_get(v, "s"), "deeper"));
    assert_null(json_first(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree_in_order),
        cmocka_unit_test(scalars_stand_alone),
        cmocka_unit_test(numbers_keep_their_text_and_only_whole_ones_that_fit_convert),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(strings_that_no_other_part_could_hold_are_refused),
        cmocka_unit_test(an_escaped_backslash_before_u_is_no_escape),
        cmocka_unit_test(duplicate_keys_are_refused_in_small_and_large_objects),
        cmocka_unit_test(every_limit_is_reached_exactly),
        cmocka_unit_test(members_have_types_and_the_error_names_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
