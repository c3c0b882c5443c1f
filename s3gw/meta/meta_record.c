/* SPDX-License-Identifier: Apache-2.0 — meta_record.c: records: identities, sessions, cursors. */
#include "s3gw/meta/meta_internal.h"

static int exists(struct meta_txn *t, const struct meta_record *r) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT 1 FROM record WHERE kind = ?1 AND name = ?2",
                   SQL_NUMBER(r->kind), SQL_BYTES(r->name)) < 0)
        return -1;
    return sqlite_next(&rows, t->e);
}

static int has_children(struct meta_txn *t, const struct meta_record_in *in) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (!in->child_kind) return 0;
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT 1 FROM record WHERE kind = ?1 AND parent = ?2",
                   SQL_NUMBER(in->child_kind), SQL_BYTES(in->record.name)) < 0)
        return -1;
    return sqlite_next(&rows, t->e);
}

static int remove_record(struct meta_txn *t, const struct meta_record_in *in) {
    int r = has_children(t, in);
    if (r < 0) return -1;
    if (r > 0)
        return meta_refuse(t, META_RECORD_IN_USE, ERR_BUSY, "'%.*s' is still in use by others",
                           STR_ARG(in->record.name));
    return SQL_RUN(t->db, t->e, "DELETE FROM record WHERE kind = ?1 AND name = ?2",
                   SQL_NUMBER(in->record.kind), SQL_BYTES(in->record.name));
}

int meta_record_set(struct meta_txn *t) {
    const struct meta_record_in *in = &t->op->record;
    const struct meta_record *r = &in->record;
    int found = exists(t, r);
    if (found < 0) return -1;
    t->op->was_found = found > 0;
    if (found && in->must == META_RECORD_ABSENT)
        return meta_refuse(t, META_RECORD_EXISTS, ERR_EXISTS, "'%.*s' exists already",
                           STR_ARG(r->name));
    if (!found && in->must == META_RECORD_PRESENT)
        return meta_refuse(t, META_NO_RECORD, ERR_NOT_FOUND, "there is no '%.*s'",
                           STR_ARG(r->name));
    if (!r->bytes.p) return remove_record(t, in);
    return SQL_RUN(t->db, t->e,
                   "INSERT INTO record VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(kind, name) DO UPDATE"
                   " SET parent = excluded.parent, expires = excluded.expires,"
                   " bytes = excluded.bytes",
                   SQL_NUMBER(r->kind), SQL_BYTES(r->name), SQL_BYTES(r->parent),
                   SQL_NUMBER(r->expires_ms), SQL_BYTES(r->bytes));
}

/* ---- reads ---- */

static int load(struct meta_read *r, const struct sqlite_rows *rows, struct meta_record *out,
                struct err *e) {
    out->expires_ms = sqlite_number(rows, 2);
    if (meta_keep(r, sqlite_bytes(rows, 0), &out->name, e) < 0 ||
        meta_keep(r, sqlite_bytes(rows, 1), &out->parent, e) < 0)
        return -1;
    return meta_keep(r, sqlite_bytes(rows, 3), &out->bytes, e);
}

static int read_one(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct meta_record *record = arg;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e,
                   "SELECT name, parent, expires, bytes FROM record WHERE kind = ?1 AND name = ?2",
                   SQL_NUMBER(record->kind), SQL_BYTES(record->name)) < 0)
        return -1;
    int n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    if (n > 0) return load(r, &rows, record, e);
    (void)err_set(e, ERR_NOT_FOUND, "there is no '%.*s'",
                  STR_ARG(str_sub(record->name, 0, META_NAME_BYTES_MAX)));
    return meta_read_refuse(r, META_NO_RECORD, e);
}

int meta_record(struct meta_read *r, uint32_t kind, struct str name, struct meta_record *out,
                struct err *e) {
    struct meta_record found = {.kind = kind, .name = name};
    if (meta_read_run(r, read_one, &found, e) < 0) return -1;
    *out = found;
    return 0;
}

static int select_many(struct sqlite *db, struct sqlite_rows *rows,
                       const struct meta_records_query *q, struct err *e) {
    if (!q->parent.p)
        return SQL_SELECT(db, rows, e,
                          "SELECT name, parent, expires, bytes FROM record"
                          " WHERE kind = ?1 AND name > ?2 ORDER BY name",
                          SQL_NUMBER(q->kind), SQL_BYTES(q->after));
    return SQL_SELECT(db, rows, e,
                      "SELECT name, parent, expires, bytes FROM record INDEXED BY record_parent"
                      " WHERE kind = ?1 AND parent = ?2 AND name > ?3 ORDER BY name",
                      SQL_NUMBER(q->kind), SQL_BYTES(q->parent), SQL_BYTES(q->after));
}

struct many {
    const struct meta_records_query *q;
    struct meta_records *out;
};

static int read_many(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    const struct many *many = arg;
    uint32_t max = many->q->max < META_PAGE_MAX ? many->q->max : META_PAGE_MAX;
    struct meta_records found = {meta_array(r, max, sizeof *found.p, e), 0, false};
    if (!found.p) return -1;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (select_many(db, &rows, many->q, e) < 0) return -1;
    int n = 0;
    while (found.count < max && (n = sqlite_next(&rows, e)) > 0) {
        found.p[found.count].kind = many->q->kind;
        if (load(r, &rows, &found.p[found.count++], e) < 0) return -1;
    }
    if (n > 0) n = sqlite_next(&rows, e);
    if (n < 0) return -1;
    found.truncated = n > 0;
    *many->out = found;
    return 0;
}

int meta_records(struct meta_read *r, const struct meta_records_query *q, struct meta_records *out,
                 struct err *e) {
    struct many many = {q, out};
    return meta_read_run(r, read_many, &many, e);
}
