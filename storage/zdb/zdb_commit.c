/* SPDX-License-Identifier: Apache-2.0 — zdb_commit.c: group commit.
 *
 * Of the threads that wait for their tickets one leads: it syncs for all that have written by then,
 * while the others wait, and those that write meanwhile are the next group. With ZDB_ALWAYS the
 * steps of a group are
 *   1. fdatasync of the data file,
 *   2. the waiting end of the index file is written, fdatasync of it,
 *   3. the waiting changes in place are written (deletions, `seq` updates, marks of superseded
 *      entries), fdatasync of the index files in which one of the first two kinds was.
 * So an index entry that is in a file has its record, whole: a power cut during 1 leaves bytes that
 * nothing names, during 2 a torn end of the index, during 3 old entries, new ones, or, in `seq`
 * mode, a torn one whose copy is durable since 2. Data and index cannot be synced in the other
 * order or at once: an entry without its record would look like damage. A group of plain writes
 * costs two syncs, whatever its size.
 * INTERVAL and NEVER write entries at once; INTERVAL keeps changes in place until its next sync.
 *
 * A sync that fails loses pages that the kernel may call clean afterwards, so it is never repeated:
 * with ALWAYS everything since the last good one is undone and its tickets fail. The namespace's
 * lock is held for steps in memory and writes, not for syncs. */
#include "storage/zdb/zdb_internal.h"

#include <assert.h>
#include <errno.h>

struct group {
    uint64_t ticket;
    uint32_t file_id, data_end, index_end;
    int data_fd, index_fd;
    size_t tail_bytes;
    bool *vital_files; /* owned, by index file */
    uint32_t file_count;
};

static void group_done(struct group *g) { free(g->vital_files); }

void zdb_commit_init(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void group_take(struct zdb_namespace *ns, struct group *g) {
    (void)pthread_rwlock_rdlock(&ns->lock);
    const struct zdb_pair *pair = zdb_current(ns);
    *g = (struct group){.ticket = ns->ticket,
                        .file_id = ns->pair_count - 1,
                        .data_end = pair->data_end,
                        .index_end = pair->index_end,
                        .data_fd = pair->data->fd,
                        .index_fd = pair->index_fd,
                        .tail_bytes = ns->tail.n,
                        .file_count = ns->pair_count};
    (void)pthread_rwlock_unlock(&ns->lock);
    g->vital_files = xmalloc(g->file_count * sizeof *g->vital_files);
}

/* A new file was started meanwhile: that synced everything of this one. */
static bool is_over(struct zdb_namespace *ns, const struct group *g) {
    return ns->pair_count != g->file_count;
}

static int write_tail(struct zdb_namespace *ns, const struct group *g) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = ns->is_broken ? -EIO : 0;
    if (r == 0 && !is_over(ns, g)) r = zdb_tail_write(ns, g->tail_bytes);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

static int write_patches(struct zdb_namespace *ns, const struct group *g) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = ns->is_broken ? -EIO : 0;
    if (r == 0 && !is_over(ns, g)) /* first: a mark that fails may be in the file all the same */
        ns->durable = (struct zdb_durable){g->file_id, g->data_end, g->index_end};
    if (r == 0) r = zdb_patches_apply(ns, g->ticket, g->vital_files);
    ns->syncs++;
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

static int sync_vital(struct zdb_namespace *ns, const struct group *g) {
    for (uint32_t f = 0; f < g->file_count; f++) {
        if (!g->vital_files[f]) continue;
        (void)pthread_rwlock_rdlock(&ns->lock);
        int fd = ns->pairs[f].index_fd; /* stays open; the array may move */
        (void)pthread_rwlock_unlock(&ns->lock);
        int r = ns->io->sync(ns->io, fd);
        if (r < 0) return r;
    }
    return 0;
}

static int group_sync(struct zdb_namespace *ns, const struct group *g) {
    int r = ns->io->sync(ns->io, g->data_fd);
    if (r == 0) r = write_tail(ns, g);
    if (r == 0) r = ns->io->sync(ns->io, g->index_fd);
    if (r == 0) r = write_patches(ns, g);
    return r < 0 ? r : sync_vital(ns, g);
}

/* commit.lock held. */
static void note_failure(struct zdb_commit_state *c, uint64_t to, const struct err *why) {
    if (c->failure_count == ZDB_FAILURES_MAX) {
        c->failures[1].above = c->failures[0].above; /* reports good ones as failed: safe */
        memmove(c->failures, c->failures + 1, --c->failure_count * sizeof *c->failures);
    }
    c->failures[c->failure_count++] = (struct zdb_failure){c->settled, to};
    c->settled = to;
    c->error = *why;
    c->has_error = true;
}

/* The leader's; nobody else syncs meanwhile. Returns the last ticket that is lost. */
static uint64_t undo(struct zdb_namespace *ns, struct err *why) {
    struct err e = {0};
    (void)pthread_rwlock_wrlock(&ns->lock);
    bool has_writes = ns->unfinished == ZDB_FINISHED; /* else there were none since */
    if (has_writes && (ns->options.durability == ZDB_ALWAYS || ns->is_broken)) {
        if (zdb_undo(ns, &e) < 0)
            zdb_report(ns, "undoing failed, the next write tries again: %s", e.msg);
        else
            zdb_report(ns, "writes that could not be synced were undone: %s", why->msg);
    }
    uint64_t last = ns->ticket;
    (void)pthread_rwlock_unlock(&ns->lock);
    return last;
}

/* commit.lock held, and released meanwhile; is_leading was false. */
static int lead(struct zdb_namespace *ns, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    AUTO(group_done) struct group g;
    c->is_leading = true;
    (void)pthread_mutex_unlock(&c->lock);
    group_take(ns, &g);
    int r = group_sync(ns, &g);
    uint64_t settled = g.ticket;
    if (r < 0) {
        (void)err_sys(e, -r, "sync namespace '%.*s'", STR_ARG(ns->descriptor.name));
        settled = undo(ns, e);
    }
    (void)pthread_mutex_lock(&c->lock);
    if (r < 0)
        note_failure(c, settled, e);
    else
        c->settled = settled;
    c->is_leading = false;
    (void)pthread_cond_broadcast(&c->changed);
    return r < 0 ? -1 : 0;
}

static bool is_lost(const struct zdb_commit_state *c, uint64_t ticket) {
    for (size_t i = 0; i < c->failure_count; i++)
        if (ticket > c->failures[i].above && ticket <= c->failures[i].to) return true;
    return false;
}

static int wait_for(struct zdb_namespace *ns, uint64_t ticket, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    struct err ignored = {0}; /* what failed is told by is_lost() */
    while (c->settled < ticket) {
        if (c->is_leading)
            (void)pthread_cond_wait(&c->changed, &c->lock);
        else
            (void)!lead(ns, &ignored);
    }
    if (!is_lost(c, ticket)) return 0;
    *e = c->error;
    return -1;
}

int zdb_commit(struct zdb_namespace *ns, uint64_t ticket, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    int r = 0;
    (void)pthread_mutex_lock(&c->lock);
    if (ns->options.durability == ZDB_ALWAYS) {
        r = wait_for(ns, ticket, e);
    } else if (c->has_error) {
        c->has_error = false; /* told once */
        *e = c->error;
        r = -1;
    }
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

int zdb_sync(struct zdb_namespace *ns, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
    int r = lead(ns, e);
    if (r < 0) c->has_error = false;
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

int zdb_commit_heal(struct zdb_namespace *ns, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool is_broken = ns->is_broken;
    (void)pthread_rwlock_unlock(&ns->lock);
    /* A group of a broken namespace fails after its first step, and undoes. */
    if (is_broken) (void)!lead(ns, e);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_rwlock_rdlock(&ns->lock);
    is_broken = ns->is_broken;
    (void)pthread_rwlock_unlock(&ns->lock);
    return is_broken ? -1 : 0;
}

static void *sync_regularly(void *arg) {
    struct zdb_namespace *ns = arg;
    struct zdb_commit_state *c = &ns->commit;
    struct timespec due;
    struct err e = {0};
    (void)pthread_mutex_lock(&c->lock);
    while (!c->is_stopping) {
        (void)clock_gettime(CLOCK_MONOTONIC, &due);
        uint64_t ns_part = (uint64_t)due.tv_nsec + (ns->options.interval_ms % 1000) * 1000000ull;
        due.tv_sec += (time_t)(ns->options.interval_ms / 1000 + ns_part / 1000000000u);
        due.tv_nsec = (long)(ns_part % 1000000000u);
        int r = 0;
        while (r != ETIMEDOUT && !c->is_stopping)
            r = pthread_cond_timedwait(&c->changed, &c->lock, &due);
        (void)pthread_rwlock_rdlock(&ns->lock);
        bool has_work = ns->ticket > c->settled;
        (void)pthread_rwlock_unlock(&ns->lock);
        if (!c->is_stopping && !c->is_leading && has_work && lead(ns, &e) < 0)
            zdb_report(ns, "the regular sync failed: %s", e.msg);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

int zdb_commit_start(struct zdb_namespace *ns, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    if (ns->options.durability != ZDB_INTERVAL) return 0;
    c->is_stopping = false;
    int r = pthread_create(&c->thread, NULL, sync_regularly, ns);
    if (r != 0) return err_sys(e, r, "start the syncing thread");
    c->has_thread = true;
    return 0;
}

void zdb_commit_stop(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    if (!c->has_thread) return;
    (void)pthread_mutex_lock(&c->lock);
    c->is_stopping = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
    c->has_thread = false;
}
