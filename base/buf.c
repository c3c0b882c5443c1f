/* SPDX-License-Identifier: Apache-2.0 — buf.c: doubling growth up to the buffer's maximum. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define BUF_BYTES_MIN 256

int buf_reserve(struct buf *b, size_t n) {
    if (n > b->bytes_max - b->n) return -ENOSPC;
    size_t need = b->n + n + 1; /* one more for the NUL of buf_c */
    if (need <= b->capacity) return 0;
    size_t capacity = b->capacity ? b->capacity : BUF_BYTES_MIN;
    while (capacity < need) capacity *= 2;
    if (capacity > b->bytes_max + 1) capacity = b->bytes_max + 1;
    b->p = xrealloc(b->p, capacity);
    b->capacity = capacity;
    return 0;
}

int buf_append(struct buf *b, const void *bytes, size_t n) {
    int r = buf_reserve(b, n);
    if (r < 0) return r;
    if (n) memcpy(b->p + b->n, bytes, n);
    b->n += n;
    return 0;
}

int buf_str(struct buf *b, struct str s) { return buf_append(b, s.p, s.n); }

int buf_fmt(struct buf *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    int r = n < 0 ? -EINVAL : buf_reserve(b, (size_t)n);
    if (r == 0) {
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return r;
}

void buf_consume(struct buf *b, size_t n) {
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *buf_c(struct buf *b) {
    if (!b->p) return "";
    b->p[b->n] = '\0';
    return b->p;
}

void buf_clear(struct buf *b) { b->n = 0; }

void buf_done(struct buf *b) {
    free(b->p);
    b->p = NULL;
    b->n = b->capacity = 0;
}
