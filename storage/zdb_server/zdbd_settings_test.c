/* SPDX-License-Identifier: Apache-2.0 — zdbd_settings_test.c: 0-db's command line. */
#include "storage/zdb_server/zdbd_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define WORDS_MAX 16

/* The settings that a command line gives; words: separated by spaces. */
static int load(const char *words, struct zdbd_settings *s, struct err *e) {
    char text[512];
    char *argv[WORDS_MAX] = {(char *)"gridlet-zdb"};
    int argc = 1;
    enum config_result result = CONFIG_RUN;
    (void)snprintf(text, sizeof text, "%s", words);
    for (char *w = text; *w && argc < WORDS_MAX - 1;) {
        argv[argc++] = w;
        w += strcspn(w, " ");
        if (*w) *w++ = '\0';
    }
    *s = (struct zdbd_settings){.port = 0};
    return zdbd_settings_load(argc, argv, s, &result, e);
}

static void is_refused(const char *words, const char *says) {
    struct zdbd_settings s;
    struct err e = {0};
    assert_int_equal(load(words, &s, &e), -1);
    if (!strstr(e.msg, says)) fail_msg("'%s': '%s' does not say '%s'", words, e.msg, says);
    zdbd_settings_done(&s);
}

static void the_defaults_are_those_of_0_db(void **state) {
    struct zdbd_settings s;
    struct err e = {0};
    (void)state;
    assert_int_equal(load("", &s, &e), 0);
    assert_string_equal(s.data, "./zdb-data");
    assert_string_equal(s.index, "./zdb-index");
    assert_int_equal(s.port, 9900);
    assert_int_equal(s.server_mode, ZDBD_MIXED);
    assert_int_equal(s.data_file_bytes, 256 << 20);
    assert_int_equal(s.default_durability, ZDB_ALWAYS);
    assert_true(s.listens_on_tcp);
    assert_true(s.is_loopback_by_default); /* ours */
    zdbd_settings_done(&s);
}

static void options_of_0_db_mean_what_they_mean_there(void **state) {
    struct zdbd_settings s;
    struct err e = {0};
    (void)state;
    assert_int_equal(load("--data /d --index /i --mode seq --datasize 32M --listen :: --port 99 "
                          "--admin pw --protect --sync --secure --durability never",
                          &s, &e),
                     0);
    assert_int_equal(s.server_mode, ZDBD_SEQ);
    assert_int_equal(s.data_file_bytes, 32 << 20);
    assert_int_equal(s.default_durability, ZDB_ALWAYS); /* --sync wins */
    assert_false(s.is_loopback_by_default);
    zdbd_settings_done(&s);
    assert_int_equal(load("--socket /s", &s, &e), 0);
    assert_false(s.listens_on_tcp);
    zdbd_settings_done(&s);
    assert_int_equal(load("--socket /s --dualnet --durability interval:250", &s, &e), 0);
    assert_true(s.listens_on_tcp);
    assert_int_equal(s.default_durability, ZDB_INTERVAL);
    assert_int_equal(s.interval_ms, 250);
    zdbd_settings_done(&s);
}

static void what_cannot_be_is_refused_with_what_can(void **state) {
    (void)state;
    is_refused("--mode block", "user or seq");
    is_refused("--datasize 511K", "512K");
    is_refused("--datasize 4G", "4G");
    is_refused("--datasize many", "256M");
    is_refused("--port 65536", "65535");
    is_refused("--durability interval:0", "interval:MS");
    is_refused("--durability interval:-1", "interval:MS");
    is_refused("--durability often", "always, never");
    is_refused("--protect", "--admin");
    is_refused("--connections 0", "1 to 10000");
    is_refused("--connections 10001", "1 to 10000");
    is_refused("--workers 65", "1 to 64");
    is_refused("--scrub-rate x", "32M");
    is_refused("--compact-rate x", "64M");
    is_refused("--compact-percent 101", "0 to 100");
}

static void sizes_are_powers_of_1024(void **state) {
    uint64_t n = 0;
    (void)state;
    assert_int_equal(zdbd_size_parse(STR("4096"), &n), 0);
    assert_int_equal(n, 4096);
    assert_int_equal(zdbd_size_parse(STR("3k"), &n), 0);
    assert_int_equal(n, 3072);
    assert_int_equal(zdbd_size_parse(STR("2G"), &n), 0);
    assert_int_equal(n, UINT64_C(2) << 30);
    assert_true(zdbd_size_parse(STR(""), &n) < 0);
    assert_true(zdbd_size_parse(STR("M"), &n) < 0);
    assert_true(zdbd_size_parse(STR("1MB"), &n) < 0);
    assert_true(zdbd_size_parse(STR("99999999999T"), &n) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_0_db),
        cmocka_unit_test(options_of_0_db_mean_what_they_mean_there),
        cmocka_unit_test(what_cannot_be_is_refused_with_what_can),
        cmocka_unit_test(sizes_are_powers_of_1024),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
