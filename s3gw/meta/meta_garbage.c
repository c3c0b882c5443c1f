/* SPDX-License-Identifier: Apache-2.0 — meta_garbage.c: handing garbage to the reclaimer. */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_internal.h"

#define ITEMS_MAX META_TOKENS_MAX

struct collection {
    const struct meta_garbage_query *q;
    struct meta_garbage out;
    size_t chunks; /* handed out so far */
};

static int corrupt(const struct meta_read *r, uint64_t id, struct err *e) {
    return err_set(e, ERR_CORRUPT, "the database '%s' has an unreadable list of garbage %llu",
                   r->m->path, (unsigned long long)id);
}

/* 1: taken, 0: the page is full. */
static int take(struct meta_read *r, struct collection *c, struct meta_token token,
                struct str bytes, struct err *e) {
    struct chunk_list counting = CHUNK_LIST(bytes), list = CHUNK_LIST(bytes);
    struct meta_chunk chunk;
    size_t count = 0;
    int n;
    while ((n = chunk_list_next(&counting, &chunk)) > 0) count++;
    if (n < 0) return corrupt(r, token.id, e);
    if (c->out.count == ITEMS_MAX || (c->out.count > 0 && c->chunks + count > c->q->chunks_max))
        return 0;
    struct meta_chunk *chunks = meta_array(r, count, sizeof *chunks, e);
    if (!chunks) return -1;
    for (size_t i = 0; i < count; i++)
        if (chunk_list_next(&list, &chunks[i]) <= 0) return corrupt(r, token.id, e);
    c->out.p[c->out.count++] = (struct meta_garbage_item){token, {chunks, count}};
    c->chunks += count;
    return 1;
}

static int take_parts(struct meta_read *r, struct sqlite *db, struct collection *c, uint64_t upload,
                      struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    uint32_t after = upload == c->q->after.id ? c->q->after.part : 0;
    if (SQL_SELECT(
            db, &rows, e,
            "SELECT number, list FROM part WHERE upload = ?1 AND number > ?2 ORDER BY number",
            SQL_NUMBER(upload), SQL_NUMBER(after)) < 0)
        return -1;
    int n, taken = 1;
    while (taken > 0 && (n = sqlite_next(&rows, e)) > 0) {
        struct meta_token token = {upload, (uint32_t)sqlite_number(&rows, 0)};
        taken = take(r, c, token, sqlite_bytes(&rows, 1), e);
    }
    return taken > 0 && n < 0 ? -1 : taken;
}

static int read_garbage(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct collection *c = arg;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    /* Behind a part: the other parts of the same row come first. */
    uint64_t from = c->q->after.part ? c->q->after.id : c->q->after.id + 1;
    if (SQL_SELECT(db, &rows, e,
                   "SELECT id, form, list FROM garbage WHERE id >= ?1 AND at <= ?2 ORDER BY id",
                   SQL_NUMBER(from), SQL_NUMBER(c->q->before_ms)) < 0)
        return -1;
    int n, taken = 1;
    while (taken > 0 && (n = sqlite_next(&rows, e)) > 0) {
        struct meta_token token = {sqlite_number(&rows, 0), 0};
        taken = (enum meta_form)sqlite_number(&rows, 1) == META_FORM_PARTS
                    ? take_parts(r, db, c, token.id, e)
                    : take(r, c, token, sqlite_bytes(&rows, 2), e);
    }
    if (taken < 0 || (taken > 0 && n < 0)) return -1;
    c->out.truncated = taken == 0;
    return 0;
}

int meta_garbage(struct meta_read *r, const struct meta_garbage_query *q, struct meta_garbage *out,
                 struct err *e) {
    struct collection c = {.q = q};
    c.out.p = meta_array(r, ITEMS_MAX, sizeof *c.out.p, e);
    r->why = META_FAILED;
    if (!c.out.p || meta_read_run(r, read_garbage, &c, e) < 0) return -1;
    *out = c.out;
    return 0;
}
