/* SPDX-License-Identifier: Apache-2.0 — buf.h: a growing byte buffer with a mandatory maximum.
 *
 * Appending past the maximum fails with -ENOSPC and changes nothing. Bytes that were read are
 * dropped from the front. One thread at a time. */
#pragma once

#include "base/own.h"
#include "base/str.h"

struct buf {
    char *p; /* owned */
    size_t n;
    size_t capacity;
    size_t bytes_max;
};

#define BUF(max) ((struct buf){.bytes_max = (max)})

/* 0 or -ENOSPC. */
int buf_append(struct buf *b, const void *bytes, size_t n) MUST_CHECK;
int buf_str(struct buf *b, struct str s) MUST_CHECK;
int buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* Room for n more bytes at b->p + b->n (then add to b->n); 0 or -ENOSPC. */
int buf_reserve(struct buf *b, size_t n) MUST_CHECK;
/* Drops the first n bytes (at most all). */
void buf_consume(struct buf *b, size_t n);
static inline struct str buf_view(const struct buf *b) { return (struct str){b->p, b->n}; }
/* NUL-terminated copy of the pointer; valid until the next change. Never NULL. */
const char *buf_c(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_done(struct buf *b);
