/* SPDX-License-Identifier: Apache-2.0 — object_lock.h: the ObjectLockConfiguration of a bucket, the
 * Retention and LegalHold documents of a version, and the x-amz-object-lock-* headers.
 *
 * Whether a retention may be shortened or lifted is decided where versions are kept. Any thread.
 * Source: Amazon S3 API reference, PutObjectLockConfiguration, PutObjectRetention,
 * PutObjectLegalHold; user guide, "Locking objects with Object Lock". */
#pragma once

#include "s3gw/config/element.h"
#include "s3gw/request.h"

#define OBJECT_LOCK_DAYS_MAX  36500
#define OBJECT_LOCK_YEARS_MAX 100

enum object_lock_mode { LOCK_MODE_NONE, LOCK_MODE_GOVERNANCE, LOCK_MODE_COMPLIANCE };
struct object_lock {            /* of a bucket; the lock itself is always enabled */
    enum object_lock_mode mode; /* LOCK_MODE_NONE: no default retention */
    uint32_t days, years;       /* one of them, when there is a mode */
};
struct object_retention {
    enum object_lock_mode mode; /* LOCK_MODE_NONE: it is lifted */
    int64_t until_s;
};
const char *object_lock_mode_name(enum object_lock_mode m); /* "GOVERNANCE" */

/* Errors: MalformedXML, InvalidArgument (a period that is 0 or too long). */
int object_lock_parse(struct arena *a, struct str document, struct object_lock *out,
                      struct s3_error *x) MUST_CHECK;
int object_lock_write(const struct object_lock *l, struct buf *to) MUST_CHECK; /* or -ENOSPC */
/* What the default gives a version that is written now. A year is one of the calendar. */
struct object_retention object_lock_default(const struct object_lock *l, int64_t now_s);

/* An empty Retention lifts it. Errors: MalformedXML, InvalidArgument (a date that has passed). */
int object_retention_parse(struct arena *a, struct str document, int64_t now_s,
                           struct object_retention *out, struct s3_error *x) MUST_CHECK;
int object_retention_write(const struct object_retention *r, struct buf *to) MUST_CHECK;
/* Errors: MalformedXML. */
int legal_hold_parse(struct arena *a, struct str document, bool *out,
                     struct s3_error *x) MUST_CHECK;
int legal_hold_write(bool is_on, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

/* The three headers of an upload. Errors: InvalidArgument. */
struct object_lock_asked {
    struct object_retention retention; /* LOCK_MODE_NONE: not asked for */
    bool has_hold, hold;
};
int object_lock_of_headers(const struct s3_request *rq, struct object_lock_asked *out,
                           struct s3_error *x) MUST_CHECK;
