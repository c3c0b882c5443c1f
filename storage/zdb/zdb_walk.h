/* SPDX-License-Identifier: Apache-2.0 — zdb_walk.h: one pass over a file through a buffer.
 *
 * Only headers and keys of records are read; payloads larger than the buffer are passed over. The
 * descriptor is borrowed. One thread. */
#pragma once

#include "storage/zdb/zdb_format.h"

#include "base/own.h"

#define ZDB_WINDOW_BYTES ((size_t)256 << 10)

struct zdb_window {
    int fd;      /* borrowed */
    uint64_t at; /* of bytes in the file */
    size_t n;
    uint64_t read_bytes; /* in all */
    char *bytes;         /* owned; made by the first use */
};
void zdb_window_done(struct zdb_window *w);
/* Up to n (at most ZDB_WINDOW_BYTES) bytes at the offset: less only at the end of the file. They
 * are valid until the next call. Tier (a). */
int zdb_window_get(struct zdb_window *w, uint64_t offset, size_t n, struct str *out) MUST_CHECK;

struct zdb_walk {
    struct zdb_window window;
    uint32_t at, end; /* the next record; where the file ends */
};
struct zdb_walked {
    struct zdb_record record;
    uint32_t at, bytes; /* where it starts, and its length in all */
    struct str key;     /* valid until the next step */
};
/* 1 and the next record, 0 at the end, -EBADMSG where no whole record is, or -errno. */
int zdb_walk_next(struct zdb_walk *w, struct zdb_walked *out) MUST_CHECK;
