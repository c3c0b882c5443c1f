/* SPDX-License-Identifier: Apache-2.0 — zdb_gate.c: standing alone in a namespace.
 *
 * Whoever changes what writers and commits build upon (durability, files) closes the gate: new
 * writers wait in front of it, what was written is made durable, and the caller leads the commits,
 * so that nobody else syncs. Readers go on. */
#include "storage/zdb/zdb_internal.h"

/* commit.lock held. */
static void set_gated(struct zdb_namespace *ns, bool is_gated) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    ns->is_gated = is_gated;
    (void)pthread_rwlock_unlock(&ns->lock);
    if (!is_gated) (void)pthread_cond_broadcast(&ns->commit.changed);
}

void zdb_gate_wait(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (ns->is_gated) (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
}

/* 1: an index file with marks that are not synced yet, its number and descriptor; 0: none. */
static int next_marked(struct zdb_namespace *ns, uint32_t *file_id, int *out_fd) {
    int r = 0;
    (void)pthread_rwlock_wrlock(&ns->lock);
    for (; *file_id < ns->pair_count && r == 0; (*file_id)++) {
        struct zdb_pair *pair = &ns->pairs[*file_id];
        if (!pair->is_marked) continue;
        pair->is_marked = false;
        *out_fd = pair->index_fd; /* stays open: only who has closed the gate changes that */
        r = 1;
    }
    (void)pthread_rwlock_unlock(&ns->lock);
    return r;
}

int zdb_settle(struct zdb_namespace *ns, struct err *e) {
    int fd;
    if (zdb_sync(ns, e) < 0) return -1;
    for (uint32_t file_id = 0; next_marked(ns, &file_id, &fd) > 0;) {
        int r = ns->io->sync(ns->io, fd);
        if (r == 0) continue;
        (void)pthread_rwlock_wrlock(&ns->lock);
        ns->is_unmarked = true; /* what was lost of it is not known */
        (void)pthread_rwlock_unlock(&ns->lock);
        return err_sys(e, -r, "sync the marks of index file %u", file_id - 1);
    }
    return 0;
}

static void stop_writers(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (ns->is_gated) (void)pthread_cond_wait(&c->changed, &c->lock);
    set_gated(ns, true);
    (void)pthread_mutex_unlock(&c->lock);
}

void zdb_gate_seize(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    stop_writers(ns);
    (void)pthread_mutex_lock(&c->lock);
    while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
    c->is_leading = true;
    (void)pthread_mutex_unlock(&c->lock);
}

int zdb_gate_close(struct zdb_namespace *ns, struct err *e) {
    struct zdb_commit_state *c = &ns->commit;
    stop_writers(ns);
    int r = zdb_commit_heal(ns, e);
    if (r == 0) r = zdb_settle(ns, e);
    (void)pthread_mutex_lock(&c->lock);
    while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
    if (r == 0)
        c->is_leading = true;
    else
        set_gated(ns, false);
    (void)pthread_mutex_unlock(&c->lock);
    return r;
}

void zdb_gate_open(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    c->is_leading = false;
    set_gated(ns, false);
    (void)pthread_mutex_unlock(&c->lock);
}
