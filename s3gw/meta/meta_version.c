/* SPDX-License-Identifier: Apache-2.0 — meta_version.c: the versions of one key, and how they move
 * between `current` and `history`.
 *
 * A key has a row in current exactly when its newest version is no delete marker. So a put moves
 * the present row into history or removes it, then adds its own; a removal of the newest promotes
 * the next. A key has one null version at most: it is the one that a write with versioning off or
 * suspended replaces, wherever it lies. */
#include "s3gw/meta/meta_internal.h"

#include <assert.h>

struct str meta_etag_bytes(const struct meta_etag *etag) {
    return str_make((const char *)etag->md5, sizeof etag->md5);
}

struct meta_etag meta_etag_of(const struct sqlite_rows *rows, int md5_column) {
    struct meta_etag etag = {.parts = (uint32_t)sqlite_number(rows, md5_column + 1)};
    struct str md5 = str_sub(sqlite_bytes(rows, md5_column), 0, sizeof etag.md5);
    memcpy(etag.md5, md5.p, md5.n);
    return etag;
}

/* ---- finding ---- */

/* Columns: seq, is_null, is_marker, modified, size, md5, parts, class, sums. */
static int load_row(struct sqlite_rows *rows, struct meta_row *out, struct err *e) {
    *out = (struct meta_row){.seq = 0};
    int r = sqlite_next(rows, e);
    if (r <= 0) return r;
    *out = (struct meta_row){
        .seq = sqlite_number(rows, 0),
        .is_null = sqlite_number(rows, 1) != 0,
        .is_marker = sqlite_number(rows, 2) != 0,
        .modified_ms = sqlite_number(rows, 3),
        .size_bytes = sqlite_number(rows, 4),
        .etag = meta_etag_of(rows, 5),
        .storage_class = (uint8_t)sqlite_number(rows, 7),
        .checksum_kind = (uint8_t)sqlite_number(rows, 8),
    };
    return 1;
}

#define OLD_COLUMNS "-ord, is_null, is_marker, modified, size, md5, parts, class, sums FROM history"

int meta_row_current(struct sqlite *db, uint64_t bucket, struct str key, struct meta_row *out,
                     struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT seq, is_null, 0, modified, size, md5, parts, class, sums FROM current"
                   " WHERE bucket = ?1 AND key = ?2",
                   SQL_NUMBER(bucket), SQL_BYTES(key)) < 0)
        return -1;
    int r = load_row(&rows, out, e);
    out->is_current = r > 0;
    return r;
}

int meta_row_newest_old(struct sqlite *db, uint64_t bucket, struct str key, struct meta_row *out,
                        struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT " OLD_COLUMNS " WHERE bucket = ?1 AND key = ?2 ORDER BY ord LIMIT 1",
                   SQL_NUMBER(bucket), SQL_BYTES(key)) < 0)
        return -1;
    return load_row(&rows, out, e);
}

static int null_in_history(struct sqlite *db, uint64_t bucket, struct str key, struct meta_row *out,
                           struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT " OLD_COLUMNS " WHERE bucket = ?1 AND key = ?2 AND is_null = 1",
                   SQL_NUMBER(bucket), SQL_BYTES(key)) < 0)
        return -1;
    return load_row(&rows, out, e);
}

static int number_in_history(struct sqlite *db, uint64_t bucket, const struct meta_name *name,
                             struct meta_row *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT " OLD_COLUMNS " WHERE bucket = ?1 AND key = ?2 AND ord = ?3",
                   SQL_NUMBER(bucket), SQL_BYTES(name->key), SQL_NUMBER(-name->version)) < 0)
        return -1;
    return load_row(&rows, out, e);
}

int meta_row_version(struct sqlite *db, uint64_t bucket, const struct meta_name *name,
                     struct meta_row *out, struct err *e) {
    bool by_null = name->version == META_NULL_VERSION;
    int r = meta_row_current(db, bucket, name->key, out, e);
    if (r < 0) return -1;
    if (r > 0 && (by_null ? out->is_null : out->seq == name->version)) return 1;
    return by_null ? null_in_history(db, bucket, name->key, out, e)
                   : number_in_history(db, bucket, name, out, e);
}

/* ---- locks ---- */

bool meta_is_locked(const struct meta_lock *lock, uint64_t now_ms, bool bypass) {
    if (lock->hold) return true;
    if (lock->mode == META_LOCK_NONE || lock->until_ms <= now_ms) return false;
    return lock->mode == META_LOCK_COMPLIANCE || !bypass;
}

static int refuse_locked(struct meta_txn *t, const struct meta_lock *lock) {
    return meta_refuse(t, META_LOCKED, ERR_DENIED,
                       "this version of an object in '%.*s' is kept by %s", STR_ARG(t->op->bucket),
                       lock->hold ? "a legal hold" : "its retention");
}

/* ---- removing ---- */

struct remains {
    struct meta_lock lock;
    uint64_t body;
};

/* Fails closed: a version whose detail cannot be read is not removed. */
static int read_remains(struct meta_txn *t, const struct meta_row *row, struct remains *out) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT lock_mode, lock_until, lock_hold, body FROM detail WHERE seq = ?1",
                   SQL_NUMBER(row->seq)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0)
        return err_set(t->e, ERR_CORRUPT, "the database '%s' misses the detail of version %llu",
                       t->m->path, (unsigned long long)row->seq);
    *out = (struct remains){
        {(enum meta_lock_mode)sqlite_number(&rows, 0), sqlite_number(&rows, 1),
         sqlite_number(&rows, 2) != 0},
        sqlite_number(&rows, 3),
    };
    return 0;
}

static int remove_detail(struct meta_txn *t, const struct meta_row *row) {
    struct remains remains = {.body = 0};
    bool bypass = t->op->verb == META_DELETE && t->op->remove.bypass_governance;
    if (row->is_marker) return 0;
    if (read_remains(t, row, &remains) < 0) return -1;
    if (meta_is_locked(&remains.lock, t->op->now_ms, bypass))
        return refuse_locked(t, &remains.lock);
    if (meta_body_drop(t, remains.body) < 0) return -1;
    return SQL_RUN(t->db, t->e, "DELETE FROM detail WHERE seq = ?1", SQL_NUMBER(row->seq));
}

int meta_version_remove(struct meta_txn *t, const struct meta_row *row) {
    if (remove_detail(t, row) < 0) return -1;
    t->usage.versions--;
    t->usage.bytes -= (int64_t)row->size_bytes;
    if (row->is_current) {
        t->usage.objects--;
        return SQL_RUN(t->db, t->e, "DELETE FROM current WHERE bucket = ?1 AND key = ?2",
                       SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key));
    }
    return SQL_RUN(t->db, t->e, "DELETE FROM history WHERE bucket = ?1 AND key = ?2 AND ord = ?3",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-row->seq));
}

/* ---- moving ---- */

static int current_to_history(struct meta_txn *t) {
    if (SQL_RUN(t->db, t->e,
                "INSERT INTO history SELECT bucket, key, -seq, is_null, 0, modified, ?3, size, md5,"
                " parts, class, sums, owner FROM current WHERE bucket = ?1 AND key = ?2",
                SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(t->op->now_ms)) < 0)
        return -1;
    t->usage.objects--;
    return SQL_RUN(t->db, t->e, "DELETE FROM current WHERE bucket = ?1 AND key = ?2",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key));
}

/* A delete marker that is the newest is no longer it. */
static int marker_is_superseded(struct meta_txn *t, const struct meta_row *cur) {
    struct meta_row newest;
    if (cur->seq || t->home.versioning == META_UNVERSIONED) return 0;
    int r = meta_row_newest_old(t->db, t->home.id, t->op->key, &newest, t->e);
    if (r <= 0) return r;
    return SQL_RUN(t->db, t->e,
                   "UPDATE history SET since = ?4 WHERE bucket = ?1 AND key = ?2 AND ord = ?3"
                   " AND since = 0",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-newest.seq),
                   SQL_NUMBER(t->op->now_ms));
}

static int remove_null(struct meta_txn *t, const struct meta_row *cur) {
    struct meta_row old;
    if (cur->seq && cur->is_null) return meta_version_remove(t, cur);
    if (t->home.versioning == META_UNVERSIONED) return 0; /* there is no history */
    int r = null_in_history(t->db, t->home.id, t->op->key, &old, t->e);
    return r <= 0 ? r : meta_version_remove(t, &old);
}

int meta_make_room(struct meta_txn *t, const struct meta_row *cur, bool *out_is_null) {
    bool is_null = t->home.versioning != META_ENABLED;
    if (is_null && remove_null(t, cur) < 0) return -1;
    *out_is_null = is_null;
    if (cur->seq && !(is_null && cur->is_null)) return current_to_history(t);
    return marker_is_superseded(t, cur);
}

int meta_promote(struct meta_txn *t) {
    struct meta_row newest;
    int r = meta_row_newest_old(t->db, t->home.id, t->op->key, &newest, t->e);
    if (r <= 0) return r;
    if (newest.is_marker)
        return SQL_RUN(t->db, t->e,
                       "UPDATE history SET since = 0 WHERE bucket = ?1 AND key = ?2 AND ord = ?3",
                       SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-newest.seq));
    if (SQL_RUN(t->db, t->e,
                "INSERT INTO current SELECT bucket, key, -ord, is_null, modified, size, md5, parts,"
                " class, sums, owner FROM history WHERE bucket = ?1 AND key = ?2 AND ord = ?3",
                SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-newest.seq)) < 0)
        return -1;
    t->usage.objects++;
    return SQL_RUN(t->db, t->e, "DELETE FROM history WHERE bucket = ?1 AND key = ?2 AND ord = ?3",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-newest.seq));
}

/* ---- adding ---- */

/* NULL instead of what is empty or the same as the bucket's owner: rows of lists stay narrow. */
static struct sqlite_value optional(struct str s) {
    return s.n ? SQL_BYTES(s) : (struct sqlite_value){.type = SQLITE_IS_NULL};
}

static int add_row(struct meta_txn *t, const struct meta_fresh *f) {
    const struct meta_row *r = &f->row;
    if (r->is_marker)
        return SQL_RUN(t->db, t->e,
                       "INSERT INTO history VALUES(?1, ?2, ?3, ?4, 1, ?5, 0, 0, x'', 0, 0, 0, ?6)",
                       SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(-r->seq),
                       SQL_NUMBER(r->is_null), SQL_NUMBER(r->modified_ms), optional(f->owner));
    t->usage.objects++;
    return SQL_RUN(t->db, t->e,
                   "INSERT INTO current VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(r->seq),
                   SQL_NUMBER(r->is_null), SQL_NUMBER(r->modified_ms), SQL_NUMBER(r->size_bytes),
                   SQL_BYTES(meta_etag_bytes(&r->etag)), SQL_NUMBER(r->etag.parts),
                   SQL_NUMBER(r->storage_class), SQL_NUMBER(r->checksum_kind), optional(f->owner));
}

static int add_detail(struct meta_txn *t, const struct meta_fresh *f) {
    const struct meta_attributes *a = f->attributes;
    return SQL_RUN(
        t->db, t->e, "INSERT INTO detail VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        SQL_NUMBER(f->row.seq), optional(a->headers), optional(f->checksums), optional(a->tags),
        optional(a->acl), optional(a->sse), SQL_NUMBER(a->lock.mode), SQL_NUMBER(a->lock.until_ms),
        SQL_NUMBER(a->lock.hold), SQL_NUMBER(f->body), optional(f->data));
}

int meta_version_add(struct meta_txn *t, const struct meta_fresh *f) {
    t->usage.versions++;
    t->usage.bytes += (int64_t)f->row.size_bytes;
    if (add_row(t, f) < 0) return -1;
    return f->row.is_marker ? 0 : add_detail(t, f);
}

/* ---- conditions ---- */

static bool etag_eq(const struct meta_etag *a, const struct meta_etag *b) {
    return a->parts == b->parts && memcmp(a->md5, b->md5, sizeof a->md5) == 0;
}

static bool holds(const struct meta_conditions *c, const struct meta_row *cur) {
    if (!cur->seq) return true;
    if (c->none_may_exist) return false;
    if (c->match && !etag_eq(c->match, &cur->etag)) return false;
    if (c->none_match && etag_eq(c->none_match, &cur->etag)) return false;
    /* Clients know whole seconds. */
    if (c->modified_ms && *c->modified_ms / 1000 != cur->modified_ms / 1000) return false;
    return !c->size_bytes || *c->size_bytes == cur->size_bytes;
}

int meta_conditions_check(struct meta_txn *t, const struct meta_conditions *c,
                          const struct meta_row *cur) {
    bool needs_one = c->one_must_exist || c->match || c->modified_ms || c->size_bytes;
    if (!cur->seq && needs_one)
        return meta_refuse(t, META_NO_KEY, ERR_NOT_FOUND,
                           "the condition needs an object in '%.*s' that is not there",
                           STR_ARG(t->op->bucket));
    if (holds(c, cur)) return 0;
    return meta_refuse(t, META_PRECONDITION, ERR_EXISTS,
                       "the object in '%.*s' is not in the state that the condition asks for",
                       STR_ARG(t->op->bucket));
}
