/* SPDX-License-Identifier: Apache-2.0 — logging_test.c */
#include "s3gw/config/logging.h"

#include "s3gw/config/config_expect_rig.h"

static void what_is_set_is_given_back(void **state) {
    (void)state;
    static const struct rig_round R = {"BucketLoggingStatus", round_logging};
    gives_body(&R, "");
    gives_body(&R, "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetGrants><Grant><Grantee "
                   "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">"
                   "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
                   "<Permission>READ</Permission></Grant></TargetGrants>"
                   "<TargetPrefix>a/</TargetPrefix></LoggingEnabled>");
    gives_body(&R, "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetObjectKeyFormat>"
                   "<PartitionedPrefix><PartitionDateSource>DeliveryTime</PartitionDateSource>"
                   "</PartitionedPrefix></TargetObjectKeyFormat><TargetPrefix></TargetPrefix>"
                   "</LoggingEnabled>");
    gives(&R,
          "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket></LoggingEnabled>"
          "</BucketLoggingStatus>",
          "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix></TargetPrefix>"
          "</LoggingEnabled>");
}

static void half_and_overlong_ones_are_refused(void **state) {
    (void)state;
    static const struct rig_round R = {"BucketLoggingStatus", round_logging};
    AUTO_FREE char *prefix = times(LOGGING_PREFIX_MAX + 1, "p");
    AUTO_FREE char *longer = xasprintf("<LoggingEnabled><TargetBucket>logs</TargetBucket>"
                                       "<TargetPrefix>%s</TargetPrefix></LoggingEnabled>",
                                       prefix);
    refuses_body(&R, longer, S3_MALFORMED_XML);
    refuses_body(&R, "<LoggingEnabled/>", S3_MALFORMED_XML);
    refuses_body(&R, "<LoggingEnabled><TargetBucket>x</TargetBucket></LoggingEnabled>",
                 S3_MALFORMED_XML);
    refuses_body(&R,
                 "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetGrants><Grant><Grantee>"
                 "<EmailAddress>a@b.c</EmailAddress></Grantee><Permission>READ</Permission>"
                 "</Grant></TargetGrants></LoggingEnabled>",
                 S3_UNRESOLVABLE_GRANT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_is_given_back),
        cmocka_unit_test(half_and_overlong_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
