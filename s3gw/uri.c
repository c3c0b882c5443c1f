/* SPDX-License-Identifier: Apache-2.0 — uri.c */
#include "s3gw/uri.h"

#include <errno.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int decode(struct arena *a, struct str raw, char plus, struct str *out) {
    char *to = arena_alloc(a, raw.n + 1);
    if (!to) return -ENOSPC;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];
        if (c <= ' ' || c == 0x7f) return -EINVAL;
        if (c != '%') {
            to[n++] = c == '+' ? plus : (char)c;
            continue;
        }
        int high = i + 2 < raw.n ? hex_value(raw.p[i + 1]) : -1;
        int low = i + 2 < raw.n ? hex_value(raw.p[i + 2]) : -1;
        if (high < 0 || low < 0) return -EINVAL;
        to[n++] = (char)(high << 4 | low);
        i += 2;
    }
    *out = str_make(to, n);
    return 0;
}

int uri_decode_path(struct arena *a, struct str raw, struct str *out) {
    return decode(a, raw, '+', out);
}

int uri_decode_query(struct arena *a, struct str raw, struct str *out) {
    return decode(a, raw, ' ', out);
}

static bool unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int encode(struct buf *to, struct str bytes, bool slash_stays) {
    static const char digits[] = "0123456789ABCDEF";
    if (buf_reserve(to, bytes.n) < 0) return -ENOSPC;
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];
        char escape[] = {'%', digits[(unsigned char)c >> 4], digits[c & 15]};
        bool plain = unreserved(c) || (slash_stays && c == '/');
        if (buf_append(to, plain ? &c : escape, plain ? 1 : sizeof escape) < 0) return -ENOSPC;
    }
    return 0;
}

int uri_encode(struct buf *to, struct str bytes) { return encode(to, bytes, false); }
int uri_encode_path(struct buf *to, struct str bytes) { return encode(to, bytes, true); }

static int parse_piece(struct arena *a, struct str piece, struct uri_parameter *out) {
    ptrdiff_t equals = str_find(piece, '=');
    size_t name_n = equals < 0 ? piece.n : (size_t)equals;
    out->has_equals = equals >= 0;
    int r = uri_decode_query(a, str_sub(piece, 0, name_n), &out->name);
    return r < 0 ? r : uri_decode_query(a, str_sub(piece, name_n + 1, piece.n), &out->value);
}

int uri_query_parse(struct arena *a, struct str raw, struct uri_query *out) {
    struct uri_query q = {0};
    struct str rest = raw;
    struct str piece;
    size_t pieces = 0;
    while (str_next(&rest, '&', &piece)) pieces += piece.n > 0;
    if (pieces > URI_PARAMETERS_MAX) return -E2BIG;
    q.at = arena_array(a, pieces + 1, sizeof *q.at);
    if (!q.at) return -ENOSPC;
    for (rest = raw; str_next(&rest, '&', &piece);) {
        if (piece.n == 0) continue;
        int r = parse_piece(a, piece, &q.at[q.count++]);
        if (r < 0) return r;
    }
    *out = q;
    return 0;
}

const struct uri_parameter *uri_query_get(const struct uri_query *q, const char *name) {
    for (size_t i = 0; i < q->count; i++)
        if (str_eq(q->at[i].name, str_of(name))) return &q->at[i];
    return NULL;
}

size_t uri_query_count(const struct uri_query *q, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < q->count; i++) n += str_eq(q->at[i].name, str_of(name));
    return n;
}
