/* SPDX-License-Identifier: Apache-2.0 — chunk_list.h: lists of chunks and of parts as bytes.
 *
 * Both are rows of variable-length numbers (seven bits a byte, low ones first, the top bit says
 * that more follow). A chunk list is runs of consecutive ids of one size: how far the first id is
 * from the one expected (zigzag), how many, their size. A part list is, for each part, how far its
 * number is from the one before, and its size. No I/O, any thread. */
#pragma once

#include "base/buf.h"
#include "s3gw/meta/meta.h"

#define CHUNK_LIST_BYTES_MAX ((size_t)META_CHUNKS_MAX * 16)
#define PART_LIST_BYTES_MAX  ((size_t)META_PARTS_MAX * 12)

/* 0 or -ENOSPC. */
int chunk_list_encode(struct meta_chunks chunks, struct buf *out) MUST_CHECK;

struct chunk_list {
    struct str rest;
    uint64_t id;   /* of the next chunk */
    uint64_t left; /* of the run */
    uint32_t size_bytes;
    size_t seen;
};
#define CHUNK_LIST(bytes) ((struct chunk_list){.rest = (bytes)})
/* 1 and a chunk, 0 at the end, -EINVAL: these bytes are no list. */
int chunk_list_next(struct chunk_list *l, struct meta_chunk *out) MUST_CHECK;

/* 0 or -ENOSPC. after: the number before, 0 at the beginning. */
int part_list_add(struct buf *out, uint32_t after, uint32_t number, uint64_t size_bytes) MUST_CHECK;

struct part_list {
    struct str rest;
    uint32_t number;
    uint64_t offset, size_bytes; /* of the present part */
};
#define PART_LIST(bytes) ((struct part_list){.rest = (bytes)})
/* 1: number, offset, size_bytes are those of the next part; 0 at the end; -EINVAL. */
int part_list_next(struct part_list *l) MUST_CHECK;
