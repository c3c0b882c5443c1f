/* SPDX-License-Identifier: Apache-2.0 — chunked.h: the framing "aws-chunked" of a request's body.
 *
 * Bytes in, pieces of the payload out, without a copy. Signatures of chunks and trailers are
 * verified as they end: pieces of a chunk come before its signature could be checked, so nothing
 * may be made visible before CHUNKED_END. The object is small and allocates only its hash. One
 * thread at a time.
 * Source: Amazon S3 API reference, "Signature calculations for the authorization header:
 * transferring payload in multiple chunks" and "... including trailing headers". */
#pragma once

#include "s3gw/auth/auth.h"

#define CHUNKED_LINE_MAX      512 /* a chunk's header, a trailer */
#define CHUNKED_TRAILERS_MAX  4
#define CHUNKED_TRAILER_BYTES 1024 /* of all names and values */
#define CHUNKED_SIGNED_MIN    8192 /* of a signed chunk that is not the last */

struct chunked_trailer {
    uint16_t name_at, name_bytes, value_at, value_bytes; /* in chunked.texts */
};

enum chunked_state {
    CHUNKED_HEADER,
    CHUNKED_BYTES,
    CHUNKED_BYTES_END,
    CHUNKED_TRAILER,
    CHUNKED_DRAIN
};

struct chunked {
    enum s3_auth_payload mode;
    enum chunked_state state;
    struct s3_auth_seed seed;             /* .signature: of the chunk before */
    struct sha256 hash;                   /* of the chunk, of the trailers */
    char claimed[AUTH_SIGNATURE_HEX + 1]; /* what the chunk's header says */
    uint64_t left;                        /* of the chunk */
    uint64_t payload_left;                /* of x-amz-decoded-content-length */
    uint64_t chunk_bytes; /* size of the chunk; 0 before the first and in the last */
    bool short_chunk;     /* a chunk below the minimum came: it must have been the last */
    bool trailer_signed;  /* x-amz-trailer-signature came and is right */
    bool blank_seen;
    uint8_t drained; /* bytes of the CR LF behind the end */
    size_t line_bytes;
    char line[CHUNKED_LINE_MAX];
    struct str declared; /* x-amz-trailer; borrowed */
    size_t trailers;
    struct chunked_trailer trailer[CHUNKED_TRAILERS_MAX];
    size_t text_bytes;
    char texts[CHUNKED_TRAILER_BYTES];
};

enum chunked_event { CHUNKED_ERROR = -1, CHUNKED_NEED, CHUNKED_PIECE, CHUNKED_END };

/* Is the body framed so at all? */
bool chunked_applies(enum s3_auth_payload mode);
/* auth: of this request, with a mode that chunked_applies() to (asserted). Reads
 * x-amz-decoded-content-length and x-amz-trailer; the request must outlive the object. 0 or -1. */
int chunked_init(struct chunked *c, const struct s3_auth_result *auth, const struct s3_request *r,
                 struct s3_error *x) MUST_CHECK;
uint64_t chunked_payload_bytes(const struct chunked *c); /* still to come; all of them at first */
/* Takes bytes off *in. CHUNKED_PIECE: *out_piece is payload, not empty, part of *in as it was; call
 * again. CHUNKED_NEED: *in is used up. CHUNKED_END: the framing is complete and everything in it
 * verified; behind it at most one CR LF may follow, which is taken too (botocore sends it): feed
 * what still comes, it answers CHUNKED_END again. CHUNKED_ERROR: x is filled, the object is dead.
 */
enum chunked_event chunked_next(struct chunked *c, struct str *in, struct str *out_piece,
                                struct s3_error *x) MUST_CHECK;
/* The body is over: 0, or -1 (IncompleteBody) when that was too early. */
int chunked_finish(const struct chunked *c, struct s3_error *x) MUST_CHECK;
/* A trailer's value, after CHUNKED_END; .p NULL when it did not come. name: lower case. */
struct str chunked_trailer_value(const struct chunked *c, const char *name);
void chunked_done(struct chunked *c); /* wipes the seed; any number of times */
