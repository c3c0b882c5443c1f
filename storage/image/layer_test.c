/* SPDX-License-Identifier: Apache-2.0 — layer_test.c: from a stream through the real gridlet-unpack
 * to a record. */
#include "storage/image/layer.h"

#include "storage/image/layer_sample.h"
#include "storage/image/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/xattr.h>

#include <cmocka.h>

struct fixture {
    char root[64];
    struct image_store *s;
    struct buf tar;
    struct err e;
};

static struct fixture fixture_new(void) {
    struct fixture f = {.tar = BUF(SAMPLE_BYTES_MAX)};
    (void)close(scratch_dir(f.root));
    f.s = image_store_open(f.root, sample_unpacker(), &f.e);
    if (!f.s) fail_msg("%s", f.e.msg);
    image_store_collect(f.s);
    return f;
}

static void fixture_done(struct fixture *f) {
    image_store_close(f->s);
    buf_done(&f->tar);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->root), 0);
}

/* Folders of the store, without the trash's. */
static unsigned folders(const struct fixture *f) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    unsigned count = 0;
    trash_drain(f->s->trash);
    assert_int_equal(file_dir_open(&d, f->s->layers_fd, "."), 0);
    while (file_dir_next(&d, &entry) > 0) count++;
    return count;
}

static void assert_nothing_left(const struct fixture *f) {
    struct image_usage u;
    image_store_usage(f->s, &u);
    assert_int_equal(u.inodes, 0);
    assert_int_equal(folders(f), 0);
}

static void a_layer_is_unpacked_recorded_and_found(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16], again[16], path[64], diff_id[DIGEST_TEXT_CHARS + 1];
    sample_add(&f.tar, (struct sample_entry){.name = "etc/x", .uid = 3, .data = STR("text")});
    if (sample_plain(f.s, &f.tar, dir, &f.e) < 0) fail_msg("%s", f.e.msg);
    assert_string_equal(dir, "1");
    (void)snprintf(path, sizeof path, "%s/etc/x", dir);
    struct stat st;
    assert_int_equal(fstatat(f.s->layers_fd, path, &st, 0), 0);
    assert_int_equal(st.st_uid, 3);
    assert_true(layer_exists(f.s, sample_digest(buf_view(&f.tar), diff_id), again));
    assert_string_equal(again, dir);
    struct image_usage u;
    image_store_usage(f.s, &u);
    assert_int_equal(u.inodes, 3);
    assert_int_equal(u.bytes, 3 * 4096);
}

static void gzip_of_two_members_is_one_layer(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    AUTO(buf_done) struct buf gz = BUF(SAMPLE_BYTES_MAX);
    char dir[16], diff_id[DIGEST_TEXT_CHARS + 1];
    AUTO_FREE char *data = xmalloc(3 << 20);
    sample_add(&f.tar, (struct sample_entry){.name = "big", .data = str_make(data, 3 << 20)});
    sample_end(&f.tar);
    sample_gzip(&gz, str_sub(buf_view(&f.tar), 0, 1000000));
    sample_gzip(&gz, str_sub(buf_view(&f.tar), 1000000, f.tar.n));
    struct sample_layer l = {LAYER_GZIP, buf_view(&gz), sample_digest(buf_view(&f.tar), diff_id)};
    if (sample_commit(f.s, l, dir, &f.e) < 0) fail_msg("%s", f.e.msg);
}

static void a_stream_that_lies_leaves_nothing(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    AUTO(buf_done) struct buf gz = BUF(SAMPLE_BYTES_MAX);
    char dir[16], diff_id[DIGEST_TEXT_CHARS + 1];
    sample_add(&f.tar, (struct sample_entry){.name = "x", .data = STR("1")});
    sample_end(&f.tar);
    sample_gzip(&gz, buf_view(&f.tar));
    struct str good = sample_digest(buf_view(&f.tar), diff_id);
    char other[DIGEST_TEXT_CHARS + 1];
    struct str wrong = sample_digest(STR("other"), other);
    const struct sample_layer lies[] = {
        {LAYER_GZIP, buf_view(&gz), wrong},
        {LAYER_GZIP, buf_view(&gz), STR("md5:abc")},
        {LAYER_GZIP, str_sub(buf_view(&gz), 0, gz.n - 1), good},
        {LAYER_GZIP, buf_view(&f.tar), good},
        {LAYER_ZSTD, buf_view(&gz), good},
        {LAYER_PLAIN, buf_view(&gz), good},
        {LAYER_PLAIN, STR(""), good},
    };
    for (size_t i = 0; i < COUNT(lies); i++) {
        assert_int_equal(sample_commit(f.s, lies[i], dir, &f.e), -1);
        if (f.e.kind != ERR_CORRUPT) fail_msg("%zu: %s", i, f.e.msg);
        assert_nothing_left(&f);
    }
}

static void a_hostile_entry_is_named_in_the_error(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    sample_add(&f.tar, (struct sample_entry){.name = "ok", .data = STR("1")});
    sample_add(&f.tar, (struct sample_entry){.name = "../../evil", .data = STR("1")});
    assert_int_equal(sample_plain(f.s, &f.tar, dir, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_INVALID);
    assert_non_null(strstr(f.e.msg, "'../../evil'"));
    assert_nothing_left(&f);
}

static void a_killed_unpacker_leaves_nothing(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    int fd, pidfd;
    struct layer_result result;
    sample_add(&f.tar, (struct sample_entry){.name = "x", .data = STR("1")});
    struct layer_writer *w = layer_write(f.s, LAYER_PLAIN, &fd, &pidfd, &f.e);
    assert_non_null(w);
    assert_int_equal(write(fd, f.tar.p, f.tar.n), f.tar.n);
    assert_int_equal(syscall(424, pidfd, SIGKILL, NULL, 0), 0); /* pidfd_send_signal */
    sample_await(pidfd);
    (void)close(fd);
    assert_int_equal(layer_commit(w, STR("sha256:0"), dir, &result, &f.e), -1);
    assert_non_null(strstr(f.e.msg, "was killed"));
    assert_nothing_left(&f);
}

static void an_aborted_layer_leaves_nothing(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    int fd, pidfd;
    struct layer_writer *w = layer_write(f.s, LAYER_GZIP, &fd, &pidfd, &f.e);
    assert_non_null(w);
    layer_abort(w);
    (void)close(fd);
    assert_nothing_left(&f);
    layer_abort(NULL);
}

static void a_missing_unpacker_is_an_error(void **state) {
    (void)state;
    char root[64];
    int fd, pidfd;
    struct err e = {0};
    (void)close(scratch_dir(root));
    struct image_store *s = image_store_open(root, "/nonexistent/unpack", &e);
    assert_non_null(s);
    assert_null(layer_write(s, LAYER_PLAIN, &fd, &pidfd, &e));
    assert_non_null(strstr(e.msg, "start the unpacker"));
    image_store_close(s);
}

static void a_full_disk_is_said_and_leaves_nothing(void **state) {
    (void)state;
    char root[64], dir[16];
    struct err e = {0};
    (void)close(scratch_dir(root));
    assert_int_equal(mount("tmpfs", root, "tmpfs", 0, "size=2m"), 0);
    struct image_store *s = image_store_open(root, sample_unpacker(), &e);
    if (!s) fail_msg("%s", e.msg);
    AUTO(buf_done) struct buf tar = BUF(SAMPLE_BYTES_MAX);
    AUTO_FREE char *data = xmalloc(4 << 20);
    sample_add(&tar, (struct sample_entry){.name = "too-big", .data = str_make(data, 4 << 20)});
    assert_int_equal(sample_plain(s, &tar, dir, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.msg, "entry 'too-big': write the file: No space left"));
    trash_drain(s->trash);
    buf_clear(&tar);
    sample_add(&tar, (struct sample_entry){.name = "small", .data = STR("fits again")});
    if (sample_plain(s, &tar, dir, &e) < 0) fail_msg("%s", e.msg);
    image_store_close(s);
    assert_int_equal(umount(root), 0);
}

struct racer {
    pthread_t thread;
    struct fixture *f;
    struct str tar, diff_id;
    unsigned first; /* number of its first layer */
    char dir[16];
    int result;
    struct err e;
};

static void *race(void *arg) {
    struct racer *r = arg;
    struct sample_layer l = {LAYER_PLAIN, r->tar, r->diff_id};
    r->result = sample_commit(r->f->s, l, r->dir, &r->e);
    return NULL;
}

static void two_commits_of_one_layer_give_one_folder(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct racer racers[4] = {{.f = NULL}};
    char diff_id[DIGEST_TEXT_CHARS + 1];
    sample_add(&f.tar, (struct sample_entry){.name = "x", .data = STR("1")});
    sample_end(&f.tar);
    struct str digest = sample_digest(buf_view(&f.tar), diff_id);
    for (size_t i = 0; i < COUNT(racers); i++) {
        racers[i] = (struct racer){.f = &f, .tar = buf_view(&f.tar), .diff_id = digest};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(racers); i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    }
    for (size_t i = 0; i < COUNT(racers); i++) {
        if (racers[i].result < 0) fail_msg("%s", racers[i].e.msg);
        assert_string_equal(racers[i].dir, racers[0].dir);
    }
    assert_int_equal(folders(&f), 1);
}

#define MANY_THREADS 4
#define MANY_LAYERS  10 /* of each thread */

/* Tiny, compressible and incompressible files, links and folders; different for each number. */
static void fill_layer(struct buf *tar, unsigned number) {
    AUTO_FREE char *data = xmalloc(300000);
    for (size_t i = 0; i < 300000; i++)
        data[i] = (char)(number % 2 ? i * i * (i >> 3) + number : number);
    sample_add(tar, (struct sample_entry){.name = "bin/", .type = '5'});
    sample_add(tar, (struct sample_entry){.name = "bin/x", .data = str_make(data, 300000)});
    sample_add(tar, (struct sample_entry){.name = "bin/y", .type = '1', .link = "bin/x"});
    sample_add(tar, (struct sample_entry){.name = "bin/z", .type = '2', .link = "../bin/x"});
    sample_add(tar, (struct sample_entry){.name = "etc/.wh.gone"});
    sample_pax(tar, "SCHILY.xattr.user.number", str_make(data, 1));
    sample_add(tar, (struct sample_entry){.name = "etc/empty", .uid = number});
    sample_end(tar);
}

static void *write_many(void *arg) {
    struct racer *r = arg;
    AUTO(buf_done) struct buf tar = BUF(SAMPLE_BYTES_MAX);
    AUTO(buf_done) struct buf gz = BUF(SAMPLE_BYTES_MAX);
    char diff_id[DIGEST_TEXT_CHARS + 1];
    for (unsigned i = 0; i < MANY_LAYERS && r->result == 0; i++) {
        buf_clear(&tar);
        buf_clear(&gz);
        fill_layer(&tar, r->first + i);
        sample_gzip(&gz, buf_view(&tar));
        struct sample_layer l = {LAYER_GZIP, buf_view(&gz), sample_digest(buf_view(&tar), diff_id)};
        r->result = sample_commit(r->f->s, l, r->dir, &r->e);
    }
    return NULL;
}

/* Also what shows a system call that a sanitizer's runtime makes and the filter does not know. */
static void forty_layers_are_unpacked_by_several_at_once(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct racer racers[MANY_THREADS] = {{.f = NULL}};
    for (unsigned i = 0; i < MANY_THREADS; i++) {
        racers[i] = (struct racer){.f = &f, .first = 1 + i * MANY_LAYERS};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, write_many, &racers[i]), 0);
    }
    for (size_t i = 0; i < MANY_THREADS; i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    for (size_t i = 0; i < MANY_THREADS; i++)
        if (racers[i].result < 0) fail_msg("%s", racers[i].e.msg);
    assert_int_equal(folders(&f), MANY_THREADS * MANY_LAYERS);
}

static void opaque_folders_are_marked(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16], path[64], value[4];
    sample_add(&f.tar, (struct sample_entry){.name = "a/b/.wh..wh..opq"});
    sample_add(&f.tar, (struct sample_entry){.name = "gone/.wh..wh..opq"});
    sample_add(&f.tar, (struct sample_entry){.name = "gone", .data = STR("a file now")});
    if (sample_plain(f.s, &f.tar, dir, &f.e) < 0) fail_msg("%s", f.e.msg);
    (void)snprintf(path, sizeof path, "%s/a/b", dir);
    AUTO_CLOSE int fd = file_open_dir(f.s->layers_fd, path);
    assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof value), 1);
    assert_int_equal(value[0], 'y');
    (void)snprintf(path, sizeof path, "%s/a", dir);
    AUTO_CLOSE int above = file_open_dir(f.s->layers_fd, path);
    assert_int_equal(fgetxattr(above, "trusted.overlay.opaque", value, sizeof value), -1);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("256m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_is_unpacked_recorded_and_found),
        cmocka_unit_test(gzip_of_two_members_is_one_layer),
        cmocka_unit_test(a_stream_that_lies_leaves_nothing),
        cmocka_unit_test(a_hostile_entry_is_named_in_the_error),
        cmocka_unit_test(a_killed_unpacker_leaves_nothing),
        cmocka_unit_test(an_aborted_layer_leaves_nothing),
        cmocka_unit_test(a_missing_unpacker_is_an_error),
        cmocka_unit_test(a_full_disk_is_said_and_leaves_nothing),
        cmocka_unit_test(two_commits_of_one_layer_give_one_folder),
        cmocka_unit_test(forty_layers_are_unpacked_by_several_at_once),
        cmocka_unit_test(opaque_folders_are_marked),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
