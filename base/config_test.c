/* SPDX-License-Identifier: Apache-2.0 — config_test.c */
#include "base/config.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct settings {
    char *root;
    char *name;
    bool fast;
    uint64_t workers;
    uint64_t cache_bytes;
    uint64_t grace_ms;
};

static const struct config_key keys[] = {
    {"root", CONFIG_STR, offsetof(struct settings, root), "/var/lib/x", "DIR", "Where data lies."},
    {"name", CONFIG_STR, offsetof(struct settings, name), NULL, "NAME", "The node's name."},
    {"fast", CONFIG_BOOL, offsetof(struct settings, fast), "false", NULL, "Hurries."},
    {"workers", CONFIG_U64, offsetof(struct settings, workers), "4", "N", "Threads of the pool."},
    {"cache", CONFIG_BYTES, offsetof(struct settings, cache_bytes), "64Mi", "SIZE", "Cache size."},
    {"grace", CONFIG_MS, offsetof(struct settings, grace_ms), "10s", "TIME", "How long to wait."},
};
static const struct config_program program = {.name = "xd",
                                              .synopsis = "serves x",
                                              .notes = "Example: xd --fast\n",
                                              .keys = keys,
                                              .key_count = COUNT(keys)};

static void expect_yaml_error(struct str text, const char *msg) {
    struct settings s = {0};
    struct err e = {0};
    assert_int_equal(config_yaml(&program, text, "x.yaml", &s, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    if (!strstr(e.msg, msg)) fail_msg("'%s' does not say '%s'", e.msg, msg);
    config_done(&program, &s);
}

static void options_win_over_the_file_and_the_file_over_defaults(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    enum config_result result;
    char path[] = "/tmp/gridlet-config-XXXXXX";
    int fd = mkstemp(path);
    struct str text = STR("# comment\nworkers: 7\nname: 'seven'\ngrace: 2m\n");
    assert_int_equal(file_write_all(fd, text.p, text.n), 0);
    (void)close(fd);
    char *argv[] = {"xd", "--workers=9", "--config", path, "--fast", "--cache", "2Gi", NULL};
    assert_int_equal(config_load(&program, 7, argv, &s, &result, &e), 0);
    (void)unlink(path);
    assert_int_equal(result, CONFIG_RUN);
    assert_string_equal(s.root, "/var/lib/x");
    assert_string_equal(s.name, "seven");
    assert_true(s.fast);
    assert_int_equal(s.workers, 9);
    assert_int_equal(s.cache_bytes, 2ULL << 30);
    assert_int_equal(s.grace_ms, 120000);
    config_done(&program, &s);
}

static void a_missing_default_file_is_fine_and_a_missing_named_one_is_not(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    enum config_result result;
    char *plain[] = {"xd", NULL};
    char *named[] = {"xd", "--config=/nonexistent/x.yaml", NULL};
    assert_int_equal(config_load(&program, 1, plain, &s, &result, &e), 0);
    assert_null(s.name);
    config_done(&program, &s);
    assert_int_equal(config_load(&program, 2, named, &s, &result, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    config_done(&program, &s);
}

static void mistakes_in_the_file_name_file_and_line(void **state) {
    (void)state;
    expect_yaml_error(STR("root: /a\nwrokers: 3\n"), "x.yaml line 2: unknown key 'wrokers'");
    expect_yaml_error(STR("workers: many\n"), "x.yaml line 1: 'workers' must be a whole number");
    expect_yaml_error(STR("fast: maybe\n"), "must be true or false");
    expect_yaml_error(STR("cache: 5X\n"), "must be a size");
    expect_yaml_error(STR("grace: soon\n"), "must be a duration");
    expect_yaml_error(STR("root: /a\nroot: /b\n"), "x.yaml line 2: 'root' is set twice");
    expect_yaml_error(STR("root:\n"), "'root' has no value");
    expect_yaml_error(STR("root: [a]\n"), "'root' must be a plain value");
    expect_yaml_error(STR("root: {a: b}\n"), "'root' must be a plain value");
    expect_yaml_error(STR("- root\n"), "'key: value'");
    expect_yaml_error(STR("just text\n"), "'key: value'");
    expect_yaml_error(STR("? [a]\n: b\n"), "x.yaml line 1");
    expect_yaml_error(STR("root: &a /x\nname: *a\n"), "anchors");
    expect_yaml_error(STR("name: *a\n"), "aliases");
    expect_yaml_error(STR("root: !!str x\n"), "tags");
    expect_yaml_error(STR("root: /a\n---\nname: b\n"), "more than one document");
    expect_yaml_error(STR("root: \"unclosed\n"), "x.yaml line");
    expect_yaml_error(STR("root: \"a\\0b\"\n"), "'root' must be text");
    expect_yaml_error(STR("root: \xff\n"), "x.yaml line");
}

static void an_empty_file_and_comments_alone_are_fine(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    assert_int_equal(config_yaml(&program, STR(""), "x", &s, &e), 0);
    assert_int_equal(config_yaml(&program, STR("# nothing\n"), "x", &s, &e), 0);
    assert_int_equal(config_yaml(&program, STR("---\n"), "x", &s, &e), 0);
    assert_int_equal(config_yaml(&program, STR("name: ''\n"), "x", &s, &e), 0);
    assert_string_equal(s.name, "");
    config_done(&program, &s);
}

static void a_file_over_the_limit_is_refused(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    AUTO_FREE char *text = xmalloc(CONFIG_FILE_BYTES_MAX + 1);
    memset(text, '#', CONFIG_FILE_BYTES_MAX + 1);
    assert_int_equal(config_yaml(&program, str_make(text, CONFIG_FILE_BYTES_MAX), "x", &s, &e), 0);
    assert_int_equal(config_yaml(&program, str_make(text, CONFIG_FILE_BYTES_MAX + 1), "x", &s, &e),
                     -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void mistakes_on_the_command_line_are_named(void **state) {
    (void)state;
    static const struct {
        char *argv[3];
        const char *msg;
    } cases[] = {{{"--speed", "9", NULL}, "unknown option '--speed'"},
                 {{"--speed=9", NULL}, "unknown option '--speed'"},
                 {{"--workers", NULL}, "'--workers' needs a value"},
                 {{"--workers", "x", NULL}, "option: 'workers' must be a whole number, not 'x'"},
                 {{"--fast=7", NULL}, "must be true or false"},
                 {{"stray", NULL}, "'stray' is no option"},
                 {{"--", NULL}, "'--' is no option"},
                 {{"-h", NULL}, "'-h' is no option"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings s = {0};
        struct err e = {0};
        enum config_result result;
        char *argv[] = {"xd", cases[i].argv[0], cases[i].argv[1], NULL};
        assert_int_equal(config_load(&program, 3, argv, &s, &result, &e), -1);
        if (!strstr(e.msg, cases[i].msg)) fail_msg("'%s' lacks '%s'", e.msg, cases[i].msg);
        config_done(&program, &s);
    }
    struct settings s = {0};
    struct err e = {0};
    enum config_result result;
    char *argv[] = {"xd", NULL};
    assert_int_equal(config_load(&program, 2 * CONFIG_KEYS_MAX + 1, argv, &s, &result, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void help_teaches_each_option_with_its_default(void **state) {
    (void)state;
    AUTO_FREE char *help = config_help(&program);
    assert_non_null(strstr(help, "xd - serves x\n\nUsage: xd [--KEY VALUE]..."));
    assert_non_null(strstr(help, "  --root DIR\n      Where data lies. Default: /var/lib/x.\n"));
    assert_non_null(strstr(help, "  --name NAME\n      The node's name.\n"));
    assert_non_null(strstr(help, "  --fast\n      Hurries. Default: false.\n"));
    assert_non_null(strstr(help, "/etc/gridlet/xd.yaml"));
    assert_non_null(strstr(help, "\nExample: xd --fast\n"));
}

static void sizes_and_durations_have_units(void **state) {
    (void)state;
    uint64_t n = 0;
    assert_int_equal(config_bytes(STR("512Mi"), &n), 0);
    assert_int_equal(n, 512ULL << 20);
    assert_int_equal(config_bytes(STR("512m"), &n), 0);
    assert_int_equal(n, 512ULL << 20);
    assert_int_equal(config_bytes(STR("5G"), &n), 0);
    assert_int_equal(n, 5000000000ULL);
    assert_int_equal(config_bytes(STR("16777216Ti"), &n), -ERANGE);
    assert_int_equal(config_bytes(STR("Mi"), &n), -EINVAL);
    assert_int_equal(config_bytes(STR("-1"), &n), -EINVAL);
    assert_int_equal(config_bytes(STR("1 Mi"), &n), -EINVAL);
    assert_int_equal(config_duration_ms(STR("250ms"), &n), 0);
    assert_int_equal(n, 250);
    assert_int_equal(config_duration_ms(STR("7d"), &n), 0);
    assert_int_equal(n, 7ULL * 86400000);
    assert_int_equal(config_duration_ms(STR("3"), &n), 0);
    assert_int_equal(n, 3000);
    assert_int_equal(config_duration_ms(STR("3 s"), &n), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_win_over_the_file_and_the_file_over_defaults),
        cmocka_unit_test(a_missing_default_file_is_fine_and_a_missing_named_one_is_not),
        cmocka_unit_test(mistakes_in_the_file_name_file_and_line),
        cmocka_unit_test(an_empty_file_and_comments_alone_are_fine),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(mistakes_on_the_command_line_are_named),
        cmocka_unit_test(help_teaches_each_option_with_its_default),
        cmocka_unit_test(sizes_and_durations_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
