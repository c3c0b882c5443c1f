/* SPDX-License-Identifier: Apache-2.0 — tree_test.c: the limits of a tree, each one reached. What a
 * tree does with good entries is in tar_test.c. */
#include "storage/unpack/tree.h"

#include "base/file.h"
#include "storage/unpack/report.h"
#include "storage/unpack/scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct tree_meta FILE_META = {.mode = S_IFREG | 0644};

struct fixture {
    char path[64];
    int root;
    struct tree *t;
    struct err e;
};

static struct fixture fixture_new(void) {
    struct fixture f = {.root = -1};
    f.root = scratch_dir(f.path);
    f.t = tree_new(f.root, 1000);
    return f;
}

static void fixture_done(struct fixture *f) {
    tree_free(f->t);
    (void)close(f->root);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->path), 0);
}

static struct entry_path path_of(const char *name) {
    struct entry_path p;
    struct err e = {0};
    if (entry_path_parse(str_of(name), &p, &e) < 0) fail_msg("%s", e.msg);
    return p;
}

static const struct tree_meta FOLDER = {.mode = S_IFDIR | 0755};

static void the_number_of_entries_has_a_limit(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct entry_path same = path_of("same");
    for (unsigned i = 0; i < TREE_ENTRIES_MAX; i++)
        if (tree_add(f.t, &same, &FOLDER, NULL, &f.e) < 0) {
            /* remembered folders may come first: their limit is the smaller one then */
            assert_non_null(strstr(f.e.msg, "too many folders"));
            break;
        }
    assert_int_equal(tree_add(f.t, &same, &FOLDER, NULL, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
}

static void the_number_of_whiteouts_counts_too(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct entry_path hidden = path_of(".wh.x");
    for (unsigned i = 0; i < TREE_ENTRIES_MAX; i++)
        assert_int_equal(tree_whiteout(f.t, &hidden, &f.e), 0);
    assert_int_equal(tree_whiteout(f.t, &hidden, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
    assert_non_null(strstr(f.e.msg, "entries"));
}

static void the_number_of_opaque_folders_has_a_limit(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct entry_path opaque = path_of("d/.wh..wh..opq");
    size_t count;
    for (unsigned i = 0; i < REPORT_OPAQUES_MAX; i++)
        assert_int_equal(tree_whiteout(f.t, &opaque, &f.e), 0);
    assert_int_equal(tree_whiteout(f.t, &opaque, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
    assert_non_null(strstr(f.e.msg, "opaque"));
    (void)tree_opaques(f.t, &count);
    assert_int_equal(count, REPORT_OPAQUES_MAX);
}

static void the_names_of_folders_have_a_limit(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char name[4001];
    for (size_t i = 0; i < sizeof name; i++) name[i] = i % 200 == 199 ? '/' : 'n';
    name[3998] = '\0';
    struct entry_path deep = path_of(name);
    int r = 0;
    size_t added = 0;
    while ((r = tree_add(f.t, &deep, &FOLDER, NULL, &f.e)) == 0) added++;
    assert_int_equal(f.e.kind, ERR_LIMIT);
    assert_non_null(strstr(f.e.msg, "too many folders"));
    assert_true(added > TREE_DIR_TIME_BYTES_MAX / 5000);
}

static void content_is_counted_over_all_files(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char text[600];
    memset(text, 'x', sizeof text);
    struct entry_path a = path_of("a");
    struct entry_path b = path_of("b");
    AUTO_CLOSE int fd = -1;
    AUTO_CLOSE int second = -1;
    assert_int_equal(tree_file_begin(f.t, &a, &FILE_META, &fd, &f.e), 0);
    assert_int_equal(tree_file_write(f.t, fd, str_make(text, 600), 0, &f.e), 0);
    assert_int_equal(tree_file_begin(f.t, &b, &FILE_META, &second, &f.e), 0);
    assert_int_equal(tree_file_write(f.t, second, str_make(text, 400), 0, &f.e), 0);
    assert_int_equal(tree_file_write(f.t, second, str_make(text, 1), 400, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
}

static void an_absurd_size_of_a_file_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct entry_path a = path_of("a");
    AUTO_CLOSE int fd = -1;
    assert_int_equal(tree_file_begin(f.t, &a, &FILE_META, &fd, &f.e), 0);
    assert_int_equal(tree_file_end(f.t, fd, UINT64_MAX, &FILE_META, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_INVALID);
    assert_int_equal(tree_file_end(f.t, fd, INT64_MAX, &FILE_META, &f.e), 0); /* a hole, on tmpfs */
}

static void expect_look(const struct fixture *f, const char *path, mode_t mode, unsigned owner) {
    struct stat st;
    assert_int_equal(fstatat(f->root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    if (st.st_mode != mode) fail_msg("%s: mode %o", path, st.st_mode);
    assert_int_equal(st.st_uid, owner);
    assert_int_equal(st.st_gid, owner);
}

/* What a folder hands down to what is made in it is not what the archive says. */
static void group_and_mode_of_a_set_group_folder_are_not_inherited(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    mode_t before = umask(0);
    const struct tree_meta folder = {.mode = S_IFDIR | 02777, .uid = 7, .gid = 7};
    const struct tree_meta inner = {.mode = S_IFDIR | 0755};
    const struct tree_meta program = {.mode = S_IFREG | 04755};
    const struct tree_meta theirs = {.mode = S_IFREG | 06711, .uid = 9, .gid = 9};
    const struct tree_meta link = {.mode = S_IFLNK | 0777};
    const struct tree_meta pipe = {.mode = S_IFIFO | 0640};
    const struct {
        const char *path;
        const struct tree_meta *meta;
    } files[] = {{"d/program", &program}, {"d/theirs", &theirs}, {"d/plain", &FILE_META}};
    struct entry_path d = path_of("d");
    struct entry_path in = path_of("d/in");
    struct entry_path l = path_of("d/l");
    struct entry_path fifo = path_of("d/fifo");
    assert_int_equal(tree_add(f.t, &d, &folder, NULL, &f.e), 0);
    assert_int_equal(tree_add(f.t, &in, &inner, NULL, &f.e), 0);
    assert_int_equal(tree_add(f.t, &l, &link, "x", &f.e), 0);
    assert_int_equal(tree_add(f.t, &fifo, &pipe, NULL, &f.e), 0);
    for (size_t i = 0; i < COUNT(files); i++) {
        struct entry_path p = path_of(files[i].path);
        AUTO_CLOSE int fd = -1;
        assert_int_equal(tree_file_begin(f.t, &p, files[i].meta, &fd, &f.e), 0);
        assert_int_equal(tree_file_write(f.t, fd, STR("x"), 0, &f.e), 0);
        assert_int_equal(tree_file_end(f.t, fd, 1, files[i].meta, &f.e), 0);
    }
    (void)umask(before);
    expect_look(&f, "d", S_IFDIR | 02777, 7);
    expect_look(&f, "d/in", S_IFDIR | 0755, 0);
    expect_look(&f, "d/l", S_IFLNK | 0777, 0);
    expect_look(&f, "d/fifo", S_IFIFO | 0640, 0);
    expect_look(&f, "d/program", S_IFREG | 04755, 0);
    expect_look(&f, "d/theirs", S_IFREG | 06711, 9);
    expect_look(&f, "d/plain", S_IFREG | 0644, 0);
}

static void the_root_can_only_be_a_folder(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct entry_path root = path_of("./");
    const struct tree_meta link = {.mode = S_IFLNK | 0777};
    int fd;
    assert_int_equal(tree_add(f.t, &root, &link, "x", &f.e), -1);
    assert_int_equal(tree_file_begin(f.t, &root, &FILE_META, &fd, &f.e), -1);
    assert_int_equal(tree_link(f.t, &root, &root, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_INVALID);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("64m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_entries_has_a_limit),
        cmocka_unit_test(the_number_of_whiteouts_counts_too),
        cmocka_unit_test(the_number_of_opaque_folders_has_a_limit),
        cmocka_unit_test(the_names_of_folders_have_a_limit),
        cmocka_unit_test(content_is_counted_over_all_files),
        cmocka_unit_test(an_absurd_size_of_a_file_is_refused),
        cmocka_unit_test(group_and_mode_of_a_set_group_folder_are_not_inherited),
        cmocka_unit_test(the_root_can_only_be_a_folder),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
