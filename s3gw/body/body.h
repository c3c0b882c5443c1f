/* SPDX-License-Identifier: Apache-2.0 — body.h: the body of an upload, verified: framing, length,
 * SHA-256, Content-MD5, checksums of headers and trailers.
 *
 * One pass over the bytes: what comes out of body_next() was hashed by everything that the request
 * asks for. Nothing may become visible before body_end(), which compares. One thread at a time.
 * Source: Amazon S3 API reference, PutObject; user guide, "Checking object integrity". */
#pragma once

#include "s3gw/body/chunked.h"
#include "s3gw/checksum/checksum.h"

struct body {
    enum s3_auth_payload payload;
    uint64_t left;         /* of Content-Length; UINT64_MAX: framed, the framing knows */
    bool framed;           /* aws-chunked */
    struct chunked chunks; /* when framed */
    struct hash md5;       /* always: it becomes the ETag */
    bool has_md5;          /* Content-MD5 came */
    uint8_t want_md5[HASH_BYTES_MAX];
    struct sha256 sha256; /* of AUTH_PAYLOAD_SHA256 */
    struct digest want_sha256;
    struct checksum checksum; /* the one that is kept; CRC64NVME when none was asked for */
    bool has_checksum;        /* a value came in a header */
    bool in_trailer;          /* or will in a trailer */
    struct checksum_value want_checksum;
};

struct body_result {
    uint8_t md5[16];
    struct checksum_value checksum;
    bool checksum_given; /* by the client, not chosen by us */
};

/* Reads the headers: Content-MD5 (InvalidDigest), x-amz-checksum-* (at most one), x-amz-trailer,
 * x-amz-sdk-checksum-algorithm. content_length: of the HTTP message, UINT64_MAX when it is not
 * known, which only framed bodies may be (MissingContentLength). Checksums in the query of a
 * presigned URL are not looked at: SDKs put that of the empty body there. 0 or -1. */
int body_init(struct body *b, const struct s3_auth_result *auth, const struct s3_request *r,
              uint64_t content_length, struct s3_error *x) MUST_CHECK;
/* The number of bytes that the payload will have. */
uint64_t body_bytes(const struct body *b);
/* Takes bytes off *in: 1 and a piece of payload in *out_piece, or 0 when *in is used up, or -1. */
int body_next(struct body *b, struct str *in, struct str *out_piece, struct s3_error *x) MUST_CHECK;
/* The HTTP body has ended: 0 when everything is there and right (*out is written), or -1:
 * IncompleteBody, XAmzContentSHA256Mismatch, BadDigest, InvalidRequest. */
int body_end(struct body *b, struct body_result *out, struct s3_error *x) MUST_CHECK;
void body_done(struct body *b); /* any number of times after body_init(), also a failed one */
