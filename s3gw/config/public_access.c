/* SPDX-License-Identifier: Apache-2.0 — public_access.c */
#include "s3gw/config/public_access.h"

#include "s3gw/xml_out.h"

static const struct element_rule RULES[] = {{"BlockPublicAcls", 0, 1, true},
                                            {"IgnorePublicAcls", 0, 1, true},
                                            {"BlockPublicPolicy", 0, 1, true},
                                            {"RestrictPublicBuckets", 0, 1, true},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "PublicAccessBlockConfiguration",
                                           .rules = RULES};

int public_access_parse(struct arena *a, struct str document, struct public_access *out,
                        struct s3_error *x) {
    const struct element *root = NULL;
    struct public_access p = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    bool *const flags[] = {&p.block_public_acls, &p.ignore_public_acls, &p.block_public_policy,
                           &p.restrict_public_buckets};
    for (size_t i = 0; i < COUNT(flags); i++)
        if (element_bool(root, RULES[i].name, flags[i], x) < 0) return -1;
    *out = p;
    return 0;
}

int public_access_write(const struct public_access *p, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    const bool flags[] = {p->block_public_acls, p->ignore_public_acls, p->block_public_policy,
                          p->restrict_public_buckets};
    for (size_t i = 0; i < COUNT(flags); i++) xml_out_bool(&w, RULES[i].name, flags[i]);
    xml_out_close(&w);
    return xml_out_end(&w);
}

int public_access_check_acl(const struct public_access *p, bool is_public, struct s3_error *x) {
    return p->block_public_acls && is_public ? s3_fail(x, S3_ACCESS_DENIED) : 0;
}

int public_access_check_policy(const struct public_access *p, bool is_public, struct s3_error *x) {
    return p->block_public_policy && is_public ? s3_fail(x, S3_ACCESS_DENIED) : 0;
}

bool public_access_policy_counts(const struct public_access *p, bool policy_is_public,
                                 bool is_of_owners_account) {
    return !p->restrict_public_buckets || !policy_is_public || is_of_owners_account;
}
