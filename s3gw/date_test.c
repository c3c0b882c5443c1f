/* SPDX-License-Identifier: Apache-2.0 — date_test.c */
#include "s3gw/date.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MAY_24 1369353600 /* 2013-05-24 00:00:00 UTC */

typedef int date_parser(struct str s, int64_t *out_s);

static void each_notation_gives_the_same_second(void **state) {
    (void)state;
    static const struct {
        date_parser *parse;
        const char *text;
        int64_t want;
    } rows[] = {
        {date_parse_basic, "20130524T000000Z", MAY_24},
        {date_parse_basic, "19700101T000000Z", 0},
        {date_parse_basic, "20240229T235959Z", 1709251199},
        {date_parse_http, "Fri, 24 May 2013 00:00:00 GMT", MAY_24},
        {date_parse_http, "Fri, 24 May 2013 00:00:00 +0000", MAY_24},
        {date_parse_iso, "2013-05-24T00:00:00Z", MAY_24},
        {date_parse_iso, "2013-05-24T00:00:00.000Z", MAY_24},
        {date_parse_iso, "2013-05-24T00:00:00.99999999Z", MAY_24},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t at = -1;
        assert_int_equal(rows[i].parse(str_of(rows[i].text), &at), 0);
        assert_true(at == rows[i].want);
    }
    char text[DATE_ISO_CHARS + 1];
    assert_string_equal(date_basic(MAY_24, text), "20130524T000000Z");
    assert_string_equal(date_iso(MAY_24 + 1, text), "2013-05-24T00:00:01.000Z");
    assert_string_equal(date_basic(INT64_MAX, text), "19700101T000000Z");
}

static void what_is_no_date_is_refused(void **state) {
    (void)state;
    static const struct {
        date_parser *parse;
        const char *text;
    } rows[] = {
        {date_parse_basic, ""},
        {date_parse_basic, "20130524T000000"},
        {date_parse_basic, "20130230T000000Z"},
        {date_parse_basic, "20131324T000000Z"},
        {date_parse_basic, "20130524T240000Z"},
        {date_parse_basic, "20130524T000060Z"},
        {date_parse_basic, "19690101T000000Z"},
        {date_parse_basic, "2013-524T000000Z"},
        {date_parse_basic, "20130524t000000Z"},
        {date_parse_basic, "20130524T000000Z "},
        {date_parse_http, "Fri, 24 May 2013 00:00:00 PST"},
        {date_parse_http, "Xyz, 24 May 2013 00:00:00 GMT"},
        {date_parse_http, "Fri, 24 Mai 2013 00:00:00 GMT"},
        {date_parse_http, "Fri, 31 Jun 2013 00:00:00 GMT"},
        {date_parse_http, "Friday, 24-May-13 00:00:00 GMT"},
        {date_parse_http, ""},
        {date_parse_iso, "2013-05-24 00:00:00Z"},
        {date_parse_iso, "2013-05-24T00:00:00.Z"},
        {date_parse_iso, "2013-05-24T00:00:00.1x3Z"},
        {date_parse_iso, "2013-05-24T00:00:00+01:00"},
        {date_parse_iso, "2013-05-24T00:00:00.0000000000000000Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t at = -1;
        assert_int_equal(rows[i].parse(str_of(rows[i].text), &at), -EINVAL);
        assert_true(at == -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_notation_gives_the_same_second),
        cmocka_unit_test(what_is_no_date_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
