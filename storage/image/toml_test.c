/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image/toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct toml *parsed(struct arena *a, const char *text) {
    const struct toml *root = NULL;
    struct err e = {0};
    if (toml_parse(a, str_of(text), &root, &e) < 0) fail_msg("%s", e.msg);
    return root;
}

static void a_hosts_file_becomes_a_tree_in_order(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    const struct toml *root = parsed(&a, "server = \"https://docker.io\" # upstream\r\n"
                                         "\n"
                                         "[host.\"https://mirror:5000\"]\n"
                                         "  capabilities = [ \"pull\",\n \"resolve\", # both\n ]\n"
                                         "  skip_verify = true\n"
                                         "  n = -12\n"
                                         "[host.\"https://mirror:5000\".header]\n"
                                         "  x-one = [\"a\", 'b\\n']\n"
                                         "[host.'http://second']\n"
                                         "  client = [[\"c.pem\", \"k.pem\"], [\"both.pem\"]]\n"
                                         "  a.b.c = { d = \"e\\u00e4\\t\", \"f\" = [] }\n");
    assert_true(str_eq(toml_get(root, STR("server"))->string, STR("https://docker.io")));
    const struct toml *hosts = toml_get(root, STR("host"));
    assert_true(str_eq(hosts->first->key, STR("https://mirror:5000")));
    assert_true(str_eq(hosts->last->key, STR("http://second")));
    const struct toml *one = hosts->first;
    assert_true(str_eq(toml_get(one, STR("capabilities"))->last->string, STR("resolve")));
    assert_true(toml_get(one, STR("skip_verify"))->boolean);
    assert_int_equal(toml_get(one, STR("n"))->integer, -12);
    const struct toml *header = toml_get(toml_get(one, STR("header")), STR("x-one"));
    assert_true(str_eq(header->last->string, STR("b\\n")));
    const struct toml *c = toml_get(toml_get(toml_get(hosts->last, STR("a")), STR("b")), STR("c"));
    assert_true(str_eq(toml_get(c, STR("d"))->string, STR("e\xc3\xa4\t")));
    assert_null(toml_get(c, STR("none")));
    assert_null(toml_get(NULL, STR("none")));
}

static void what_is_wrong_or_unsupported_names_its_line(void **state) {
    (void)state;
    static const char *const bad[] = {"\na",
                                      "\na = ",
                                      "\na = 1.5",
                                      "\na = 01",
                                      "\na = 99999999999999999999",
                                      "\na = 1979-05-27",
                                      "\na = \"\"\"x\"\"\"",
                                      "\na = '''x'''",
                                      "\na = \"x",
                                      "\na = 'x",
                                      "\na = \"\\q\"",
                                      "\na = \"\\u12\"",
                                      "\na = \"\\ud800\"",
                                      "\na = \"\\u0000\"",
                                      "\na = \"\x01\"",
                                      "\na = [1",
                                      "\na = [1 2]",
                                      "\na = {b = 1",
                                      "\na = {b = 1 c = 2}",
                                      "\na = 1 b = 2",
                                      "\n[[a]]",
                                      "\n[a",
                                      "\n[a] x",
                                      "\n[]",
                                      "\n= 1",
                                      "\na = 1\ra = 2"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(arena_done) struct arena a = ARENA(1U << 20);
        const struct toml *root;
        struct err e = {0};
        if (toml_parse(&a, str_of(bad[i]), &root, &e) == 0) fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(e.msg, "line 2: "));
    }
}

static void keys_and_tables_are_given_once(void **state) {
    (void)state;
    static const char *const bad[] = {"a = 1\na = 2", "[a]\nb = 1\n[a]\nc = 1", "a = 1\n[a]\n",
                                      "a = 1\na.b = 2", "a = {b = 1}\n[a]\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(arena_done) struct arena a = ARENA(1U << 20);
        const struct toml *root;
        struct err e = {0};
        if (toml_parse(&a, str_of(bad[i]), &root, &e) == 0) fail_msg("'%s' was taken", bad[i]);
    }
}

static void depth_and_size_are_limited(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    const struct toml *root;
    struct err e = {0};
    char deep[64] = "a = ";
    (void)memset(deep + 4, '[', 40);
    assert_int_equal(toml_parse(&a, str_of(deep), &root, &e), -1);
    assert_non_null(strstr(e.msg, "nested"));
    char parts[64] = "";
    for (size_t i = 0; i < 40; i++) parts[i] = i % 2 ? '.' : 'a';
    assert_int_equal(toml_parse(&a, str_of(parts), &root, &e), -1);
    assert_non_null(strstr(e.msg, "parts"));
    AUTO_FREE char *big = xmalloc(TOML_BYTES_MAX + 1);
    assert_int_equal(toml_parse(&a, str_make(big, TOML_BYTES_MAX + 1), &root, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    AUTO(arena_done) struct arena tiny = ARENA(200);
    assert_int_equal(toml_parse(&tiny, STR("a = 1\nb = 2\nc = 3\n"), &root, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hosts_file_becomes_a_tree_in_order),
        cmocka_unit_test(what_is_wrong_or_unsupported_names_its_line),
        cmocka_unit_test(keys_and_tables_are_given_once),
        cmocka_unit_test(depth_and_size_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
