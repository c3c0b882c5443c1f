/* SPDX-License-Identifier: Apache-2.0 — entry_path_test.c */
#include "storage/unpack/entry_path.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct entry_path parsed(const char *name) {
    struct entry_path p;
    struct err e = {0};
    if (entry_path_parse(str_of(name), &p, &e) < 0) fail_msg("'%s': %s", name, e.msg);
    return p;
}

static enum err_kind refusal(const char *name) {
    struct entry_path p;
    struct err e = {0};
    return entry_path_parse(str_of(name), &p, &e) < 0 ? e.kind : ERR_NONE;
}

static void names_become_clean_relative_paths(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"a", "a"},       {"./a/b", "a/b"}, {"/a/b", "a/b"},  {"a//b/", "a/b"},
        {"./././a", "a"}, {"a/./b", "a/b"}, {"///", ""},      {".", ""},
        {"./", ""},       {"", ""},         {"a..b", "a..b"}, {"...", "..."},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct entry_path p = parsed(pairs[i][0]);
        assert_string_equal(p.path, pairs[i][1]);
        assert_int_equal(p.kind, ENTRY_PLAIN);
    }
}

static void the_base_is_the_last_component(void **state) {
    (void)state;
    struct entry_path p = parsed("./usr/lib/x");
    assert_string_equal(p.path + p.base, "x");
    p = parsed("top");
    assert_int_equal(p.base, 0);
}

static void paths_that_lead_upwards_are_refused(void **state) {
    (void)state;
    assert_int_equal(refusal(".."), ERR_INVALID);
    assert_int_equal(refusal("a/../b"), ERR_INVALID);
    assert_int_equal(refusal("/../etc/passwd"), ERR_INVALID);
    assert_int_equal(refusal("a/.."), ERR_INVALID);
}

static void whiteouts_name_what_they_hide(void **state) {
    (void)state;
    struct entry_path p = parsed("etc/.wh.passwd");
    assert_int_equal(p.kind, ENTRY_WHITEOUT);
    assert_string_equal(p.path, "etc/passwd");
    p = parsed("var/lib/.wh..wh..opq");
    assert_int_equal(p.kind, ENTRY_OPAQUE);
    assert_string_equal(p.path, "var/lib");
    p = parsed(".wh..wh..opq");
    assert_int_equal(p.kind, ENTRY_OPAQUE);
    assert_string_equal(p.path, "");
}

static void book_keeping_of_aufs_is_ignored(void **state) {
    (void)state;
    assert_int_equal(parsed(".wh..wh.aufs").kind, ENTRY_IGNORED);
    assert_int_equal(parsed(".wh..wh.plnk/1.2").kind, ENTRY_IGNORED);
}

static void whiteouts_of_nothing_are_refused(void **state) {
    (void)state;
    assert_int_equal(refusal(".wh."), ERR_INVALID);
    assert_int_equal(refusal("a/.wh.."), ERR_INVALID);
    assert_int_equal(refusal("a/.wh..."), ERR_INVALID);
    assert_int_equal(refusal(".wh.x/y"), ERR_INVALID);
    assert_int_equal(refusal("d/.wh..wh..opq/y"), ERR_INVALID);
}

static void a_nul_byte_is_refused(void **state) {
    (void)state;
    struct entry_path p;
    struct err e = {0};
    assert_int_equal(entry_path_parse(STR("a\0b"), &p, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void lengths_up_to_the_limits_are_taken(void **state) {
    (void)state;
    char name[ENTRY_PATH_BYTES_MAX + 2];
    memset(name, 'x', sizeof name);
    name[ENTRY_COMPONENT_BYTES_MAX] = '\0';
    assert_int_equal(parsed(name).n, ENTRY_COMPONENT_BYTES_MAX);
    name[ENTRY_COMPONENT_BYTES_MAX] = 'x';
    name[ENTRY_COMPONENT_BYTES_MAX + 1] = '\0';
    assert_int_equal(refusal(name), ERR_LIMIT);

    for (size_t i = 0; i < sizeof name; i++) name[i] = i % 2 ? '/' : 'x';
    name[ENTRY_PATH_BYTES_MAX] = '\0';
    assert_int_equal(parsed(name).n, ENTRY_PATH_BYTES_MAX);
    memset(name, 'x', sizeof name);
    for (size_t i = 100; i < sizeof name; i += 100) name[i] = '/';
    name[ENTRY_PATH_BYTES_MAX + 1] = '\0';
    assert_int_equal(refusal(name), ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_clean_relative_paths),
        cmocka_unit_test(the_base_is_the_last_component),
        cmocka_unit_test(paths_that_lead_upwards_are_refused),
        cmocka_unit_test(whiteouts_name_what_they_hide),
        cmocka_unit_test(book_keeping_of_aufs_is_ignored),
        cmocka_unit_test(whiteouts_of_nothing_are_refused),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(lengths_up_to_the_limits_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
