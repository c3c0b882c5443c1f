/* SPDX-License-Identifier: Apache-2.0 — zdb_namespace.h: one 0-db namespace as a library.
 *
 * Any thread, any number of threads at once: reads run beside each other, writes one after the
 * other. A write is in the files when its call returns (with buffer_bytes: when zdb_commit() has),
 * and durable when zdb_commit() of its ticket has returned 0: acknowledge nothing before it.
 * Everything blocks on the disk only.
 * Source: 0-db 2.0.7; docs/formats.md; differences are listed in storage/zdb/README.md. */
#pragma once

#include "storage/zdb/zdb_format.h"
#include "storage/zdb/zdb_io.h"

#include "base/buf.h"

enum zdb_durability {
    ZDB_ALWAYS,   /* zdb_commit() waits for the disk; many callers share one sync */
    ZDB_INTERVAL, /* a thread syncs every interval_ms; zdb_commit() does not wait */
    ZDB_NEVER,    /* the kernel decides */
};

#define ZDB_DATA_FILE_BYTES     ((uint64_t)256 << 20) /* 0-db's default */
#define ZDB_DATA_FILE_BYTES_MAX ((uint64_t)UINT32_MAX - 4096)
#define ZDB_FILES_MAX           65536 /* data files of a namespace; both files of each stay open */

struct zdb_reserve;

struct zdb_options {
    const char *data_path; /* folders of this namespace; made when they are missing */
    const char *index_path;
    struct str name;                /* for a new namespace's descriptor */
    enum zdb_mode mode;             /* of a new namespace; an existing one keeps its own */
    enum zdb_durability durability; /* unless zdb_configure() has set another, as interval_ms */
    uint32_t interval_ms;           /* for ZDB_INTERVAL; at least 1 */
    uint64_t data_file_bytes;       /* a data file that would pass this is ended; 0: the default */
    /* So many bytes of small writes wait in memory and go to the files with one call: at the latest
     * when zdb_commit() or zdb_write_out() returns, and before anybody reads them. Their space is
     * set aside first, so that a full disk still refuses the put that does not fit. 0: none wait.
     */
    uint32_t buffer_bytes;
    struct zdb_io *io; /* NULL: the real calls; borrowed */
    /* Space for what must go on when the disk is full (zdb_reserve.h); borrowed. NULL: none. */
    struct zdb_reserve *reserve;
    /* Called for what recovery repaired or found corrupt; one sentence. May be NULL. From the
     * thread that opened, or that met an I/O error. Must not call back. */
    void (*report)(void *user, const char *text);
    void *user;
};

struct zdb_namespace;

/* Opens the namespace, alone: a second opening gives BUSY. Torn ends of the last files are cut.
 * Errors: CORRUPT, UNSUPPORTED, BUSY, LIMIT, IO, and what the folders give. */
int zdb_open(const struct zdb_options *o, struct zdb_namespace **out, struct err *e) MUST_CHECK;
/* Syncs (unless ZDB_NEVER) and frees; nobody may be in a call. -1: the last writes may not be on
 * the disk; it is closed all the same. NULL-safe. */
int zdb_close(struct zdb_namespace *ns, struct err *e) MUST_CHECK;

struct zdb_info {
    enum zdb_mode mode;
    uint64_t entries;    /* live keys */
    uint64_t live_bytes; /* their payload */
    uint64_t max_bytes;  /* 0: no limit */
    uint64_t next_id;    /* of `seq` mode: entries that were ever written to the index */
    uint64_t syncs;      /* group commits that were done */
    uint64_t corrupt;    /* reads that met a wrong checksum */
    uint32_t file_id;    /* current */
    uint32_t data_end;   /* of the current data file */
    uint64_t data_bytes; /* of all files */
    uint64_t index_bytes;
    uint64_t memory_bytes; /* of the key table */
    uint64_t dead_bytes;   /* what compaction would return of the data files, estimated */
    enum zdb_durability durability;
    uint32_t interval_ms, versions_max;
    bool is_worm, is_public;
};
void zdb_info(struct zdb_namespace *ns, struct zdb_info *out);

#define ZDB_KEEP_ALL UINT32_MAX

/* Settings that outlive a restart. */
struct zdb_settings {
    struct str password; /* empty: none; borrowed */
    uint64_t max_bytes;  /* 0: no limit */
    bool is_public, is_worm;
    enum zdb_durability durability;
    uint32_t interval_ms;  /* for ZDB_INTERVAL */
    uint32_t versions_max; /* superseded versions of a key that compaction leaves in HISTORY;
                            * ZDB_KEEP_ALL, the default: all */
};
/* password: valid until the next zdb_configure(). */
void zdb_settings(struct zdb_namespace *ns, struct zdb_settings *out);
/* Durable when it returns. Another durability counts at once, and everything written before is
 * durable by then. A durability or versions_max that was never changed keeps following zdb_options.
 * Errors: INVALID (password, interval), IO; then nothing is changed. */
int zdb_configure(struct zdb_namespace *ns, const struct zdb_settings *s, struct err *e) MUST_CHECK;

/* ---- writing ---- */

struct zdb_put {
    struct str key; /* user: 1 to 255 bytes. seq: empty makes a key, 8 bytes name one that exists */
    struct str payload; /* at most ZDB_PAYLOAD_BYTES_MAX */
    uint32_t time_s;
};
struct zdb_put_result {
    uint64_t id;     /* seq: the key */
    uint64_t ticket; /* for zdb_commit() */
    bool unchanged;  /* the key has this very payload: nothing was written */
};
/* Errors: INVALID (key, payload), NOT_FOUND (seq: no such id), DENIED (worm), LIMIT (max_bytes, the
 * disk is full, or the reserve is not whole), IO. After an error nothing of it is visible. */
int zdb_put(struct zdb_namespace *ns, const struct zdb_put *put, struct zdb_put_result *out,
            struct err *e) MUST_CHECK;
/* Errors: NOT_FOUND, DENIED (worm), LIMIT (the disk is full and the reserve used up), IO. */
int zdb_delete(struct zdb_namespace *ns, struct str key, uint32_t time_s, uint64_t *out_ticket,
               struct err *e) MUST_CHECK;
/* Waits until everything up to the ticket is durable. -1: the disk failed; everything that was not
 * yet durable is undone (or, for deletes and `seq` updates, may be there), and the namespace goes
 * on. With INTERVAL and NEVER it only sees to it that the write is in the files, so that a kill
 * does not take it; -1: it could not be written, and is undone, or an earlier sync failed (told
 * once). A ticket that failed stays failed, whoever asks. */
int zdb_commit(struct zdb_namespace *ns, uint64_t ticket, struct err *e) MUST_CHECK;
/* What waits in memory goes to the files; everything stays as it is after an error. */
int zdb_write_out(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Syncs now, whatever the durability. */
int zdb_sync(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Ends the current files and starts the next ones (0-db's NSJUMP). */
int zdb_jump(struct zdb_namespace *ns, struct err *e) MUST_CHECK;

/* Takes everything out (0-db's FLUSH), crash-safely: when it returns 0 it is gone, whatever happens
 * next; the next opening, or the next write, finishes it when it was interrupted. Values that were
 * found stay readable; settings stay. mode: of the emptied namespace. Errors: DENIED (worm), IO,
 * LIMIT (ENOSPC). After an error it may be empty all the same, and writes may be refused until it
 * is. */
int zdb_flush(struct zdb_namespace *ns, enum zdb_mode mode, struct err *e) MUST_CHECK;

/* ---- reading ---- */

/* A version of a key, found but not yet read. It pins its data file: its bytes do not move until
 * zdb_value_done(), whatever compaction or zdb_flush() do meanwhile. */
struct zdb_data_file;
struct zdb_value {
    struct zdb_data_file *file; /* held; NULL: the index names a file that is not there */
    char *copy;                 /* owned; of a payload that cannot be written to the file */
    uint32_t data_id;
    uint32_t offset; /* of the payload in its data file */
    uint32_t payload_bytes;
    uint32_t crc;
    uint32_t cursor_crc; /* what a zdb_cursor at this entry has as crc */
    uint32_t time_s;
    uint32_t index_id; /* its index entry: the cursor of zdb_history() and of scans */
    uint32_t index_offset;
    uint32_t parent_id; /* both 0: there is no earlier version */
    uint32_t parent_offset;
};

/* Gives the pin back; idempotent, and right for a zeroed value. Any thread. */
void zdb_value_done(struct zdb_value *v);

/* Errors: NOT_FOUND, CORRUPT (the index entry cannot be read), IO. out is the caller's to give to
 * zdb_value_done(); one that is pinned already must be given back first. */
int zdb_find(struct zdb_namespace *ns, struct str key, struct zdb_value *out,
             struct err *e) MUST_CHECK;
/* The version at (file_id, offset), as parent_* of a later one or a HISTORY cursor names it; it
 * must be of this key. out as with zdb_find(). Errors: INVALID (there is no such version of it),
 * IO. */
int zdb_history(struct zdb_namespace *ns, struct str key, uint32_t file_id, uint32_t offset,
                struct zdb_value *out, struct err *e) MUST_CHECK;
/* Appends the payload to out (whose maximum must allow it), its checksum verified.
 * Errors: CORRUPT, LIMIT (out is too small; asks for nothing then), IO. */
int zdb_read(struct zdb_namespace *ns, struct str key, const struct zdb_value *v, struct buf *out,
             struct err *e) MUST_CHECK;
/* Reads the payload through once and compares its checksum: the step before zdb_read_range(), so
 * that no byte of a corrupt value leaves. Errors: CORRUPT, IO. */
int zdb_check(struct zdb_namespace *ns, struct str key, const struct zdb_value *v,
              struct err *e) MUST_CHECK;
struct zdb_range {
    uint32_t from;
    uint32_t n;
};
/* A part of a payload that zdb_check() found good into out (range.n bytes); any order, any number
 * of times. Errors: INVALID (outside of it), IO. */
int zdb_read_range(struct zdb_namespace *ns, const struct zdb_value *v, struct zdb_range range,
                   void *out, struct err *e) MUST_CHECK;

/* ---- scans: live keys in the order of their writing (seq: of their ids) ---- */

enum zdb_direction { ZDB_FORWARD, ZDB_BACK };
struct zdb_scanned {
    uint8_t key[ZDB_KEY_BYTES_MAX];
    uint8_t key_bytes;
    uint32_t payload_bytes;
    uint32_t time_s;
    struct zdb_cursor cursor; /* continues behind this key */
};
/* The next live key after the cursor (NULL: the first, or the last with ZDB_BACK). NOT_FOUND: no
 * more. INVALID: the cursor points at nothing, or compaction has moved entries since (`user`).
 * CORRUPT: the index cannot be followed there. */
int zdb_scan(struct zdb_namespace *ns, enum zdb_direction direction, const struct zdb_cursor *after,
             struct zdb_scanned *out, struct err *e) MUST_CHECK;

/* ---- work in the background; each call takes a thread of its own, serving goes on ---- */

struct zdb_progress {
    uint64_t done_bytes, total_bytes;
    uint32_t files_done, files_total;
};
struct zdb_compact_options {
    uint32_t dead_percent_min; /* files with a smaller reclaimable share stay; 0: everything that
                                * returns anything */
    uint64_t bytes_per_s;      /* read and written; 0: unbounded */
    /* Asked now and then, without any lock; false cancels. May be NULL. */
    bool (*go_on)(void *user, const struct zdb_progress *p);
    void *user;
};
struct zdb_compact_result {
    uint64_t returned_bytes;
    uint32_t files_rewritten, files_looked_at;
};
/* Returns the space of what was replaced and deleted, in all files but the current one (zdb_jump()
 * ends it). Blocks, in a thread of its own; everybody else goes on, writers wait a moment for each
 * file. Needs free space of one data file's live bytes at most. Versions leave HISTORY only as
 * versions_max says. `user`: cursors of scans that point into a file that was rewritten become
 * INVALID.
 * Errors: INVALID (percent), BUSY (one runs, or the namespace was emptied or undone meanwhile),
 * CANCELLED, LIMIT (a file did not fit on the disk; smaller ones were tried), IO. Files that were
 * rewritten before an error stay so, and out says how many; only after INVALID, and BUSY at the
 * start, it is not written. Damaged files are reported and left alone. */
int zdb_compact(struct zdb_namespace *ns, const struct zdb_compact_options *o,
                struct zdb_compact_result *out, struct err *e) MUST_CHECK;

struct zdb_scrub_options {
    uint64_t bytes_per_s; /* 0: unbounded */
    /* Asked at least every 100 ms; false cancels. May be NULL. */
    bool (*go_on)(void *user, const struct zdb_progress *p);
    /* One finding, a sentence; key: empty when it belongs to none. May be NULL. Borrowed. */
    void (*found)(void *user, struct str key, const char *text);
    void *user;
};
struct zdb_scrub_result {
    uint64_t read_bytes;
    uint64_t values;  /* payloads that have their checksum; of live keys and of versions before */
    uint64_t corrupt; /* findings */
};
/* Reads every durable record of every data file, and every index entry, and says what is not as it
 * was written. It changes nothing. Errors: CANCELLED, IO (the index cannot be read; bad places in
 * data files are findings). The result is written on success only. */
int zdb_scrub(struct zdb_namespace *ns, const struct zdb_scrub_options *o,
              struct zdb_scrub_result *out, struct err *e) MUST_CHECK;
