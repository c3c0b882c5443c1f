/* SPDX-License-Identifier: Apache-2.0 — cors.h: the CORSConfiguration of a bucket, and the headers
 * that its rules give a reply.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketCors, "OPTIONS object"; user guide,
 * "Elements of a CORS configuration"; Fetch standard, "CORS protocol". */
#pragma once

#include "s3gw/config/element.h"
#include "s3gw/request.h"

#define CORS_BYTES_MAX         (64 << 10)
#define CORS_RULES_MAX         100
#define CORS_ID_CHARS_MAX      255
#define CORS_HEADERS_MAX       8    /* of a reply */
#define CORS_ASKED_HEADERS_MAX 100  /* names in Access-Control-Request-Headers */
#define CORS_TEXT_MAX          4096 /* of one header of a reply */

enum cors_method { CORS_GET = 1, CORS_PUT = 2, CORS_POST = 4, CORS_DELETE = 8, CORS_HEAD = 16 };

struct cors_texts {
    const struct str *at;
    size_t count;
};
struct cors_rule {
    struct str id;             /* empty: none */
    struct cors_texts origins; /* each with one '*' at most */
    struct cors_texts headers; /* the same */
    struct cors_texts exposed;
    unsigned methods; /* bits of cors_method */
    bool has_max_age;
    uint32_t max_age_s;
};
struct cors {
    const struct cors_rule *rules;
    size_t count;
};

/* Errors: MalformedXML, InvalidRequest (methods, wildcards, characters). */
int cors_parse(struct arena *a, struct str document, const struct cors **out,
               struct s3_error *x) MUST_CHECK;
int cors_write(const struct cors *c, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

struct cors_question {
    struct str origin;  /* of the header Origin; empty: it is no CORS request */
    struct str method;  /* of the request, or Access-Control-Request-Method of a preflight */
    struct str headers; /* Access-Control-Request-Headers of a preflight; may be empty */
};
struct cors_reply {
    struct s3_pair at[CORS_HEADERS_MAX];
    size_t count; /* 0: no rule applies, the request goes on without */
};
/* For an actual request: the headers to add to its reply, in the arena. c may be NULL. The first
 * rule that fits is used. 0 or -ENOSPC. */
int cors_simple(struct arena *a, const struct cors *c, const struct cors_question *q,
                struct cors_reply *out) MUST_CHECK;
/* For OPTIONS: the headers of a reply 200. c NULL: the bucket has no configuration. Errors:
 * BadRequest (no Origin, no such method), AccessForbidden (no rule allows it). */
int cors_preflight(struct arena *a, const struct cors *c, const struct cors_question *q,
                   struct cors_reply *out, struct s3_error *x) MUST_CHECK;
