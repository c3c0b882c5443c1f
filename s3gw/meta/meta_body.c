/* SPDX-License-Identifier: Apache-2.0 — meta_body.c: which chunks belong to what.
 *
 * A chunk id is on disk from before it is given out until the engine has deleted it: first as a bit
 * of an intent, then in one body or part, then in the garbage. Each step between two of these is
 * one transaction, so at every moment, and after every crash, a chunk is in exactly one place. An
 * id whose bit is not set cannot become part of anything: no chunk is ever in two objects.
 *
 * A completed upload keeps its parts where they are: its body has the upload's number, and its list
 * says which numbers and sizes. When it goes, one row of garbage stands for all of them. */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_internal.h"

#include <assert.h>

#define WORD_IDS      64
#define SWEPT_IDS_MAX 4096 /* of one row of garbage; below META_CHUNKS_MAX */

/* ---- intents ---- */

int meta_lease_extend(struct meta *m, struct err *e) {
    uint64_t end = m->chunk_next + META_LEASE_IDS;
    for (uint64_t id = m->chunk_next; id < end; id += WORD_IDS)
        if (SQL_RUN(m->db, e, "INSERT INTO intent VALUES(?1, ?2)", SQL_NUMBER(id / WORD_IDS),
                    SQL_NUMBER(UINT64_MAX)) < 0)
            return -1;
    if (SQL_RUN(m->db, e, "UPDATE sequence SET chunk = ?1", SQL_NUMBER(end)) < 0) return -1;
    m->chunk_next = end;
    return 0;
}

static int read_word(struct meta_txn *t, uint64_t word, uint64_t *out_open) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    *out_open = 0;
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT open FROM intent WHERE word = ?1",
                   SQL_NUMBER(word)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r > 0) *out_open = sqlite_number(&rows, 0);
    return r < 0 ? -1 : 0;
}

static int close_bits(struct meta_txn *t, uint64_t word, uint64_t bits) {
    uint64_t open;
    if (read_word(t, word, &open) < 0) return -1;
    if ((open & bits) != bits)
        return meta_refuse(t, META_INVALID, ERR_INVALID,
                           "a chunk of %llu to %llu was not given out, or is in use",
                           (unsigned long long)(word * WORD_IDS),
                           (unsigned long long)(word * WORD_IDS + WORD_IDS - 1));
    if (open == bits)
        return SQL_RUN(t->db, t->e, "DELETE FROM intent WHERE word = ?1", SQL_NUMBER(word));
    return SQL_RUN(t->db, t->e, "UPDATE intent SET open = ?2 WHERE word = ?1", SQL_NUMBER(word),
                   SQL_NUMBER(open & ~bits));
}

int meta_intent_end(struct meta_txn *t, struct meta_chunks chunks) {
    for (size_t i = 0; i < chunks.count;) {
        uint64_t word = chunks.p[i].id / WORD_IDS, bits = 0;
        for (; i < chunks.count && chunks.p[i].id / WORD_IDS == word; i++) {
            uint64_t bit = UINT64_C(1) << chunks.p[i].id % WORD_IDS;
            if (bits & bit)
                return meta_refuse(t, META_INVALID, ERR_INVALID, "chunk %llu is named twice",
                                   (unsigned long long)chunks.p[i].id);
            bits |= bit;
        }
        if (close_bits(t, word, bits) < 0) return -1;
    }
    return 0;
}

/* ---- garbage ---- */

int meta_garbage_add(struct meta_txn *t, uint64_t id, enum meta_form form, struct str list) {
    return SQL_RUN(t->db, t->e, "INSERT INTO garbage VALUES(?1, ?2, ?3, ?4)", SQL_NUMBER(id),
                   SQL_NUMBER(t->op->now_ms), SQL_NUMBER(form), SQL_BYTES(list));
}

static int encode(struct meta_chunks chunks, struct buf *out) {
    int r = chunk_list_encode(chunks, out);
    assert(r == 0); /* meta_submit() checked their number */
    return r;
}

static int garbage_of(struct meta_txn *t, struct meta_chunks chunks) {
    AUTO(buf_done) struct buf list = BUF(CHUNK_LIST_BYTES_MAX);
    if (chunks.count == 0) return 0;
    if (encode(chunks, &list) < 0) return -1;
    return meta_garbage_add(t, meta_number(t), META_FORM_CHUNKS, buf_view(&list));
}

int meta_discard(struct meta_txn *t) {
    if (meta_intent_end(t, t->op->discard) < 0) return -1;
    return garbage_of(t, t->op->discard);
}

struct swept {
    struct meta_chunk chunks[SWEPT_IDS_MAX];
    size_t count;
};

/* A size does not matter any more; 1, because 0 is none. */
static int sweep_rows(struct meta_txn *t, struct sqlite_rows *rows, struct swept *s) {
    int r = 0;
    while (s->count + WORD_IDS <= SWEPT_IDS_MAX && (r = sqlite_next(rows, t->e)) > 0) {
        uint64_t first = sqlite_number(rows, 0) * WORD_IDS, open = sqlite_number(rows, 1);
        for (uint64_t i = 0; i < WORD_IDS; i++)
            if (open >> i & 1) s->chunks[s->count++] = (struct meta_chunk){first + i, 1};
    }
    return r;
}

int meta_intents_to_garbage(struct meta_txn *t) {
    AUTO_FREE struct swept *s = xnew(struct swept);
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT word, open FROM intent ORDER BY word") < 0)
        return -1;
    int r;
    do {
        s->count = 0;
        if ((r = sweep_rows(t, &rows, s)) < 0) return -1;
        if (garbage_of(t, (struct meta_chunks){s->chunks, s->count}) < 0) return -1;
    } while (r > 0);
    sqlite_rows_done(&rows);
    return SQL_RUN(t->db, t->e, "DELETE FROM intent");
}

/* A row of parts goes part by part: it may be ten thousand of them. */
static int reclaim_part(struct meta_txn *t, const struct meta_token *token) {
    if (SQL_RUN(t->db, t->e, "DELETE FROM part WHERE upload = ?1 AND number = ?2",
                SQL_NUMBER(token->id), SQL_NUMBER(token->part)) < 0)
        return -1;
    return SQL_RUN(t->db, t->e,
                   "DELETE FROM garbage WHERE id = ?1"
                   " AND NOT EXISTS(SELECT 1 FROM part WHERE upload = ?1)",
                   SQL_NUMBER(token->id));
}

static int is_garbage(struct meta_txn *t, const struct meta_token *token) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT form FROM garbage WHERE id = ?1",
                   SQL_NUMBER(token->id)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r <= 0) return r;
    return (enum meta_form)sqlite_number(&rows, 0) ==
           (token->part ? META_FORM_PARTS : META_FORM_CHUNKS);
}

/* Said twice is no error: the first answer may have been lost. */
int meta_reclaimed(struct meta_txn *t) {
    for (size_t i = 0; i < t->op->reclaimed.count; i++) {
        const struct meta_token *token = &t->op->reclaimed.tokens[i];
        int r = is_garbage(t, token);
        if (r < 0) return -1;
        if (r == 0) continue;
        r = token->part
                ? reclaim_part(t, token)
                : SQL_RUN(t->db, t->e, "DELETE FROM garbage WHERE id = ?1", SQL_NUMBER(token->id));
        if (r < 0) return -1;
    }
    return 0;
}

/* ---- bodies ---- */

int meta_body_make(struct meta_txn *t, struct meta_chunks chunks, uint64_t *out) {
    AUTO(buf_done) struct buf list = BUF(CHUNK_LIST_BYTES_MAX);
    if (meta_intent_end(t, chunks) < 0 || encode(chunks, &list) < 0) return -1;
    uint64_t id = meta_number(t);
    if (SQL_RUN(t->db, t->e, "INSERT INTO body VALUES(?1, 1, ?2, ?3)", SQL_NUMBER(id),
                SQL_NUMBER(META_FORM_CHUNKS), SQL_BYTES(buf_view(&list))) < 0)
        return -1;
    *out = id;
    return 0;
}

int meta_body_share(struct meta_txn *t, uint64_t body) {
    return SQL_RUN(t->db, t->e, "UPDATE body SET refs = refs + 1 WHERE id = ?1", SQL_NUMBER(body));
}

static int body_to_garbage(struct meta_txn *t, uint64_t body) {
    if (SQL_RUN(t->db, t->e,
                "INSERT INTO garbage SELECT id, ?2, form,"
                " CASE form WHEN 0 THEN list ELSE x'' END FROM body WHERE id = ?1",
                SQL_NUMBER(body), SQL_NUMBER(t->op->now_ms)) < 0)
        return -1;
    return SQL_RUN(t->db, t->e, "DELETE FROM body WHERE id = ?1", SQL_NUMBER(body));
}

int meta_body_drop(struct meta_txn *t, uint64_t body) {
    if (body == 0) return 0;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(t->db, &rows, t->e, "SELECT refs FROM body WHERE id = ?1", SQL_NUMBER(body)) < 0)
        return -1;
    int r = sqlite_next(&rows, t->e);
    if (r < 0) return -1;
    if (r == 0)
        return err_set(t->e, ERR_CORRUPT, "the database '%s' misses the body %llu", t->m->path,
                       (unsigned long long)body);
    uint64_t refs = sqlite_number(&rows, 0);
    sqlite_rows_done(&rows);
    if (refs <= 1) return body_to_garbage(t, body);
    return SQL_RUN(t->db, t->e, "UPDATE body SET refs = refs - 1 WHERE id = ?1", SQL_NUMBER(body));
}
