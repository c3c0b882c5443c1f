/* SPDX-License-Identifier: Apache-2.0 — object_read.h: finding an object, its conditions and
 * ranges, and the source of a copy. On a worker. */
#pragma once

#include "s3gw/gateway/call.h"

/* Reads the object that the request names (versionId too). NoSuchKey and NoSuchVersion become
 * AccessDenied for who may not list; delete markers get their headers. */
int object_find(struct call *c, struct meta_object *out, struct s3_error *x) MUST_CHECK;

/* If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since; prefix: "" or
 * "x-amz-copy-source-". *out_unmodified: it is a 304. Source: RFC 9110 section 13.2.2. */
int object_read_conditions(const struct call *c, const char *prefix, const struct meta_object *o,
                           bool *out_unmodified, struct s3_error *x) MUST_CHECK;

struct object_range {
    uint64_t from, bytes;
    bool is_part; /* of the object: 206 */
};
/* "bytes=1-2" of size bytes; what is no such range is ignored. InvalidRange. */
int object_range_parse(struct str text, uint64_t size, struct object_range *out,
                       struct s3_error *x) MUST_CHECK;

struct object_source { /* x-amz-copy-source */
    struct str bucket, key;
    uint64_t version;
    bool versioned; /* the source's bucket has versions */
};
int object_source_read(struct call *c, struct object_source *out, struct s3_error *x) MUST_CHECK;
/* Finds it, authorises reading it, checks x-amz-copy-source-if-*. */
int object_source_find(struct call *c, struct object_source *s, struct meta_object *out,
                       struct s3_error *x) MUST_CHECK;

struct object_copied {
    struct meta_etag etag;
    uint64_t modified_ms;
};
int object_reply_copy(struct call *c, const char *root, const struct object_copied *k,
                      struct s3_error *x) MUST_CHECK;
