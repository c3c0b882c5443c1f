/* SPDX-License-Identifier: Apache-2.0 — zdb_compact.h: what the files of compaction share. Nobody
 * else includes it. zdb_compact.c says how they work together. */
#pragma once

#include "storage/zdb/zdb_internal.h"
#include "storage/zdb/zdb_journal.h"
#include "storage/zdb/zdb_rate.h"
#include "storage/zdb/zdb_walk.h"

#define ZDB_KEEPS_MAX  (8u << 20) /* records that stay in a file; more: it is left alone */
#define ZDB_EVENTS_MAX (8u << 20) /* values of the file that are replaced meanwhile; the same */

enum {
    ZDB_KEEP_LIVE = 1,      /* its key's present value */
    ZDB_KEEP_TOMBSTONE = 2, /* a deletion: no entry names it */
    ZDB_KEEP_GARBAGE = 4,   /* deleted since it was planned */
};

/* A record of the file that stays. */
struct zdb_keep {
    uint32_t record, bytes; /* where it starts, and its length in all */
    uint32_t new_record;
    uint32_t entry_file, entry_at; /* the index entry that names it */
    uint32_t new_entry;            /* `user`: in the new index file */
    uint32_t flags;
};

/* An index entry whose version before is the entry at parent_at in the file's index; 0: is none any
 * more. */
struct zdb_link {
    uint32_t file_id, at;
    uint32_t parent_at;
};

/* How fast, how far, and whether to go on. */
struct zdb_pace {
    const struct zdb_compact_options *options;
    struct zdb_progress progress;
    struct zdb_rate rate;
    uint64_t unpaid_bytes;
};
/* After that many bytes were read or written: waits as the rate demands, asks. CANCELLED. */
int zdb_pace_step(struct zdb_pace *p, uint64_t bytes, struct err *e) MUST_CHECK;

/* One pair being compacted. */
struct zdb_compaction {
    struct zdb_namespace *ns;
    struct zdb_pace *pace; /* borrowed; NULL once the journal is written */
    uint32_t file_id;
    bool is_user, keeps_tombstones;
    uint32_t versions_max;
    uint64_t generation, look;  /* of the namespace when it was begun */
    struct zdb_data_file *data; /* held */
    int index_fd;               /* owned: another descriptor of the index file */
    uint32_t data_end, index_end;

    struct zdb_keep *keeps; /* owned, by record */
    size_t keep_count, keep_capacity;
    struct zdb_link *links; /* owned, by place once planned */
    size_t link_count, link_capacity;
    struct zdb_table seen; /* keys whose versions were followed: hash, a record of the key */

    int new_data_fd, new_index_fd; /* owned */
    uint32_t new_data_end, new_index_end;
    uint32_t last_record, last_entry; /* `previous` of what comes behind the file */
    struct buf journal;
    size_t moved;    /* keeps whose slot in the key table is right */
    bool is_swapped; /* in memory */
};

/* ---- zdb_compact_plan.c ---- */

/* Which records stay. Errors: BUSY (the namespace was undone or emptied), CORRUPT (the file is left
 * alone), LIMIT, CANCELLED, IO. */
int zdb_compact_plan(struct zdb_compaction *c, struct err *e) MUST_CHECK;
/* The keep of the record, or of the entry; NULL: it goes. Tombstones are not found. */
struct zdb_keep *zdb_keep_of_record(const struct zdb_compaction *c, uint32_t record);
struct zdb_keep *zdb_keep_of_entry(const struct zdb_compaction *c, uint32_t entry_at);
bool zdb_is_cut(const struct zdb_compaction *c, uint32_t file_id, uint32_t at);
void zdb_compact_link(struct zdb_compaction *c, struct zdb_link link);
/* Lock held (read): takes in what was replaced and deleted since the file is watched. */
void zdb_compact_catch_up(struct zdb_compaction *c);
/* Lock held (read): whether every present value of the file is among the keeps. */
bool zdb_compact_has_all(const struct zdb_compaction *c);
/* Lock held (write): what the look found, so that the next is made when it is worth it. */
void zdb_compact_remember(const struct zdb_compaction *c);

/* ---- zdb_compact_copy.c ---- */

/* Writes the new files, synced with their names. Errors: as plan. */
int zdb_compact_copy(struct zdb_compaction *c, struct err *e) MUST_CHECK;
/* Entries that were superseded since get their flag. */
int zdb_compact_mark(struct zdb_compaction *c, struct err *e) MUST_CHECK;
void zdb_compact_unlink(struct zdb_namespace *ns, uint32_t file_id); /* the new files */

/* ---- zdb_compact_swap.c ---- */

/* Puts the new files in place. Takes c over (NULL then) when it could be begun but not finished. */
int zdb_compact_swap(struct zdb_compaction **c, struct err *e) MUST_CHECK;
