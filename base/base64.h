/* SPDX-License-Identifier: Apache-2.0 — base64.h: base64, standard and URL-safe, strict.
 *
 * Source: RFC 4648 sections 4 and 5. Any thread. */
#pragma once

#include "base/own.h"
#include "base/str.h"

enum base64_kind {
    BASE64_STD, /* '+' '/', padded */
    BASE64_URL, /* '-' '_', not padded; padding is accepted by the decoder */
};

#define BASE64_CHARS(n)     (((n) + 2) / 3 * 4) /* upper bound of the text for n bytes */
#define BASE64_BYTES(chars) (((chars) + 3) / 4 * 3)

/* Writes the text and a NUL into out (BASE64_CHARS(bytes.n) + 1 bytes); returns its length. */
size_t base64_encode(enum base64_kind kind, struct str bytes, char *out);
/* Decodes into out (BASE64_BYTES(text.n) bytes) and gives the count. -EINVAL for foreign
 * characters, white space, wrong length or padding, and bits that are not zero behind the end: each
 * value has one text. */
int base64_decode(enum base64_kind kind, struct str text, void *out, size_t *out_n) MUST_CHECK;
