/* SPDX-License-Identifier: Apache-2.0 — list_token.c */
#include "s3gw/list/list_token.h"

#include "base/base64.h"
#include "base/digest.h"
#include "s3gw/meta/meta.h"

#include <errno.h>

#define VERSION     1
#define CHECK_BYTES 8
#define HEAD_BYTES  (1 + CHECK_BYTES)

/* A bucket's name holds no NUL, so bucket and key cannot be divided in two ways. */
static struct digest check_of(struct str bucket, struct str key) {
    static const char zero[] = {'\0', VERSION};
    AUTO(sha256_done) struct sha256 h = SHA256_NONE;
    sha256_init(&h);
    sha256_update(&h, bucket.p, bucket.n);
    sha256_update(&h, zero, sizeof zero);
    sha256_update(&h, key.p, key.n);
    return sha256_final(&h);
}

int list_token_write(struct arena *a, struct str bucket, struct str key, struct str *out) {
    size_t n = HEAD_BYTES + key.n;
    char *raw = arena_alloc(a, n);
    char *text = arena_alloc(a, BASE64_CHARS(n) + 1);
    if (!raw || !text) return -ENOSPC;
    struct digest check = check_of(bucket, key);
    raw[0] = VERSION;
    memcpy(raw + 1, check.bytes, CHECK_BYTES);
    memcpy(raw + HEAD_BYTES, key.p, key.n);
    *out = str_make(text, base64_encode(BASE64_URL, str_make(raw, n), text));
    return 0;
}

int list_token_read(struct arena *a, struct str bucket, struct str token, struct str *out_key) {
    if (token.n > BASE64_CHARS(HEAD_BYTES + META_KEY_BYTES_MAX)) return -EINVAL;
    size_t n = 0;
    char *raw = arena_alloc(a, BASE64_BYTES(token.n) + 1);
    if (!raw) return -ENOSPC;
    if (base64_decode(BASE64_URL, token, raw, &n) < 0 || n <= HEAD_BYTES || raw[0] != VERSION)
        return -EINVAL;
    struct str key = str_make(raw + HEAD_BYTES, n - HEAD_BYTES);
    struct digest check = check_of(bucket, key);
    if (key.n > META_KEY_BYTES_MAX || memcmp(raw + 1, check.bytes, CHECK_BYTES) != 0)
        return -EINVAL;
    *out_key = key;
    return 0;
}
