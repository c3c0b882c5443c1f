/* SPDX-License-Identifier: Apache-2.0 — lifecycle.h: the LifecycleConfiguration of a bucket, and
 * what its rules make of an object, a version, a delete marker or an upload.
 *
 * Expiration, noncurrent versions and uploads that are left lying; transitions to other storage
 * classes are NotImplemented. Nothing is deleted here: evaluation says when what is due, and by
 * which rule. Any thread. Source: Amazon S3 API reference, PutBucketLifecycleConfiguration; user
 * guide, "Lifecycle configuration elements", "Expiring objects". */
#pragma once

#include "s3gw/config/element.h"
#include "s3gw/config/tagging.h"

#define LIFECYCLE_RULES_MAX    1000
#define LIFECYCLE_ID_CHARS_MAX 255
#define LIFECYCLE_TAGS_MAX     10 /* of one filter */
#define LIFECYCLE_NEWER_MAX    100
#define LIFECYCLE_DAYS_MAX     INT32_MAX
#define LIFECYCLE_DAY_S        86400
#define LIFECYCLE_ARENA_BYTES  ((size_t)16 << 20) /* for lifecycle_parse() */
#define LIFECYCLE_HEADER_MAX   1024               /* of x-amz-expiration */
#define LIFECYCLE_PREFIX_MAX   1024

struct lifecycle_filter {
    bool is_old_style; /* a Prefix of the rule itself and no Filter */
    bool has_prefix;
    struct str prefix;
    struct tagging tags;
    bool has_greater, has_less;
    uint64_t greater_than, less_than; /* bytes */
};
struct lifecycle_rule {
    struct str id; /* never empty: one without gets a name that follows from the document */
    bool is_enabled;
    struct lifecycle_filter filter;
    uint32_t days; /* 0: none; the same below */
    bool has_date;
    int64_t date_s;
    bool expires_delete_markers;
    uint32_t noncurrent_days, newer_noncurrent;
    uint32_t abort_days;
};
struct lifecycle {
    const struct lifecycle_rule *rules;
    size_t count;
};

/* Errors: MalformedXML, InvalidArgument, InvalidRequest, NotImplemented (transitions). */
int lifecycle_parse(struct arena *a, struct str document, const struct lifecycle **out,
                    struct s3_error *x) MUST_CHECK;
int lifecycle_write(const struct lifecycle *l, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

/* day_s in what follows is the length of a day: LIFECYCLE_DAY_S, or less to let tests see days go
 * by. A real day's end is the next midnight UTC, as on AWS; a shorter day is not rounded. */
struct lifecycle_due {
    int64_t at_s; /* from then on */
    const struct lifecycle_rule *rule;
};
struct lifecycle_object {
    struct str key;
    uint64_t size_bytes;
    const struct tagging *tags; /* NULL: none */
    bool is_delete_marker;
};
/* The current version, no delete marker: the earliest rule of those that expire it. False: none. */
bool lifecycle_current(const struct lifecycle *l, const struct lifecycle_object *o,
                       int64_t modified_s, int64_t day_s, struct lifecycle_due *out);
/* since_s: when it became noncurrent; newer: how many noncurrent versions of the key are newer. */
struct lifecycle_past {
    int64_t since_s;
    uint64_t newer;
};
bool lifecycle_noncurrent(const struct lifecycle *l, const struct lifecycle_object *o,
                          const struct lifecycle_past *past, int64_t day_s,
                          struct lifecycle_due *out);
/* A delete marker that is the only version of its key. */
bool lifecycle_lone_marker(const struct lifecycle *l, struct str key, int64_t modified_s,
                           int64_t day_s, struct lifecycle_due *out);
bool lifecycle_upload(const struct lifecycle *l, struct str key, int64_t initiated_s, int64_t day_s,
                      struct lifecycle_due *out);
/* The value of x-amz-expiration: expiry-date="...", rule-id="...". 0 or -ENOSPC. */
int lifecycle_header(const struct lifecycle_due *due, struct buf *to) MUST_CHECK;
