/* SPDX-License-Identifier: Apache-2.0 — digest.c: OpenSSL's EVP digests; nothing else of ours
 * includes its headers for hashing. */
#include "base/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>

/* Fetched once: an implicit fetch costs more than a small digest. */
static struct {
    const char *name;
    size_t bytes;
    EVP_MD *md;
    EVP_MAC_CTX *mac; /* a template without key; SHA-1 and SHA-256 */
} kinds[HASH_KINDS] = {
    [HASH_MD5] = {"MD5", 16, NULL, NULL},
    [HASH_SHA1] = {"SHA1", SHA1_BYTES, NULL, NULL},
    [HASH_SHA256] = {"SHA2-256", DIGEST_BYTES, NULL, NULL},
};
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static EVP_MAC_CTX *mac_template(EVP_MAC *mac, const char *digest) {
    char name[16];
    (void)snprintf(name, sizeof name, "%s", digest);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                           OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    if (!ctx || EVP_MAC_CTX_set_params(ctx, params) != 1) abort();
    return ctx;
}

static void fetch(void) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (!mac) abort();
    for (size_t i = 0; i < HASH_KINDS; i++) {
        kinds[i].md = EVP_MD_fetch(NULL, kinds[i].name, NULL);
        if (!kinds[i].md) abort(); /* an OpenSSL without these hashes cannot run this program */
        if (i != HASH_MD5) kinds[i].mac = mac_template(mac, kinds[i].name);
    }
    EVP_MAC_free(mac);
}

static void must(int openssl_ok) {
    if (openssl_ok != 1) abort(); /* out of memory: the process is crash-only */
}

void sha256_init(struct sha256 *h) {
    (void)pthread_once(&fetch_once, fetch);
    if (!h->impl) h->impl = EVP_MD_CTX_new();
    if (!h->impl) abort();
    must(EVP_DigestInit_ex2(h->impl, kinds[HASH_SHA256].md, NULL));
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

size_t hash_bytes(enum hash_kind kind) { return kinds[kind].bytes; }

void hash_init(struct hash *h, enum hash_kind kind) {
    (void)pthread_once(&fetch_once, fetch);
    if (!h->impl) h->impl = EVP_MD_CTX_new();
    if (!h->impl) abort();
    h->kind = kind;
    must(EVP_DigestInit_ex2(h->impl, kinds[kind].md, NULL));
}

void hash_update(struct hash *h, const void *bytes, size_t n) {
    if (n) must(EVP_DigestUpdate(h->impl, bytes, n));
}

size_t hash_final(struct hash *h, uint8_t out[HASH_BYTES_MAX]) {
    unsigned n = 0;
    must(EVP_DigestFinal_ex(h->impl, out, &n));
    assert(n == kinds[h->kind].bytes);
    return n;
}

void hash_done(struct hash *h) {
    EVP_MD_CTX_free(h->impl);
    h->impl = NULL;
}

size_t hmac(enum hash_kind kind, struct str key, struct str message, uint8_t out[HASH_BYTES_MAX]) {
    (void)pthread_once(&fetch_once, fetch);
    assert(kinds[kind].mac);
    size_t n = 0;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(kinds[kind].mac);
    if (!ctx) abort();
    /* NULL would mean the key of before. */
    must(EVP_MAC_init(ctx, (const unsigned char *)(key.n ? key.p : ""), key.n, NULL));
    if (message.n) must(EVP_MAC_update(ctx, (const unsigned char *)message.p, message.n));
    must(EVP_MAC_final(ctx, out, &n, HASH_BYTES_MAX));
    EVP_MAC_CTX_free(ctx);
    assert(n == kinds[kind].bytes);
    return n;
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

char *hex_encode(const void *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

char *digest_sha1_hex(struct str bytes, char *out) {
    uint8_t sum[DIGEST_SHA1_HEX_CHARS / 2];
    size_t n = 0;
    must(EVP_Q_digest(NULL, "SHA1", NULL, bytes.p, bytes.n, sum, &n));
    assert(n == sizeof sum);
    return hex_encode(sum, n, out);
}

char *digest_hex(const struct digest *d, char *out) {
    return hex_encode(d->bytes, DIGEST_BYTES, out);
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

void secret_wipe(void *p, size_t n) { OPENSSL_cleanse(p, n); }
