/* SPDX-License-Identifier: Apache-2.0 — request.h: what a request of S3 is, before anybody looks
 * into it.
 *
 * Filled in by whoever speaks HTTP; everything is borrowed and stays valid while the request
 * lasts. */
#pragma once

#include "base/digest.h"

struct s3_pair {
    struct str name, value;
};

/* A POST form, as far as it stands in front of its file. Names may have any case. `${filename}` is
 * replaced in "key" already, so that conditions are checked against what will be written. */
struct s3_form {
    struct str bucket; /* of the URL: the one that will be written to */
    const struct s3_pair *fields;
    size_t count;
};

struct s3_request {
    struct str method;
    struct str path;  /* as on the request line up to '?': starts with '/', not decoded */
    struct str query; /* behind the '?', not decoded; may be empty */
    const struct s3_pair *headers; /* as they came, repeated ones too */
    size_t header_count;
    struct str vhost_bucket;    /* the bucket that Host names, or empty: SigV2 signs it */
    struct str service;         /* "s3", "sts" or "iam": the door that it came through */
    const struct digest *body;  /* SHA-256 of the body for "sts" and "iam"; NULL: none */
    const struct s3_form *form; /* of a POST upload; else NULL */
    int64_t now_s;              /* Unix time */
};
