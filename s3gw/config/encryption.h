/* SPDX-License-Identifier: Apache-2.0 — encryption.h: the ServerSideEncryptionConfiguration of a
 * bucket: SSE-S3 (AES256) by default, and whether uploads with SSE-C are refused.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketEncryption, BlockedEncryptionTypes. */
#pragma once

#include "s3gw/config/element.h"

struct encryption {
    bool is_sse_s3;          /* objects are encrypted unless the request says otherwise */
    bool bucket_key_enabled; /* means nothing without KMS; given back */
    bool blocks_sse_c;       /* requests with a customer's key: AccessDenied */
    bool has_blocked;        /* the list was there, maybe saying NONE; given back */
};

/* Errors: MalformedXML, InvalidArgument (a KMS key for AES256), NotImplemented (aws:kms). */
int encryption_parse(struct arena *a, struct str document, struct encryption *out,
                     struct s3_error *x) MUST_CHECK;
int encryption_write(const struct encryption *c, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */
