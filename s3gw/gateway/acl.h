/* SPDX-License-Identifier: Apache-2.0 — acl.h: access control lists as they are kept, and what they
 * allow.
 *
 * Kept as lines "PERMISSION grantee\n": permission is READ, WRITE, READ_ACP, WRITE_ACP or
 * FULL_CONTROL; grantee is "id:CANONICAL", "all" (everybody) or "authenticated" (every user of this
 * gateway). Nothing kept means private: the owner alone. The owner's own rights need no line. Any
 * thread. Source: Amazon S3 user guide, "Access control list (ACL) overview". */
#pragma once

#include "base/buf.h"
#include "s3gw/gateway/identity.h"

#define ACL_BYTES_MAX (16 << 10)

enum acl_permission {
    ACL_NONE, /* ACLs do not give this */
    ACL_READ,
    ACL_WRITE,
    ACL_READ_ACP,
    ACL_WRITE_ACP,
    ACL_FULL_CONTROL
};

struct acl_owners {
    struct str object_or_bucket; /* whose the thing is */
    struct str bucket;           /* for bucket-owner-read and -full-control */
};
/* Appends the lines of a canned ACL ("public-read"). 0, -EINVAL (no such ACL), -ENOSPC. */
int acl_canned(struct str name, const struct acl_owners *owners, struct buf *out) MUST_CHECK;
/* True when a line gives the permission to who (NULL: anonymous). A line that cannot be read gives
 * nothing. */
bool acl_allows(struct str lines, enum acl_permission p, const struct identity *who);
