/* SPDX-License-Identifier: Apache-2.0 — encryption_test.c */
#include "s3gw/config/encryption.h"

#include "s3gw/config/config_expect_rig.h"

static void sse_s3_is_given_back(void **state) {
    (void)state;
    static const struct rig_round R = {"ServerSideEncryptionConfiguration", round_encryption};
#define AES                                                                                        \
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"                      \
    "</ApplyServerSideEncryptionByDefault>"
    gives_body(&R, "<Rule>" AES "<BucketKeyEnabled>true</BucketKeyEnabled></Rule>");
    gives(&R,
          "<ServerSideEncryptionConfiguration><Rule>" AES
          "</Rule></ServerSideEncryptionConfiguration>",
          "<Rule>" AES "<BucketKeyEnabled>false</BucketKeyEnabled></Rule>");
    gives_body(&R, "<Rule>" AES "<BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes>"
                   "<EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>");
}

static void kms_is_not_implemented_and_half_rules_are_malformed(void **state) {
    (void)state;
    static const struct rig_round R = {"ServerSideEncryptionConfiguration", round_encryption};
#define OF(algorithm, more)                                                                        \
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" algorithm "</SSEAlgorithm>" more    \
    "</ApplyServerSideEncryptionByDefault></Rule>"
    refuses_body(&R, OF("aws:kms", "<KMSMasterKeyID>k</KMSMasterKeyID>"), S3_NOT_IMPLEMENTED);
    refuses_body(&R, OF("aws:kms:dsse", ""), S3_NOT_IMPLEMENTED);
    refuses_body(&R, OF("DES", ""), S3_MALFORMED_XML);
    refuses_body(&R, OF("AES256", "<KMSMasterKeyID>k</KMSMasterKeyID>"), S3_INVALID_ARGUMENT);
    refuses_body(&R, OF("AES256", "") OF("AES256", ""), S3_MALFORMED_XML);
    refuses_body(&R, "<Rule/>", S3_MALFORMED_XML);
    refuses_body(&R, "", S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_s3_is_given_back),
        cmocka_unit_test(kms_is_not_implemented_and_half_rules_are_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
