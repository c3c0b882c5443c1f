/* SPDX-License-Identifier: Apache-2.0 — object_attributes.h: what an object has beside its bytes:
 * from headers into the metadata, and back.
 *
 * attributes.headers is lines "name value\n", names in lower case; attributes.checksums is
 * "NAME value" (with "-N" behind a composite one), attributes.checksum_kind 1 + kind + 16 * type;
 * attributes.tags is a query string, "a=1&b=2". Any thread. */
#pragma once

#include "s3gw/gateway/acl.h"
#include "s3gw/gateway/call.h"

#define OBJECT_USER_METADATA_MAX (2 << 10) /* AWS: names and values of x-amz-meta-* together */
#define OBJECT_HEADERS_MAX       (8 << 10) /* AWS: of all that is kept */
#define OBJECT_TAGS_MAX          10
#define OBJECT_TAG_NAME_MAX      128
#define OBJECT_TAG_VALUE_MAX     256

/* Reads content headers, x-amz-meta-*, x-amz-acl, x-amz-tagging, x-amz-storage-class of a request.
 * What would promise something that is not kept (encryption, locks, grants) is NotImplemented. */
int object_attributes_read(struct call *c, struct meta_attributes *out,
                           struct s3_error *x) MUST_CHECK;
/* Checks a query string of tags. 0 or -1 (InvalidTag). */
int object_tags_check(struct call *c, struct str tags, struct s3_error *x) MUST_CHECK;
size_t object_tags_count(struct str tags);

/* Writes a checksum into the attributes. parts: of a composite one, else 0. */
struct object_checksum {
    struct checksum_value value;
    enum checksum_type type;
    uint32_t parts;
};
int object_checksum_set(struct call *c, const struct object_checksum *k,
                        struct meta_attributes *out, struct s3_error *x) MUST_CHECK;
bool object_checksum_kind(const struct meta_attributes *a, enum checksum_kind *out_kind,
                          enum checksum_type *out_type);
struct str object_checksum_text(const struct meta_attributes *a); /* base64, maybe "-N" */

/* The headers of GetObject and HeadObject: Last-Modified, ETag, version, metadata. */
void object_reply_headers(struct call *c, const struct meta_object *o);
/* Those of them that a 304 has: Last-Modified, ETag, version. */
void object_reply_state(struct call *c, const struct meta_object *o);
#define OBJECT_ETAG_CHARS 48
/* "md5" or "md5-parts", without quotes; returns out (OBJECT_ETAG_CHARS bytes). */
char *object_etag_text(const struct meta_etag *etag, char *out);
/* One tag, with or without quotes. 0 or -EINVAL. */
int object_etag_parse(struct str text, struct meta_etag *out) MUST_CHECK;
/* If-Match and If-None-Match of a write. */
int object_write_conditions(struct call *c, struct meta_conditions *out,
                            struct s3_error *x) MUST_CHECK;
/* "x-amz-version-id" where the bucket has versions. */
void object_reply_version(struct call *c, uint64_t version, bool is_null);
