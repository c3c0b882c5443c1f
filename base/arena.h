/* SPDX-License-Identifier: Apache-2.0 — arena.h: memory of one request, freed whole.
 *
 * An arena grows in blocks up to a mandatory limit; what is over the limit is refused with NULL, so
 * that a peer can never make a daemon allocate without bound. Nothing is freed singly. One thread
 * at a time. */
#pragma once

#include "base/own.h"
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* owned */
    size_t used_bytes;          /* given out, all blocks */
    size_t bytes_max;
};

#define ARENA(max) ((struct arena){.bytes_max = (max)})

/* Zeroed and aligned for any type, or NULL when the limit would be passed. */
void *arena_alloc(struct arena *a, size_t bytes) MUST_CHECK;
/* The same for an array; NULL on overflow of the product too. */
void *arena_array(struct arena *a, size_t count, size_t item_bytes) MUST_CHECK;
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* Copies; NULL when over the limit. arena_str keeps NUL bytes and adds a terminating NUL outside of
 * the length. */
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
struct str arena_str(struct arena *a, struct str s) MUST_CHECK; /* .p == NULL when over the limit */
char *arena_fmt(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
/* A C string for a system call; NULL when s holds a NUL byte or the limit is reached. */
char *str_to_c(struct arena *a, struct str s) MUST_CHECK;

/* Frees everything; the arena can be used again. NULL-safe. */
void arena_done(struct arena *a);
