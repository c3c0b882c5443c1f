/* SPDX-License-Identifier: Apache-2.0 — create_bucket.h: the CreateBucketConfiguration document.
 *
 * Any thread. Source: Amazon S3 API reference, CreateBucket. */
#pragma once

#include "s3gw/config/tagging.h"

struct create_bucket {
    struct str location; /* empty: the default, us-east-1 */
    struct tagging tags;
};
/* An empty body is a document without anything in it. region: the configured one, which a location
 * may name beside us-east-1. Errors: MalformedXML, those of tags, NotImplemented (directory
 * buckets), IllegalLocationConstraintException. */
int create_bucket_parse(struct arena *a, struct str document, struct str region,
                        struct create_bucket *out, struct s3_error *x) MUST_CHECK;
