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

int zdb_sync_marked(struct zdb_namespace *ns) {
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        struct zdb_pair *pair = &ns->pairs[f];
        int r = pair->is_data_dirty ? ns->io->sync(ns->io, pair->data->fd) : 0;
        if (r < 0) return r;
        pair->is_data_dirty = false;
    }
    return zdb_indexes_sync(ns);
}

static void stop_writers(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (ns->is_gated) (void)pthread_cond_wait(&c->changed, &c->lock);
    set_gated(ns, true);
    (void)pthread_mutex_unlock(&c->lock);
}

static void lead(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    while (c->is_leading) (void)pthread_cond_wait(&c->changed, &c->lock);
    c->is_leading = true;
    (void)pthread_mutex_unlock(&c->lock);
}

void zdb_gate_seize(struct zdb_namespace *ns) {
    stop_writers(ns);
    lead(ns);
}

int zdb_gate_close(struct zdb_namespace *ns, struct err *e) {
    stop_writers(ns);
    int r = zdb_commit_heal(ns, e);
    lead(ns);
    if (r == 0) r = zdb_settle(ns, e);
    if (r < 0) zdb_gate_open(ns);
    return r;
}

void zdb_gate_open(struct zdb_namespace *ns) {
    struct zdb_commit_state *c = &ns->commit;
    (void)pthread_mutex_lock(&c->lock);
    c->is_leading = false;
    set_gated(ns, false);
    (void)pthread_mutex_unlock(&c->lock);
}
