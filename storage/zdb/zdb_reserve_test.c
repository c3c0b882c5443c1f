/* SPDX-License-Identifier: Apache-2.0 — zdb_reserve_test.c: the reserve alone, on a small tmpfs.
 * What it is for, on a real full disk: zdb_disk_test.c. */
#include "storage/zdb/zdb_reserve.h"

#include "storage/zdb/zdb_sample.h"

#include "base/clock.h"

#include <sys/vfs.h>

#define MIB ((uint64_t)1 << 20)

static uint64_t size_of(const char *folder) {
    struct stat st;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, ZDB_RESERVE_NAME);
    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static struct zdb_reserve *reserve_open(const char *folder, uint64_t bytes) {
    struct zdb_reserve *r = NULL;
    struct err e = {0};
    if (zdb_reserve_open(folder, bytes, &r, &e) < 0) fail_msg("reserve: %s", e.msg);
    return r;
}

static uint64_t held(struct zdb_reserve *r) {
    struct zdb_reserve_info info;
    zdb_reserve_info(r, &info);
    return info.held;
}

/* Takes all of the file system but `spare` bytes. */
static void fill(int dir, uint64_t spare) {
    struct statfs s;
    AUTO_CLOSE int fd = openat(dir, "ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fstatfs(fd, &s), 0);
    uint64_t free_bytes = (uint64_t)s.f_bfree * (uint64_t)s.f_bsize;
    assert_int_equal(fallocate(fd, 0, 0, (off_t)(free_bytes - spare)), 0);
}

static void a_reserve_has_its_blocks_and_outlives_a_restart(void **state) {
    (void)state;
    char path[64];
    struct stat st;
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, 3 * MIB);
    assert_true(zdb_reserve_allows_puts(r));
    assert_int_equal(fstatat(dir, ZDB_RESERVE_NAME, &st, 0), 0);
    assert_int_equal(st.st_size, 3 * MIB);
    assert_true((uint64_t)st.st_blocks * 512 >= 3 * MIB);
    zdb_reserve_close(r);
    r = reserve_open(path, 2 * MIB); /* another setting */
    assert_int_equal(size_of(path), 2 * MIB);
    zdb_reserve_close(r);
    r = reserve_open(path, 0);
    assert_int_equal(size_of(path), 0);
    assert_int_equal(faccessat(dir, ZDB_RESERVE_NAME, F_OK, 0), -1);
    assert_true(zdb_reserve_allows_puts(r));
    assert_false(zdb_reserve_release(r, dir, -ENOSPC, 1));
    zdb_reserve_close(r);
}

static void a_sparse_copy_of_a_reserve_is_filled(void **state) {
    (void)state;
    char path[64];
    struct stat st;
    AUTO_CLOSE int dir = scratch_dir(path);
    AUTO_CLOSE int fd = openat(dir, ZDB_RESERVE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 2 * MIB), 0);
    struct zdb_reserve *r = reserve_open(path, 2 * MIB);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 >= 2 * MIB);
    zdb_reserve_close(r);
}

static void a_second_process_is_refused(void **state) {
    (void)state;
    char path[64];
    struct zdb_reserve *other = NULL;
    struct err e = {0};
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, MIB);
    assert_int_equal(zdb_reserve_open(path, MIB, &other, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    assert_non_null(strstr(e.msg, ZDB_RESERVE_NAME));
    zdb_reserve_close(r);
}

static void a_folder_that_is_not_there_is_named(void **state) {
    (void)state;
    struct zdb_reserve *r = NULL;
    struct err e = {0};
    uint64_t bytes;
    assert_int_equal(zdb_reserve_open(SCRATCH "/none", MIB, &r, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, SCRATCH "/none"));
    assert_int_equal(zdb_reserve_default(SCRATCH "/none", MIB, &bytes, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_file_system_without_fallocate_is_refused_clearly(void **state) {
    (void)state;
    struct zdb_reserve *r = NULL;
    struct err e = {0};
    const char *path = SCRATCH "/ramfs";
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mount("ramfs", path, "ramfs", 0, ""), 0); /* has none, and no limit either */
    assert_int_equal(zdb_reserve_open(path, MIB, &r, &e), -1);
    assert_int_equal(umount(path), 0);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "fallocate"));
}

static void the_default_is_a_data_file_but_a_small_part_of_the_file_system(void **state) {
    (void)state;
    struct err e = {0};
    struct statfs s;
    uint64_t bytes;
    assert_int_equal(statfs(SCRATCH, &s), 0);
    assert_int_equal(zdb_reserve_default(SCRATCH, 1000, &bytes, &e), 0);
    assert_int_equal(bytes, 1000);
    assert_int_equal(zdb_reserve_default(SCRATCH, (uint64_t)1 << 40, &bytes, &e), 0);
    assert_int_equal(bytes, (uint64_t)s.f_blocks * (uint64_t)s.f_bsize / 100 * 5);
}

static void pieces_are_given_back_until_nothing_is_left(void **state) {
    (void)state;
    char path[64];
    unsigned pieces = 0;
    struct zdb_reserve_info info;
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, 4 * MIB);
    assert_false(zdb_reserve_release(r, dir, -EIO, 1)); /* another trouble */
    assert_false(zdb_reserve_release(r, dir, -EFBIG, 1));
    AUTO_CLOSE int elsewhere = open("/proc/self", O_RDONLY | O_CLOEXEC);
    assert_false(zdb_reserve_release(r, elsewhere, -ENOSPC, 1)); /* it would not help there */
    assert_true(zdb_reserve_allows_puts(r));
    while (zdb_reserve_release(r, dir, pieces % 2 ? -ENOSPC : -EDQUOT, 1)) {
        pieces++;
        assert_int_equal(size_of(path), held(r));
    }
    assert_int_equal(held(r), 0);
    zdb_reserve_info(r, &info);
    assert_int_equal(info.releases, pieces);
    assert_in_range(pieces, 2, 16);
    zdb_reserve_close(r);
}

static void puts_wait_until_there_is_more_than_the_missing_piece(void **state) {
    (void)state;
    char path[64];
    clock_fake(1000 * 1000000ull, 0);
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, 4 * MIB);
    fill(dir, 0);
    assert_true(zdb_reserve_release(r, dir, -ENOSPC, 1));
    uint64_t left = held(r);
    assert_true(left < 4 * MIB);
    assert_false(zdb_reserve_allows_puts(r)); /* exactly what is missing is there: too little */
    assert_int_equal(size_of(path), left);
    assert_int_equal(unlinkat(dir, "ballast", 0), 0);
    assert_false(zdb_reserve_allows_puts(r)); /* not looked at again yet */
    clock_fake_advance(ZDB_RESERVE_RETRY_MS);
    assert_true(zdb_reserve_allows_puts(r));
    assert_int_equal(size_of(path), 4 * MIB);
    assert_true(zdb_reserve_release(r, dir, -ENOSPC, 1));
    assert_true(zdb_reserve_refill(r)); /* the timer does not wait for puts */
    assert_true(zdb_reserve_allows_puts(r));
    zdb_reserve_close(r);
    clock_real();
}

static void a_disk_that_is_full_at_the_start_is_no_error(void **state) {
    (void)state;
    char path[64];
    AUTO_CLOSE int dir = scratch_dir(path);
    fill(dir, 0);
    struct zdb_reserve *r = reserve_open(path, MIB);
    assert_false(zdb_reserve_refill(r));
    assert_false(zdb_reserve_allows_puts(r));
    assert_int_equal(held(r), 0);
    assert_int_equal(unlinkat(dir, "ballast", 0), 0);
    assert_true(zdb_reserve_refill(r));
    assert_true(zdb_reserve_allows_puts(r));
    assert_int_equal(size_of(path), MIB);
    zdb_reserve_close(r);
}

/* ---- the io ---- */

struct failing {
    struct zdb_io io;
    int error;
    unsigned left; /* calls that still fail */
    unsigned calls;
};

static int fails(struct failing *f) {
    f->calls++;
    if (f->left == 0) return 0;
    f->left--;
    return f->error;
}

static int failing_write(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset) {
    int r = fails(CONTAINER_OF(io, struct failing, io));
    if (r == 0) return zdb_io_real()->write(io, fd, iov, count, offset);
    iov[0].iov_len = 0; /* used up */
    return r;
}

static int failing_sync(struct zdb_io *io, int fd) {
    (void)fd;
    return fails(CONTAINER_OF(io, struct failing, io));
}

static int failing_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    (void)fd;
    (void)bytes;
    return fails(CONTAINER_OF(io, struct failing, io));
}

static int write_with(struct zdb_reserve *r, int dir, struct failing *f) {
    struct zdb_reserve_io v;
    char text[] = "vital words";
    char back[sizeof text] = {0};
    AUTO_CLOSE int fd = openat(dir, "file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct iovec iov[] = {{text, 6}, {text + 6, sizeof text - 6}};
    zdb_reserve_io_init(&v, r, &f->io);
    int n = v.io.write(&v.io, fd, iov, 2, 0);
    if (n < 0) return n;
    assert_int_equal(pread(fd, back, sizeof back, 0), sizeof back);
    assert_string_equal(back, "vital words");
    return 0;
}

static void a_vital_write_is_repeated_as_long_as_the_reserve_gives(void **state) {
    (void)state;
    char path[64];
    struct failing f = {
        {.write = failing_write, .sync = failing_sync, .truncate = failing_truncate},
        -ENOSPC,
        3,
        0};
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, 4 * MIB);
    assert_int_equal(write_with(r, dir, &f), 0);
    assert_int_equal(f.calls, 4);
    assert_false(held(r) == 4 * MIB);
    assert_true(zdb_reserve_refill(r));
    f.left = 1;
    f.error = -EDQUOT;
    assert_int_equal(write_with(r, dir, &f), 0);
    f.left = 1000;
    assert_int_equal(write_with(r, dir, &f), -EDQUOT);
    assert_int_equal(held(r), 0);
    assert_true(f.left > 900);
    assert_true(zdb_reserve_refill(r));
    f.left = 1;
    f.error = -EIO;
    assert_int_equal(write_with(r, dir, &f), -EIO);
    assert_int_equal(held(r), 4 * MIB);
    zdb_reserve_close(r);
}

static void a_sync_that_met_the_end_is_not_repeated_but_the_next_has_room(void **state) {
    (void)state;
    char path[64];
    struct zdb_reserve_io v;
    struct failing f = {
        {.write = failing_write, .sync = failing_sync, .truncate = failing_truncate},
        -ENOSPC,
        1,
        0};
    AUTO_CLOSE int dir = scratch_dir(path);
    struct zdb_reserve *r = reserve_open(path, 4 * MIB);
    zdb_reserve_io_init(&v, r, &f.io);
    assert_int_equal(v.io.sync(&v.io, dir), -ENOSPC);
    assert_int_equal(f.calls, 1);
    assert_true(held(r) < 4 * MIB);
    f.left = 1;
    assert_int_equal(v.io.truncate(&v.io, dir, 0), 0);
    assert_int_equal(f.calls, 3);
    zdb_reserve_close(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reserve_has_its_blocks_and_outlives_a_restart),
        cmocka_unit_test(a_sparse_copy_of_a_reserve_is_filled),
        cmocka_unit_test(a_second_process_is_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
        cmocka_unit_test(a_file_system_without_fallocate_is_refused_clearly),
        cmocka_unit_test(the_default_is_a_data_file_but_a_small_part_of_the_file_system),
        cmocka_unit_test(pieces_are_given_back_until_nothing_is_left),
        cmocka_unit_test(puts_wait_until_there_is_more_than_the_missing_piece),
        cmocka_unit_test(a_disk_that_is_full_at_the_start_is_no_error),
        cmocka_unit_test(a_vital_write_is_repeated_as_long_as_the_reserve_gives),
        cmocka_unit_test(a_sync_that_met_the_end_is_not_repeated_but_the_next_has_room),
    };
    scratch_mount("32m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
