/* SPDX-License-Identifier: Apache-2.0 — zdb_read.c: values, their versions, and scans.
 *
 * A value's place is found under the lock, which pins its data file; its payload is read without: a
 * data file is only ever appended to, and stays open as long as it is pinned. Every payload is
 * compared with its checksum before it is given out: whole values as they are read, ranges by
 * zdb_check() in front. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define PIECE_BYTES ((size_t)64 << 10) /* stays in the cache, and is no new memory each time */

static int unreadable(struct zdb_namespace *ns, struct str key, int r, struct err *e) {
    char text[ZDB_KEY_TEXT_BYTES];
    if (r == -EBUSY)
        return err_set(e, ERR_IO, "a compaction could not be finished: the next write tries again");
    if (r != -EBADMSG && r != -EINVAL)
        return err_sys(e, -r, "read the index entry of key %s", zdb_key_text(key, text));
    (void)atomic_fetch_add(&ns->corrupt, 1);
    return err_set(e, ERR_CORRUPT, "the index entry of key %s is damaged", zdb_key_text(key, text));
}

/* Lock held (read): 0, or -EBUSY when a swap of compaction broke off in the middle. */
static int check_whole(const struct zdb_namespace *ns) { return ns->is_half ? -EBUSY : 0; }

/* Lock held (read). 1: the value waits in memory, and must be written before it is read. */
static int take_value(const struct zdb_namespace *ns, const struct zdb_item *i,
                      struct zdb_value *out) {
    zdb_value_of(ns, i, out);
    return zdb_out_has(ns, out->data_id, (uint64_t)out->offset + out->payload_bytes);
}

/* A disk that takes nothing any more still serves reads: then from memory. */
static void write_first(struct zdb_namespace *ns, struct zdb_value *v) {
    struct err ignored = {0};
    if (zdb_write_out(ns, &ignored) == 0) return;
    char *copy = xmalloc((size_t)v->payload_bytes + 1);
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool waits = zdb_out_has(ns, v->data_id, (uint64_t)v->offset + v->payload_bytes);
    struct str into = str_make(copy, v->payload_bytes);
    if (waits && zdb_data_read(ns, v->data_id, v->offset, into) == (ssize_t)into.n)
        v->copy = STEAL(copy);
    (void)pthread_rwlock_unlock(&ns->lock);
    free(copy);
}

int zdb_find(struct zdb_namespace *ns, struct str key, struct zdb_value *out, struct err *e) {
    struct zdb_item item;
    (void)pthread_rwlock_rdlock(&ns->lock);
    int r = check_whole(ns);
    if (r == 0)
        r = key.n > 0 && key.n <= ZDB_KEY_BYTES_MAX ? zdb_item_find(ns, key, &item) : -ENOENT;
    if (r == 0) r = take_value(ns, &item, out);
    (void)pthread_rwlock_unlock(&ns->lock);
    if (r == -ENOENT) return err_set(e, ERR_NOT_FOUND, "Key not found");
    if (r < 0) return unreadable(ns, key, r, e);
    if (r > 0) write_first(ns, out);
    return 0;
}

int zdb_history(struct zdb_namespace *ns, struct str key, uint32_t file_id, uint32_t offset,
                struct zdb_value *out, struct err *e) {
    struct zdb_item item;
    (void)pthread_rwlock_rdlock(&ns->lock);
    int r = check_whole(ns);
    if (r == 0) r = zdb_item_at(ns, file_id, offset, &item);
    if (r == 0 && !str_eq(zdb_item_key(&item), key)) r = -EINVAL;
    if (r == 0 && !zdb_item_has_record(ns, &item)) r = -EINVAL; /* the place may be made up */
    if (r == 0) r = take_value(ns, &item, out);
    (void)pthread_rwlock_unlock(&ns->lock);
    if (r == -EINVAL || r == -EBADMSG)
        return err_set(e, ERR_INVALID, "there is no version of the key at that place");
    if (r < 0) return unreadable(ns, key, r, e);
    if (r > 0) write_first(ns, out);
    return 0;
}

static int corrupt(struct zdb_namespace *ns, struct str key, const struct zdb_value *v,
                   struct err *e) {
    char text[ZDB_KEY_TEXT_BYTES];
    (void)atomic_fetch_add(&ns->corrupt, 1);
    return err_set(e, ERR_CORRUPT,
                   "the payload of key %s in data file %u at %u does not have its checksum",
                   zdb_key_text(key, text), v->data_id, v->offset);
}

/* One piece of the payload; what ends early is as corrupt as what changed. */
static int read_piece(const struct zdb_value *v, struct zdb_range range, void *out) {
    if (!v->file) return -EBADMSG;
    if (v->copy) {
        memcpy(out, v->copy + range.from, range.n);
        return 0;
    }
    ssize_t n = file_pread_full(v->file->fd, out, range.n, (uint64_t)v->offset + range.from);
    if (n < 0) return (int)n;
    return (size_t)n == range.n ? 0 : -EBADMSG;
}

static int failed(struct zdb_namespace *ns, struct str key, const struct zdb_value *v, int r,
                  struct err *e) {
    char text[ZDB_KEY_TEXT_BYTES];
    if (r == -EBADMSG) return corrupt(ns, key, v, e);
    return err_sys(e, -r, "read the payload of key %s from data file %u", zdb_key_text(key, text),
                   v->data_id);
}

int zdb_read(struct zdb_namespace *ns, struct str key, const struct zdb_value *v, struct buf *out,
             struct err *e) {
    if (buf_reserve(out, v->payload_bytes) < 0)
        return err_set(e, ERR_LIMIT, "a payload of %u bytes is more than is accepted",
                       v->payload_bytes);
    char *at = out->p + out->n;
    int r = read_piece(v, (struct zdb_range){0, v->payload_bytes}, at);
    if (r == 0 && zdb_crc(0, at, v->payload_bytes) != v->crc) r = -EBADMSG;
    if (r < 0) return failed(ns, key, v, r, e);
    out->n += v->payload_bytes;
    return 0;
}

int zdb_check(struct zdb_namespace *ns, struct str key, const struct zdb_value *v, struct err *e) {
    AUTO_FREE char *piece = xmalloc(PIECE_BYTES);
    uint32_t crc = 0;
    for (uint32_t done = 0; done < v->payload_bytes;) {
        struct zdb_range range = {done, v->payload_bytes - done};
        if (range.n > PIECE_BYTES) range.n = PIECE_BYTES;
        int r = read_piece(v, range, piece);
        if (r < 0) return failed(ns, key, v, r, e);
        crc = zdb_crc(crc, piece, range.n);
        done += range.n;
    }
    return crc == v->crc ? 0 : corrupt(ns, key, v, e);
}

int zdb_read_range(struct zdb_namespace *ns, const struct zdb_value *v, struct zdb_range range,
                   void *out, struct err *e) {
    (void)ns;
    if (range.from > v->payload_bytes || range.n > v->payload_bytes - range.from)
        return err_set(e, ERR_INVALID, "%u bytes at %u are not within the %u of the payload",
                       range.n, range.from, v->payload_bytes);
    int r = read_piece(v, range, out);
    if (r == -EBADMSG)
        return err_set(e, ERR_CORRUPT, "data file %u ends within a payload", v->data_id);
    return r < 0 ? err_sys(e, -r, "read a part of a payload from data file %u", v->data_id) : 0;
}

/* ---- scans; lock held (read). They return 1 with the item, 0 at the end, or -errno ---- */

static int scan_forward(struct zdb_namespace *ns, uint32_t file_id, uint32_t at,
                        struct zdb_item *i) {
    for (; file_id < ns->pair_count; file_id++, at = ZDB_INDEX_HEADER_BYTES)
        while (at < ns->pairs[file_id].index_end) {
            int r = zdb_item_at(ns, file_id, at, i);
            if (r < 0) return r;
            if (!(i->entry.flags & ZDB_DELETED)) return 1;
            at += ZDB_ENTRY_BYTES + i->entry.key_bytes;
        }
    return 0;
}

/* From the end of the entries in front of file_id on, or (when `at` is set) from that entry on. */
static int scan_back(struct zdb_namespace *ns, uint32_t file_id, uint32_t at, struct zdb_item *i) {
    for (;;) {
        while (at == 0) {
            if (file_id == 0) return 0;
            at = ns->pairs[--file_id].last_entry;
        }
        int r = zdb_item_at(ns, file_id, at, i);
        if (r < 0) return r;
        if (!(i->entry.flags & ZDB_DELETED)) return 1;
        if (at == ZDB_INDEX_HEADER_BYTES)
            at = 0;
        else if (i->entry.previous < at)
            at = i->entry.previous;
        else
            return -EBADMSG;
    }
}

static int scan(struct zdb_namespace *ns, enum zdb_direction direction,
                const struct zdb_cursor *after, struct zdb_item *i) {
    if (!after && direction == ZDB_BACK) return scan_back(ns, ns->pair_count, 0, i);
    if (!after) return scan_forward(ns, 0, ZDB_INDEX_HEADER_BYTES, i);
    int r = zdb_item_at(ns, after->file_id, after->offset, i);
    if (r < 0 || i->entry.key_bytes != after->key_bytes) return -EINVAL;
    /* Ids do not move, but get other values. Keys of `user` move with compaction. */
    if (ns->mode == ZDB_USER &&
        (i->entry.payload_bytes != after->payload_bytes || zdb_cursor_crc(ns, i) != after->crc))
        return -EINVAL;
    if (direction == ZDB_FORWARD)
        return scan_forward(ns, after->file_id,
                            after->offset + ZDB_ENTRY_BYTES + i->entry.key_bytes, i);
    if (after->offset == ZDB_INDEX_HEADER_BYTES) return scan_back(ns, after->file_id, 0, i);
    if (i->entry.previous >= after->offset) return -EBADMSG;
    return scan_back(ns, after->file_id, i->entry.previous, i);
}

int zdb_scan(struct zdb_namespace *ns, enum zdb_direction direction, const struct zdb_cursor *after,
             struct zdb_scanned *out, struct err *e) {
    struct zdb_item i;
    (void)pthread_rwlock_rdlock(&ns->lock);
    int r = check_whole(ns);
    if (r == 0) r = scan(ns, direction, after, &i);
    uint32_t crc = r > 0 ? zdb_cursor_crc(ns, &i) : 0;
    (void)pthread_rwlock_unlock(&ns->lock);
    if (r == 0) return err_set(e, ERR_NOT_FOUND, "No more data");
    if (r == -EINVAL)
        return err_set(e, ERR_INVALID,
                       "the cursor does not name an entry, or no more: scan again from the start");
    if (r == -EBADMSG) return err_set(e, ERR_CORRUPT, "the index is damaged here");
    if (r == -EBUSY)
        return err_set(e, ERR_IO, "a compaction could not be finished: the next write tries again");
    if (r < 0) return err_sys(e, -r, "read the index");
    *out = (struct zdb_scanned){.key_bytes = i.entry.key_bytes,
                                .payload_bytes = i.entry.payload_bytes,
                                .time_s = i.entry.time_s,
                                .cursor = {.key_bytes = i.entry.key_bytes,
                                           .file_id = i.file_id,
                                           .payload_bytes = i.entry.payload_bytes,
                                           .offset = i.offset,
                                           .crc = crc}};
    memcpy(out->key, i.key, i.entry.key_bytes);
    return 0;
}
