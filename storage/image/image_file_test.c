/* SPDX-License-Identifier: Apache-2.0 — image_file_test.c: files of a stack of layers, compared
 * with what overlayfs itself shows. */
#include "storage/image/image.h"

#include "storage/image/layer_sample.h"
#include "storage/image/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LAYERS_TESTED_MAX 40

struct fixture {
    char root[64];
    struct image_store *s;
    struct arena a;
    struct err e;
    char names[LAYERS_TESTED_MAX][16];
    struct str layers[LAYERS_TESTED_MAX]; /* lowest first */
    size_t count;
};

static void fixture_open(struct fixture *f) {
    *f = (struct fixture){.a = ARENA(64 << 20)};
    (void)close(scratch_dir(f->root));
    f->s = image_store_open(f->root, sample_unpacker(), &f->e);
    if (!f->s) fail_msg("%s", f->e.msg);
}

static void fixture_done(struct fixture *f) {
    image_store_close(f->s);
    arena_done(&f->a);
    assert_int_equal(file_remove_tree(AT_FDCWD, f->root), 0);
}

static void push(struct fixture *f, const struct sample_entry *entries, size_t count) {
    AUTO(buf_done) struct buf tar = BUF(SAMPLE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) sample_add(&tar, entries[i]);
    if (sample_plain(f->s, &tar, f->names[f->count], &f->e) < 0) fail_msg("%s", f->e.msg);
    f->layers[f->count] = str_of(f->names[f->count]);
    f->count++;
}
#define PUSH(f, ...)                                                                               \
    push(f, (const struct sample_entry[]){__VA_ARGS__},                                            \
         sizeof((const struct sample_entry[]){__VA_ARGS__}) / sizeof(struct sample_entry))
#define F(n, text)                                                                                 \
    { .name = (n), .data = STR(text) }
#define L(n, to)                                                                                   \
    { .name = (n), .type = '2', .link = (to) }
#define W(n)                                                                                       \
    { .name = (n) }

static int read_file(struct fixture *f, const char *path, struct str *out) {
    const struct image im = {.layers = f->layers, .layer_count = f->count};
    return image_read_file(f->s, &im, str_of(path), &f->a, out, &f->e);
}

/* Mounts the stack; the caller unmounts f->root/merged. */
static void mount_stack(const struct fixture *f, char merged[128]) {
    AUTO_FREE char *options = xmalloc(4096);
    size_t n = (size_t)snprintf(options, 4096, "lowerdir=");
    for (size_t i = f->count; i-- > 0;)
        n += (size_t)snprintf(options + n, 4096 - n, "%s/%s%s", image_layers_path(f->s),
                              f->names[i], i ? ":" : "");
    (void)snprintf(merged, 128, "%s/merged", f->root);
    assert_int_equal(mkdir(merged, 0755), 0);
    if (mount("overlay", merged, "overlay", MS_RDONLY, options) < 0)
        fail_msg("mount '%s': %s", options, strerror(errno));
}

/* Reads the path both ways; the kernel's answer is right. */
static void compare(struct fixture *f, const char *merged, const char *path) {
    AUTO(buf_done) struct buf kernel = BUF(1);
    struct str ours = STR("");
    AUTO_CLOSE int root = file_open_dir(AT_FDCWD, merged);
    AUTO_CLOSE int fd = file_open_in_root(root, path, O_RDONLY, 0);
    int expected = fd < 0 ? fd : file_read_fd(fd, 1 << 20, &kernel);
    int got = read_file(f, path, &ours);
    if ((expected < 0) != (got < 0)) fail_msg("'%s': %d, ours %s", path, expected, f->e.msg);
    if (got == 0) assert_true(str_eq(ours, buf_view(&kernel)));
    if (expected == -ENOENT) assert_int_equal(f->e.kind, ERR_NOT_FOUND);
}

static void assert_same_as_overlayfs(struct fixture *f, const char *const *paths, size_t count) {
    char merged[128];
    mount_stack(f, merged);
    for (size_t i = 0; i < count; i++) compare(f, merged, paths[i]);
    assert_int_equal(umount(merged), 0);
}

static void a_stack_reads_as_overlayfs_shows_it(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    PUSH(&f, F("etc/passwd", "lower"), F("etc/gone", "x"), F("opq/old", "x"), F("opq/sub/old", "x"),
         F("was-dir/x", "x"), F("was-file", "x"), F("usr/lib/os-release", "debian"),
         F("wh-then-dir/old", "x"), F("deep/a/b/c", "1"));
    PUSH(&f, F("etc/passwd", "upper"), W("etc/.wh.gone"), W("opq/.wh..wh..opq"), F("opq/new", "n"),
         F("was-dir", "now a file"), F("was-file/x", "now a folder"), W(".wh.wh-then-dir"),
         F("wh-then-dir/new", "n"), L("etc/os-release", "../usr/lib/os-release"),
         L("lib", "usr/lib"), L("abs", "/etc/passwd"), L("loop", "loop"),
         L("escape", "../../../../../../etc/passwd"), L("dangling", "nowhere"));
    PUSH(&f, F("deep/a/other", "2"), {.name = "fifo", .type = '6'});
    static const char *const paths[] = {
        "etc/passwd",
        "/etc/passwd",
        "etc//./passwd",
        "etc/gone",
        "opq/old",
        "opq/sub/old",
        "opq/new",
        "was-dir",
        "was-dir/x",
        "was-file/x",
        "was-file",
        "wh-then-dir/old",
        "wh-then-dir/new",
        "etc/os-release",
        "lib/os-release",
        "abs",
        "escape",
        "../../etc/passwd",
        "dangling",
        "loop",
        "deep/a/b/c",
        "deep/a/other",
        "etc",
        "etc/passwd/x",
        "nothing",
        "lib/../etc/passwd",
        "deep/../etc/passwd",
    };
    assert_same_as_overlayfs(&f, paths, COUNT(paths));
    struct str text;
    assert_int_equal(read_file(&f, "fifo", &text), -1);
    assert_int_equal(f.e.kind, ERR_INVALID);
    fixture_done(&f);
}

static void forty_layers_are_one_image(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    for (int i = 0; i < LAYERS_TESTED_MAX; i++) {
        char own[32], hidden[32], text[16];
        (void)snprintf(own, sizeof own, "d/f%d", i);
        (void)snprintf(hidden, sizeof hidden, "d/.wh.f%d", i - 3);
        (void)snprintf(text, sizeof text, "%d", i);
        PUSH(&f, {.name = own, .data = str_of(text)}, {.name = "d/same", .data = str_of(text)},
             W(i >= 3 ? hidden : "x"));
    }
    static const char *const paths[] = {"d/same", "d/f0", "d/f36", "d/f37", "d/f39", "x", "d/f40"};
    assert_same_as_overlayfs(&f, paths, COUNT(paths));
    fixture_done(&f);
}

static void a_file_over_the_limit_is_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_open(&f);
    AUTO_FREE char *big = xmalloc((1 << 20) + 1);
    PUSH(&f, {.name = "fits", .data = str_make(big, 1 << 20)},
         {.name = "big", .data = str_make(big, (1 << 20) + 1)});
    struct str text;
    assert_int_equal(read_file(&f, "fits", &text), 0);
    assert_int_equal(text.n, 1 << 20);
    assert_int_equal(read_file(&f, "big", &text), -1);
    assert_int_equal(f.e.kind, ERR_LIMIT);
    fixture_done(&f);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("128m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_reads_as_overlayfs_shows_it),
        cmocka_unit_test(forty_layers_are_one_image),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
