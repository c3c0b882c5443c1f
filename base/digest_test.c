/* SPDX-License-Identifier: Apache-2.0 — digest_test.c; vectors: FIPS 180-4 examples. */
#include "base/digest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ABC_HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void known_messages_have_known_digests(void **state) {
    (void)state;
    char text[DIGEST_TEXT_CHARS + 1];
    struct digest d = digest_of(STR("abc"));
    assert_string_equal(digest_text(&d, text), "sha256:" ABC_HEX);
    d = digest_of(STR(""));
    assert_string_equal(digest_hex(&d, text),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void piecewise_and_whole_agree_and_the_object_is_reusable(void **state) {
    (void)state;
    AUTO(sha256_done) struct sha256 h = SHA256_NONE;
    for (int round = 0; round < 2; round++) {
        sha256_init(&h);
        sha256_update(&h, "a", 1);
        sha256_update(&h, NULL, 0);
        sha256_update(&h, "bc", 2);
        struct digest d = sha256_final(&h);
        struct digest want = digest_of(STR("abc"));
        assert_true(digest_eq(&d, &want));
    }
}

static void sha1_is_there_for_protocols_that_name_it(void **state) {
    (void)state;
    char text[DIGEST_SHA1_HEX_CHARS + 1];
    assert_string_equal(digest_sha1_hex(STR("abc"), text),
                        "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_string_equal(digest_sha1_hex(STR(""), text), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static void only_exact_sha256_text_is_accepted(void **state) {
    (void)state;
    struct digest d;
    char text[DIGEST_TEXT_CHARS + 1];
    assert_int_equal(digest_parse(STR("sha256:" ABC_HEX), &d), 0);
    assert_string_equal(digest_text(&d, text), "sha256:" ABC_HEX);
    assert_int_equal(digest_parse(STR("sha256:" ABC_HEX "0"), &d), -EINVAL);
    assert_int_equal(digest_parse(STR("sha256:abc"), &d), -EINVAL);
    assert_int_equal(digest_parse(STR("sha256:"), &d), -EINVAL);
    assert_int_equal(digest_parse(STR(""), &d), -EINVAL);
    assert_int_equal(digest_parse(STR(ABC_HEX), &d), -EINVAL);
    assert_int_equal(digest_parse(STR(":" ABC_HEX), &d), -EINVAL);
    assert_int_equal(digest_parse(STR("sha512:" ABC_HEX), &d), -ENOTSUP);
    char upper[] = "sha256:" ABC_HEX;
    upper[7] = 'B';
    assert_int_equal(digest_parse(str_of(upper), &d), -EINVAL);
    assert_int_equal(digest_parse_hex(str_of(upper + 7), &d), 0);
    upper[8] = 'g';
    assert_int_equal(digest_parse_hex(str_of(upper + 7), &d), -EINVAL);
}

static void comparison_sees_every_difference(void **state) {
    (void)state;
    struct digest a = digest_of(STR("a"));
    struct digest b = a;
    assert_true(digest_eq(&a, &b));
    b.bytes[31] ^= 1;
    assert_false(digest_eq(&a, &b));
    assert_true(digest_eq_secret(STR("token"), STR("token")));
    assert_false(digest_eq_secret(STR("token"), STR("tokem")));
    assert_false(digest_eq_secret(STR("token"), STR("toke")));
    assert_true(digest_eq_secret(STR_NONE, STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_messages_have_known_digests),
        cmocka_unit_test(piecewise_and_whole_agree_and_the_object_is_reusable),
        cmocka_unit_test(sha1_is_there_for_protocols_that_name_it),
        cmocka_unit_test(only_exact_sha256_text_is_accepted),
        cmocka_unit_test(comparison_sees_every_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
