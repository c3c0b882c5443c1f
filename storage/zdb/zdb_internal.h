/* SPDX-License-Identifier: Apache-2.0 — zdb_internal.h: what the files of storage/zdb share. Nobody
 * else includes it. */
#pragma once

#include "storage/zdb/zdb_reserve.h"
#include "storage/zdb/zdb_settings.h"
#include "storage/zdb/zdb_table.h"

#include <pthread.h>
#include <stdatomic.h>

#define ZDB_TAIL_BYTES_MAX ((size_t)4 << 20) /* then the writer syncs first */
#define ZDB_PATCHES_MAX    65536 /* waiting in memory; one more makes the writer sync first */
#define ZDB_PATCHES_MANY   4096  /* waiting in memory: time for a checkpoint */

/* An open data file. Its pair holds it, and each value that was found in it. */
struct zdb_data_file {
    int fd; /* owned */
    atomic_uint refs;
};

/* A data file and the index file of the same number. One that compaction emptied has no descriptor:
 * nothing is ever read from it. */
struct zdb_pair {
    struct zdb_data_file *data; /* held; NULL when it is empty */
    int index_fd;               /* owned; -1 when both are empty */
    uint32_t data_end, index_end;
    uint32_t last_entry; /* where the last entry of the index starts; 0: none */
    uint64_t first_id;   /* entries in the index files before */
    uint64_t live_bytes; /* records of live keys in the data file */
    uint64_t kept_bytes; /* records that the last look of compaction found to be needed besides */
    uint64_t deletion_bytes; /* the same for deletions: until no file below has garbage */
    uint64_t look;           /* zdb_namespace.chain_deletions at that look */
    uint64_t doubt_bytes;    /* of those, what may have become garbage since: a guess */
    uint32_t rewrites;       /* of the index file, by compaction: cursors of before are wrong */
    bool is_odd;             /* compaction found damage and leaves it alone */
    bool is_data_dirty;      /* the data file has changes in place that are not synced */
    bool is_dirty;           /* the index file was written to since its last sync */
    bool is_suspect;         /* a sync of it failed: the kernel may have lost pages of it */
};

#define ZDB_PAIR_NONE ((struct zdb_pair){.index_fd = -1})

/* An index entry with its key and place. */
struct zdb_item {
    struct zdb_entry entry;
    uint8_t key[ZDB_KEY_BYTES_MAX];
    uint32_t file_id, offset;
};

/* A change within an index file that waits until the record behind it is durable. */
struct zdb_patch {
    struct zdb_entry entry;
    uint32_t file_id, offset;
    uint64_t ticket;
};

/* What a failed sync takes the namespace back to. */
struct zdb_durable {
    uint32_t data_end;  /* of the current data file: all records in front are durable */
    uint32_t index_end; /* of the current index file, at its last sync */
};

/* Tickets above `above` and up to `to` were lost. */
struct zdb_failure {
    uint64_t above, to;
};
#define ZDB_FAILURES_MAX                                                                           \
    64 /* remembered; then the oldest two become one, with all between them                        \
        */

struct zdb_commit_state {
    pthread_mutex_t lock; /* taken before zdb_namespace.lock, or alone */
    pthread_cond_t changed;
    uint64_t settled; /* every ticket up to here is durable, or within a failure */
    struct zdb_failure failures[ZDB_FAILURES_MAX];
    size_t failure_count;
    struct err error; /* of the last failure */
    bool has_error;   /* INTERVAL: nobody has been told yet */
    bool is_leading;  /* a thread is syncing */
    bool is_stopping;
    bool has_thread;
    pthread_t thread; /* of ZDB_INTERVAL */
};

/* Small writes that wait for one call (zdb_out.c). zdb_namespace.lock, but for `waits`. */
struct zdb_out {
    struct buf bytes;    /* the end of the current data file that is not written yet */
    uint32_t at;         /* where it goes */
    uint64_t above;      /* ticket of the last write in front of it */
    uint32_t data_ahead; /* space of the current files is set aside up to there; 0: none */
    uint32_t index_ahead;
    bool is_lost;      /* it could not be written, its tickets have failed: never to be written */
    bool no_ahead;     /* the file system sets nothing aside */
    atomic_bool waits; /* INTERVAL, NEVER: there is something; as seen without the lock */
    struct zdb_failure losses[ZDB_FAILURES_MAX]; /* tickets that were undone, oldest first */
    atomic_size_t loss_count;
    int loss_error; /* -errno of the last */
};

/* What is promised on the disk (by a marker or a journal) and not done yet. */
enum zdb_unfinished { ZDB_FINISHED, ZDB_EMPTYING, ZDB_SWAPPING };

/* A present value in the watched data file was replaced or deleted. */
struct zdb_event {
    uint32_t record;         /* where it is in the data file */
    uint32_t by_file, by_at; /* user: the new entry; seq: the copy that names it now */
    bool is_deletion;
};
/* The data file that is being compacted. */
struct zdb_watch {
    bool is_on, is_over; /* is_over: there were too many events */
    uint32_t file_id;
    struct zdb_event *events; /* owned */
    size_t count, capacity;
};
struct zdb_compaction;

struct zdb_namespace {
    struct zdb_options options; /* paths and name are not kept */
    struct zdb_io *io;          /* borrowed, or `vital`: writes through it may use the reserve */
    struct zdb_io *plain_io;    /* borrowed: for new data, which may not */
    struct zdb_reserve_io vital;
    int data_dir, index_dir; /* owned; index_dir carries the lock against a second opening */
    enum zdb_mode mode;
    char name[ZDB_NAME_BYTES_MAX], password[ZDB_PASSWORD_BYTES_MAX];
    struct zdb_descriptor descriptor; /* views into the two */
    struct zdb_lasting lasting;

    pthread_rwlock_t lock;  /* of everything below */
    struct zdb_pair *pairs; /* owned */
    uint32_t pair_count;
    uint32_t last_record, last_entry; /* `previous` of the next ones */
    struct zdb_table keys;            /* user: hash of the key to (file, offset) of its entry */
    uint64_t hash_seed;
    struct buf tail; /* end of the current index file that is not written yet. ALWAYS: an entry goes
                      * to the file when its record is durable; else when `out` does */
    struct zdb_out out;
    struct zdb_patch *patches; /* owned */
    size_t patch_count, patch_capacity;
    struct zdb_table patched; /* hash of the place to (index in patches, 0) */
    uint64_t entries, live_bytes;
    uint64_t ticket;  /* of the last write */
    bool is_doubtful; /* since the last group there was a record that is not evident */
    struct zdb_durable durable;
    bool is_broken;  /* undoing failed: the next write tries again */
    int index_error; /* -errno: durable records could not be written to the index; 0: none */
    bool is_gated;   /* writers wait; changed with commit.lock held, too */
    enum zdb_unfinished unfinished; /* the next write tries again */
    enum zdb_mode next_mode;        /* of what is being emptied */
    struct zdb_watch watch;
    struct zdb_compaction *swap; /* owned; while unfinished is ZDB_SWAPPING */
    bool is_half;                /* the swap broke off in the middle: reads are refused */
    bool is_compacting;
    uint64_t chain_deletions;   /* of keys with versions */
    uint32_t chain_deletion_id; /* the highest index file of such a version */
    uint64_t generation;        /* changes when places may name something else: undone, emptied */
    bool is_unmarked;           /* marks of superseded entries may be missing in the files */
    uint64_t syncs;
    atomic_uint_fast64_t corrupt;
    struct zdb_commit_state commit;
};

static inline struct str zdb_item_key(const struct zdb_item *i) {
    return str_make((const char *)i->key, i->entry.key_bytes);
}
static inline struct zdb_pair *zdb_current(struct zdb_namespace *ns) {
    return &ns->pairs[ns->pair_count - 1];
}
/* The data file that an entry's payload is in. `user` mode writes both files of a number together,
 * so that the index file's number says it (and 0-db leaves the field 0 for new keys). */
static inline uint32_t zdb_data_id(const struct zdb_namespace *ns, const struct zdb_item *i) {
    return ns->mode == ZDB_USER ? i->file_id : i->entry.data_id;
}
/* Where the unwritten end of the current index file starts. */
static inline uint32_t zdb_tail_start(struct zdb_namespace *ns) {
    return zdb_current(ns)->index_end - (uint32_t)ns->tail.n;
}
/* A step on fd (a file, or the folder of a new one) that must go on gave r: again? */
static inline bool zdb_again(const struct zdb_namespace *ns, int fd, int r) {
    return zdb_reserve_release(ns->options.reserve, fd, r, 0);
}
void zdb_report(struct zdb_namespace *ns, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "'abc'" or hex digits, cut; out has ZDB_KEY_TEXT_BYTES. */
#define ZDB_KEY_TEXT_BYTES 96
const char *zdb_key_text(struct str key, char *out);

/* ---- zdb_namespace.c; lock held (write) ---- */

/* Puts a record that lies at the end of the current data file into the index and behind that end,
 * as the write that wrote it would have. Nothing of it counts after an error. */
int zdb_index_record(struct zdb_namespace *ns, const struct zdb_record *record, struct str key,
                     struct err *e) MUST_CHECK;

/* ---- zdb_item.c: reading entries; lock held (read) ---- */

/* The entry at the place, with a waiting patch applied. Tier (a): -EINVAL outside of the file,
 * -EBADMSG not an entry. */
int zdb_item_at(struct zdb_namespace *ns, uint32_t file_id, uint32_t offset,
                struct zdb_item *out) MUST_CHECK;
/* The live entry of the key: 0, -ENOENT, or as zdb_item_at. */
int zdb_item_find(struct zdb_namespace *ns, struct str key, struct zdb_item *out) MUST_CHECK;
uint32_t zdb_key_hash(const struct zdb_namespace *ns, struct str key);
/* user, lock held (write): the key's entry in the file has another place. */
void zdb_key_move(struct zdb_namespace *ns, struct str key, uint32_t file_id, uint32_t from,
                  uint32_t to);
/* The checksum field of a cursor at the entry. */
uint32_t zdb_cursor_crc(const struct zdb_namespace *ns, const struct zdb_item *i);
/* user: takes the key's slot, makes or removes it. */
struct zdb_slot *zdb_key_slot(struct zdb_namespace *ns, struct str key, uint32_t *out_hash);
/* Whether the record that the entry names is there and is this key's; reads no payload. */
bool zdb_item_has_record(struct zdb_namespace *ns, const struct zdb_item *i);
/* An entry begins (ends) to be its key's present value: counts it. */
void zdb_live_add(struct zdb_namespace *ns, const struct zdb_item *i);
void zdb_live_remove(struct zdb_namespace *ns, const struct zdb_item *i, bool is_deletion);
/* For compaction: what was the present value of its key was replaced by the last entry, or deleted.
 * Lock held (write). */
void zdb_watch_note(struct zdb_namespace *ns, const struct zdb_item *old, bool is_deletion);
/* What compaction would return of data file file_id, estimated; 0 is certain. Without deletions. */
uint64_t zdb_dead_bytes(const struct zdb_namespace *ns, uint32_t file_id);
/* The same with them; *is_clean_below, true at first, is kept from file to file. */
uint64_t zdb_reclaimable(const struct zdb_namespace *ns, uint32_t file_id, bool *is_clean_below);
void zdb_forget_kept(struct zdb_pair *pair);
/* Pins the data file. */
void zdb_value_of(const struct zdb_namespace *ns, const struct zdb_item *i, struct zdb_value *out);
/* Takes the descriptor; one hold is the caller's. */
struct zdb_data_file *zdb_data_file_new(int *fd);
struct zdb_data_file *zdb_data_file_hold(struct zdb_data_file *f);
void zdb_data_file_drop(struct zdb_data_file *f); /* NULL-safe; the last one closes */

/* ---- zdb_files.c: making and opening pairs; lock held ---- */

#define ZDB_FILE_NAME_BYTES 32
void zdb_file_name(char kind, uint32_t id, char out[ZDB_FILE_NAME_BYTES]);
int zdb_files_open(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Makes both files, durably. */
int zdb_pair_make(struct zdb_namespace *ns, uint32_t id, enum zdb_mode mode, struct zdb_pair *out,
                  struct err *e) MUST_CHECK;
void zdb_pair_close(struct zdb_pair *pair); /* idempotent */
/* Gives the descriptors of an empty pair back; not for the current one. */
void zdb_pair_shut_empty(struct zdb_pair *pair);
/* Makes or replaces a file of the index folder, durably. Tier (a): on failure *out_undone says
 * whether it is certain that the disk does not have it. */
int zdb_file_put(struct zdb_namespace *ns, const char *name, struct str bytes,
                 bool *out_undone) MUST_CHECK;
/* Durably; a missing one is gone already. Tier (a). */
int zdb_file_remove(struct zdb_namespace *ns, int dir, const char *name) MUST_CHECK;
void zdb_files_close(struct zdb_namespace *ns);
/* Writes the first n bytes of the tail. Tier (a). */
int zdb_tail_write(struct zdb_namespace *ns, size_t n) MUST_CHECK;
/* fdatasync of an index file; one whose last sync failed is written once more before, so that
 * pages that the kernel calls clean without having written them go out. Tier (a). */
int zdb_index_sync(struct zdb_io *io, const struct zdb_pair *pair) MUST_CHECK;
/* The same for all that were written to since their last sync. Lock held (write). Tier (a). */
int zdb_indexes_sync(struct zdb_namespace *ns) MUST_CHECK;
/* Syncs the current pair and starts the next. */
int zdb_files_next(struct zdb_namespace *ns, struct err *e) MUST_CHECK;

/* ---- zdb_out.c: lock held (write; read for zdb_data_read and zdb_out_has) ---- */

/* Takes a record (of the current file's end) that may wait; false: it is to be written at once, and
 * nothing waits in front of it, or (*out_error, -errno) what waits could not be written. */
bool zdb_out_take(struct zdb_namespace *ns, struct str head, struct str payload, int *out_error);
/* The record at the end does not count: forgets it if it waits. False: it is in the file. */
bool zdb_out_drop(struct zdb_namespace *ns);
/* Writes what waits; with INTERVAL and NEVER its entries, and what NEVER changes in place, too.
 * Tier (a): on failure all of it waits on. */
int zdb_out_write(struct zdb_namespace *ns) MUST_CHECK;
/* Before undoing: writes what waits, or gives its tickets up. Returns where the data file ends. */
uint32_t zdb_out_give_up(struct zdb_namespace *ns);
/* Whether any of those bytes of the data file wait. */
bool zdb_out_has(const struct zdb_namespace *ns, uint32_t data_id, uint64_t end);
/* A part of a data file, from file or memory. As file_pread_full(). */
ssize_t zdb_data_read(const struct zdb_namespace *ns, uint32_t data_id, uint32_t offset,
                      struct str into);
/* Gives back what was set aside of the current files and not needed. */
void zdb_out_trim(struct zdb_namespace *ns);
/* 0, or -1 when the ticket was given up. Lock not held. */
int zdb_out_check(struct zdb_namespace *ns, uint64_t ticket, struct err *e) MUST_CHECK;

/* ---- zdb_replay.c: the records of the current data file, in order; lock held (write) ---- */

/* The way through them. Counters and table of the namespace follow. */
struct zdb_replay {
    struct zdb_namespace *ns; /* borrowed */
    char *window;             /* owned */
    uint32_t window_at;
    size_t window_n;
    uint32_t at;    /* of the next record */
    uint32_t last;  /* of the one before; 0: there is none */
    uint32_t size;  /* of the file */
    uint64_t added; /* records that the index lacked */
};
void zdb_replay_init(struct zdb_replay *r, struct zdb_namespace *ns);
void zdb_replay_done(struct zdb_replay *r);
/* `user`: whether the record that the next entry of the current index file names is there. What
 * the deletions in front of it did to the index is made good. */
bool zdb_replay_user(struct zdb_replay *r, const struct zdb_item *item);
enum zdb_replayed {
    ZDB_REPLAY_GOOD,
    ZDB_REPLAY_TORN, /* from this entry on nothing counts: it is made again from the records */
    ZDB_REPLAY_LOST, /* entries and records do not belong together */
};
/* `seq`: the entry at the place, which may be damaged, belongs to the next record: makes it, or the
 * one in place that its copy was made of, what it should be. Tier (a): -errno. */
int zdb_replay_seq(struct zdb_replay *r, uint32_t at, enum zdb_replayed *out) MUST_CHECK;
/* `seq`: whether the entry is the first version of its id and just what the next record makes of
 * it, so that nothing is to do; then that is passed. Most are, and no index is read for it. */
bool zdb_replay_fits(struct zdb_replay *r, const struct zdb_item *item);
/* The records that no entry is left for go to the index, up to the first that is not whole. */
int zdb_replay_rest(struct zdb_replay *r, struct err *e) MUST_CHECK;

/* ---- zdb_recover.c ---- */

/* Reads what zdb_files_open() opened: cuts torn ends, builds the table, counts. */
int zdb_recover(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* After a failed sync: back to what is durable. Lock held (write). */
int zdb_undo(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Forgets table, counters and patches. */
void zdb_forget(struct zdb_namespace *ns);

/* ---- zdb_patch.c: lock held (write; read for get) ---- */

const struct zdb_patch *zdb_patch_get(const struct zdb_namespace *ns, uint32_t file_id,
                                      uint32_t offset);
/* Keeps the patch, or with ZDB_NEVER writes it now. Tier (a). */
int zdb_patch_put(struct zdb_namespace *ns, const struct zdb_patch *patch) MUST_CHECK;
/* Writes one entry's fixed part in place. Tier (a). */
int zdb_patch_write(struct zdb_namespace *ns, const struct zdb_patch *patch) MUST_CHECK;
/* Writes those up to the ticket and drops them. Tier (a): on failure all stay. */
int zdb_patches_apply(struct zdb_namespace *ns, uint64_t ticket) MUST_CHECK;
void zdb_patches_drop(struct zdb_namespace *ns);

/* ---- zdb_configure.c ---- */

/* Descriptor (made with the name when there is none) and settings. */
int zdb_settings_read(struct zdb_namespace *ns, struct str name, struct err *e) MUST_CHECK;

/* ---- zdb_gate.c ---- */

/* Lets no new write in, makes what was written durable (zdb_settle) and becomes the leader of
 * commits: until zdb_gate_open() nothing changes but by the caller. Waits for another's gate. -1:
 * something could not be synced; the gate is open. */
int zdb_gate_close(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* The same without making anything durable: after a failed promise, when nobody has written. */
void zdb_gate_seize(struct zdb_namespace *ns);
void zdb_gate_open(struct zdb_namespace *ns);
void zdb_gate_wait(struct zdb_namespace *ns); /* until it is open */
/* Syncs the files that have changes in place. Gate closed, or opening. Tier (a). */
int zdb_sync_marked(struct zdb_namespace *ns) MUST_CHECK;

/* ---- zdb_flush.c ---- */

/* Before the files are opened: finishes what a marker says. */
int zdb_flush_resume(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Gate closed. */
int zdb_flush_finish(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Finishes what is unfinished. */
int zdb_finish(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* What compaction left of its new files and drafts. */
int zdb_leftovers_remove(struct zdb_namespace *ns, struct err *e) MUST_CHECK;

/* ---- zdb_compact.c, zdb_compact_swap.c ---- */

/* Opening: reads a journal that is there into out_journal and renames, before the files are opened;
 * makes the changes in place after it. */
int zdb_compact_resume(struct zdb_namespace *ns, struct buf *out_journal, struct err *e) MUST_CHECK;
int zdb_compact_resume_fixes(struct zdb_namespace *ns, struct str journal,
                             struct err *e) MUST_CHECK;
int zdb_swap_finish(struct zdb_namespace *ns, struct err *e) MUST_CHECK; /* gate closed */
void zdb_compaction_free(struct zdb_compaction *c);                      /* NULL-safe */

/* ---- zdb_commit.c ---- */

void zdb_commit_init(struct zdb_namespace *ns);
int zdb_commit_start(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
void zdb_commit_stop(struct zdb_namespace *ns);
/* Undoes what a failed sync left. */
int zdb_commit_heal(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
/* Everything written so far is durable in the data files and in the index files, and nothing waits
 * in memory. Only for whoever keeps all others from committing (commit.is_leading). */
int zdb_settle(struct zdb_namespace *ns, struct err *e) MUST_CHECK;
