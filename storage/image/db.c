/* SPDX-License-Identifier: Apache-2.0 — db.c: SQLite behind the few calls that the store needs.
 *
 * locking_mode=EXCLUSIVE keeps the WAL index on the heap (no shared memory file) and makes a second
 * daemon on the same folder fail at once. The page cache is small: the data are a few hundred rows.
 * A damaged file is refused and left alone; deleting it is a person's decision, because running
 * containers may still use the layers that it knows of. */
#include "storage/image/db.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>

#define DB_BUSY_MS 1000

struct db {
    sqlite3 *handle; /* owned */
    char *path;      /* owned */
    struct {
        const char *sql;         /* borrowed, static */
        sqlite3_stmt *statement; /* owned */
    } cache[DB_STATEMENTS_MAX];
    size_t cached;
};

static enum err_kind kind_of(int code) {
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_CORRUPT;
    case SQLITE_FULL: return ERR_LIMIT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return ERR_DENIED;
    default: return ERR_IO;
    }
}

static int damaged(const struct db *db, const char *why, struct err *e) {
    return err_set(e, ERR_CORRUPT,
                   "the database '%s' is damaged (%s): stop all containers and this daemon, move "
                   "'%s*' away and start again; images are then pulled anew",
                   db->path, why, db->path);
}

static int failed(const struct db *db, int code, struct err *e) {
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    if (kind_of(code) == ERR_CORRUPT) return damaged(db, text, e);
    if (kind_of(code) == ERR_BUSY)
        return err_set(e, ERR_BUSY, "the database '%s' is in use by another process", db->path);
    return err_set(e, kind_of(code), "database '%s': %s", db->path, text);
}

/* ---- statements ---- */

static sqlite3_stmt *prepared(struct db *db, const char *sql, struct err *e) {
    for (size_t i = 0; i < db->cached; i++)
        if (db->cache[i].sql == sql) return db->cache[i].statement;
    assert(db->cached < DB_STATEMENTS_MAX);
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (code != SQLITE_OK) {
        (void)failed(db, code, e);
        return NULL;
    }
    db->cache[db->cached].sql = sql;
    db->cache[db->cached++].statement = s;
    return s;
}

int db_select(struct db *db, struct db_rows *rows, const char *sql, struct db_args args,
              struct err *e) {
    sqlite3_stmt *s = prepared(db, sql, e);
    if (!s) return -1;
    assert(!sqlite3_stmt_busy(s));
    assert((size_t)sqlite3_bind_parameter_count(s) == args.count);
    for (size_t i = 0; i < args.count; i++) {
        const struct db_value *v = &args.values[i];
        int at = (int)i + 1;
        int code = v->is_text ? sqlite3_bind_text64(s, at, v->text.p ? v->text.p : "", v->text.n,
                                                    SQLITE_TRANSIENT, SQLITE_UTF8)
                              : sqlite3_bind_int64(s, at, (sqlite3_int64)v->number);
        if (code != SQLITE_OK) return failed(db, code, e);
    }
    rows->db = db;
    rows->statement = s;
    return 0;
}

int db_next(struct db_rows *rows, struct err *e) {
    int code = sqlite3_step(rows->statement);
    if (code == SQLITE_ROW) return 1;
    if (code == SQLITE_DONE) return 0;
    return failed(rows->db, code, e);
}

uint64_t db_number(const struct db_rows *rows, int column) {
    return (uint64_t)sqlite3_column_int64(rows->statement, column);
}

struct str db_text(const struct db_rows *rows, int column) {
    const char *p = (const char *)sqlite3_column_text(rows->statement, column);
    return str_make(p ? p : "", (size_t)sqlite3_column_bytes(rows->statement, column));
}

void db_rows_done(struct db_rows *rows) {
    if (!rows->statement) return;
    (void)sqlite3_reset(rows->statement);
    (void)sqlite3_clear_bindings(rows->statement);
    rows->statement = NULL;
}

int db_run(struct db *db, const char *sql, struct db_args args, struct err *e) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (db_select(db, &rows, sql, args, e) < 0) return -1;
    int r = db_next(&rows, e);
    assert(r <= 0);
    return r;
}

int db_begin(struct db *db, struct err *e) { return DB_RUN(db, e, "BEGIN IMMEDIATE"); }

int db_commit(struct db *db, struct err *e) {
    if (DB_RUN(db, e, "COMMIT") == 0) return 0;
    db_rollback(db);
    return -1;
}

void db_rollback(struct db *db) {
    struct err ignored; /* a failed transaction may have rolled itself back */
    if (!sqlite3_get_autocommit(db->handle)) (void)!DB_RUN(db, &ignored, "ROLLBACK");
}

/* ---- opening ---- */

static int run_script(struct db *db, const char *sql, struct err *e) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : failed(db, code, e);
}

static int check(struct db *db, struct err *e) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(db, &rows, e, "PRAGMA quick_check(1)") < 0) return -1;
    if (db_next(&rows, e) < 0) return -1;
    struct str verdict = db_text(&rows, 0);
    char why[128];
    (void)snprintf(why, sizeof why, "%.*s", STR_ARG(str_sub(verdict, 0, 100)));
    return str_eq(verdict, STR("ok")) ? 0 : damaged(db, why, e);
}

static int read_version(struct db *db, uint64_t *out, struct err *e) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    if (DB_SELECT(db, &rows, e, "PRAGMA user_version") < 0 || db_next(&rows, e) < 0) return -1;
    *out = db_number(&rows, 0);
    return 0;
}

static int create(struct db *db, const struct db_options *o, struct err *e) {
    char version[64];
    (void)snprintf(version, sizeof version, "PRAGMA user_version=%llu",
                   (unsigned long long)o->version);
    if (db_begin(db, e) < 0) return -1;
    if (run_script(db, o->schema, e) < 0 || run_script(db, version, e) < 0) {
        db_rollback(db);
        return -1;
    }
    return db_commit(db, e);
}

static int prepare(struct db *db, const struct db_options *o, struct err *e) {
    (void)sqlite3_busy_timeout(db->handle, DB_BUSY_MS);
    (void)sqlite3_extended_result_codes(db->handle, 1);
    if (run_script(db,
                   "PRAGMA locking_mode=EXCLUSIVE;PRAGMA journal_mode=WAL;"
                   "PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;PRAGMA cache_size=-256;"
                   "PRAGMA mmap_size=0;PRAGMA temp_store=MEMORY;"
                   "PRAGMA journal_size_limit=1048576;PRAGMA trusted_schema=OFF;",
                   e) < 0)
        return -1;
    uint64_t version;
    if (check(db, e) < 0 || read_version(db, &version, e) < 0) return -1;
    if (version == 0) return create(db, o, e);
    if (version != o->version)
        return err_set(e, ERR_UNSUPPORTED,
                       "the database '%s' has version %llu, this program knows %llu: use the "
                       "program that made it",
                       o->path, (unsigned long long)version, (unsigned long long)o->version);
    return 0;
}

struct db *db_open(const struct db_options *o, struct err *e) {
    struct db *db = xnew(struct db);
    db->path = xstrdup(o->path);
    int fd =
        open(o->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* private from birth */
    if (fd >= 0) (void)close(fd);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(o->path, &db->handle, flags, NULL);
    int r = code == SQLITE_OK ? prepare(db, o, e) : failed(db, code, e);
    if (r == 0) return db;
    db_close(db);
    return NULL;
}

void db_close(struct db *db) {
    if (!db) return;
    for (size_t i = 0; i < db->cached; i++) (void)sqlite3_finalize(db->cache[i].statement);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK);
    (void)code;
    free(db->path);
    free(db);
}
