/* SPDX-License-Identifier: Apache-2.0 — logging.h: the BucketLoggingStatus of a bucket: stored and
 * given back; no logs are delivered.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketLogging. */
#pragma once

#include "s3gw/config/acl.h"

#define LOGGING_PREFIX_MAX 1024

enum logging_format { LOGGING_FORMAT_NONE, LOGGING_SIMPLE, LOGGING_BY_EVENT, LOGGING_BY_DELIVERY };
struct logging {
    bool is_enabled;
    struct str bucket, prefix;
    const struct acl_grant *grants;
    size_t count;
    enum logging_format format; /* TargetObjectKeyFormat */
};

/* TargetPrefix may be absent: libs3 leaves out an empty one. Errors: MalformedXML, and those of a
 * grant (acl.h). */
int logging_parse(struct arena *a, struct str document, struct logging *out,
                  struct s3_error *x) MUST_CHECK;
int logging_write(const struct logging *l, const struct acl_names *names,
                  struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */
