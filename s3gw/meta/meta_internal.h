/* SPDX-License-Identifier: Apache-2.0 — meta_internal.h: what the files of s3gw/meta share.
 *
 * Numbers: `sequence` gives versions, uploads, bodies and garbage their ids out of one counter;
 * because it only rises, the newest version of a key is the one with the highest number, and
 * "history" keeps its negation (`ord`) so that an ascending walk sees the newest first. */
#pragma once

#include "base/buf.h"
#include "base/sqlite.h"
#include "s3gw/meta/meta.h"
#include "s3gw/meta/reserve.h"

#include <pthread.h>

#define META_SCHEMA_VERSION     1
#define META_WRITER_CACHE_BYTES (2 * 1024 * 1024)
#define META_READER_CACHE_BYTES (512 * 1024)
#define META_READERS_MAX        64
#define META_PATH_BYTES_MAX     4096
#define META_PAGE_BYTES         4096
#define META_WAL_BYTES          (16 * 1024 * 1024) /* of the log, then it is moved */
#define META_LEASE_IDS          1024 /* chunk ids that are made ready at a time; of 64 each row */
#define META_NUMBERS_STEP       256  /* how far the stored counter is ahead of the used ones */

extern const char meta_schema[];

/* ids: [next, end) are on disk as intents and free. */
struct meta_lease {
    uint64_t next, end;
    bool wanted;       /* somebody waits */
    uint64_t failures; /* rises with each extension that failed */
    struct err error;  /* of the last one */
};

struct meta {
    char path[META_PATH_BYTES_MAX];
    struct loop *loop; /* borrowed */
    int lock_fd;
    struct reserve *reserve; /* owned, the writer's */

    /* The writer's alone. */
    struct sqlite *db;
    uint64_t number_next, number_stored; /* of `sequence` */
    uint64_t chunk_next;                 /* stored end of all leases */
    uint32_t wal_move_pages; /* then the log is moved into the file: half of the reserve at most */
    uint32_t wal_next_pages; /* when to try next */
    uint32_t wal_last_pages; /* its length after the last batch */
    bool is_full;
    uint64_t full_looked_ms;
    pthread_t writer;
    bool has_writer;

    pthread_mutex_t mutex; /* a leaf: guards all below */
    pthread_cond_t work;   /* for the writer */
    pthread_cond_t leased; /* ids came, or cannot come */
    struct meta_op *head, *tail;
    size_t queued;
    bool closing;
    struct meta_lease lease;
    struct meta_stats stats;

    pthread_mutex_t readers_mutex; /* a leaf: guards the two lines below */
    pthread_cond_t reader_back;
    struct sqlite *idle[META_READERS_MAX];
    unsigned idle_count, opened, readers_max;
};

/* ---- one op being applied (writer thread) ---- */

struct meta_usage {
    int64_t objects, versions, bytes, uploads, upload_bytes;
};
struct meta_home { /* the bucket of an op */
    uint64_t id;
    enum meta_versioning versioning;
    bool lock_enabled;
    uint64_t quota_bytes, quota_objects;
    char owner[META_OWNER_BYTES_MAX];
    size_t owner_bytes;
};
struct meta_txn {
    struct meta *m;
    struct sqlite *db;
    struct meta_op *op;
    struct meta_home home;
    struct meta_usage usage; /* changes, written once at the end */
    struct err *e;
};

/* All verbs: 0, or -1 with *e filled; op->why set means refused, unset (META_OK) means that the
 * database failed and the transaction is lost. */
int meta_refuse(struct meta_txn *t, enum meta_why why, enum err_kind kind, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
uint64_t meta_number(struct meta_txn *t); /* a fresh one */
/* The stored counter must be ahead of every number that a transaction used; before its commit. */
int meta_numbers_store(struct meta *m, struct err *e) MUST_CHECK;

int meta_apply(struct meta_txn *t);

int meta_bucket_create(struct meta_txn *t) MUST_CHECK;
int meta_bucket_delete(struct meta_txn *t) MUST_CHECK;
int meta_bucket_set(struct meta_txn *t) MUST_CHECK;
int meta_document_set(struct meta_txn *t) MUST_CHECK;
int meta_put(struct meta_txn *t) MUST_CHECK;
int meta_delete(struct meta_txn *t) MUST_CHECK;
int meta_update(struct meta_txn *t) MUST_CHECK;
int meta_upload_begin(struct meta_txn *t) MUST_CHECK;
int meta_part_put(struct meta_txn *t) MUST_CHECK;
int meta_upload_complete(struct meta_txn *t) MUST_CHECK;
int meta_upload_abort(struct meta_txn *t) MUST_CHECK;
int meta_record_set(struct meta_txn *t) MUST_CHECK;
int meta_discard(struct meta_txn *t) MUST_CHECK;
int meta_reclaimed(struct meta_txn *t) MUST_CHECK;

/* Chunks that an op brings, or none. */
struct meta_chunks meta_op_chunks(const struct meta_op *op);

/* ---- buckets ---- */

/* Fills t->home; refuses with NO_BUCKET. */
int meta_home_find(struct meta_txn *t) MUST_CHECK;
int meta_usage_save(struct meta_txn *t) MUST_CHECK;
/* Refuses with QUOTA when what t->usage adds is over it. */
int meta_quota_check(struct meta_txn *t) MUST_CHECK;
/* 1: found, 0, -1. *out_owner (may be NULL) lives in the arena. */
int meta_bucket_id(struct sqlite *db, struct str name, uint64_t *out, struct err *e) MUST_CHECK;

/* ---- versions (meta_version.c) ---- */

/* What lists know of a version: the row of `current` or `history`. */
struct meta_row {
    uint64_t seq; /* 0: there is none */
    bool is_null, is_marker, is_current;
    uint8_t storage_class, checksum_kind;
    uint64_t modified_ms, size_bytes;
    struct meta_etag etag;
};
/* 1: found, 0: not, -1. */
int meta_row_current(struct sqlite *db, uint64_t bucket, struct str key, struct meta_row *out,
                     struct err *e) MUST_CHECK;
int meta_row_newest_old(struct sqlite *db, uint64_t bucket, struct str key, struct meta_row *out,
                        struct err *e) MUST_CHECK;
/* version: a number or META_NULL_VERSION. */
int meta_row_version(struct sqlite *db, uint64_t bucket, const struct meta_name *name,
                     struct meta_row *out, struct err *e) MUST_CHECK;
struct str meta_etag_bytes(const struct meta_etag *etag);
struct meta_etag meta_etag_of(const struct sqlite_rows *rows, int md5_column);

/* Everything of a version that is about to be made. */
struct meta_fresh {
    struct meta_row row; /* seq, flags, sizes */
    struct str owner;
    const struct meta_attributes *attributes; /* owner and kinds are not looked at */
    struct str checksums;
    uint64_t body; /* 0: data */
    struct str data;
};
/* Makes room for a new newest version of op->key by the bucket's rules: the present one becomes
 * history or goes, with a null version that is replaced. Refuses with LOCKED. *out_is_null: what
 * the new one is. cur: the row of `current`, seq 0 when there is none. */
int meta_make_room(struct meta_txn *t, const struct meta_row *cur, bool *out_is_null) MUST_CHECK;
/* Adds it as the newest. */
int meta_version_add(struct meta_txn *t, const struct meta_fresh *f) MUST_CHECK;
/* Takes one version out, its body included, when no lock is in the way. */
int meta_version_remove(struct meta_txn *t, const struct meta_row *row) MUST_CHECK;
/* The newest version of history becomes current, when it is no delete marker and nothing is. */
int meta_promote(struct meta_txn *t) MUST_CHECK;
/* Refuses with PRECONDITION or NO_KEY. */
int meta_conditions_check(struct meta_txn *t, const struct meta_conditions *c,
                          const struct meta_row *cur) MUST_CHECK;

/* ---- bodies (meta_body.c) ---- */

enum meta_form { META_FORM_CHUNKS, META_FORM_PARTS };

/* What remains of a lock that forbids shortening or removal now. */
bool meta_is_locked(const struct meta_lock *lock, uint64_t now_ms, bool bypass);

int meta_body_make(struct meta_txn *t, struct meta_chunks chunks, uint64_t *out) MUST_CHECK;
int meta_body_share(struct meta_txn *t, uint64_t body) MUST_CHECK;
int meta_body_drop(struct meta_txn *t, uint64_t body) MUST_CHECK; /* the last one makes garbage */
/* The chunks were given out and are nobody's yet; from now on they are somebody's. Refuses with
 * INVALID. */
int meta_intent_end(struct meta_txn *t, struct meta_chunks chunks) MUST_CHECK;
int meta_lease_extend(struct meta *m, struct err *e) MUST_CHECK; /* inside a transaction */
int meta_intents_to_garbage(struct meta_txn *t) MUST_CHECK;      /* of dead processes */
int meta_garbage_add(struct meta_txn *t, uint64_t id, enum meta_form form,
                     struct str list) MUST_CHECK;

/* ---- readers (meta_read.c) ---- */

struct sqlite *meta_reader_take(struct meta *m, struct err *e);
void meta_reader_give(struct meta *m, struct sqlite *db);
/* A copy into the reader's arena; sets LIMIT when it is full. */
int meta_keep(struct meta_read *r, struct str in, struct str *out, struct err *e) MUST_CHECK;
void *meta_array(struct meta_read *r, size_t count, size_t item_bytes, struct err *e);
int meta_read_refuse(struct meta_read *r, enum meta_why why,
                     const struct err *e); /* e: filled in */
/* Refuses with NO_BUCKET. */
int meta_read_bucket(struct meta_read *r, struct sqlite *db, struct str name, uint64_t *out,
                     struct err *e) MUST_CHECK;

/* Runs read(r, db, arg, e) in one view of the database. */
typedef int meta_reading(struct meta_read *r, struct sqlite *db, void *arg, struct err *e);
int meta_read_run(struct meta_read *r, meta_reading *read, void *arg, struct err *e) MUST_CHECK;

/* ---- the writer (meta_writer.c) ---- */

struct sqlite *meta_database(const struct meta *m, uint32_t cache_bytes, struct err *e);
int meta_writer_start(struct meta *m, struct err *e) MUST_CHECK;
void meta_writer_stop(struct meta *m);
