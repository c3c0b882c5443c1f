/* SPDX-License-Identifier: Apache-2.0 — notification_test.c */
#include "s3gw/config/notification.h"

#include "s3gw/config/config_expect_rig.h"

static void only_the_empty_one_is_accepted(void **state) {
    (void)state;
    static const struct rig_round R = {"NotificationConfiguration", round_notification};
    gives_body(&R, "");
    gives(&R, "<NotificationConfiguration/>", "");
    refuses_body(&R, "<TopicConfiguration><Topic>t</Topic></TopicConfiguration>",
                 S3_NOT_IMPLEMENTED);
    refuses_body(&R, "<EventBridgeConfiguration/>", S3_NOT_IMPLEMENTED);
    refuses_body(&R, "<Other/>", S3_MALFORMED_XML);
    refuses_body(&R, "text", S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_empty_one_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
