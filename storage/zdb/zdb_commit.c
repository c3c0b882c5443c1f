/* SPDX-License-Identifier: Apache-2.0 — zdb_commit.c: group commit.
 *
 * Of the threads that wait for their tickets one leads: it syncs for all that have written by then,
 * while the others wait, and those that write meanwhile are the next group. A group costs one
 * fdatasync, of the data file, whatever its size: a record says all that its index entry says, so
 * recovery makes again what the index lacks of the records of the last data file (zdb_recover.c).
 * Behind the sync the waiting end of the index is written, so that an entry that is in a file has
 * its record, whole. Changes in place (deletions, marks of superseded entries, `seq` updates) wait
 * for a checkpoint, which syncs the index first: what was appended for them, with the place of the
 * version before, must be durable when that version's entry changes, since its record may be in a
 * file that recovery does not read. There is a checkpoint when many changes wait, when the files
 * are changed, when the namespace is closed, and by zdb_sync().
 * INTERVAL and NEVER write entries with their records, NEVER changes in place, too.
 *
 * A sync that fails loses pages that the kernel may call clean afterwards, so it is never just
 * repeated. Of a data file: with ALWAYS everything since the last good one is undone and its
 * tickets fail. Of the index: acknowledged records are safe; the index is cut back to its last sync
 * and made again from them. An index that cannot be written to refuses further writes, and is tried
 * again by each. The namespace's lock is held for steps in memory and writes, not for syncs. */
#include "storage/zdb/zdb_internal.h"

#include <errno.h>

struct group {
    uint64_t ticket;
    uint32_t data_end, index_end;
    int data_fd;
    uint32_t file_count;
    bool is_doubtful; /* there are records whose index must be durable, too */
    int error;        /* -errno of writing what waited in memory */
};

void zdb_commit_init(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static struct group group_take(struct zdb_namespace *ns) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    const struct zdb_pair *pair = zdb_current(ns);
    int error = ns->is_broken ? 0 : zdb_out_write(ns);
    struct group g = {.ticket = ns->ticket,
                      .data_end = pair->data_end,
                      .index_end = pair->index_end,
                      .data_fd = pair->data->fd,
                      .file_count = ns->pair_count,
                      .is_doubtful = ns->is_doubtful,
                      .error = error};
    ns->is_doubtful = false;
    (void)pthread_rwlock_unlock(&ns->lock);
    return g;
}

/* Lock held (write). What is durable goes to the index as far as it can. A part may be there
 * already: a writer that ended the file wrote it, and then got no next file. */
static void write_index(struct zdb_namespace *ns, const struct group *g) {
    int before = ns->index_error;
    uint32_t start = zdb_tail_start(ns);
    if (g->data_end > ns->durable.data_end) ns->durable.data_end = g->data_end;
    ns->index_error = zdb_tail_write(ns, g->index_end > start ? g->index_end - start : 0);
    if (ns->index_error != 0 && before == 0)
        zdb_report(ns, "the index cannot be written, further writes are refused: %s",
                   strerror(-ns->index_error));
}

/* Makes the group durable. Tier (a). */
static int group_sync(struct zdb_namespace *ns, const struct group *g) {
    int r = ns->io->sync(ns->io, g->data_fd);
    if (r < 0) return r;
    (void)pthread_rwlock_wrlock(&ns->lock);
    if (ns->is_broken) {
        r = -EBADFD;                              /* a step before failed: it is undone now */
    } else if (ns->pair_count == g->file_count) { /* else starting the next file did all this */
        write_index(ns, g);
    }
    ns->syncs++;
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

/* Syncs the index files that were written to. The lock is not held meanwhile. */
static int sync_indexes(struct zdb_namespace *ns) {
    int r = 0;
    for (uint32_t f = 0; r == 0; f++) {
        (void)pthread_rwlock_wrlock(&ns->lock);
        bool is_end = f == ns->pair_count;
        struct zdb_pair pair = is_end ? (struct zdb_pair){0} : ns->pairs[f]; /* they may move */
        uint32_t written = zdb_tail_start(ns);
        if (!is_end) ns->pairs[f].is_dirty = false;
        (void)pthread_rwlock_unlock(&ns->lock);
        if (is_end) break;
        if (!pair.is_dirty) continue;
        r = zdb_index_sync(ns->io, &pair);
        (void)pthread_rwlock_wrlock(&ns->lock);
        ns->pairs[f].is_dirty |= r < 0;
        ns->pairs[f].is_suspect = r < 0;
        ns->is_broken |= r < 0;
        if (r == 0 && f + 1 == ns->pair_count) ns->durable.index_end = written;
        (void)pthread_rwlock_unlock(&ns->lock);
    }
    return r;
}

static int apply_patches(struct zdb_namespace *ns, const struct group *g) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = ns->is_broken ? -EIO : ns->index_error;
    if (r == 0) r = zdb_patches_apply(ns, g->ticket);
    ns->index_error = r;
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

/* Behind group_sync(): the index of the group is durable, changes in place included. */
static int checkpoint(struct zdb_namespace *ns, const struct group *g) {
    int r = sync_indexes(ns);
    if (r == 0) r = apply_patches(ns, g);
    return r < 0 ? r : sync_indexes(ns);
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

static bool wants_checkpoint(struct zdb_namespace *ns) {
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool is_time = ns->patch_count >= ZDB_PATCHES_MANY;
    (void)pthread_rwlock_unlock(&ns->lock);
    return is_time;
}

/* A step of the leader failed: what is not durable is lost. */
static int fail(struct zdb_namespace *ns, int r, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    int told = r == -EBADFD ? EIO : -r;
    (void)err_sys(e, told, "sync namespace '%.*s'", STR_ARG(ns->descriptor.name));
    uint64_t last = undo(ns, e);
    if (r == -EBADFD && ns->options.durability != ZDB_ALWAYS) return -1; /* nothing was lost */
    (void)pthread_mutex_lock(&c->lock);
    note_failure(c, last, e);
    (void)pthread_mutex_unlock(&c->lock);
    return -1;
}

/* The leader's: one group. Those who wait for it go on before the checkpoint, when there is one. */
static int commit_group(struct zdb_namespace *ns, struct group *g, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    *g = group_take(ns);
    int r = g->error < 0 ? g->error : group_sync(ns, g);
    if (r == 0 && g->is_doubtful) r = checkpoint(ns, g);
    if (r < 0) return fail(ns, r, e);
    (void)pthread_mutex_lock(&c->lock);
    c->settled = g->ticket;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    return 0;
}

int zdb_settle(struct zdb_namespace *ns, struct err *e) {
    struct group g;
    if (commit_group(ns, &g, e) < 0) return -1;
    int r = checkpoint(ns, &g);
    if (r == 0) return 0;
    (void)pthread_rwlock_rdlock(&ns->lock);
    bool is_broken = ns->is_broken;
    (void)pthread_rwlock_unlock(&ns->lock);
    if (is_broken) return fail(ns, r, e);
    return err_sys(e, -r, "write the index of namespace '%.*s'", STR_ARG(ns->descriptor.name));
}

static int commit_and_check(struct zdb_namespace *ns, struct err *e) {
    struct group g;
    if (commit_group(ns, &g, e) < 0) return -1;
    return wants_checkpoint(ns) ? zdb_settle(ns, e) : 0;
}

/* commit.lock held, and released meanwhile; is_leading was false. */
static int lead(struct zdb_namespace *ns, int (*work)(struct zdb_namespace *, struct err *),
                struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    c->is_leading = true;
    (void)pthread_mutex_unlock(&c->lock);
    int r = work(ns, e);
    (void)pthread_mutex_lock(&c->lock);
    c->is_leading = false;
    (void)pthread_cond_broadcast(&c->changed);
    return r;
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
            (void)!lead(ns, commit_and_check, &ignored);
    }
    if (!is_lost(c, ticket)) return 0;
    *e = c->error;
    return -1;
}

/* The leader's: what waits is written, or undone. */
static int write_or_undo(struct zdb_namespace *ns, struct err *e) {
    struct err undoing = {0};
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = zdb_out_write(ns);
    if (r < 0) (void)err_sys(e, -r, "write to namespace '%.*s'", STR_ARG(ns->descriptor.name));
    if (r < 0 && zdb_undo(ns, &undoing) < 0)
        zdb_report(ns, "undoing failed, the next write tries again: %s", undoing.msg);
    else if (r < 0)
        zdb_report(ns, "writes that did not get to the files were undone: %s", e->msg);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? -1 : 0;
}

/* INTERVAL, NEVER: a kill does not take the ticket any more. */
static int see_written(struct zdb_namespace *ns, uint64_t ticket, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    struct err ignored = {0}; /* zdb_out_check() says whose it is */
    if (atomic_load(&ns->out.waits) && zdb_write_out(ns, &ignored) < 0) {
        (void)pthread_mutex_lock(&c->lock);
        while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
        (void)!lead(ns, write_or_undo, &ignored);
        (void)pthread_mutex_unlock(&c->lock);
    }
    return zdb_out_check(ns, ticket, e);
}

int zdb_commit(struct zdb_namespace *ns, uint64_t ticket, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    bool is_always = ns->options.durability == ZDB_ALWAYS;
    int r = is_always ? wait_for(ns, ticket, e) : 0;
    (void)pthread_mutex_unlock(&c->lock);
    if (r == 0) r = is_always ? zdb_out_check(ns, ticket, e) : see_written(ns, ticket, e);
    if (r < 0 || is_always) return r;
    (void)pthread_mutex_lock(&c->lock);
    if (c->has_error) {
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
    int r = lead(ns, zdb_settle, e);
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
    if (is_broken) (void)!lead(ns, commit_and_check, e);
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
        if (!c->is_stopping && !c->is_leading && has_work && lead(ns, commit_and_check, &e) < 0)
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
