/* SPDX-License-Identifier: Apache-2.0 — image_test.c: names, ids, removal and what survives a
 * restart. */
#include "storage/image/image.h"

#include "storage/image/layer_sample.h"
#include "storage/image/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID_A   "sha256:aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000"
#define ID_B   "sha256:aaaaaaaaaaaa1111111111111111111111111111111111111111111111111111"
#define DIG_1  "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define DIG_2  "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define NGINX  "docker.io/library/nginx"
#define CONFIG "{\"config\":{\"User\":\"1000\",\"Env\":[\"A=1\"],\"Cmd\":[\"/bin/sh\"]}}"

struct fixture {
    char root[64];
    struct image_store *s;
    struct arena a;
    struct err e;
};

static void reopen(struct fixture *f) {
    image_store_close(f->s);
    f->s = image_store_open(f->root, sample_unpacker(), &f->e);
    if (!f->s) fail_msg("%s", f->e.msg);
}

static struct fixture fixture_new(void) {
    struct fixture f = {.a = ARENA(4 << 20)};
    (void)close(scratch_dir(f.root));
    reopen(&f);
    image_store_collect(f.s);
    return f;
}

static void fixture_done(struct fixture *f) {
    image_store_close(f->s);
    arena_done(&f->a);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->root), 0);
}

/* A held layer with one file of this name. */
static void layer(struct fixture *f, const char *name, char dir[16]) {
    AUTO(buf_done) struct buf tar = BUF(SAMPLE_BYTES_MAX);
    sample_add(&tar, (struct sample_entry){.name = name, .data = str_of(name)});
    if (sample_plain(f->s, &tar, dir, &f->e) < 0) fail_msg("%s", f->e.msg);
}

struct names {
    const char *id, *name, *tag, *digest;
};

static void put(struct fixture *f, struct names n, const struct str *dirs, size_t count) {
    struct image_record r = {.id = str_of(n.id),
                             .config_json = STR(CONFIG),
                             .name = str_of(n.name),
                             .tag = str_of(n.tag),
                             .digest = str_of(n.digest),
                             .dirs = dirs,
                             .dir_count = count};
    if (image_commit(f->s, &r, &f->e) < 0) fail_msg("%s", f->e.msg);
}

static struct image found(struct fixture *f, const char *ref) {
    struct image im;
    if (image_find(f->s, &f->a, str_of(ref), &im, &f->e) < 0) fail_msg("%s", f->e.msg);
    return im;
}

static enum err_kind refusal(struct fixture *f, const char *ref) {
    struct image im;
    if (image_find(f->s, &f->a, str_of(ref), &im, &f->e) == 0) return ERR_NONE;
    return f->e.kind;
}

static size_t count(struct fixture *f) {
    const struct image *list;
    size_t n;
    assert_int_equal(image_list(f->s, &f->a, &list, &n, &f->e), 0);
    return n;
}

static void an_image_is_found_by_every_kind_of_name(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    layer(&f, "x", dir);
    struct str dirs[] = {str_of(dir)};
    put(&f, (struct names){ID_A, NGINX, "latest", DIG_1}, dirs, 1);
    static const char *const refs[] = {
        "nginx",
        "nginx:latest",
        "docker.io/library/nginx:latest",
        "library/nginx",
        "nginx@" DIG_1,
        NGINX "@" DIG_1,
        "nginx:other@" DIG_1,
        ID_A,
        "aaaaaaaaaaaa",
        "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < COUNT(refs); i++) {
        struct image im = found(&f, refs[i]);
        assert_true(str_eq(im.id, STR(ID_A)));
        assert_true(str_eq(im.config.user, STR("1000")));
        assert_true(str_eq(im.config.cmd[0], STR("/bin/sh")));
        assert_true(str_eq(im.config_json, STR(CONFIG)));
        assert_int_equal(im.layer_count, 1);
        assert_true(str_eq(im.layers[0], dirs[0]));
        assert_int_equal(im.size_bytes, 2 * 4096 + strlen(CONFIG));
    }
    assert_int_equal(refusal(&f, "nginx:other"), ERR_NOT_FOUND);
    assert_int_equal(refusal(&f, "nginx@" DIG_2), ERR_NOT_FOUND);
    assert_int_equal(refusal(&f, ID_B), ERR_NOT_FOUND);
    assert_int_equal(refusal(&f, "bbbbbbbbbbbb"), ERR_NOT_FOUND);
    assert_int_equal(refusal(&f, "Not/A/Name"), ERR_INVALID);
    assert_int_equal(refusal(&f, ""), ERR_INVALID);
}

static void three_tags_of_one_image_are_one_image(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    put(&f, (struct names){ID_A, "r.io/a", "1", DIG_1}, NULL, 0);
    put(&f, (struct names){ID_A, "r.io/a", "2", DIG_1}, NULL, 0);
    put(&f, (struct names){ID_A, "q.io/b", "3", DIG_1}, NULL, 0);
    const struct image *list;
    size_t n;
    assert_int_equal(image_list(f.s, &f.a, &list, &n, &f.e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].tag_count, 3);
    assert_true(str_eq(list[0].tags[0], STR("q.io/b:3")));
    assert_true(str_eq(list[0].tags[2], STR("r.io/a:2")));
    assert_int_equal(list[0].digest_count, 2);
}

static void a_digest_pull_has_no_tags(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    put(&f, (struct names){ID_A, NGINX, "", DIG_1}, NULL, 0);
    struct image im = found(&f, "nginx@" DIG_1);
    assert_int_equal(im.tag_count, 0);
    assert_int_equal(im.digest_count, 1);
    assert_true(str_eq(im.digests[0], STR(NGINX "@" DIG_1)));
}

static void a_tag_that_moves_leaves_the_old_image_with_its_digest(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    put(&f, (struct names){ID_A, NGINX, "latest", DIG_1}, NULL, 0);
    put(&f, (struct names){ID_B, NGINX, "latest", DIG_2}, NULL, 0);
    assert_true(str_eq(found(&f, "nginx").id, STR(ID_B)));
    struct image old = found(&f, ID_A);
    assert_int_equal(old.tag_count, 0);
    assert_int_equal(old.digest_count, 1);
    assert_int_equal(count(&f), 2);
}

static void removing_by_any_name_removes_all_names(void **state) {
    (void)state;
    static const char *const refs[] = {"r.io/a:1", "q.io/b:3", ("q.io/b@" DIG_1), ID_A,
                                       "aaaaaaaaaaaa"};
    for (size_t i = 0; i < COUNT(refs); i++) {
        AUTO(fixture_done) struct fixture f = fixture_new();
        put(&f, (struct names){ID_A, "r.io/a", "1", DIG_1}, NULL, 0);
        put(&f, (struct names){ID_A, "q.io/b", "3", DIG_1}, NULL, 0);
        assert_int_equal(image_remove(f.s, str_of(refs[i]), &f.e), 0);
        assert_int_equal(refusal(&f, "r.io/a:1"), ERR_NOT_FOUND);
        assert_int_equal(refusal(&f, "q.io/b@" DIG_1), ERR_NOT_FOUND);
        assert_int_equal(count(&f), 0);
        assert_int_equal(image_remove(f.s, str_of(refs[i]), &f.e), 0); /* again: nothing to do */
    }
}

static void an_ambiguous_prefix_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, NULL, 0);
    put(&f, (struct names){ID_B, NGINX, "b", DIG_2}, NULL, 0);
    assert_int_equal(refusal(&f, "aaaaaaaaaaaa"), ERR_INVALID);
    assert_true(str_eq(found(&f, "aaaaaaaaaaaa1").id, STR(ID_B)));
    assert_int_equal(image_remove(f.s, STR("aaaaaaaaaaaa"), &f.e), -1);
    assert_int_equal(count(&f), 2);
}

static bool layer_there(struct fixture *f, const char *dir) {
    trash_drain(f->s->trash);
    return file_exists(f->s->layers_fd, dir) == 1;
}

static void shared_layers_live_as_long_as_one_image(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char shared[16], own[16];
    layer(&f, "shared", shared);
    layer(&f, "own", own);
    struct str dirs[] = {str_of(shared), str_of(own)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 1);
    put(&f, (struct names){ID_B, NGINX, "b", DIG_2}, dirs, 2);
    image_release(f.s, dirs, 2); /* the pulls are over */
    assert_int_equal(image_remove(f.s, STR("nginx:b"), &f.e), 0);
    assert_true(layer_there(&f, shared));
    assert_false(layer_there(&f, own));
    assert_int_equal(image_remove(f.s, STR("nginx:a"), &f.e), 0);
    assert_false(layer_there(&f, shared));
    struct image_usage u;
    image_store_usage(f.s, &u);
    assert_int_equal(u.bytes, 0);
    assert_int_equal(u.inodes, 0);
}

static void a_held_layer_outlives_its_image(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    layer(&f, "x", dir);
    struct str dirs[] = {str_of(dir)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 1);
    image_hold(f.s, dirs, 1);    /* a container */
    image_release(f.s, dirs, 1); /* the pull */
    assert_int_equal(image_remove(f.s, STR("nginx:a"), &f.e), 0);
    assert_true(layer_there(&f, dir));
    image_release(f.s, dirs, 1);
    assert_false(layer_there(&f, dir));
}

static void a_failed_pulls_layers_stay_until_the_next_collection(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    layer(&f, "x", dir);
    struct str dirs[] = {str_of(dir)};
    image_release(f.s, dirs, 1);
    assert_true(layer_there(&f, dir));
    image_store_collect(f.s);
    assert_false(layer_there(&f, dir));
}

static void everything_is_there_after_a_restart(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16], half[16];
    layer(&f, "x", dir);
    struct str dirs[] = {str_of(dir)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 1);
    assert_int_equal(mkdirat(f.s->layers_fd, "tmp-7", 0755), 0);   /* half made */
    assert_int_equal(mkdirat(f.s->layers_fd, "zz", 0755), 0);      /* not recorded */
    assert_int_equal(mkdirat(f.s->layers_fd, "trash-5", 0755), 0); /* half deleted */
    assert_int_equal(mkdirat(f.s->layers_fd, "trash-5/x", 0755), 0);
    reopen(&f);
    assert_true(str_eq(found(&f, "nginx:a").layers[0], dirs[0]));
    assert_true(layer_there(&f, dir));
    assert_false(layer_there(&f, "tmp-7"));
    assert_false(layer_there(&f, "zz"));
    assert_false(layer_there(&f, "trash-5"));
    struct image_usage u;
    image_store_usage(f.s, &u);
    assert_int_equal(u.inodes, 2);
    layer(&f, "half", half); /* numbers go on */
    assert_string_equal(half, "2");
}

static void before_the_collection_nothing_is_deleted(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16];
    layer(&f, "x", dir);
    struct str dirs[] = {str_of(dir)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 1);
    reopen(&f);
    assert_int_equal(image_remove(f.s, STR("nginx:a"), &f.e), 0);
    assert_true(layer_there(&f, dir)); /* a container may still say that it needs it */
    image_hold(f.s, dirs, 1);
    image_store_collect(f.s);
    assert_true(layer_there(&f, dir));
    image_release(f.s, dirs, 1);
    assert_false(layer_there(&f, dir));
}

static void an_image_whose_layer_was_deleted_by_hand_is_forgotten(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char dir[16], other[16];
    layer(&f, "x", dir);
    layer(&f, "y", other);
    struct str dirs[] = {str_of(dir)};
    struct str others[] = {str_of(other)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 1);
    put(&f, (struct names){ID_B, NGINX, "b", DIG_2}, others, 1);
    assert_int_equal(file_remove_tree(f.s->layers_fd, dir), 0);
    reopen(&f);
    assert_int_equal(refusal(&f, "nginx:a"), ERR_NOT_FOUND);
    assert_int_equal(found(&f, "nginx:b").layer_count, 1);
}

static void layers_below_an_opaque_root_are_left_out(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    char below[16], above[16];
    layer(&f, "x", below);
    layer(&f, ".wh..wh..opq", above);
    struct str dirs[] = {str_of(below), str_of(above)};
    put(&f, (struct names){ID_A, NGINX, "a", DIG_1}, dirs, 2);
    struct image im = found(&f, "nginx:a");
    assert_int_equal(im.layer_count, 1);
    assert_true(str_eq(im.layers[0], dirs[1]));
}

static void records_that_could_not_be_read_again_are_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    struct str many[IMAGE_PULLED_LAYERS_MAX + 1];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = STR("1");
    struct image_record good = {.id = STR(ID_A),
                                .config_json = STR(CONFIG),
                                .name = STR(NGINX),
                                .tag = STR("a"),
                                .digest = STR(DIG_1)};
    struct image_record r = good;
    r.config_json = STR("{\"config\":{\"Env\":7}}");
    assert_int_equal(image_commit(f.s, &r, &f.e), -1);
    r = good;
    r.id = STR("sha256:short");
    assert_int_equal(image_commit(f.s, &r, &f.e), -1);
    r = good;
    r.tag = r.digest = STR("");
    assert_int_equal(image_commit(f.s, &r, &f.e), -1);
    r = good;
    r.dirs = many;
    r.dir_count = 1; /* no such layer */
    assert_int_equal(image_commit(f.s, &r, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_NOT_FOUND);
    r.dir_count = COUNT(many);
    assert_int_equal(image_commit(f.s, &r, &f.e), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
    assert_int_equal(count(&f), 0);
}

static void a_second_daemon_on_the_same_folder_is_refused(void **state) {
    (void)state;
    AUTO(fixture_done) struct fixture f = fixture_new();
    assert_null(image_store_open(f.root, sample_unpacker(), &f.e));
    assert_int_equal(f.e.kind, ERR_BUSY);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("128m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_found_by_every_kind_of_name),
        cmocka_unit_test(three_tags_of_one_image_are_one_image),
        cmocka_unit_test(a_digest_pull_has_no_tags),
        cmocka_unit_test(a_tag_that_moves_leaves_the_old_image_with_its_digest),
        cmocka_unit_test(removing_by_any_name_removes_all_names),
        cmocka_unit_test(an_ambiguous_prefix_is_refused),
        cmocka_unit_test(shared_layers_live_as_long_as_one_image),
        cmocka_unit_test(a_held_layer_outlives_its_image),
        cmocka_unit_test(a_failed_pulls_layers_stay_until_the_next_collection),
        cmocka_unit_test(everything_is_there_after_a_restart),
        cmocka_unit_test(before_the_collection_nothing_is_deleted),
        cmocka_unit_test(an_image_whose_layer_was_deleted_by_hand_is_forgotten),
        cmocka_unit_test(layers_below_an_opaque_root_are_left_out),
        cmocka_unit_test(records_that_could_not_be_read_again_are_refused),
        cmocka_unit_test(a_second_daemon_on_the_same_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
