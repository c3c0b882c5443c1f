/* SPDX-License-Identifier: Apache-2.0 — policy_fuzz.c: any document; what is accepted gives the
 * same verdict twice, and no Allow comes out of a document without the word. */
#include "s3gw/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct s3_pair context[] = {
        {{"aws:SourceIp", 12}, {"192.0.2.77", 10}},
        {{"aws:CurrentTime", 15}, {"2020-06-01T00:00:00Z", 20}},
        {{"aws:username", 12}, {"*", 1}},
        {{"s3:prefix", 9}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 44}},
        {{"s3:max-keys", 11}, {"10", 2}},
    };
    struct policy_question q = {.action = STR("s3:GetObject"),
                                .resource = STR("arn:aws:s3:::b/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                                .context = context,
                                .context_count = COUNT(context)};
    struct str document = str_make((const char *)data, size);
    static const struct str buckets[] = {{"b", 1}, {"", 0}};
    for (size_t i = 0; i < COUNT(buckets); i++) {
        AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
        const struct policy *p = NULL;
        struct err e = {0};
        if (policy_parse(&a, document, buckets[i], &p, &e) < 0) {
            must(e.kind == ERR_INVALID || (e.kind == ERR_LIMIT && size > 1000));
            continue;
        }
        enum policy_verdict v = policy_evaluate(p, &q);
        must(policy_evaluate(p, &q) == v);
        must(v != POLICY_ALLOW || str_contains(document, STR("A")) ||
             str_contains(document, STR("\\u")));
        (void)policy_is_public(p);
    }
    return 0;
}
