/* SPDX-License-Identifier: Apache-2.0 — implied_test.c: attributes as a real overlay mount shows
 * them. */
#include "storage/image/implied.h"

#include "storage/image/layer_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/xattr.h>

#include <cmocka.h>

#define LAYERS_MAX 8
#define ID_A       "sha256:aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000"
#define ID_B       "sha256:bbbbbbbbbbbb0000000000000000000000000000000000000000000000000000"
#define DIG        "sha256:1111111111111111111111111111111111111111111111111111111111111111"

struct fixture {
    char root[64], merged[128];
    struct image_store *s;
    struct arena a;
    struct err e;
    char names[LAYERS_MAX][16];
    struct str layers[LAYERS_MAX];
    size_t count;
    struct buf tar;
};

static struct fixture fixture_new(void) {
    struct fixture f = {.a = ARENA(4 << 20), .tar = BUF(SAMPLE_BYTES_MAX)};
    (void)close(scratch_dir(f.root));
    f.s = image_store_open(f.root, sample_unpacker(), &f.e);
    if (!f.s) fail_msg("%s", f.e.msg);
    image_store_collect(f.s);
    (void)snprintf(f.merged, sizeof f.merged, "%s/merged", f.root);
    assert_int_equal(mkdir(f.merged, 0755), 0);
    return f;
}

static void fixture_done(struct fixture *f) {
    image_store_close(f->s);
    arena_done(&f->a);
    buf_done(&f->tar);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->root), 0);
}

static void dir(struct fixture *f, const char *name, unsigned mode, unsigned uid) {
    sample_add(&f->tar, (struct sample_entry){
                            .name = name, .type = '5', .mode = mode, .uid = uid, .mtime = 1000});
}

static void file(struct fixture *f, const char *name) {
    sample_add(&f->tar, (struct sample_entry){.name = name, .data = STR("x")});
}

/* What was added since the last call is the next layer of the stack. */
static void push(struct fixture *f) {
    char *name = f->names[f->count];
    if (sample_plain(f->s, &f->tar, name, &f->e) < 0) fail_msg("%s", f->e.msg);
    f->layers[f->count++] = str_of(name);
    buf_clear(&f->tar);
}

static struct image commit(struct fixture *f, const char *id, size_t layers) {
    struct image im;
    const struct image_record r = {.id = str_of(id),
                                   .config_json = STR("{\"config\":{}}"),
                                   .name = STR("docker.io/library/x"),
                                   .tag = str_sub(str_of(id), 7, 15),
                                   .digest = STR(DIG),
                                   .dirs = f->layers,
                                   .dir_count = layers};
    if (image_commit(f->s, &r, &f->e) < 0) fail_msg("%s", f->e.msg);
    if (image_find(f->s, &f->a, str_of(id), &im, &f->e) < 0) fail_msg("%s", f->e.msg);
    return im;
}

static void mount_image(const struct fixture *f, const struct image *im) {
    char options[4096];
    size_t n = (size_t)snprintf(options, sizeof options, "lowerdir=");
    for (size_t i = im->layer_count; i-- > 0;)
        n += (size_t)snprintf(options + n, sizeof options - n, "%s/%.*s%s", image_layers_path(f->s),
                              STR_ARG(im->layers[i]), i ? ":" : "");
    assert_int_equal(mount("overlay", f->merged, "overlay", MS_RDONLY, options), 0);
}

/* Mode and owner of a path of the mounted image. */
static void assert_shows(const struct fixture *f, const char *path, unsigned mode, unsigned uid) {
    struct stat st;
    char full[256];
    (void)snprintf(full, sizeof full, "%s/%s", f->merged, path);
    if (lstat(full, &st) < 0) fail_msg("'%s' is not there", path);
    if ((st.st_mode & 07777) != mode || st.st_uid != uid)
        fail_msg("'%s' is %o of %u", path, st.st_mode, st.st_uid);
}

static void attributes_of_folders_that_a_layer_implies_are_kept(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    dir(&f, "./", 0711, 5);
    dir(&f, "tmp", 01777, 0);
    dir(&f, "home", 0750, 7);
    sample_pax(&f.tar, "SCHILY.xattr.user.kept", STR("yes"));
    dir(&f, "home/me", 0700, 1000);
    dir(&f, "etc", 0755, 0);
    push(&f);
    file(&f, "tmp/x");
    file(&f, "home/me/deep/y");
    file(&f, "etc/z");
    push(&f);
    file(&f, "home/me/deep/w");
    push(&f);
    struct image im = commit(&f, ID_A, 3);
    assert_int_equal(im.layer_count, 4);
    mount_image(&f, &im);
    assert_shows(&f, "", 0711, 5);
    assert_shows(&f, "tmp", 01777, 0);
    assert_shows(&f, "home", 0750, 7);
    assert_shows(&f, "home/me", 0700, 1000);
    assert_shows(&f, "home/me/deep", 0755, 0);
    assert_shows(&f, "home/me/deep/y", 0644, 0);
    assert_shows(&f, "home/me/deep/w", 0644, 0);
    char path[160], value[8];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/home/me", f.merged);
    assert_int_equal(getxattr(path, "user.kept", value, sizeof value), 3);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mtime, 1000);
    assert_int_equal(umount(f.merged), 0);
}

static void what_was_taken_away_in_between_lends_no_attributes(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    dir(&f, "removed", 0700, 1);
    dir(&f, "file", 0700, 1);
    dir(&f, "up", 0700, 1);
    dir(&f, "up/in", 0700, 1);
    dir(&f, "same", 0700, 1);
    dir(&f, "cleared", 0700, 1);
    dir(&f, "last", 0700, 1);
    push(&f);
    file(&f, ".wh.removed");
    file(&f, "file");
    dir(&f, "up", 0710, 2);
    file(&f, "up/.wh..wh..opq");
    push(&f);
    file(&f, "removed/x");
    file(&f, "up/in/x");
    file(&f, ".wh.same");
    file(&f, "same/x"); /* the layer takes it away and makes it anew */
    file(&f, "cleared/.wh..wh..opq");
    file(&f, "last/x");
    push(&f);
    file(&f, ".wh.last");
    push(&f);
    struct image im = commit(&f, ID_A, f.count);
    mount_image(&f, &im);
    assert_shows(&f, "removed", 0755, 0);
    assert_shows(&f, "file", 0644, 0);
    assert_shows(&f, "up", 0710, 2);
    assert_shows(&f, "up/in", 0755, 0);
    assert_shows(&f, "same", 0755, 0);
    assert_shows(&f, "cleared", 0700, 1);
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/last", f.merged);
    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(umount(f.merged), 0);
}

static void a_stack_that_shows_right_gets_no_further_layer(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    dir(&f, "./", 0755, 0);
    dir(&f, "etc", 0755, 0);
    dir(&f, "tmp", 01777, 0);
    push(&f);
    file(&f, "etc/x");
    file(&f, "new/x");
    push(&f);
    file(&f, "tmp/x"); /* announced after its content */
    dir(&f, "tmp", 0700, 3);
    push(&f);
    struct image im = commit(&f, ID_A, 3);
    assert_int_equal(im.layer_count, 3);
    mount_image(&f, &im);
    assert_shows(&f, "tmp", 0700, 3);
    assert_int_equal(umount(f.merged), 0);
}

static void equal_stacks_share_the_layer_and_it_goes_with_them(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct image_usage before, after;
    image_store_usage(f.s, &before);
    dir(&f, "tmp", 01777, 0);
    push(&f);
    file(&f, "tmp/x");
    push(&f);
    struct image a = commit(&f, ID_A, 2);
    struct image b = commit(&f, ID_B, 2);
    assert_int_equal(a.layer_count, 3);
    assert_true(str_eq(a.layers[2], b.layers[2]));
    struct image alone = commit(&f, ID_B, 1);
    assert_int_equal(alone.layer_count, 1);
    image_release(f.s, f.layers, f.count);
    assert_int_equal(image_remove(f.s, STR(ID_A), &f.e), 0);
    assert_int_equal(image_remove(f.s, STR(ID_B), &f.e), 0);
    image_store_usage(f.s, &after);
    assert_int_equal(after.inodes, before.inodes);
    assert_int_equal(after.bytes, before.bytes);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("64m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_of_folders_that_a_layer_implies_are_kept),
        cmocka_unit_test(what_was_taken_away_in_between_lends_no_attributes),
        cmocka_unit_test(a_stack_that_shows_right_gets_no_further_layer),
        cmocka_unit_test(equal_stacks_share_the_layer_and_it_goes_with_them),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
