/* SPDX-License-Identifier: Apache-2.0 — zdb_recover.c: from the files to the state in memory.
 *
 * What a power cut may leave, and what is done about it:
 * - An index entry goes to its file only when its record is durable (zdb_commit.c). So an entry
 *   that does not fit its record is not from a torn write of data: it is itself torn or damaged. At
 *   the end of the last index file it is cut; elsewhere it is reported and skipped. What is cut
 *   behind a place that cannot be followed is kept in iN.cut, since it could be damage, not a tear.
 * - Behind the last record that an entry names there are records of deletions, and torn bytes: they
 *   are followed as long as they are whole, the rest is cut.
 * - `user`: a later entry of a key replaces or deletes the one before, whose own mark is then
 *   repaired: marks are written after the sync, and may be missing.
 * - `seq`: an update first appends a copy of the old entry, and after the sync overwrites it in
 *   place. If that is torn, the last copy is put back: the update was not acknowledged.
 * A payload whose checksum is wrong is left for the reader to meet: its key answers with an error.
 *
 * One pass over the index files through a buffer, one small read of data per entry of the last
 * file; nothing is kept per key in `seq` mode. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define WINDOW_BYTES ((size_t)256 << 10)
#define TORN_MAX     4096

struct tail_end { /* of a data file: end and start of the last record that an entry names */
    uint32_t end, start;
};

struct recovery {
    struct zdb_namespace *ns;
    struct tail_end *ends; /* owned, by data file */
    char *window;          /* owned */
    uint32_t window_at;
    size_t window_n;
    uint64_t *torn; /* owned: ids whose entry is to be taken from the last copy */
    size_t torn_count;
};

static void recovery_done(struct recovery *r) {
    free(r->ends);
    free(r->window);
    free(r->torn);
}

void zdb_forget(struct zdb_namespace *ns) {
    zdb_table_done(&ns->keys);
    zdb_patches_drop(ns);
    buf_clear(&ns->tail);
    ns->entries = ns->live_bytes = 0;
    for (uint32_t f = 0; f < ns->pair_count; f++)
        ns->pairs[f].live_bytes = ns->pairs[f].kept_bytes = ns->pairs[f].doubt_bytes = 0;
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
        zdb_live_remove(ns, &before);
        zdb_table_remove(&ns->keys, slot);
        mark_deleted(ns, &before);
    }
    if (i->entry.flags & ZDB_DELETED) return;
    zdb_table_add(&ns->keys, (struct zdb_slot){hash, i->file_id, i->offset});
    zdb_live_add(ns, i);
}

static uint64_t position(const struct zdb_namespace *ns, const struct zdb_item *i) {
    return ns->pairs[i->file_id].first_id +
           (i->offset - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
}

/* A copy that an update appended: is the entry in place whole? */
static void check_original(struct recovery *r, const struct zdb_item *copy) {
    struct zdb_item original;
    uint64_t id;
    int found = zdb_item_find(r->ns, zdb_item_key(copy), &original);
    if (zdb_id_decode(zdb_item_key(copy), &id) < 0) return;
    if (found == -ENOENT) return; /* deleted since */
    if (found == 0 && zdb_item_has_record(r->ns, &original)) return;
    if (r->torn_count == TORN_MAX) return; /* far more than one batch: not torn, but damaged */
    r->torn = xrealloc(r->torn, (r->torn_count + 1) * sizeof *r->torn);
    r->torn[r->torn_count++] = id;
}

static void take_seq(struct recovery *r, const struct zdb_item *i) {
    uint64_t id;
    if (zdb_id_decode(zdb_item_key(i), &id) < 0) return;
    if (id != position(r->ns, i)) {
        check_original(r, i);
        return;
    }
    if (i->entry.flags & ZDB_DELETED) return;
    zdb_live_add(r->ns, i);
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
    int r = file_write_durable(ns->index_dir, name, buf_view(&copy), 0600);
    if (r == 0) r = ns->io->truncate(ns->io, pair->index_fd, at);
    if (r < 0) return err_sys(e, -r, "cut the torn end of index file %u", ns->pair_count - 1);
    zdb_report(ns, "index file %u: a torn end of %u bytes at %u was cut (kept in '%s')",
               ns->pair_count - 1, lost, at, name);
    pair->index_end = at;
    return 0;
}

/* One index file. In the last one, *out_end is where its whole entries end. */
static int read_index(struct recovery *r, uint32_t file_id, uint32_t *out_end, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_pair *pair = &ns->pairs[file_id];
    bool is_last = file_id + 1 == ns->pair_count;
    uint32_t at = ZDB_INDEX_HEADER_BYTES;
    char text[ZDB_KEY_TEXT_BYTES];
    struct zdb_item i;
    int n = 0;
    r->window_n = 0;
    pair->last_entry = 0;
    *out_end = at;
    while (at < pair->index_end && (n = next_item(r, file_id, at, &i)) == 0) {
        bool is_good =
            !(is_last || zdb_data_id(ns, &i) + 1 == ns->pair_count) || zdb_item_has_record(ns, &i);
        pair->last_entry = at;
        at += ZDB_ENTRY_BYTES + i.entry.key_bytes;
        if (is_good) {
            *out_end = at;
            note_end(r, &i);
        } else if (!(i.entry.flags & ZDB_DELETED)) {
            zdb_report(ns,
                       "index file %u: the entry at %u of key %s does not fit its record: skipped",
                       file_id, pair->last_entry, zdb_key_text(zdb_item_key(&i), text));
        }
        if (is_good && ns->mode == ZDB_USER) take_user(ns, &i);
        if (ns->mode == ZDB_SEQ) take_seq(r, &i);
    }
    if (n < 0 && n != -EBADMSG) return err_sys(e, -n, "read index file %u", file_id);
    if (n < 0 && !is_last)
        zdb_report(ns, "index file %u: unreadable from %u on: skipped", file_id, at);
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

static bool has_checksum(struct recovery *r, const struct zdb_pair *pair, uint32_t at,
                         const struct zdb_record *record) {
    uint32_t crc = 0;
    r->window_n = 0; /* its memory is used here */
    for (uint32_t done = 0; done < record->payload_bytes;) {
        size_t want = record->payload_bytes - done;
        if (want > WINDOW_BYTES) want = WINDOW_BYTES;
        if (file_pread_full(pair->data->fd, r->window, want, at + done) != (ssize_t)want)
            return false;
        crc = zdb_crc(crc, r->window, want);
        done += (uint32_t)want;
    }
    return crc == record->crc;
}

/* Follows whole records behind the last that an entry names: deletions mostly. */
static void follow_data(struct recovery *r, uint32_t id) {
    struct zdb_pair *pair = &r->ns->pairs[id];
    struct tail_end *t = &r->ends[id];
    struct zdb_record record;
    char bytes[ZDB_RECORD_BYTES];
    while (t->end < pair->data_end) {
        ssize_t n = file_pread_full(pair->data->fd, bytes, sizeof bytes, t->end);
        if (n < 0 || zdb_record_decode(str_make(bytes, (size_t)n), &record) < 0) return;
        uint64_t payload = (uint64_t)t->end + ZDB_RECORD_BYTES + record.key_bytes;
        if (payload + record.payload_bytes > pair->data_end) return;
        if (!has_checksum(r, pair, (uint32_t)payload, &record)) return;
        *t = (struct tail_end){(uint32_t)payload + record.payload_bytes, t->end};
    }
}

static int cut_data(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_pair *pair = zdb_current(ns);
    uint32_t last = ns->pair_count - 1;
    for (uint32_t id = ns->pair_count; id-- > 0 && ns->last_record == 0;) {
        follow_data(r, id);
        ns->last_record = r->ends[id].start;
    }
    for (uint32_t id = ns->pair_count; id-- > 0 && ns->last_entry == 0;)
        ns->last_entry = ns->pairs[id].last_entry;
    if (r->ends[last].end >= pair->data_end) return 0;
    int n = ns->io->truncate(ns->io, pair->data->fd, r->ends[last].end);
    if (n < 0) return err_sys(e, -n, "cut the torn end of data file %u", last);
    zdb_report(ns, "data file %u: %u bytes at %u that no entry names were cut", last,
               pair->data_end - r->ends[last].end, r->ends[last].end);
    pair->data_end = r->ends[last].end;
    return 0;
}

/* The copy's content goes back in place of a torn entry. */
static int restore(struct recovery *r, const struct zdb_item *copy, uint64_t id, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_patch patch = {.entry = copy->entry};
    uint32_t file_id = copy->file_id;
    while (ns->pairs[file_id].first_id > id) file_id--;
    uint64_t relative = id - ns->pairs[file_id].first_id;
    patch.file_id = file_id;
    patch.offset = (uint32_t)(ZDB_INDEX_HEADER_BYTES + relative * ZDB_SEQ_ENTRY_BYTES);
    patch.entry.flags &= (uint8_t)~ZDB_DELETED;
    patch.entry.previous = patch.offset - ZDB_SEQ_ENTRY_BYTES;
    if (relative == 0) patch.entry.previous = file_id ? ns->pairs[file_id - 1].last_entry : 0;
    int n = zdb_patch_write(ns, &patch);
    if (n < 0) return err_sys(e, -n, "restore id %llu", (unsigned long long)id);
    zdb_report(ns, "id %llu: its torn entry was restored from the version before",
               (unsigned long long)id);
    return 0;
}

static int restore_torn(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    struct zdb_item i;
    uint64_t id;
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        r->window_n = 0;
        for (uint32_t at = ZDB_INDEX_HEADER_BYTES; at < ns->pairs[f].index_end;
             at += ZDB_SEQ_ENTRY_BYTES) {
            if (next_item(r, f, at, &i) < 0 || zdb_id_decode(zdb_item_key(&i), &id) < 0) continue;
            bool is_torn = false;
            for (size_t k = 0; k < r->torn_count; k++) is_torn |= r->torn[k] == id;
            if (!is_torn || id == position(ns, &i) || !zdb_item_has_record(ns, &i)) continue;
            if (restore(r, &i, id, e) < 0) return -1; /* a later copy overwrites it */
        }
    }
    return 0;
}

static int read_all(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    uint32_t end = ZDB_INDEX_HEADER_BYTES;
    uint64_t first_id = 0;
    for (uint32_t f = 0; f < ns->pair_count; f++) {
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

static int recover(struct recovery *r, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    zdb_forget(ns);
    for (uint32_t f = 0; f < ns->pair_count; f++)
        r->ends[f] = (struct tail_end){ZDB_DATA_HEADER_BYTES, 0};
    return read_all(r, e);
}

int zdb_recover(struct zdb_namespace *ns, struct err *e) {
    AUTO(recovery_done) struct recovery r = {.ns = ns};
    r.ends = xmalloc(ns->pair_count * sizeof *r.ends);
    r.window = xmalloc(WINDOW_BYTES);
    if (recover(&r, e) < 0) return -1;
    if (r.torn_count > 0 && (restore_torn(&r, e) < 0 || recover(&r, e) < 0)) return -1;
    if (cut_data(&r, e) < 0) return -1;
    struct zdb_pair *pair = zdb_current(ns);
    int n = ns->io->sync(ns->io, pair->data->fd); /* what it found counts as durable from now on */
    for (uint32_t f = 0; n == 0 && f < ns->pair_count; f++)
        n = ns->io->sync(ns->io, ns->pairs[f].index_fd);
    if (n < 0) return err_sys(e, -n, "sync what recovery found");
    ns->durable = (struct zdb_durable){ns->pair_count - 1, pair->data_end, pair->index_end};
    return 0;
}

int zdb_undo(struct zdb_namespace *ns, struct err *e) {
    struct zdb_durable d = ns->durable;
    zdb_forget(ns);
    ns->generation++;
    ns->is_broken = true;
    struct zdb_pair *pair =
        &ns->pairs[d.file_id]; /* always the last: a new one is durable at once */
    int n = ns->io->truncate(ns->io, pair->index_fd, d.index_end);
    if (n == 0) n = ns->io->truncate(ns->io, pair->data->fd, d.data_end);
    if (n < 0) return err_sys(e, -n, "undo the writes that could not be synced");
    pair->index_end = d.index_end;
    pair->data_end = d.data_end;
    if (zdb_recover(ns, e) < 0) return -1;
    ns->is_broken = false;
    return 0;
}
