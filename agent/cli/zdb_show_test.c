/* SPDX-License-Identifier: Apache-2.0 — zdb_show_test.c */
#include "agent/cli/cli_zdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define INFO                                                                                       \
    "# namespace\nname: photos\nentries: 3\npublic: no\nworm: yes\nlocked: no\npassword: yes\n"    \
    "data_size_bytes: 2048\ndata_size_mb: 0.00\ndata_limits_bytes: 1048576\nmode: userkey\n"       \
    "password_raw: secret\ndurability: interval:50\nversions: all\ndata_dead_bytes: 512\n"

/* What 0-db itself says. */
#define OLD                                                                                        \
    "# namespace\nname: 7\nentries: 0\npublic: yes\nworm: no\nlocked: no\npassword: no\n"          \
    "data_size_bytes: 0\ndata_limits_bytes: 0\nmode: sequential\n"

/* What goes to stdout while it runs. */
static struct str shown(struct cli *c, const struct zdb_listing *l, struct str one) {
    struct err e = {0};
    static char text[8192];
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(stdout);
    int before = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    int r = l ? zdb_show_list(c, l, &e) : zdb_show_one(c, one, &e);
    (void)fflush(stdout);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    (void)close(before);
    assert_int_equal(r, 0);
    rewind(file);
    size_t n = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    return str_make(text, n);
}

static void a_table_has_a_row_for_each_and_says_what_is_not_known(void **state) {
    struct cli c = {.format = OUTPUT_TABLE, .arena = ARENA(1 << 20)};
    struct str infos[] = {STR(INFO), STR(OLD)};
    struct zdb_listing l = {infos, COUNT(infos)};
    (void)state;
    struct str text = shown(&c, &l, STR_NONE);
    static const char expected[] =
        "NAME     MODE   KEYS   USED      LIMIT     DEAD    DURABILITY    FLAGS\n"
        "photos   user   3      2.0 KiB   1.0 MiB   512 B   interval:50   worm,password\n"
        "7        seq    0      0 B       none      -       -             public\n";
    if (!str_eq(text, str_of(expected))) fail_msg("%.*s", STR_ARG(text));
    arena_done(&c.arena);
}

static void documents_have_types_and_no_password(void **state) {
    struct cli c = {.format = OUTPUT_JSON, .arena = ARENA(1 << 20)};
    struct str infos[] = {STR(INFO), STR(OLD)};
    struct zdb_listing l = {infos, COUNT(infos)};
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct json *v = NULL;
    struct str name = STR_NONE;
    struct err e;
    uint64_t bytes = 0;
    bool worm = false;
    (void)state;
    struct str text = shown(&c, &l, STR_NONE);
    assert_false(str_contains(text, STR("secret")));
    assert_false(str_contains(text, STR("data_size_mb")));
    if (json_parse(&a, text, JSON_LIMITS, &v, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(v->count, 2);
    assert_int_equal(json_u64(json_get(json_first(v), "data_limits_bytes"), &bytes), 0);
    assert_int_equal(bytes, 1048576);
    assert_int_equal(json_bool(json_get(json_first(v), "worm"), &worm), 0);
    assert_true(worm);
    assert_int_equal(json_str(json_get(json_first(v)->next, "name"), &name), 0);
    assert_true(str_eq(name, STR("7"))); /* a name is text, whatever it looks like */
    arena_done(&c.arena);
}

static void one_namespace_is_told_in_words(void **state) {
    struct cli c = {.format = OUTPUT_TABLE, .arena = ARENA(1 << 20)};
    (void)state;
    struct str text = shown(&c, NULL, STR(INFO));
    assert_true(str_starts(text, STR("Namespace photos:\n  mode         user\n")));
    assert_true(str_contains(text, STR("  limit        1.0 MiB\n")));
    assert_true(str_contains(text, STR("  durability   interval:50\n")));
    assert_false(str_contains(text, STR("secret")));
    text = shown(&c, NULL, STR(OLD));
    assert_true(str_contains(text, STR("  limit        none\n")));
    assert_false(str_contains(text, STR("durability")));
    arena_done(&c.arena);
}

/* ---- options ---- */

static int parse(struct zdb_cli *z, struct cli *c, const char *own, char **argv) {
    static const struct cli_command command = {"zdb test", "", "Usage: test\n", NULL};
    int argc = 0;
    while (argv[argc]) argc++;
    c->command = &command;
    *z = (struct zdb_cli){.cli = c};
    return zdb_cli_options(z, argc, argv, own);
}

static void options_are_those_of_the_command_and_no_others(void **state) {
    struct cli c = {.format = OUTPUT_TABLE};
    struct zdb_cli z;
    (void)state;
    char *create[] = {"create",   "x",   "--size", "10G",  "--public",
                      "--server", "h:1", "-o",     "json", NULL};
    assert_int_equal(parse(&z, &c, "p", create), 8);
    assert_string_equal(zdb_props_get(&z.props, "maxsize"), "10000000000");
    assert_string_equal(zdb_props_get(&z.props, "public"), "1");
    assert_string_equal(z.target.server, "h:1");
    assert_int_equal(c.format, OUTPUT_JSON);
    char *dump[] = {"dump", "--values", "--format", "resp", "--password-file", "f", "x", NULL};
    assert_int_equal(parse(&z, &c, "v", dump), 6);
    assert_true(z.values && z.raw);
    assert_string_equal(z.target.space_password_file, "f");
    char *rm[] = {"rm", "--yes", "x", NULL};
    assert_int_equal(parse(&z, &c, "f", rm), 2);
    assert_true(z.force);
    char *bad[][4] = {{"ls", "--size", "1G", NULL},       {"rm", "--values", NULL},
                      {"create", "--size", "much", NULL}, {"create", "--mode", "both", NULL},
                      {"dump", "--format", "xml", NULL},  {"create", "--size", NULL}};
    static const char *const own[] = {"", "f", "p", "p", "v", "p"};
    for (size_t i = 0; i < COUNT(bad); i++) assert_int_equal(parse(&z, &c, own[i], bad[i]), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_a_row_for_each_and_says_what_is_not_known),
        cmocka_unit_test(documents_have_types_and_no_password),
        cmocka_unit_test(one_namespace_is_told_in_words),
        cmocka_unit_test(options_are_those_of_the_command_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
