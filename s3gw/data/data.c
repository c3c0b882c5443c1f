/* SPDX-License-Identifier: Apache-2.0 — data.c: the engine, and giving garbage back.
 *
 * A thread of its own looks at the garbage every DATA_RECLAIM_MS: items that are older than the
 * grace time and whose body nobody reads are deleted in the engine, synced, and then told to the
 * metadata; a death in between deletes twice, which is no error. When half of the engine's bytes
 * are dead the same thread compacts. Neither stops anybody from reading or writing. */
#include "s3gw/data/data.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "s3gw/data/data_internal.h"

#include <errno.h>
#include <time.h>

#define RECLAIM_ARENA_BYTES ((size_t)16 << 20)
#define COMPACT_BYTES_PER_S ((uint64_t)64 << 20)

static void report(void *user, const char *text) {
    (void)user;
    LOG_WARN("the engine of objects' bytes", F_C("report", text));
}

/* ---- garbage ---- */

static int delete_chunks(struct data *d, const struct meta_garbage_item *item, uint64_t *ticket,
                         struct err *e) {
    for (size_t i = 0; i < item->chunks.count; i++) {
        struct data_key k = data_key_of(item->chunks.p[i].id);
        uint32_t now_s = (uint32_t)(clock_wall_ns() / 1000000000);
        if (zdb_delete(d->ns, data_key_str(&k), now_s, ticket, e) < 0 && e->kind != ERR_NOT_FOUND)
            return err_in(e, "delete a chunk");
    }
    return 0;
}

/* One page of garbage; *out_more: there is another one. */
static int reclaim_page(struct data *d, struct meta_garbage_query *q, struct data_reclaimed *out,
                        bool *out_more, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(RECLAIM_ARENA_BYTES);
    struct meta_read read = {.m = d->meta, .arena = &a};
    struct meta_garbage g;
    uint64_t ticket = 0;
    size_t n = 0;
    *out_more = false;
    if (meta_garbage(&read, q, &g, e) < 0) return -1;
    struct meta_token *tokens = arena_array(&a, g.count + 1, sizeof *tokens);
    if (!tokens) return err_set(e, ERR_LIMIT, "reclaim: too many items in a page");
    for (size_t i = 0; i < g.count && n < META_TOKENS_MAX; i++) {
        q->after = g.p[i].token;
        if (data_is_read(d, g.p[i].token.id)) continue;
        if (delete_chunks(d, &g.p[i], &ticket, e) < 0) return -1;
        tokens[n++] = g.p[i].token;
        out->chunks += g.p[i].chunks.count;
    }
    *out_more = g.truncated || (g.count > 0 && n == META_TOKENS_MAX);
    if (n == 0) return 0;
    if (ticket > 0 && zdb_commit(d->ns, ticket, e) < 0) return -1;
    struct meta_op op = {.verb = META_RECLAIMED, .reclaimed = {.tokens = tokens, .count = n}};
    op.now_ms = (uint64_t)(clock_wall_ns() / 1000000);
    out->items += n;
    return meta_run(d->meta, &op, e);
}

int data_reclaim(struct data *d, uint64_t before_ms, struct data_reclaimed *out, struct err *e) {
    struct meta_garbage_query q = {.before_ms = before_ms, .chunks_max = META_CHUNKS_MAX};
    bool more = true;
    *out = (struct data_reclaimed){0};
    while (more)
        if (reclaim_page(d, &q, out, &more, e) < 0) return -1;
    return 0;
}

/* ---- the thread ---- */

static bool go_on(void *user, const struct zdb_progress *p) {
    (void)p;
    return !data_is_stopping(user);
}

static void compact(struct data *d) {
    struct zdb_info info;
    struct err e = {0};
    zdb_info(d->ns, &info);
    if (info.dead_bytes < DATA_COMPACT_DEAD_MIN ||
        info.dead_bytes < info.data_bytes / 100 * DATA_COMPACT_PERCENT)
        return;
    const struct zdb_compact_options o = {.dead_percent_min = DATA_COMPACT_PERCENT,
                                          .bytes_per_s = COMPACT_BYTES_PER_S,
                                          .go_on = go_on,
                                          .user = d};
    struct zdb_compact_result r = {0};
    if (zdb_compact(d->ns, &o, &r, &e) < 0 && e.kind != ERR_CANCELLED)
        LOG_WARN("compaction of objects' bytes failed", F_ERR(&e));
    else if (r.files_rewritten > 0)
        LOG_INFO("compacted objects' bytes", F_U64("returned_bytes", r.returned_bytes),
                 F_U64("files", r.files_rewritten));
}

static void pass(struct data *d) {
    struct data_reclaimed r;
    struct err e = {0};
    uint64_t now_ms = (uint64_t)(clock_wall_ns() / 1000000);
    if (data_reclaim(d, now_ms - DATA_GRACE_MS, &r, &e) < 0)
        LOG_WARN("garbage of objects was not reclaimed; it is tried again", F_ERR(&e));
    compact(d);
}

static void *thread_main(void *user) {
    struct data *d = user;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += DATA_RECLAIM_MS / 1000;
        int r = 0;
        while (!d->stopping && r != ETIMEDOUT)
            r = pthread_cond_timedwait(&d->changed, &d->lock, &until);
        if (d->stopping) break;
        (void)pthread_mutex_unlock(&d->lock);
        pass(d);
        (void)pthread_mutex_lock(&d->lock);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- its life ---- */

static int open_engine(const struct data_options *o, struct data *d, struct err *e) {
    AUTO_FREE char *data = xasprintf("%s/data", o->folder);
    AUTO_FREE char *index = xasprintf("%s/index", o->folder);
    const struct zdb_options zo = {.data_path = data,
                                   .index_path = index,
                                   .name = STR("s3"),
                                   .mode = ZDB_USER,
                                   .durability = ZDB_ALWAYS,
                                   .report = report,
                                   .user = d};
    int r = file_mkdirs(AT_FDCWD, o->folder, 0700);
    if (r < 0) return err_sys(e, -r, "make the folder '%s'", o->folder);
    if (zdb_open(&zo, &d->ns, e) < 0) return err_in(e, "open the data of objects");
    return 0;
}

int data_open(const struct data_options *o, struct data **out, struct err *e) {
    struct data *d = xnew(struct data);
    d->meta = o->meta;
    (void)pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&d->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    int r = open_engine(o, d, e);
    if (r == 0 && !o->no_background) {
        int failed = pthread_create(&d->thread, NULL, thread_main, d);
        d->has_thread = failed == 0;
        if (failed) r = err_sys(e, failed, "start the reclaimer's thread");
    }
    if (r < 0) {
        data_close(d);
        return -1;
    }
    *out = d;
    return 0;
}

void data_stop(struct data *d) {
    if (!d) return;
    (void)pthread_mutex_lock(&d->lock);
    d->stopping = true;
    (void)pthread_cond_signal(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
    if (d->has_thread) (void)pthread_join(d->thread, NULL);
    d->has_thread = false;
}

bool data_is_stopping(struct data *d) {
    (void)pthread_mutex_lock(&d->lock);
    bool stopping = d->stopping;
    (void)pthread_mutex_unlock(&d->lock);
    return stopping;
}

void data_close(struct data *d) {
    if (!d) return;
    data_stop(d);
    struct err e = {0};
    if (zdb_close(d->ns, &e) < 0) LOG_ERROR("the data of objects was not closed well", F_ERR(&e));
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

void data_stats(struct data *d, struct data_stats *out) {
    struct zdb_info info;
    zdb_info(d->ns, &info);
    *out = (struct data_stats){.live_bytes = info.live_bytes,
                               .dead_bytes = info.dead_bytes,
                               .file_bytes = info.data_bytes,
                               .chunks = info.entries,
                               .corrupt = info.corrupt};
}
