/* SPDX-License-Identifier: Apache-2.0 — trash_test.c */
#include "storage/image/trash.h"

#include "base/file.h"
#include "storage/unpack/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void fill(int dir, const char *name) {
    char path[128];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(path, sizeof path, "%s/a/b%d/c", name, i);
        assert_int_equal(file_mkdirs(dir, path, 0755), 0);
    }
}

static int entries(int dir) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int count = 0;
    assert_int_equal(file_dir_open(&d, dir, "."), 0);
    while (file_dir_next(&d, &entry) > 0) count++;
    return count;
}

static void what_is_put_disappears_at_once_and_is_deleted(void **state) {
    (void)state;
    char path[64];
    struct err e = {0};
    AUTO_CLOSE int dir = scratch_dir(path);
    struct trash *t = trash_open(dir, &e);
    assert_non_null(t);
    fill(dir, "x");
    assert_int_equal(trash_put(t, "x"), 0);
    assert_int_equal(file_exists(dir, "x"), 0);
    assert_int_equal(trash_put(t, "x"), -ENOENT);
    trash_drain(t);
    assert_int_equal(entries(dir), 0);
    trash_close(t);
}

static void what_an_earlier_process_left_is_deleted(void **state) {
    (void)state;
    char path[64];
    struct err e = {0};
    AUTO_CLOSE int dir = scratch_dir(path);
    fill(dir, "trash-41");
    fill(dir, "keep");
    struct trash *t = trash_open(dir, &e);
    assert_non_null(t);
    fill(dir, "y");
    assert_int_equal(trash_put(t, "y"), 0); /* the old number is not used again */
    trash_drain(t);
    assert_int_equal(entries(dir), 1);
    trash_close(t);
}

static void closing_does_not_lose_anything(void **state) {
    (void)state;
    char path[64];
    struct err e = {0};
    AUTO_CLOSE int dir = scratch_dir(path);
    for (int round = 0; round < 20; round++) {
        struct trash *t = trash_open(dir, &e);
        assert_non_null(t);
        fill(dir, "x");
        assert_int_equal(trash_put(t, "x"), 0);
        trash_close(t); /* wherever it is */
    }
    struct trash *t = trash_open(dir, &e);
    trash_drain(t);
    assert_int_equal(entries(dir), 0);
    trash_close(t);
    trash_close(NULL);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("32m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_disappears_at_once_and_is_deleted),
        cmocka_unit_test(what_an_earlier_process_left_is_deleted),
        cmocka_unit_test(closing_does_not_lose_anything),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
