/* SPDX-License-Identifier: Apache-2.0 — target.h: which bucket and which key a request is about.
 *
 * Pure: Host and path in, names out. Virtual-host style when Host ends in one of the gateway's
 * domains, path style otherwise. Nothing is normalised: "..", "//" and a leading "/" are bytes of a
 * key. Any thread. Source: Amazon S3 user guide, "Virtual hosting of buckets"; bucket names:
 * "General purpose bucket naming rules". */
#pragma once

#include "base/arena.h"
#include "base/http_uri.h"
#include "s3gw/error.h"

enum target_place { TARGET_SERVICE, TARGET_BUCKET, TARGET_OBJECT };

struct target {
    enum target_place place;
    struct str bucket;       /* empty at the service */
    struct str key;          /* decoded; empty unless place is TARGET_OBJECT */
    struct str vhost_bucket; /* the bucket, when Host named it; else empty */
};

/* domain: "s3.example.org", or empty: path style only. path: as on the request line up to '?'.
 * Results live in `a` or in the inputs. Errors: InvalidURI, InvalidBucketName (what can be no name
 * of any bucket, also an old one), KeyTooLongError. */
struct target_ask {
    struct str domain, path;
    struct http_host host;
};
int target_parse(struct arena *a, const struct target_ask *ask, struct target *out,
                 struct s3_error *x) MUST_CHECK;

/* The stricter rules that a new bucket's name must follow. */
bool target_bucket_name_ok(struct str name);
