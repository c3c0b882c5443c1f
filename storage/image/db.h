/* SPDX-License-Identifier: Apache-2.0 — db.h: one SQLite file, small and durable.
 *
 * WAL with synchronous=FULL: what a commit returned for survives a power cut. The file belongs to
 * one process (exclusive lock). SQLite is wrapped here alone. Statements are prepared once, keyed
 * by the address of their text: sql must be a string literal. One thread at a time: the caller
 * locks.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define DB_STATEMENTS_MAX 48 /* different texts in one process */

struct db;

/* dir_path/name. schema: run once in a new file; version: of the schema, 1 and up. BUSY: another
 * process has it; CORRUPT: damaged (the message says what to do); UNSUPPORTED: of a newer version.
 */
struct db_options {
    const char *path;
    const char *schema;
    uint64_t version;
};
struct db *db_open(const struct db_options *o, struct err *e) MUST_CHECK;
void db_close(struct db *db);

struct db_value {
    bool is_text;
    uint64_t number; /* < 2^63 */
    struct str text; /* borrowed for the call */
};
#define DB_NUMBER(v) ((struct db_value){.number = (v)})
#define DB_TEXT(s)   ((struct db_value){.is_text = true, .text = (s)})

/* What goes into a statement's ?1, ?2, ... */
struct db_args {
    const struct db_value *values; /* borrowed for the call */
    size_t count;
};
/* The first value is a filler: C has no empty initialiser list. */
#define DB_ARGS(...)                                                                               \
    ((struct db_args){(const struct db_value[]){{.number = 0}, ##__VA_ARGS__} + 1,                 \
                      sizeof((const struct db_value[]){{.number = 0}, ##__VA_ARGS__}) /            \
                              sizeof(struct db_value) -                                            \
                          1})

/* Runs a statement without result rows. */
int db_run(struct db *db, const char *sql, struct db_args args, struct err *e) MUST_CHECK;
#define DB_RUN(db, e, sql, ...) db_run(db, sql, DB_ARGS(__VA_ARGS__), e)

/* Result rows; one run of a text at a time. Usage:
 *   AUTO(db_rows_done) struct db_rows rows = {NULL};
 *   if (DB_SELECT(db, &rows, e, "SELECT ...", args) < 0) return -1;
 *   while ((r = db_next(&rows, e)) > 0) ... */
struct db_rows {
    struct db *db;   /* borrowed */
    void *statement; /* borrowed */
};
int db_select(struct db *db, struct db_rows *rows, const char *sql, struct db_args args,
              struct err *e) MUST_CHECK;
#define DB_SELECT(db, rows, e, sql, ...) db_select(db, rows, sql, DB_ARGS(__VA_ARGS__), e)
/* 1: a row, 0: no more, -1. */
int db_next(struct db_rows *rows, struct err *e) MUST_CHECK;
/* Columns of the present row, from 0; text is valid until the next db_next(). */
uint64_t db_number(const struct db_rows *rows, int column);
struct str db_text(const struct db_rows *rows, int column);
void db_rows_done(struct db_rows *rows);

int db_begin(struct db *db, struct err *e) MUST_CHECK;
/* Durable when it returns 0; on failure nothing of the transaction is left. */
int db_commit(struct db *db, struct err *e) MUST_CHECK;
void db_rollback(struct db *db);
