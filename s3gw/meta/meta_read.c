/* SPDX-License-Identifier: Apache-2.0 — meta_read.c: connections for readers, and what all reads
 * share.
 *
 * A connection is opened when there is no idle one and stays. A reader that finds all of them busy
 * waits for one: reads are short, and there are as many as workers. */
#include "s3gw/meta/meta_internal.h"

static struct sqlite *open_one(struct meta *m, struct err *e) {
    struct sqlite *db = meta_database(m, META_READER_CACHE_BYTES, e);
    if (db) return db;
    (void)pthread_mutex_lock(&m->readers_mutex);
    m->opened--;
    (void)pthread_cond_signal(&m->reader_back);
    (void)pthread_mutex_unlock(&m->readers_mutex);
    return NULL;
}

struct sqlite *meta_reader_take(struct meta *m, struct err *e) {
    struct sqlite *db = NULL;
    (void)pthread_mutex_lock(&m->readers_mutex);
    while (m->idle_count == 0 && m->opened == m->readers_max)
        (void)pthread_cond_wait(&m->reader_back, &m->readers_mutex);
    if (m->idle_count > 0)
        db = m->idle[--m->idle_count];
    else
        m->opened++;
    (void)pthread_mutex_unlock(&m->readers_mutex);
    return db ? db : open_one(m, e);
}

void meta_reader_give(struct meta *m, struct sqlite *db) {
    (void)pthread_mutex_lock(&m->readers_mutex);
    m->idle[m->idle_count++] = db;
    (void)pthread_cond_signal(&m->reader_back);
    (void)pthread_mutex_unlock(&m->readers_mutex);
}

int meta_read_run(struct meta_read *r, meta_reading *read, void *arg, struct err *e) {
    r->why = META_FAILED;
    struct sqlite *db = meta_reader_take(r->m, e);
    if (!db) return -1;
    int result = sqlite_begin_read(db, e);
    if (result == 0) {
        result = read(r, db, arg, e);
        sqlite_rollback(db);
    }
    meta_reader_give(r->m, db);
    if (result >= 0) r->why = META_OK;
    return result;
}

int meta_read_refuse(struct meta_read *r, enum meta_why why, const struct err *e) {
    (void)e;
    r->why = why;
    return -1;
}

int meta_read_bucket(struct meta_read *r, struct sqlite *db, struct str name, uint64_t *out,
                     struct err *e) {
    int n = meta_bucket_id(db, name, out, e);
    if (n > 0) return 0;
    if (n < 0) return -1;
    (void)err_set(e, ERR_NOT_FOUND, "there is no bucket '%.*s'",
                  STR_ARG(str_sub(name, 0, META_BUCKET_BYTES_MAX)));
    return meta_read_refuse(r, META_NO_BUCKET, e);
}

static int arena_is_full(const struct meta_read *r, struct err *e) {
    return err_set(e, ERR_LIMIT, "the answer is larger than the %zu bytes that it may have",
                   r->arena->bytes_max);
}

int meta_keep(struct meta_read *r, struct str in, struct str *out, struct err *e) {
    struct str copy = arena_str(r->arena, in);
    if (!copy.p) return arena_is_full(r, e);
    *out = copy;
    return 0;
}

void *meta_array(struct meta_read *r, size_t count, size_t item_bytes, struct err *e) {
    void *p = arena_array(r->arena, count ? count : 1, item_bytes);
    if (!p) (void)arena_is_full(r, e);
    return p;
}
