/* SPDX-License-Identifier: Apache-2.0 — digest.h: SHA-256 and the "sha256:<hex>" notation.
 *
 * OpenSSL's EVP behind one wrapper; the algorithm is fetched once per process. Any thread; one
 * thread at a time for each `struct sha256`. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#define DIGEST_BYTES      32
#define DIGEST_HEX_CHARS  64
#define DIGEST_TEXT_CHARS (7 + DIGEST_HEX_CHARS) /* "sha256:" and the hex digits */

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

/* An incremental computation. init, update*, final; done may be called at any time, also twice. */
struct sha256 {
    void *impl; /* owned */
};
#define SHA256_NONE ((struct sha256){NULL})
void sha256_init(struct sha256 *h); /* also starts over */
void sha256_update(struct sha256 *h, const void *bytes, size_t n);
struct digest sha256_final(struct sha256 *h); /* afterwards init or done */
void sha256_done(struct sha256 *h);

/* In one call. */
struct digest digest_of(struct str bytes);

/* Parses "sha256:" followed by 64 lower-case hex digits, exactly. 0 or -EINVAL; -ENOTSUP when it
 * names another algorithm. Source: OCI image-spec v1.1.1 descriptor.md, "Digests". */
int digest_parse(struct str text, struct digest *out) MUST_CHECK;
/* 64 hex digits, either case. 0 or -EINVAL. */
int digest_parse_hex(struct str hex, struct digest *out) MUST_CHECK;
/* Writes the text and a NUL. out has DIGEST_TEXT_CHARS + 1 (DIGEST_HEX_CHARS + 1) bytes; returns
 * it. */
char *digest_text(const struct digest *d, char *out);
char *digest_hex(const struct digest *d, char *out);
/* In constant time. */
bool digest_eq(const struct digest *a, const struct digest *b);
/* Equality of secrets in a time that depends on the lengths only. */
bool digest_eq_secret(struct str a, struct str b);

#define DIGEST_SHA1_HEX_CHARS 40
/* SHA-1 as lower-case hex digits and a NUL, for protocols that name it (0-db's challenges) and for
 * nothing new. out has DIGEST_SHA1_HEX_CHARS + 1 bytes; returns it. */
char *digest_sha1_hex(struct str bytes, char *out);
