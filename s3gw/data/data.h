/* SPDX-License-Identifier: Apache-2.0 — data.h: the bytes of objects, as chunks in one 0-db engine.
 *
 * A chunk is at most DATA_CHUNK_BYTES long, its key is the eight bytes of its id (big endian) from
 * meta_chunk_ids(). Who owns which chunk is the metadata's alone: this layer writes, reads, and
 * deletes what the metadata hands out as garbage. data_put.h writes, data_get.h reads. */
#pragma once

#include "s3gw/meta/meta.h"
#include "storage/zdb/zdb_namespace.h"

#define DATA_CHUNK_BYTES ((size_t)1 << 20)
#define DATA_KEY_BYTES   8

/* Garbage waits so long before it is deleted: somebody may have looked up its body just before. */
#define DATA_GRACE_MS         60000
#define DATA_RECLAIM_MS       10000 /* between two looks at the garbage */
#define DATA_COMPACT_PERCENT  50    /* of the data is dead: it is compacted */
#define DATA_COMPACT_DEAD_MIN ((uint64_t)64 << 20)

struct data;
struct data_options {
    const char *folder; /* made when it is missing: "data" and "index" below it */
    struct meta *meta;  /* borrowed */
    bool no_background; /* nothing is reclaimed but by data_reclaim(): for tests */
};
int data_open(const struct data_options *o, struct data **out, struct err *e) MUST_CHECK;
/* Ends the background work; from now on nothing is handed to the metadata, which may be closed.
 * Puts and gets may still be freed. NULL-safe, idempotent. */
void data_stop(struct data *d);
/* Stops, syncs, frees; no put or get may be left. NULL-safe. */
void data_close(struct data *d);

struct data_reclaimed {
    uint64_t chunks, items;
};
/* Deletes from the engine what became garbage at or before before_ms and is read by nobody. Blocks;
 * one caller at a time. */
int data_reclaim(struct data *d, uint64_t before_ms, struct data_reclaimed *out,
                 struct err *e) MUST_CHECK;

struct data_stats {
    uint64_t live_bytes, dead_bytes, file_bytes, chunks, corrupt;
};
void data_stats(struct data *d, struct data_stats *out);
