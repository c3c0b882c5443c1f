/* SPDX-License-Identifier: Apache-2.0 — data_put.h: one upload's bytes on their way to the disk.
 *
 * What came from the connection lies in one buffer, is decoded in place, and leaves as chunks when
 * one is full; so an upload needs one chunk's memory, whatever its size. META_INLINE_BYTES_MAX
 * bytes or less stay in memory and go into the metadata. One step at a time, any thread:
 * room -> (the caller fills it) -> came -> feed -> room ... -> end. */
#pragma once

#include "s3gw/body/body.h"
#include "s3gw/data/data.h"

struct data_put;
struct data_room {
    char *p;
    size_t n; /* always more than the payload that is missing, so that an end is seen */
};
/* bytes: that the payload will have, exactly. No bytes stay in memory unless may_stay: parts of an
 * upload are always chunks. */
enum data_place { DATA_MAY_STAY, DATA_CHUNKS };
struct data_put *data_put_new(struct data *d, uint64_t bytes, enum data_place place);
/* Before the first feed: hashes the payload with this one, too; stored.also is its value. */
void data_put_also(struct data_put *p, enum checksum_kind kind);
struct data_room data_put_room(struct data_put *p);
void data_put_came(struct data_put *p, size_t n);
/* Decodes and hashes what came, writes full chunks. On a worker. 0 or -1. */
int data_put_feed(struct data_put *p, struct body *body, struct s3_error *x) MUST_CHECK;
/* The body has ended: verifies it, writes the rest, waits until all of it is durable. On a worker.
 * 0 or -1. */
int data_put_end(struct data_put *p, struct body *body, struct s3_error *x) MUST_CHECK;

/* The same without a connection, for parts that are copied: hashed with MD5 and this checksum. All
 * on one worker: raw ... -> raw_end. */
struct data_put *data_put_new_raw(struct data *d, uint64_t bytes, enum checksum_kind kind);
int data_put_raw(struct data_put *p, struct str bytes, struct s3_error *x) MUST_CHECK;
int data_put_raw_end(struct data_put *p, struct s3_error *x) MUST_CHECK;

/* After end; borrowed. */
struct data_stored {
    uint64_t bytes;
    struct str data; /* .p NULL unless it is small */
    struct meta_chunks chunks;
    struct body_result result;
    struct checksum_value also;
};
const struct data_stored *data_put_stored(const struct data_put *p);
/* The metadata has the chunks now: free will not discard them. */
void data_put_taken(struct data_put *p);
/* Discards what was written and not taken: it becomes garbage. From the loop. NULL-safe. */
void data_put_free(struct data_put *p);
