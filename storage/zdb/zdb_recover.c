/* SPDX-License-Identifier: Apache-2.0 — zdb_recover.c: from the files to the state in memory.
 *
 * What a crash may leave, and what is done about it:
 * - Records of the last data file are acknowledged when they are durable; of its index file, and of
 *   changes in place, anything may be missing or torn. They are compared and made again from the
 *   records (zdb_replay.c). What does not fit at the end of the index is cut, and kept in iN.cut:
 *   it could be damage, not a tear.
 * - Behind the last whole record there are torn bytes: they are cut.
 * - Files in front of the last were synced when they were ended. An entry there that does not fit
 *   is damaged: it is reported and skipped.
 * - `user`: a later entry of a key replaces or deletes the one before, whose own mark may be
 *   missing.
 * A payload whose checksum is wrong is left for the reader to meet: its key answers with an error.
 *
 * One pass over the index files and over the headers of the last data file, through buffers;
 * nothing is kept per key in `seq` mode. */
#include "storage/zdb/zdb_internal.h"
#include "storage/zdb/zdb_walk.h"

#include "base/file.h"

#include <errno.h>

#define WINDOW_BYTES ((size_t)256 << 10)

struct tail_end { /* of a data file: end and start of the last record that an entry names */
    uint32_t end, start;
};

struct recovery {
    struct zdb_namespace *ns;
    struct tail_end *ends; /* owned, by data file */
    char *window;          /* owned */
    uint32_t window_at;
    size_t window_n;
    struct zdb_replay replay; /* owned */
    bool is_lost;             /* seq: entries of the last file do not go with its records */
};

static void recovery_done(struct recovery *r) {
    free(r->ends);
    free(r->window);
    zdb_replay_done(&r->replay);
}

void zdb_forget(struct zdb_namespace *ns) {
    zdb_table_done(&ns->keys);
    zdb_patches_drop(ns);
    buf_clear(&ns->tail);
    buf_clear(&ns->out.bytes);
    ns->out.is_lost = false;
    ns->out.data_ahead = ns->out.index_ahead = 0;
    atomic_store(&ns->out.waits, false);
    ns->entries = ns->live_bytes = 0;
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        ns->pairs[f].live_bytes = 0;
        zdb_forget_kept(&ns->pairs[f]);
    }
    ns->last_record = ns->last_entry = 0;
}

/* The entry at the offset through the window. As zdb_item_at. */
static int next_item(struct recovery *r, uint32_t file_id, uint32_t offset, struct zdb_item *out) {
    struct zdb_pair *pair = &r->ns->pairs[file_id];
    size_t need = pair->index_end - offset;
    if (need > ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX) need = ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX;
    if (offset < r->window_at || offset + need > r->window_at + r->window_n) {
        ssize_t n = file_pread_full(pair->index_fd, r->window, WINDOW_BYTES, offset);
        if (n < 0) return (int)n;
        r->window_at = offset;
        r->window_n = (size_t)n;
    }
    struct str in = str_make(r->window + (offset - r->window_at), need);
    if (r->window_n < need || zdb_entry_decode(in, &out->entry) < 0) return -EBADMSG;
    if (ZDB_ENTRY_BYTES + (size_t)out->entry.key_bytes > need) return -EBADMSG;
    if (r->ns->mode == ZDB_SEQ && out->entry.key_bytes != ZDB_ID_BYTES) return -EBADMSG;
    memcpy(out->key, in.p + ZDB_ENTRY_BYTES, out->entry.key_bytes);
    out->file_id = file_id;
    out->offset = offset;
    return 0;
}

static void mark_deleted(struct zdb_namespace *ns, struct zdb_item *i) {
    struct zdb_patch patch = {.entry = i->entry, .file_id = i->file_id, .offset = i->offset};
    patch.entry.flags |= ZDB_DELETED;
    int r = zdb_patch_write(ns, &patch);
    if (r < 0) ns->is_unmarked = true;
    if (r < 0)
        zdb_report(ns, "index file %u: entry at %u could not be marked: %s", i->file_id, i->offset,
                   strerror(-r));
}

static void take_user(struct zdb_namespace *ns, const struct zdb_item *i) {
    uint32_t hash;
    struct zdb_item before;
    struct zdb_slot *slot = zdb_key_slot(ns, zdb_item_key(i), &hash);
    if (slot && zdb_item_at(ns, slot->a, slot->b, &before) == 0) {
        zdb_live_remove(ns, &before, false);
        zdb_table_remove(&ns->keys, slot);
        mark_deleted(ns, &before);
    }
    if (i->entry.flags & ZDB_DELETED) return;
    zdb_table_add(&ns->keys, (struct zdb_slot){hash, i->file_id, i->offset});
    zdb_live_add(ns, i);
}

static void take_seq(struct zdb_namespace *ns, const struct zdb_item *i) {
    uint64_t nth =
        ns->pairs[i->file_id].first_id + (i->offset - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
    uint64_t id;
    if (zdb_id_decode(zdb_item_key(i), &id) < 0 || id != nth) return; /* a copy */
    if (i->entry.flags & ZDB_DELETED) return;
    zdb_live_add(ns, i);
}

static void note_end(struct recovery *r, const struct zdb_item *i) {
    uint32_t id = zdb_data_id(r->ns, i);
    uint64_t end =
        (uint64_t)i->entry.offset + ZDB_RECORD_BYTES + i->entry.key_bytes + i->entry.payload_bytes;
    if (id >= r->ns->pair_count || end > r->ns->pairs[id].data_end) return;
    if (end > r->ends[id].end) r->ends[id] = (struct tail_end){(uint32_t)end, i->entry.offset};
}

/* Everything from `at` on goes; what is there is kept beside, when it may be more than a tear. */
static int cut_index(struct zdb_namespace *ns, uint32_t at, struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    uint32_t lost = pair->index_end - at;
    AUTO(buf_done) struct buf copy = BUF((size_t)UINT32_MAX);
    char name[24];
    (void)snprintf(name, sizeof name, "i%u.cut", ns->pair_count - 1);
    if (buf_reserve(&copy, lost) < 0) return err_set(e, ERR_LIMIT, "cut index: %u bytes", lost);
    ssize_t n = file_pread_full(pair->index_fd, copy.p, lost, at);
    if (n < 0) return err_sys(e, (int)-n, "read the end of index file %u", ns->pair_count - 1);
    copy.n = (size_t)n;
    int r;
    do r = file_write_durable(ns->index_dir, name, buf_view(&copy), 0600);
    while (r < 0 && zdb_again(ns, ns->index_dir, r));
    if (r == 0) r = ns->io->truncate(ns->io, pair->index_fd, at);
    if (r < 0) return err_sys(e, -r, "cut the torn end of index file %u", ns->pair_count - 1);
    zdb_report(ns, "index file %u: a torn end of %u bytes at %u was cut (kept in '%s')",
               ns->pair_count - 1, lost, at, name);
    pair->index_end = at;
    return 0;
}

static void skip(struct recovery *r, const struct zdb_item *i) {
    char text[ZDB_KEY_TEXT_BYTES];
    if (i->entry.flags & ZDB_DELETED) return;
    zdb_report(r->ns, "index file %u: the entry at %u of key %s does not fit its record: skipped",
               i->file_id, i->offset, zdb_key_text(zdb_item_key(i), text));
}

static int read_user(struct recovery *r, uint32_t file_id, uint32_t *out_end) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_pair *pair = &ns->pairs[file_id];
    bool is_last = file_id + 1 == ns->pair_count;
    struct zdb_item i;
    int n = 0;
    for (uint32_t at = *out_end; at < pair->index_end;) {
        n = next_item(r, file_id, at, &i);
        if (n < 0) break;
        pair->last_entry = at;
        at += ZDB_ENTRY_BYTES + i.entry.key_bytes;
        if (is_last && !zdb_replay_user(&r->replay, &i)) {
            skip(r, &i);
            continue;
        }
        *out_end = at;
        note_end(r, &i);
        take_user(ns, &i);
    }
    return n;
}

enum seq_entry {
    SEQ_TAKE, /* it counts */
    SEQ_KEEP, /* it has its place, but nothing can be read there */
    SEQ_SKIP, /* it does not fit its record: stays only if a good one follows */
    SEQ_END,  /* torn: nothing from here on counts */
};

/* An entry of the last index file, made what it should be. Tier (a). */
static int check_seq(struct recovery *r, uint32_t at, struct zdb_item *i,
                     enum seq_entry *out_what) {
    struct zdb_namespace *ns = r->ns;
    enum zdb_replayed replayed = ZDB_REPLAY_LOST;
    /* Through the window: what replaying changes lies in front of this entry, or is this one. */
    if (!r->is_lost && next_item(r, ns->pair_count - 1, at, i) == 0 &&
        zdb_replay_fits(&r->replay, i)) {
        *out_what = SEQ_TAKE;
        return 0;
    }
    int n = r->is_lost ? 0 : zdb_replay_seq(&r->replay, at, &replayed);
    if (n < 0) return n;
    r->is_lost = replayed == ZDB_REPLAY_LOST;
    *out_what = SEQ_END;
    if (replayed == ZDB_REPLAY_TORN) return 0;
    n = zdb_item_at(ns, ns->pair_count - 1, at, i);
    if (n < 0 && n != -EBADMSG) return n;
    if (n == 0 && r->is_lost && !zdb_item_has_record(ns, i)) {
        skip(r, i);
        *out_what = SEQ_SKIP;
    } else if (n == 0) {
        *out_what = SEQ_TAKE;
    } else if (!r->is_lost) {
        *out_what = SEQ_KEEP;
    }
    return 0;
}

/* An entry of an earlier index file. Tier (a). */
static int read_seq_entry(struct recovery *r, struct zdb_item *i, enum seq_entry *out_what) {
    uint32_t file_id = i->file_id;
    uint32_t at = i->offset;
    int n = next_item(r, file_id, at, i);
    *out_what = n == 0 ? SEQ_TAKE : SEQ_KEEP;
    if (n == -EBADMSG)
        zdb_report(r->ns, "index file %u: the entry at %u cannot be read: skipped", file_id, at);
    return n == -EBADMSG ? 0 : n;
}

static int read_seq(struct recovery *r, uint32_t file_id, uint32_t *out_end) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_pair *pair = &ns->pairs[file_id];
    bool is_last = file_id + 1 == ns->pair_count;
    for (uint32_t at = *out_end; at < pair->index_end; at += ZDB_SEQ_ENTRY_BYTES) {
        struct zdb_item i = {.file_id = file_id, .offset = at};
        enum seq_entry what = SEQ_END;
        int n = 0;
        if (at + ZDB_SEQ_ENTRY_BYTES <= pair->index_end)
            n = is_last ? check_seq(r, at, &i, &what) : read_seq_entry(r, &i, &what);
        if (n < 0) return n;
        if (what == SEQ_END) return -EBADMSG;
        pair->last_entry = at;
        if (what == SEQ_SKIP) continue;
        *out_end = at + ZDB_SEQ_ENTRY_BYTES;
        if (what == SEQ_KEEP) continue;
        note_end(r, &i);
        take_seq(ns, &i);
    }
    return 0;
}

/* One index file. In the last one, *out_end is where its whole entries end. */
static int read_index(struct recovery *r, uint32_t file_id, uint32_t *out_end, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_pair *pair = &ns->pairs[file_id];
    r->window_n = 0;
    pair->last_entry = 0;
    *out_end = ZDB_INDEX_HEADER_BYTES;
    int n = ns->mode == ZDB_SEQ ? read_seq(r, file_id, out_end) : read_user(r, file_id, out_end);
    if (n < 0 && n != -EBADMSG) return err_sys(e, -n, "read index file %u", file_id);
    if (n < 0 && file_id + 1 < ns->pair_count)
        zdb_report(ns, "index file %u: unreadable from %u on: skipped", file_id, *out_end);
    return 0;
}

/* The place that a cut made the last. */
static void find_last_entry(struct recovery *r, uint32_t file_id) {
    struct zdb_pair *pair = &r->ns->pairs[file_id];
    struct zdb_item i;
    r->window_n = 0;
    pair->last_entry = 0;
    for (uint32_t at = ZDB_INDEX_HEADER_BYTES; at < pair->index_end;) {
        if (next_item(r, file_id, at, &i) < 0) return;
        pair->last_entry = at;
        at += ZDB_ENTRY_BYTES + i.entry.key_bytes;
    }
}

/* The last record of a file that is not the current one: entries of `seq` mode may name places that
 * compaction gave to others, so its records are walked. */
static uint32_t last_record_of(struct recovery *r, uint32_t id) {
    struct zdb_pair *pair = &r->ns->pairs[id];
    struct zdb_walk walk = {.window = {.fd = pair->data ? pair->data->fd : -1},
                            .at = ZDB_DATA_HEADER_BYTES,
                            .end = pair->data_end};
    struct zdb_walked w;
    uint32_t last = 0;
    while (zdb_walk_next(&walk, &w) > 0) last = w.at;
    zdb_window_done(&walk.window);
    return last;
}

static int cut_data(struct zdb_namespace *ns, uint32_t size, struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    uint32_t last = ns->pair_count - 1;
    if (pair->data_end >= size) return 0;
    int n = ns->io->truncate(ns->io, pair->data->fd, pair->data_end);
    if (n < 0) return err_sys(e, -n, "cut the torn end of data file %u", last);
    zdb_report(ns, "data file %u: a torn end of %u bytes at %u was cut", last,
               size - pair->data_end, pair->data_end);
    return 0;
}

/* What the index lacks of the last data file; then nothing is left behind the data's end. */
static int complete(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_replay *replay = &r->replay;
    uint32_t last = ns->pair_count - 1;
    if (r->is_lost && replay->at < r->ends[last].end) { /* behind what entries name */
        replay->at = r->ends[last].end;
        replay->last = r->ends[last].start;
    }
    for (uint32_t id = last; id-- > 0 && replay->last == 0;) replay->last = last_record_of(r, id);
    for (uint32_t id = ns->pair_count; id-- > 0 && ns->last_entry == 0;)
        ns->last_entry = ns->pairs[id].last_entry;
    if (zdb_replay_rest(replay, e) < 0) return -1;
    if (replay->added > 0)
        zdb_report(ns, "data file %u: %llu records that the index lacked were put into it", last,
                   (unsigned long long)replay->added);
    return cut_data(ns, replay->size, e);
}

static int read_all(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    uint32_t end = ZDB_INDEX_HEADER_BYTES;
    uint64_t first_id = 0;
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        r->ends[f] = (struct tail_end){ZDB_DATA_HEADER_BYTES, 0};
        ns->pairs[f].first_id = first_id;
        if (ns->mode == ZDB_SEQ)
            first_id += (ns->pairs[f].index_end - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
    }
    for (uint32_t f = 0; f < ns->pair_count; f++)
        if (read_index(r, f, &end, e) < 0) return -1;
    if (end == zdb_current(ns)->index_end) return 0;
    if (cut_index(ns, end, e) < 0) return -1;
    find_last_entry(r, ns->pair_count - 1);
    return 0;
}

/* What was found counts as durable from now on. */
static int make_durable(struct zdb_namespace *ns, struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    for (uint32_t f = 0; f < ns->pair_count; f++)
        ns->pairs[f].is_dirty = ns->pairs[f].index_fd >= 0;
    int n = ns->io->sync(ns->io, pair->data->fd);
    if (n == 0) n = zdb_tail_write(ns, ns->tail.n);
    if (n == 0) n = zdb_indexes_sync(ns); /* copies before what they are copies of */
    bool is_patched = ns->patch_count > 0;
    if (n == 0) n = zdb_patches_apply(ns, UINT64_MAX);
    if (n == 0 && is_patched) n = zdb_indexes_sync(ns);
    if (n < 0) return err_sys(e, -n, "sync what recovery found");
    ns->durable = (struct zdb_durable){pair->data_end, pair->index_end};
    return 0;
}

int zdb_recover(struct zdb_namespace *ns, struct err *e) {
    AUTO(recovery_done) struct recovery r = {.ns = ns};
    r.ends = xmalloc(ns->pair_count * sizeof *r.ends);
    r.window = xmalloc(WINDOW_BYTES);
    zdb_replay_init(&r.replay, ns);
    zdb_forget(ns);
    return read_all(&r, e) < 0 || complete(&r, e) < 0 || make_durable(ns, e) < 0 ? -1 : 0;
}

int zdb_undo(struct zdb_namespace *ns, struct err *e) {
    struct zdb_pair *pair = zdb_current(ns);
    uint32_t data_end = zdb_out_give_up(ns);
    uint32_t index_end = pair->is_suspect ? ns->durable.index_end : zdb_tail_start(ns);
    ns->is_broken = true;
    int n = ns->io->truncate(ns->io, pair->index_fd, index_end);
    if (n == 0) n = ns->io->truncate(ns->io, pair->data->fd, data_end);
    /* What is in memory stays until then: a disk that takes nothing any more still serves reads. */
    if (n < 0) return err_sys(e, -n, "undo the writes that could not be synced");
    zdb_forget(ns);
    ns->generation++;
    pair->index_end = index_end;
    pair->data_end = data_end;
    if (zdb_recover(ns, e) < 0) return -1;
    ns->index_error = 0;
    ns->is_broken = false;
    return 0;
}
