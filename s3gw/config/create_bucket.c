/* SPDX-License-Identifier: Apache-2.0 — create_bucket.c */
#include "s3gw/config/create_bucket.h"

#define REGION_DEFAULT STR("us-east-1")

static const struct element_rule RULES[] = {{"LocationConstraint", 0, 1, true},
                                            {"Location", 0, 1, false},
                                            {"Bucket", 0, 1, false},
                                            {"Tags", 0, 1, false},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "CreateBucketConfiguration", .rules = RULES};
static const struct element_rule TAGS_RULES[] = {{"Tag", 0, ELEMENT_ANY_COUNT, false},
                                                 {NULL, 0, 0, false}};

int create_bucket_parse(struct arena *a, struct str document, struct str region,
                        struct create_bucket *out, struct s3_error *x) {
    const struct element *root = NULL;
    struct create_bucket c = {0};
    if (document.n == 0) {
        *out = c;
        return 0;
    }
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    if (element_child(root, "Location") || element_child(root, "Bucket"))
        return s3_fail_with(x, S3_NOT_IMPLEMENTED, "directory buckets are not offered");
    const struct element *tags = element_child(root, "Tags");
    if (tags && (element_check(tags, TAGS_RULES, x) < 0 ||
                 tagging_of_element(a, tags, TAGS_OF_BUCKET_MAX, &c.tags, x) < 0))
        return -1;
    c.location = element_text(root, "LocationConstraint");
    if (c.location.n && !str_eq(c.location, region) && !str_eq(c.location, REGION_DEFAULT))
        return s3_fail_with(x, S3_ILLEGAL_LOCATION_CONSTRAINT,
                            "The %.*s location constraint is incompatible for the region specific "
                            "endpoint this request was sent to.",
                            STR_ARG(c.location));
    *out = c;
    return 0;
}
