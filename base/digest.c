/* SPDX-License-Identifier: Apache-2.0 — digest.c: OpenSSL's EVP digests; nothing else of ours
 * includes its headers for hashing. */
#include "base/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

static EVP_MD *sha256_md; /* fetched once: an implicit fetch costs more than a small digest */
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch(void) {
    sha256_md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    if (!sha256_md) abort(); /* an OpenSSL without SHA-256 cannot run this program */
}

static void must(int openssl_ok) {
    if (openssl_ok != 1) abort(); /* out of memory: the process is crash-only */
}

void sha256_init(struct sha256 *h) {
    (void)pthread_once(&fetch_once, fetch);
    if (!h->impl) h->impl = EVP_MD_CTX_new();
    if (!h->impl) abort();
    must(EVP_DigestInit_ex2(h->impl, sha256_md, NULL));
}

void sha256_update(struct sha256 *h, const void *bytes, size_t n) {
    if (n) must(EVP_DigestUpdate(h->impl, bytes, n));
}

struct digest sha256_final(struct sha256 *h) {
    struct digest d;
    unsigned n = 0;
    must(EVP_DigestFinal_ex(h->impl, d.bytes, &n));
    assert(n == DIGEST_BYTES);
    return d;
}

void sha256_done(struct sha256 *h) {
    EVP_MD_CTX_free(h->impl);
    h->impl = NULL;
}

struct digest digest_of(struct str bytes) {
    AUTO(sha256_done) struct sha256 h = SHA256_NONE;
    sha256_init(&h);
    sha256_update(&h, bytes.p, bytes.n);
    return sha256_final(&h);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int digest_parse_hex(struct str hex, struct digest *out) {
    struct digest d;
    if (hex.n != DIGEST_HEX_CHARS) return -EINVAL;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(hex.p[2 * i]);
        int low = hex_value(hex.p[2 * i + 1]);
        if (high < 0 || low < 0) return -EINVAL;
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = d;
    return 0;
}

int digest_parse(struct str text, struct digest *out) {
    ptrdiff_t colon = str_find(text, ':');
    if (colon <= 0) return -EINVAL;
    if (!str_starts(text, STR("sha256:"))) return -ENOTSUP;
    struct str hex = str_sub(text, (size_t)colon + 1, text.n);
    if (!str_is_hex(hex)) return -EINVAL;
    return digest_parse_hex(hex, out);
}

static char *hex_of(const uint8_t *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

char *digest_hex(const struct digest *d, char *out) { return hex_of(d->bytes, DIGEST_BYTES, out); }

char *digest_sha1_hex(struct str bytes, char *out) {
    uint8_t sum[DIGEST_SHA1_HEX_CHARS / 2];
    size_t n = 0;
    must(EVP_Q_digest(NULL, "SHA1", NULL, bytes.p, bytes.n, sum, &n));
    assert(n == sizeof sum);
    return hex_of(sum, n, out);
}

char *digest_text(const struct digest *d, char *out) {
    memcpy(out, "sha256:", 7);
    (void)digest_hex(d, out + 7);
    return out;
}

bool digest_eq(const struct digest *a, const struct digest *b) {
    return CRYPTO_memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

bool digest_eq_secret(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
