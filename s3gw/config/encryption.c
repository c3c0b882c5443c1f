/* SPDX-License-Identifier: Apache-2.0 — encryption.c */
#include "s3gw/config/encryption.h"

#include "s3gw/xml_out.h"

static const struct element_rule RULES[] = {{"Rule", 1, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "ServerSideEncryptionConfiguration",
                                           .rules = RULES};
static const struct element_rule RULE_RULES[] = {
    {"ApplyServerSideEncryptionByDefault", 0, 1, false},
    {"BucketKeyEnabled", 0, 1, true},
    {"BlockedEncryptionTypes", 0, 1, false},
    {NULL, 0, 0, false}};
static const struct element_rule DEFAULT_RULES[] = {
    {"SSEAlgorithm", 1, 1, true}, {"KMSMasterKeyID", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule BLOCKED_RULES[] = {{"EncryptionType", 1, 1, true},
                                                    {NULL, 0, 0, false}};
static const char *const ALGORITHMS[] = {"AES256", "aws:kms", "aws:kms:dsse", NULL};

static int parse_default(const struct element *e, struct encryption *c, struct s3_error *x) {
    if (element_check(e, DEFAULT_RULES, x) < 0) return -1;
    int algorithm = element_choice(e, "SSEAlgorithm", ALGORITHMS, x);
    if (algorithm < 0) return -1;
    if (algorithm > 0)
        return s3_fail_with(x, S3_NOT_IMPLEMENTED, "%s is not offered; AES256 is",
                            ALGORITHMS[algorithm]);
    if (element_child(e, "KMSMasterKeyID"))
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "a KMSMasterKeyID is not applicable if the default sse algorithm is "
                            "not aws:kms or aws:kms:dsse");
    c->is_sse_s3 = true;
    return 0;
}

static int parse_blocked(const struct element *e, struct encryption *c, struct s3_error *x) {
    static const char *const TYPES[] = {"NONE", "SSE-C", NULL};
    if (element_check(e, BLOCKED_RULES, x) < 0) return -1;
    int type = element_choice(e, "EncryptionType", TYPES, x);
    if (type < 0) return -1;
    c->has_blocked = true;
    c->blocks_sse_c = type == 1;
    return 0;
}

int encryption_parse(struct arena *a, struct str document, struct encryption *out,
                     struct s3_error *x) {
    const struct element *root = NULL;
    struct encryption c = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    const struct element *rule = element_child(root, "Rule");
    if (element_check(rule, RULE_RULES, x) < 0) return -1;
    const struct element *by_default = element_child(rule, "ApplyServerSideEncryptionByDefault");
    const struct element *blocked = element_child(rule, "BlockedEncryptionTypes");
    if (!by_default && !blocked)
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "the Rule has no ApplyServerSideEncryptionByDefault");
    if (by_default && parse_default(by_default, &c, x) < 0) return -1;
    if (blocked && parse_blocked(blocked, &c, x) < 0) return -1;
    if (element_bool(rule, "BucketKeyEnabled", &c.bucket_key_enabled, x) < 0) return -1;
    *out = c;
    return 0;
}

int encryption_write(const struct encryption *c, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_open(&w, "Rule");
    if (c->is_sse_s3) {
        xml_out_open(&w, "ApplyServerSideEncryptionByDefault");
        xml_out_c(&w, "SSEAlgorithm", ALGORITHMS[0]);
        xml_out_close(&w);
    }
    xml_out_bool(&w, "BucketKeyEnabled", c->bucket_key_enabled);
    if (c->has_blocked) {
        xml_out_open(&w, "BlockedEncryptionTypes");
        xml_out_c(&w, "EncryptionType", c->blocks_sse_c ? "SSE-C" : "NONE");
        xml_out_close(&w);
    }
    xml_out_close(&w);
    xml_out_close(&w);
    return xml_out_end(&w);
}
