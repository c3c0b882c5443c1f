/* SPDX-License-Identifier: Apache-2.0 — object_lock_test.c */
#include "s3gw/config/object_lock.h"

#include "s3gw/config/config_expect_rig.h"

#define LOCKED        "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
#define DEFAULT(rest) LOCKED "<Rule><DefaultRetention>" rest "</DefaultRetention></Rule>"
#define MODE(m)       "<Mode>" m "</Mode>"
static const struct rig_round R = {"ObjectLockConfiguration", round_object_lock};
static const struct rig_round KEEP = {"Retention", round_retention};
static const struct rig_round HOLD = {"LegalHold", round_legal_hold};

static void configurations_are_given_back_or_refused(void **state) {
    (void)state;
    gives_body(&R, LOCKED);
    gives_body(&R, DEFAULT(MODE("GOVERNANCE") "<Days>36500</Days>"));
    gives_body(&R, DEFAULT(MODE("COMPLIANCE") "<Years>100</Years>"));
    refuses_body(&R, "", S3_MALFORMED_XML);
    refuses_body(&R, "<ObjectLockEnabled>Disabled</ObjectLockEnabled>", S3_MALFORMED_XML);
    refuses_body(&R, LOCKED "<Rule/>", S3_MALFORMED_XML);
    refuses_body(&R, DEFAULT("<Days>1</Days>"), S3_MALFORMED_XML);
    refuses_body(&R, DEFAULT(MODE("governance") "<Days>1</Days>"), S3_MALFORMED_XML);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE")), S3_MALFORMED_XML);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE") "<Days>1</Days><Years>1</Years>"),
                 S3_MALFORMED_XML);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE") "<Days>0</Days>"), S3_INVALID_ARGUMENT);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE") "<Years>-1</Years>"), S3_INVALID_ARGUMENT);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE") "<Days>36501</Days>"), S3_INVALID_ARGUMENT);
    refuses_body(&R, DEFAULT(MODE("GOVERNANCE") "<Years>101</Years>"), S3_INVALID_ARGUMENT);
}

static void a_default_counts_days_and_calendar_years(void **state) {
    (void)state;
    struct object_lock l = {LOCK_MODE_GOVERNANCE, 1, 0};
    assert_int_equal(object_lock_default(&l, RIG_NOW_S).until_s, RIG_NOW_S + 86400);
    l = (struct object_lock){LOCK_MODE_COMPLIANCE, 0, 1}; /* over February 29th 2024 */
    assert_int_equal(object_lock_default(&l, RIG_NOW_S).until_s, RIG_NOW_S + 366 * 86400);
    l.mode = LOCK_MODE_NONE;
    assert_int_equal(object_lock_default(&l, RIG_NOW_S).mode, LOCK_MODE_NONE);
}

static void retention_and_hold_are_given_back_or_refused(void **state) {
    (void)state;
    gives_body(&KEEP,
               MODE("COMPLIANCE") "<RetainUntilDate>2040-01-01T00:00:00.000Z</RetainUntilDate>");
    gives_body(&KEEP, "");
    refuses_body(&KEEP, MODE("COMPLIANCE"), S3_MALFORMED_XML);
    refuses_body(&KEEP, "<RetainUntilDate>2040-01-01T00:00:00Z</RetainUntilDate>",
                 S3_MALFORMED_XML);
    refuses_body(&KEEP, MODE("x") "<RetainUntilDate>2040-01-01T00:00:00Z</RetainUntilDate>",
                 S3_MALFORMED_XML);
    refuses_body(&KEEP, MODE("COMPLIANCE") "<RetainUntilDate>soon</RetainUntilDate>",
                 S3_MALFORMED_XML);
    refuses_body(&KEEP,
                 MODE("COMPLIANCE") "<RetainUntilDate>2020-01-01T00:00:00Z</RetainUntilDate>",
                 S3_INVALID_ARGUMENT);
    gives_body(&HOLD, "<Status>ON</Status>");
    gives_body(&HOLD, "<Status>OFF</Status>");
    refuses_body(&HOLD, "<Status>on</Status>", S3_MALFORMED_XML);
    refuses_body(&HOLD, "", S3_MALFORMED_XML);
}

static int headers(const char *mode, const char *until, const char *hold,
                   struct object_lock_asked *out) {
    struct s3_pair h[3];
    size_t n = 0;
    struct s3_error x = {0};
    if (mode) h[n++] = (struct s3_pair){STR("X-Amz-Object-Lock-Mode"), str_of(mode)};
    if (until) h[n++] = (struct s3_pair){STR("x-amz-object-lock-retain-until-date"), str_of(until)};
    if (hold) h[n++] = (struct s3_pair){STR("x-amz-object-lock-legal-hold"), str_of(hold)};
    struct s3_request rq = {.headers = h, .header_count = n, .now_s = RIG_NOW_S};
    int r = object_lock_of_headers(&rq, out, &x);
    if (r < 0) assert_int_equal(x.code, S3_INVALID_ARGUMENT);
    return r;
}

static void headers_ask_for_both_or_neither(void **state) {
    (void)state;
    struct object_lock_asked asked;
    const char *later = "2040-01-01T00:00:00Z";
    assert_int_equal(headers(NULL, NULL, NULL, &asked), 0);
    assert_int_equal(asked.retention.mode, LOCK_MODE_NONE);
    assert_false(asked.has_hold);
    assert_int_equal(headers("GOVERNANCE", later, "ON", &asked), 0);
    assert_int_equal(asked.retention.mode, LOCK_MODE_GOVERNANCE);
    assert_true(asked.has_hold && asked.hold);
    assert_int_equal(headers("GOVERNANCE", NULL, NULL, &asked), -1);
    assert_int_equal(headers(NULL, later, NULL, &asked), -1);
    assert_int_equal(headers("abc", later, NULL, &asked), -1);
    assert_int_equal(headers("GOVERNANCE", "never", NULL, &asked), -1);
    assert_int_equal(headers("GOVERNANCE", "2020-01-01T00:00:00Z", NULL, &asked), -1);
    assert_int_equal(headers(NULL, NULL, "maybe", &asked), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_are_given_back_or_refused),
        cmocka_unit_test(a_default_counts_days_and_calendar_years),
        cmocka_unit_test(retention_and_hold_are_given_back_or_refused),
        cmocka_unit_test(headers_ask_for_both_or_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
