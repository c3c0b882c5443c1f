/* SPDX-License-Identifier: Apache-2.0 — str.h: borrowed byte strings.
 *
 * `struct str` is a pointer and a length, passed by value, never owning, not NUL-terminated,
 * possibly holding NUL bytes. Whatever crosses a parser is a str; C strings live at the system-call
 * edge (str_to_c in arena.h). Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
#define STR_ARG(s)   (int)(s).n, (s).p /* for "%.*s" */

/* A view of a C string; NULL gives the empty str. */
static inline struct str str_of(const char *c) { return (struct str){c, c ? strlen(c) : 0}; }
static inline struct str str_make(const char *p, size_t n) { return (struct str){p, n}; }

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII */
int str_cmp(struct str a, struct str b);        /* byte order, as memcmp */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Index of the first (last) c, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_rfind(struct str s, char c);
bool str_contains(struct str s, struct str needle);
/* Bytes [from, to), clamped to s. */
struct str str_sub(struct str s, size_t from, size_t to);
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* Takes the part before the first `sep` off *rest into *out_part. False when *rest was used up
 * (out_part empty). */
bool str_next(struct str *rest, char sep, struct str *out_part);
/* Decimal, whole string, no sign or space; 0 or -EINVAL / -ERANGE. */
int str_u64(struct str s, uint64_t *out);
/* Decimal with optional '-'; 0 or -EINVAL / -ERANGE. */
int str_i64(struct str s, int64_t *out);
bool str_is_hex(struct str s);   /* lower-case digits only, not empty */
uint64_t str_hash(struct str s); /* FNV-1a */
