/* SPDX-License-Identifier: Apache-2.0 — key_cache.c */
#include "s3gw/auth/key_cache.h"

#define SECRET_MAX 128
#define SCOPE_MAX  96

struct slot {
    char scope[SCOPE_MAX]; /* date/region/service */
    size_t scope_bytes;    /* 0: empty */
    uint8_t secret[SECRET_MAX];
    size_t secret_bytes;
    uint8_t key[DIGEST_BYTES];
};

struct key_cache {
    struct slot slots[KEY_CACHE_SLOTS];
};

struct key_cache *key_cache_new(void) {
    return xnew(struct key_cache);
}

void key_cache_free(struct key_cache *c) {
    if (c) secret_wipe(c, sizeof *c);
    free(c);
}

/* Writes date/region/service; 0 when it is too long to be cached. */
static size_t scope_text(const struct signing_scope *s, char out[SCOPE_MAX]) {
    if (s->date.n + s->region.n + s->service.n + 2 > SCOPE_MAX || s->secret.n > SECRET_MAX)
        return 0;
    size_t n = 0;
    struct str parts[] = {s->date, STR("/"), s->region, STR("/"), s->service};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (parts[i].n) memcpy(out + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return n;
}

static size_t slot_of(const struct signing_scope *s, struct str scope) {
    return (str_hash(s->secret) ^ (str_hash(scope) * 31)) % KEY_CACHE_SLOTS;
}

static void derive(const struct signing_scope *s, uint8_t out[DIGEST_BYTES]) {
    char first[4 + SECRET_MAX] = "AWS4";
    size_t n = s->secret.n < SECRET_MAX ? s->secret.n : SECRET_MAX;
    memcpy(first + 4, s->secret.p, n);
    struct str parts[] = {s->date, s->region, s->service, STR("aws4_request")};
    struct str key = str_make(first, 4 + n);
    uint8_t value[HASH_BYTES_MAX];
    for (size_t i = 0; i < COUNT(parts); i++) {
        (void)hmac(HASH_SHA256, key, parts[i], value);
        memcpy(out, value, DIGEST_BYTES);
        key = str_make((const char *)out, DIGEST_BYTES);
    }
    secret_wipe(first, sizeof first);
    secret_wipe(value, sizeof value);
}

bool key_cache_get(const struct key_cache *c, const struct signing_scope *s,
                   uint8_t out[DIGEST_BYTES]) {
    char text[SCOPE_MAX];
    struct str scope = str_make(text, scope_text(s, text));
    const struct slot *at = &c->slots[slot_of(s, scope)];
    struct str secret = str_make((const char *)at->secret, at->secret_bytes);
    if (scope.n && str_eq(scope, str_make(at->scope, at->scope_bytes)) &&
        digest_eq_secret(secret, s->secret)) {
        memcpy(out, at->key, DIGEST_BYTES);
        return true;
    }
    derive(s, out);
    return false;
}

void key_cache_put(struct key_cache *c, const struct signing_scope *s,
                   const uint8_t key[DIGEST_BYTES]) {
    char text[SCOPE_MAX];
    size_t n = scope_text(s, text);
    if (n == 0) return;
    struct slot *at = &c->slots[slot_of(s, str_make(text, n))];
    memcpy(at->scope, text, n);
    at->scope_bytes = n;
    memcpy(at->secret, s->secret.p, s->secret.n);
    at->secret_bytes = s->secret.n;
    memcpy(at->key, key, DIGEST_BYTES);
}
