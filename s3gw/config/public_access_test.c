/* SPDX-License-Identifier: Apache-2.0 — public_access_test.c */
#include "s3gw/config/public_access.h"

#include "s3gw/config/config_expect_rig.h"

static void absent_flags_are_false(void **state) {
    (void)state;
    static const struct rig_round R = {"PublicAccessBlockConfiguration", round_public_access};
    gives(&R,
          "<PublicAccessBlockConfiguration><BlockPublicAcls>TRUE</BlockPublicAcls>"
          "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
          "<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls>"
          "<BlockPublicPolicy>false</BlockPublicPolicy>"
          "<RestrictPublicBuckets>true</RestrictPublicBuckets>");
    refuses_body(&R, "<BlockPublicAcls>yes</BlockPublicAcls>", S3_MALFORMED_XML);
    refuses_body(&R, "<BlockPublicAcls/>", S3_MALFORMED_XML);
    refuses_body(&R, "<BlockEverything>true</BlockEverything>", S3_MALFORMED_XML);
}

static void each_flag_does_its_own_thing(void **state) {
    (void)state;
    struct public_access none = {0}, all = {true, true, true, true};
    struct s3_error x = {0};
    assert_int_equal(public_access_check_acl(&none, true, &x), 0);
    assert_int_equal(public_access_check_acl(&all, false, &x), 0);
    assert_int_equal(public_access_check_acl(&all, true, &x), -1);
    assert_int_equal(x.code, S3_ACCESS_DENIED);
    assert_int_equal(public_access_check_policy(&none, true, &x), 0);
    assert_int_equal(public_access_check_policy(&all, true, &x), -1);
    assert_true(public_access_policy_counts(&none, true, false));
    assert_true(public_access_policy_counts(&all, false, false));
    assert_true(public_access_policy_counts(&all, true, true));
    assert_false(public_access_policy_counts(&all, true, false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_flags_are_false),
        cmocka_unit_test(each_flag_does_its_own_thing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
