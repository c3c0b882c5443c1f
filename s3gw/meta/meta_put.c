/* SPDX-License-Identifier: Apache-2.0 — meta_put.c: putting, copying, deleting, changing. */
#include "s3gw/meta/meta_internal.h"

/* ---- put and copy ---- */

/* What a copy takes over. data is owned. */
struct origin {
    uint64_t size_bytes, body;
    struct buf data;
};

static void origin_done(struct origin *o) { buf_done(&o->data); }

static int refuse_source(struct meta_txn *t, const struct meta_source *s) {
    return meta_refuse(t, s->version == META_LATEST ? META_NO_KEY : META_NO_VERSION, ERR_NOT_FOUND,
                       "the object of '%.*s' that is to be copied is not there",
                       STR_ARG(str_sub(s->bucket, 0, META_BUCKET_BYTES_MAX)));
}

static int find_source(struct meta_txn *t, const struct meta_source *s, struct meta_row *row) {
    uint64_t bucket;
    const struct meta_name name = {s->bucket, s->key, s->version};
    int r = meta_bucket_id(t->db, s->bucket, &bucket, t->e);
    if (r < 0) return -1;
    if (r == 0)
        return meta_refuse(t, META_NO_BUCKET, ERR_NOT_FOUND, "there is no bucket '%.*s'",
                           STR_ARG(str_sub(s->bucket, 0, META_BUCKET_BYTES_MAX)));
    r = s->version == META_LATEST ? meta_row_current(t->db, bucket, s->key, row, t->e)
                                  : meta_row_version(t->db, bucket, &name, row, t->e);
    if (r < 0) return -1;
    if (r == 0 || row->is_marker) return refuse_source(t, s);
    const struct meta_conditions same = {.match = s->match};
    return meta_conditions_check(t, &same, row);
}

/* Before the target's present version goes: an object may be copied onto itself. */
static int take_source(struct meta_txn *t, const struct meta_source *s, struct origin *out) {
    struct meta_row row;
    if (find_source(t, s, &row) < 0) return -1;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT body, data FROM detail WHERE seq = ?1",
                   SQL_NUMBER(row.seq)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0 || buf_str(&out->data, sqlite_bytes(&rows, 1)) < 0)
        return err_set(t->e, ERR_CORRUPT, "the database '%s' has no sound detail of version %llu",
                       t->m->path, (unsigned long long)row.seq);
    out->size_bytes = row.size_bytes;
    out->body = sqlite_number(&rows, 0);
    sqlite_rows_done(&rows);
    return out->body ? meta_body_share(t, out->body) : 0;
}

static int take_bytes(struct meta_txn *t, const struct meta_put_in *in, struct origin *out) {
    if (in->source.bucket.n > 0) return take_source(t, &in->source, out);
    out->size_bytes = in->size_bytes;
    return in->chunks.count > 0 ? meta_body_make(t, in->chunks, &out->body) : 0;
}

static bool is_own(const struct meta_txn *t, struct str owner) {
    return str_eq(owner, str_make(t->home.owner, t->home.owner_bytes));
}

static void answer(struct meta_op *op, const struct meta_row *row) {
    op->new_version = row->seq;
    op->is_null = row->is_null;
    op->is_marker = row->is_marker;
    op->size_bytes = row->size_bytes;
    op->modified_ms = row->modified_ms;
    op->etag = row->etag;
}

int meta_put(struct meta_txn *t) {
    const struct meta_put_in *in = &t->op->put;
    struct meta_row cur;
    if (meta_row_current(t->db, t->home.id, t->op->key, &cur, t->e) < 0 ||
        meta_conditions_check(t, &in->conditions, &cur) < 0)
        return -1;
    AUTO(origin_done) struct origin origin = {.data = BUF(META_INLINE_BYTES_MAX)};
    if (take_bytes(t, in, &origin) < 0) return -1;
    struct meta_fresh f = {
        .row = {.seq = meta_number(t),
                .storage_class = in->attributes.storage_class,
                .checksum_kind = in->attributes.checksum_kind,
                .modified_ms = t->op->now_ms,
                .size_bytes = origin.size_bytes,
                .etag = in->etag},
        .owner = is_own(t, in->attributes.owner) ? STR_NONE : in->attributes.owner,
        .attributes = &in->attributes,
        .checksums = in->attributes.checksums,
        .body = origin.body,
        .data = in->source.bucket.n > 0 ? buf_view(&origin.data) : in->data,
    };
    if (meta_make_room(t, &cur, &f.row.is_null) < 0 || meta_version_add(t, &f) < 0 ||
        meta_quota_check(t) < 0)
        return -1;
    answer(t->op, &f.row);
    return 0;
}

/* ---- delete ---- */

static int add_marker(struct meta_txn *t, const struct meta_row *cur) {
    struct meta_fresh f = {
        .row = {.seq = meta_number(t), .is_marker = true, .modified_ms = t->op->now_ms}};
    if (meta_make_room(t, cur, &f.row.is_null) < 0 || meta_version_add(t, &f) < 0) return -1;
    answer(t->op, &f.row);
    return 0;
}

static int delete_newest(struct meta_txn *t) {
    struct meta_row cur;
    if (meta_row_current(t->db, t->home.id, t->op->key, &cur, t->e) < 0 ||
        meta_conditions_check(t, &t->op->remove.conditions, &cur) < 0)
        return -1;
    t->op->was_found = cur.seq != 0;
    if (t->home.versioning != META_UNVERSIONED) return add_marker(t, &cur);
    return cur.seq ? meta_version_remove(t, &cur) : 0;
}

static int delete_version(struct meta_txn *t) {
    struct meta_row row, cur;
    const struct meta_name name = {t->op->bucket, t->op->key, t->op->version};
    int r = meta_row_version(t->db, t->home.id, &name, &row, t->e);
    if (r <= 0) return r;
    if (meta_version_remove(t, &row) < 0) return -1;
    t->op->was_found = true;
    answer(t->op, &row);
    r = meta_row_current(t->db, t->home.id, t->op->key, &cur, t->e);
    if (r < 0) return -1;
    return r > 0 ? 0 : meta_promote(t);
}

int meta_delete(struct meta_txn *t) {
    return t->op->version == META_LATEST ? delete_newest(t) : delete_version(t);
}

/* ---- changes of a version ---- */

static int refuse_missing(struct meta_txn *t) {
    return meta_refuse(t, t->op->version == META_LATEST ? META_NO_KEY : META_NO_VERSION,
                       ERR_NOT_FOUND, "there is no such object or version in '%.*s'",
                       STR_ARG(t->op->bucket));
}

static int find_target(struct meta_txn *t, struct meta_row *row) {
    const struct meta_name name = {t->op->bucket, t->op->key, t->op->version};
    int r = name.version == META_LATEST ? meta_row_current(t->db, t->home.id, name.key, row, t->e)
                                        : meta_row_version(t->db, t->home.id, &name, row, t->e);
    if (r < 0) return -1;
    t->op->is_marker = r > 0 && row->is_marker;
    return r == 0 || row->is_marker ? refuse_missing(t) : 0;
}

static int read_lock(struct meta_txn *t, uint64_t seq, struct meta_lock *out) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT lock_mode, lock_until, lock_hold FROM detail WHERE seq = ?1",
                   SQL_NUMBER(seq)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0)
        return err_set(t->e, ERR_CORRUPT, "the database '%s' misses the detail of version %llu",
                       t->m->path, (unsigned long long)seq);
    *out = (struct meta_lock){(enum meta_lock_mode)sqlite_number(&rows, 0), sqlite_number(&rows, 1),
                              sqlite_number(&rows, 2) != 0};
    return 0;
}

/* What is in force may be made longer and stricter by everybody; anything else is a removal. */
static bool weakens(const struct meta_lock *now, const struct meta_lock *wanted) {
    return wanted->until_ms < now->until_ms || wanted->mode < now->mode;
}

static int set_lock(struct meta_txn *t, uint64_t seq) {
    const struct meta_update_in *in = &t->op->update;
    struct meta_lock lock = {META_LOCK_NONE, 0, false};
    if (!t->home.lock_enabled)
        return meta_refuse(t, META_INVALID, ERR_INVALID, "the bucket '%.*s' has no object lock",
                           STR_ARG(t->op->bucket));
    if (read_lock(t, seq, &lock) < 0) return -1;
    if (in->which & META_SET_RETENTION) {
        const struct meta_lock retention = {lock.mode, lock.until_ms, false};
        if (meta_is_locked(&retention, t->op->now_ms, in->bypass_governance) &&
            weakens(&lock, &in->lock))
            return meta_refuse(t, META_LOCKED, ERR_DENIED,
                               "a retention in '%.*s' may only be made longer",
                               STR_ARG(t->op->bucket));
        lock.mode = in->lock.mode;
        lock.until_ms = in->lock.until_ms;
    }
    if (in->which & META_SET_HOLD) lock.hold = in->lock.hold;
    return SQL_RUN(t->db, t->e,
                   "UPDATE detail SET lock_mode = ?2, lock_until = ?3, lock_hold = ?4"
                   " WHERE seq = ?1",
                   SQL_NUMBER(seq), SQL_NUMBER(lock.mode), SQL_NUMBER(lock.until_ms),
                   SQL_NUMBER(lock.hold));
}

int meta_update(struct meta_txn *t) {
    const struct meta_update_in *in = &t->op->update;
    struct meta_row row;
    if (find_target(t, &row) < 0) return -1;
    if ((in->which & META_SET_TAGS) &&
        SQL_RUN(t->db, t->e, "UPDATE detail SET tags = ?2 WHERE seq = ?1", SQL_NUMBER(row.seq),
                SQL_BYTES(in->tags)) < 0)
        return -1;
    if ((in->which & META_SET_ACL) &&
        SQL_RUN(t->db, t->e, "UPDATE detail SET acl = ?2 WHERE seq = ?1", SQL_NUMBER(row.seq),
                SQL_BYTES(in->acl)) < 0)
        return -1;
    if ((in->which & (META_SET_RETENTION | META_SET_HOLD)) && set_lock(t, row.seq) < 0) return -1;
    answer(t->op, &row);
    return 0;
}
