/* SPDX-License-Identifier: Apache-2.0 — resp_test.c */
#include "storage/zdb_server/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct resp_request r;

/* Whole, then byte by byte, with equal results; returns what the whole gives. */
static enum resp_result fed(struct str in) {
    static struct resp_request grown;
    enum resp_result got = RESP_MORE;
    enum resp_result want = resp_parse(in, &r);
    for (size_t n = 0; n <= in.n && got == RESP_MORE; n++) {
        got = resp_parse(str_make(in.p, n), &grown);
        if (got == RESP_MORE) assert_true(grown.need > n);
    }
    assert_int_equal(got, want);
    if (got == RESP_REQUEST) {
        assert_int_equal(grown.count, r.count);
        assert_int_equal(grown.bytes, r.bytes);
        for (size_t i = 0; i < r.count; i++) assert_true(str_eq(grown.args[i], r.args[i]));
    }
    return want;
}

static void is_bad(struct str in, const char *part) {
    assert_int_equal(fed(in), RESP_BAD);
    if (!strstr(r.error, part)) fail_msg("'%s' does not say '%s'", r.error, part);
}

static void a_request_is_an_array_of_bulk_strings(void **state) {
    (void)state;
    struct str in = STR("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\n\0\r\n*1\r\n");
    assert_int_equal(fed(in), RESP_REQUEST);
    assert_int_equal(r.count, 3);
    assert_true(str_eq(r.args[0], STR("SET")));
    assert_int_equal(r.args[1].n, 0);
    assert_true(str_eq(r.args[2], STR("a\r\n\0")));
    assert_int_equal(r.bytes, in.n - 4);
}

static void an_empty_array_is_a_request_of_nothing(void **state) {
    (void)state;
    assert_int_equal(fed(STR("*0\r\n")), RESP_REQUEST);
    assert_int_equal(r.count, 0);
    assert_int_equal(r.bytes, 4);
}

static void inline_commands_and_other_protocols_are_refused(void **state) {
    (void)state;
    is_bad(STR("PING\r\n"), "inline");
    is_bad(STR("GET / HTTP/1.1\r\n"), "inline");
    is_bad(STR("$4\r\nPING\r\n"), "inline");
    is_bad(STR("\r\n"), "inline");
}

static void lengths_that_are_negative_missing_or_huge_are_refused(void **state) {
    (void)state;
    is_bad(STR("*-1\r\n"), "array");
    is_bad(STR("*\r\n"), "array");
    is_bad(STR("*1 \r\n"), "array");
    is_bad(STR("*1\n"), "array");
    is_bad(STR("*1\rx"), "array");
    is_bad(STR("*99999999999\r\n"), "array");
    is_bad(STR("*1\r\n$-1\r\n"), "length");
    is_bad(STR("*1\r\n$-5\r\nabc"), "length");
    is_bad(STR("*1\r\n$\r\n"), "length");
    is_bad(STR("*1\r\n:1\r\n"), "length");
    is_bad(STR("*1\r\n*1\r\n"), "length");
    is_bad(STR("*1\r\n$99999999999999999999\r\n"), "length");
    is_bad(STR("*1\r\n$+4\r\nPING\r\n"), "length");
}

static void a_bulk_that_does_not_end_where_it_says_is_refused(void **state) {
    (void)state;
    is_bad(STR("*1\r\n$3\r\nPING\r\n"), "longer");
    is_bad(STR("*1\r\n$4\r\nPING\n\n"), "longer");
}

static void arguments_are_1024_at_most(void **state) {
    (void)state;
    AUTO(buf_done) struct buf in = BUF(1 << 20);
    resp_array(&in, RESP_ARGS_MAX);
    for (int i = 0; i < RESP_ARGS_MAX; i++) resp_bulk(&in, STR("x"));
    assert_int_equal(resp_parse(buf_view(&in), &r), RESP_REQUEST);
    assert_int_equal(r.count, RESP_ARGS_MAX);
    is_bad(STR("*1025\r\n"), "1024");
}

static void a_payload_has_8_MiB_at_most_and_tells_how_much_is_needed(void **state) {
    (void)state;
    AUTO(buf_done) struct buf in = BUF((size_t)16 << 20);
    resp_array(&in, 1);
    resp_bulk_head(&in, RESP_BULK_BYTES_MAX);
    size_t whole = in.n + RESP_BULK_BYTES_MAX + 2;
    assert_int_equal(resp_parse(buf_view(&in), &r), RESP_MORE);
    assert_int_equal(r.need, whole);
    assert_int_equal(buf_reserve(&in, RESP_BULK_BYTES_MAX), 0);
    memset(in.p + in.n, 'p', RESP_BULK_BYTES_MAX);
    in.n += RESP_BULK_BYTES_MAX;
    resp_bulk_end(&in);
    assert_int_equal(resp_parse(buf_view(&in), &r), RESP_REQUEST);
    assert_int_equal(r.args[0].n, RESP_BULK_BYTES_MAX);
    assert_ptr_equal(r.args[0].p + RESP_BULK_BYTES_MAX + 2, in.p + in.n); /* a view */
    is_bad(STR("*1\r\n$8388609\r\n"), "8 MiB");
}

static void a_request_of_several_large_parts_is_refused_before_they_come(void **state) {
    (void)state;
    AUTO(buf_done) struct buf in = BUF((size_t)16 << 20);
    resp_array(&in, 2);
    resp_bulk_head(&in, (size_t)8 << 20);
    assert_int_equal(buf_reserve(&in, (size_t)8 << 20), 0);
    memset(in.p + in.n, 'p', (size_t)8 << 20);
    in.n += (size_t)8 << 20;
    resp_bulk_end(&in);
    resp_bulk_head(&in, (size_t)1 << 20);
    assert_int_equal(resp_parse(buf_view(&in), &r), RESP_BAD);
    assert_non_null(strstr(r.error, "too large"));
}

static void replies_have_their_bytes(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(1024);
    resp_simple(&out, STR("OK"));
    resp_error(&out, STR("two\r\nlines"));
    resp_int(&out, 0);
    resp_int(&out, -42);
    resp_int(&out, INT64_MIN);
    resp_int(&out, INT64_MAX);
    resp_nil(&out);
    resp_array(&out, 2);
    resp_bulk(&out, STR("a\0b"));
    resp_bulk(&out, STR_NONE);
    struct str want = STR("+OK\r\n-two  lines\r\n:0\r\n:-42\r\n:-9223372036854775808\r\n"
                          ":9223372036854775807\r\n$-1\r\n*2\r\n$3\r\na\0b\r\n$0\r\n\r\n");
    assert_int_equal(out.n, want.n);
    assert_memory_equal(out.p, want.p, want.n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_an_array_of_bulk_strings),
        cmocka_unit_test(an_empty_array_is_a_request_of_nothing),
        cmocka_unit_test(inline_commands_and_other_protocols_are_refused),
        cmocka_unit_test(lengths_that_are_negative_missing_or_huge_are_refused),
        cmocka_unit_test(a_bulk_that_does_not_end_where_it_says_is_refused),
        cmocka_unit_test(arguments_are_1024_at_most),
        cmocka_unit_test(a_payload_has_8_MiB_at_most_and_tells_how_much_is_needed),
        cmocka_unit_test(a_request_of_several_large_parts_is_refused_before_they_come),
        cmocka_unit_test(replies_have_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
