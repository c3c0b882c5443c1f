/* SPDX-License-Identifier: Apache-2.0 — auth.h: who sent a request of S3, and how its body is to be
 * verified.
 *
 * s3_auth_request() is the only way to an identity: every signature version, in headers, in the
 * query and in POST forms. What it says nothing against is either signed by the key it names, or
 * anonymous. Sans-IO: the clock is in the request, keys come through an interface. A `struct
 * s3_auth` belongs to one thread at a time. Source: Amazon S3 API reference, "Authenticating
 * Requests (AWS Signature Version 4)" and "Authenticating Requests (AWS Signature Version 2)". */
#pragma once

#include "base/arena.h"
#include "s3gw/error.h"
#include "s3gw/request.h"

#define AUTH_ACCESS_KEY_MAX  128
#define AUTH_SECRET_MAX      128
#define AUTH_REGION_MAX      63
#define AUTH_SKEW_S          900    /* 15 minutes */
#define AUTH_EXPIRES_MAX_S   604800 /* of a presigned URL: a week */
#define AUTH_HEADERS_MAX     128
#define AUTH_HEAD_BYTES_MAX  (32 << 10) /* path, query, names and values of headers */
#define AUTH_FORM_FIELDS_MAX 100
#define AUTH_ARENA_BYTES     (512 << 10) /* enough for every request within these limits */

/* What is known of an access key. */
struct s3_auth_key {
    uint8_t secret[AUTH_SECRET_MAX]; /* wiped as soon as it was used */
    size_t secret_bytes;
    struct str session_token; /* what the request must show; empty: a lasting key */
    int64_t expires_s;        /* of a session; 0: never */
    bool sigv2_denied;
    void *identity; /* the caller's, handed through */
};
struct s3_auth_keys {
    /* Fills *out; strs live in `a`. session_token: what the request shows, or empty; a store that
     * keeps no sessions reads the key out of it. 1; 0: there is no such key, or it is disabled; -1:
     * the store failed. */
    int (*find)(void *user, const struct s3_pair *key_and_token, struct arena *a,
                struct s3_auth_key *out, struct err *e);
    void *user;
};

enum s3_auth_kind {
    AUTH_ANONYMOUS,
    AUTH_V4_HEADER,
    AUTH_V4_QUERY,
    AUTH_V4_POST,
    AUTH_V2_HEADER,
    AUTH_V2_QUERY,
    AUTH_V2_POST
};
enum s3_auth_payload {
    AUTH_PAYLOAD_UNSIGNED,
    AUTH_PAYLOAD_SHA256,                  /* all of the body has result.sha256 */
    AUTH_PAYLOAD_CHUNKS,                  /* aws-chunked, each chunk signed */
    AUTH_PAYLOAD_CHUNKS_TRAILER,          /* the same, with a signed trailer */
    AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER, /* aws-chunked, nothing signed */
};
#define AUTH_SCOPE_MAX     (8 + 1 + AUTH_REGION_MAX + 1 + 8 + 1 + 12)
#define AUTH_SIGNATURE_HEX DIGEST_HEX_CHARS

/* Where the chain of chunk signatures begins. A secret: s3_auth_result_done() wipes it. */
struct s3_auth_seed {
    uint8_t signing_key[DIGEST_BYTES];
    char timestamp[17];             /* 20130524T000000Z */
    char scope[AUTH_SCOPE_MAX + 1]; /* 20130524/us-east-1/s3/aws4_request */
    char signature[AUTH_SIGNATURE_HEX + 1];
};

struct s3_auth_result {
    enum s3_auth_kind kind;
    struct str access_key; /* empty when anonymous; in the arena */
    void *identity;        /* of the key; NULL when anonymous */
    bool temporary;        /* the key belongs to a session */
    enum s3_auth_payload payload;
    struct digest sha256;        /* of AUTH_PAYLOAD_SHA256 */
    struct s3_auth_seed seed;    /* of the signed chunk modes */
    uint64_t file_min, file_max; /* what a POST policy says of the file's length; else 0 and
                                    UINT64_MAX */
};

struct s3_auth;
/* region: the configured one, beside which "us-east-1" is always accepted; at most AUTH_REGION_MAX
 * bytes (asserted). keys is copied. Never NULL. */
struct s3_auth *s3_auth_new(struct str region, struct s3_auth_keys keys);
void s3_auth_free(struct s3_auth *au); /* NULL-safe */

/* Reads, checks the time, finds the key, verifies. Everything in *out and *x lives in `a` or in the
 * request. 0, or -1 with the error that S3 gives. */
int s3_auth_request(struct s3_auth *au, struct arena *a, const struct s3_request *r,
                    struct s3_auth_result *out, struct s3_error *x) MUST_CHECK;
void s3_auth_result_done(struct s3_auth_result *out); /* wipes the seed */
