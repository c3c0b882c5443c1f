/* SPDX-License-Identifier: Apache-2.0 — zdb_compact.c: giving back the space of what was replaced
 * and deleted, while the namespace serves.
 *
 * One closed pair of files after the other, the oldest first; never the current one, whose records
 * recovery may need. For each:
 *   1. zdb_compact_plan.c finds the records that stay, without stopping anybody;
 *   2. when that returns enough, zdb_compact_copy.c writes them to dN.compact and iN.compact;
 *   3. zdb_compact_swap.c stops writers for a moment and puts the new files in place.
 * Which files are worth it is known without reading: each pair counts the bytes of its present
 * values, and what the last look found to be needed besides (versions, deletions). So a file that
 * returned too little is not looked at again until more of it died, or retention changed.
 *
 * Files keep their numbers, an empty one its header. `user`: index files are rewritten, too, which
 * moves entries: versions point at each other by place, and cursors of before get an error.
 * `seq`: index files stay as they are, but for the places of the records. */
#include "storage/zdb/zdb_compact.h"

#include <errno.h>
#include <fcntl.h>

#define PIECE_BYTES ((uint64_t)64 << 10) /* between two questions whether to go on */

struct run {
    struct zdb_namespace *ns;
    const struct zdb_compact_options *options;
    struct zdb_pace pace;
    struct zdb_compact_result result;
    uint64_t room_bytes; /* files with so many present bytes did not fit on the disk */
    struct err full;     /* why */
};

struct candidate {
    uint64_t bytes, stays; /* of its data file */
    bool is_last;          /* it is the current one: not compacted */
    bool is_clean_below;   /* no file in front of it has garbage */
};

/* ---- pace ---- */

static bool go_on(void *user) {
    struct zdb_pace *p = user;
    return !p->options->go_on || p->options->go_on(p->options->user, &p->progress);
}

int zdb_pace_step(struct zdb_pace *p, uint64_t bytes, struct err *e) {
    p->unpaid_bytes += bytes;
    if (bytes > 0 && p->unpaid_bytes < PIECE_BYTES) return 0;
    int r = zdb_rate_take(&p->rate, p->unpaid_bytes);
    p->unpaid_bytes = 0;
    return r < 0 ? err_set(e, ERR_CANCELLED, "compaction was stopped") : 0;
}

/* ---- one file ---- */

void zdb_compaction_free(struct zdb_compaction *c) {
    if (!c) return;
    zdb_data_file_drop(c->data);
    const int fds[] = {c->index_fd, c->new_data_fd, c->new_index_fd};
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0) (void)close(fds[i]);
    free(c->keeps);
    free(c->links);
    zdb_table_done(&c->seen);
    buf_done(&c->journal);
    free(c);
}

static void compaction_free(struct zdb_compaction **c) { zdb_compaction_free(*c); }

void zdb_watch_note(struct zdb_namespace *ns, const struct zdb_item *old, bool is_deletion) {
    struct zdb_watch *w = &ns->watch;
    if (!w->is_on || zdb_data_id(ns, old) != w->file_id) return;
    if (w->count == ZDB_EVENTS_MAX) {
        w->is_over = true;
        return;
    }
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? w->capacity * 2 : 64;
        w->events = xrealloc(w->events, w->capacity * sizeof *w->events);
    }
    w->events[w->count++] =
        (struct zdb_event){old->entry.offset, ns->pair_count - 1, ns->last_entry, is_deletion};
}

static void watch_end(struct zdb_namespace *ns) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    free(ns->watch.events);
    ns->watch = (struct zdb_watch){0};
    (void)pthread_rwlock_unlock(&ns->lock);
}

/* Lock held (write). A file below has what a deletion's record may belong to. */
static bool has_garbage_below(const struct zdb_namespace *ns, uint32_t file_id) {
    for (uint32_t id = 0; id < file_id; id++)
        if (zdb_dead_bytes(ns, id) > 0) return true;
    return false;
}

static struct zdb_compaction *begin(struct run *r, uint32_t file_id, struct err *e) {
    struct zdb_namespace *ns = r->ns;
    AUTO(compaction_free) struct zdb_compaction *c = xnew(struct zdb_compaction);
    *c = (struct zdb_compaction){.ns = ns,
                                 .pace = &r->pace,
                                 .file_id = file_id,
                                 .index_fd = -1,
                                 .new_data_fd = -1,
                                 .new_index_fd = -1};
    (void)pthread_rwlock_wrlock(&ns->lock);
    bool is_there = file_id + 1 < ns->pair_count && ns->pairs[file_id].data;
    if (is_there) {
        const struct zdb_pair *pair = &ns->pairs[file_id];
        ns->watch = (struct zdb_watch){.is_on = true, .file_id = file_id};
        c->is_user = ns->mode == ZDB_USER;
        c->versions_max = ns->lasting.versions_max;
        c->keeps_tombstones = has_garbage_below(ns, file_id);
        c->generation = ns->generation;
        c->look = ns->chain_deletions;
        c->data = zdb_data_file_hold(pair->data);
        c->data_end = pair->data_end;
        c->index_end = pair->index_end;
        c->index_fd = fcntl(pair->index_fd, F_DUPFD_CLOEXEC, 0);
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    if (!is_there) (void)err_set(e, ERR_BUSY, "the namespace was undone or emptied meanwhile");
    if (!is_there) return NULL;
    if (c->index_fd < 0) (void)err_sys(e, errno, "open index file %u again", file_id);
    return c->index_fd < 0 ? NULL : STEAL(c);
}

static uint64_t returned(const struct zdb_compaction *c) {
    uint64_t stays = ZDB_DATA_HEADER_BYTES;
    for (size_t i = 0; i < c->keep_count; i++) stays += c->keeps[i].bytes;
    return c->data_end > stays ? c->data_end - stays : 0;
}

static bool is_enough(const struct run *r, uint64_t dead_bytes, uint64_t data_end) {
    uint64_t least = (data_end - ZDB_DATA_HEADER_BYTES) / 100 * r->options->dead_percent_min;
    return dead_bytes > 0 && dead_bytes >= least;
}

static int remember(struct zdb_compaction *c) {
    struct zdb_namespace *ns = c->ns;
    (void)pthread_rwlock_wrlock(&ns->lock);
    if (ns->generation == c->generation) zdb_compact_remember(c);
    (void)pthread_rwlock_unlock(&ns->lock);
    return 0;
}

static int has_all(struct zdb_compaction *c, struct err *e) {
    (void)pthread_rwlock_rdlock(&c->ns->lock);
    bool is_same = c->ns->generation == c->generation;
    bool ok = is_same && zdb_compact_has_all(c);
    (void)pthread_rwlock_unlock(&c->ns->lock);
    if (ok) return 0;
    if (!is_same) return err_set(e, ERR_BUSY, "the namespace was undone or emptied meanwhile");
    return err_set(e, ERR_CORRUPT, "not all of its values were found among its records");
}

static int look_and_rewrite(struct run *r, struct zdb_compaction **c, struct err *e) {
    uint32_t file_id = (*c)->file_id;
    struct zdb_namespace *ns = r->ns;
    if (zdb_pace_step(&r->pace, 0, e) < 0 || zdb_compact_plan(*c, e) < 0) return -1;
    r->result.files_looked_at++;
    if (has_all(*c, e) < 0) return -1;
    if (!is_enough(r, returned(*c), (*c)->data_end)) return remember(*c);
    uint64_t before = (uint64_t)(*c)->data_end + (*c)->index_end;
    if (zdb_pace_step(&r->pace, 0, e) < 0) return -1;
    int n = zdb_compact_copy(*c, e);
    if (n == 0) n = zdb_pace_step(&r->pace, 0, e);
    uint64_t after =
        (uint64_t)(*c)->new_data_end + ((*c)->is_user ? (*c)->new_index_end : (*c)->index_end);
    if (n == 0) n = zdb_compact_swap(c, e);
    if (n < 0 && *c) zdb_compact_unlink(ns, file_id);
    if (n < 0) return -1;
    r->result.files_rewritten++;
    r->result.returned_bytes += before > after ? before - after : 0;
    return 0;
}

static int compact_file(struct run *r, uint32_t file_id, struct err *e) {
    AUTO(compaction_free) struct zdb_compaction *c = begin(r, file_id, e);
    int n = c ? look_and_rewrite(r, &c, e) : -1;
    watch_end(r->ns);
    return n;
}

/* ---- all files ---- */

/* Whether the file is worth a look. */
static bool is_candidate(struct run *r, uint32_t file_id, struct candidate *out) {
    struct zdb_namespace *ns = r->ns;
    bool is_good = false;
    (void)pthread_rwlock_rdlock(&ns->lock);
    out->is_last = file_id + 1 >= ns->pair_count;
    if (!out->is_last) {
        const struct zdb_pair *pair = &ns->pairs[file_id];
        uint64_t dead = zdb_reclaimable(ns, file_id, &out->is_clean_below);
        out->bytes = pair->data_end;
        out->stays = pair->data_end - dead;
        is_good = !pair->is_odd && is_enough(r, dead, pair->data_end) &&
                  (!r->full.kind || out->stays < r->room_bytes);
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    return is_good;
}

static void plan_progress(struct run *r) {
    struct candidate c = {.is_clean_below = true};
    for (uint32_t id = 0; !c.is_last; id++) {
        if (!is_candidate(r, id, &c)) continue;
        r->pace.progress.total_bytes += c.bytes;
        r->pace.progress.files_total++;
    }
}

/* Damage: leaves the file alone from now on. */
static void leave_alone(struct run *r, uint32_t file_id, const struct err *why) {
    zdb_report(r->ns, "data file %u is not compacted: %s", file_id, why->msg);
    (void)pthread_rwlock_wrlock(&r->ns->lock);
    if (file_id < r->ns->pair_count) r->ns->pairs[file_id].is_odd = true;
    (void)pthread_rwlock_unlock(&r->ns->lock);
}

/* -1: it is over. */
static int compact_candidate(struct run *r, uint32_t id, const struct candidate *c, struct err *e) {
    struct zdb_progress *p = &r->pace.progress;
    struct err why = {0};
    if (p->files_total == p->files_done) p->files_total++; /* it became one meanwhile */
    if (p->total_bytes < p->done_bytes + c->bytes) p->total_bytes = p->done_bytes + c->bytes;
    int n = compact_file(r, id, &why);
    p->done_bytes += c->bytes;
    p->files_done++;
    if (n == 0) return 0;
    if (why.kind == ERR_CORRUPT) {
        leave_alone(r, id, &why);
        return 0;
    }
    if (why.kind == ERR_LIMIT) { /* smaller ones may still fit */
        if (!r->full.kind || c->stays < r->room_bytes) r->room_bytes = c->stays;
        r->full = why;
        return 0;
    }
    *e = why;
    return err_in(e, "compact data file %u", id);
}

/* A rewritten file has nothing dead, or what died since. */
static void look_below(struct run *r, uint32_t id, struct candidate *c) {
    (void)pthread_rwlock_rdlock(&r->ns->lock);
    if (id < r->ns->pair_count) c->is_clean_below |= zdb_dead_bytes(r->ns, id) == 0;
    (void)pthread_rwlock_unlock(&r->ns->lock);
}

static int compact_all(struct run *r, struct err *e) {
    struct candidate c = {.is_clean_below = true};
    for (uint32_t id = 0; !c.is_last; id++) {
        struct candidate before = c;
        if (!is_candidate(r, id, &c)) continue;
        if (compact_candidate(r, id, &c, e) < 0) return -1;
        if (before.is_clean_below) look_below(r, id, &c);
    }
    if (!r->full.kind) return 0;
    *e = r->full;
    return err_in(e, "compact the data files");
}

static void release(struct zdb_namespace *ns) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->is_compacting = false;
    (void)pthread_rwlock_unlock(&ns->lock);
}

static int claim(struct zdb_namespace *ns, struct err *e) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    bool is_taken = ns->is_compacting;
    bool is_unmarked = ns->is_unmarked;
    ns->is_compacting = true;
    (void)pthread_rwlock_unlock(&ns->lock);
    if (is_taken) return err_set(e, ERR_BUSY, "the namespace is being compacted already");
    if (!is_unmarked) return 0;
    release(ns);
    return err_set(e, ERR_IO,
                   "marks of superseded entries could not be written: open the "
                   "namespace again before it is compacted");
}

int zdb_compact(struct zdb_namespace *ns, const struct zdb_compact_options *o,
                struct zdb_compact_result *out, struct err *e) {
    struct run r = {.ns = ns, .options = o, .pace = {.options = o}};
    if (o->dead_percent_min > 100)
        return err_set(e, ERR_INVALID, "a share of %u percent cannot be reached",
                       o->dead_percent_min);
    if (claim(ns, e) < 0) return -1;
    r.pace.rate = (struct zdb_rate){.bytes_per_s = o->bytes_per_s, .go_on = go_on, .user = &r.pace};
    plan_progress(&r);
    int n = zdb_finish(ns, e);
    if (n == 0) n = zdb_leftovers_remove(ns, e);
    if (n == 0) n = compact_all(&r, e);
    release(ns);
    *out = r.result;
    return n;
}
