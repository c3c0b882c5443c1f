/* SPDX-License-Identifier: Apache-2.0 — chunk_list.c: see chunk_list.h. */
#include "s3gw/meta/chunk_list.h"

#include <errno.h>

#define NUMBER_BYTES_MAX 10 /* 64 bits, seven a byte */

static int put_number(struct buf *out, uint64_t v) {
    uint8_t bytes[NUMBER_BYTES_MAX];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return buf_append(out, bytes, n);
}

static int get_number(struct str *rest, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < rest->n && i < NUMBER_BYTES_MAX; i++) {
        uint8_t byte = (uint8_t)rest->p[i];
        if (i == NUMBER_BYTES_MAX - 1 && byte > 1) return -EINVAL;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80) continue;
        *rest = str_sub(*rest, i + 1, rest->n);
        *out = v;
        return 0;
    }
    return -EINVAL;
}

static uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0);
}
static uint64_t unzigzag(uint64_t v) { return v >> 1 ^ (v & 1 ? UINT64_MAX : 0); }

/* ---- chunks ---- */

int chunk_list_encode(struct meta_chunks chunks, struct buf *out) {
    uint64_t expected = 0;
    for (size_t i = 0; i < chunks.count;) {
        const struct meta_chunk *first = &chunks.p[i];
        size_t n = 1;
        while (i + n < chunks.count && chunks.p[i + n].id == first->id + n &&
               chunks.p[i + n].size_bytes == first->size_bytes)
            n++;
        if (put_number(out, zigzag(first->id - expected)) < 0 || put_number(out, n - 1) < 0 ||
            put_number(out, first->size_bytes) < 0)
            return -ENOSPC;
        expected = first->id + n;
        i += n;
    }
    return 0;
}

static int next_run(struct chunk_list *l) {
    uint64_t difference, more, size;
    if (get_number(&l->rest, &difference) < 0 || get_number(&l->rest, &more) < 0 ||
        get_number(&l->rest, &size) < 0)
        return -EINVAL;
    if (more >= META_CHUNKS_MAX || size > UINT32_MAX) return -EINVAL;
    l->id += unzigzag(difference);
    l->left = more + 1;
    l->size_bytes = (uint32_t)size;
    return 0;
}

int chunk_list_next(struct chunk_list *l, struct meta_chunk *out) {
    if (l->left == 0) {
        if (l->rest.n == 0) return 0;
        if (next_run(l) < 0) return -EINVAL;
    }
    if (++l->seen > META_CHUNKS_MAX) return -EINVAL;
    *out = (struct meta_chunk){l->id++, l->size_bytes};
    l->left--;
    return 1;
}

/* ---- parts ---- */

int part_list_add(struct buf *out, uint32_t after, uint32_t number, uint64_t size_bytes) {
    if (put_number(out, number - after) < 0) return -ENOSPC;
    return put_number(out, size_bytes);
}

int part_list_next(struct part_list *l) {
    if (l->rest.n == 0) return 0;
    uint64_t step, size;
    if (get_number(&l->rest, &step) < 0 || get_number(&l->rest, &size) < 0) return -EINVAL;
    if (step == 0 || step > META_PARTS_MAX || l->number + step > META_PARTS_MAX) return -EINVAL;
    if (l->offset + l->size_bytes > UINT64_MAX - size) return -EINVAL;
    l->offset += l->size_bytes;
    l->number += (uint32_t)step;
    l->size_bytes = size;
    return 1;
}
