/* SPDX-License-Identifier: Apache-2.0 — meta.c: opening and closing the store.
 *
 * A lock file makes it one process's: the counters and the ids that are ready to be given out are
 * in its memory. Opening after a death is the ordinary way: SQLite replays its log, and what
 * remains to be done is to call the chunks of dead writers garbage. */
#include "s3gw/meta/meta_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

struct sqlite *meta_database(const struct meta *m, uint32_t cache_bytes, struct err *e) {
    const struct sqlite_options o = {
        .path = m->path,
        .schema = meta_schema,
        .version = META_SCHEMA_VERSION,
        .remedy = "stop the gateway, keep a copy of its folder and restore the file from a backup",
        .cache_bytes = cache_bytes,
        .page_bytes = META_PAGE_BYTES,
        .shared = true,
    };
    return sqlite_open(&o, e);
}

static int take_lock(struct meta *m, const char *folder, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/lock", folder);
    m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (m->lock_fd < 0) return err_sys(e, errno, "open the lock file '%s'", path);
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) return err_sys(e, errno, "lock '%s'", path);
    return err_set(e, ERR_BUSY, "the metadata in '%s' are in use by another process: stop it first",
                   folder);
}

static int load_sequence(struct meta *m, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(m->db, &rows, e, "SELECT next, chunk FROM sequence") < 0) return -1;
    int r = sqlite_next(&rows, e);
    if (r < 0) return -1;
    if (r == 0) return err_set(e, ERR_CORRUPT, "the database '%s' has lost its counters", m->path);
    m->number_next = m->number_stored = sqlite_number(&rows, 0);
    m->chunk_next = sqlite_number(&rows, 1);
    m->lease.next = m->lease.end = m->chunk_next;
    return 0;
}

/* A disk that is full right now must not keep the store from opening for reads and deletions: the
 * intents are looked at again at the next start. */
static int sweep_intents(struct meta *m, struct err *e) {
    struct meta_op none = {.verb = META_DISCARD};
    struct meta_txn t = {.m = m, .db = m->db, .op = &none, .e = e};
    do {
        if (sqlite_begin(m->db, e) < 0) return -1;
        if (meta_intents_to_garbage(&t) == 0 && meta_numbers_store(m, e) == 0 &&
            sqlite_commit(m->db, e) == 0)
            return 0;
        sqlite_rollback(m->db);
        m->number_stored = m->number_next; /* stored again by the next that commits */
    } while (e->kind == ERR_LIMIT && reserve_spend(m->reserve));
    return e->kind == ERR_LIMIT ? 0 : -1;
}

static int open_in(struct meta *m, const struct meta_options *o, struct err *e) {
    int n = snprintf(m->path, sizeof m->path, "%s/meta.db", o->folder);
    if (n < 0 || (size_t)n >= sizeof m->path)
        return err_set(e, ERR_INVALID, "the folder's name '%.80s...' is too long", o->folder);
    if (take_lock(m, o->folder, e) < 0) return -1;
    uint64_t reserve = o->reserve_bytes ? o->reserve_bytes : META_RESERVE_BYTES;
    uint64_t log_pages = reserve / 2 / META_PAGE_BYTES;
    m->wal_move_pages = log_pages < META_WAL_BYTES / META_PAGE_BYTES
                            ? (uint32_t)log_pages
                            : META_WAL_BYTES / META_PAGE_BYTES;
    if (reserve_open(o->folder, reserve, &m->reserve, e) < 0) return -1;
    m->db = meta_database(m, META_WRITER_CACHE_BYTES, e);
    if (!m->db || load_sequence(m, e) < 0 || sweep_intents(m, e) < 0) return -1;
    return meta_writer_start(m, e);
}

static void init(struct meta *m, const struct meta_options *o) {
    assert(o->readers >= 1 && o->readers <= META_READERS_MAX);
    m->loop = o->loop;
    m->lock_fd = -1;
    m->readers_max = o->readers;
    (void)pthread_mutex_init(&m->mutex, NULL);
    (void)pthread_cond_init(&m->work, NULL);
    (void)pthread_cond_init(&m->leased, NULL);
    (void)pthread_mutex_init(&m->readers_mutex, NULL);
    (void)pthread_cond_init(&m->reader_back, NULL);
}

int meta_open(const struct meta_options *o, struct meta **out, struct err *e) {
    struct meta *m = xnew(struct meta);
    init(m, o);
    if (open_in(m, o, e) < 0) {
        meta_close(m);
        return -1;
    }
    *out = m;
    return 0;
}

void meta_close(struct meta *m) {
    if (!m) return;
    meta_writer_stop(m);
    assert(m->idle_count == m->opened);
    for (unsigned i = 0; i < m->idle_count; i++) sqlite_close(m->idle[i]);
    sqlite_close(m->db);
    reserve_close(m->reserve);
    if (m->lock_fd >= 0) (void)close(m->lock_fd);
    (void)pthread_cond_destroy(&m->reader_back);
    (void)pthread_mutex_destroy(&m->readers_mutex);
    (void)pthread_cond_destroy(&m->leased);
    (void)pthread_cond_destroy(&m->work);
    (void)pthread_mutex_destroy(&m->mutex);
    free(m);
}
