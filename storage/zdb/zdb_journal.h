/* SPDX-License-Identifier: Apache-2.0 — zdb_journal.h: the file `zdb-compact`, which says how a
 * compaction of one pair of files is finished.
 *
 * Bytes in, values out. Everything is packed and little endian; docs/formats.md shows it. Any
 * thread. */
#pragma once

#include "storage/zdb/zdb_format.h"

#include "base/buf.h"

#define ZDB_JOURNAL_HEADER_BYTES 24
#define ZDB_JOURNAL_FIX_BYTES    20
#define ZDB_JOURNAL_FIXES_MAX    (16u << 20)
#define ZDB_JOURNAL_BYTES_MAX                                                                      \
    (ZDB_JOURNAL_HEADER_BYTES + (size_t)ZDB_JOURNAL_FIXES_MAX * ZDB_JOURNAL_FIX_BYTES + 4)

/* What becomes of the fields of an entry (of the data file's record for the last one). */
enum zdb_fix_kind {
    ZDB_FIX_OFFSET,          /* its record starts at x */
    ZDB_FIX_PARENT,          /* the version before is at (x, y) */
    ZDB_FIX_NEUTRAL,         /* it names nothing (zdb_entry_neutral) */
    ZDB_FIX_PREVIOUS,        /* the entry before it starts at x */
    ZDB_FIX_PREVIOUS_RECORD, /* the record before it starts at x */
};
#define ZDB_FIX_KINDS 5

struct zdb_fix {
    enum zdb_fix_kind kind;
    uint32_t file_id, offset; /* of the entry in its index file, or the record in its data file */
    uint32_t x, y;
};

struct zdb_journal {
    uint32_t file_id; /* of the pair */
    bool has_index;   /* the index file is replaced, too */
    uint32_t fix_count;
    struct str fixes; /* encoded, fix_count of them */
};

/* Writing: begin, any number of fixes, end. out grows; -ENOSPC when there are too many. */
int zdb_journal_begin(struct buf *out, const struct zdb_journal *j) MUST_CHECK;
int zdb_journal_fix(struct buf *out, const struct zdb_fix *f) MUST_CHECK;
int zdb_journal_end(struct buf *out) MUST_CHECK;

/* Whole and strict, checksum and every fix looked at; fixes point into in. Errors: CORRUPT,
 * UNSUPPORTED (another version). */
int zdb_journal_decode(struct str in, struct zdb_journal *out, struct err *e) MUST_CHECK;
/* Fix number i of a decoded journal. */
void zdb_journal_get(const struct zdb_journal *j, uint32_t i, struct zdb_fix *out);
