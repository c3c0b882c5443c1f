/* SPDX-License-Identifier: Apache-2.0 — db_test.c */
#include "storage/image/db.h"

#include "base/file.h"
#include "storage/unpack/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char SCHEMA[] = "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT);";

struct fixture {
    char dir[64], path[96];
    struct db *db;
    struct err e;
};

static struct db *open_db(struct fixture *f, uint64_t version) {
    const struct db_options o = {f->path, SCHEMA, version};
    return db_open(&o, &f->e);
}

static void fixture_open(struct fixture *f) {
    *f = (struct fixture){.db = NULL};
    (void)close(scratch_dir(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/x.db", f->dir);
    f->db = open_db(f, 1);
    if (!f->db) fail_msg("%s", f->e.msg);
}

static int insert(struct fixture *f, uint64_t k, struct str v) {
    return DB_RUN(f->db, &f->e, "INSERT INTO t(k, v) VALUES(?1, ?2)", DB_NUMBER(k), DB_TEXT(v));
}

static uint64_t rows_of(struct fixture *f) {
    AUTO(db_rows_done) struct db_rows rows = {NULL};
    assert_int_equal(DB_SELECT(f->db, &rows, &f->e, "SELECT count(*) FROM t"), 0);
    assert_int_equal(db_next(&rows, &f->e), 1);
    return db_number(&rows, 0);
}

static void what_was_written_is_there_after_reopening(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(insert(&f, 1ULL << 40, STR("text\0with NUL")), 0);
    db_close(f.db);
    f.db = open_db(&f, 1);
    {
        AUTO(db_rows_done) struct db_rows rows = {NULL};
        assert_int_equal(
            DB_SELECT(f.db, &rows, &f.e, "SELECT k, v FROM t WHERE k > ?1", DB_NUMBER(5)), 0);
        assert_int_equal(db_next(&rows, &f.e), 1);
        assert_int_equal(db_number(&rows, 0), 1ULL << 40);
        assert_true(str_eq(db_text(&rows, 1), STR("text\0with NUL")));
        assert_int_equal(db_next(&rows, &f.e), 0);
    }
    db_close(f.db);
}

static void a_failed_transaction_leaves_nothing(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(db_begin(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 1, STR("a")), 0);
    assert_int_equal(insert(&f, 1, STR("twice")), -1);
    assert_non_null(strstr(f.e.msg, "UNIQUE"));
    db_rollback(f.db);
    db_rollback(f.db);
    assert_int_equal(rows_of(&f), 0);
    db_close(f.db);
}

static void a_second_opener_is_told_that_it_is_busy(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_null(open_db(&f, 1));
    assert_int_equal(f.e.kind, ERR_BUSY);
    db_close(f.db);
}

static void a_file_that_is_no_database_is_refused_with_the_remedy(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    db_close(f.db);
    AUTO_FREE char *junk = xmalloc(8192);
    memset(junk, 'j', 8192);
    assert_int_equal(file_write_durable(AT_FDCWD, f.path, str_make(junk, 8192), 0600), -EINVAL);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, f.dir);
    assert_int_equal(file_write_durable(dir, "x.db", str_make(junk, 8192), 0600), 0);
    assert_null(open_db(&f, 1));
    assert_int_equal(f.e.kind, ERR_CORRUPT);
    assert_non_null(strstr(f.e.msg, "x.db' is damaged"));
    assert_non_null(strstr(f.e.msg, "move"));
}

static void a_damaged_page_is_found_at_opening(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    AUTO_FREE char *text = xmalloc(900);
    memset(text, 't', 900);
    for (uint64_t k = 1; k < 200; k++) assert_int_equal(insert(&f, k, str_make(text, 900)), 0);
    db_close(f.db);
    AUTO_CLOSE int fd = open(f.path, O_WRONLY | O_CLOEXEC);
    memset(text, 0xff, 900);
    for (uint64_t page = 2; page < 20; page++)
        assert_int_equal(file_pwrite_all(fd, text, 900, page * 4096), 0);
    assert_null(open_db(&f, 1));
    assert_int_equal(f.e.kind, ERR_CORRUPT);
}

static void a_newer_schema_is_left_alone(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    db_close(f.db);
    assert_null(open_db(&f, 2));
    assert_int_equal(f.e.kind, ERR_UNSUPPORTED);
    f.db = open_db(&f, 1);
    assert_non_null(f.db);
    db_close(f.db);
}

static void the_file_is_for_its_owner_alone(void **state) {
    (void)state;
    struct fixture f;
    struct stat st;
    fixture_open(&f);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    db_close(f.db);
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
    (void)state;
    struct err e = {0};
    const struct db_options o = {"/nonexistent/x.db", SCHEMA, 1};
    assert_null(db_open(&o, &e));
    assert_non_null(strstr(e.msg, "/nonexistent/x.db"));
}

static int setup(void **state) {
    (void)state;
    scratch_mount("32m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_there_after_reopening),
        cmocka_unit_test(a_failed_transaction_leaves_nothing),
        cmocka_unit_test(a_second_opener_is_told_that_it_is_busy),
        cmocka_unit_test(a_file_that_is_no_database_is_refused_with_the_remedy),
        cmocka_unit_test(a_damaged_page_is_found_at_opening),
        cmocka_unit_test(a_newer_schema_is_left_alone),
        cmocka_unit_test(the_file_is_for_its_owner_alone),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
