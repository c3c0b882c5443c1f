/* SPDX-License-Identifier: Apache-2.0 — public_access.h: the PublicAccessBlock of a bucket: four
 * flags, and what each of them means.
 *
 * Whether an ACL is public says acl_is_public(), a policy policy_is_public(). Any thread. Source:
 * Amazon S3 API reference, PutPublicAccessBlock; user guide, "Blocking public access to your
 * Amazon S3 storage", "Block public access settings". */
#pragma once

#include "s3gw/config/element.h"

/* All false: what a bucket has that none was set for. */
struct public_access {
    bool block_public_acls;       /* PUT of a public ACL, or of a thing with one: AccessDenied */
    bool ignore_public_acls;      /* public grants of ACLs give nothing */
    bool block_public_policy;     /* PUT of a public policy: AccessDenied */
    bool restrict_public_buckets; /* a public policy lets in only users of the owner's account */
};

/* A flag that is absent is false. Errors: MalformedXML. */
int public_access_parse(struct arena *a, struct str document, struct public_access *out,
                        struct s3_error *x) MUST_CHECK;
int public_access_write(const struct public_access *p, struct buf *to) MUST_CHECK; /* or -ENOSPC */

/* 0 or AccessDenied: may an ACL, a policy be set? */
int public_access_check_acl(const struct public_access *p, bool is_public,
                            struct s3_error *x) MUST_CHECK;
int public_access_check_policy(const struct public_access *p, bool is_public,
                               struct s3_error *x) MUST_CHECK;
/* False: what a public policy allows does not count for who asks. */
bool public_access_policy_counts(const struct public_access *p, bool policy_is_public,
                                 bool is_of_owners_account);
