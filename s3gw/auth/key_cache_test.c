/* SPDX-License-Identifier: Apache-2.0 — key_cache_test.c; known answer: AWS General Reference,
 * "Examples of how to derive a signing key for Signature Version 4". */
#include "s3gw/auth/key_cache.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct signing_scope example = {{"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40},
                                             {"20120215", 8},
                                             {"us-east-1", 9},
                                             {"iam", 3}};

static void the_example_of_aws_is_derived_and_then_cached(void **state) {
    (void)state;
    struct key_cache *c = key_cache_new();
    uint8_t key[DIGEST_BYTES];
    char hex[DIGEST_HEX_CHARS + 1];
    assert_false(key_cache_get(c, &example, key));
    assert_string_equal(hex_encode(key, sizeof key, hex),
                        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    assert_false(key_cache_get(c, &example, key)); /* looking alone puts nothing in */
    key_cache_put(c, &example, key);
    memset(key, 0, sizeof key);
    assert_true(key_cache_get(c, &example, key));
    assert_string_equal(hex_encode(key, sizeof key, hex),
                        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    key_cache_free(c);
}

static void every_part_of_the_scope_counts(void **state) {
    (void)state;
    struct key_cache *c = key_cache_new();
    uint8_t good[DIGEST_BYTES];
    uint8_t key[DIGEST_BYTES];
    (void)key_cache_get(c, &example, good);
    key_cache_put(c, &example, good);
    struct signing_scope others[] = {example, example, example, example};
    others[0].secret = STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEX");
    others[1].date = STR("20120216");
    others[2].region = STR("us-east-2");
    others[3].service = STR("sts");
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_false(key_cache_get(c, &others[i], key));
        assert_memory_not_equal(key, good, sizeof key);
    }
    key_cache_free(c);
}

static void more_scopes_than_slots_push_each_other_out_and_stay_right(void **state) {
    (void)state;
    struct key_cache *c = key_cache_new();
    uint8_t first[DIGEST_BYTES];
    uint8_t again[DIGEST_BYTES];
    char date[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2 * KEY_CACHE_SLOTS; i++) {
            struct signing_scope s = example;
            (void)snprintf(date, sizeof date, "%08d", i);
            s.date = str_of(date);
            (void)key_cache_get(c, &s, again);
            key_cache_put(c, &s, again);
            if (i == 7 && round == 0) memcpy(first, again, sizeof first);
            if (i == 7) assert_memory_equal(first, again, sizeof first);
        }
    key_cache_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_aws_is_derived_and_then_cached),
        cmocka_unit_test(every_part_of_the_scope_counts),
        cmocka_unit_test(more_scopes_than_slots_push_each_other_out_and_stay_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
