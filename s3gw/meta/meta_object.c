/* SPDX-License-Identifier: Apache-2.0 — meta_object.c: reading one object, its chunks, its parts.
 */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_internal.h"

static int corrupt(const struct meta_read *r, const char *what, uint64_t id, struct err *e) {
    return err_set(e, ERR_CORRUPT, "the database '%s' has no sound %s %llu", r->m->path, what,
                   (unsigned long long)id);
}

/* ---- objects ---- */

struct lookup {
    const struct meta_name *name;
    struct meta_object *out;
    uint64_t bucket;
};

static int load_detail(struct meta_read *r, const struct sqlite_rows *rows, struct meta_object *o,
                       struct err *e) {
    struct meta_attributes *a = &o->attributes;
    struct str *texts[] = {&a->headers, &a->checksums, &a->tags, &a->acl, &a->sse, &o->data};
    for (int i = 0; i < (int)COUNT(texts); i++)
        if (meta_keep(r, sqlite_bytes(rows, i), texts[i], e) < 0) return -1;
    a->lock = (struct meta_lock){(enum meta_lock_mode)sqlite_number(rows, 6),
                                 sqlite_number(rows, 7), sqlite_number(rows, 8) != 0};
    o->body = sqlite_number(rows, 9);
    return 0;
}

static int read_detail(struct meta_read *r, struct sqlite *db, struct meta_object *o,
                       struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT headers, checksums, tags, acl, sse, data, lock_mode, lock_until,"
                   " lock_hold, body FROM detail WHERE seq = ?1",
                   SQL_NUMBER(o->version)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    return n == 0 ? corrupt(r, "detail of version", o->version, e) : load_detail(r, &rows, o, e);
}

/* The owner lies in the narrow row, and only when it is not the bucket's. */
static int read_owner(struct meta_read *r, struct sqlite *db, const struct lookup *l,
                      struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    const struct meta_object *o = l->out;
    int n =
        o->is_latest && !o->is_marker
            ? SQL_SELECT(db, &rows, e,
                         "SELECT COALESCE(c.owner, b.owner) FROM bucket b JOIN current c"
                         " ON c.bucket = b.id WHERE b.id = ?1 AND c.key = ?2",
                         SQL_NUMBER(l->bucket), SQL_BYTES(l->name->key))
            : SQL_SELECT(db, &rows, e,
                         "SELECT COALESCE(h.owner, b.owner) FROM bucket b JOIN history h"
                         " ON h.bucket = b.id WHERE b.id = ?1 AND h.key = ?2 AND h.ord = ?3",
                         SQL_NUMBER(l->bucket), SQL_BYTES(l->name->key), SQL_NUMBER(-o->version));
    if (n < 0 || (n = sqlite_next(&rows, e)) < 0) return -1;
    if (n == 0) return corrupt(r, "row of version", o->version, e);
    return meta_keep(r, sqlite_bytes(&rows, 0), &l->out->attributes.owner, e);
}

/* 1: found in row, 0: not, -1. For the newest, a delete marker counts. */
static int find_row(struct sqlite *db, const struct lookup *l, struct meta_row *row, bool *latest,
                    struct err *e) {
    struct meta_row newest;
    int r = meta_row_current(db, l->bucket, l->name->key, &newest, e);
    if (r == 0) r = meta_row_newest_old(db, l->bucket, l->name->key, &newest, e);
    if (r <= 0) return r;
    *row = newest;
    if (l->name->version != META_LATEST) r = meta_row_version(db, l->bucket, l->name, row, e);
    *latest = r > 0 && row->seq == newest.seq;
    return r;
}

static int not_there(struct meta_read *r, const struct lookup *l, struct err *e) {
    bool latest = l->name->version == META_LATEST;
    (void)err_set(e, ERR_NOT_FOUND, "there is no such %s in '%.*s'",
                  latest ? "object" : "version of an object", STR_ARG(l->name->bucket));
    return meta_read_refuse(r, latest ? META_NO_KEY : META_NO_VERSION, e);
}

static int read_parts_count(struct meta_read *r, struct sqlite *db, struct meta_object *o,
                            struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT form, list FROM body WHERE id = ?1", SQL_NUMBER(o->body)) <
        0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n == 0) return corrupt(r, "body", o->body, e);
    if ((enum meta_form)sqlite_number(&rows, 0) != META_FORM_PARTS) return 0;
    struct part_list list = PART_LIST(sqlite_bytes(&rows, 1));
    while ((n = part_list_next(&list)) > 0) o->parts++;
    return n < 0 ? corrupt(r, "list of parts of body", o->body, e) : 0;
}

static int read_object(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct lookup *l = arg;
    struct meta_row row;
    bool latest;
    if (meta_read_bucket(r, db, l->name->bucket, &l->bucket, e) < 0) return -1;
    int n = find_row(db, l, &row, &latest, e);
    if (n < 0) return -1;
    if (n == 0) return not_there(r, l, e);
    struct meta_object *o = l->out;
    *o = (struct meta_object){
        .version = row.seq,
        .modified_ms = row.modified_ms,
        .size_bytes = row.size_bytes,
        .is_null = row.is_null,
        .is_latest = latest,
        .is_marker = row.is_marker,
        .etag = row.etag,
        .attributes = {.storage_class = row.storage_class, .checksum_kind = row.checksum_kind},
    };
    if (read_owner(r, db, l, e) < 0) return -1;
    if (o->is_marker) return l->name->version == META_LATEST ? not_there(r, l, e) : 0;
    if (read_detail(r, db, o, e) < 0) return -1;
    return o->body ? read_parts_count(r, db, o, e) : 0;
}

int meta_object(struct meta_read *r, const struct meta_name *name, struct meta_object *out,
                struct err *e) {
    struct lookup l = {.name = name, .out = out};
    out->is_marker = false;
    return meta_read_run(r, read_object, &l, e);
}

/* ---- chunks ---- */

struct spanning {
    const struct meta_span *s;
    struct meta_span_chunks *out;
    uint64_t at; /* offset of the next chunk in the body */
};

/* Adds the chunks of one list that are behind the offset. 1: enough. */
static int span_list(struct spanning *sp, struct str bytes) {
    struct chunk_list list = CHUNK_LIST(bytes);
    struct meta_chunk chunk;
    int n;
    while ((n = chunk_list_next(&list, &chunk)) > 0) {
        if (sp->out->count == sp->s->max) return 1;
        bool wanted = sp->at + chunk.size_bytes > sp->s->offset;
        if (wanted && sp->out->count == 0) sp->out->first_offset = sp->at;
        if (wanted) sp->out->p[sp->out->count++] = chunk;
        sp->at += chunk.size_bytes;
    }
    return n;
}

static int span_parts(struct meta_read *r, struct sqlite *db, struct spanning *sp,
                      uint32_t first_number, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT list FROM part WHERE upload = ?1 AND number >= ?2 ORDER BY number",
                   SQL_NUMBER(sp->s->body), SQL_NUMBER(first_number)) < 0)
        return -1;
    int n, full = 0;
    while (full == 0 && (n = sqlite_next(&rows, e)) > 0)
        full = span_list(sp, sqlite_bytes(&rows, 0));
    if (full < 0) return corrupt(r, "list of chunks of body", sp->s->body, e);
    return full > 0 || n == 0 ? 0 : -1;
}

/* Where the part that holds the offset begins; number 0: behind the end. */
static int locate(struct str bytes, uint64_t offset, struct part_list *out) {
    struct part_list list = PART_LIST(bytes);
    int n;
    while ((n = part_list_next(&list)) > 0)
        if (list.offset + list.size_bytes > offset) break;
    if (n == 0) list.number = 0;
    *out = list;
    return n < 0 ? -1 : 0;
}

static int read_span(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct spanning *sp = arg;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT form, list FROM body WHERE id = ?1",
                   SQL_NUMBER(sp->s->body)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n == 0) {
        (void)err_set(e, ERR_NOT_FOUND, "the object was deleted while it was read");
        return meta_read_refuse(r, META_NO_VERSION, e);
    }
    struct str list = sqlite_bytes(&rows, 1);
    if ((enum meta_form)sqlite_number(&rows, 0) == META_FORM_CHUNKS) {
        if (span_list(sp, list) >= 0) return 0;
        return corrupt(r, "list of chunks of body", sp->s->body, e);
    }
    struct part_list part;
    if (locate(list, sp->s->offset, &part) < 0)
        return corrupt(r, "list of parts of body", sp->s->body, e);
    if (part.number == 0) return 0;
    sp->at = part.offset;
    return span_parts(r, db, sp, part.number, e);
}

int meta_body_chunks(struct meta_read *r, const struct meta_span *s, struct meta_span_chunks *out,
                     struct err *e) {
    struct meta_span_chunks found = {.p = meta_array(r, s->max, sizeof *found.p, e)};
    struct spanning sp = {s, &found, 0};
    r->why = META_FAILED;
    if (!found.p || meta_read_run(r, read_span, &sp, e) < 0) return -1;
    *out = found;
    return 0;
}

/* ---- parts ---- */

struct listing {
    const struct meta_parts_query *q;
    struct meta_parts out;
    size_t max;
};

static int check_upload(struct meta_read *r, struct sqlite *db, const struct meta_parts_query *q,
                        struct err *e) {
    uint64_t bucket;
    if (meta_read_bucket(r, db, q->bucket, &bucket, e) < 0) return -1;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT 1 FROM upload WHERE bucket = ?1 AND key = ?2 AND id = ?3",
                   SQL_NUMBER(bucket), SQL_BYTES(q->key), SQL_NUMBER(q->id)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n != 0) return n < 0 ? -1 : 0;
    (void)err_set(e, ERR_NOT_FOUND, "there is no such upload in '%.*s'", STR_ARG(q->bucket));
    return meta_read_refuse(r, META_NO_UPLOAD, e);
}

static int load_part(struct meta_read *r, const struct sqlite_rows *rows, struct meta_part *out,
                     struct err *e) {
    *out = (struct meta_part){
        .number = (uint32_t)sqlite_number(rows, 0),
        .modified_ms = sqlite_number(rows, 1),
        .size_bytes = sqlite_number(rows, 2),
        .etag = meta_etag_of(rows, 3),
    };
    if (meta_keep(r, sqlite_bytes(rows, 5), &out->checksums, e) < 0) return -1;
    return meta_keep(r, sqlite_bytes(rows, 6), &out->sse, e);
}

static int list_parts(struct meta_read *r, struct sqlite *db, struct listing *l, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT number, modified, size, md5, 0, checksums, sse FROM part"
                   " WHERE upload = ?1 AND number > ?2 ORDER BY number",
                   SQL_NUMBER(l->q->id), SQL_NUMBER(l->q->after)) < 0)
        return -1;
    int n = 0;
    while (l->out.count < l->max && (n = sqlite_next(&rows, e)) > 0)
        if (load_part(r, &rows, &l->out.p[l->out.count++], e) < 0) return -1;
    if (n > 0) n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    l->out.truncated = n > 0;
    return 0;
}

/* The part's list is in the same order as the parts. */
static int add_offsets(struct meta_read *r, struct sqlite *db, struct listing *l, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "SELECT list FROM body WHERE id = ?1 AND form = 1",
                   SQL_NUMBER(l->q->id)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n <= 0) return n;
    struct part_list list = PART_LIST(sqlite_bytes(&rows, 0));
    for (size_t at = 0; at < l->out.count && (n = part_list_next(&list)) > 0;)
        if (list.number == l->out.p[at].number) l->out.p[at++].offset = list.offset;
    return n < 0 ? corrupt(r, "list of parts of body", l->q->id, e) : 0;
}

static int read_parts(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct listing *l = arg;
    bool is_upload = l->q->bucket.n > 0;
    if (is_upload && check_upload(r, db, l->q, e) < 0) return -1;
    if (list_parts(r, db, l, e) < 0) return -1;
    return is_upload ? 0 : add_offsets(r, db, l, e);
}

int meta_parts(struct meta_read *r, const struct meta_parts_query *q, struct meta_parts *out,
               struct err *e) {
    struct listing l = {.q = q, .max = q->max < META_PARTS_MAX ? q->max : META_PARTS_MAX};
    l.out.p = meta_array(r, l.max, sizeof *l.out.p, e);
    r->why = META_FAILED;
    if (!l.out.p || meta_read_run(r, read_parts, &l, e) < 0) return -1;
    *out = l.out;
    return 0;
}
