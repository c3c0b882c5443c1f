/* SPDX-License-Identifier: Apache-2.0 — zdb_compact_plan.c: which records of a data file stay.
 *
 * The records are walked, headers only. One stays when it is its key's present value, or one of the
 * versions that are reached from it (parent_id, parent_offset) and that retention keeps. A key's
 * versions are followed once for the file, when the first of its superseded records comes along;
 * `seen` remembers that by the hash and a place where the key can be read. Where retention ends,
 * the last version that stays loses its parent, whatever file it is in: so versions leave HISTORY
 * at its end only, and following never costs more than what is kept. The versions of a deleted key,
 * and those of a key before its deletion, are reached from nowhere. A deletion's own record stays
 * while a file below has garbage: that might be the value which it deletes, and tools rebuild an
 * index from data files.
 *
 * Writers go on meanwhile. What they replace or delete in this file is noted (zdb_watch), and taken
 * in at the end by zdb_compact_catch_up(); any order of planning and noting gives the same. As a
 * proof against damaged records that were walked over, the present values that were found must be
 * the bytes that the namespace counts in this file. */
#include "storage/zdb/zdb_compact.h"

#include "base/file.h"

#include <errno.h>

#define FOLLOW_STEPS 256 /* then others get the lock */

void zdb_compact_link(struct zdb_compaction *c, struct zdb_link link) {
    if (c->link_count == c->link_capacity) {
        c->link_capacity = c->link_capacity ? c->link_capacity * 2 : 64;
        c->links = xrealloc(c->links, c->link_capacity * sizeof *c->links);
    }
    c->links[c->link_count++] = link;
}

static int add_keep(struct zdb_compaction *c, struct zdb_keep keep, struct err *e) {
    if (c->keep_count == ZDB_KEEPS_MAX)
        return err_set(e, ERR_LIMIT, "data file %u has more than %u records that stay", c->file_id,
                       ZDB_KEEPS_MAX);
    if (c->keep_count == c->keep_capacity) {
        c->keep_capacity = c->keep_capacity ? c->keep_capacity * 2 : 64;
        c->keeps = xrealloc(c->keeps, c->keep_capacity * sizeof *c->keeps);
    }
    c->keeps[c->keep_count++] = keep;
    return 0;
}

static int add_item(struct zdb_compaction *c, const struct zdb_item *i, uint32_t flags,
                    struct err *e) {
    struct zdb_keep keep = {.record = i->entry.offset,
                            .bytes = ZDB_RECORD_BYTES + (uint32_t)i->entry.key_bytes +
                                     i->entry.payload_bytes,
                            .entry_file = i->file_id,
                            .entry_at = i->offset,
                            .flags = flags};
    return add_keep(c, keep, e);
}

static int changed(const struct zdb_compaction *c, struct err *e) {
    if (c->ns->generation == c->generation) return 0;
    return err_set(e, ERR_BUSY, "the namespace was undone or emptied meanwhile");
}

/* ---- versions of a key; lock held (read), and given to others now and then ---- */

static bool has_parent(const struct zdb_item *i) {
    return i->entry.parent_id != 0 || i->entry.parent_offset != 0;
}

/* The version before. -EINVAL: there is none at that place. */
static int read_parent(struct zdb_compaction *c, const struct zdb_item *i, struct zdb_item *out) {
    int r = zdb_item_at(c->ns, i->entry.parent_id, i->entry.parent_offset, out);
    if (r < 0) return r == -EBADMSG ? -EINVAL : r;
    uint64_t record = (uint64_t)zdb_data_id(c->ns, i) << 32 | i->entry.offset;
    uint64_t before = (uint64_t)zdb_data_id(c->ns, out) << 32 | out->entry.offset;
    bool is_older = before < record && !zdb_entry_is_neutral(&out->entry);
    return is_older && str_eq(zdb_item_key(out), zdb_item_key(i)) ? 0 : -EINVAL;
}

/* All that may be in the file lies in front of i. */
static bool is_past(const struct zdb_compaction *c, const struct zdb_item *i) {
    uint32_t next = c->is_user ? i->entry.parent_id : zdb_data_id(c->ns, i);
    return next < c->file_id;
}

static int follow(struct zdb_compaction *c, struct zdb_item *i, struct err *e) {
    struct zdb_item parent;
    for (uint32_t depth = 0; has_parent(i) && !is_past(c, i); depth++) {
        if (depth == c->versions_max) {
            zdb_compact_link(c, (struct zdb_link){i->file_id, i->offset, 0});
            return 0;
        }
        if (depth % FOLLOW_STEPS == FOLLOW_STEPS - 1) {
            (void)pthread_rwlock_unlock(&c->ns->lock);
            (void)pthread_rwlock_rdlock(&c->ns->lock);
            if (changed(c, e) < 0) return -1;
        }
        int r = read_parent(c, i, &parent);
        if (r == -EINVAL) { /* a place in this file will soon be another's */
            if (i->entry.parent_id == c->file_id)
                zdb_compact_link(c, (struct zdb_link){i->file_id, i->offset, 0});
            return 0;
        }
        if (r < 0) return err_sys(e, -r, "read a version in index file %u", i->entry.parent_id);
        if (zdb_data_id(c->ns, &parent) == c->file_id) {
            if (add_item(c, &parent, 0, e) < 0) return -1;
            if (c->is_user && i->file_id != c->file_id)
                zdb_compact_link(c, (struct zdb_link){i->file_id, i->offset, parent.offset});
        }
        *i = parent;
    }
    return 0;
}

/* 1: this key was followed already; 0: not, and now it counts as such. */
static int see(struct zdb_compaction *c, const struct zdb_walked *w) {
    char bytes[ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX];
    size_t n = ZDB_RECORD_BYTES + w->key.n;
    uint32_t hash = zdb_key_hash(c->ns, w->key);
    struct zdb_slot *s = zdb_table_first(&c->seen, hash);
    for (; s; s = zdb_table_next(&c->seen, s)) {
        ssize_t got = file_pread_full(c->data->fd, bytes, n, s->a);
        if (got < 0) return (int)got;
        bool is_whole = (size_t)got == n && (uint8_t)bytes[0] == w->key.n;
        if (is_whole && str_eq(str_make(bytes + ZDB_RECORD_BYTES, w->key.n), w->key)) return 1;
    }
    zdb_table_add(&c->seen, (struct zdb_slot){hash, w->at, 0});
    return 0;
}

/* ---- one record; lock held (read) ---- */

static int plan_value(struct zdb_compaction *c, const struct zdb_walked *w, struct err *e) {
    struct zdb_item head;
    char text[ZDB_KEY_TEXT_BYTES];
    if (changed(c, e) < 0) return -1;
    int r = zdb_item_find(c->ns, w->key, &head);
    if (r == -ENOENT) return 0;
    if (r == -EBADMSG || r == -EINVAL)
        return err_set(e, ERR_CORRUPT, "the index entry of key %s is damaged",
                       zdb_key_text(w->key, text));
    if (r < 0) return err_sys(e, -r, "read the index entry of key %s", zdb_key_text(w->key, text));
    if (zdb_data_id(c->ns, &head) == c->file_id && head.entry.offset == w->at) {
        if (head.entry.payload_bytes != w->record.payload_bytes)
            return err_set(e, ERR_CORRUPT, "the record of key %s at %u has another length",
                           zdb_key_text(w->key, text), w->at);
        return add_item(c, &head, ZDB_KEEP_LIVE, e);
    }
    if (!has_parent(&head)) return 0;
    r = see(c, w);
    if (r < 0) return err_sys(e, -r, "read the record at %u", w->at);
    return r > 0 ? 0 : follow(c, &head, e);
}

static int plan_record(struct zdb_compaction *c, const struct zdb_walked *w, struct err *e) {
    if (w->record.flags & ZDB_DELETED) {
        struct zdb_keep keep = {.record = w->at, .bytes = w->bytes, .flags = ZDB_KEEP_TOMBSTONE};
        return c->keeps_tombstones ? add_keep(c, keep, e) : 0;
    }
    (void)pthread_rwlock_rdlock(&c->ns->lock);
    int r = plan_value(c, w, e);
    (void)pthread_rwlock_unlock(&c->ns->lock);
    return r;
}

/* ---- the whole ---- */

static int by_record(const void *a, const void *b) {
    const struct zdb_keep *x = a;
    const struct zdb_keep *y = b;
    return (x->record > y->record) - (x->record < y->record);
}

static int by_place(const void *a, const void *b) {
    const struct zdb_link *x = a;
    const struct zdb_link *y = b;
    uint64_t p = (uint64_t)x->file_id << 32 | x->at;
    uint64_t q = (uint64_t)y->file_id << 32 | y->at;
    if (p != q) return p > q ? 1 : -1;
    return (x->parent_at > y->parent_at) - (x->parent_at < y->parent_at);
}

/* In order, each once; a tombstone takes the entry of what is in front, for the search by entry. */
static int put_in_order(struct zdb_compaction *c, struct err *e) {
    size_t n = 0;
    if (c->keep_count > 0) qsort(c->keeps, c->keep_count, sizeof *c->keeps, by_record);
    if (c->link_count > 0) qsort(c->links, c->link_count, sizeof *c->links, by_place);
    uint32_t entry_at = 0;
    for (size_t i = 0; i < c->keep_count; i++) {
        struct zdb_keep keep = c->keeps[i];
        if (n > 0 && c->keeps[n - 1].record == keep.record) continue;
        if (keep.flags & ZDB_KEEP_TOMBSTONE) keep.entry_at = entry_at;
        bool is_odd = n > 0 && keep.record < c->keeps[n - 1].record + c->keeps[n - 1].bytes;
        is_odd |= c->is_user && (keep.entry_at < entry_at || keep.entry_at >= c->index_end);
        if (is_odd || (uint64_t)keep.record + keep.bytes > c->data_end)
            return err_set(e, ERR_CORRUPT, "its records and entries are not in the same order");
        entry_at = keep.entry_at;
        c->keeps[n++] = keep;
    }
    c->keep_count = n;
    return 0;
}

int zdb_compact_plan(struct zdb_compaction *c, struct err *e) {
    struct zdb_walk walk = {
        .window = {.fd = c->data->fd}, .at = ZDB_DATA_HEADER_BYTES, .end = c->data_end};
    struct zdb_walked w;
    uint64_t paid = 0;
    int r = 1;
    while (r > 0 && (r = zdb_walk_next(&walk, &w)) > 0) {
        if (plan_record(c, &w, e) < 0) break;
        if (walk.window.read_bytes == paid) continue;
        if (zdb_pace_step(c->pace, walk.window.read_bytes - paid, e) < 0) break;
        paid = walk.window.read_bytes;
    }
    zdb_window_done(&walk.window);
    zdb_table_done(&c->seen);
    if (r > 0) return -1;
    if (r == -EBADMSG) return err_set(e, ERR_CORRUPT, "there is no whole record at %u", walk.at);
    if (r < 0) return err_sys(e, -r, "read data file %u", c->file_id);
    return put_in_order(c, e);
}

/* ---- looking up ---- */

struct zdb_keep *zdb_keep_of_record(const struct zdb_compaction *c, uint32_t record) {
    size_t low = 0;
    size_t high = c->keep_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->keeps[middle].record < record)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->keep_count || c->keeps[low].record != record) return NULL;
    return c->keeps[low].flags & ZDB_KEEP_TOMBSTONE ? NULL : &c->keeps[low];
}

struct zdb_keep *zdb_keep_of_entry(const struct zdb_compaction *c, uint32_t entry_at) {
    size_t low = 0;
    size_t high = c->keep_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->keeps[middle].entry_at < entry_at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->keep_count || c->keeps[low].entry_at != entry_at) return NULL;
    return c->keeps[low].flags & ZDB_KEEP_TOMBSTONE ? NULL : &c->keeps[low];
}

bool zdb_is_cut(const struct zdb_compaction *c, uint32_t file_id, uint32_t at) {
    struct zdb_link want = {file_id, at, 0};
    return c->link_count > 0 &&
           bsearch(&want, c->links, c->link_count, sizeof want, by_place) != NULL;
}

/* ---- what changed meanwhile ---- */

void zdb_compact_catch_up(struct zdb_compaction *c) {
    const struct zdb_watch *watch = &c->ns->watch;
    for (size_t i = 0; i < watch->count; i++) {
        const struct zdb_event *event = &watch->events[i];
        struct zdb_keep *keep = zdb_keep_of_record(c, event->record);
        if (keep) keep->flags &= ~(uint32_t)ZDB_KEEP_LIVE;
        if (keep && (event->is_deletion || c->versions_max == 0)) keep->flags |= ZDB_KEEP_GARBAGE;
        if (event->is_deletion) continue;
        if (c->is_user) {
            uint32_t parent_at = keep ? keep->entry_at : 0;
            zdb_compact_link(c, (struct zdb_link){event->by_file, event->by_at, parent_at});
        } else if (keep) { /* the copy that the update made names it now */
            keep->entry_file = event->by_file;
            keep->entry_at = event->by_at;
        }
    }
}

void zdb_compact_remember(const struct zdb_compaction *c) {
    struct zdb_pair *pair = &c->ns->pairs[c->file_id];
    zdb_forget_kept(pair);
    pair->look = c->look;
    for (size_t i = 0; i < c->keep_count; i++) {
        const struct zdb_keep *k = &c->keeps[i];
        if (k->flags & ZDB_KEEP_TOMBSTONE)
            pair->deletion_bytes += k->bytes;
        else if (!(k->flags & (ZDB_KEEP_LIVE | ZDB_KEEP_GARBAGE)))
            pair->kept_bytes += k->bytes;
    }
}

bool zdb_compact_has_all(const struct zdb_compaction *c) {
    const struct zdb_watch *watch = &c->ns->watch;
    uint64_t live = 0;
    for (size_t i = 0; i < c->keep_count; i++)
        if (c->keeps[i].flags & ZDB_KEEP_LIVE) live += c->keeps[i].bytes;
    for (size_t i = 0; i < watch->count; i++) { /* a value is replaced or deleted once */
        const struct zdb_keep *keep = zdb_keep_of_record(c, watch->events[i].record);
        if (keep && keep->flags & ZDB_KEEP_LIVE) live -= keep->bytes;
    }
    return live == c->ns->pairs[c->file_id].live_bytes;
}
