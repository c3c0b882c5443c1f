/* SPDX-License-Identifier: Apache-2.0 — ownership.h: the OwnershipControls of a bucket: who owns
 * what is put there, and whether ACLs mean anything.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketOwnershipControls; user guide, "Controlling
 * ownership of objects and disabling ACLs for your bucket". */
#pragma once

#include "s3gw/config/element.h"

enum ownership {
    OWNERSHIP_ENFORCED,  /* BucketOwnerEnforced: ACLs are disabled */
    OWNERSHIP_PREFERRED, /* BucketOwnerPreferred */
    OWNERSHIP_WRITER     /* ObjectWriter */
};

const char *ownership_name(enum ownership o);
/* The header x-amz-object-ownership. Error: InvalidArgument. */
int ownership_of_header(struct str value, enum ownership *out, struct s3_error *x) MUST_CHECK;
/* Errors: MalformedXML. */
int ownership_parse(struct arena *a, struct str document, enum ownership *out,
                    struct s3_error *x) MUST_CHECK;
int ownership_write(enum ownership o, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */
/* True when an object that somebody else writes belongs to the bucket's owner. canned: the header
 * x-amz-acl, or empty. */
bool ownership_goes_to_bucket_owner(enum ownership o, struct str canned);
