/* SPDX-License-Identifier: Apache-2.0 — tar_sample.h: archives for tests, byte by byte, so that
 * they can be wrong in every way. Only tests include it. */
#pragma once

#include "base/buf.h"

#include <assert.h>
#include <stdio.h>

#define SAMPLE_BYTES_MAX ((size_t)16 << 20)
#define SAMPLE_BLOCK     512u

struct sample_entry {
    const char *name;
    char type;     /* ustar typeflag; 0: a regular file */
    unsigned mode; /* 0: 0644, folders 0755 */
    unsigned uid, gid;
    long long mtime;
    const char *link; /* target */
    unsigned major, minor;
    struct str data;
    unsigned long long lie_size; /* in the header instead of data.n */
};

static inline void sample_bytes(struct buf *b, const void *p, size_t n) {
    int r = buf_append(b, p, n);
    assert(r == 0);
    (void)r;
}

static inline void sample_pad(struct buf *b) {
    static const char zeros[SAMPLE_BLOCK];
    size_t over = b->n % SAMPLE_BLOCK;
    if (over) sample_bytes(b, zeros, SAMPLE_BLOCK - over);
}

static inline void sample_octal(char *field, size_t n, unsigned long long v) {
    for (size_t i = n - 1; i-- > 0; v >>= 3) field[i] = (char)('0' + (v & 7));
    field[n - 1] = '\0';
}

/* Base 256, for sizes beyond 8 GiB. */
static inline void sample_size(char field[12], unsigned long long v) {
    if (v < 1ULL << 33) {
        sample_octal(field, 12, v);
        return;
    }
    memset(field, 0, 12);
    field[0] = (char)0x80;
    for (size_t i = 12; i-- > 4; v >>= 8) field[i] = (char)(v & 0xff);
}

static inline void sample_add(struct buf *b, struct sample_entry e) {
    char h[SAMPLE_BLOCK] = {0};
    char type = e.type ? e.type : '0';
    size_t name_n = strlen(e.name);
    assert(name_n <= 100);
    memcpy(h, e.name, name_n);
    sample_octal(h + 100, 8, e.mode ? e.mode : type == '5' ? 0755 : 0644);
    sample_octal(h + 108, 8, e.uid);
    sample_octal(h + 116, 8, e.gid);
    sample_size(h + 124, e.lie_size ? e.lie_size : e.data.n);
    sample_octal(h + 136, 12, (unsigned long long)e.mtime);
    h[156] = type;
    if (e.link) memcpy(h + 157, e.link, strnlen(e.link, 100));
    memcpy(h + 257, "ustar\00000", 8);
    sample_octal(h + 329, 8, e.major);
    sample_octal(h + 337, 8, e.minor);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++) sum += (unsigned char)h[i];
    sample_octal(h + 148, 7, sum);
    sample_bytes(b, h, sizeof h);
    if (e.data.n) sample_bytes(b, e.data.p, e.data.n);
    sample_pad(b);
}

/* A pax header with one record for the entry that follows. */
static inline void sample_pax(struct buf *b, const char *key, struct str value) {
    size_t body = strlen(key) + value.n + 3; /* ' ', '=', '\n' */
    size_t n = body + 1;
    for (char digits[24]; n != body + (size_t)snprintf(digits, sizeof digits, "%zu", n);) n++;
    struct buf record = BUF(SAMPLE_BYTES_MAX);
    int r = buf_fmt(&record, "%zu %s=", n, key);
    assert(r == 0);
    (void)r;
    sample_bytes(&record, value.p, value.n);
    sample_bytes(&record, "\n", 1);
    assert(record.n == n);
    sample_add(b, (struct sample_entry){.name = "pax", .type = 'x', .data = buf_view(&record)});
    buf_done(&record);
}

static inline void sample_end(struct buf *b) {
    static const char zeros[2 * SAMPLE_BLOCK];
    sample_bytes(b, zeros, sizeof zeros);
}

/* gzip with stored blocks: one member. */
static inline void sample_gzip(struct buf *b, struct str plain) {
    static const unsigned char header[10] = {0x1f, 0x8b, 8};
    uint32_t crc = ~0u;
    for (size_t i = 0; i < plain.n; i++) {
        crc ^= (unsigned char)plain.p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    sample_bytes(b, header, sizeof header);
    size_t at = 0;
    do {
        size_t n = plain.n - at < 65535 ? plain.n - at : 65535;
        unsigned char stored[5] = {at + n == plain.n, (unsigned char)n, (unsigned char)(n >> 8),
                                   (unsigned char)~n, (unsigned char)(~n >> 8)};
        sample_bytes(b, stored, sizeof stored);
        if (n) sample_bytes(b, plain.p + at, n);
        at += n;
    } while (at < plain.n);
    unsigned char trailer[8];
    for (size_t i = 0; i < 4; i++) {
        trailer[i] = (unsigned char)(crc >> (8 * i));
        trailer[4 + i] = (unsigned char)(plain.n >> (8 * i));
    }
    sample_bytes(b, trailer, sizeof trailer);
}
