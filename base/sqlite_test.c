/* SPDX-License-Identifier: Apache-2.0 — sqlite_test.c */
#include "base/sqlite.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char SCHEMA[] = "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT);";

struct fixture {
    char dir[64], path[96];
    struct sqlite *db;
    bool shared;
    struct err e;
};

static struct sqlite *open_db(struct fixture *f, uint64_t version) {
    const struct sqlite_options o = {.path = f->path,
                                     .schema = SCHEMA,
                                     .version = version,
                                     .remedy = "move it",
                                     .cache_bytes = 1 << 18,
                                     .check = true,
                                     .shared = f->shared};
    return sqlite_open(&o, &f->e);
}

static char scratch[] = "/tmp/sqlite_test.XXXXXX";

static void fixture_make(struct fixture *f, bool shared) {
    static unsigned number;
    *f = (struct fixture){.shared = shared};
    (void)snprintf(f->dir, sizeof f->dir, "%s/%u", scratch, number++);
    assert_int_equal(mkdir(f->dir, 0755), 0);
    (void)snprintf(f->path, sizeof f->path, "%s/x.db", f->dir);
    f->db = open_db(f, 1);
    if (!f->db) fail_msg("%s", f->e.msg);
}

static void fixture_open(struct fixture *f) { fixture_make(f, false); }

static int insert(struct fixture *f, uint64_t k, struct str v) {
    return SQL_RUN(f->db, &f->e, "INSERT INTO t(k, v) VALUES(?1, ?2)", SQL_NUMBER(k), SQL_TEXT(v));
}

static uint64_t rows_of(struct fixture *f) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    assert_int_equal(SQL_SELECT(f->db, &rows, &f->e, "SELECT count(*) FROM t"), 0);
    assert_int_equal(sqlite_next(&rows, &f->e), 1);
    return sqlite_number(&rows, 0);
}

static void what_was_written_is_there_after_reopening(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(insert(&f, 1ULL << 40, STR("text\0with NUL")), 0);
    sqlite_close(f.db);
    f.db = open_db(&f, 1);
    {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        assert_int_equal(
            SQL_SELECT(f.db, &rows, &f.e, "SELECT k, v FROM t WHERE k > ?1", SQL_NUMBER(5)), 0);
        assert_int_equal(sqlite_next(&rows, &f.e), 1);
        assert_int_equal(sqlite_number(&rows, 0), 1ULL << 40);
        assert_true(str_eq(sqlite_text(&rows, 1), STR("text\0with NUL")));
        assert_int_equal(sqlite_next(&rows, &f.e), 0);
    }
    sqlite_close(f.db);
}

static void a_failed_transaction_leaves_nothing(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(sqlite_begin(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 1, STR("a")), 0);
    assert_int_equal(insert(&f, 1, STR("twice")), -1);
    assert_non_null(strstr(f.e.msg, "UNIQUE"));
    sqlite_rollback(f.db);
    sqlite_rollback(f.db);
    assert_int_equal(rows_of(&f), 0);
    sqlite_close(f.db);
}

static void a_second_opener_is_told_that_it_is_busy(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_null(open_db(&f, 1));
    assert_int_equal(f.e.kind, ERR_BUSY);
    sqlite_close(f.db);
}

static void a_file_that_is_no_database_is_refused_with_the_remedy(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    sqlite_close(f.db);
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
    sqlite_close(f.db);
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
    sqlite_close(f.db);
    assert_null(open_db(&f, 2));
    assert_int_equal(f.e.kind, ERR_UNSUPPORTED);
    f.db = open_db(&f, 1);
    assert_non_null(f.db);
    sqlite_close(f.db);
}

static void the_file_is_for_its_owner_alone(void **state) {
    (void)state;
    struct fixture f;
    struct stat st;
    fixture_open(&f);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    sqlite_close(f.db);
}

static void a_folder_that_is_not_there_is_an_error(void **state) {
    (void)state;
    struct err e = {0};
    const struct sqlite_options o = {.path = "/nonexistent/x.db", .schema = SCHEMA, .version = 1};
    assert_null(sqlite_open(&o, &e));
    assert_non_null(strstr(e.msg, "/nonexistent/x.db"));
}

static void a_part_of_a_transaction_is_taken_back_alone(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(sqlite_begin(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 1, STR("a")), 0);
    assert_int_equal(sqlite_mark(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 2, STR("b")), 0);
    assert_int_equal(sqlite_take_back(f.db, &f.e), 0);
    assert_int_equal(sqlite_mark(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 3, STR("c")), 0);
    assert_int_equal(sqlite_changes(f.db), 1);
    assert_int_equal(sqlite_keep(f.db, &f.e), 0);
    assert_int_equal(sqlite_commit(f.db, &f.e), 0);
    assert_int_equal(rows_of(&f), 2);
    sqlite_close(f.db);
}

static void a_shared_file_is_read_beside_an_open_transaction(void **state) {
    (void)state;
    struct fixture f, reader;
    fixture_make(&f, true);
    reader = f;
    reader.db = open_db(&reader, 1);
    assert_non_null(reader.db);
    assert_int_equal(insert(&f, 1, STR("a")), 0);
    assert_int_equal(sqlite_begin(f.db, &f.e), 0);
    assert_int_equal(insert(&f, 2, STR("b")), 0);
    assert_int_equal(sqlite_begin_read(reader.db, &reader.e), 0);
    assert_int_equal(rows_of(&reader), 1);
    assert_int_equal(sqlite_commit(f.db, &f.e), 0);
    assert_int_equal(rows_of(&reader), 1); /* one view until it ends */
    sqlite_rollback(reader.db);
    assert_int_equal(rows_of(&reader), 2);
    assert_true(sqlite_wal_pages(f.db) > 0);
    assert_int_equal(sqlite_checkpoint(f.db, SQLITE_WAIT_FOR_READERS, &f.e), 0);
    assert_int_equal(sqlite_wal_pages(f.db), 0);
    sqlite_close(reader.db);
    sqlite_close(f.db);
}

static void an_error_names_the_file_the_statement_and_the_code(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(insert(&f, 1, STR("a")), 0);
    assert_int_equal(insert(&f, 1, STR("a")), -1);
    assert_non_null(strstr(f.e.msg, "x.db"));
    assert_non_null(strstr(f.e.msg, "INSERT INTO t"));
    assert_non_null(strstr(f.e.msg, "SQLITE_CONSTRAINT"));
    sqlite_close(f.db);
}

static void bytes_and_the_upper_half_of_numbers_come_back(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(SQL_RUN(f.db, &f.e, "INSERT INTO t(k, v) VALUES(?1, ?2)",
                             SQL_NUMBER(UINT64_MAX), SQL_BYTES(STR("\0\xff"))),
                     0);
    {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        assert_int_equal(SQL_SELECT(f.db, &rows, &f.e, "SELECT k, v, NULL FROM t"), 0);
        assert_int_equal(sqlite_next(&rows, &f.e), 1);
        assert_true(sqlite_number(&rows, 0) == UINT64_MAX);
        assert_true(str_eq(sqlite_bytes(&rows, 1), STR("\0\xff")));
        assert_int_equal(sqlite_bytes(&rows, 2).n, 0);
    }
    sqlite_close(f.db);
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(AT_FDCWD, scratch);
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
        cmocka_unit_test(a_part_of_a_transaction_is_taken_back_alone),
        cmocka_unit_test(a_shared_file_is_read_beside_an_open_transaction),
        cmocka_unit_test(an_error_names_the_file_the_statement_and_the_code),
        cmocka_unit_test(bytes_and_the_upper_half_of_numbers_come_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
