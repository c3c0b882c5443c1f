/* SPDX-License-Identifier: Apache-2.0 — grpc_timeout_test.c: units, limits, garbage. */
#include "base/grpc_timeout.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void every_unit_is_read(void **state) {
    (void)state;
    const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"1n", 1},
        {"2u", 2000},
        {"3m", 3000000},
        {"4S", UINT64_C(4000000000)},
        {"5M", UINT64_C(300000000000)},
        {"6H", UINT64_C(21600000000000)},
        {"0S", 0},
        {"00000001n", 1},
        {"99999999S", UINT64_C(99999999000000000)},
        {"99999999H", UINT64_MAX}, /* more than fits */
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t ns = 7;
        assert_int_equal(grpc_timeout_parse(str_of(good[i].text), &ns), 0);
        assert_true(ns == good[i].ns);
    }
}

static void garbage_is_refused_and_writes_nothing(void **state) {
    (void)state;
    const char *bad[] = {"",    "1",   "S",   "1s",   "1h",         "-1S", "+1S",
                         "1 S", " 1S", "1S ", "1.5S", "100000000n", "1SS", "0x1S"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t ns = 7;
        assert_int_equal(grpc_timeout_parse(str_of(bad[i]), &ns), -EINVAL);
        assert_true(ns == 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_is_read),
        cmocka_unit_test(garbage_is_refused_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
