/* SPDX-License-Identifier: Apache-2.0 — sqlite.h: one SQLite file, durable, without surprises.
 *
 * WAL with synchronous=FULL: what a commit returned for survives a power cut. SQLite is wrapped
 * here alone. Statements are prepared once, keyed by the address of their text: sql must be a
 * string literal, so that nothing from outside can become SQL. A connection is used by one thread
 * at a time; a shared file may have many connections, each with its own thread. */
#pragma once

#include "base/err.h"

#define SQLITE_STATEMENTS_MAX 192 /* different texts on one connection */

struct sqlite;

struct sqlite_options {
    const char *path;     /* made when it is not there, readable by its owner alone */
    const char *schema;   /* run once in a new file */
    uint64_t version;     /* of the schema, 1 and up */
    const char *remedy;   /* what a person does about a damaged file; ends the message */
    uint32_t cache_bytes; /* of pages, per connection */
    uint32_t page_bytes;  /* of a new file; 0: SQLite's choice */
    bool shared; /* other connections of this process use it too; otherwise the file is locked */
    bool check;  /* read and check every page before anything else */
};
/* BUSY: another process has it; CORRUPT: damaged; UNSUPPORTED: made by another version. */
struct sqlite *sqlite_open(const struct sqlite_options *o, struct err *e) MUST_CHECK;
void sqlite_close(struct sqlite *db);

enum sqlite_type { SQLITE_IS_NUMBER, SQLITE_IS_TEXT, SQLITE_IS_BYTES, SQLITE_IS_NULL };
struct sqlite_value {
    enum sqlite_type type;
    uint64_t number; /* kept as 64 bits of two's complement */
    struct str text;
};
#define SQL_NUMBER(v) ((struct sqlite_value){.number = (uint64_t)(v)})
#define SQL_TEXT(s)   ((struct sqlite_value){.type = SQLITE_IS_TEXT, .text = (s)})
#define SQL_BYTES(s)  ((struct sqlite_value){.type = SQLITE_IS_BYTES, .text = (s)})

/* What goes into a statement's ?1, ?2, ... */
struct sqlite_args {
    const struct sqlite_value *values; /* borrowed for the call, with their bytes */
    size_t count;
};
/* The first value is a filler: C has no empty initialiser list. */
#define SQL_ARGS(...)                                                                              \
    ((struct sqlite_args){(const struct sqlite_value[]){{.number = 0}, ##__VA_ARGS__} + 1,         \
                          sizeof((const struct sqlite_value[]){{.number = 0}, ##__VA_ARGS__}) /    \
                                  sizeof(struct sqlite_value) -                                    \
                              1})

/* Runs a statement without result rows. */
int sqlite_run(struct sqlite *db, const char *sql, struct sqlite_args args,
               struct err *e) MUST_CHECK;
#define SQL_RUN(db, e, sql, ...) sqlite_run(db, sql, SQL_ARGS(__VA_ARGS__), e)
/* Rows that the last INSERT, UPDATE or DELETE changed. */
uint64_t sqlite_changes(const struct sqlite *db);

/* Result rows; one run of a text at a time. Usage:
 *   AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
 *   if (SQL_SELECT(db, &rows, e, "SELECT ...", args) < 0) return -1;
 *   while ((r = sqlite_next(&rows, e)) > 0) ... */
struct sqlite_rows {
    struct sqlite *db; /* borrowed */
    void *statement;   /* borrowed */
};
int sqlite_select(struct sqlite *db, struct sqlite_rows *rows, const char *sql,
                  struct sqlite_args args, struct err *e) MUST_CHECK;
#define SQL_SELECT(db, rows, e, sql, ...) sqlite_select(db, rows, sql, SQL_ARGS(__VA_ARGS__), e)
/* 1: a row, 0: no more, -1. */
int sqlite_next(struct sqlite_rows *rows, struct err *e) MUST_CHECK;
/* Columns of the present row, from 0; bytes are valid until the next sqlite_next(). NULL is 0 and
 * empty. */
uint64_t sqlite_number(const struct sqlite_rows *rows, int column);
struct str sqlite_text(const struct sqlite_rows *rows, int column);
struct str sqlite_bytes(const struct sqlite_rows *rows, int column);
void sqlite_rows_done(struct sqlite_rows *rows); /* idempotent */

/* ---- transactions ---- */

int sqlite_begin(struct sqlite *db, struct err *e) MUST_CHECK; /* takes the write lock at once */
/* Durable when it returns 0; on failure nothing of the transaction is left. */
int sqlite_commit(struct sqlite *db, struct err *e) MUST_CHECK;
void sqlite_rollback(struct sqlite *db); /* without one: nothing */
/* One view of the file for several statements; ended by sqlite_rollback(). */
int sqlite_begin_read(struct sqlite *db, struct err *e) MUST_CHECK;
/* A part of a transaction that may be taken back alone; one at a time. */
int sqlite_mark(struct sqlite *db, struct err *e) MUST_CHECK;
int sqlite_keep(struct sqlite *db, struct err *e) MUST_CHECK;
int sqlite_take_back(struct sqlite *db, struct err *e) MUST_CHECK;

/* ---- the write-ahead log; a shared file's owner empties it himself ---- */

uint32_t sqlite_wal_pages(const struct sqlite *db); /* as of this connection's last commit */
/* Moves the log's pages into the file as far as readers allow it; WAIT: until readers that are in
 * the way have ended, so that the log begins anew; CUT: and gives its space back to the disk. */
enum sqlite_checkpoint { SQLITE_AS_FAR_AS_POSSIBLE, SQLITE_WAIT_FOR_READERS, SQLITE_CUT_LOG };
int sqlite_checkpoint(struct sqlite *db, enum sqlite_checkpoint how, struct err *e) MUST_CHECK;
