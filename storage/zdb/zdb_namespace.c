/* SPDX-License-Identifier: Apache-2.0 — zdb_namespace.c: opening, writing and closing.
 *
 * Everything is appended: a write adds a record to the data file and an entry to the index file
 * (zdb_commit.c says when the entry really gets there), a deletion adds a record without payload
 * and marks the key's entry. A write that fails is cut off again; if even that fails, its bytes lie
 * behind the end that is kept in memory and the next write goes over them.
 * The limits, the order of the checks and the bytes are 0-db's (zdbd/commands_set.c, index_set.c);
 * the differences are in README.md. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"
#include "base/random.h"

#include <errno.h>
#include <sys/file.h>

#define COMPARE_BYTES     ((size_t)64 << 10)
#define NO_SPACE          "No space left on this namespace"
#define NO_ROOM_TO_DELETE "No space left to delete: free some on the file system"
#define DATA_END_HARD_MAX (UINT32_MAX - 2048) /* deletions may pass data_file_bytes up to here */

/* ---- open and close ---- */

static int open_dirs(struct zdb_namespace *ns, const struct zdb_options *o, struct err *e) {
    ns->data_dir = file_mkdirs_open(AT_FDCWD, o->data_path, 0700);
    if (ns->data_dir < 0) return err_sys(e, -ns->data_dir, "open folder '%s'", o->data_path);
    ns->index_dir = file_mkdirs_open(AT_FDCWD, o->index_path, 0700);
    if (ns->index_dir < 0) return err_sys(e, -ns->index_dir, "open folder '%s'", o->index_path);
    if (flock(ns->index_dir, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_BUSY, "'%s' is open already, here or in another process",
                       o->index_path);
    return err_sys(e, errno, "lock '%s'", o->index_path);
}

/* Whatever was interrupted is finished or thrown away first. */
static int open_files(struct zdb_namespace *ns, struct err *e) {
    AUTO(buf_done) struct buf journal = {0};
    if (zdb_flush_resume(ns, e) < 0 || zdb_compact_resume(ns, &journal, e) < 0) return -1;
    if (zdb_leftovers_remove(ns, e) < 0 || zdb_files_open(ns, e) < 0) return -1;
    return zdb_compact_resume_fixes(ns, buf_view(&journal), e);
}

static int open_all(struct zdb_namespace *ns, const struct zdb_options *o, struct err *e) {
    if (open_dirs(ns, o, e) < 0 || zdb_settings_read(ns, o->name, e) < 0) return -1;
    if (open_files(ns, e) < 0 || zdb_recover(ns, e) < 0 || zdb_commit_start(ns, e) < 0)
        return err_in(e, "namespace '%.*s'", STR_ARG(ns->descriptor.name));
    return 0;
}

static void free_all(struct zdb_namespace *ns) {
    zdb_commit_stop(ns);
    zdb_forget(ns);
    zdb_compaction_free(ns->swap);
    free(ns->watch.events);
    buf_done(&ns->tail);
    buf_done(&ns->out.bytes);
    zdb_files_close(ns);
    if (ns->data_dir >= 0) (void)close(ns->data_dir);
    if (ns->index_dir >= 0) (void)close(ns->index_dir);
    (void)pthread_rwlock_destroy(&ns->lock);
    (void)pthread_mutex_destroy(&ns->commit.lock);
    (void)pthread_cond_destroy(&ns->commit.changed);
    free(ns);
}

int zdb_open(const struct zdb_options *o, struct zdb_namespace **out, struct err *e) {
    if (o->data_file_bytes > ZDB_DATA_FILE_BYTES_MAX)
        return err_set(e, ERR_INVALID, "a data file has less than 4 GiB");
    if (o->durability == ZDB_INTERVAL && o->interval_ms == 0)
        return err_set(e, ERR_INVALID, "the interval of syncs is at least 1 ms");
    struct zdb_namespace *ns = xnew(struct zdb_namespace);
    ns->options = *o;
    ns->options.data_path = ns->options.index_path = NULL;
    if (o->data_file_bytes == 0) ns->options.data_file_bytes = ZDB_DATA_FILE_BYTES;
    ns->io = ns->plain_io = o->io ? o->io : zdb_io_real();
    zdb_reserve_io_init(&ns->vital, o->reserve, ns->plain_io);
    if (o->reserve) ns->io = &ns->vital.io;
    if (ns->plain_io->allocate == NULL) ns->out.no_ahead = true;
    ns->mode = o->mode;
    ns->data_dir = ns->index_dir = -1;
    ns->tail = BUF(2 * ZDB_TAIL_BYTES_MAX);
    random_bytes(&ns->hash_seed, sizeof ns->hash_seed);
    (void)pthread_rwlock_init(&ns->lock, NULL);
    zdb_commit_init(ns);
    if (open_all(ns, o, e) < 0) {
        free_all(ns);
        return -1;
    }
    *out = ns;
    return 0;
}

int zdb_close(struct zdb_namespace *ns, struct err *e) {
    if (!ns) return 0;
    zdb_commit_stop(ns);
    int r = ns->options.durability == ZDB_NEVER ? zdb_write_out(ns, e) : zdb_sync(ns, e);
    (void)pthread_rwlock_wrlock(&ns->lock);
    if (r == 0) zdb_out_trim(ns);
    (void)pthread_rwlock_unlock(&ns->lock);
    free_all(ns);
    return r;
}

void zdb_info(struct zdb_namespace *ns, struct zdb_info *out) {
    (void)pthread_rwlock_rdlock(&ns->lock);
    const struct zdb_pair *pair = zdb_current(ns);
    bool is_clean = true;
    *out = (struct zdb_info){.mode = ns->mode,
                             .entries = ns->entries,
                             .live_bytes = ns->live_bytes,
                             .max_bytes = ns->descriptor.max_bytes,
                             .syncs = ns->syncs,
                             .corrupt = atomic_load(&ns->corrupt),
                             .file_id = ns->pair_count - 1,
                             .data_end = pair->data_end,
                             .memory_bytes = ns->keys.capacity * sizeof *ns->keys.slots,
                             .durability = ns->options.durability,
                             .interval_ms = ns->options.interval_ms,
                             .versions_max = ns->lasting.versions_max,
                             .is_worm = ns->descriptor.is_worm,
                             .is_public = ns->descriptor.is_public};
    if (ns->mode == ZDB_SEQ)
        out->next_id =
            pair->first_id + (pair->index_end - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        out->data_bytes += ns->pairs[f].data_end;
        out->index_bytes += ns->pairs[f].index_end;
        if (f + 1 < ns->pair_count) out->dead_bytes += zdb_reclaimable(ns, f, &is_clean);
    }
    (void)pthread_rwlock_unlock(&ns->lock);
}

/* ---- appending; lock held (write) ---- */

struct write {
    struct str key, payload;
    struct zdb_record record;
    bool is_evident;          /* recovery can tell that the record is whole */
    struct zdb_item existing; /* when has_existing */
    bool has_existing;
    uint8_t id[ZDB_ID_BYTES];
};

/* A record that does not count goes away again; what cannot be cut off must be undone. */
static int drop_record(struct zdb_namespace *ns) {
    const struct zdb_pair *pair = zdb_current(ns);
    if (zdb_out_drop(ns)) return -1;
    if (ns->io->truncate(ns->io, pair->data->fd, pair->data_end) < 0) ns->is_broken = true;
    return -1;
}

static int append_record(struct zdb_namespace *ns, struct write *w, struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    uint8_t head[ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX];
    size_t head_bytes = ZDB_RECORD_BYTES + w->key.n;
    w->record.key_bytes = (uint8_t)w->key.n;
    w->record.payload_bytes = (uint32_t)w->payload.n;
    w->record.previous = ns->last_record;
    zdb_record_encode(&w->record, head);
    memcpy(head + ZDB_RECORD_BYTES, w->key.p, w->key.n);
    w->is_evident =
        zdb_record_is_evident(pair->data_end, str_make((char *)head, head_bytes), w->payload);
    int r;
    if (zdb_out_take(ns, str_make((char *)head, head_bytes), w->payload, &r)) return 0;
    if (r < 0) return err_sys(e, -r, "write to data file %u", ns->pair_count - 1);
    struct iovec iov[] = {{head, head_bytes}, {(void *)(uintptr_t)w->payload.p, w->payload.n}};
    struct zdb_io *io = w->record.flags & ZDB_DELETED ? ns->io : ns->plain_io;
    r = io->write(io, pair->data->fd, iov, w->payload.n ? 2 : 1, pair->data_end);
    if (r == 0) return 0;
    (void)err_sys(e, -r, "write %zu bytes to data file %u", w->payload.n, ns->pair_count - 1);
    return drop_record(ns);
}

/* The record counts from now on. */
static void keep_record(struct zdb_namespace *ns, const struct write *w) {
    struct zdb_pair *pair = zdb_current(ns);
    ns->last_record = pair->data_end;
    pair->data_end += (uint32_t)(ZDB_RECORD_BYTES + w->key.n + w->payload.n);
    ns->ticket++;
    ns->is_doubtful |= !w->is_evident;
}

/* Appends the entry with the key to the index; its `previous` is filled in. */
static int append_entry(struct zdb_namespace *ns, struct zdb_entry entry, struct str key,
                        struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    uint8_t bytes[ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX];
    size_t n = ZDB_ENTRY_BYTES + key.n;
    entry.key_bytes = (uint8_t)key.n;
    entry.previous = ns->last_entry;
    zdb_entry_encode(&entry, bytes);
    memcpy(bytes + ZDB_ENTRY_BYTES, key.p, key.n);
    int r;
    if (ns->options.durability == ZDB_ALWAYS || ns->out.bytes.n > 0) {
        r = buf_append(&ns->tail, bytes, n);
    } else {
        struct iovec iov = {bytes, n};
        r = ns->plain_io->write(ns->plain_io, pair->index_fd, &iov, 1, pair->index_end);
        pair->is_dirty = true;
        if (r < 0) (void)!ns->io->truncate(ns->io, pair->index_fd, pair->index_end);
        if (r < 0) ns->out.index_ahead = 0;
    }
    if (r < 0) return err_sys(e, -r, "write to index file %u", ns->pair_count - 1);
    pair->last_entry = ns->last_entry = pair->index_end;
    pair->index_end += (uint32_t)n;
    return 0;
}

static int make_room(struct zdb_namespace *ns, const struct write *w, bool is_put, struct err *e) {
    const struct zdb_pair *pair = zdb_current(ns);
    uint64_t limit = is_put ? ns->options.data_file_bytes : DATA_END_HARD_MAX;
    bool is_full =
        (uint64_t)pair->data_end + w->payload.n > limit && pair->data_end > ZDB_DATA_HEADER_BYTES;
    is_full |= pair->index_end > DATA_END_HARD_MAX || pair->data_end > DATA_END_HARD_MAX;
    return is_full ? zdb_files_next(ns, e) : 0;
}

/* 1: the key has this payload. A payload that cannot be read is another one. */
static int is_same(struct zdb_namespace *ns, const struct write *w) {
    if (!w->has_existing || w->existing.entry.crc != w->record.crc) return 0;
    if (w->existing.entry.payload_bytes != w->payload.n) return 0;
    uint32_t data_id = zdb_data_id(ns, &w->existing);
    if (data_id >= ns->pair_count || !ns->pairs[data_id].data) return 0;
    uint64_t at =
        (uint64_t)w->existing.entry.offset + ZDB_RECORD_BYTES + w->existing.entry.key_bytes;
    AUTO_FREE char *piece = xmalloc(COMPARE_BYTES);
    for (size_t done = 0; done < w->payload.n;) {
        size_t want = w->payload.n - done;
        if (want > COMPARE_BYTES) want = COMPARE_BYTES;
        ssize_t n = zdb_data_read(ns, data_id, (uint32_t)(at + done), str_make(piece, want));
        if (n != (ssize_t)want || memcmp(piece, w->payload.p + done, want) != 0) return 0;
        done += want;
    }
    return 1;
}

static int put_user(struct zdb_namespace *ns, struct write *w, struct err *e) {
    struct zdb_entry entry = {.payload_bytes = w->record.payload_bytes,
                              .time_s = w->record.time_s,
                              .crc = w->record.crc,
                              .offset = zdb_current(ns)->data_end};
    struct zdb_item *old = &w->existing;
    uint32_t hash;
    if (w->has_existing) {
        entry.data_id = ns->pair_count - 1;
        entry.parent_id = old->file_id;
        entry.parent_offset = old->offset;
    }
    if (append_entry(ns, entry, w->key, e) < 0) return -1;
    struct zdb_slot *slot = zdb_key_slot(ns, w->key, &hash);
    if (slot) {
        slot->a = ns->pair_count - 1;
        slot->b = ns->last_entry;
    } else {
        zdb_table_add(&ns->keys, (struct zdb_slot){hash, ns->pair_count - 1, ns->last_entry});
    }
    if (!w->has_existing) return 0;
    struct zdb_patch mark = {.entry = old->entry, old->file_id, old->offset, ns->ticket + 1};
    mark.entry.flags |= ZDB_DELETED;
    int r = zdb_patch_put(ns, &mark); /* only a mark: recovery makes it again */
    if (r < 0) zdb_report(ns, "a superseded entry was not marked: %s", strerror(-r));
    return 0;
}

static int put_seq(struct zdb_namespace *ns, struct write *w, struct err *e) {
    struct zdb_entry entry = {.key_bytes = ZDB_ID_BYTES,
                              .payload_bytes = w->record.payload_bytes,
                              .time_s = w->record.time_s,
                              .crc = w->record.crc,
                              .data_id = ns->pair_count - 1,
                              .offset = zdb_current(ns)->data_end};
    struct zdb_item *old = &w->existing;
    if (!w->has_existing) return append_entry(ns, entry, w->key, e);
    struct zdb_entry copy = old->entry;
    copy.flags |= ZDB_DELETED;
    if (append_entry(ns, copy, w->key, e) < 0) return -1;
    entry.previous = old->entry.previous;
    entry.parent_id = ns->pair_count - 1;
    entry.parent_offset = ns->last_entry;
    struct zdb_patch patch = {entry, old->file_id, old->offset, ns->ticket + 1};
    int r = zdb_patch_put(ns, &patch);
    return r < 0 ? err_sys(e, -r, "update index file %u", old->file_id) : 0;
}

/* The record is in the data file at its end: from now on it counts. */
static int index_put(struct zdb_namespace *ns, struct write *w, struct err *e) {
    int r = ns->mode == ZDB_SEQ ? put_seq(ns, w, e) : put_user(ns, w, e);
    if (r < 0) return -1;
    keep_record(ns, w);
    const struct zdb_item now = {.entry = {.key_bytes = (uint8_t)w->key.n,
                                           .payload_bytes = w->record.payload_bytes,
                                           .data_id = ns->pair_count - 1},
                                 .file_id = ns->pair_count - 1};
    zdb_live_add(ns, &now);
    if (w->has_existing) {
        zdb_live_remove(ns, &w->existing, false);
        zdb_watch_note(ns, &w->existing, false);
    }
    return 0;
}

static int index_delete(struct zdb_namespace *ns, struct write *w, struct err *e) {
    uint32_t hash;
    const struct zdb_item *old = &w->existing;
    struct zdb_patch mark = {old->entry, old->file_id, old->offset, ns->ticket + 1};
    mark.entry.flags |= ZDB_DELETED;
    /* What a kill leaves of a doubtful deletion is not made good by recovery. */
    bool is_due = ns->options.durability == ZDB_INTERVAL && !w->is_evident;
    int r = is_due ? zdb_out_write(ns) : 0;
    if (r == 0 && is_due) r = zdb_patch_write(ns, &mark);
    if (r == 0) r = zdb_patch_put(ns, &mark);
    if (r < 0) return err_sys(e, -r, "mark the entry in index file %u", old->file_id);
    if (ns->mode == ZDB_USER) {
        struct zdb_slot *slot = zdb_key_slot(ns, w->key, &hash);
        if (slot) zdb_table_remove(&ns->keys, slot);
    }
    keep_record(ns, w);
    zdb_live_remove(ns, old, true);
    zdb_watch_note(ns, old, true);
    return 0;
}

static int check_put(struct zdb_namespace *ns, struct write *w, struct err *e) {
    uint64_t old_bytes = w->has_existing ? w->existing.entry.payload_bytes : 0;
    if (w->has_existing && ns->descriptor.is_worm)
        return err_set(e, ERR_DENIED, "Namespace is protected by worm mode");
    if (ns->descriptor.max_bytes > 0 &&
        ns->live_bytes + w->payload.n > ns->descriptor.max_bytes + old_bytes)
        return err_set(e, ERR_LIMIT, NO_SPACE);
    if (ns->mode == ZDB_SEQ && w->key.n > 0 && !w->has_existing)
        return err_set(e, ERR_NOT_FOUND, "Invalid key, only update authorized");
    return 0;
}

static int find_existing(struct zdb_namespace *ns, struct write *w, struct err *e) {
    if (w->key.n == 0) return 0;
    int r = zdb_item_find(ns, w->key, &w->existing);
    if (r < 0 && r != -ENOENT && r != -EBADMSG) return err_sys(e, -r, "look the key up");
    w->has_existing = r == 0;
    return 0;
}

static int put_locked(struct zdb_namespace *ns, struct write *w, struct zdb_put_result *out,
                      struct err *e) {
    if (w->key.n == 0 && ns->mode == ZDB_USER)
        return err_set(e, ERR_INVALID, "Invalid argument, key needed");
    if (find_existing(ns, w, e) < 0 || check_put(ns, w, e) < 0) return -1;
    *out = (struct zdb_put_result){.ticket = ns->ticket};
    if (is_same(ns, w)) {
        out->unchanged = true;
        if (ns->mode == ZDB_SEQ) (void)!zdb_id_decode(w->key, &out->id);
        return 0;
    }
    if (make_room(ns, w, true, e) < 0) return -1;
    if (ns->mode == ZDB_SEQ && !w->has_existing) {
        const struct zdb_pair *pair = zdb_current(ns);
        uint32_t count = (pair->index_end - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
        zdb_id_encode(pair->first_id + count, w->id);
        w->key = str_make((char *)w->id, sizeof w->id);
    }
    if (append_record(ns, w, e) < 0) return -1;
    if (index_put(ns, w, e) < 0) return drop_record(ns);
    if (ns->mode == ZDB_SEQ) (void)!zdb_id_decode(w->key, &out->id);
    out->ticket = ns->ticket;
    return 0;
}

static int no_space(int sys, const char *text, struct err *e) {
    (void)err_set(e, ERR_LIMIT, "%s", text);
    e->sys = sys;
    return -1;
}

/* An error of a write that may have met the disk's end: then with the text. */
static int refused(const char *text, struct err *e) {
    return e->sys == ENOSPC || e->sys == EDQUOT ? no_space(e->sys, text, e) : -1;
}

static int make_ready(struct zdb_namespace *ns, bool is_broken, bool is_unfinished, struct err *e) {
    if (is_unfinished) return zdb_finish(ns, e);
    return is_broken ? zdb_commit_heal(ns, e) : zdb_sync(ns, e);
}

/* Takes the lock for a write; first waits at the gate, finishes what an error left half done,
 * writes what the index lacks, and syncs when much waits. */
static int begin(struct zdb_namespace *ns, struct err *e) {
    for (;;) {
        (void)pthread_rwlock_wrlock(&ns->lock);
        bool is_full = ns->patch_count + 1 >= ZDB_PATCHES_MAX || ns->tail.n >= ZDB_TAIL_BYTES_MAX;
        bool is_gated = ns->is_gated;
        bool is_broken = ns->is_broken;
        bool is_unfinished = ns->unfinished != ZDB_FINISHED;
        bool is_waiting = is_full || ns->index_error != 0;
        if (!is_gated && !is_broken && !is_unfinished && !is_waiting) return 0;
        (void)pthread_rwlock_unlock(&ns->lock);
        if (is_gated)
            zdb_gate_wait(ns);
        else if (make_ready(ns, is_broken, is_unfinished, e) < 0)
            return -1;
    }
}

int zdb_put(struct zdb_namespace *ns, const struct zdb_put *put, struct zdb_put_result *out,
            struct err *e) {
    struct write w = {.key = put->key, .payload = put->payload};
    if (put->key.n > ZDB_KEY_BYTES_MAX) return err_set(e, ERR_INVALID, "Key too large");
    if (put->payload.n > ZDB_PAYLOAD_BYTES_MAX)
        return err_set(e, ERR_INVALID, "a payload has at most %zu bytes", ZDB_PAYLOAD_BYTES_MAX);
    w.record.crc = zdb_crc(0, put->payload.p, put->payload.n);
    w.record.time_s = put->time_s;
    if (!zdb_reserve_allows_puts(ns->options.reserve)) return no_space(ENOSPC, NO_SPACE, e);
    if (begin(ns, e) < 0) return refused(NO_SPACE, e);
    int r = put_locked(ns, &w, out, e);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? refused(NO_SPACE, e) : 0;
}

static int delete_locked(struct zdb_namespace *ns, struct write *w, struct err *e) {
    if (find_existing(ns, w, e) < 0) return -1;
    if (!w->has_existing) return err_set(e, ERR_NOT_FOUND, "Key not found");
    if (ns->descriptor.is_worm)
        return err_set(e, ERR_DENIED, "Cannot delete a key when namespace is in worm mode");
    if (make_room(ns, w, false, e) < 0 || append_record(ns, w, e) < 0) return -1;
    return index_delete(ns, w, e) < 0 ? drop_record(ns) : 0;
}

int zdb_index_record(struct zdb_namespace *ns, const struct zdb_record *record, struct str key,
                     struct err *e) {
    struct write w = {.key = key, .record = *record, .is_evident = true};
    w.payload.n = record->payload_bytes; /* its bytes are not looked at */
    if (find_existing(ns, &w, e) < 0) return -1;
    if (!(record->flags & ZDB_DELETED)) return index_put(ns, &w, e);
    if (w.has_existing) return index_delete(ns, &w, e);
    keep_record(ns, &w);
    return 0;
}

int zdb_delete(struct zdb_namespace *ns, struct str key, uint32_t time_s, uint64_t *out_ticket,
               struct err *e) {
    struct write w = {.key = key, .record = {.flags = ZDB_DELETED, .time_s = time_s}};
    if (key.n == 0 || key.n > ZDB_KEY_BYTES_MAX) return err_set(e, ERR_NOT_FOUND, "Key not found");
    if (begin(ns, e) < 0) return refused(NO_ROOM_TO_DELETE, e);
    int r = delete_locked(ns, &w, e);
    if (r == 0) *out_ticket = ns->ticket;
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? refused(NO_ROOM_TO_DELETE, e) : 0;
}

int zdb_jump(struct zdb_namespace *ns, struct err *e) {
    if (begin(ns, e) < 0) return -1;
    int r = zdb_files_next(ns, e);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}
