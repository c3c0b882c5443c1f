/* SPDX-License-Identifier: Apache-2.0 — zdb_reserve.h: space that is kept back for a full disk.
 *
 * A file of preallocated blocks lies beside the namespaces. When a write that must go on (a
 * deletion, the index of what is acknowledged, a change in place, a copy of compaction) finds the
 * disk full, a piece of that file is given back to the file system and the write is repeated.
 * Until the file is whole again nothing new is accepted, so that only such writes live on it.
 * Any thread; one per file system and process, shared by its namespaces. */
#pragma once

#include "storage/zdb/zdb_io.h"

#include "base/err.h"

#define ZDB_RESERVE_NAME     "zdb-reserve" /* in the folder; only its size means anything */
#define ZDB_RESERVE_PERCENT  5             /* of the file system that the default takes at most */
#define ZDB_RESERVE_RETRY_MS 1000          /* between two refills that puts ask for */
#define ZDB_IO_PIECES_MAX    64            /* of one write that may be repeated */

struct zdb_reserve;

/* What a server takes unless told otherwise: one data file, at most ZDB_RESERVE_PERCENT of the
 * folder's file system. Errors: what statfs gives. */
int zdb_reserve_default(const char *folder, uint64_t data_file_bytes, uint64_t *out_bytes,
                        struct err *e) MUST_CHECK;

/* Makes or takes over FOLDER/zdb-reserve and gives it its size. 0 bytes: no reserve, and the file
 * is removed. A disk that is full already is no error: it starts incomplete. Errors: BUSY (another
 * process has it), UNSUPPORTED (a file system without fallocate), and what the folder gives. */
int zdb_reserve_open(const char *folder, uint64_t bytes, struct zdb_reserve **out,
                     struct err *e) MUST_CHECK;
/* The file stays, for the next start. After every namespace that uses it. NULL-safe. */
void zdb_reserve_close(struct zdb_reserve *r);

/* Whether new data may be accepted: it is whole, or could be refilled just now, which is tried at
 * most every ZDB_RESERVE_RETRY_MS. NULL: true. */
bool zdb_reserve_allows_puts(struct zdb_reserve *r);
/* Takes missing space back if the disk has it, and a little more than it. Returns whether the
 * reserve is whole. For a timer; blocks on the disk. NULL: true. */
bool zdb_reserve_refill(struct zdb_reserve *r);
/* After a step on fd (a file or folder) failed with the negative errno: true when that means a full
 * disk or quota, and a piece of at least `bytes` (if there is as much) was given back: repeat the
 * step. It is false in the end, as the reserve does. NULL: false. */
bool zdb_reserve_release(struct zdb_reserve *r, int fd, int error, uint64_t bytes);

struct zdb_reserve_info {
    uint64_t bytes;    /* whole */
    uint64_t held;     /* now */
    uint64_t releases; /* pieces that were given back since the start */
};
void zdb_reserve_info(struct zdb_reserve *r, struct zdb_reserve_info *out);

/* An io whose writes are repeated as long as the reserve gives something back. A sync that finds
 * the disk full is not repeated (its pages may be lost), but the next one has room. */
struct zdb_reserve_io {
    struct zdb_io io;
    struct zdb_io *below;        /* borrowed */
    struct zdb_reserve *reserve; /* borrowed */
};
void zdb_reserve_io_init(struct zdb_reserve_io *v, struct zdb_reserve *r, struct zdb_io *below);
