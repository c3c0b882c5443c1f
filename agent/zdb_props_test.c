/* SPDX-License-Identifier: Apache-2.0 — zdb_props_test.c */
#include "agent/zdb_props.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void what_people_write_becomes_what_nsset_takes(void **state) {
    static const struct {
        const char *key, *text, *name, *value;
    } good[] = {
        {"size", "10G", "maxsize", "10000000000"},
        {"size", "1Gi", "maxsize", "1073741824"},
        {"password", "pw", "password", "pw"},
        {"password", "", "password", "*"},
        {"public", "yes", "public", "1"},
        {"worm", "off", "worm", "0"},
        {"lock", "1", "lock", "1"},
        {"freeze", "false", "freeze", "0"},
        {"durability", "never", "durability", "never"},
        {"durability", "interval:250", "durability", "interval:250"},
        {"versions", "all", "versions", "all"},
        {"versions", "3", "versions", "3"},
        {"mode", "seq", "mode", "seq"},
    };
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct zdb_props p = {.count = 0};
        struct zdb_props again = {.count = 0};
        assert_int_equal(zdb_props_add(&p, str_of(good[i].key), str_of(good[i].text), &e), 0);
        assert_string_equal(zdb_props_get(&p, good[i].name), good[i].value);
        assert_int_equal(zdb_props_add_raw(&again, str_of(good[i].name), str_of(good[i].value), &e),
                         0);
        assert_string_equal(zdb_props_get(&again, good[i].name), good[i].value);
    }
}

static void a_wrong_value_is_told_what_is_taken(void **state) {
    static const char *const bad[][2] = {
        {"size", "much"},
        {"size", "-1"},
        {"public", "maybe"},
        {"durability", "often"},
        {"durability", "interval:0"},
        {"durability", "interval:3600001"},
        {"versions", "-1"},
        {"versions", "4294967295"},
        {"mode", "mixed"},
        {"password", "*"},
        {"colour", "red"},
        {"password", "0123456789012345678901234567890123456789012345678901234567890123"}};
    struct zdb_props p = {.count = 0};
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(zdb_props_add(&p, str_of(bad[i][0]), str_of(bad[i][1]), &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_int_equal(p.count, 0);
    }
    assert_non_null(strstr(e.msg, "'password' takes"));
}

static void a_property_counts_once_and_the_last_wins(void **state) {
    struct zdb_props p = {.count = 0};
    struct err e = {0};
    uint64_t bytes = 7;
    (void)state;
    assert_false(zdb_props_size(&p, &bytes));
    assert_int_equal(zdb_props_add(&p, STR("size"), STR("1K"), &e), 0);
    assert_int_equal(zdb_props_add(&p, STR("size"), STR("2K"), &e), 0);
    assert_int_equal(p.count, 1);
    assert_true(zdb_props_size(&p, &bytes));
    assert_int_equal(bytes, 2000);
    assert_null(zdb_props_get(&p, "worm"));
}

static void names_that_could_lead_elsewhere_are_refused(void **state) {
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "a b", "a\n", "\x7f", "default"};
    char name[129];
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(zdb_name_check(str_of(bad[i]), &e), -1);
    assert_int_equal(zdb_name_check(STR("a\0b"), &e), -1);
    memset(name, 'n', sizeof name);
    assert_int_equal(zdb_name_check(str_make(name, 129), &e), -1);
    assert_int_equal(zdb_name_check(str_make(name, 128), &e), 0);
    assert_int_equal(zdb_name_check(STR("photos-2.x_\xc3\xa4"), &e), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write_becomes_what_nsset_takes),
        cmocka_unit_test(a_wrong_value_is_told_what_is_taken),
        cmocka_unit_test(a_property_counts_once_and_the_last_wins),
        cmocka_unit_test(names_that_could_lead_elsewhere_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
