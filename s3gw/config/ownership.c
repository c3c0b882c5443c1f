/* SPDX-License-Identifier: Apache-2.0 — ownership.c */
#include "s3gw/config/ownership.h"

#include "s3gw/xml_out.h"

static const char *const NAMES[] = {"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter",
                                    NULL};
static const struct element_rule RULES[] = {{"Rule", 1, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "OwnershipControls", .rules = RULES};
static const struct element_rule RULE_RULES[] = {{"ObjectOwnership", 1, 1, true},
                                                 {NULL, 0, 0, false}};

const char *ownership_name(enum ownership o) { return NAMES[o]; }

int ownership_of_header(struct str value, enum ownership *out, struct s3_error *x) {
    for (int i = 0; NAMES[i]; i++)
        if (str_eq(value, str_of(NAMES[i]))) {
            *out = (enum ownership)i;
            return 0;
        }
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid x-amz-object-ownership header: %.*s",
                       STR_ARG(value));
    (void)s3_detail(x, "ArgumentName", STR("x-amz-object-ownership"));
    return s3_detail(x, "ArgumentValue", value);
}

int ownership_parse(struct arena *a, struct str document, enum ownership *out, struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    const struct element *rule = element_child(root, "Rule");
    if (element_check(rule, RULE_RULES, x) < 0) return -1;
    int chosen = element_choice(rule, "ObjectOwnership", NAMES, x);
    if (chosen < 0) return -1;
    *out = (enum ownership)chosen;
    return 0;
}

int ownership_write(enum ownership o, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_open(&w, "Rule");
    xml_out_c(&w, "ObjectOwnership", NAMES[o]);
    xml_out_close(&w);
    xml_out_close(&w);
    return xml_out_end(&w);
}

bool ownership_goes_to_bucket_owner(enum ownership o, struct str canned) {
    switch (o) {
    case OWNERSHIP_ENFORCED: return true;
    case OWNERSHIP_PREFERRED: return str_eq(canned, STR("bucket-owner-full-control"));
    case OWNERSHIP_WRITER: return false;
    }
    return false;
}
