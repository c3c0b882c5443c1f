/* SPDX-License-Identifier: Apache-2.0 — checksum.c: one table of S3's algorithms, and what follows
 * from it. */
#include "s3gw/checksum/checksum.h"

#include "base/base64.h"
#include "s3gw/checksum/crc.h"

#include <assert.h>
#include <errno.h>

#define HEADER_PREFIX "x-amz-checksum-"

static const struct {
    const char *name, *element, *header;
    size_t bytes;
    enum hash_kind hash; /* of those that are no CRC */
    bool crc;
    bool composite; /* is offered */
} kinds[CHECKSUM_KINDS] = {
    [CHECKSUM_CRC32] = {"CRC32", "ChecksumCRC32", HEADER_PREFIX "crc32", 4, 0, true, true},
    [CHECKSUM_CRC32C] = {"CRC32C", "ChecksumCRC32C", HEADER_PREFIX "crc32c", 4, 0, true, true},
    [CHECKSUM_CRC64NVME] = {"CRC64NVME", "ChecksumCRC64NVME", HEADER_PREFIX "crc64nvme", 8, 0, true,
                            false},
    [CHECKSUM_SHA1] = {"SHA1", "ChecksumSHA1", HEADER_PREFIX "sha1", SHA1_BYTES, HASH_SHA1, false,
                       true},
    [CHECKSUM_SHA256] = {"SHA256", "ChecksumSHA256", HEADER_PREFIX "sha256", DIGEST_BYTES,
                         HASH_SHA256, false, true},
};
static const char *const not_offered[] = {"SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"};
static const char *const type_names[] = {
    [CHECKSUM_COMPOSITE] = "COMPOSITE", [CHECKSUM_FULL_OBJECT] = "FULL_OBJECT"};

size_t checksum_bytes(enum checksum_kind kind) { return kinds[kind].bytes; }
const char *checksum_name(enum checksum_kind kind) { return kinds[kind].name; }
const char *checksum_element(enum checksum_kind kind) { return kinds[kind].element; }
const char *checksum_header(enum checksum_kind kind) { return kinds[kind].header; }

int checksum_kind_of_name(struct str name, enum checksum_kind *out) {
    for (size_t i = 0; i < CHECKSUM_KINDS; i++) {
        if (!str_eq_nocase(name, str_of(kinds[i].name))) continue;
        *out = (enum checksum_kind)i;
        return 0;
    }
    for (size_t i = 0; i < COUNT(not_offered); i++)
        if (str_eq_nocase(name, str_of(not_offered[i]))) return -ENOTSUP;
    return -EINVAL;
}

int checksum_kind_of_header(struct str header, enum checksum_kind *out) {
    struct str prefix = STR(HEADER_PREFIX);
    if (!str_eq_nocase(str_sub(header, 0, prefix.n), prefix)) return -EINVAL;
    return checksum_kind_of_name(str_sub(header, prefix.n, header.n), out);
}

const char *checksum_type_name(enum checksum_type type) { return type_names[type]; }

int checksum_type_of_name(struct str name, enum checksum_type *out) {
    for (size_t i = 0; i < COUNT(type_names); i++) {
        if (!str_eq(name, str_of(type_names[i]))) continue;
        *out = (enum checksum_type)i;
        return 0;
    }
    return -EINVAL;
}

enum checksum_type checksum_type_default(enum checksum_kind kind) {
    return kinds[kind].composite ? CHECKSUM_COMPOSITE : CHECKSUM_FULL_OBJECT;
}

bool checksum_type_allowed(enum checksum_kind kind, enum checksum_type type) {
    return type == CHECKSUM_COMPOSITE ? kinds[kind].composite : kinds[kind].crc;
}

void checksum_init(struct checksum *c, enum checksum_kind kind) {
    c->kind = kind;
    c->crc = 0;
    if (!kinds[kind].crc) hash_init(&c->hash, kinds[kind].hash);
}

void checksum_update(struct checksum *c, const void *bytes, size_t n) {
    switch (c->kind) {
    case CHECKSUM_CRC32: c->crc = crc32_add((uint32_t)c->crc, bytes, n); return;
    case CHECKSUM_CRC32C: c->crc = crc32c_add((uint32_t)c->crc, bytes, n); return;
    case CHECKSUM_CRC64NVME: c->crc = crc64nvme_add(c->crc, bytes, n); return;
    case CHECKSUM_SHA1:
    case CHECKSUM_SHA256: hash_update(&c->hash, bytes, n); return;
    case CHECKSUM_KINDS: break;
    }
    abort(); /* used before its init */
}

static void put_crc(struct checksum_value *v, uint64_t crc) {
    size_t n = kinds[v->kind].bytes;
    for (size_t i = 0; i < n; i++) v->bytes[i] = (uint8_t)(crc >> (8 * (n - 1 - i)));
}

static uint64_t get_crc(const struct checksum_value *v) {
    uint64_t crc = 0;
    for (size_t i = 0; i < kinds[v->kind].bytes; i++) crc = crc << 8 | v->bytes[i];
    return crc;
}

struct checksum_value checksum_final(struct checksum *c) {
    struct checksum_value v = {.kind = c->kind};
    if (kinds[c->kind].crc)
        put_crc(&v, c->crc);
    else
        (void)hash_final(&c->hash, v.bytes);
    return v;
}

void checksum_done(struct checksum *c) { hash_done(&c->hash); }

bool checksum_eq(const struct checksum_value *a, const struct checksum_value *b) {
    return a->kind == b->kind && memcmp(a->bytes, b->bytes, kinds[a->kind].bytes) == 0;
}

char *checksum_text(const struct checksum_value *v, char *out) {
    struct str bytes = str_make((const char *)v->bytes, kinds[v->kind].bytes);
    (void)base64_encode(BASE64_STD, bytes, out);
    return out;
}

int checksum_parse(enum checksum_kind kind, struct str text, struct checksum_value *out) {
    uint8_t bytes[BASE64_BYTES(CHECKSUM_TEXT_MAX)];
    size_t n = 0;
    if (text.n != BASE64_CHARS(kinds[kind].bytes)) return -EINVAL;
    if (base64_decode(BASE64_STD, text, bytes, &n) < 0 || n != kinds[kind].bytes) return -EINVAL;
    *out = (struct checksum_value){.kind = kind};
    memcpy(out->bytes, bytes, n);
    return 0;
}

void checksum_join(struct checksum_value *so_far, const struct checksum_value *part,
                   uint64_t part_bytes) {
    assert(kinds[part->kind].crc && so_far->kind == part->kind);
    uint64_t a = get_crc(so_far);
    uint64_t b = get_crc(part);
    if (part->kind == CHECKSUM_CRC64NVME)
        put_crc(so_far, crc64nvme_join(a, b, part_bytes));
    else if (part->kind == CHECKSUM_CRC32C)
        put_crc(so_far, crc32c_join((uint32_t)a, (uint32_t)b, part_bytes));
    else
        put_crc(so_far, crc32_join((uint32_t)a, (uint32_t)b, part_bytes));
}

struct checksum_value checksum_composite(const struct checksum_value *parts, size_t count) {
    assert(count > 0);
    AUTO(checksum_done) struct checksum c = CHECKSUM_NONE;
    checksum_init(&c, parts[0].kind);
    for (size_t i = 0; i < count; i++) {
        assert(parts[i].kind == c.kind);
        checksum_update(&c, parts[i].bytes, kinds[c.kind].bytes);
    }
    return checksum_final(&c);
}
