/* SPDX-License-Identifier: Apache-2.0 — meta_bucket.c: buckets, their settings, documents, usage.
 */
#include "s3gw/meta/meta_internal.h"

#define BUCKET_COLUMNS                                                                             \
    "b.name, b.owner, b.created, b.versioning, b.lock, b.quota_bytes, b.quota_objects, u.objects," \
    " u.versions, u.bytes, u.uploads, u.upload_bytes"
#define BUCKET_TABLES " FROM bucket b JOIN usage u ON u.bucket = b.id "

/* ---- the bucket of an op ---- */

static int no_bucket(struct meta_txn *t) {
    return meta_refuse(t, META_NO_BUCKET, ERR_NOT_FOUND, "there is no bucket '%.*s'",
                       STR_ARG(t->op->bucket));
}

int meta_home_find(struct meta_txn *t) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT id, versioning, lock, quota_bytes, quota_objects, owner FROM bucket"
                   " WHERE name = ?1",
                   SQL_BYTES(t->op->bucket)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0) return no_bucket(t);
    t->home = (struct meta_home){
        .id = sqlite_number(&rows, 0),
        .versioning = (enum meta_versioning)sqlite_number(&rows, 1),
        .lock_enabled = sqlite_number(&rows, 2) != 0,
        .quota_bytes = sqlite_number(&rows, 3),
        .quota_objects = sqlite_number(&rows, 4),
    };
    struct str owner = str_sub(sqlite_bytes(&rows, 5), 0, META_OWNER_BYTES_MAX);
    t->home.owner_bytes = owner.n;
    memcpy(t->home.owner, owner.p, owner.n);
    return 0;
}

int meta_usage_save(struct meta_txn *t) {
    const struct meta_usage *u = &t->usage;
    if (!u->objects && !u->versions && !u->bytes && !u->uploads && !u->upload_bytes) return 0;
    return SQL_RUN(t->db, t->e,
                   "UPDATE usage SET objects = objects + ?2, versions = versions + ?3,"
                   " bytes = bytes + ?4, uploads = uploads + ?5, upload_bytes = upload_bytes + ?6"
                   " WHERE bucket = ?1",
                   SQL_NUMBER(t->home.id), SQL_NUMBER(u->objects), SQL_NUMBER(u->versions),
                   SQL_NUMBER(u->bytes), SQL_NUMBER(u->uploads), SQL_NUMBER(u->upload_bytes));
}

static int over_quota(struct meta_txn *t, const char *what, uint64_t quota) {
    return meta_refuse(t, META_QUOTA, ERR_LIMIT, "the bucket '%.*s' has a quota of %llu %s",
                       STR_ARG(t->op->bucket), (unsigned long long)quota, what);
}

/* Only what grows is refused: replacing by something smaller goes on in a bucket that is over. */
int meta_quota_check(struct meta_txn *t) {
    const struct meta_home *h = &t->home;
    if (!h->quota_bytes && !h->quota_objects) return 0;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT bytes + upload_bytes, objects FROM usage WHERE bucket = ?1",
                   SQL_NUMBER(h->id)) < 0 ||
        sqlite_next(&rows, t->e) < 0)
        return -1;
    int64_t more = t->usage.bytes + t->usage.upload_bytes;
    if (h->quota_bytes && more > 0 && sqlite_number(&rows, 0) + (uint64_t)more > h->quota_bytes)
        return over_quota(t, "bytes", h->quota_bytes);
    if (h->quota_objects && t->usage.objects > 0 && sqlite_number(&rows, 1) >= h->quota_objects)
        return over_quota(t, "objects", h->quota_objects);
    return 0;
}

int meta_bucket_id(struct sqlite *db, struct str name, uint64_t *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT id FROM bucket WHERE name = ?1", SQL_BYTES(name)) < 0)
        return -1;
    int r = sqlite_next(&rows, e);
    if (r > 0) *out = sqlite_number(&rows, 0);
    return r;
}

/* ---- changes ---- */

static int check_lock(struct meta_txn *t, const struct meta_bucket_in *in) {
    if (!in->lock_enabled || in->versioning == META_ENABLED) return 0;
    return meta_refuse(t, META_INVALID, ERR_INVALID,
                       "object lock in the bucket '%.*s' needs versioning to be enabled",
                       STR_ARG(t->op->bucket));
}

static int refuse_twin(struct meta_txn *t) {
    t->op->is_own = t->home.owner_bytes == t->op->create.owner.n &&
                    str_eq(str_make(t->home.owner, t->home.owner_bytes), t->op->create.owner);
    return meta_refuse(t, META_BUCKET_EXISTS, ERR_EXISTS, "the bucket '%.*s' exists already",
                       STR_ARG(t->op->bucket));
}

int meta_bucket_create(struct meta_txn *t) {
    const struct meta_bucket_in *in = &t->op->create;
    if (check_lock(t, in) < 0) return -1;
    if (meta_home_find(t) == 0) return refuse_twin(t);
    if (t->op->why != META_NO_BUCKET) return -1;
    t->op->why = META_OK;
    uint64_t id = meta_number(t);
    if (SQL_RUN(t->db, t->e, "INSERT INTO bucket VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                SQL_NUMBER(id), SQL_BYTES(t->op->bucket), SQL_BYTES(in->owner),
                SQL_NUMBER(t->op->now_ms), SQL_NUMBER(in->versioning), SQL_NUMBER(in->lock_enabled),
                SQL_NUMBER(in->quota_bytes), SQL_NUMBER(in->quota_objects)) < 0)
        return -1;
    return SQL_RUN(t->db, t->e, "INSERT INTO usage VALUES(?1, 0, 0, 0, 0, 0)", SQL_NUMBER(id));
}

int meta_bucket_delete(struct meta_txn *t) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    uint64_t id = t->home.id;
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT versions + uploads FROM usage WHERE bucket = ?1",
                   SQL_NUMBER(id)) < 0 ||
        sqlite_next(&rows, t->e) < 0)
        return -1;
    uint64_t left = sqlite_number(&rows, 0);
    sqlite_rows_done(&rows);
    if (left > 0)
        return meta_refuse(t, META_BUCKET_NOT_EMPTY, ERR_BUSY,
                           "the bucket '%.*s' holds %llu versions and uploads",
                           STR_ARG(t->op->bucket), (unsigned long long)left);
    if (SQL_RUN(t->db, t->e, "DELETE FROM document WHERE bucket = ?1", SQL_NUMBER(id)) < 0 ||
        SQL_RUN(t->db, t->e, "DELETE FROM usage WHERE bucket = ?1", SQL_NUMBER(id)) < 0)
        return -1;
    return SQL_RUN(t->db, t->e, "DELETE FROM bucket WHERE id = ?1", SQL_NUMBER(id));
}

static int refuse_setting(struct meta_txn *t, const char *why) {
    return meta_refuse(t, META_INVALID, ERR_INVALID, "the bucket '%.*s' %s", STR_ARG(t->op->bucket),
                       why);
}

int meta_bucket_set(struct meta_txn *t) {
    const struct meta_bucket_in *in = &t->op->settings;
    struct meta_home *h = &t->home;
    struct str owner = str_make(h->owner, h->owner_bytes);
    if (in->which & META_SET_VERSIONING) {
        if (in->versioning == META_UNVERSIONED && h->versioning != META_UNVERSIONED)
            return refuse_setting(t, "cannot be unversioned again, only suspended");
        h->versioning = in->versioning;
    }
    if (in->which & META_SET_LOCK) {
        if (h->lock_enabled && !in->lock_enabled)
            return refuse_setting(t, "cannot lose its object lock");
        h->lock_enabled = in->lock_enabled;
    }
    if (h->lock_enabled && h->versioning != META_ENABLED)
        return refuse_setting(t, "has object lock, which needs versioning to be enabled");
    if (in->which & META_SET_QUOTA) {
        h->quota_bytes = in->quota_bytes;
        h->quota_objects = in->quota_objects;
    }
    if (in->which & META_SET_OWNER) owner = in->owner;
    return SQL_RUN(t->db, t->e,
                   "UPDATE bucket SET versioning = ?2, lock = ?3, quota_bytes = ?4,"
                   " quota_objects = ?5, owner = ?6 WHERE id = ?1",
                   SQL_NUMBER(h->id), SQL_NUMBER(h->versioning), SQL_NUMBER(h->lock_enabled),
                   SQL_NUMBER(h->quota_bytes), SQL_NUMBER(h->quota_objects), SQL_BYTES(owner));
}

int meta_document_set(struct meta_txn *t) {
    const struct meta_document_in *in = &t->op->document;
    if (!in->bytes.p) {
        if (SQL_RUN(t->db, t->e, "DELETE FROM document WHERE bucket = ?1 AND kind = ?2",
                    SQL_NUMBER(t->home.id), SQL_NUMBER(in->kind)) < 0)
            return -1;
        t->op->was_found = sqlite_changes(t->db) > 0;
        return 0;
    }
    return SQL_RUN(t->db, t->e,
                   "INSERT INTO document VALUES(?1, ?2, ?3)"
                   " ON CONFLICT DO UPDATE SET bytes = excluded.bytes",
                   SQL_NUMBER(t->home.id), SQL_NUMBER(in->kind), SQL_BYTES(in->bytes));
}

/* ---- reads ---- */

static int load(struct meta_read *r, const struct sqlite_rows *rows, struct meta_bucket *out,
                struct err *e) {
    *out = (struct meta_bucket){
        .created_ms = sqlite_number(rows, 2),
        .versioning = (enum meta_versioning)sqlite_number(rows, 3),
        .lock_enabled = sqlite_number(rows, 4) != 0,
        .quota_bytes = sqlite_number(rows, 5),
        .quota_objects = sqlite_number(rows, 6),
        .objects = sqlite_number(rows, 7),
        .versions = sqlite_number(rows, 8),
        .bytes = sqlite_number(rows, 9),
        .uploads = sqlite_number(rows, 10),
        .upload_bytes = sqlite_number(rows, 11),
    };
    if (meta_keep(r, sqlite_bytes(rows, 0), &out->name, e) < 0) return -1;
    return meta_keep(r, sqlite_bytes(rows, 1), &out->owner, e);
}

struct one {
    struct str name;
    struct meta_bucket *out;
};

static int read_one(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    const struct one *one = arg;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT " BUCKET_COLUMNS BUCKET_TABLES "WHERE b.name = ?1",
                   SQL_BYTES(one->name)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n > 0) return load(r, &rows, one->out, e);
    (void)err_set(e, ERR_NOT_FOUND, "there is no bucket '%.*s'", STR_ARG(one->name));
    return meta_read_refuse(r, META_NO_BUCKET, e);
}

int meta_bucket(struct meta_read *r, struct str name, struct meta_bucket *out, struct err *e) {
    struct one one = {name, out};
    return meta_read_run(r, read_one, &one, e);
}

struct many {
    const struct meta_buckets_query *q;
    struct meta_buckets *out;
};

static int read_many(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    const struct many *many = arg;
    const struct meta_buckets_query *q = many->q;
    uint32_t max = q->max < META_PAGE_MAX ? q->max : META_PAGE_MAX;
    struct meta_buckets found = {meta_array(r, max, sizeof *found.p, e), 0, false};
    if (!found.p) return -1;
    struct str from = str_cmp(q->after, q->prefix) > 0 ? q->after : q->prefix;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT " BUCKET_COLUMNS BUCKET_TABLES
                   "WHERE b.name >= ?1 AND b.name > ?2 AND (?3 = x'' OR b.owner = ?3)"
                   " ORDER BY b.name",
                   SQL_BYTES(from), SQL_BYTES(q->after), SQL_BYTES(q->owner)) < 0)
        return -1;
    int n;
    while ((n = sqlite_next(&rows, e)) > 0) {
        if (!str_starts(sqlite_bytes(&rows, 0), q->prefix)) break;
        found.truncated = found.count == max && max > 0;
        if (found.count == max) break;
        if (load(r, &rows, &found.p[found.count++], e) < 0) return -1;
    }
    if (n < 0) return -1;
    *many->out = found;
    return 0;
}

int meta_buckets(struct meta_read *r, const struct meta_buckets_query *q, struct meta_buckets *out,
                 struct err *e) {
    struct many many = {q, out};
    return meta_read_run(r, read_many, &many, e);
}

struct document {
    struct str bucket;
    uint32_t kind;
    struct str *out;
};

static int read_document(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    const struct document *d = arg;
    uint64_t bucket;
    if (meta_read_bucket(r, db, d->bucket, &bucket, e) < 0) return -1;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT bytes FROM document WHERE bucket = ?1 AND kind = ?2",
                   SQL_NUMBER(bucket), SQL_NUMBER(d->kind)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n > 0) return meta_keep(r, sqlite_bytes(&rows, 0), d->out, e);
    (void)err_set(e, ERR_NOT_FOUND, "the bucket '%.*s' has no such configuration",
                  STR_ARG(d->bucket));
    return meta_read_refuse(r, META_NO_DOCUMENT, e);
}

int meta_document(struct meta_read *r, struct str bucket, uint32_t kind, struct str *out,
                  struct err *e) {
    struct document d = {bucket, kind, out};
    return meta_read_run(r, read_document, &d, e);
}
