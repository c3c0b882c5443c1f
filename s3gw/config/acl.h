/* SPDX-License-Identifier: Apache-2.0 — acl.h: access control lists: the AccessControlPolicy
 * document, canned lists, x-amz-grant-* headers, the form in which they are kept, and what they
 * allow.
 *
 * Grantees are canonical ids and the three groups; grants by e-mail address are refused, since
 * nobody here has one. Whether an id belongs to anybody is the caller's to check, and so is that
 * the owner in a document is the owner of the thing. Display names are not kept. Any thread.
 * Source: Amazon S3 user guide, "Access control list (ACL) overview"; API reference, PutBucketAcl,
 * PutObjectAcl. */
#pragma once

#include "s3gw/config/element.h"
#include "s3gw/config/ownership.h"
#include "s3gw/request.h"
#include "s3gw/xml_out.h"

#define ACL_GRANTS_MAX       100
#define ACL_ID_CHARS_MAX     128
#define ACL_STORED_BYTES_MAX (16 << 10) /* of acl_store(): ACL_GRANTS_MAX of the longest ids */

/* Bits. A grant has one of the four, or all of them. */
enum acl_rights {
    ACL_MAY_READ = 1,
    ACL_MAY_WRITE = 2,
    ACL_MAY_READ_ACP = 4,
    ACL_MAY_WRITE_ACP = 8,
    ACL_MAY_ALL = 15 /* FULL_CONTROL */
};
enum acl_grantee { ACL_TO_ID, ACL_TO_ALL, ACL_TO_AUTHENTICATED, ACL_TO_LOG_DELIVERY };

struct acl_grant {
    enum acl_grantee to;
    struct str id; /* of ACL_TO_ID */
    enum acl_rights rights;
};
struct acl {
    struct str owner;
    const struct acl_grant *grants;
    size_t count;
};

/* ---- documents ---- */

/* Errors: MalformedACLError, InvalidArgument (id, group), UnresolvableGrantByEmailAddress. */
int acl_parse(struct arena *a, struct str document, struct acl *out, struct s3_error *x) MUST_CHECK;
/* One Grant element, as logging has them too. Errors: MalformedXML instead of MalformedACLError. */
int acl_grant_of_element(const struct element *e, struct acl_grant *out,
                         struct s3_error *x) MUST_CHECK;

/* Who an id is, for DisplayName: libs3 does not read a grant without. NULL, or an empty answer:
 * the id. */
struct acl_names {
    struct str (*name)(void *user, struct str id);
    void *user;
};
/* 0 or -ENOSPC. */
int acl_write(const struct acl *l, const struct acl_names *names, struct buf *to) MUST_CHECK;
void acl_write_grant(const struct acl_grant *g, const struct acl_names *names, struct xml_out *w);

/* ---- headers ---- */

struct acl_place {
    struct str owner;        /* of the new thing */
    struct str bucket_owner; /* equal to owner for a bucket */
    bool is_bucket;
};
/* The list that x-amz-acl or x-amz-grant-* ask for; without any: private. *out_canned: the value
 * of x-amz-acl, or empty; *out_given: one of them was there. Errors: InvalidArgument,
 * InvalidRequest (both kinds), UnresolvableGrantByEmailAddress. */
struct acl_asked {
    struct acl acl;
    struct str canned;
    bool is_given;
};
int acl_of_headers(struct arena *a, const struct s3_request *rq, const struct acl_place *place,
                   struct acl_asked *out, struct s3_error *x) MUST_CHECK;
/* A canned list by name; a grant to another bucket owner is left out for buckets. */
int acl_canned_list(struct arena *a, struct str name, const struct acl_place *place,
                    struct acl *out, struct s3_error *x) MUST_CHECK;

/* ---- the form in which they are kept ---- */

/* Lines "owner ID", "READ id ID", "READ all"; what cannot be read back is an error of ours. */
int acl_store(const struct acl *l, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */
/* 0; -EINVAL: not of this form; -ENOSPC. Ids are borrowed from `stored`. */
int acl_load(struct arena *a, struct str stored, struct acl *out) MUST_CHECK;

/* ---- what they say ---- */

/* id: canonical, empty for anonymous. The owner always has READ_ACP and WRITE_ACP, everything else
 * by grants. ignore_public: grants to everybody and to every user do not count
 * (public_access.ignore_public_acls). */
struct acl_question {
    struct str id;
    enum acl_rights right; /* one of the four */
    bool ignore_public;
};
bool acl_permits(const struct acl *l, const struct acl_question *q);
/* A grant to everybody or to every authenticated user. */
bool acl_is_public(const struct acl *l);
/* 0, or AccessControlListNotSupported when the bucket disables ACLs and the request asks for
 * another than full control of the bucket's owner. */
int acl_check_ownership(enum ownership o, const struct acl_asked *asked, struct str bucket_owner,
                        struct s3_error *x) MUST_CHECK;
