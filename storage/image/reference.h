/* SPDX-License-Identifier: Apache-2.0 — reference.h: names of images as people write them.
 *
 * "nginx" is docker.io/library/nginx:latest; a digest wins over a tag. Bytes in, views out: nothing
 * is fetched or looked up. Any thread. Source: the grammar of distribution's reference package as
 * its documentation states it (domain, path components, tag, digest) and image-spec descriptor.md
 * (digests). */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define REFERENCE_NAME_BYTES_MAX 255
#define REFERENCE_TAG_BYTES_MAX  128
#define REFERENCE_BYTES_MAX      512
#define REFERENCE_DIGEST_BYTES   71 /* "sha256:" and 64 hex digits */

struct reference {
    struct str host;   /* "docker.io", "localhost:5000", "[::1]:5000" */
    struct str path;   /* "library/nginx" */
    struct str name;   /* host/path */
    struct str tag;    /* "latest"; empty when there is a digest, which wins */
    struct str digest; /* "sha256:..." or empty */
    struct str full;   /* "docker.io/library/nginx:latest" or "...@sha256:..." */
};

/* All members live in a. INVALID with a text that says which rule s breaks; LIMIT: a is full. */
int reference_parse(struct arena *a, struct str s, struct reference *out, struct err *e) MUST_CHECK;

/* "sha256:" and 64 lower-case hex digits, the only algorithm that registries serve. */
bool reference_is_digest(struct str s);
/* An image id: a digest, or 12 to 64 hex digits of one. *out_hex is the digits' part of s. */
bool reference_is_id(struct str s, struct str *out_hex);
