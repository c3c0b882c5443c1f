/* SPDX-License-Identifier: Apache-2.0 — output_test.c: byte-exact output. */
#include "agent/cli/output.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char sample[] =
    "{\"id\":\"abc\",\"n\":-7,\"yes\":true,\"none\":null,\"empty\":[],\"map\":{},"
    "\"odd\":\"a: b\",\"word\":\"no\",\"num\":\"12\",\"list\":[{\"k\":\"v\",\"l\":[1,[2]]},"
    "\"plain\"],\"sub\":{\"a key\":\"x\\ny\"}}";

static char *printed(enum output_format format, const char *json) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(json_parse(&a, str_of(json), JSON_LIMITS, &v, &e), 0);
    FILE *to = open_memstream(&text, &n);
    output_value(to, format, v);
    (void)fclose(to);
    return text;
}

static void yaml_is_byte_exact(void **state) {
    (void)state;
    AUTO_FREE char *text = printed(OUTPUT_YAML, sample);
    assert_string_equal(text, "id: abc\n\"n\": -7\n\"yes\": true\nnone: null\nempty: []\nmap: {}\n"
                              "odd: \"a: b\"\nword: \"no\"\nnum: \"12\"\nlist:\n"
                              "  - k: v\n    l:\n      - 1\n      - - 2\n  - plain\n"
                              "sub:\n  \"a key\": \"x\\ny\"\n");
    AUTO_FREE char *empty = printed(OUTPUT_YAML, "[]");
    assert_string_equal(empty, "[]\n");
}

static void json_is_what_came_indented(void **state) {
    (void)state;
    AUTO_FREE char *text = printed(OUTPUT_JSON, "{\"a\":[1,\"x\"],\"b\":{}}");
    assert_string_equal(text, "{\n  \"a\": [\n    1,\n    \"x\"\n  ],\n  \"b\": {}\n}\n");
}

static void tables_are_straight_and_cannot_steer_the_terminal(void **state) {
    (void)state;
    static const char *const titles[] = {"NAME", "STATE"};
    struct output_table t;
    char *text = NULL;
    size_t n = 0;
    output_table_begin(&t, titles, 2);
    output_cell(&t, "w\xc3\xa9"
                    "b");
    output_cell(&t, "running");
    output_cell(&t, "\x1b[2Jx");
    output_cell(&t, "");
    FILE *to = open_memstream(&text, &n);
    output_table_print(to, &t);
    (void)fclose(to);
    output_table_done(&t);
    assert_string_equal(text, "NAME    STATE\nw\xc3\xa9"
                              "b     running\n?[2Jx   -\n");
    free(text);
}

static void numbers_are_written_for_people(void **state) {
    (void)state;
    char out[OUTPUT_TEXT_BYTES];
    const int64_t s = 1000000000;
    assert_string_equal(output_bytes(0, out), "0 B");
    assert_string_equal(output_bytes(1023, out), "1023 B");
    assert_string_equal(output_bytes(1536, out), "1.5 KiB");
    assert_string_equal(output_bytes((1 << 20) - 1, out), "1.0 MiB");
    assert_string_equal(output_bytes(UINT64_MAX, out), "16.0 EiB");
    assert_string_equal(output_ago(0, 5 * s, out), "-");
    assert_string_equal(output_ago(5 * s, 5 * s, out), "just now");
    assert_string_equal(output_ago(9 * s, 5 * s, out), "just now");
    assert_string_equal(output_ago(s, 2 * s, out), "1 second ago");
    assert_string_equal(output_ago(s, 7201 * s, out), "2 hours ago");
    assert_string_equal(output_short_id(STR("sha256:0123456789abcdef"), out), "0123456789ab");
    assert_string_equal(output_short_id(STR("abc"), out), "abc");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_is_byte_exact),
        cmocka_unit_test(json_is_what_came_indented),
        cmocka_unit_test(tables_are_straight_and_cannot_steer_the_terminal),
        cmocka_unit_test(numbers_are_written_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
