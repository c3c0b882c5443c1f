/* SPDX-License-Identifier: Apache-2.0 — arena.c: blocks of at least 16 KiB, newest first. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#define ARENA_BLOCK_BYTES (16 * 1024)
#define ARENA_ALIGN       _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    size_t used;
    _Alignas(max_align_t) char bytes[];
};

void *arena_alloc(struct arena *a, size_t bytes) {
    if (bytes > a->bytes_max) return NULL;
    size_t need = (bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (need > a->bytes_max - a->used_bytes) return NULL;
    struct arena_block *block = a->blocks;
    if (!block || block->capacity - block->used < need) {
        size_t capacity = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
        block = xmalloc(sizeof *block + capacity);
        block->capacity = capacity;
        block->next = a->blocks;
        a->blocks = block;
    }
    void *p = block->bytes + block->used;
    block->used += need;
    a->used_bytes += need;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t item_bytes) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, item_bytes, &bytes)) return NULL;
    return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s) {
    if (s.n == SIZE_MAX) return STR_NONE;
    char *p = arena_alloc(a, s.n + 1);
    if (!p) return STR_NONE;
    if (s.n) memcpy(p, s.p, s.n);
    return (struct str){p, s.n};
}

char *arena_strdup(struct arena *a, const char *s) {
    struct str copy = arena_str(a, str_of(s));
    return (char *)(uintptr_t)copy.p;
}

char *arena_fmt(struct arena *a, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *out = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (out) (void)vsnprintf(out, (size_t)n + 1, fmt, again);
    va_end(again);
    return out;
}

char *str_to_c(struct arena *a, struct str s) {
    if (s.n && memchr(s.p, '\0', s.n)) return NULL;
    struct str copy = arena_str(a, s);
    return (char *)(uintptr_t)copy.p;
}

void arena_done(struct arena *a) {
    if (!a) return;
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->blocks = NULL;
    a->used_bytes = 0;
}
