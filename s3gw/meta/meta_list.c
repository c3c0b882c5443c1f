/* SPDX-License-Identifier: Apache-2.0 — meta_list.c: lists of objects, versions and uploads.
 *
 * A list is a walk over one or two ordered streams of rows: `current` alone for objects, `current`
 * and `history` side by side for versions (the newer of two rows of one key first), `upload` for
 * uploads. A stream stands before a position (key, ord) and gives the rows from there on.
 *
 * A common prefix is given once, and then all streams go to the first key behind it: by stepping
 * over a few rows, because most prefixes are small, and then by one seek to the prefix with its
 * last byte counted up. What ends a page is counted the same way, so the cost follows the page.
 *
 * Of the rules that AWS leaves open: a common prefix is given when it is itself above the marker,
 * so a marker inside of a common prefix leaves that prefix out (as Ceph's and MinIO's gateways do).
 */
#include "s3gw/meta/meta_internal.h"

#define STEPS_MAX      6 /* rows stepped over before a seek is cheaper */
#define POSITION_BYTES (META_KEY_BYTES_MAX + 1)
#define STREAMS_MAX    2

/* One ordered stream. Columns of its statement: key, ord, is_null, is_marker, modified, since,
 * size, md5, parts, class, sums, owner, initiator. */
struct stream {
    const char *sql;
    struct sqlite_rows rows;
    bool has_row;
    struct str key; /* of the row; borrowed from SQLite */
    int64_t ord;
};

struct walk {
    struct meta_read *r;
    struct sqlite *db;
    const struct meta_list_query *q;
    uint64_t bucket;
    struct stream streams[STREAMS_MAX];
    size_t streams_count;
    bool is_over; /* no key can follow */
    struct meta_page page;
};

/* Rows behind a position. */
static const char CURRENT[] =
    "SELECT key, -seq, is_null, 0, modified, 0, size, md5, parts, class, sums, owner, NULL"
    " FROM current WHERE bucket = ?1 AND key >= ?2 AND (key > ?2 OR -seq > ?3) ORDER BY key";
static const char HISTORY[] =
    "SELECT key, ord, is_null, is_marker, modified, since, size, md5, parts, class, sums, owner,"
    " NULL FROM history WHERE bucket = ?1 AND (key, ord) > (?2, ?3) ORDER BY key, ord";
static const char UPLOADS[] =
    "SELECT key, id, 0, 0, created, 0, 0, x'', 0, class, sums, owner, initiator FROM upload"
    " WHERE bucket = ?1 AND (key, id) > (?2, ?3) ORDER BY key, id";

/* ---- streams ---- */

static int stream_next(struct stream *s, struct err *e) {
    int n = sqlite_next(&s->rows, e);
    if (n < 0) return -1;
    s->has_row = n > 0;
    if (n == 0) return 0;
    s->key = sqlite_bytes(&s->rows, 0);
    s->ord = (int64_t)sqlite_number(&s->rows, 1);
    return 0;
}

/* Behind (key, ord), exclusive; ord INT64_MIN: at key, inclusive. key must not be the row's. */
static int stream_seek(struct walk *w, struct stream *s, struct str key, int64_t ord,
                       struct err *e) {
    sqlite_rows_done(&s->rows);
    if (SQL_SELECT(w->db, &s->rows, e, s->sql, SQL_NUMBER(w->bucket), SQL_BYTES(key),
                   SQL_NUMBER(ord)) < 0)
        return -1;
    return stream_next(s, e);
}

/* The first key that is above all with this prefix: its last byte counted up, those that are 0xff
 * dropped. False: there is none. */
static bool prefix_successor(struct str prefix, char *out, size_t *out_bytes) {
    size_t n = prefix.n;
    while (n > 0 && (unsigned char)prefix.p[n - 1] == 0xff) n--;
    if (n == 0) return false;
    memcpy(out, prefix.p, n);
    out[n - 1] = (char)((unsigned char)out[n - 1] + 1);
    *out_bytes = n;
    return true;
}

static int seek_all(struct walk *w, struct str key, int64_t ord, struct err *e) {
    for (size_t i = 0; i < w->streams_count; i++)
        if (stream_seek(w, &w->streams[i], key, ord, e) < 0) return -1;
    return 0;
}

static int skip_in(struct walk *w, struct stream *s, struct str prefix, struct err *e) {
    char to[POSITION_BYTES];
    size_t n;
    for (int steps = 0; s->has_row && str_starts(s->key, prefix); steps++) {
        if (steps < STEPS_MAX) {
            if (stream_next(s, e) < 0) return -1;
            continue;
        }
        if (!prefix_successor(prefix, to, &n)) {
            s->has_row = false;
            return 0;
        }
        return stream_seek(w, s, str_make(to, n), INT64_MIN, e);
    }
    return 0;
}

/* prefix is the caller's copy, not a row's bytes. */
static int skip_prefix(struct walk *w, struct str prefix, struct err *e) {
    for (size_t i = 0; i < w->streams_count; i++)
        if (skip_in(w, &w->streams[i], prefix, e) < 0) return -1;
    return 0;
}

/* The stream whose row comes first, or NULL. */
static struct stream *foremost(struct walk *w) {
    struct stream *best = NULL;
    for (size_t i = 0; i < w->streams_count; i++) {
        struct stream *s = &w->streams[i];
        if (!s->has_row) continue;
        int order = best ? str_cmp(s->key, best->key) : -1;
        if (order < 0 || (order == 0 && s->ord < best->ord)) best = s;
    }
    return best;
}

/* ---- where to begin ---- */

/* Bytes of key up to and with the first delimiter behind the prefix, or 0. */
static size_t common_prefix(const struct meta_list_query *q, struct str key) {
    if (q->delimiter.n == 0 || key.n < q->prefix.n + q->delimiter.n) return 0;
    const char *at =
        memmem(key.p + q->prefix.n, key.n - q->prefix.n, q->delimiter.p, q->delimiter.n);
    return at ? (size_t)(at - key.p) + q->delimiter.n : 0;
}

/* The ord behind which a list that named a version or upload goes on. */
static int marker_ord(struct walk *w, int64_t *out, struct err *e) {
    const struct meta_list_query *q = w->q;
    if (q->what == META_LIST_UPLOADS) {
        *out = (int64_t)q->after_id;
        return 0;
    }
    *out = -(int64_t)q->after_id;
    if (q->after_id != META_NULL_VERSION) return 0;
    struct meta_row row;
    const struct meta_name name = {q->bucket, q->after_key, q->after_id};
    int n = meta_row_version(w->db, w->bucket, &name, &row, e);
    if (n > 0) *out = -(int64_t)row.seq;
    if (n == 0) *out = INT64_MIN; /* gone meanwhile: rather something twice than not at all */
    return n < 0 ? -1 : 0;
}

static int begin_behind_marker(struct walk *w, struct err *e) {
    const struct meta_list_query *q = w->q;
    char to[POSITION_BYTES];
    size_t n = common_prefix(q, q->after_key);
    if (n > 0) {
        w->is_over = !prefix_successor(str_sub(q->after_key, 0, n), to, &n);
        return w->is_over ? 0 : seek_all(w, str_make(to, n), INT64_MIN, e);
    }
    if (q->after_id != 0) {
        int64_t ord;
        if (marker_ord(w, &ord, e) < 0) return -1;
        return seek_all(w, q->after_key, ord, e);
    }
    memcpy(to, q->after_key.p, q->after_key.n); /* the next key in byte order: one zero more */
    to[q->after_key.n] = '\0';
    return seek_all(w, str_make(to, q->after_key.n + 1), INT64_MIN, e);
}

static int begin(struct walk *w, struct err *e) {
    const struct meta_list_query *q = w->q;
    if (str_cmp(q->after_key, q->prefix) < 0 || q->after_key.n == 0)
        return seek_all(w, q->prefix, INT64_MIN, e);
    if (str_starts(q->after_key, q->prefix)) return begin_behind_marker(w, e);
    w->is_over = true; /* above every key with the prefix */
    return 0;
}

/* ---- entries ---- */

/* The newest version is the one without the time of a successor, so a page may begin in the middle
 * of a key. */
static int add_entry(struct walk *w, const struct stream *s, struct err *e) {
    const struct sqlite_rows *rows = &s->rows;
    bool is_upload = w->q->what == META_LIST_UPLOADS;
    struct meta_entry *entry = &w->page.p[w->page.count];
    *entry = (struct meta_entry){
        .is_null = sqlite_number(rows, 2) != 0,
        .is_marker = sqlite_number(rows, 3) != 0,
        .id = is_upload ? (uint64_t)s->ord : (uint64_t)-s->ord,
        .modified_ms = sqlite_number(rows, 4),
        .since_ms = sqlite_number(rows, 5),
        .size_bytes = sqlite_number(rows, 6),
        .etag = meta_etag_of(rows, 7),
        .storage_class = (uint8_t)sqlite_number(rows, 9),
        .checksum_kind = (uint8_t)sqlite_number(rows, 10),
    };
    entry->is_latest = entry->since_ms == 0 && !is_upload;
    if (meta_keep(w->r, s->key, &entry->key, e) < 0 ||
        meta_keep(w->r, sqlite_bytes(rows, 11), &entry->owner, e) < 0 ||
        meta_keep(w->r, sqlite_bytes(rows, 12), &entry->initiator, e) < 0)
        return -1;
    w->page.count++;
    return 0;
}

static int add_prefix(struct walk *w, struct str prefix, struct str *out_kept, struct err *e) {
    struct meta_entry *entry = &w->page.p[w->page.count];
    *entry = (struct meta_entry){.is_prefix = true};
    if (meta_keep(w->r, prefix, &entry->key, e) < 0) return -1;
    w->page.count++;
    *out_kept = entry->key;
    return 0;
}

/* One entry more. 1: added, 0: the list is over. */
static int step(struct walk *w, uint32_t max, struct err *e) {
    struct stream *s = foremost(w);
    if (!s || !str_starts(s->key, w->q->prefix)) return 0;
    if (w->page.count == max) {
        w->page.truncated = max > 0;
        return 0;
    }
    size_t n = common_prefix(w->q, s->key);
    if (n > 0) {
        struct str prefix;
        if (add_prefix(w, str_sub(s->key, 0, n), &prefix, e) < 0) return -1;
        return skip_prefix(w, prefix, e) < 0 ? -1 : 1;
    }
    if (add_entry(w, s, e) < 0) return -1;
    return stream_next(s, e) < 0 ? -1 : 1;
}

static void streams_of(struct walk *w) {
    switch (w->q->what) {
    case META_LIST_OBJECTS: w->streams[w->streams_count++].sql = CURRENT; return;
    case META_LIST_VERSIONS:
        w->streams[w->streams_count++].sql = CURRENT;
        w->streams[w->streams_count++].sql = HISTORY;
        return;
    case META_LIST_UPLOADS: w->streams[w->streams_count++].sql = UPLOADS; return;
    }
}

static int walk(struct walk *w, struct err *e) {
    uint32_t max = w->q->max < META_PAGE_MAX ? w->q->max : META_PAGE_MAX;
    w->page.p = meta_array(w->r, max, sizeof *w->page.p, e);
    if (!w->page.p || begin(w, e) < 0) return -1;
    int n = 1;
    while (n > 0 && !w->is_over) n = step(w, max, e);
    return n < 0 ? -1 : 0;
}

static int check_query(struct meta_read *r, const struct meta_list_query *q, struct err *e) {
    if (q->after_key.n <= META_KEY_BYTES_MAX && q->prefix.n <= META_KEY_BYTES_MAX &&
        q->delimiter.n <= META_KEY_BYTES_MAX)
        return 0;
    (void)err_set(e, ERR_INVALID, "a prefix, delimiter or marker has more than %d bytes",
                  META_KEY_BYTES_MAX);
    return meta_read_refuse(r, META_INVALID, e);
}

static int read_list(struct meta_read *r, struct sqlite *db, void *arg, struct err *e) {
    struct walk *w = arg;
    w->db = db;
    if (check_query(r, w->q, e) < 0) return -1;
    if (meta_read_bucket(r, db, w->q->bucket, &w->bucket, e) < 0) return -1;
    streams_of(w);
    int n = walk(w, e);
    for (size_t i = 0; i < w->streams_count; i++) sqlite_rows_done(&w->streams[i].rows);
    return n;
}

int meta_list(struct meta_read *r, const struct meta_list_query *q, struct meta_page *out,
              struct err *e) {
    struct walk w = {.r = r, .q = q};
    if (meta_read_run(r, read_list, &w, e) < 0) return -1;
    *out = w.page;
    return 0;
}
