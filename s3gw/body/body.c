/* SPDX-License-Identifier: Apache-2.0 — body.c
 *
 * Which checksum is kept: the one whose value comes, in a header or a trailer; else the algorithm
 * that x-amz-sdk-checksum-algorithm names (browsers' presigned uploads have no value); else
 * CRC-64/NVME, as AWS does. A wrong value fails whether or not the algorithm was named. */
#include "s3gw/body/body.h"

#include "base/base64.h"

#include <errno.h>

#define MD5_BYTES 16

static int one_header(const struct s3_request *r, const char *name, struct str *out,
                      struct s3_error *x) {
    *out = STR_NONE;
    for (size_t i = 0; i < r->header_count; i++) {
        if (!str_eq_nocase(r->headers[i].name, str_of(name))) continue;
        if (out->p)
            return s3_fail_with(x, S3_INVALID_ARGUMENT, "The header %s may come only once", name);
        *out = str_trim(r->headers[i].value);
        if (!out->p) *out = STR("");
    }
    return 0;
}

static int read_md5(struct body *b, const struct s3_request *r, struct s3_error *x) {
    struct str text;
    uint8_t bytes[BASE64_BYTES(BASE64_CHARS(MD5_BYTES))];
    size_t n = 0;
    if (one_header(r, "content-md5", &text, x) < 0) return -1;
    if (!text.p) return 0;
    if (text.n != BASE64_CHARS(MD5_BYTES) || base64_decode(BASE64_STD, text, bytes, &n) < 0 ||
        n != MD5_BYTES)
        return s3_fail_with(x, S3_INVALID_DIGEST, "The Content-MD5 you specified was invalid.");
    memcpy(b->want_md5, bytes, n);
    b->has_md5 = true;
    return 0;
}

static int not_offered(struct s3_error *x) {
    return s3_fail_with(x, S3_NOT_IMPLEMENTED, "This checksum algorithm is not implemented");
}

/* Values in headers. "x-amz-checksum-type", "-algorithm" and "-mode" have none. */
static int read_value(struct body *b, const struct s3_pair *header, struct s3_error *x) {
    enum checksum_kind kind;
    int found = checksum_kind_of_header(header->name, &kind);
    if (found == -EINVAL) return 0;
    if (found == -ENOTSUP) return not_offered(x);
    if (b->has_checksum)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Expecting a single x-amz-checksum- header. Multiple checksum Types "
                            "are not allowed.");
    if (checksum_parse(kind, str_trim(header->value), &b->want_checksum) < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST, "Value for %s header is invalid.",
                            checksum_header(kind));
    b->has_checksum = true;
    return 0;
}

/* The algorithm of the trailer: one, since chunked_init() has checked what they are called. */
static int read_trailer(struct body *b, struct s3_error *x) {
    enum checksum_kind kind;
    struct str list = b->chunks.declared;
    struct str part;
    while (str_next(&list, ',', &part)) {
        int found = checksum_kind_of_header(str_trim(part), &kind);
        if (found == -ENOTSUP) return not_offered(x);
        if (found < 0)
            return s3_fail_with(x, S3_INVALID_REQUEST,
                                "The value specified in the x-amz-trailer header is not supported");
        if (b->has_checksum || b->in_trailer)
            return s3_fail_with(x, S3_INVALID_REQUEST,
                                "Expecting a single x-amz-checksum- header or trailer");
        b->in_trailer = true;
        b->want_checksum.kind = kind;
    }
    return 0;
}

static int read_algorithm(const struct body *b, const struct s3_request *r, enum checksum_kind *out,
                          struct s3_error *x) {
    struct str name;
    *out = b->has_checksum || b->in_trailer ? b->want_checksum.kind : CHECKSUM_CRC64NVME;
    if (one_header(r, "x-amz-sdk-checksum-algorithm", &name, x) < 0) return -1;
    if (!name.p) return 0;
    enum checksum_kind kind;
    int found = checksum_kind_of_name(name, &kind);
    if (found == -ENOTSUP) return not_offered(x);
    if (found < 0 || ((b->has_checksum || b->in_trailer) && kind != *out))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Value for x-amz-sdk-checksum-algorithm header is invalid.");
    *out = kind;
    return 0;
}

static int read_framing(struct body *b, const struct s3_auth_result *auth,
                        const struct s3_request *r, struct s3_error *x) {
    b->payload = auth->payload;
    b->framed = chunked_applies(auth->payload);
    if (b->framed) return chunked_init(&b->chunks, auth, r, x) < 0 ? -1 : read_trailer(b, x);
    if (b->left == UINT64_MAX) return s3_fail(x, S3_MISSING_CONTENT_LENGTH);
    return 0;
}

int body_init(struct body *b, const struct s3_auth_result *auth, const struct s3_request *r,
              uint64_t content_length, struct s3_error *x) {
    enum checksum_kind kind = CHECKSUM_CRC64NVME;
    *b = (struct body){.left = content_length, .want_sha256 = auth->sha256};
    if (read_md5(b, r, x) < 0) return -1;
    for (size_t i = 0; i < r->header_count; i++)
        if (read_value(b, &r->headers[i], x) < 0) return -1;
    if (read_framing(b, auth, r, x) < 0 || read_algorithm(b, r, &kind, x) < 0) return -1;
    hash_init(&b->md5, HASH_MD5);
    checksum_init(&b->checksum, kind);
    if (b->payload == AUTH_PAYLOAD_SHA256) sha256_init(&b->sha256);
    return 0;
}

void body_done(struct body *b) {
    if (b->framed) chunked_done(&b->chunks);
    hash_done(&b->md5);
    sha256_done(&b->sha256);
    checksum_done(&b->checksum);
}

uint64_t body_bytes(const struct body *b) {
    return b->framed ? chunked_payload_bytes(&b->chunks) : b->left;
}

static int take_plain(struct body *b, struct str *in, struct str *out, struct s3_error *x) {
    if (in->n > b->left)
        return s3_fail_with(x, S3_INVALID_REQUEST, "The body is longer than Content-Length says");
    b->left -= in->n;
    *out = *in;
    *in = str_sub(*in, in->n, in->n);
    return out->n > 0;
}

int body_next(struct body *b, struct str *in, struct str *out_piece, struct s3_error *x) {
    int r = 0;
    if (b->framed) {
        enum chunked_event event = chunked_next(&b->chunks, in, out_piece, x);
        if (event == CHUNKED_ERROR) return -1;
        r = event == CHUNKED_PIECE;
    } else {
        r = take_plain(b, in, out_piece, x);
    }
    if (r <= 0) return r;
    hash_update(&b->md5, out_piece->p, out_piece->n);
    checksum_update(&b->checksum, out_piece->p, out_piece->n);
    if (b->payload == AUTH_PAYLOAD_SHA256) sha256_update(&b->sha256, out_piece->p, out_piece->n);
    return 1;
}

static int check_end(struct body *b, struct s3_error *x) {
    if (b->framed) return chunked_finish(&b->chunks, x);
    return b->left ? s3_fail(x, S3_INCOMPLETE_BODY) : 0;
}

static int check_trailer(struct body *b, struct s3_error *x) {
    if (!b->in_trailer) return 0;
    enum checksum_kind kind = b->checksum.kind;
    struct str text = chunked_trailer_value(&b->chunks, checksum_header(kind));
    if (checksum_parse(kind, text, &b->want_checksum) < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST, "Value for %s trailing header is invalid.",
                            checksum_header(kind));
    return 0;
}

int body_end(struct body *b, struct body_result *out, struct s3_error *x) {
    struct body_result result = {.checksum_given = b->has_checksum || b->in_trailer};
    uint8_t md5[HASH_BYTES_MAX];
    if (check_end(b, x) < 0 || check_trailer(b, x) < 0) return -1;
    if (b->payload == AUTH_PAYLOAD_SHA256) {
        struct digest d = sha256_final(&b->sha256);
        if (!digest_eq(&d, &b->want_sha256)) return s3_fail(x, S3_XAMZ_CONTENT_SHA256_MISMATCH);
    }
    (void)hash_final(&b->md5, md5);
    memcpy(result.md5, md5, MD5_BYTES);
    if (b->has_md5 && memcmp(md5, b->want_md5, MD5_BYTES) != 0)
        return s3_fail_with(x, S3_BAD_DIGEST,
                            "The Content-MD5 you specified did not match what we received.");
    result.checksum = checksum_final(&b->checksum);
    if (result.checksum_given && !checksum_eq(&result.checksum, &b->want_checksum))
        return s3_fail_with(x, S3_BAD_DIGEST,
                            "The %s you specified did not match the calculated checksum.",
                            checksum_name(b->checksum.kind));
    *out = result;
    return 0;
}
