/* SPDX-License-Identifier: Apache-2.0 — list_token_test.c */
#include "s3gw/list/list_token.h"

#include "base/base64.h"
#include "s3gw/meta/meta.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct str written(struct arena *a, struct str bucket, struct str key) {
    struct str token;
    assert_int_equal(list_token_write(a, bucket, key, &token), 0);
    return token;
}

static void any_key_comes_back(void **state) {
    (void)state;
    char longest[META_KEY_BYTES_MAX];
    memset(longest, 0xff, sizeof longest);
    const struct str keys[] = {STR("a"), STR("a/b"), STR("\x01\n"), STR("\0\0"),
                               str_make(longest, sizeof longest)};
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct str key;
        struct str token = written(&a, STR("bucket"), keys[i]);
        assert_int_equal(list_token_read(&a, STR("bucket"), token, &key), 0);
        assert_true(str_eq(key, keys[i]));
    }
}

static void every_byte_that_is_altered_or_missing_is_found(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(4 << 20);
    struct str token = written(&a, STR("bucket"), STR("photos/2026/"));
    struct str key;
    for (size_t i = 0; i < token.n; i++) {
        struct str copy = arena_str(&a, token);
        ((char *)copy.p)[i] = copy.p[i] == 'A' ? 'B' : 'A';
        assert_int_equal(list_token_read(&a, STR("bucket"), copy, &key), -EINVAL);
        assert_int_equal(list_token_read(&a, STR("bucket"), str_sub(token, 0, i), &key), -EINVAL);
    }
    assert_int_equal(list_token_read(&a, STR("bucke"), token, &key), -EINVAL);
    assert_int_equal(list_token_read(&a, STR("bucketp"), token, &key), -EINVAL);
}

static void a_key_that_is_too_long_is_no_token(void **state) {
    (void)state;
    char long_key[META_KEY_BYTES_MAX + 1];
    memset(long_key, 'a', sizeof long_key);
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct str token = written(&a, STR("bucket"), str_make(long_key, sizeof long_key));
    struct str key;
    assert_int_equal(list_token_read(&a, STR("bucket"), token, &key), -EINVAL);
}

static void a_full_arena_is_told(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    AUTO(arena_done) struct arena full = ARENA(1);
    struct str token = written(&a, STR("bucket"), STR("a"));
    struct str out;
    assert_int_equal(list_token_read(&full, STR("bucket"), token, &out), -ENOSPC);
    assert_int_equal(list_token_write(&full, STR("bucket"), STR("a"), &out), -ENOSPC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_key_comes_back),
        cmocka_unit_test(every_byte_that_is_altered_or_missing_is_found),
        cmocka_unit_test(a_key_that_is_too_long_is_no_token),
        cmocka_unit_test(a_full_arena_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
