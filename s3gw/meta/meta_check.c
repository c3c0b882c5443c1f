/* SPDX-License-Identifier: Apache-2.0 — meta_check.c: reads everything and compares.
 *
 * One view of the database, so it agrees with itself while writes go on; the log cannot begin anew
 * meanwhile and grows. First the pages (SQLite's own check), then each invariant of meta_schema.c
 * as a question that a sound store answers with no row, then the chunks: sorted, none may occur
 * twice. */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_internal.h"

#include <stdio.h>

#define CHECK_PROBLEMS_MAX 1000 /* then it stops: something big is wrong */

struct checking {
    struct sqlite *db;
    const struct meta_check_report *report;
    int problems;
    uint64_t *ids; /* owned */
    size_t count, capacity;
};

static int found(struct checking *c, const char *text) {
    c->report->found(c->report->user, text);
    return ++c->problems < CHECK_PROBLEMS_MAX ? 0 : 1;
}

static int check_pages(struct checking *c, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    char text[256];
    if (SQL_SELECT(c->db, &rows, e, "PRAGMA integrity_check(100)") < 0) return -1;
    int n;
    while ((n = sqlite_next(&rows, e)) > 0) {
        struct str said = sqlite_text(&rows, 0);
        (void)snprintf(text, sizeof text, "pages: %.*s", STR_ARG(str_sub(said, 0, 200)));
        if (!str_eq(said, STR("ok")) && found(c, text)) break;
    }
    return n < 0 ? -1 : 0;
}

/* Each gives the number of what is wrong, in rows of one column. */
static const struct {
    const char *problem;
    const char *sql;
} QUESTIONS[] = {
    {"usage of bucket %llu is not what counting gives",
     "SELECT b.id FROM bucket b LEFT JOIN usage u ON u.bucket = b.id WHERE u.bucket IS NULL"
     " OR u.objects <> (SELECT count(*) FROM current c WHERE c.bucket = b.id)"
     " OR u.versions <> u.objects + (SELECT count(*) FROM history h WHERE h.bucket = b.id)"
     " OR u.bytes <> (SELECT COALESCE(sum(size), 0) FROM current c WHERE c.bucket = b.id)"
     " + (SELECT COALESCE(sum(size), 0) FROM history h WHERE h.bucket = b.id)"
     " OR u.uploads <> (SELECT count(*) FROM upload l WHERE l.bucket = b.id)"
     " OR u.upload_bytes <> (SELECT COALESCE(sum(p.size), 0) FROM upload l JOIN part p"
     " ON p.upload = l.id WHERE l.bucket = b.id)"},
    {"version %llu has no detail",
     "SELECT seq FROM current WHERE seq NOT IN (SELECT seq FROM detail)"},
    {"version %llu in history has no detail",
     "SELECT -ord FROM history WHERE is_marker = 0 AND -ord NOT IN (SELECT seq FROM detail)"},
    {"there are %llu more details than versions",
     "SELECT n FROM (SELECT (SELECT count(*) FROM detail) - (SELECT count(*) FROM current)"
     " - (SELECT count(*) FROM history WHERE is_marker = 0) AS n) WHERE n <> 0"},
    {"body %llu is referred to by more or fewer than it says",
     "SELECT b.id FROM body b LEFT JOIN (SELECT body, count(*) AS n FROM detail WHERE body <> 0"
     " GROUP BY body) d ON d.body = b.id WHERE b.refs IS NOT d.n"},
    {"version %llu names a body that is not there",
     "SELECT seq FROM detail WHERE body <> 0 AND body NOT IN (SELECT id FROM body)"},
    {"a key of bucket %llu has a current row below a newer version",
     "SELECT c.bucket FROM current c JOIN history h ON h.bucket = c.bucket AND h.key = c.key"
     " WHERE -h.ord > c.seq"},
    {"a key of bucket %llu has no current row although its newest version is no marker",
     "SELECT h.bucket FROM (SELECT bucket, key, min(ord) AS ord FROM history"
     " GROUP BY bucket, key) n JOIN history h ON h.bucket = n.bucket AND h.key = n.key"
     " AND h.ord = n.ord LEFT JOIN current c ON c.bucket = h.bucket AND c.key = h.key"
     " WHERE h.is_marker = 0 AND c.bucket IS NULL"},
    {"a key of bucket %llu has two null versions",
     "SELECT c.bucket FROM current c JOIN history h ON h.bucket = c.bucket AND h.key = c.key"
     " WHERE c.is_null = 1 AND h.is_null = 1"},
    {"parts of %llu belong to no upload, body or garbage",
     "SELECT DISTINCT upload FROM part WHERE upload NOT IN (SELECT id FROM upload)"
     " AND upload NOT IN (SELECT id FROM body WHERE form = 1)"
     " AND upload NOT IN (SELECT id FROM garbage WHERE form = 1)"},
    {"number %llu was used before it was stored",
     "SELECT next FROM sequence WHERE next <= (SELECT COALESCE(max(seq), 0) FROM detail)"},
};

static int ask(struct checking *c, size_t question, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    char text[256];
    if (SQL_SELECT(c->db, &rows, e, QUESTIONS[question].sql) < 0) return -1;
    int n, stop = 0;
    while (!stop && (n = sqlite_next(&rows, e)) > 0) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, QUESTIONS[question].problem,
                       (unsigned long long)sqlite_number(&rows, 0));
#pragma GCC diagnostic pop
        stop = found(c, text);
    }
    return !stop && n < 0 ? -1 : 0;
}

/* ---- chunks ---- */

static void note(struct checking *c, uint64_t id) {
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 1024;
        c->ids = xrealloc(c->ids, c->capacity * sizeof *c->ids);
    }
    c->ids[c->count++] = id;
}

static int note_list(struct checking *c, uint64_t owner, struct str bytes) {
    struct chunk_list list = CHUNK_LIST(bytes);
    struct meta_chunk chunk;
    int n;
    while ((n = chunk_list_next(&list, &chunk)) > 0) note(c, chunk.id);
    if (n == 0) return 0;
    char text[96];
    (void)snprintf(text, sizeof text, "the list of chunks of %llu is unreadable",
                   (unsigned long long)owner);
    return found(c, text);
}

static int gather_lists(struct checking *c, const char *sql, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(c->db, &rows, e, sql) < 0) return -1;
    int n;
    while ((n = sqlite_next(&rows, e)) > 0)
        if (note_list(c, sqlite_number(&rows, 0), sqlite_bytes(&rows, 1))) return 0;
    return n < 0 ? -1 : 0;
}

static int gather_intents(struct checking *c, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(c->db, &rows, e, "SELECT word, open FROM intent") < 0) return -1;
    int n;
    while ((n = sqlite_next(&rows, e)) > 0)
        for (uint64_t i = 0; i < 64; i++)
            if (sqlite_number(&rows, 1) >> i & 1) note(c, sqlite_number(&rows, 0) * 64 + i);
    return n < 0 ? -1 : 0;
}

static int by_id(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int check_chunks(struct checking *c, struct err *e) {
    char text[96];
    if (gather_intents(c, e) < 0 ||
        gather_lists(c, "SELECT id, list FROM body WHERE form = 0", e) < 0 ||
        gather_lists(c, "SELECT upload, list FROM part", e) < 0 ||
        gather_lists(c, "SELECT id, list FROM garbage WHERE form = 0", e) < 0)
        return -1;
    if (c->count) qsort(c->ids, c->count, sizeof *c->ids, by_id);
    for (size_t i = 1; i < c->count; i++) {
        if (c->ids[i] != c->ids[i - 1]) continue;
        (void)snprintf(text, sizeof text, "chunk %llu is in two places",
                       (unsigned long long)c->ids[i]);
        if (found(c, text)) break;
    }
    return 0;
}

static int check_all(struct checking *c, struct err *e) {
    if (check_pages(c, e) < 0) return -1;
    for (size_t i = 0; i < COUNT(QUESTIONS) && c->problems < CHECK_PROBLEMS_MAX; i++)
        if (ask(c, i, e) < 0) return -1;
    return c->problems < CHECK_PROBLEMS_MAX ? check_chunks(c, e) : 0;
}

int meta_check(struct meta *m, const struct meta_check_report *report, struct err *e) {
    struct checking c = {.db = meta_database(m, META_WRITER_CACHE_BYTES, e), .report = report};
    if (!c.db) return -1;
    int r = sqlite_begin_read(c.db, e);
    if (r == 0) {
        r = check_all(&c, e);
        sqlite_rollback(c.db);
    }
    sqlite_close(c.db);
    free(c.ids);
    return r < 0 ? -1 : c.problems;
}
