/* SPDX-License-Identifier: Apache-2.0 — versioning_test.c */
#include "s3gw/config/versioning.h"

#include "s3gw/config/config_expect_rig.h"

static void enabled_and_suspended_are_given_back(void **state) {
    (void)state;
    static const struct rig_round R = {"VersioningConfiguration", round_versioning};
    gives_body(&R, "<Status>Enabled</Status>");
    gives_body(&R, "<Status>Suspended</Status>");
    gives(&R,
          "<VersioningConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
          "<MfaDelete>Disabled</MfaDelete><Status>Enabled</Status></VersioningConfiguration>",
          "<Status>Enabled</Status>");
}

static void never_set_is_an_empty_document(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(RIG_BYTES_MAX);
    assert_int_equal(versioning_write(VERSIONING_NEVER, &b), 0);
    assert_string_equal(buf_c(&b), RIG_DECLARATION "<VersioningConfiguration" RIG_NS
                                                   "></VersioningConfiguration>");
}

static void other_words_are_refused(void **state) {
    (void)state;
    static const struct rig_round R = {"VersioningConfiguration", round_versioning};
    refuses_body(&R, "", S3_ILLEGAL_VERSIONING_CONFIGURATION);
    refuses_body(&R, "<Status>enabled</Status>", S3_MALFORMED_XML);
    refuses_body(&R, "<Status>Enabled</Status><Status>Enabled</Status>", S3_MALFORMED_XML);
    refuses_body(&R, "<Status>Enabled</Status><Other/>", S3_MALFORMED_XML);
    refuses_body(&R, "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", S3_NOT_IMPLEMENTED);
    refuses(&R, "<Versioning><Status>Enabled</Status></Versioning>", S3_MALFORMED_XML);
    refuses(&R, "<VersioningConfiguration>", S3_MALFORMED_XML);
    refuses(&R, "", S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enabled_and_suspended_are_given_back),
        cmocka_unit_test(never_set_is_an_empty_document),
        cmocka_unit_test(other_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
