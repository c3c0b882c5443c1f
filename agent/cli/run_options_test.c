/* SPDX-License-Identifier: Apache-2.0 — run_options_test.c */
#include "agent/cli/run_options.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void ports_have_addresses_and_protocols(void **state) {
    (void)state;
    struct run_port p;
    struct err e = {0};
    assert_int_equal(run_port_parse(STR("8080:80"), &p, &e), 0);
    assert_int_equal(p.host, 8080);
    assert_int_equal(p.container, 80);
    assert_int_equal(p.ip.n, 0);
    assert_true(str_eq(p.protocol, STR("tcp")));
    assert_int_equal(run_port_parse(STR("127.0.0.1:53:5353/udp"), &p, &e), 0);
    assert_true(str_eq(p.ip, STR("127.0.0.1")));
    assert_true(str_eq(p.protocol, STR("udp")));
    assert_int_equal(run_port_parse(STR("[::1]:1:65535"), &p, &e), 0);
    assert_true(str_eq(p.ip, STR("::1")));
    static const char *const bad[] = {"",       "80",      ":80",     "80:", "0:80",
                                      "80:0",   "65536:1", "1:65536", "a:b", "80:80/icmp",
                                      "80:80/", "-1:80",   "1.5:80"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(run_port_parse(str_of(bad[i]), &p, &e), -1);
}

static void volumes_may_be_read_only(void **state) {
    (void)state;
    struct run_volume v;
    struct err e = {0};
    assert_int_equal(run_volume_parse(STR("/a:/b"), &v, &e), 0);
    assert_false(v.readonly);
    assert_int_equal(run_volume_parse(STR("./a:/b:ro"), &v, &e), 0);
    assert_true(v.readonly);
    assert_true(str_eq(v.source, STR("./a")));
    assert_int_equal(run_volume_parse(STR("/a:/b:rw"), &v, &e), 0);
    static const char *const bad[] = {"", "/a", ":/b", "/a:", "/a:b", "/a:/b:rx", "/a:/b:ro:z"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(run_volume_parse(str_of(bad[i]), &v, &e), -1);
}

static void cpus_are_decimal(void **state) {
    (void)state;
    uint64_t n = 0;
    struct err e = {0};
    assert_int_equal(run_cpus_parse(STR("2"), &n, &e), 0);
    assert_int_equal(n, 2000);
    assert_int_equal(run_cpus_parse(STR("0.5"), &n, &e), 0);
    assert_int_equal(n, 500);
    assert_int_equal(run_cpus_parse(STR(".25"), &n, &e), 0);
    assert_int_equal(n, 250);
    assert_int_equal(run_cpus_parse(STR("1.125"), &n, &e), 0);
    assert_int_equal(n, 1125);
    static const char *const bad[] = {"",       "0", "0.0", ".",    "1.",
                                      "1.0001", "x", "-1",  "1001", "1.x"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(run_cpus_parse(str_of(bad[i]), &n, &e), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_have_addresses_and_protocols),
        cmocka_unit_test(volumes_may_be_read_only),
        cmocka_unit_test(cpus_are_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
