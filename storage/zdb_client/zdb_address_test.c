/* SPDX-License-Identifier: Apache-2.0 — zdb_address_test.c */
#include "storage/zdb_client/zdb_address.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void hosts_ports_and_sockets_are_told_apart(void **state) {
    static const struct {
        const char *text, *host, *port;
        bool is_unix;
    } good[] = {
        {"10.0.0.1:9901", "10.0.0.1", "9901", false},
        {"node1", "node1", "9900", false},
        {"[fd00::1]:7", "fd00::1", "7", false},
        {"[::1]", "::1", "9900", false},
        {"/run/gridlet/zdb.sock", "/run/gridlet/zdb.sock", "9900", true},
        {"./zdb.sock", "./zdb.sock", "9900", true},
    };
    struct zdb_address a;
    struct err e;
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(zdb_address_parse(str_of(good[i].text), &a, &e), 0);
        assert_string_equal(a.host, good[i].host);
        assert_string_equal(a.port, good[i].port);
        assert_int_equal(a.is_unix, good[i].is_unix);
        assert_string_equal(a.text, good[i].text);
    }
}

static void what_is_no_address_is_refused(void **state) {
    static const char *const bad[] = {"",       ":9900",  "h:",         "h:0",  "h:65536",
                                      "h:x",    "::1",    "fd00::1:2",  "[::1", "[]:1",
                                      "[::1]x", "[::1]:", "[::1]:70000"};
    char path[200];
    struct zdb_address a;
    struct err e;
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(zdb_address_parse(str_of(bad[i]), &a, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    memset(path, '/', sizeof path); /* longer than a socket's name may be */
    assert_int_equal(zdb_address_parse(str_make(path, sizeof path), &a, &e), -1);
    memset(path, 'h', sizeof path);
    assert_int_equal(zdb_address_parse(str_make(path, sizeof path), &a, &e), 0);
    assert_int_equal(zdb_address_parse(STR("h\0h"), &a, &e), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_ports_and_sockets_are_told_apart),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
