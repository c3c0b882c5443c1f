/* SPDX-License-Identifier: Apache-2.0 — meta_writer.c: the one thread that writes.
 *
 * It takes what is queued (META_BATCH_MAX at most), applies it inside one transaction, commits, and
 * answers. Each op has a savepoint of its own: a refusal takes back that op alone, and the chunks
 * that it brought become garbage in the same transaction.
 *
 * When the database itself fails, the transaction is lost as a whole and every op of it is tried
 * again alone, so that one damaged page or one op too many for the disk does not fail the others.
 *
 * Full disk: what grows is refused from then on, what shrinks (deletions, aborts, garbage) gets the
 * reserve, step by step. About once a second the reserve is filled again; when that succeeds there
 * is room, and everything is as before.
 *
 * The log is moved into the file here, after the answers have gone out, because a second thread
 * doing it would share the disk's syncs with the commits anyway. Readers are short, so the log
 * begins anew soon; when it does not, the writer waits for them. */
#include "s3gw/meta/meta_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#define WRITER_STACK_BYTES (256 * 1024)
#define FULL_LOOK_MS       1000

int meta_refuse(struct meta_txn *t, enum meta_why why, enum err_kind kind, const char *fmt, ...) {
    char text[ERR_MSG_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    t->op->why = why;
    return err_set(t->e, kind, "%s", text);
}

uint64_t meta_number(struct meta_txn *t) { return t->m->number_next++; }

/* ---- one op ---- */

typedef int verb(struct meta_txn *t);
static const struct {
    verb *apply;
    bool has_bucket; /* t->home is filled in */
    bool grows;
} VERBS[META_VERBS] = {
    [META_BUCKET_CREATE] = {meta_bucket_create, false, true},
    [META_BUCKET_DELETE] = {meta_bucket_delete, true, false},
    [META_BUCKET_SET] = {meta_bucket_set, true, true},
    [META_DOCUMENT_SET] = {meta_document_set, true, true},
    [META_PUT] = {meta_put, true, true},
    [META_DELETE] = {meta_delete, true, false},
    [META_UPDATE] = {meta_update, true, true},
    [META_UPLOAD_BEGIN] = {meta_upload_begin, true, true},
    [META_PART_PUT] = {meta_part_put, true, true},
    [META_UPLOAD_COMPLETE] = {meta_upload_complete, true, true},
    [META_UPLOAD_ABORT] = {meta_upload_abort, true, false},
    [META_RECORD_SET] = {meta_record_set, false, true},
    [META_DISCARD] = {meta_discard, false, false},
    [META_RECLAIMED] = {meta_reclaimed, false, false},
};

/* Removals of documents and records shrink. */
static bool grows(const struct meta_op *op) {
    if (op->verb == META_DOCUMENT_SET) return op->document.bytes.p != NULL;
    if (op->verb == META_RECORD_SET) return op->record.record.bytes.p != NULL;
    return VERBS[op->verb].grows;
}

struct meta_chunks meta_op_chunks(const struct meta_op *op) {
    if (op->verb == META_PUT) return op->put.chunks;
    if (op->verb == META_PART_PUT) return op->part_put.chunks;
    return (struct meta_chunks){NULL, 0};
}

int meta_apply(struct meta_txn *t) {
    if (VERBS[t->op->verb].has_bucket && meta_home_find(t) < 0) return -1;
    if (VERBS[t->op->verb].apply(t) < 0) return -1;
    return meta_usage_save(t);
}

static void answer_nothing(struct meta_op *op) {
    op->why = META_OK;
    err_clear(&op->error);
    op->new_version = op->upload = op->size_bytes = op->modified_ms = 0;
    op->etag = (struct meta_etag){.parts = 0};
    op->part = 0;
    op->is_null = op->is_marker = op->was_found = op->is_own = op->chunks_taken = false;
}

/* A refused op's chunks have no owner any more. If they are not what it says (given out, not in
 * use), that is one more reason to refuse it and no more than that. */
static int keep_as_garbage(struct meta_txn *t, struct meta_chunks chunks, struct err *e) {
    struct meta_op discard = {.verb = META_DISCARD, .discard = chunks, .now_ms = t->op->now_ms};
    struct meta_txn u = {.m = t->m, .db = t->db, .op = &discard, .e = e};
    if (sqlite_mark(t->db, e) < 0) return -1;
    if (meta_discard(&u) == 0) {
        t->op->chunks_taken = true;
        return sqlite_keep(t->db, e);
    }
    return discard.why == META_OK ? -1 : sqlite_take_back(t->db, e);
}

/* 0: applied or refused; -1: the transaction is lost, op->error says why. */
static int apply_one(struct meta *m, struct meta_op *op) {
    answer_nothing(op);
    struct meta_txn t = {.m = m, .db = m->db, .op = op, .e = &op->error};
    struct meta_chunks chunks = meta_op_chunks(op);
    if (sqlite_mark(m->db, &op->error) < 0) return -1;
    if (meta_apply(&t) == 0) {
        op->chunks_taken = chunks.count > 0;
        return sqlite_keep(m->db, &op->error);
    }
    if (op->why == META_OK) return -1;
    struct err lost;
    if (sqlite_take_back(m->db, &lost) < 0 ||
        (chunks.count > 0 && keep_as_garbage(&t, chunks, &lost) < 0)) {
        op->why = META_OK;
        op->error = lost;
        return -1;
    }
    return 0;
}

/* ---- one transaction ---- */

/* The stored counter must be ahead of every number that this transaction used. */
int meta_numbers_store(struct meta *m, struct err *e) {
    if (m->number_next < m->number_stored) return 0;
    uint64_t stored = m->number_next + META_NUMBERS_STEP;
    if (SQL_RUN(m->db, e, "UPDATE sequence SET next = ?1", SQL_NUMBER(stored)) < 0) return -1;
    m->number_stored = stored;
    return 0;
}

static int transact(struct meta *m, struct meta_op *ops, bool lease, struct err *e) {
    uint64_t number_stored = m->number_stored, chunk_next = m->chunk_next;
    if (sqlite_begin(m->db, e) < 0) return -1;
    int r = lease ? meta_lease_extend(m, e) : 0;
    for (struct meta_op *op = ops; op && r == 0; op = op->next)
        if ((r = apply_one(m, op)) < 0) *e = op->error;
    if (r == 0) r = meta_numbers_store(m, e);
    if (r == 0) r = sqlite_commit(m->db, e);
    if (r == 0) return 0;
    sqlite_rollback(m->db);
    m->number_stored = number_stored; /* numbers themselves are never taken back */
    m->chunk_next = chunk_next;
    return -1;
}

static void set_full(struct meta *m, bool is_full) {
    if (is_full) m->full_looked_ms = clock_ms();
    m->is_full = is_full;
    (void)pthread_mutex_lock(&m->mutex);
    m->stats.is_full = is_full;
    (void)pthread_mutex_unlock(&m->mutex);
}

/* The log is cut when filling the reserve fails without that: what it gave back goes into the
 * reserve and is not lost to others. */
static void look_whether_still_full(struct meta *m) {
    struct err ignored;
    if (!m->is_full || clock_ms() - m->full_looked_ms < FULL_LOOK_MS) return;
    m->full_looked_ms = clock_ms();
    if (!reserve_fill(m->reserve) &&
        (sqlite_checkpoint(m->db, SQLITE_CUT_LOG, &ignored) < 0 || !reserve_fill(m->reserve)))
        return;
    set_full(m, false);
}

/* Room for one more try. What helps for good is to move the log into the file: it then begins anew
 * in the space that it has. The file may have to grow for that, by the log's size at most, which is
 * why the log is never longer than half of the reserve. */
static bool spend(struct meta *m) {
    struct err e = {.kind = ERR_NONE};
    if (!reserve_spend(m->reserve)) return false;
    while (sqlite_checkpoint(m->db, SQLITE_WAIT_FOR_READERS, &e) < 0 && e.kind == ERR_LIMIT)
        if (!reserve_spend(m->reserve)) break;
    return true;
}

static void fail(struct meta_op *op, const struct err *e) {
    answer_nothing(op);
    op->why = META_FAILED;
    op->error = *e;
}

static void refuse_full(struct meta *m, struct meta_op *op) {
    answer_nothing(op);
    op->why = META_FAILED;
    (void)err_set(&op->error, ERR_LIMIT,
                  "the disk below '%s' is full: nothing new is accepted until there is space again",
                  m->path);
    (void)pthread_mutex_lock(&m->mutex);
    m->stats.refused_full++;
    (void)pthread_mutex_unlock(&m->mutex);
}

/* One op, whatever it takes. */
static void transact_alone(struct meta *m, struct meta_op *op) {
    struct err e = {.kind = ERR_NONE};
    if (m->is_full && grows(op)) {
        refuse_full(m, op);
        return;
    }
    struct meta_op *next = op->next;
    op->next = NULL;
    int r = transact(m, op, false, &e);
    while (r < 0 && e.kind == ERR_LIMIT) {
        set_full(m, true);
        if (grows(op) || !spend(m)) break;
        r = transact(m, op, false, &e);
    }
    op->next = next;
    if (r == 0) return;
    if (e.kind == ERR_LIMIT && grows(op))
        refuse_full(m, op);
    else
        fail(op, &e);
}

static bool any_grows(const struct meta_op *ops) {
    for (; ops; ops = ops->next)
        if (grows(ops)) return true;
    return false;
}

/* Tells those who wait for ids how it went. */
static void lease_done(struct meta *m, int r, const struct err *e) {
    (void)pthread_mutex_lock(&m->mutex);
    m->lease.wanted = false;
    if (r == 0) {
        m->lease.end = m->chunk_next;
    } else {
        m->lease.failures++;
        m->lease.error = *e;
    }
    (void)pthread_cond_broadcast(&m->leased);
    (void)pthread_mutex_unlock(&m->mutex);
}

static void lease_alone(struct meta *m) {
    struct err e;
    (void)err_set(&e, ERR_LIMIT, "the disk below '%s' is full: no new chunks", m->path);
    int r = m->is_full ? -1 : transact(m, NULL, true, &e);
    if (r < 0 && e.kind == ERR_LIMIT && !m->is_full) set_full(m, true);
    lease_done(m, r, &e);
}

static void write_batch(struct meta *m, struct meta_op *ops, bool lease) {
    struct err e;
    look_whether_still_full(m);
    bool alone = m->is_full && (lease || any_grows(ops));
    if (!alone && transact(m, ops, lease, &e) == 0) {
        if (lease) lease_done(m, 0, NULL);
        return;
    }
    for (struct meta_op *op = ops; op; op = op->next) transact_alone(m, op);
    if (lease) lease_alone(m);
}

/* Whether the log is so long that it should be tried now. A long reader (a check) keeps it from
 * beginning anew: trying at each commit would cost a sync or a wait each. */
static bool is_log_due(struct meta *m, uint32_t pages) {
    if (pages < m->wal_last_pages) m->wal_next_pages = 0; /* it began anew */
    if (m->wal_next_pages < m->wal_move_pages) m->wal_next_pages = m->wal_move_pages;
    m->wal_last_pages = pages;
    return pages >= m->wal_next_pages || (m->is_full && pages > 0);
}

/* A file that cannot grow is a full disk, although the log still has room: what would go into the
 * log from now on might never come out of it. */
static void move_log(struct meta *m) {
    struct err e = {.kind = ERR_NONE}; /* what else fails now fails again when somebody needs it */
    uint32_t pages = sqlite_wal_pages(m->db), move = m->wal_move_pages;
    if (!is_log_due(m, pages)) return;
    bool waits = m->is_full || pages >= move + move / 2;
    enum sqlite_checkpoint how = waits ? SQLITE_WAIT_FOR_READERS : SQLITE_AS_FAR_AS_POSSIBLE;
    m->wal_next_pages = pages + (waits ? pages : move / 4);
    if (sqlite_checkpoint(m->db, how, &e) < 0 && e.kind == ERR_LIMIT && !m->is_full)
        set_full(m, true);
}

/* ---- the thread ---- */

static bool lease_is_low(const struct meta *m) {
    return m->lease.wanted && m->lease.end - m->lease.next < META_LEASE_IDS;
}

/* Called with the mutex held. */
static struct meta_op *take_batch(struct meta *m) {
    struct meta_op *first = m->head, *last = NULL;
    for (size_t n = 0; m->head && n < META_BATCH_MAX; n++) {
        last = m->head;
        m->head = last->next;
        m->queued--;
    }
    if (last) last->next = NULL;
    if (!m->head) m->tail = NULL;
    return first;
}

static void answer(struct meta_op *ops) {
    for (struct meta_op *next; ops; ops = next) {
        next = ops->next;
        ops->finish(ops);
    }
}

static void count(struct meta *m, const struct meta_op *ops) {
    m->stats.commits++;
    m->stats.wal_pages = sqlite_wal_pages(m->db);
    for (; ops; ops = ops->next) m->stats.ops++;
}

static void *writer_main(void *arg) {
    struct meta *m = arg;
    (void)pthread_mutex_lock(&m->mutex);
    for (;;) {
        while (!m->head && !m->closing && !lease_is_low(m))
            (void)pthread_cond_wait(&m->work, &m->mutex);
        bool lease = lease_is_low(m) && !m->closing;
        struct meta_op *ops = take_batch(m);
        if (!ops && !lease) break;
        (void)pthread_mutex_unlock(&m->mutex);
        write_batch(m, ops, lease);
        (void)pthread_mutex_lock(&m->mutex);
        count(m, ops);
        (void)pthread_mutex_unlock(&m->mutex);
        answer(ops);
        move_log(m);
        (void)pthread_mutex_lock(&m->mutex);
    }
    (void)pthread_mutex_unlock(&m->mutex);
    return NULL;
}

int meta_writer_start(struct meta *m, struct err *e) {
    pthread_attr_t attr;
    sigset_t all, before; /* signals belong to the loop */
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, WRITER_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&m->writer, &attr, writer_main, m);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (r != 0) return err_sys(e, r, "start the thread that writes '%s'", m->path);
    m->has_writer = true;
    (void)pthread_setname_np(m->writer, "meta-writer");
    return 0;
}

void meta_writer_stop(struct meta *m) {
    if (!m->has_writer) return;
    (void)pthread_mutex_lock(&m->mutex);
    m->closing = true;
    (void)pthread_cond_signal(&m->work);
    (void)pthread_cond_broadcast(&m->leased);
    (void)pthread_mutex_unlock(&m->mutex);
    (void)pthread_join(m->writer, NULL);
    m->has_writer = false;
}
