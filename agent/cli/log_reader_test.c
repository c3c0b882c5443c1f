/* SPDX-License-Identifier: Apache-2.0 — log_reader_test.c */
#include "agent/cli/log_reader.h"

#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
    char path[64];
    char *log;
    int dir, out;
};

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    (void)snprintf(f->path, sizeof f->path, "/tmp/gridlet-log-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->log = xasprintf("%s/0.log", f->path);
    f->dir = file_open_dir(AT_FDCWD, f->path);
    f->out = openat(f->dir, "out", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)close(f->dir);
    (void)close(f->out);
    int r = file_remove_tree(AT_FDCWD, f->path);
    free(f->log);
    free(f);
    return r;
}

static void append(struct fixture *f, const char *text) {
    AUTO_CLOSE int fd = openat(f->dir, "0.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_int_equal(file_write_all(fd, text, strlen(text)), 0);
}

static void line(struct fixture *f, const char *payload) {
    AUTO_FREE char *text = xasprintf("2026-11-21T00:00:00Z stdout F %s\n", payload);
    append(f, text);
}

static void open_reader(struct fixture *f, struct log_reader *r, bool follow) {
    struct err e = {0};
    if (log_reader_open(r, f->log, follow, &e) < 0) fail_msg("%s", e.msg);
    r->out_fd = r->error_fd = f->out;
}

static void expect_output(struct fixture *f, struct log_reader *r, const char *want) {
    struct err e = {0};
    AUTO(buf_done) struct buf got = BUF(0);
    assert_int_equal(log_reader_drain(r, &e), 0);
    assert_int_equal(file_read_all(f->dir, "out", 1 << 20, &got), 0);
    assert_string_equal(buf_c(&got), want);
}

static void rotate(struct fixture *f) {
    (void)renameat(f->dir, "0.log.2", f->dir, "0.log.3");
    (void)renameat(f->dir, "0.log.1", f->dir, "0.log.2");
    assert_int_equal(renameat(f->dir, "0.log", f->dir, "0.log.1"), 0);
    append(f, "");
}

static void rotated_files_come_first_and_parts_are_joined(void **state) {
    struct fixture *f = *state;
    AUTO(log_reader_close) struct log_reader r = LOG_READER_NONE;
    line(f, "one");
    rotate(f);
    append(f, "2026-11-21T00:00:00Z stderr P tw\n2026-11-21T00:00:00Z stderr F o\n");
    rotate(f);
    line(f, "three");
    open_reader(f, &r, false);
    expect_output(f, &r, "one\ntwo\nthree\n");
}

static void following_loses_nothing_over_one_or_more_rotations(void **state) {
    struct fixture *f = *state;
    AUTO(log_reader_close) struct log_reader r = LOG_READER_NONE;
    open_reader(f, &r, true); /* before there is a file */
    expect_output(f, &r, "");
    line(f, "1");
    struct pollfd p = {.fd = r.notify_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    expect_output(f, &r, "1\n");
    line(f, "2");
    rotate(f);
    line(f, "3");
    rotate(f);
    line(f, "4");
    expect_output(f, &r, "1\n2\n3\n4\n");
    assert_int_equal(renameat(f->dir, "0.log", f->dir, "0.log.20261121"), 0); /* a kubelet */
    line(f, "5");
    assert_int_equal(poll(&p, 1, 10000), 1);
    expect_output(f, &r, "1\n2\n3\n4\n5\n");
}

static void a_line_is_written_when_it_is_whole(void **state) {
    struct fixture *f = *state;
    AUTO(log_reader_close) struct log_reader r = LOG_READER_NONE;
    append(f, "2026-11-21T00:00:00Z std");
    open_reader(f, &r, true);
    expect_output(f, &r, "");
    append(f, "out F whole\n");
    expect_output(f, &r, "whole\n");
}

static void an_endless_line_does_not_fill_memory(void **state) {
    struct fixture *f = *state;
    AUTO(log_reader_close) struct log_reader r = LOG_READER_NONE;
    AUTO_FREE char *junk = xmalloc(LOG_READER_LINE_MAX * 3 + 1);
    struct err e = {0};
    struct stat st;
    memset(junk, 'j', LOG_READER_LINE_MAX * 3);
    append(f, junk);
    open_reader(f, &r, false);
    assert_int_equal(log_reader_drain(&r, &e), 0);
    assert_int_equal(fstat(f->out, &st), 0);
    assert_true(st.st_size >= LOG_READER_LINE_MAX * 2);
}

static void a_missing_log_is_an_error_unless_followed(void **state) {
    struct fixture *f = *state;
    AUTO(log_reader_close) struct log_reader r = LOG_READER_NONE;
    struct err e = {0};
    assert_int_equal(log_reader_open(&r, f->log, false, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    log_reader_close(&r);
    assert_int_equal(log_reader_open(&r, "/nonexistent/x/0.log", true, &e), -1);
    log_reader_close(&r);
    assert_int_equal(log_reader_open(&r, "nopath", true, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(rotated_files_come_first_and_parts_are_joined),
        T(following_loses_nothing_over_one_or_more_rotations),
        T(a_line_is_written_when_it_is_whole),
        T(an_endless_line_does_not_fill_memory),
        T(a_missing_log_is_an_error_unless_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
