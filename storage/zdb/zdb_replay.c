/* SPDX-License-Identifier: Apache-2.0 — zdb_replay.c: the records of the current data file against
 * its index.
 *
 * A write is acknowledged when its record is durable; its index entry, and what it changes in
 * entries that are there, may be lost by a crash. All of it follows from the records:
 * - The records that are no deletions and the entries of the index file of the same number belong
 *   together in their order. `user`: the entry names its record. `seq`: an entry at the position of
 *   its own id is that id's first version, any other one the copy that an update made.
 * - Entries that are there are compared with their records; what a record changed elsewhere
 *   (deletions; in `seq` mode the entry in place) is made good when it is older than the record.
 * - Records that no entry is left for are put into the index like new writes.
 * - A record that names another predecessor than the one before it ends the walk: something is
 *   missing in between. From there on entries count whose record is there.
 * Earlier data files need none of this: everything was synced when they were ended.
 * A record that does not prove that it is whole is acknowledged only when the index is durable, too
 * (zdb_commit.c): so of those nothing is made again. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define WINDOW_BYTES ((size_t)256 << 10)
#define TAIL_MANY    ((size_t)1 << 20)

struct found {
    struct zdb_record record;
    uint8_t key[ZDB_KEY_BYTES_MAX];
    uint32_t at;
};

void zdb_replay_init(struct zdb_replay *r, struct zdb_namespace *ns) {
    *r = (struct zdb_replay){.ns = ns, .at = ZDB_DATA_HEADER_BYTES};
    r->size = zdb_current(ns)->data_end;
    r->window = xmalloc(WINDOW_BYTES);
}

void zdb_replay_done(struct zdb_replay *r) { free(STEAL(r->window)); }

static struct str key_of(const struct found *x) {
    return str_make((const char *)x->key, x->record.key_bytes);
}

static uint32_t payload_at(const struct found *x) {
    return x->at + ZDB_RECORD_BYTES + x->record.key_bytes;
}

/* The next record, if one is there and fits. */
static bool peek(struct zdb_replay *r, struct found *out) {
    size_t need = ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX;
    if (r->at >= r->size) return false;
    if (need > r->size - r->at) need = r->size - r->at;
    if (r->at < r->window_at || r->at + need > r->window_at + r->window_n) {
        ssize_t n = file_pread_full(zdb_current(r->ns)->data->fd, r->window, WINDOW_BYTES, r->at);
        r->window_at = r->at;
        r->window_n = n > 0 ? (size_t)n : 0;
    }
    struct str in = str_make(r->window + (r->at - r->window_at), need);
    if (r->window_n < need || zdb_record_decode(in, &out->record) < 0) return false;
    out->at = r->at;
    if ((uint64_t)payload_at(out) + out->record.payload_bytes > r->size) return false;
    memcpy(out->key, in.p + ZDB_RECORD_BYTES, out->record.key_bytes);
    return true;
}

/* Whether it is the record that was written: see zdb_record_is_evident(). */
static bool is_evident(struct zdb_replay *r, const struct found *x) {
    char bytes[ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX + ZDB_SECTOR_BYTES];
    size_t head = ZDB_RECORD_BYTES + (size_t)x->record.key_bytes;
    size_t n = x->record.payload_bytes;
    if (n > ZDB_SECTOR_BYTES) n = ZDB_SECTOR_BYTES;
    int fd = zdb_current(r->ns)->data->fd;
    if (x->at % ZDB_SECTOR_BYTES + head <= ZDB_SECTOR_BYTES) return true;
    if (file_pread_full(fd, bytes, head + n, x->at) != (ssize_t)(head + n)) return false;
    return zdb_record_is_evident(x->at, str_make(bytes, head), str_make(bytes + head, n));
}

static void step(struct zdb_replay *r, const struct found *x) {
    r->last = x->at;
    r->at = payload_at(x) + x->record.payload_bytes;
}

/* Whether the entry stands for a record in front of x. */
static bool is_older(const struct zdb_namespace *ns, const struct zdb_item *i,
                     const struct found *x) {
    uint32_t data_id = zdb_data_id(ns, i);
    return data_id + 1 < ns->pair_count ||
           (data_id + 1 == ns->pair_count && i->entry.offset < x->at);
}

/* With its key, which may not have reached the file either. */
static int write_entry(struct zdb_namespace *ns, struct zdb_item *i) {
    uint8_t bytes[ZDB_ENTRY_BYTES];
    zdb_entry_encode(&i->entry, bytes);
    struct iovec iov[] = {{bytes, sizeof bytes}, {i->key, i->entry.key_bytes}};
    ns->pairs[i->file_id].is_dirty = true;
    return ns->io->write(ns->io, ns->pairs[i->file_id].index_fd, iov, 2, i->offset);
}

/* A deletion whose mark may not have reached the index. */
static void redo_delete(struct zdb_namespace *ns, const struct found *x) {
    struct zdb_item i;
    uint32_t hash;
    if (zdb_item_find(ns, key_of(x), &i) < 0 || !is_older(ns, &i, x)) return;
    struct zdb_slot *slot = ns->mode == ZDB_USER ? zdb_key_slot(ns, key_of(x), &hash) : NULL;
    if (slot) zdb_table_remove(&ns->keys, slot);
    zdb_live_remove(ns, &i, true);
    i.entry.flags |= ZDB_DELETED;
    int n = write_entry(ns, &i);
    if (n < 0)
        zdb_report(ns, "index file %u: entry at %u could not be marked: %s", i.file_id, i.offset,
                   strerror(-n));
}

/* Names the one before it. What does not is no record, or others are missing in front of it. */
static bool is_chained(const struct zdb_replay *r, const struct found *x) {
    return x->at == ZDB_DATA_HEADER_BYTES || x->record.previous == r->last;
}

/* The next record that is none of a deletion; those are made good on the way. */
static bool next_put(struct zdb_replay *r, struct found *out) {
    for (; peek(r, out) && is_chained(r, out); step(r, out)) {
        if (!out->record.flags) return true;
        if (out->record.flags & ZDB_DELETED && is_evident(r, out)) redo_delete(r->ns, out);
    }
    return false;
}

static bool is_named(const struct found *x, const struct zdb_item *i) {
    return i->entry.offset == x->at && i->entry.payload_bytes == x->record.payload_bytes &&
           i->entry.crc == x->record.crc && str_eq(zdb_item_key(i), key_of(x));
}

bool zdb_replay_user(struct zdb_replay *r, const struct zdb_item *i) {
    struct found x;
    bool is_there = next_put(r, &x);
    if (!is_there || !is_named(&x, i)) {
        if (!zdb_item_has_record(r->ns, i)) return false;
        if (i->entry.offset < r->at) return true;
        /* An entry or a record in front of it is damaged: go on behind it. */
        while (is_there && x.at < i->entry.offset) {
            step(r, &x);
            is_there = next_put(r, &x);
        }
        r->at = i->entry.offset;
        if (!peek(r, &x)) return false;
    }
    step(r, &x);
    return true;
}

/* ---- seq ---- */

static uint64_t position(const struct zdb_namespace *ns, uint32_t file_id, uint32_t offset) {
    return ns->pairs[file_id].first_id + (offset - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
}

/* Place and `previous` of the entry of an id that was given. */
static struct zdb_item place_of(const struct zdb_namespace *ns, uint64_t id) {
    uint32_t f = ns->pair_count - 1;
    while (f > 0 && ns->pairs[f].first_id > id) f--;
    uint64_t nth = id - ns->pairs[f].first_id;
    uint64_t at = ZDB_INDEX_HEADER_BYTES + nth * ZDB_SEQ_ENTRY_BYTES;
    struct zdb_item i = {.file_id = f, .offset = (uint32_t)at};
    i.entry.previous = nth > 0 ? i.offset - ZDB_SEQ_ENTRY_BYTES : 0;
    if (nth == 0 && f > 0) i.entry.previous = ns->pairs[f - 1].last_entry;
    zdb_id_encode(id, i.key);
    return i;
}

/* The entry of x at the place of its id; copy: of the version before, or NULL. */
static struct zdb_item entry_of(const struct zdb_namespace *ns, uint64_t id, const struct found *x,
                                const struct zdb_item *copy) {
    struct zdb_item i = place_of(ns, id);
    i.entry.key_bytes = ZDB_ID_BYTES;
    i.entry.payload_bytes = x->record.payload_bytes;
    i.entry.time_s = x->record.time_s;
    i.entry.crc = x->record.crc;
    i.entry.data_id = ns->pair_count - 1;
    i.entry.offset = x->at;
    i.entry.parent_id = copy ? copy->file_id : 0;
    i.entry.parent_offset = copy ? copy->offset : 0;
    return i;
}

static bool is_equal(const struct zdb_entry *a, const struct zdb_entry *b) {
    uint8_t bytes[2][ZDB_ENTRY_BYTES];
    zdb_entry_encode(a, bytes[0]);
    zdb_entry_encode(b, bytes[1]);
    return memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0;
}

/* The entry in place of the id becomes that of x, unless it is that of a later record already. */
static int redo_put(struct zdb_namespace *ns, uint64_t id, const struct found *x,
                    const struct zdb_item *copy) {
    struct zdb_item there;
    struct zdb_item made = entry_of(ns, id, x, copy);
    int r = zdb_item_at(ns, made.file_id, made.offset, &there);
    if (r < 0 && r != -EBADMSG) return r;
    bool is_there = r == 0 && str_eq(zdb_item_key(&there), key_of(x));
    bool is_whole = is_there && zdb_item_has_record(ns, &there);
    if (is_whole && !is_older(ns, &there, x)) {
        if (there.entry.offset != x->at || there.entry.data_id != made.entry.data_id) return 0;
        made.entry.flags = there.entry.flags; /* what has_record() does not see may be torn */
        return is_equal(&there.entry, &made.entry) ? 0 : write_entry(ns, &made);
    }
    if (copy && is_there && !(there.entry.flags & ZDB_DELETED)) zdb_live_remove(ns, &there, false);
    if (copy) zdb_live_add(ns, &made);
    return write_entry(ns, &made);
}

/* A copy goes to the file before its original changes. So without a good one nothing did, unless
 * it was damaged later. */
static bool is_copy(struct zdb_namespace *ns, const struct zdb_item *i, const struct found *x) {
    return i->entry.flags & ZDB_DELETED && is_older(ns, i, x) && zdb_item_has_record(ns, i);
}

static bool is_applied(struct zdb_namespace *ns, uint64_t id, const struct found *x) {
    struct zdb_item place = place_of(ns, id);
    struct zdb_item there;
    return zdb_item_at(ns, place.file_id, place.offset, &there) == 0 &&
           str_eq(zdb_item_key(&there), key_of(x)) && !is_older(ns, &there, x) &&
           zdb_item_has_record(ns, &there);
}

bool zdb_replay_fits(struct zdb_replay *r, const struct zdb_item *i) {
    struct zdb_namespace *ns = r->ns;
    struct found x;
    uint64_t id;
    if (!peek(r, &x) || x.record.flags || zdb_id_decode(key_of(&x), &id) < 0) return false;
    if (id != position(ns, i->file_id, i->offset) || !str_eq(zdb_item_key(i), key_of(&x)))
        return false;
    struct zdb_item made = entry_of(ns, id, &x, NULL);
    made.entry.flags = i->entry.flags;
    if (!is_equal(&made.entry, &i->entry)) return false;
    step(r, &x);
    return true;
}

int zdb_replay_seq(struct zdb_replay *r, uint32_t at, enum zdb_replayed *out) {
    struct zdb_namespace *ns = r->ns;
    uint32_t last = ns->pair_count - 1;
    uint64_t nth = position(ns, last, at);
    struct found x;
    struct zdb_item copy;
    uint64_t id;
    if (!next_put(r, &x) || zdb_id_decode(key_of(&x), &id) < 0 || id > nth) {
        *out = ZDB_REPLAY_LOST;
        return 0;
    }
    int n = zdb_item_at(ns, last, at, &copy);
    bool is_entry = n == 0 && str_eq(zdb_item_key(&copy), key_of(&x));
    if (n < 0 && n != -EBADMSG) return n;
    n = 0;
    if (id == nth) {
        n = redo_put(ns, id, &x, NULL);
    } else if (is_entry && is_copy(ns, &copy, &x)) {
        n = redo_put(ns, id, &x, &copy);
    } else if (is_entry && zdb_entry_is_neutral(&copy.entry)) {
        n = 0; /* compaction dropped that version; before it did, everything was synced */
    } else if (!is_applied(ns, id, &x)) {
        *out = ZDB_REPLAY_TORN;
        return 0;
    } else {
        zdb_report(ns, "index file %u: the copy at %u of an earlier version of id %llu is damaged",
                   last, at, (unsigned long long)id);
    }
    if (n < 0) return n;
    step(r, &x);
    *out = ZDB_REPLAY_GOOD;
    return 0;
}

/* ---- what the index lacks ---- */

static bool has_checksum(struct zdb_replay *r, const struct found *x) {
    uint32_t crc = 0;
    uint32_t done = 0;
    uint32_t from = payload_at(x);
    if (from >= r->window_at && from + x->record.payload_bytes <= r->window_at + r->window_n)
        return zdb_crc(0, r->window + (from - r->window_at), x->record.payload_bytes) ==
               x->record.crc;
    r->window_n = 0; /* its memory is used here */
    for (; done < x->record.payload_bytes;) {
        size_t want = x->record.payload_bytes - done;
        if (want > WINDOW_BYTES) want = WINDOW_BYTES;
        int fd = zdb_current(r->ns)->data->fd;
        if (file_pread_full(fd, r->window, want, from + done) != (ssize_t)want) return false;
        crc = zdb_crc(crc, r->window, want);
        done += (uint32_t)want;
    }
    return crc == x->record.crc;
}

/* So that what waits in memory stays small however much the index lacks. */
static int write_waiting(struct zdb_namespace *ns) {
    int n = 0;
    if (ns->tail.n >= TAIL_MANY) n = zdb_tail_write(ns, ns->tail.n);
    if (n < 0 || ns->patch_count < ZDB_PATCHES_MANY) return n;
    n = zdb_tail_write(ns, ns->tail.n);
    if (n == 0) n = zdb_indexes_sync(ns); /* copies before what they are copies of */
    return n < 0 ? n : zdb_patches_apply(ns, UINT64_MAX);
}

/* Of the one before it; `seq`: is of an id that was given, or of the next one. */
static bool is_next(struct zdb_replay *r, const struct found *x) {
    struct zdb_namespace *ns = r->ns;
    uint64_t id;
    if (!is_chained(r, x)) return false;
    if (ns->mode == ZDB_USER) return true;
    return zdb_id_decode(key_of(x), &id) == 0 &&
           id <= position(ns, ns->pair_count - 1, zdb_current(ns)->index_end);
}

static int put_rest(struct zdb_replay *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct found x;
    while (peek(r, &x) && is_next(r, &x) && has_checksum(r, &x)) {
        bool is_delete = x.record.flags & ZDB_DELETED;
        bool counts = !(x.record.flags & ZDB_TRUNCATED) && is_evident(r, &x);
        if (!counts && x.record.flags == 0) break; /* its index would be here */
        ns->last_record = r->last;
        zdb_current(ns)->data_end = x.at;
        if (counts && zdb_index_record(ns, &x.record, key_of(&x), e) < 0)
            return err_in(e, "data file %u, record at %u", ns->pair_count - 1, x.at);
        int n = write_waiting(ns);
        if (n < 0) return err_sys(e, -n, "write index file %u", ns->pair_count - 1);
        r->added += counts && !is_delete;
        step(r, &x);
    }
    return 0;
}

int zdb_replay_rest(struct zdb_replay *r, struct err *e) {
    int n = put_rest(r, e);
    zdb_current(r->ns)->data_end = n < 0 ? r->size : r->at; /* the next attempt needs all of it */
    r->ns->last_record = r->last;
    return n;
}
