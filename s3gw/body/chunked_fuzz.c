/* SPDX-License-Identifier: Apache-2.0 — chunked_fuzz.c: any body in three modes: cutting it
 * differently changes nothing, no more payload comes out than was announced, and a signed body is
 * never complete, since nobody here can sign. First byte: mode and cut; second: length. */
#include "s3gw/body/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

struct outcome {
    enum s3_code code;
    uint64_t payload, hash;
};

static struct outcome decode(const struct s3_auth_result *auth, const struct s3_request *r,
                             struct str body, size_t step) {
    struct outcome o = {.hash = 0};
    struct s3_error x = {0};
    struct chunked c;
    if (chunked_init(&c, auth, r, &x) < 0) abort();
    uint64_t announced = chunked_payload_bytes(&c);
    for (size_t at = 0; at < body.n && x.code == S3_OK; at += step) {
        struct str in = str_sub(body, at, at + step);
        struct str piece;
        while (chunked_next(&c, &in, &piece, &x) == CHUNKED_PIECE) {
            o.payload += piece.n;
            for (size_t i = 0; i < piece.n; i++) o.hash = o.hash * 31 + (unsigned char)piece.p[i];
        }
    }
    if (x.code == S3_OK && chunked_finish(&c, &x) < 0) must(x.code != S3_OK);
    must(o.payload <= announced);
    if (x.code == S3_OK) must(o.payload == announced);
    o.code = x.code;
    chunked_done(&c);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum s3_auth_payload modes[] = {AUTH_PAYLOAD_CHUNKS, AUTH_PAYLOAD_CHUNKS_TRAILER,
                                                 AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER};
    char length[24];
    if (size < 2) return 0;
    struct s3_auth_result auth = {.payload = modes[data[0] % COUNT(modes)]};
    (void)snprintf(length, sizeof length, "%u", data[1]);
    struct s3_pair headers[] = {
        {STR("x-amz-decoded-content-length"), str_of(length)},
        {STR("x-amz-trailer"), STR("x-amz-checksum-crc32, x-amz-checksum-sha256")}};
    bool trailers = auth.payload != AUTH_PAYLOAD_CHUNKS;
    struct s3_request r = {.headers = headers, .header_count = trailers ? 2 : 1};
    struct str body = str_make((const char *)data + 2, size - 2);
    struct outcome whole = decode(&auth, &r, body, body.n + 1);
    struct outcome bytes = decode(&auth, &r, body, 1);
    struct outcome parts = decode(&auth, &r, body, 1 + data[0] / COUNT(modes));
    must(whole.code == bytes.code && whole.code == parts.code);
    if (whole.code == S3_OK) {
        must(auth.payload == AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER);
        must(whole.hash == bytes.hash && whole.hash == parts.hash);
    }
    return 0;
}
