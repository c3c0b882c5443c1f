/* SPDX-License-Identifier: Apache-2.0 — http_uri_test.c */
#include "base/http_uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_str(struct str got, const char *want) {
    if (!str_eq(got, str_of(want))) fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
}

static void paths_and_queries_are_cut_but_never_changed(void **state) {
    (void)state;
    static const struct {
        const char *target, *path, *query;
        bool has_query;
    } cases[] = {
        {"/", "/", "", false},
        {"/?", "/", "", true},
        {"//a/./../b//?x=1?y=2", "//a/./../b//", "x=1?y=2", true},
        {"/%2e%2E%00?marker=(null)", "/%2e%2E%00", "marker=(null)", true},
        {"/a^`{|}[]?b", "/a^`{|}[]", "b", true},
        {"http://h:1/a?b", "/a", "b", true},
        {"https://h?b", "/", "b", true},
        {"*", "*", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_uri u;
        assert_int_equal(http_uri_parse(str_of(cases[i].target), &u), 0);
        expect_str(u.path, cases[i].path);
        expect_str(u.query, cases[i].query);
        assert_int_equal(u.has_query, cases[i].has_query);
    }
}

static void what_is_no_target_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",    "/a b", "/a\"", "/<",  "/\\",      "/#",          "/\x80",     "/\x01",   "/%",
        "/%a", "/%g0", "/a%2", "a/b", "http:///", "http://a b/", "http://@/", "ftp://a/"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct http_uri u;
        if (http_uri_parse(str_of(bad[i]), &u) != -EINVAL) fail_msg("accepted '%s'", bad[i]);
    }
}

static void hosts_are_names_and_addresses(void **state) {
    (void)state;
    struct http_host h;
    assert_int_equal(http_host_parse(STR("bucket_1.s3.local"), &h), 0);
    assert_int_equal(h.port, -1);
    assert_int_equal(http_host_parse(STR("[fe80::1]:9000"), &h), 0);
    expect_str(h.name, "[fe80::1]");
    assert_int_equal(h.port, 9000);
    assert_int_equal(http_host_parse(STR("[::ffff:1.2.3.4]"), &h), 0);
    static const char *const bad[] = {"",       ":80",     "a:b",   "a:",   "a:123456",
                                      "a:-1",   "a:80:80", "[]",    "[::1", "[::1]80",
                                      "[g::1]", "[1]",     "a%20b", "::1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (http_host_parse(str_of(bad[i]), &h) != -EINVAL) fail_msg("accepted '%s'", bad[i]);
}

static void escapes_are_decoded_once(void **state) {
    (void)state;
    char out[64];
    ssize_t n = http_uri_decode(STR("a%2Fb%252f+%00%ff"), HTTP_PLUS_LITERAL, out);
    assert_int_equal(n, 9);
    assert_memory_equal(out, "a/b%2f+\0\xff", 9);
    n = http_uri_decode(STR("a+b%2B"), HTTP_PLUS_IS_BLANK, out);
    expect_str(str_make(out, (size_t)n), "a b+");
    assert_int_equal(http_uri_decode(STR("%"), HTTP_PLUS_LITERAL, out), -EINVAL);
    assert_int_equal(http_uri_decode(STR("%1"), HTTP_PLUS_LITERAL, out), -EINVAL);
    assert_int_equal(http_uri_decode(STR("%+1"), HTTP_PLUS_LITERAL, out), -EINVAL);
    char same[] = "%41%42";
    assert_int_equal(http_uri_decode(str_of(same), HTTP_PLUS_LITERAL, same), 2);
    assert_memory_equal(same, "AB", 2);
}

static void encoding_is_that_of_aws_signatures(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(64);
    assert_int_equal(http_uri_encode(&b, STR("a/b ~-_.\xc3\xa9*'"), HTTP_SLASH_ENCODED), 0);
    expect_str(buf_view(&b), "a%2Fb%20~-_.%C3%A9%2A%27");
    buf_clear(&b);
    assert_int_equal(http_uri_encode(&b, STR("a/b"), HTTP_SLASH_KEPT), 0);
    expect_str(buf_view(&b), "a/b");
    struct buf small = BUF(4);
    assert_int_equal(http_uri_encode(&small, STR("abc"), HTTP_SLASH_KEPT), -ENOSPC);
    buf_done(&small);
}

static void parameters_come_one_by_one(void **state) {
    (void)state;
    struct str query = STR("a=1&&b&c=&=d&e=f=g&");
    static const struct {
        const char *name, *value;
        bool has_value;
    } want[] = {
        {"a", "1", true}, {"b", "", false}, {"c", "", true}, {"", "d", true}, {"e", "f=g", true}};
    struct http_param p;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(http_query_next(&query, &p));
        expect_str(p.name, want[i].name);
        expect_str(p.value, want[i].value);
        assert_int_equal(p.has_value, want[i].has_value);
    }
    assert_false(http_query_next(&query, &p));
    struct str empty = STR("");
    assert_false(http_query_next(&empty, &p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_queries_are_cut_but_never_changed),
        cmocka_unit_test(what_is_no_target_is_refused),
        cmocka_unit_test(hosts_are_names_and_addresses),
        cmocka_unit_test(escapes_are_decoded_once),
        cmocka_unit_test(encoding_is_that_of_aws_signatures),
        cmocka_unit_test(parameters_come_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
