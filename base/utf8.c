/* SPDX-License-Identifier: Apache-2.0 — utf8.c */
#include "base/utf8.h"

size_t utf8_next(struct str s) {
    if (s.n == 0) return 0;
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n;
    unsigned low = 0x80; /* bounds of the second byte: table 3-7 of the Unicode standard */
    unsigned high = 0xbf;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    if (p[0] < 0xe0) {
        n = 2;
    } else if (p[0] < 0xf0) {
        n = 3;
        if (p[0] == 0xe0) low = 0xa0;
        if (p[0] == 0xed) high = 0x9f;
    } else {
        n = 4;
        if (p[0] == 0xf0) low = 0x90;
        if (p[0] == 0xf4) high = 0x8f;
    }
    if (s.n < n || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t utf8_valid_prefix(struct str s) {
    size_t at = 0;
    while (at < s.n) {
        size_t n = utf8_next(str_make(s.p + at, s.n - at));
        if (n == 0) break;
        at += n;
    }
    return at;
}
