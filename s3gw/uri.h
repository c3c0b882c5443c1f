/* SPDX-License-Identifier: Apache-2.0 — uri.h: percent-encoding and the parameters of a query.
 *
 * Source: RFC 3986 sections 2.1 and 2.3; Amazon S3 API reference, "Create a canonical request":
 * UriEncode leaves A-Z a-z 0-9 - . _ ~ alone. A '+' is a blank in a query and itself in a path.
 * Any thread. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#define URI_PARAMETERS_MAX 128

/* Undoes the encoding into `a`; the result may hold any bytes. 0; -EINVAL for a '%' without two
 * hex digits and for control characters in plain; -ENOSPC when the arena is full. */
int uri_decode_path(struct arena *a, struct str raw, struct str *out) MUST_CHECK;
int uri_decode_query(struct arena *a, struct str raw, struct str *out) MUST_CHECK;

/* Appends the bytes encoded, upper-case hex. 0 or -ENOSPC. */
int uri_encode(struct buf *to, struct str bytes) MUST_CHECK;
int uri_encode_path(struct buf *to, struct str bytes) MUST_CHECK; /* '/' stays */

struct uri_parameter {
    struct str name, value; /* decoded; in the arena */
    bool has_equals;        /* "uploads=" and not "uploads" */
};
struct uri_query {
    struct uri_parameter *at; /* in the arena, as they came */
    size_t count;
};
/* Empty pieces ("a&&b") are skipped. 0, -EINVAL as above, -E2BIG for more than URI_PARAMETERS_MAX,
 * -ENOSPC. */
int uri_query_parse(struct arena *a, struct str raw, struct uri_query *out) MUST_CHECK;
/* The first of that name, or NULL; and how many there are. */
const struct uri_parameter *uri_query_get(const struct uri_query *q, const char *name);
size_t uri_query_count(const struct uri_query *q, const char *name);
