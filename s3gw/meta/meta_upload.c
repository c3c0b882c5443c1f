/* SPDX-License-Identifier: Apache-2.0 — meta_upload.c: multipart uploads.
 *
 * An upload has a number; its parts are rows under that number, from the first byte to the day when
 * the object is reclaimed. Completing writes one body (with the upload's number, and a list of
 * numbers and sizes) and one version, and calls the parts that were left out garbage: the rows of
 * the others are not touched. Aborting, and deleting the object later, write one row of garbage
 * that stands for all parts.
 *
 * A completion that is said again, because its answer was lost, finds no upload but an object whose
 * body has the upload's number, and is answered as the first time. */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_internal.h"

static int refuse_upload(struct meta_txn *t) {
    return meta_refuse(t, META_NO_UPLOAD, ERR_NOT_FOUND,
                       "there is no such upload in '%.*s': it was completed, aborted, or never was",
                       STR_ARG(t->op->bucket));
}

/* 1: there, 0: not, -1. */
static int upload_exists(struct meta_txn *t, uint64_t upload) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT 1 FROM upload WHERE bucket = ?1 AND key = ?2 AND id = ?3",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(upload)) < 0)
        return -1;
    return sqlite_next(&rows, t->e);
}

int meta_upload_begin(struct meta_txn *t) {
    const struct meta_attributes *a = &t->op->begin.attributes;
    uint64_t id = meta_number(t);
    if (SQL_RUN(t->db, t->e,
                "INSERT INTO upload VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
                " ?14, ?15, ?16)",
                SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(id),
                SQL_NUMBER(t->op->now_ms), SQL_BYTES(a->owner), SQL_BYTES(t->op->begin.initiator),
                SQL_NUMBER(a->storage_class), SQL_NUMBER(a->checksum_kind), SQL_BYTES(a->headers),
                SQL_BYTES(a->checksums), SQL_BYTES(a->tags), SQL_BYTES(a->acl), SQL_BYTES(a->sse),
                SQL_NUMBER(a->lock.mode), SQL_NUMBER(a->lock.until_ms),
                SQL_NUMBER(a->lock.hold)) < 0)
        return -1;
    t->usage.uploads++;
    t->op->upload = id;
    return 0;
}

/* ---- parts ---- */

/* One part's chunks become garbage under a number of their own; its row goes. */
static int drop_part(struct meta_txn *t, uint64_t upload, uint32_t number) {
    if (SQL_RUN(t->db, t->e,
                "INSERT INTO garbage SELECT ?3, ?4, 0, list FROM part"
                " WHERE upload = ?1 AND number = ?2 AND list <> x''",
                SQL_NUMBER(upload), SQL_NUMBER(number), SQL_NUMBER(meta_number(t)),
                SQL_NUMBER(t->op->now_ms)) < 0)
        return -1;
    return SQL_RUN(t->db, t->e, "DELETE FROM part WHERE upload = ?1 AND number = ?2",
                   SQL_NUMBER(upload), SQL_NUMBER(number));
}

static int replace_part(struct meta_txn *t, const struct meta_part_in *in) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT size FROM part WHERE upload = ?1 AND number = ?2",
                   SQL_NUMBER(in->upload), SQL_NUMBER(in->number)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r <= 0) return r;
    t->usage.upload_bytes -= (int64_t)sqlite_number(&rows, 0);
    sqlite_rows_done(&rows);
    return drop_part(t, in->upload, in->number);
}

int meta_part_put(struct meta_txn *t) {
    const struct meta_part_in *in = &t->op->part_put;
    int r = upload_exists(t, in->upload);
    if (r < 0) return -1;
    if (r == 0) return refuse_upload(t);
    if (replace_part(t, in) < 0 || meta_intent_end(t, in->chunks) < 0) return -1;
    t->usage.upload_bytes += (int64_t)in->size_bytes;
    if (meta_quota_check(t) < 0) return -1;
    AUTO(buf_done) struct buf list = BUF(CHUNK_LIST_BYTES_MAX);
    if (chunk_list_encode(in->chunks, &list) < 0)
        return meta_refuse(t, META_INVALID, ERR_LIMIT, "a part has too many chunks");
    t->op->etag = in->etag;
    t->op->size_bytes = in->size_bytes;
    t->op->modified_ms = t->op->now_ms;
    return SQL_RUN(t->db, t->e, "INSERT INTO part VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   SQL_NUMBER(in->upload), SQL_NUMBER(in->number), SQL_NUMBER(t->op->now_ms),
                   SQL_NUMBER(in->size_bytes), SQL_BYTES(meta_etag_bytes(&in->etag)),
                   SQL_BYTES(in->checksums), SQL_BYTES(in->sse), SQL_BYTES(buf_view(&list)));
}

/* ---- completion ---- */

struct completion {
    struct buf list;       /* of the chosen parts */
    uint64_t size_bytes;   /* of the chosen */
    uint64_t stored_bytes; /* of all */
    struct buf left_out;   /* uint32_t numbers */
};

static void completion_done(struct completion *c) {
    buf_done(&c->list);
    buf_done(&c->left_out);
}

static int refuse_part(struct meta_txn *t, enum meta_why why, uint32_t number) {
    t->op->part = number;
    const char *text = why == META_PART_ORDER   ? "is not behind the one before it in the list"
                       : why == META_PART_SMALL ? "is too small for one that is not the last"
                                                : "is not there, or is not what the list says";
    return meta_refuse(t, why, ERR_INVALID, "part %u %s", number, text);
}

static int check_order(struct meta_txn *t) {
    const struct meta_complete_in *in = &t->op->complete;
    for (size_t i = 0; i < in->parts_count; i++) {
        uint32_t number = in->parts[i].number;
        if (number < 1 || number > META_PARTS_MAX) return refuse_part(t, META_PART_INVALID, number);
        if (i > 0 && number <= in->parts[i - 1].number)
            return refuse_part(t, META_PART_ORDER, number);
    }
    return 0;
}

/* Columns: number, size, md5, 0, checksums. */
static bool matches(const struct sqlite_rows *rows, const struct meta_part_named *named) {
    struct meta_etag etag = meta_etag_of(rows, 2);
    if (memcmp(etag.md5, named->etag.md5, sizeof etag.md5) != 0 || named->etag.parts != 0)
        return false;
    return !named->checksums.p || str_eq(named->checksums, sqlite_bytes(rows, 4));
}

static int choose(struct meta_txn *t, struct completion *c, const struct sqlite_rows *rows,
                  size_t at) {
    const struct meta_complete_in *in = &t->op->complete;
    uint32_t number = in->parts[at].number, before = at ? in->parts[at - 1].number : 0;
    uint64_t size = sqlite_number(rows, 1);
    if (!matches(rows, &in->parts[at])) return refuse_part(t, META_PART_INVALID, number);
    if (at + 1 < in->parts_count && size < in->part_bytes_min)
        return refuse_part(t, META_PART_SMALL, number);
    c->size_bytes += size;
    if (part_list_add(&c->list, before, number, size) == 0) return 0;
    return meta_refuse(t, META_INVALID, ERR_LIMIT, "the list of parts is too long");
}

/* The parts there are and those that are named are walked side by side, both ascending. */
static int choose_parts(struct meta_txn *t, struct completion *c) {
    const struct meta_complete_in *in = &t->op->complete;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT number, size, md5, 0, checksums FROM part WHERE upload = ?1"
                   " ORDER BY number",
                   SQL_NUMBER(in->upload)) < 0)
        return -1;
    size_t at = 0;
    int r;
    while ((r = sqlite_next(&rows, t->e)) > 0) {
        uint32_t number = (uint32_t)sqlite_number(&rows, 0);
        c->stored_bytes += sqlite_number(&rows, 1);
        if (at < in->parts_count && in->parts[at].number < number) break;
        if (at < in->parts_count && in->parts[at].number == number) {
            if (choose(t, c, &rows, at++) < 0) return -1;
        } else if (buf_append(&c->left_out, &number, sizeof number) < 0) {
            return meta_refuse(t, META_INVALID, ERR_LIMIT, "the upload has too many parts");
        }
    }
    if (r < 0) return -1;
    return at < in->parts_count ? refuse_part(t, META_PART_INVALID, in->parts[at].number) : 0;
}

static int drop_left_out(struct meta_txn *t, const struct completion *c) {
    for (size_t at = 0; at < c->left_out.n; at += sizeof(uint32_t)) {
        uint32_t number;
        memcpy(&number, c->left_out.p + at, sizeof number);
        if (drop_part(t, t->op->complete.upload, number) < 0) return -1;
    }
    return 0;
}

static void load_attributes(const struct sqlite_rows *rows, int column,
                            struct meta_attributes *out) {
    *out = (struct meta_attributes){
        .owner = sqlite_bytes(rows, column),
        .storage_class = (uint8_t)sqlite_number(rows, column + 1),
        .checksum_kind = (uint8_t)sqlite_number(rows, column + 2),
        .headers = sqlite_bytes(rows, column + 3),
        .checksums = sqlite_bytes(rows, column + 4),
        .tags = sqlite_bytes(rows, column + 5),
        .acl = sqlite_bytes(rows, column + 6),
        .sse = sqlite_bytes(rows, column + 7),
        .lock = {(enum meta_lock_mode)sqlite_number(rows, column + 8),
                 sqlite_number(rows, column + 9), sqlite_number(rows, column + 10) != 0},
    };
}
#define ATTRIBUTES                                                                                 \
    "owner, class, sums, headers, checksums, tags, acl, sse, lock_mode, lock_until, lock_hold"

/* The upload's row is read until the version is written: its bytes are borrowed. */
static int add_object(struct meta_txn *t, const struct completion *c, const struct meta_row *cur) {
    const struct meta_complete_in *in = &t->op->complete;
    struct meta_attributes a;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT " ATTRIBUTES " FROM upload WHERE bucket = ?1 AND key = ?2 AND id = ?3",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(in->upload)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0) return refuse_upload(t);
    load_attributes(&rows, 0, &a);
    struct meta_fresh f = {
        .row = {.seq = meta_number(t),
                .storage_class = a.storage_class,
                .checksum_kind = in->checksums.p ? in->checksum_kind : a.checksum_kind,
                .modified_ms = t->op->now_ms,
                .size_bytes = c->size_bytes,
                .etag = in->etag},
        .owner = str_eq(a.owner, str_make(t->home.owner, t->home.owner_bytes)) ? STR_NONE : a.owner,
        .attributes = &a,
        .checksums = in->checksums.p ? in->checksums : a.checksums,
        .body = in->upload,
    };
    if (meta_make_room(t, cur, &f.row.is_null) < 0 || meta_version_add(t, &f) < 0) return -1;
    t->op->new_version = f.row.seq;
    t->op->is_null = f.row.is_null;
    t->op->size_bytes = c->size_bytes;
    t->op->modified_ms = t->op->now_ms;
    t->op->etag = in->etag;
    return 0;
}

static int end_upload(struct meta_txn *t, uint64_t upload, uint64_t stored_bytes) {
    t->usage.uploads--;
    t->usage.upload_bytes -= (int64_t)stored_bytes;
    return SQL_RUN(t->db, t->e, "DELETE FROM upload WHERE bucket = ?1 AND key = ?2 AND id = ?3",
                   SQL_NUMBER(t->home.id), SQL_BYTES(t->op->key), SQL_NUMBER(upload));
}

static int said_again(struct meta_txn *t, const struct meta_row *cur) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (!cur->seq) return refuse_upload(t);
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT 1 FROM detail WHERE seq = ?1 AND body = ?2",
                   SQL_NUMBER(cur->seq), SQL_NUMBER(t->op->complete.upload)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0) return refuse_upload(t);
    t->op->new_version = cur->seq;
    t->op->is_null = cur->is_null;
    t->op->size_bytes = cur->size_bytes;
    t->op->modified_ms = cur->modified_ms;
    t->op->etag = cur->etag;
    return 0;
}

static int complete(struct meta_txn *t, struct completion *c, const struct meta_row *cur) {
    const struct meta_complete_in *in = &t->op->complete;
    if (check_order(t) < 0 || choose_parts(t, c) < 0) return -1;
    if (in->size_announced && *in->size_announced != c->size_bytes)
        return meta_refuse(
            t, META_WRONG_SIZE, ERR_INVALID, "the parts have %llu bytes, %llu were announced",
            (unsigned long long)c->size_bytes, (unsigned long long)*in->size_announced);
    if (drop_left_out(t, c) < 0) return -1;
    if (SQL_RUN(t->db, t->e, "INSERT INTO body VALUES(?1, 1, ?2, ?3)", SQL_NUMBER(in->upload),
                SQL_NUMBER(META_FORM_PARTS), SQL_BYTES(buf_view(&c->list))) < 0)
        return -1;
    if (add_object(t, c, cur) < 0 || end_upload(t, in->upload, c->stored_bytes) < 0) return -1;
    return meta_quota_check(t);
}

int meta_upload_complete(struct meta_txn *t) {
    const struct meta_complete_in *in = &t->op->complete;
    struct meta_row cur;
    if (meta_row_current(t->db, t->home.id, t->op->key, &cur, t->e) < 0) return -1;
    int r = upload_exists(t, in->upload);
    if (r < 0) return -1;
    if (r == 0) return said_again(t, &cur);
    if (meta_conditions_check(t, &in->conditions, &cur) < 0) return -1;
    AUTO(completion_done)
    struct completion c = {.list = BUF(PART_LIST_BYTES_MAX),
                           .left_out = BUF(META_PARTS_MAX * sizeof(uint32_t))};
    return complete(t, &c, &cur);
}

/* ---- abort ---- */

static int sum_parts(struct meta_txn *t, uint64_t upload, uint64_t *out_count, uint64_t *out_sum) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e,
                   "SELECT count(*), COALESCE(sum(size), 0) FROM part WHERE upload = ?1",
                   SQL_NUMBER(upload)) < 0 ||
        sqlite_next(&rows, t->e) < 0)
        return -1;
    *out_count = sqlite_number(&rows, 0);
    *out_sum = sqlite_number(&rows, 1);
    return 0;
}

int meta_upload_abort(struct meta_txn *t) {
    uint64_t upload = t->op->abort, count, sum;
    int r = upload_exists(t, upload);
    if (r < 0) return -1;
    if (r == 0) return refuse_upload(t);
    t->op->was_found = true;
    if (sum_parts(t, upload, &count, &sum) < 0) return -1;
    if (count > 0 && meta_garbage_add(t, upload, META_FORM_PARTS, STR("")) < 0) return -1;
    return end_upload(t, upload, sum);
}

/* ---- reads ---- */

struct one {
    const struct meta_name *name;
    struct meta_upload *out;
};

static int keep_attributes(struct meta_read *r, struct meta_attributes *a, struct err *e) {
    struct str *texts[] = {&a->owner, &a->headers, &a->checksums, &a->tags, &a->acl, &a->sse};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (meta_keep(r, *texts[i], texts[i], e) < 0) return -1;
    return 0;
}

static int read_upload(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    const struct one *one = arg;
    uint64_t bucket;
    if (meta_read_bucket(r, db, one->name->bucket, &bucket, e) < 0) return -1;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT " ATTRIBUTES ", initiator, created FROM upload"
                   " WHERE bucket = ?1 AND key = ?2 AND id = ?3",
                   SQL_NUMBER(bucket), SQL_BYTES(one->name->key),
                   SQL_NUMBER(one->name->version)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n == 0) {
        (void)err_set(e, ERR_NOT_FOUND, "there is no such upload in '%.*s'",
                      STR_ARG(one->name->bucket));
        return meta_read_refuse(r, META_NO_UPLOAD, e);
    }
    struct meta_upload found = {.created_ms = sqlite_number(&rows, 12)};
    load_attributes(&rows, 0, &found.attributes);
    if (keep_attributes(r, &found.attributes, e) < 0 ||
        meta_keep(r, sqlite_bytes(&rows, 11), &found.initiator, e) < 0)
        return -1;
    *one->out = found;
    return 0;
}

int meta_upload(struct meta_read *r, const struct meta_name *name, struct meta_upload *out,
                struct err *e) {
    struct one one = {name, out};
    return meta_read_run(r, read_upload, &one, e);
}
