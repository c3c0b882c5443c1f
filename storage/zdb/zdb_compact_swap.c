/* SPDX-License-Identifier: Apache-2.0 — zdb_compact_swap.c: putting compacted files in place.
 *
 * Steps, with the gate closed, so that everything in the files is durable and nobody writes:
 *   1. what was replaced or deleted meanwhile is taken in;
 *   2. the journal `zdb-compact` is made durable: the pair's number, and all changes to other
 * files; from here on the compaction will be finished, by this process or the next;
 *   3. the new files are renamed over the old ones;
 *   4. with the lock held: descriptors, key table, and the changes in place. Readers meet all of it
 *      or nothing; what they found before has the old file open;
 *   5. everything is synced, then the journal is removed, durably, before the next write.
 * Steps 3 to 5 may be done again any number of times: changes are absolute values, and a new file
 * that is not there was renamed. After an error the journal stays in memory, too, writes are
 * refused, and the next one tries again; if 4 broke off in the middle, reads are refused as well.
 *
 * What a seq id's copies say (the old versions that updates append) needs care at the end of the
 * last index file: recovery cuts what does not fit its record there. So copies in that file whose
 * record goes are made neutral; in other files they stay and name nothing. */
#include "storage/zdb/zdb_compact.h"

#include "base/file.h"

#include <errno.h>

#define JOURNAL_NAME "zdb-compact"
#define GAP_BYTES    4096 /* between two changes: more is not written again */

/* ---- changes in place, through a window ---- */

struct patcher {
    struct zdb_namespace *ns;
    int fd;
    uint64_t at;
    size_t n, dirty_from, dirty_to;
    char *bytes; /* owned */
};

static void patcher_done(struct patcher *p) { free(p->bytes); }

static int patcher_flush(struct patcher *p) {
    struct iovec iov = {p->bytes + p->dirty_from, p->dirty_to - p->dirty_from};
    if (iov.iov_len == 0) return 0;
    int r = p->ns->io->write(p->ns->io, p->fd, &iov, 1, p->at + p->dirty_from);
    p->dirty_from = p->dirty_to = 0;
    return r;
}

/* n bytes at the offset, to be changed. */
static int patcher_get(struct patcher *p, int fd, uint64_t offset, size_t n, char **out) {
    bool is_inside = fd == p->fd && offset >= p->at && offset + n <= p->at + p->n;
    bool is_dirty = p->dirty_to > p->dirty_from;
    bool is_near =
        is_inside && offset - p->at >= p->dirty_from && offset - p->at <= p->dirty_to + GAP_BYTES;
    int r = is_dirty && !is_near ? patcher_flush(p) : 0;
    if (r < 0) return r;
    if (!is_inside) {
        p->n = 0;
        ssize_t got = file_pread_full(fd, p->bytes, ZDB_WINDOW_BYTES, offset);
        if (got < 0) return (int)got;
        p->fd = fd;
        p->at = offset;
        p->n = (size_t)got;
    }
    size_t from = (size_t)(offset - p->at);
    if (from + n > p->n) return -EBADMSG;
    if (p->dirty_to == p->dirty_from) p->dirty_from = from;
    if (from + n > p->dirty_to) p->dirty_to = from + n;
    *out = p->bytes + from;
    return 0;
}

static void put_u32(char *p, uint32_t v) { memcpy(p, &v, sizeof v); }

static void change(char *p, const struct zdb_fix *f) {
    switch (f->kind) {
    case ZDB_FIX_OFFSET: put_u32(p + ZDB_ENTRY_OFFSET_AT, f->x); break;
    case ZDB_FIX_PARENT:
        put_u32(p + ZDB_ENTRY_PARENT_AT, f->x);
        put_u32(p + ZDB_ENTRY_PARENT_AT + 4, f->y);
        break;
    case ZDB_FIX_NEUTRAL: zdb_entry_neutralize((uint8_t *)p); break;
    case ZDB_FIX_PREVIOUS: put_u32(p + ZDB_ENTRY_PREVIOUS_AT, f->x); break;
    case ZDB_FIX_PREVIOUS_RECORD: put_u32(p + ZDB_RECORD_PREVIOUS_AT, f->x); break;
    }
}

static int apply_one(struct patcher *p, const struct zdb_fix *f) {
    bool is_record = f->kind == ZDB_FIX_PREVIOUS_RECORD;
    size_t n = is_record ? ZDB_RECORD_BYTES : ZDB_ENTRY_BYTES;
    char *bytes = NULL;
    if (f->file_id >= p->ns->pair_count) return -EBADMSG;
    struct zdb_pair *pair = &p->ns->pairs[f->file_id];
    if ((is_record ? !pair->data : pair->index_fd < 0)) return -EBADMSG;
    if ((uint64_t)f->offset + n > (is_record ? pair->data_end : pair->index_end)) return -EBADMSG;
    int r = patcher_get(p, is_record ? pair->data->fd : pair->index_fd, f->offset, n, &bytes);
    if (r < 0) return r;
    if (is_record)
        pair->is_data_dirty = true;
    else
        pair->is_dirty = true;
    change(bytes, f);
    return 0;
}

static int apply(struct zdb_namespace *ns, const struct zdb_journal *j, struct err *e) {
    AUTO(patcher_done) struct patcher p = {.ns = ns, .fd = -1};
    struct zdb_fix f = {0};
    int r = 0;
    p.bytes = xmalloc(ZDB_WINDOW_BYTES);
    for (uint32_t i = 0; r == 0 && i < j->fix_count; i++) {
        zdb_journal_get(j, i, &f);
        r = apply_one(&p, &f);
    }
    if (r == 0) r = patcher_flush(&p);
    if (r == -EBADMSG)
        return err_set(e, ERR_CORRUPT,
                       "the journal names a place in file %u at %u that is not there", f.file_id,
                       f.offset);
    return r < 0 ? err_sys(e, -r, "change file %u at %u", f.file_id, f.offset) : 0;
}

/* ---- the journal ---- */

static int by_file(const void *a, const void *b) {
    const struct zdb_fix *x = a;
    const struct zdb_fix *y = b;
    uint64_t p = (uint64_t)x->file_id << 32 | x->offset;
    uint64_t q = (uint64_t)y->file_id << 32 | y->offset;
    return (p > q) - (p < q);
}

struct fixes {
    struct zdb_fix *all; /* owned */
    size_t n, capacity;
};

static void fixes_done(struct fixes *f) { free(f->all); }

static void add(struct fixes *f, struct zdb_fix fix) {
    if (f->n == f->capacity) {
        f->capacity = f->capacity ? f->capacity * 2 : 64;
        f->all = xrealloc(f->all, f->capacity * sizeof *f->all);
    }
    f->all[f->n++] = fix;
}

/* An index file that had no entry (but deletions in the data file) has none now. */
static bool has_new_entries(const struct zdb_compaction *c) {
    return c->is_user && c->index_end > ZDB_INDEX_HEADER_BYTES;
}

/* `previous` of what comes next after the file. */
static void add_previous(const struct zdb_compaction *c, struct fixes *to) {
    const struct zdb_namespace *ns = c->ns;
    uint32_t id = c->file_id + 1;
    while (id < ns->pair_count && ns->pairs[id].data_end == ZDB_DATA_HEADER_BYTES) id++;
    if (id < ns->pair_count)
        add(to, (struct zdb_fix){ZDB_FIX_PREVIOUS_RECORD, id, ZDB_DATA_HEADER_BYTES, c->last_record,
                                 0});
    if (!has_new_entries(c)) return;
    id = c->file_id + 1;
    while (id < ns->pair_count && ns->pairs[id].index_end == ZDB_INDEX_HEADER_BYTES) id++;
    if (id < ns->pair_count)
        add(to, (struct zdb_fix){ZDB_FIX_PREVIOUS, id, ZDB_INDEX_HEADER_BYTES, c->last_entry, 0});
}

/* seq: the copy that a value loses as its version before. Recovery makes the link of the last
 * file's updates again, unless the copy names nothing (zdb_replay.c). */
static void add_lost_copy(const struct zdb_compaction *c, const struct zdb_link *l,
                          struct fixes *to) {
    uint32_t last = c->ns->pair_count - 1;
    struct zdb_item i;
    if (zdb_item_at(c->ns, l->file_id, l->at, &i) < 0 || i.entry.parent_id != last) return;
    if (i.entry.parent_offset > 0)
        add(to, (struct zdb_fix){ZDB_FIX_NEUTRAL, last, i.entry.parent_offset, 0, 0});
}

static void add_links(const struct zdb_compaction *c, struct fixes *to) {
    for (size_t i = 0; i < c->link_count; i++) {
        const struct zdb_link *l = &c->links[i];
        if (!c->is_user && l->parent_at == 0) add_lost_copy(c, l, to);
        struct zdb_fix fix = {ZDB_FIX_PARENT, l->file_id, l->at, 0, 0};
        if (c->is_user && l->file_id == c->file_id) continue; /* it is written already */
        const struct zdb_keep *parent = l->parent_at ? zdb_keep_of_entry(c, l->parent_at) : NULL;
        if (parent) {
            fix.x = c->file_id;
            fix.y = parent->new_entry;
        }
        add(to, fix);
    }
}

/* seq: copies at the end of the index. */
static int add_copies(const struct zdb_compaction *c, struct fixes *to) {
    const struct zdb_pair *pair = zdb_current(c->ns);
    AUTO(zdb_window_done) struct zdb_window w = {.fd = pair->index_fd};
    uint32_t file_id = c->ns->pair_count - 1;
    struct zdb_entry entry;
    struct str in;
    for (uint32_t at = ZDB_INDEX_HEADER_BYTES; at < pair->index_end; at += ZDB_SEQ_ENTRY_BYTES) {
        int r = zdb_window_get(&w, at, ZDB_ENTRY_BYTES, &in);
        if (r < 0) return r;
        if (zdb_entry_decode(in, &entry) < 0 || zdb_entry_is_neutral(&entry)) continue;
        if (entry.data_id != c->file_id || !(entry.flags & ZDB_DELETED)) continue;
        const struct zdb_keep *keep = zdb_keep_of_record(c, entry.offset);
        if (!keep)
            add(to, (struct zdb_fix){ZDB_FIX_NEUTRAL, file_id, at, 0, 0});
        else if (keep->entry_file != file_id || keep->entry_at != at)
            add(to, (struct zdb_fix){ZDB_FIX_OFFSET, file_id, at, keep->new_record, 0});
    }
    return 0;
}

static int add_keeps(const struct zdb_compaction *c, struct fixes *to) {
    for (size_t i = 0; i < c->keep_count; i++) {
        const struct zdb_keep *k = &c->keeps[i];
        if (k->flags & ZDB_KEEP_TOMBSTONE || k->record == k->new_record) continue;
        add(to, (struct zdb_fix){ZDB_FIX_OFFSET, k->entry_file, k->entry_at, k->new_record, 0});
    }
    return add_copies(c, to);
}

static int make_journal(struct zdb_compaction *c, struct err *e) {
    AUTO(fixes_done) struct fixes fixes = {0};
    struct zdb_journal j = {.file_id = c->file_id, .has_index = c->is_user};
    int r = c->is_user ? 0 : add_keeps(c, &fixes);
    add_links(c, &fixes);
    add_previous(c, &fixes);
    if (fixes.n > 0) qsort(fixes.all, fixes.n, sizeof *fixes.all, by_file);
    c->journal = BUF(ZDB_JOURNAL_BYTES_MAX);
    if (r == 0) r = zdb_journal_begin(&c->journal, &j);
    for (size_t i = 0; r == 0 && i < fixes.n; i++) r = zdb_journal_fix(&c->journal, &fixes.all[i]);
    if (r == 0) r = zdb_journal_end(&c->journal);
    if (r == -ENOSPC)
        return err_set(e, ERR_LIMIT, "%zu entries would have to be changed, at most %u can be",
                       fixes.n, ZDB_JOURNAL_FIXES_MAX);
    return r < 0 ? err_sys(e, -r, "read the last index file") : 0;
}

/* ---- finishing; gate closed, or opening ---- */

static int rename_one(struct zdb_namespace *ns, int dir, char kind, uint32_t file_id) {
    char from[ZDB_FILE_NAME_BYTES];
    char to[ZDB_FILE_NAME_BYTES];
    zdb_file_name(kind, file_id, to);
    (void)snprintf(from, sizeof from, "%s.compact", to);
    int r = file_exists(dir, from);
    return r > 0 ? ns->io->rename(ns->io, dir, from, to) : r;
}

static int rename_files(struct zdb_namespace *ns, const struct zdb_journal *j, struct err *e) {
    int r = rename_one(ns, ns->data_dir, 'd', j->file_id);
    if (r == 0 && j->has_index) r = rename_one(ns, ns->index_dir, 'i', j->file_id);
    return r < 0 ? err_sys(e, -r, "rename the new files %u", j->file_id) : 0;
}

/* Every file that was changed, and the names. */
static int sync_all(struct zdb_namespace *ns, struct err *e) {
    int r = zdb_sync_marked(ns);
    if (r == 0) r = ns->io->sync_dir(ns->io, ns->data_dir);
    if (r == 0) r = ns->io->sync_dir(ns->io, ns->index_dir);
    if (r < 0) return err_sys(e, -r, "sync what compaction changed");
    r = zdb_file_remove(ns, ns->index_dir, JOURNAL_NAME);
    return r < 0 ? err_sys(e, -r, "remove '%s'", JOURNAL_NAME) : 0;
}

int zdb_compact_resume(struct zdb_namespace *ns, struct buf *out_journal, struct err *e) {
    struct zdb_journal j;
    int r = file_read_all(ns->index_dir, JOURNAL_NAME, ZDB_JOURNAL_BYTES_MAX, out_journal);
    if (r == -ENOENT) return 0;
    if (r < 0) return err_sys(e, -r, "read '%s'", JOURNAL_NAME);
    if (zdb_journal_decode(buf_view(out_journal), &j, e) < 0)
        return err_in(e,
                      "'%s' says how a compaction is finished, and is damaged (files that end in "
                      "'.compact' belong to it)",
                      JOURNAL_NAME);
    return rename_files(ns, &j, e);
}

int zdb_compact_resume_fixes(struct zdb_namespace *ns, struct str journal, struct err *e) {
    struct zdb_journal j;
    if (journal.n == 0) return 0;
    if (zdb_journal_decode(journal, &j, e) < 0 || apply(ns, &j, e) < 0 || sync_all(ns, e) < 0)
        return err_in(e, "finish the compaction that '%s' describes", JOURNAL_NAME);
    zdb_report(ns, "data file %u: its compaction was finished", j.file_id);
    return 0;
}

/* user: live keys are found in the new index file. */
static int move_slots(struct zdb_compaction *c) {
    AUTO(zdb_window_done) struct zdb_window w = {.fd = c->ns->pairs[c->file_id].index_fd};
    struct str in;
    for (; c->moved < c->keep_count; c->moved++) {
        const struct zdb_keep *k = &c->keeps[c->moved];
        if (!(k->flags & ZDB_KEEP_LIVE)) continue;
        int r = zdb_window_get(&w, k->new_entry, ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX, &in);
        if (r < 0) return r;
        if (in.n < ZDB_ENTRY_BYTES || in.n < ZDB_ENTRY_BYTES + (size_t)(uint8_t)in.p[0])
            return -EBADMSG;
        struct str key = str_sub(in, ZDB_ENTRY_BYTES, ZDB_ENTRY_BYTES + (size_t)(uint8_t)in.p[0]);
        zdb_key_move(c->ns, key, c->file_id, k->entry_at, k->new_entry);
    }
    return 0;
}

static void swap_files(struct zdb_compaction *c) {
    struct zdb_namespace *ns = c->ns;
    struct zdb_pair *pair = &ns->pairs[c->file_id];
    bool is_last_record = true;
    bool is_last_entry = true;
    zdb_data_file_drop(pair->data);
    pair->data = zdb_data_file_new(&c->new_data_fd);
    pair->data_end = c->new_data_end;
    if (c->is_user) {
        (void)close(pair->index_fd);
        pair->index_fd = STEAL_FD(c->new_index_fd);
        pair->index_end = c->new_index_end;
        pair->last_entry = c->new_index_end > ZDB_INDEX_HEADER_BYTES ? c->last_entry : 0;
        pair->rewrites++;
    }
    zdb_compact_remember(c);
    for (uint32_t id = c->file_id + 1; id < ns->pair_count; id++) {
        is_last_record &= ns->pairs[id].data_end == ZDB_DATA_HEADER_BYTES;
        is_last_entry &= ns->pairs[id].index_end == ZDB_INDEX_HEADER_BYTES;
    }
    if (is_last_record) ns->last_record = c->last_record;
    if (is_last_entry && has_new_entries(c)) ns->last_entry = c->last_entry;
    c->is_swapped = true;
}

static int swap_in_memory(struct zdb_compaction *c, const struct zdb_journal *j, struct err *e) {
    struct zdb_namespace *ns = c->ns;
    int r = 0;
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->is_half = true;
    if (!c->is_swapped) swap_files(c);
    if (c->is_user && (r = move_slots(c)) < 0)
        (void)err_sys(e, -r, "read the new index file %u", c->file_id);
    if (r == 0) r = apply(ns, j, e);
    if (r == 0) {
        ns->is_half = false;
        zdb_pair_shut_empty(&ns->pairs[c->file_id]);
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? -1 : 0;
}

int zdb_swap_finish(struct zdb_namespace *ns, struct err *e) {
    struct zdb_compaction *c = ns->swap;
    struct zdb_journal j;
    if (zdb_journal_decode(buf_view(&c->journal), &j, e) < 0) return -1;
    if (rename_files(ns, &j, e) < 0 || swap_in_memory(c, &j, e) < 0 || sync_all(ns, e) < 0)
        return -1;
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->unfinished = ZDB_FINISHED;
    ns->swap = NULL;
    (void)pthread_rwlock_unlock(&ns->lock);
    zdb_compaction_free(c);
    return 0;
}

/* ---- beginning ---- */

/* Lock held (write). */
static int take_in(struct zdb_compaction *c, struct err *e) {
    const struct zdb_namespace *ns = c->ns;
    if (ns->generation != c->generation || ns->unfinished != ZDB_FINISHED)
        return err_set(e, ERR_BUSY, "the namespace was undone or emptied meanwhile");
    if (ns->is_unmarked)
        return err_set(e, ERR_IO,
                       "marks of superseded entries could not be written: open the "
                       "namespace again");
    if (ns->watch.is_over)
        return err_set(e, ERR_LIMIT, "more than %u of its values were replaced meanwhile",
                       ZDB_EVENTS_MAX);
    if (!zdb_compact_has_all(c)) return err_set(e, ERR_CORRUPT, "not all of its values were found");
    zdb_compact_catch_up(c);
    return 0;
}

static int swap(struct zdb_compaction **c, struct err *e) {
    struct zdb_namespace *ns = (*c)->ns;
    bool is_undone;
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = take_in(*c, e);
    (void)pthread_rwlock_unlock(&ns->lock);
    if (r < 0 || ((*c)->is_user && zdb_compact_mark(*c, e) < 0) || make_journal(*c, e) < 0)
        return -1;
    r = zdb_file_put(ns, JOURNAL_NAME, buf_view(&(*c)->journal), &is_undone);
    if (r < 0) (void)err_sys(e, -r, "write '%s'", JOURNAL_NAME);
    if (r < 0 && is_undone) return -1;
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->unfinished = ZDB_SWAPPING;
    ns->swap = STEAL(*c);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? -1 : zdb_swap_finish(ns, e);
}

int zdb_compact_swap(struct zdb_compaction **c, struct err *e) {
    struct zdb_namespace *ns = (*c)->ns;
    if (zdb_sync(ns, e) < 0) return -1; /* so that writers wait for little */
    if (zdb_gate_close(ns, e) < 0) return -1;
    int r = swap(c, e);
    zdb_gate_open(ns);
    return r;
}
