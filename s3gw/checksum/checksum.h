/* SPDX-License-Identifier: Apache-2.0 — checksum.h: the checksums that S3 requests carry and
 * objects keep.
 *
 * A value is the raw digest, big endian for CRCs; on the wire it is its base64. FULL_OBJECT is the
 * checksum of an object's bytes, COMPOSITE the checksum of the parts' raw checksums followed by
 * "-" and their number. Any thread; one thread at a time for each object.
 * Source: Amazon S3 user guide, "Checking object integrity in Amazon S3". The algorithms that AWS
 * added in 2026 (SHA512, MD5, XXHASH*) are not offered: their names are UNSUPPORTED. */
#pragma once

#include "base/digest.h"
#include "base/err.h"

enum checksum_kind {
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    CHECKSUM_KINDS
};
enum checksum_type { CHECKSUM_COMPOSITE, CHECKSUM_FULL_OBJECT };

#define CHECKSUM_BYTES_MAX DIGEST_BYTES
#define CHECKSUM_TEXT_MAX  44 /* base64 of the longest value */

struct checksum_value {
    enum checksum_kind kind;
    uint8_t bytes[CHECKSUM_BYTES_MAX]; /* checksum_bytes(kind) of them */
};

size_t checksum_bytes(enum checksum_kind kind);
const char *checksum_name(enum checksum_kind kind);    /* "CRC32" */
const char *checksum_element(enum checksum_kind kind); /* "ChecksumCRC32", in XML */
const char *checksum_header(enum checksum_kind kind);  /* "x-amz-checksum-crc32" */
/* "CRC32", case as AWS takes it: any. 0, -EINVAL (no such algorithm) or -ENOTSUP (one of AWS's that
 * is not offered). */
int checksum_kind_of_name(struct str name, enum checksum_kind *out) MUST_CHECK;
/* "x-amz-checksum-crc32", any case; results as above. */
int checksum_kind_of_header(struct str header, enum checksum_kind *out) MUST_CHECK;

const char *checksum_type_name(enum checksum_type type); /* "COMPOSITE", "FULL_OBJECT" */
int checksum_type_of_name(struct str name, enum checksum_type *out) MUST_CHECK; /* or -EINVAL */
/* What a multipart upload has when the request does not say. */
enum checksum_type checksum_type_default(enum checksum_kind kind);
bool checksum_type_allowed(enum checksum_kind kind, enum checksum_type type);

/* An incremental computation: init, update*, final; done at any time, also twice. */
struct checksum {
    enum checksum_kind kind;
    uint64_t crc;
    struct hash hash; /* of SHA1 and SHA256 */
};
#define CHECKSUM_NONE ((struct checksum){.hash = HASH_NONE})
void checksum_init(struct checksum *c, enum checksum_kind kind); /* also starts over */
void checksum_update(struct checksum *c, const void *bytes, size_t n);
struct checksum_value checksum_final(struct checksum *c);
void checksum_done(struct checksum *c);

/* Equality; kinds too. */
bool checksum_eq(const struct checksum_value *a, const struct checksum_value *b);
/* Base64 and a NUL into out (CHECKSUM_TEXT_MAX + 1 bytes); returns it. */
char *checksum_text(const struct checksum_value *v, char *out);
/* Exactly the base64 of a value of this kind; 0 or -EINVAL. */
int checksum_parse(enum checksum_kind kind, struct str text, struct checksum_value *out) MUST_CHECK;

/* The FULL_OBJECT value of `so_far` followed by a part; CRCs only (asserted). The value of nothing
 * is checksum_final() right after checksum_init(). */
void checksum_join(struct checksum_value *so_far, const struct checksum_value *part,
                   uint64_t part_bytes);
/* The COMPOSITE value without its "-N": of count parts of the same kind, in order. */
struct checksum_value checksum_composite(const struct checksum_value *parts, size_t count);
