/* SPDX-License-Identifier: Apache-2.0 — store_test.c: names of layers and a damaged store; the rest
 * of the store's life is in image_test.c. */
#include "storage/image/store.h"

#include "storage/image/layer_sample.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void numbers_become_short_names_and_back(void **state) {
    (void)state;
    static const struct {
        uint64_t dir;
        const char *name;
    } pairs[] = {{1, "1"}, {35, "z"}, {36, "10"}, {46655, "zzz"}, {46656, "1000"}};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char name[STORE_NAME_BYTES];
        uint64_t dir;
        store_name_of(pairs[i].dir, name);
        assert_string_equal(name, pairs[i].name);
        assert_int_equal(store_dir_of(str_of(name), &dir), 0);
        assert_int_equal(dir, pairs[i].dir);
    }
}

static void other_names_are_no_layers(void **state) {
    (void)state;
    static const char *const names[] = {"",    "0",  "01",          "A",   "tmp-1", "trash-1",
                                        "a/b", "..", "12345678901", "a b", "\xe9"};
    for (size_t i = 0; i < COUNT(names); i++) {
        uint64_t dir;
        assert_int_equal(store_dir_of(str_of(names[i]), &dir), -EINVAL);
    }
    uint64_t dir;
    assert_int_equal(store_dir_of(STR("a\0b"), &dir), -EINVAL);
}

static void a_damaged_database_is_refused_with_the_remedy(void **state) {
    (void)state;
    char root[64], junk[8192];
    struct err e = {0};
    AUTO_CLOSE int dir = scratch_dir(root);
    memset(junk, 'x', sizeof junk);
    assert_int_equal(file_mkdirs(dir, "layers/1", 0755), 0);
    assert_int_equal(file_write_durable(dir, "images.db", str_make(junk, sizeof junk), 0600), 0);
    assert_null(image_store_open(root, "/unpacker", &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "images.db"));
    assert_non_null(strstr(e.msg, "start again"));
    assert_int_equal(file_exists(dir, "layers/1"), 1); /* a container may be using it */
}

static void a_folder_that_cannot_be_made_is_named(void **state) {
    (void)state;
    struct err e = {0};
    assert_null(image_store_open("/proc/nothing", "/unpacker", &e));
    assert_non_null(strstr(e.msg, "/proc/nothing/layers"));
    image_store_close(NULL);
}

static int setup(void **state) {
    (void)state;
    scratch_mount("32m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_short_names_and_back),
        cmocka_unit_test(other_names_are_no_layers),
        cmocka_unit_test(a_damaged_database_is_refused_with_the_remedy),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
