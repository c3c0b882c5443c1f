/* SPDX-License-Identifier: Apache-2.0 — sqlite.c: SQLite behind the few calls that we need.
 *
 * A file that is not shared has locking_mode=EXCLUSIVE, which keeps the WAL index on the heap (no
 * shared memory file) and makes a second daemon on the same folder fail at once. A shared one has
 * the ordinary locks, and its owner decides when the log is emptied: a checkpoint that SQLite
 * starts itself would sit inside somebody's commit.
 *
 * POSIX drops all locks of a process on a file when any descriptor of it is closed, so the file is
 * made with O_EXCL here (for its mode) and never opened again but by SQLite.
 *
 * A damaged file is refused and left alone; what to do about it is a person's decision. */
#include "base/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#define SQLITE_BUSY_MS     1000
#define SQLITE_LOG_KEEP    (64 * 1024 * 1024) /* overwriting a log is cheaper than growing one */
#define SQLITE_SHOWN_CHARS 40                 /* of a statement in a message */
#define SQLITE_PAGE_BYTES  4096
#define SQLITE_SLOTS       256 /* power of two, above SQLITE_STATEMENTS_MAX */

struct cached {
    const char *sql;         /* borrowed, static */
    sqlite3_stmt *statement; /* owned */
};

struct sqlite {
    sqlite3 *handle;    /* owned */
    char *path;         /* owned */
    const char *remedy; /* borrowed */
    struct cached cache[SQLITE_SLOTS];
    size_t cached;
    uint32_t wal_pages;
};

/* ---- errors ---- */

static enum err_kind kind_of(const struct sqlite *db, int code) {
    int sys = db->handle ? sqlite3_system_errno(db->handle) : 0;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_CORRUPT;
    case SQLITE_FULL: return ERR_LIMIT;
    case SQLITE_IOERR: return sys == ENOSPC || sys == EDQUOT ? ERR_LIMIT : ERR_IO;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return ERR_DENIED;
    default: return ERR_IO;
    }
}

static const char *name_of(int code) {
    static const struct {
        int code;
        const char *name;
    } NAMES[] = {
        {SQLITE_BUSY, "SQLITE_BUSY"},         {SQLITE_LOCKED, "SQLITE_LOCKED"},
        {SQLITE_CORRUPT, "SQLITE_CORRUPT"},   {SQLITE_NOTADB, "SQLITE_NOTADB"},
        {SQLITE_FULL, "SQLITE_FULL"},         {SQLITE_IOERR, "SQLITE_IOERR"},
        {SQLITE_PERM, "SQLITE_PERM"},         {SQLITE_READONLY, "SQLITE_READONLY"},
        {SQLITE_CANTOPEN, "SQLITE_CANTOPEN"}, {SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT"},
        {SQLITE_TOOBIG, "SQLITE_TOOBIG"},     {SQLITE_NOMEM, "SQLITE_NOMEM"},
        {SQLITE_PROTOCOL, "SQLITE_PROTOCOL"},
    };
    for (size_t i = 0; i < COUNT(NAMES); i++)
        if (NAMES[i].code == (code & 0xff)) return NAMES[i].name;
    return "SQLITE_ERROR";
}

static int damaged(const struct sqlite *db, const char *why, struct err *e) {
    return err_set(e, ERR_CORRUPT, "the database '%s' is damaged (%s): %s", db->path, why,
                   db->remedy);
}

/* what: the statement, or what else was attempted. */
static int failed(const struct sqlite *db, int code, const char *what, struct err *e) {
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    enum err_kind kind = kind_of(db, code);
    if (kind == ERR_CORRUPT) return damaged(db, text, e);
    if (kind == ERR_BUSY)
        return err_set(e, ERR_BUSY, "the database '%s' is in use by another process", db->path);
    if (kind == ERR_LIMIT)
        return err_set(e, ERR_LIMIT,
                       "database '%s': %s (%s, code %d): the disk below it is full, free some "
                       "space",
                       db->path, text, name_of(code), code);
    return err_set(e, kind, "database '%s', %.*s: %s (%s, code %d)", db->path, SQLITE_SHOWN_CHARS,
                   what, text, name_of(code), code);
}

/* ---- statements ---- */

static size_t slot_of(const char *sql) {
    uint64_t h = (uint64_t)(uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 56) & (SQLITE_SLOTS - 1);
}

static sqlite3_stmt *prepared(struct sqlite *db, const char *sql, struct err *e) {
    size_t at = slot_of(sql);
    for (; db->cache[at].sql; at = (at + 1) & (SQLITE_SLOTS - 1))
        if (db->cache[at].sql == sql) return db->cache[at].statement;
    assert(db->cached < SQLITE_STATEMENTS_MAX);
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);
    if (code != SQLITE_OK) {
        (void)failed(db, code, sql, e);
        return NULL;
    }
    db->cache[at] = (struct cached){sql, s};
    db->cached++;
    return s;
}

static int bind(sqlite3_stmt *s, int at, const struct sqlite_value *v,
                sqlite3_destructor_type keep) {
    const char *p = v->text.p ? v->text.p : "";
    switch (v->type) {
    case SQLITE_IS_NUMBER: return sqlite3_bind_int64(s, at, (sqlite3_int64)v->number);
    case SQLITE_IS_TEXT: return sqlite3_bind_text64(s, at, p, v->text.n, keep, SQLITE_UTF8);
    case SQLITE_IS_BYTES: return sqlite3_bind_blob64(s, at, p, v->text.n, keep);
    case SQLITE_IS_NULL: return sqlite3_bind_null(s, at);
    }
    return SQLITE_MISUSE;
}

static sqlite3_stmt *bound(struct sqlite *db, const char *sql, struct sqlite_args args,
                           sqlite3_destructor_type keep, struct err *e) {
    sqlite3_stmt *s = prepared(db, sql, e);
    if (!s) return NULL;
    assert(!sqlite3_stmt_busy(s));
    assert((size_t)sqlite3_bind_parameter_count(s) == args.count);
    for (size_t i = 0; i < args.count; i++) {
        int code = bind(s, (int)i + 1, &args.values[i], keep);
        if (code == SQLITE_OK) continue;
        (void)failed(db, code, sql, e);
        return NULL;
    }
    return s;
}

int sqlite_select(struct sqlite *db, struct sqlite_rows *rows, const char *sql,
                  struct sqlite_args args, struct err *e) {
    sqlite3_stmt *s = bound(db, sql, args, SQLITE_TRANSIENT, e);
    if (!s) return -1;
    rows->db = db;
    rows->statement = s;
    return 0;
}

int sqlite_next(struct sqlite_rows *rows, struct err *e) {
    int code = sqlite3_step(rows->statement);
    if (code == SQLITE_ROW) return 1;
    if (code == SQLITE_DONE) return 0;
    return failed(rows->db, code, sqlite3_sql(rows->statement), e);
}

uint64_t sqlite_number(const struct sqlite_rows *rows, int column) {
    return (uint64_t)sqlite3_column_int64(rows->statement, column);
}

struct str sqlite_text(const struct sqlite_rows *rows, int column) {
    const char *p = (const char *)sqlite3_column_text(rows->statement, column);
    return str_make(p ? p : "", (size_t)sqlite3_column_bytes(rows->statement, column));
}

struct str sqlite_bytes(const struct sqlite_rows *rows, int column) {
    const char *p = sqlite3_column_blob(rows->statement, column);
    return str_make(p ? p : "", (size_t)sqlite3_column_bytes(rows->statement, column));
}

void sqlite_rows_done(struct sqlite_rows *rows) {
    if (!rows->statement) return;
    (void)sqlite3_reset(rows->statement);
    (void)sqlite3_clear_bindings(rows->statement);
    rows->statement = NULL;
}

/* The values outlive the run, so nothing is copied. */
int sqlite_run(struct sqlite *db, const char *sql, struct sqlite_args args, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {db, bound(db, sql, args, SQLITE_STATIC, e)};
    if (!rows.statement) return -1;
    int r = sqlite_next(&rows, e);
    assert(r <= 0);
    return r;
}

uint64_t sqlite_changes(const struct sqlite *db) { return (uint64_t)sqlite3_changes(db->handle); }

/* ---- transactions ---- */

int sqlite_begin(struct sqlite *db, struct err *e) { return SQL_RUN(db, e, "BEGIN IMMEDIATE"); }

int sqlite_begin_read(struct sqlite *db, struct err *e) { return SQL_RUN(db, e, "BEGIN"); }

int sqlite_commit(struct sqlite *db, struct err *e) {
    if (SQL_RUN(db, e, "COMMIT") == 0) return 0;
    sqlite_rollback(db);
    return -1;
}

void sqlite_rollback(struct sqlite *db) {
    struct err ignored; /* a failed transaction may have rolled itself back */
    if (!sqlite3_get_autocommit(db->handle)) (void)!SQL_RUN(db, &ignored, "ROLLBACK");
}

int sqlite_mark(struct sqlite *db, struct err *e) { return SQL_RUN(db, e, "SAVEPOINT mark"); }

int sqlite_keep(struct sqlite *db, struct err *e) { return SQL_RUN(db, e, "RELEASE mark"); }

int sqlite_take_back(struct sqlite *db, struct err *e) {
    if (SQL_RUN(db, e, "ROLLBACK TO mark") < 0) return -1;
    return sqlite_keep(db, e);
}

/* ---- the log ---- */

static int committed(void *user, sqlite3 *handle, const char *name, int pages) {
    (void)handle;
    (void)name;
    ((struct sqlite *)user)->wal_pages = (uint32_t)pages;
    return SQLITE_OK;
}

uint32_t sqlite_wal_pages(const struct sqlite *db) { return db->wal_pages; }

int sqlite_checkpoint(struct sqlite *db, enum sqlite_checkpoint how, struct err *e) {
    static const int MODES[] = {[SQLITE_AS_FAR_AS_POSSIBLE] = SQLITE_CHECKPOINT_PASSIVE,
                                [SQLITE_WAIT_FOR_READERS] = SQLITE_CHECKPOINT_RESTART,
                                [SQLITE_CUT_LOG] = SQLITE_CHECKPOINT_TRUNCATE};
    int pages = 0, moved = 0;
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, MODES[how], &pages, &moved);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return failed(db, code, "checkpoint", e);
    if (moved >= pages) db->wal_pages = 0;
    return 0;
}

/* ---- opening ---- */

static int run_script(struct sqlite *db, const char *sql, struct err *e) {
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : failed(db, code, sql, e);
}

static int check(struct sqlite *db, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "PRAGMA quick_check(1)") < 0) return -1;
    if (sqlite_next(&rows, e) < 0) return -1;
    struct str verdict = sqlite_text(&rows, 0);
    char why[128];
    (void)snprintf(why, sizeof why, "%.*s", STR_ARG(str_sub(verdict, 0, 100)));
    return str_eq(verdict, STR("ok")) ? 0 : damaged(db, why, e);
}

static int read_version(struct sqlite *db, uint64_t *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(db, &rows, e, "PRAGMA user_version") < 0 || sqlite_next(&rows, e) < 0) return -1;
    *out = sqlite_number(&rows, 0);
    return 0;
}

static int create(struct sqlite *db, const struct sqlite_options *o, struct err *e) {
    char version[64];
    (void)snprintf(version, sizeof version, "PRAGMA user_version=%llu",
                   (unsigned long long)o->version);
    if (sqlite_begin(db, e) < 0) return -1;
    if (run_script(db, o->schema, e) < 0 || run_script(db, version, e) < 0) {
        sqlite_rollback(db);
        return -1;
    }
    return sqlite_commit(db, e);
}

static int configure(struct sqlite *db, const struct sqlite_options *o, struct err *e) {
    (void)sqlite3_busy_timeout(db->handle, SQLITE_BUSY_MS);
    (void)sqlite3_extended_result_codes(db->handle, 1);
    char settings[512];
    (void)snprintf(settings, sizeof settings,
                   "PRAGMA page_size=%u;PRAGMA locking_mode=%s;PRAGMA journal_mode=WAL;PRAGMA "
                   "synchronous=FULL;"
                   "PRAGMA foreign_keys=ON;PRAGMA cache_size=-%u;PRAGMA mmap_size=0;"
                   "PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=%d;"
                   "PRAGMA trusted_schema=OFF;",
                   o->page_bytes ? o->page_bytes : SQLITE_PAGE_BYTES,
                   o->shared ? "NORMAL" : "EXCLUSIVE", o->cache_bytes / 1024,
                   o->shared ? SQLITE_LOG_KEEP : 1024 * 1024);
    if (run_script(db, settings, e) < 0) return -1;
    if (!o->shared) return 0;
    (void)sqlite3_wal_autocheckpoint(db->handle, 0);
    (void)sqlite3_wal_hook(db->handle, committed, db);
    return 0;
}

static int prepare(struct sqlite *db, const struct sqlite_options *o, struct err *e) {
    uint64_t version;
    if (configure(db, o, e) < 0) return -1;
    if (o->check && check(db, e) < 0) return -1;
    if (read_version(db, &version, e) < 0) return -1;
    if (version == 0) return create(db, o, e);
    if (version != o->version)
        return err_set(e, ERR_UNSUPPORTED,
                       "the database '%s' has version %llu, this program knows %llu: use the "
                       "program that made it",
                       o->path, (unsigned long long)version, (unsigned long long)o->version);
    return 0;
}

/* Its counters cost a process-wide lock at each allocation, and nobody asks for them. */
static void no_statistics(void) { (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

struct sqlite *sqlite_open(const struct sqlite_options *o, struct err *e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, no_statistics);
    struct sqlite *db = xnew(struct sqlite);
    db->path = xstrdup(o->path);
    db->remedy = o->remedy;
    int fd = open(o->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* private from birth */
    if (fd >= 0) (void)close(fd);
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    int code = sqlite3_open_v2(o->path, &db->handle, flags, NULL);
    int r = code == SQLITE_OK ? prepare(db, o, e) : failed(db, code, "open", e);
    if (r == 0) return db;
    sqlite_close(db);
    return NULL;
}

void sqlite_close(struct sqlite *db) {
    if (!db) return;
    for (size_t i = 0; i < SQLITE_SLOTS; i++) (void)sqlite3_finalize(db->cache[i].statement);
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK);
    (void)code;
    free(db->path);
    free(db);
}
