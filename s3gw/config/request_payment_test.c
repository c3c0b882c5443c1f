/* SPDX-License-Identifier: Apache-2.0 — request_payment_test.c */
#include "s3gw/config/request_payment.h"

#include "s3gw/config/config_expect_rig.h"

static void the_payer_is_given_back(void **state) {
    (void)state;
    static const struct rig_round R = {"RequestPaymentConfiguration", round_request_payment};
    gives_body(&R, "<Payer>BucketOwner</Payer>");
    gives_body(&R, "<Payer>Requester</Payer>");
    refuses_body(&R, "<Payer>Nobody</Payer>", S3_MALFORMED_XML);
    refuses_body(&R, "", S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_payer_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
