/* SPDX-License-Identifier: Apache-2.0 — post_policy_fuzz.c: any document as the policy of a form
 * that is signed: what is accepted bounds every field, so another field is refused. */
#include "s3gw/auth/auth_rig.h"

#include "base/base64.h"

#define DOCUMENT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char policy[BASE64_CHARS(DOCUMENT_MAX) + 1];
    char signature[BASE64_CHARS(SHA1_BYTES) + 1];
    uint8_t mac[HASH_BYTES_MAX];
    if (size > DOCUMENT_MAX) return 0;
    size_t chars = base64_encode(BASE64_STD, str_make((const char *)data, size), policy);
    (void)hmac(HASH_SHA1, STR(RIG_SECRET), str_make(policy, chars), mac);
    size_t n = base64_encode(BASE64_STD, str_make((const char *)mac, SHA1_BYTES), signature);
    struct s3_pair fields[] = {{STR("key"), STR("foo")},
                               {STR("AWSAccessKeyId"), STR(RIG_KEY)},
                               {STR("signature"), str_make(signature, n)},
                               {STR("policy"), str_make(policy, chars)},
                               {STR("x-amz-meta-0987"), STR("not foreseen")}};
    struct s3_form form = {STR("b"), fields, COUNT(fields) - 1};
    struct rig rig;
    rig_open(&rig);
    rig.r.method = STR("POST");
    rig.r.form = &form;
    if (rig_ask(&rig) == S3_OK) {
        must(rig.out.kind == AUTH_V2_POST && rig.out.file_min <= UINT64_MAX);
        form.count++;
        bool foreseen = str_contains(str_make((const char *)data, size), STR("0987"));
        must(foreseen || rig_ask(&rig) == S3_ACCESS_DENIED);
    }
    rig_close(&rig);
    return 0;
}
