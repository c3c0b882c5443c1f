/* SPDX-License-Identifier: Apache-2.0 — tar_test.c: archives, good and hostile, against the folder
 * that they make. */
#include "storage/unpack/tar.h"

#include "base/file.h"
#include "storage/unpack/scratch.h"
#include "storage/unpack/tar_sample.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cmocka.h>

struct fixture {
    struct buf tar;
    int root;
    char path[64];
    struct tree *tree;
    struct err e;
    size_t at, chunk;
};

static struct fixture fixture_new(void) {
    struct fixture f = {.tar = BUF(SAMPLE_BYTES_MAX), .chunk = 10240};
    f.root = scratch_dir(f.path);
    f.tree = tree_new(f.root, 1 << 20);
    return f;
}

static void fixture_done(struct fixture *f) {
    tree_free(f->tree);
    buf_done(&f->tar);
    (void)close(f->root);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->path), 0);
}

static ssize_t next_chunk(void *user, const void **out, struct err *e) {
    struct fixture *f = user;
    (void)e;
    size_t n = f->tar.n - f->at < f->chunk ? f->tar.n - f->at : f->chunk;
    *out = f->tar.p + f->at;
    f->at += n;
    return (ssize_t)n;
}

static int run(struct fixture *f) {
    const struct tar_source source = {next_chunk, f};
    return tar_unpack(&source, f->tree, &f->e);
}

static void run_ok(struct fixture *f) {
    sample_end(&f->tar);
    if (run(f) < 0) fail_msg("%s", f->e.msg);
}

static void run_refused(struct fixture *f, enum err_kind kind, const char *says) {
    sample_end(&f->tar);
    assert_int_equal(run(f), -1);
    if (f->e.kind != kind || !strstr(f->e.msg, says)) fail_msg("kind %d: %s", f->e.kind, f->e.msg);
}

static void add(struct fixture *f, struct sample_entry e) { sample_add(&f->tar, e); }
#define FILE_ENTRY(n, text) ((struct sample_entry){.name = (n), .data = STR(text)})
#define DIR_ENTRY(n)        ((struct sample_entry){.name = (n), .type = '5'})

static struct stat stat_of(const struct fixture *f, const char *name) {
    struct stat st;
    if (fstatat(f->root, name, &st, AT_SYMLINK_NOFOLLOW) < 0) fail_msg("no '%s'", name);
    return st;
}

static void assert_content(const struct fixture *f, const char *name, const char *text) {
    AUTO(buf_done) struct buf b = BUF(1);
    assert_int_equal(file_read_all(f->root, name, 1 << 20, &b), 0);
    assert_int_equal(b.n, strlen(text));
    assert_memory_equal(b.p, text, b.n);
}

static bool opaque_listed(const struct fixture *f, const char *path) {
    size_t count;
    struct str list = tree_opaques(f->tree, &count);
    for (size_t i = 0; i < count; i++) {
        size_t n = (unsigned char)list.p[0] | (size_t)(unsigned char)list.p[1] << 8;
        if (str_eq(str_sub(list, 2, 2 + n), str_of(path))) return true;
        list = str_sub(list, 2 + n, list.n);
    }
    return false;
}

/* ---- what must be kept ---- */

static void files_keep_owner_mode_time_and_content(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){
                .name = "d/", .type = '5', .mode = 02755, .uid = 1, .gid = 2, .mtime = 1000});
    add(&f, (struct sample_entry){.name = "d/su",
                                  .mode = 04711,
                                  .uid = 33,
                                  .gid = 44,
                                  .mtime = 1234567890,
                                  .data = STR("hello")});
    add(&f, (struct sample_entry){.name = "d/sticky", .type = '5', .mode = 01777, .mtime = 5});
    run_ok(&f);
    struct stat st = stat_of(&f, "d/su");
    assert_int_equal(st.st_mode, S_IFREG | 04711);
    assert_int_equal(st.st_uid, 33);
    assert_int_equal(st.st_gid, 44);
    assert_int_equal(st.st_mtime, 1234567890);
    assert_content(&f, "d/su", "hello");
    st = stat_of(&f, "d");
    assert_int_equal(st.st_mode, S_IFDIR | 02755);
    assert_int_equal(st.st_mtime, 1000); /* although two entries came into it later */
    assert_int_equal(stat_of(&f, "d/sticky").st_mode, S_IFDIR | 01777);
    assert_int_equal(stat_of(&f, "d/sticky").st_gid, 0); /* not inherited from d */
}

static void the_root_entry_sets_the_roots_metadata(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "./", .type = '5', .mode = 0711, .uid = 9, .mtime = 77});
    add(&f, FILE_ENTRY("./x", "1"));
    run_ok(&f);
    struct stat st = stat_of(&f, ".");
    assert_int_equal(st.st_mode, S_IFDIR | 0711);
    assert_int_equal(st.st_uid, 9);
    assert_int_equal(st.st_mtime, 77);
}

static void links_devices_and_fifos_are_made(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char target[32];
    add(&f,
        (struct sample_entry){.name = "l", .type = '2', .link = "/etc/x", .uid = 5, .mtime = 9});
    add(&f,
        (struct sample_entry){.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3});
    add(&f, (struct sample_entry){.name = "b", .type = '4', .mode = 0600, .major = 7, .minor = 9});
    add(&f, (struct sample_entry){.name = "p", .type = '6', .mode = 0622});
    run_ok(&f);
    assert_int_equal(readlinkat(f.root, "l", target, sizeof target), 6);
    assert_memory_equal(target, "/etc/x", 6);
    assert_int_equal(stat_of(&f, "l").st_uid, 5);
    assert_int_equal(stat_of(&f, "l").st_mtime, 9);
    struct stat st = stat_of(&f, "null");
    assert_int_equal(st.st_mode, S_IFCHR | 0666);
    assert_int_equal(st.st_rdev, makedev(1, 3));
    assert_int_equal(stat_of(&f, "b").st_rdev, makedev(7, 9));
    assert_int_equal(stat_of(&f, "p").st_mode, S_IFIFO | 0622);
}

static void hard_links_share_an_inode(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("a/x", "same"));
    add(&f, (struct sample_entry){.name = "b/y", .type = '1', .link = "a/x"});
    add(&f, (struct sample_entry){.name = "a/x", .type = '1', .link = "b/y"}); /* itself */
    run_ok(&f);
    assert_int_equal(stat_of(&f, "a/x").st_ino, stat_of(&f, "b/y").st_ino);
    assert_content(&f, "b/y", "same");
}

static void attributes_are_kept_by_name(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    /* vfs_cap_data, revision 2: cap_net_bind_service in the permitted set, effective */
    static const char cap[20] = {1, 0, 0, 2, 0, 4};
    char value[64];
    sample_pax(&f.tar, "SCHILY.xattr.security.capability", str_make(cap, sizeof cap));
    add(&f, FILE_ENTRY("ping", "x"));
    sample_pax(&f.tar, "SCHILY.xattr.trusted.overlay.opaque", STR("y"));
    add(&f, DIR_ENTRY("d"));
    sample_pax(&f.tar, "SCHILY.xattr.security.selinux", STR("label"));
    add(&f, FILE_ENTRY("s", "x"));
    run_ok(&f);
    AUTO_CLOSE int fd = openat(f.root, "ping", O_RDONLY);
    assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof value), sizeof cap);
    assert_memory_equal(value, cap, sizeof cap);
    AUTO_CLOSE int d = openat(f.root, "d", O_RDONLY);
    assert_int_equal(fgetxattr(d, "trusted.overlay.opaque", value, sizeof value), -1);
    assert_int_equal(errno, ENODATA);
    AUTO_CLOSE int s = openat(f.root, "s", O_RDONLY);
    assert_int_equal(fgetxattr(s, "security.selinux", value, sizeof value), -1);
}

static void an_attribute_of_64_kib_is_the_largest(void **state) {
    (void)state;
    AUTO_FREE char *big = xmalloc(TREE_XATTR_BYTES_MAX + 1);
    AUTO(fixture_done) struct fixture f = fixture_new();
    sample_pax(&f.tar, "SCHILY.xattr.user.big", str_make(big, TREE_XATTR_BYTES_MAX + 1));
    add(&f, FILE_ENTRY("x", "x"));
    run_refused(&f, ERR_LIMIT, "entry 'x': the attribute 'user.big'");
}

static void holes_stay_holes(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    /* GNU sparse format 0.1: all records in one pax header */
    AUTO(buf_done) struct buf records = BUF(4096);
    static const char text[] = "29 GNU.sparse.size=104857600\n26 GNU.sparse.numblocks=1\n"
                               "31 GNU.sparse.map=52428800,512\n";
    sample_bytes(&records, text, sizeof text - 1);
    add(&f, (struct sample_entry){.name = "pax", .type = 'x', .data = buf_view(&records)});
    char data[512];
    memset(data, 'D', sizeof data);
    add(&f, (struct sample_entry){.name = "sparse", .data = str_make(data, sizeof data)});
    run_ok(&f);
    struct stat st = stat_of(&f, "sparse");
    assert_int_equal(st.st_size, 104857600);
    assert_true(st.st_blocks * 512 < 1 << 20);
    AUTO_CLOSE int fd = openat(f.root, "sparse", O_RDONLY);
    char read_back[4];
    assert_int_equal(pread(fd, read_back, 4, 52428800), 4);
    assert_memory_equal(read_back, "DDDD", 4);
    assert_int_equal(pread(fd, read_back, 4, 0), 4);
    assert_memory_equal(read_back, "\0\0\0\0", 4);
}

static void long_and_utf8_names_are_kept(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    sample_pax(&f.tar, "path", str_of(name));
    add(&f, FILE_ENTRY("short", "pax"));
    sample_pax(&f.tar, "path", STR("gr\xc3\xbc\xc3\x9f/\xe6\x97\xa5"));
    add(&f, FILE_ENTRY("short", "utf8"));
    add(&f, FILE_ENTRY("latin-\xe9", "raw")); /* a ustar name is bytes */
    add(&f, (struct sample_entry){.name = "././@LongLink", .type = 'L', .data = STR("gnu/long\0")});
    add(&f, FILE_ENTRY("short", "gnu"));
    run_ok(&f);
    assert_content(&f, name, "pax");
    assert_content(&f, "gr\xc3\xbc\xc3\x9f/\xe6\x97\xa5", "utf8");
    assert_content(&f, "latin-\xe9", "raw");
    assert_content(&f, "gnu/long", "gnu");
}

static void missing_parents_are_made_for_everyone(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "a/b/c", .uid = 7, .data = STR("x")});
    run_ok(&f);
    struct stat st = stat_of(&f, "a/b");
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(tree_inodes(f.tree), 4);
}

static void the_archive_may_come_byte_by_byte(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    f.chunk = 1;
    add(&f, FILE_ENTRY("a/x", "content"));
    add(&f, (struct sample_entry){.name = "l", .type = '2', .link = "a/x"});
    run_ok(&f);
    assert_content(&f, "l", "content");
}

static void bytes_behind_the_end_mark_are_read(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("x", "1"));
    sample_end(&f.tar);
    sample_bytes(&f.tar, "garbage", 7);
    assert_int_equal(run(&f), 0);
    assert_int_equal(f.at, f.tar.n);
}

static void an_archive_without_entries_is_a_layer(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    run_ok(&f);
    assert_int_equal(tree_inodes(f.tree), 1);
}

/* ---- replacing ---- */

static void a_later_entry_replaces_an_earlier_one(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("file", "old"));
    add(&f, FILE_ENTRY("file", "new"));
    add(&f, FILE_ENTRY("dir/in", "x"));
    add(&f, FILE_ENTRY("dir", "now a file"));
    add(&f, FILE_ENTRY("f2", "x"));
    add(&f, DIR_ENTRY("f2"));
    add(&f, FILE_ENTRY("keep/in", "x"));
    add(&f, (struct sample_entry){.name = "keep", .type = '5', .mode = 0700});
    add(&f, (struct sample_entry){.name = "l", .type = '2', .link = "file"});
    add(&f, FILE_ENTRY("l", "not through the link"));
    run_ok(&f);
    assert_content(&f, "file", "new");
    assert_content(&f, "dir", "now a file");
    assert_true(S_ISDIR(stat_of(&f, "f2").st_mode));
    assert_content(&f, "keep/in", "x");
    assert_int_equal(stat_of(&f, "keep").st_mode, S_IFDIR | 0700);
    assert_content(&f, "l", "not through the link");
    assert_content(&f, "file", "new");
}

static void a_hard_link_replaces_what_was_there(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("a", "A"));
    add(&f, FILE_ENTRY("b/c", "B"));
    add(&f, (struct sample_entry){.name = "b", .type = '1', .link = "a"});
    run_ok(&f);
    assert_content(&f, "b", "A");
}

/* ---- whiteouts ---- */

static void whiteouts_become_devices_and_opaque_folders_are_listed(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("etc/.wh.gone", ""));
    add(&f, FILE_ENTRY("var/.wh..wh..opq", ""));
    add(&f, FILE_ENTRY("var/new", "x"));
    add(&f, FILE_ENTRY(".wh..wh.aufs", ""));
    run_ok(&f);
    struct stat st = stat_of(&f, "etc/gone");
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(st.st_rdev, 0);
    assert_true(opaque_listed(&f, "var"));
    assert_content(&f, "var/new", "x");
    assert_int_equal(file_exists(f.root, ".wh..wh.aufs"), 0);
}

static void a_folder_that_follows_its_own_whiteout_is_opaque(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY(".wh.before", ""));
    add(&f, DIR_ENTRY("before"));
    add(&f, DIR_ENTRY("after"));
    add(&f, FILE_ENTRY(".wh.after", ""));
    add(&f, FILE_ENTRY("file", "stays"));
    add(&f, FILE_ENTRY(".wh.file", ""));
    add(&f, FILE_ENTRY(".wh.again", ""));
    add(&f, FILE_ENTRY("again", "here"));
    run_ok(&f);
    assert_true(opaque_listed(&f, "before"));
    assert_true(opaque_listed(&f, "after"));
    assert_content(&f, "file", "stays");
    assert_content(&f, "again", "here");
}

static void a_whiteout_gives_way_to_what_comes_below_it(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("a/.wh.d", ""));
    add(&f, FILE_ENTRY("a/d/new", "x")); /* no entry for a/d itself */
    add(&f, FILE_ENTRY(".wh.o", ""));
    add(&f, FILE_ENTRY("o/.wh..wh..opq", ""));
    run_ok(&f);
    assert_content(&f, "a/d/new", "x");
    assert_true(opaque_listed(&f, "a/d"));
    assert_true(opaque_listed(&f, "o"));
}

static void a_file_is_no_folder(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("file", "x"));
    add(&f, FILE_ENTRY("file/below", "x"));
    run_refused(&f, ERR_EXISTS, "entry 'file/below'");
}

static void overlayfs_own_whiteout_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "x", .type = '3'});
    run_refused(&f, ERR_INVALID, "entry 'x': a character device 0:0");
}

/* ---- hostile ---- */

static void names_that_lead_upwards_are_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("../escape", "x"));
    run_refused(&f, ERR_INVALID, "entry '../escape'");
    assert_int_equal(file_exists(f.root, "../escape"), 0);
}

static void absolute_names_stay_inside(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("/abs", "x"));
    run_ok(&f);
    assert_content(&f, "abs", "x");
    assert_int_equal(file_exists(AT_FDCWD, "/abs"), 0);
}

static void a_file_through_a_link_lands_inside_the_layer(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, DIR_ENTRY("tmp"));
    add(&f, (struct sample_entry){.name = "abs", .type = '2', .link = "/tmp"});
    add(&f, (struct sample_entry){.name = "up", .type = '2', .link = "../../../../tmp"});
    add(&f, FILE_ENTRY("abs/one", "1"));
    add(&f, FILE_ENTRY("up/two", "2"));
    run_ok(&f);
    assert_content(&f, "tmp/one", "1");
    assert_content(&f, "tmp/two", "2");
    assert_int_equal(file_exists(AT_FDCWD, "/tmp/one"), 0);
}

static void a_file_through_a_dangling_link_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "l", .type = '2', .link = "/outside"});
    add(&f, FILE_ENTRY("l/x", "1"));
    run_refused(&f, ERR_EXISTS, "entry 'l/x'");
    assert_int_equal(file_exists(AT_FDCWD, "/outside"), 0);
}

static void links_in_a_circle_are_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "a", .type = '2', .link = "b"});
    add(&f, (struct sample_entry){.name = "b", .type = '2', .link = "a"});
    add(&f, FILE_ENTRY("a/x", "1"));
    sample_end(&f.tar);
    assert_int_equal(run(&f), -1);
    assert_non_null(strstr(f.e.msg, "entry 'a/x'"));
}

static void hard_links_out_of_the_layer_are_refused(void **state) {
    (void)state;
    static const char *const targets[] = {"/etc/passwd", "etc/passwd", "missing"};
    for (size_t i = 0; i < COUNT(targets); i++) {
        AUTO(fixture_done) struct fixture f = fixture_new();
        add(&f, (struct sample_entry){.name = "x", .type = '1', .link = targets[i]});
        run_refused(&f, ERR_NOT_FOUND, "which is not in this layer");
    }
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "x", .type = '1', .link = "../../etc/passwd"});
    run_refused(&f, ERR_INVALID, "leads upwards");
}

static void a_hard_link_through_a_link_stays_inside(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "e", .type = '2', .link = "/etc"});
    add(&f, (struct sample_entry){.name = "x", .type = '1', .link = "e/passwd"});
    run_refused(&f, ERR_NOT_FOUND, "not in this layer");
}

static void absurd_sizes_are_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, (struct sample_entry){.name = "big", .data = STR("x"), .lie_size = 1ULL << 62});
    sample_end(&f.tar);
    assert_int_equal(run(&f), -1);
}

static void more_content_than_allowed_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    AUTO_FREE char *data = xmalloc((1 << 20) + 1);
    add(&f, (struct sample_entry){.name = "fits", .data = str_make(data, 1 << 20)});
    add(&f, FILE_ENTRY("more", "x"));
    run_refused(&f, ERR_LIMIT, "entry 'more': the layer's files hold more than 1048576 bytes");
}

static void a_cut_archive_is_refused(void **state) {
    (void)state;
    static const size_t cuts[] = {100, 512, 700};
    for (size_t i = 0; i < COUNT(cuts); i++) {
        AUTO(fixture_done) struct fixture f = fixture_new();
        AUTO_FREE char *data = xmalloc(2000);
        add(&f, (struct sample_entry){.name = "x", .data = str_make(data, 2000)});
        f.tar.n = cuts[i];
        assert_int_equal(run(&f), -1);
        assert_int_equal(f.e.kind, ERR_CORRUPT);
    }
}

static void what_is_no_tar_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    for (int i = 0; i < 100; i++) sample_bytes(&f.tar, "this is not a tar archive. ", 27);
    assert_int_equal(run(&f), -1);
    assert_int_equal(f.e.kind, ERR_CORRUPT);
    assert_non_null(strstr(f.e.msg, "not a well-formed tar archive"));
}

static void a_damaged_header_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    add(&f, FILE_ENTRY("a", "1"));
    size_t second = f.tar.n;
    add(&f, FILE_ENTRY("b", "2"));
    f.tar.p[second] ^= 1;
    sample_end(&f.tar);
    assert_int_equal(run(&f), -1);
    assert_int_equal(f.e.kind, ERR_CORRUPT);
}

static void very_deep_folders_are_made_and_replaced(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char path[4001];
    for (size_t i = 0; i < 4000; i++) path[i] = i % 2 ? '/' : 'd';
    path[3999] = '\0';
    sample_pax(&f.tar, "path", str_of(path));
    add(&f, FILE_ENTRY("deep", "x"));
    add(&f, FILE_ENTRY("d", "flat again"));
    run_ok(&f);
    assert_content(&f, "d", "flat again");
}

static ssize_t fail_in_the_middle(void *user, const void **out, struct err *e) {
    struct fixture *f = user;
    if (f->at > 0) return err_set(e, ERR_CORRUPT, "gzip: bad");
    *out = f->tar.p;
    f->at = 600;
    return 600;
}
static void a_failing_source_is_the_reported_cause(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    AUTO_FREE char *data = xmalloc(5000);
    add(&f, (struct sample_entry){.name = "x", .data = str_make(data, 5000)});
    const struct tar_source source = {fail_in_the_middle, &f};
    assert_int_equal(tar_unpack(&source, f.tree, &f.e), -1);
    assert_string_equal(f.e.msg, "gzip: bad");
}

static int setup(void **state) {
    (void)state;
    struct err e = {0};
    scratch_mount("64m");
    return tar_setup(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_keep_owner_mode_time_and_content),
        cmocka_unit_test(the_root_entry_sets_the_roots_metadata),
        cmocka_unit_test(links_devices_and_fifos_are_made),
        cmocka_unit_test(hard_links_share_an_inode),
        cmocka_unit_test(attributes_are_kept_by_name),
        cmocka_unit_test(an_attribute_of_64_kib_is_the_largest),
        cmocka_unit_test(holes_stay_holes),
        cmocka_unit_test(long_and_utf8_names_are_kept),
        cmocka_unit_test(missing_parents_are_made_for_everyone),
        cmocka_unit_test(the_archive_may_come_byte_by_byte),
        cmocka_unit_test(bytes_behind_the_end_mark_are_read),
        cmocka_unit_test(an_archive_without_entries_is_a_layer),
        cmocka_unit_test(a_later_entry_replaces_an_earlier_one),
        cmocka_unit_test(a_hard_link_replaces_what_was_there),
        cmocka_unit_test(whiteouts_become_devices_and_opaque_folders_are_listed),
        cmocka_unit_test(a_folder_that_follows_its_own_whiteout_is_opaque),
        cmocka_unit_test(a_whiteout_gives_way_to_what_comes_below_it),
        cmocka_unit_test(a_file_is_no_folder),
        cmocka_unit_test(overlayfs_own_whiteout_is_refused),
        cmocka_unit_test(names_that_lead_upwards_are_refused),
        cmocka_unit_test(absolute_names_stay_inside),
        cmocka_unit_test(a_file_through_a_link_lands_inside_the_layer),
        cmocka_unit_test(a_file_through_a_dangling_link_is_refused),
        cmocka_unit_test(links_in_a_circle_are_refused),
        cmocka_unit_test(hard_links_out_of_the_layer_are_refused),
        cmocka_unit_test(a_hard_link_through_a_link_stays_inside),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(more_content_than_allowed_is_refused),
        cmocka_unit_test(a_cut_archive_is_refused),
        cmocka_unit_test(what_is_no_tar_is_refused),
        cmocka_unit_test(a_damaged_header_is_refused),
        cmocka_unit_test(very_deep_folders_are_made_and_replaced),
        cmocka_unit_test(a_failing_source_is_the_reported_cause),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
