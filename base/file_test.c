/* SPDX-License-Identifier: Apache-2.0 — file_test.c */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cmocka.h>

struct fixture {
    char path[64];
    int dir;
};

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    (void)snprintf(f->path, sizeof f->path, "/tmp/gridlet-file-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dir = file_open_dir(AT_FDCWD, f->path);
    assert_true(f->dir >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)close(f->dir);
    int r = file_remove_tree(AT_FDCWD, f->path);
    free(f);
    return r;
}

static void expect_content(int dir, const char *name, struct str want) {
    AUTO(buf_done) struct buf b = BUF(0);
    assert_int_equal(file_read_all(dir, name, 4096, &b), 0);
    assert_true(str_eq(buf_view(&b), want));
}

static int fds_open(void) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int count = 0;
    assert_int_equal(file_dir_open(&d, AT_FDCWD, "/proc/self/fd"), 0);
    while (file_dir_next(&d, &entry) > 0) count++;
    return count - 1;
}

static void durable_write_makes_and_replaces_with_the_given_mode(void **state) {
    struct fixture *f = *state;
    struct stat st;
    mode_t umask_before = umask(077);
    assert_int_equal(file_write_durable(f->dir, "a", STR("one"), 0644), 0);
    (void)umask(umask_before);
    expect_content(f->dir, "a", STR("one"));
    assert_int_equal(fstatat(f->dir, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(file_write_durable(f->dir, "a", STR("second"), 0600), 0);
    expect_content(f->dir, "a", STR("second"));
    assert_int_equal(file_exists(f->dir, ".a.tmp"), 0);
}

static void durable_write_replaces_what_a_crash_left(void **state) {
    struct fixture *f = *state;
    assert_int_equal(symlinkat("/etc/passwd", f->dir, ".a.tmp"), 0);
    assert_int_equal(file_write_atomic(f->dir, "a", STR("x"), 0600), 0);
    expect_content(f->dir, "a", STR("x"));
    assert_int_equal(file_exists(f->dir, ".a.tmp"), 0);
}

static void durable_write_refuses_paths_and_long_names_and_leaves_nothing(void **state) {
    struct fixture *f = *state;
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    assert_int_equal(file_write_durable(f->dir, "a/b", STR("x"), 0600), -EINVAL);
    assert_int_equal(file_write_durable(f->dir, "", STR("x"), 0600), -EINVAL);
    assert_int_equal(file_write_durable(f->dir, name, STR("x"), 0600), -ENAMETOOLONG);
    assert_int_equal(mkdirat(f->dir, "taken", 0700), 0);
    assert_int_equal(file_write_durable(f->dir, "taken", STR("x"), 0600), -EISDIR);
    assert_int_equal(file_exists(f->dir, ".taken.tmp"), 0);
}

/* A tmpfs of one MiB, full but for nothing. */
static bool fill_small_disk(struct fixture *f, int *out_dir) {
    static const char zeros[4096];
    char path[128];
    assert_int_equal(file_mkdirs(f->dir, "small", 0700), 0);
    (void)snprintf(path, sizeof path, "%s/small", f->path);
    if (mount("none", path, "tmpfs", 0, "size=1m") < 0) return false;
    *out_dir = file_open_dir(AT_FDCWD, path);
    assert_int_equal(file_reserve(*out_dir, "kept", 4096), 0);
    AUTO_CLOSE int fd = openat(*out_dir, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, sizeof zeros) > 0) continue;
    assert_int_equal(errno, ENOSPC);
    return true;
}

static void reserved_room_is_there_when_the_disk_is_full(void **state) {
    struct fixture *f = *state;
    char path[128];
    AUTO_CLOSE int dir = -1;
    if (!fill_small_disk(f, &dir)) skip();
    assert_int_equal(file_write_durable(dir, "other", STR("x"), 0600), -ENOSPC);
    assert_int_equal(file_exists(dir, ".other.tmp"), 0);
    assert_int_equal(file_write_durable(dir, "kept", STR("the end"), 0640), 0);
    expect_content(dir, "kept", STR("the end"));
    assert_int_equal(file_exists(dir, ".kept.tmp"), 0);
    assert_int_equal(file_write_durable(dir, "kept", STR("again"), 0640), -ENOSPC);
    expect_content(dir, "kept", STR("the end"));
    (void)snprintf(path, sizeof path, "%s/small", f->path);
    assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void what_is_longer_in_the_reserved_file_is_cut(void **state) {
    struct fixture *f = *state;
    assert_int_equal(file_write_atomic(f->dir, ".a.tmp", STR("a long rest"), 0600), 0);
    assert_int_equal(file_write_durable(f->dir, "a", STR("x"), 0600), 0);
    expect_content(f->dir, "a", STR("x"));
}

static void read_stops_at_the_limit(void **state) {
    struct fixture *f = *state;
    AUTO(buf_done) struct buf b = BUF(0);
    AUTO(arena_done) struct arena a = ARENA(64);
    struct str s = STR_NONE;
    assert_int_equal(file_write_atomic(f->dir, "a", STR("12345678"), 0600), 0);
    assert_int_equal(file_read_all(f->dir, "a", 7, &b), -EFBIG);
    assert_null(b.p);
    assert_int_equal(file_read_all(f->dir, "a", 8, &b), 0);
    assert_int_equal(b.n, 8);
    assert_int_equal(file_read_arena(&a, f->dir, "a", 8, &s), 0);
    assert_string_equal(s.p, "12345678");
    AUTO(arena_done) struct arena tiny = ARENA(4);
    assert_int_equal(file_read_arena(&tiny, f->dir, "a", 8, &s), -ENOSPC);
    assert_int_equal(file_read_all(f->dir, "absent", 8, &b), -ENOENT);
}

static void read_handles_proc_files_and_empty_files(void **state) {
    struct fixture *f = *state;
    AUTO(buf_done) struct buf b = BUF(0);
    assert_int_equal(file_read_all(AT_FDCWD, "/proc/self/status", 65536, &b), 0);
    assert_true(str_starts(buf_view(&b), STR("Name:")));
    buf_done(&b);
    assert_int_equal(file_write_atomic(f->dir, "empty", STR(""), 0600), 0);
    assert_int_equal(file_read_all(f->dir, "empty", 0, &b), 0);
    assert_int_equal(b.n, 0);
}

static void positioned_reads_and_writes_are_whole(void **state) {
    struct fixture *f = *state;
    char got[16] = {0};
    AUTO_CLOSE int fd = openat(f->dir, "p", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(file_pwrite_all(fd, "hello", 5, 3), 0);
    assert_int_equal(file_pread_full(fd, got, sizeof got, 3), 5);
    assert_string_equal(got, "hello");
    assert_int_equal(file_read_full(fd, got, sizeof got), 8);
    assert_int_equal(file_pread_full(fd, got, sizeof got, 100), 0);
    assert_int_equal(file_write_all(-1, "x", 1), -EBADF);
    assert_int_equal(file_pread_full(-1, got, 1, 0), -EBADF);
}

static void put_writes_an_existing_file_only(void **state) {
    struct fixture *f = *state;
    assert_int_equal(file_put(f->dir, "none", STR("1")), -ENOENT);
    assert_int_equal(file_put(AT_FDCWD, "/dev/full", STR("1")), -ENOSPC);
    assert_int_equal(file_put(AT_FDCWD, "/dev/null", STR("1")), 0);
}

static void beneath_refuses_every_way_out(void **state) {
    struct fixture *f = *state;
    assert_int_equal(file_mkdirs(f->dir, "d/e", 0700), 0);
    assert_int_equal(symlinkat("/etc", f->dir, "abs"), 0);
    assert_int_equal(symlinkat("../..", f->dir, "up"), 0);
    assert_int_equal(symlinkat("d/e", f->dir, "in"), 0);
    assert_int_equal(file_open_beneath(f->dir, "../x", O_RDONLY, 0), -EXDEV);
    assert_int_equal(file_open_beneath(f->dir, "/etc", O_RDONLY, 0), -EXDEV);
    assert_int_equal(file_open_beneath(f->dir, "abs", O_RDONLY, 0), -EXDEV);
    assert_int_equal(file_open_beneath(f->dir, "up/x", O_RDONLY, 0), -EXDEV);
    AUTO_CLOSE int in = file_open_beneath(f->dir, "in", O_RDONLY | O_DIRECTORY, 0);
    assert_true(in >= 0);
    assert_int_equal(fcntl(in, F_GETFD), FD_CLOEXEC);
    AUTO_CLOSE int made = file_open_beneath(f->dir, "d/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
    assert_true(made >= 0);
}

static void in_root_resolves_links_inside_the_root(void **state) {
    struct fixture *f = *state;
    assert_int_equal(file_mkdirs(f->dir, "root/etc", 0700), 0);
    assert_int_equal(symlinkat("/etc", f->dir, "root/abs"), 0);
    AUTO_CLOSE int root = file_open_dir(f->dir, "root");
    assert_int_equal(file_write_atomic(root, "here", STR("x"), 0600), 0);
    AUTO_CLOSE int a = file_open_in_root(root, "abs/../../../here", O_RDONLY, 0);
    assert_true(a >= 0);
    assert_int_equal(file_open_in_root(root, "/etc/passwd", O_RDONLY, 0), -ENOENT);
}

static void cloexec_can_be_set_and_cleared(void **state) {
    (void)state;
    AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_set_cloexec(fd, false), 0);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    assert_int_equal(file_set_cloexec(fd, true), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(file_set_cloexec(-1, true), -EBADF);
}

static void exists_tells_dangling_links_and_absence(void **state) {
    struct fixture *f = *state;
    assert_int_equal(symlinkat("nowhere", f->dir, "dangling"), 0);
    assert_int_equal(file_exists(f->dir, "dangling"), 1);
    assert_int_equal(file_exists(f->dir, "absent"), 0);
    assert_int_equal(file_exists(f->dir, "dangling/x"), 0);
}

static void mkdirs_makes_all_parts_and_accepts_what_is_there(void **state) {
    struct fixture *f = *state;
    char path[PATH_MAX + 2];
    assert_int_equal(file_mkdirs(f->dir, "a//b/c/", 0750), 0);
    assert_int_equal(file_mkdirs(f->dir, "a/b/c", 0700), 0);
    assert_int_equal(file_exists(f->dir, "a/b/c"), 1);
    assert_int_equal(file_write_atomic(f->dir, "file", STR(""), 0600), 0);
    assert_int_equal(file_mkdirs(f->dir, "file", 0700), -ENOTDIR);
    assert_int_equal(file_mkdirs(f->dir, "file/x", 0700), -ENOTDIR);
    assert_int_equal(file_mkdirs(f->dir, "", 0700), -EINVAL);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(file_mkdirs(f->dir, path, 0700), -ENAMETOOLONG);
    AUTO_CLOSE int made = file_mkdirs_open(f->dir, "x/y", 0700);
    assert_true(made >= 0);
}

static void removal_takes_trees_and_leaves_what_links_point_to(void **state) {
    struct fixture *f = *state;
    assert_int_equal(file_mkdirs(f->dir, "keep", 0700), 0);
    assert_int_equal(file_mkdirs(f->dir, "t/a/b", 0700), 0);
    assert_int_equal(symlinkat("../../keep", f->dir, "t/a/link"), 0);
    AUTO_CLOSE int keep = file_open_dir(f->dir, "keep");
    assert_int_equal(file_write_atomic(keep, "k", STR("k"), 0600), 0);
    AUTO_CLOSE int b = file_open_dir(f->dir, "t/a/b");
    for (int i = 0; i < 300; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(i % 2 ? mkdirat(b, name, 0700) : mknodat(b, name, S_IFIFO | 0600, 0), 0);
    }
    assert_int_equal(file_remove_tree(f->dir, "t"), 0);
    assert_int_equal(file_exists(f->dir, "t"), 0);
    expect_content(keep, "k", STR("k"));
    assert_int_equal(file_remove_tree(f->dir, "t"), 0);
    assert_int_equal(symlinkat("keep", f->dir, "l"), 0);
    assert_int_equal(file_remove_tree(f->dir, "l"), 0);
    expect_content(keep, "k", STR("k"));
}

static void removal_of_a_deep_tree_uses_few_descriptors(void **state) {
    struct fixture *f = *state;
    enum { DEPTH = 3000 };
    int fd = file_mkdirs_open(f->dir, "deep", 0700);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        assert_int_equal(symlinkat("/etc", fd, "l"), 0);
        int next = file_open_dir(fd, "d");
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
    int before = fds_open();
    pid_t child = fork();
    if (child == 0) {
        /* Take every descriptor but the ones that are promised to be enough. */
        int spare[FILE_REMOVE_FDS_MAX];
        for (int i = 0; i < FILE_REMOVE_FDS_MAX; i++) spare[i] = dup(0);
        while (dup(0) >= 0) {
        }
        for (int i = 0; i < FILE_REMOVE_FDS_MAX; i++) (void)close(spare[i]);
        _exit(file_remove_tree(f->dir, "deep") == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(file_exists(f->dir, "deep"), 0);
    assert_int_equal(fds_open(), before);
}

static void removal_stops_at_a_mount_point(void **state) {
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(file_mkdirs(f->dir, "t/mnt", 0700), 0);
    (void)snprintf(path, sizeof path, "%s/t/mnt", f->path);
    if (mount("none", path, "tmpfs", 0, NULL) < 0) skip();
    AUTO_CLOSE int mnt = file_open_dir(AT_FDCWD, path);
    assert_int_equal(file_write_atomic(mnt, "inside", STR("x"), 0600), 0);
    assert_int_equal(file_remove_tree(f->dir, "t"), -EBUSY);
    assert_int_equal(file_remove_tree(f->dir, "t/mnt"), -EBUSY);
    expect_content(mnt, "inside", STR("x"));
    assert_int_equal(umount2(path, MNT_DETACH), 0);
    assert_int_equal(file_remove_tree(f->dir, "t"), 0);
}

static void iteration_gives_each_name_once(void **state) {
    struct fixture *f = *state;
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    assert_int_equal(file_mkdirs(f->dir, "sub", 0700), 0);
    assert_int_equal(file_write_atomic(f->dir, "file", STR(""), 0600), 0);
    assert_int_equal(file_dir_open(&d, f->dir, "."), 0);
    int seen = 0;
    while (file_dir_next(&d, &entry) > 0) {
        assert_true(entry.type == (strcmp(entry.name, "sub") ? DT_REG : DT_DIR));
        seen++;
    }
    assert_int_equal(seen, 2);
    struct file_dir none = FILE_DIR_NONE;
    assert_int_equal(file_dir_open(&none, f->dir, "file"), -ENOTDIR);
    file_dir_close(&none);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(durable_write_makes_and_replaces_with_the_given_mode),
        T(durable_write_replaces_what_a_crash_left),
        T(durable_write_refuses_paths_and_long_names_and_leaves_nothing),
        T(reserved_room_is_there_when_the_disk_is_full),
        T(what_is_longer_in_the_reserved_file_is_cut),
        T(read_stops_at_the_limit),
        T(read_handles_proc_files_and_empty_files),
        T(positioned_reads_and_writes_are_whole),
        T(put_writes_an_existing_file_only),
        T(beneath_refuses_every_way_out),
        T(in_root_resolves_links_inside_the_root),
        T(cloexec_can_be_set_and_cleared),
        T(exists_tells_dangling_links_and_absence),
        T(mkdirs_makes_all_parts_and_accepts_what_is_there),
        T(removal_takes_trees_and_leaves_what_links_point_to),
        T(removal_of_a_deep_tree_uses_few_descriptors),
        T(removal_stops_at_a_mount_point),
        T(iteration_gives_each_name_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
