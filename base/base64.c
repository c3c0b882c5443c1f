/* SPDX-License-Identifier: Apache-2.0 — base64.c */
#include "base/base64.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static char char_of(enum base64_kind kind, unsigned value) {
    if (value < 62) return alphabet[value];
    if (value == 62) return kind == BASE64_STD ? '+' : '-';
    return kind == BASE64_STD ? '/' : '_';
}

static int value_of(enum base64_kind kind, char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (kind == BASE64_STD ? '+' : '-')) return 62;
    if (c == (kind == BASE64_STD ? '/' : '_')) return 63;
    return -1;
}

size_t base64_encode(enum base64_kind kind, struct str bytes, char *out) {
    const unsigned char *in = (const unsigned char *)bytes.p;
    size_t n = 0;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned group = (unsigned)in[i] << 16;
        if (left > 1) group |= (unsigned)in[i + 1] << 8;
        if (left > 2) group |= in[i + 2];
        size_t chars = left > 2 ? 4 : left + 1;
        for (size_t c = 0; c < chars; c++) out[n++] = char_of(kind, group >> (18 - 6 * c) & 63);
        for (size_t c = chars; kind == BASE64_STD && c < 4; c++) out[n++] = '=';
    }
    out[n] = '\0';
    return n;
}

int base64_decode(enum base64_kind kind, struct str text, void *out, size_t *out_n) {
    unsigned char *to = out;
    size_t n = 0;
    if (kind == BASE64_STD || (text.n && text.p[text.n - 1] == '=')) {
        if (text.n % 4) return -EINVAL;
        for (int pads = 0; pads < 2 && text.n && text.p[text.n - 1] == '='; pads++) text.n--;
    }
    if (text.n % 4 == 1) return -EINVAL;
    unsigned group = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = value_of(kind, text.p[i]);
        if (value < 0) return -EINVAL;
        group = group << 6 | (unsigned)value;
        if (i % 4 == 0) continue;
        to[n++] = (unsigned char)(group >> (6 - 2 * (i % 4)));
    }
    if (text.n % 4 == 2 && (group & 15)) return -EINVAL;
    if (text.n % 4 == 3 && (group & 3)) return -EINVAL;
    *out_n = n;
    return 0;
}
