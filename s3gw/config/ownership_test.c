/* SPDX-License-Identifier: Apache-2.0 — ownership_test.c */
#include "s3gw/config/ownership.h"

#include "s3gw/config/config_expect_rig.h"

static void the_three_rules_are_given_back(void **state) {
    (void)state;
    static const struct rig_round R = {"OwnershipControls", round_ownership};
    gives_body(&R, "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>");
    gives_body(&R, "<Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule>");
    gives_body(&R, "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>");
    refuses_body(&R, "<Rule><ObjectOwnership>Me</ObjectOwnership></Rule>", S3_MALFORMED_XML);
    refuses_body(&R, "", S3_MALFORMED_XML);
    refuses_body(&R, "<Rule/>", S3_MALFORMED_XML);
}

static void a_header_names_one_or_is_refused(void **state) {
    (void)state;
    enum ownership o = OWNERSHIP_WRITER;
    struct s3_error x = {0};
    assert_int_equal(ownership_of_header(STR("BucketOwnerEnforced"), &o, &x), 0);
    assert_int_equal(o, OWNERSHIP_ENFORCED);
    assert_int_equal(ownership_of_header(STR("x"), &o, &x), -1);
    assert_int_equal(x.code, S3_INVALID_ARGUMENT);
}

static void preferred_takes_what_is_put_with_full_control(void **state) {
    (void)state;
    assert_true(ownership_goes_to_bucket_owner(OWNERSHIP_ENFORCED, STR_NONE));
    assert_false(ownership_goes_to_bucket_owner(OWNERSHIP_PREFERRED, STR("private")));
    assert_true(
        ownership_goes_to_bucket_owner(OWNERSHIP_PREFERRED, STR("bucket-owner-full-control")));
    assert_false(
        ownership_goes_to_bucket_owner(OWNERSHIP_WRITER, STR("bucket-owner-full-control")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_rules_are_given_back),
        cmocka_unit_test(a_header_names_one_or_is_refused),
        cmocka_unit_test(preferred_takes_what_is_put_with_full_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
