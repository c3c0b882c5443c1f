/* SPDX-License-Identifier: Apache-2.0 — str.c: comparing, cutting and reading borrowed strings. */
#include "base/str.h"

#include <errno.h>

bool str_eq(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq_nocase(struct str a, struct str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order) return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool str_starts(struct str s, struct str prefix) {
    return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix) {
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, s.n), suffix);
}

ptrdiff_t str_find(struct str s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

ptrdiff_t str_rfind(struct str s, char c) {
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

bool str_contains(struct str s, struct str needle) {
    if (needle.n == 0) return true;
    return s.n >= needle.n && memmem(s.p, s.n, needle.p, needle.n) != NULL;
}

struct str str_sub(struct str s, size_t from, size_t to) {
    if (to > s.n) to = s.n;
    if (from > to) from = to;
    return (struct str){s.p ? s.p + from : NULL, to - from}; /* NULL + 0 is undefined in C */
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct str str_trim(struct str s) {
    while (s.n && is_space(s.p[0])) s = str_sub(s, 1, s.n);
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

bool str_next(struct str *rest, char sep, struct str *out_part) {
    *out_part = STR_NONE;
    if (!rest->p) return false;
    ptrdiff_t at = str_find(*rest, sep);
    if (at < 0) {
        *out_part = *rest;
        *rest = STR_NONE;
        return true;
    }
    *out_part = str_sub(*rest, 0, (size_t)at);
    *rest = str_sub(*rest, (size_t)at + 1, rest->n);
    return true;
}

int str_u64(struct str s, uint64_t *out) {
    if (s.n == 0) return -EINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return -EINVAL;
        if (__builtin_mul_overflow(value, 10U, &value)) return -ERANGE;
        if (__builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value)) return -ERANGE;
    }
    *out = value;
    return 0;
}

int str_i64(struct str s, int64_t *out) {
    bool negative = s.n && s.p[0] == '-';
    uint64_t magnitude = 0;
    int r = str_u64(negative ? str_sub(s, 1, s.n) : s, &magnitude);
    if (r < 0) return r;
    uint64_t most = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > most) return -ERANGE;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

bool str_is_hex(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return s.n > 0;
}

uint64_t str_hash(struct str s) {
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3U;
    return h;
}
