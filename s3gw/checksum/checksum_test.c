/* SPDX-License-Identifier: Apache-2.0 — checksum_test.c; values: published test vectors of the
 * algorithms and what AWS documents for the empty body. */
#include "s3gw/checksum/checksum.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct checksum_value value_of(enum checksum_kind kind, struct str bytes) {
    AUTO(checksum_done) struct checksum c = CHECKSUM_NONE;
    checksum_init(&c, kind);
    for (size_t i = 0; i < bytes.n; i++) checksum_update(&c, bytes.p + i, 1);
    return checksum_final(&c);
}

static void known_bytes_have_known_texts(void **state) {
    (void)state;
    static const struct {
        enum checksum_kind kind;
        const char *digits, *empty;
    } rows[] = {
        {CHECKSUM_CRC32, "y/Q5Jg==", "AAAAAA=="},
        {CHECKSUM_CRC32C, "4waSgw==", "AAAAAA=="},
        {CHECKSUM_CRC64NVME, "rosUhgp5mIg=", "AAAAAAAAAAA="},
        {CHECKSUM_SHA1, "98O8HYCOBHMq32eZZczDTKeuNEE=", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
        {CHECKSUM_SHA256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
         "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
    };
    char text[CHECKSUM_TEXT_MAX + 1];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct checksum_value v = value_of(rows[i].kind, STR("123456789"));
        assert_string_equal(checksum_text(&v, text), rows[i].digits);
        struct checksum_value back;
        assert_int_equal(checksum_parse(rows[i].kind, str_of(text), &back), 0);
        assert_true(checksum_eq(&v, &back));
        v = value_of(rows[i].kind, STR(""));
        assert_string_equal(checksum_text(&v, text), rows[i].empty);
        assert_false(checksum_eq(&v, &back));
    }
}

static void names_lead_to_kinds_and_back(void **state) {
    (void)state;
    for (size_t i = 0; i < CHECKSUM_KINDS; i++) {
        enum checksum_kind kind = CHECKSUM_KINDS;
        enum checksum_kind want = (enum checksum_kind)i;
        assert_int_equal(checksum_kind_of_name(str_of(checksum_name(want)), &kind), 0);
        assert_int_equal(kind, want);
        kind = CHECKSUM_KINDS;
        assert_int_equal(checksum_kind_of_header(str_of(checksum_header(want)), &kind), 0);
        assert_int_equal(kind, want);
        assert_string_equal(checksum_element(want) + 8, checksum_name(want));
    }
    enum checksum_kind kind;
    assert_int_equal(checksum_kind_of_name(STR("XXHASH3"), &kind), -ENOTSUP);
    assert_int_equal(checksum_kind_of_header(STR("X-Amz-Checksum-SHA512"), &kind), -ENOTSUP);
    assert_int_equal(checksum_kind_of_header(STR("x-amz-checksum-type"), &kind), -EINVAL);
    assert_int_equal(checksum_kind_of_header(STR("x-amz-acl"), &kind), -EINVAL);
    assert_int_equal(checksum_kind_of_name(STR(""), &kind), -EINVAL);
}

static void texts_of_a_wrong_length_or_alphabet_are_refused(void **state) {
    (void)state;
    struct checksum_value v;
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("AAAAAA="), &v), -EINVAL);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("AAAAAAA="), &v), -EINVAL);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("AAAAAA==AAAA"), &v), -EINVAL);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("AAA*AA=="), &v), -EINVAL);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR(""), &v), -EINVAL);
    assert_int_equal(checksum_parse(CHECKSUM_SHA256, STR("AAAAAA=="), &v), -EINVAL);
}

static void each_algorithm_has_the_types_that_aws_gives_it(void **state) {
    (void)state;
    assert_int_equal(checksum_type_default(CHECKSUM_CRC32), CHECKSUM_COMPOSITE);
    assert_int_equal(checksum_type_default(CHECKSUM_CRC64NVME), CHECKSUM_FULL_OBJECT);
    assert_true(checksum_type_allowed(CHECKSUM_CRC32C, CHECKSUM_FULL_OBJECT));
    assert_true(checksum_type_allowed(CHECKSUM_SHA1, CHECKSUM_COMPOSITE));
    assert_false(checksum_type_allowed(CHECKSUM_SHA1, CHECKSUM_FULL_OBJECT));
    assert_false(checksum_type_allowed(CHECKSUM_SHA256, CHECKSUM_FULL_OBJECT));
    assert_false(checksum_type_allowed(CHECKSUM_CRC64NVME, CHECKSUM_COMPOSITE));
    enum checksum_type type;
    assert_int_equal(checksum_type_of_name(STR("FULL_OBJECT"), &type), 0);
    assert_int_equal(type, CHECKSUM_FULL_OBJECT);
    assert_int_equal(checksum_type_of_name(STR("full_object"), &type), -EINVAL);
    assert_string_equal(checksum_type_name(CHECKSUM_COMPOSITE), "COMPOSITE");
}

static void parts_join_to_the_checksum_of_the_object(void **state) {
    (void)state;
    static const enum checksum_kind crcs[] = {CHECKSUM_CRC32, CHECKSUM_CRC32C, CHECKSUM_CRC64NVME};
    for (size_t i = 0; i < COUNT(crcs); i++) {
        struct checksum_value object = value_of(crcs[i], STR(""));
        struct checksum_value a = value_of(crcs[i], STR("1234"));
        struct checksum_value b = value_of(crcs[i], STR("56789"));
        struct checksum_value want = value_of(crcs[i], STR("123456789"));
        checksum_join(&object, &a, 4);
        checksum_join(&object, &b, 5);
        assert_true(checksum_eq(&object, &want));
    }
}

static void the_composite_is_the_checksum_of_the_parts_checksums(void **state) {
    (void)state;
    for (size_t i = 0; i < CHECKSUM_KINDS; i++) {
        enum checksum_kind kind = (enum checksum_kind)i;
        struct checksum_value parts[] = {value_of(kind, STR("one")), value_of(kind, STR("two"))};
        char joined[2 * CHECKSUM_BYTES_MAX];
        size_t n = checksum_bytes(kind);
        memcpy(joined, parts[0].bytes, n);
        memcpy(joined + n, parts[1].bytes, n);
        struct checksum_value got = checksum_composite(parts, 2);
        struct checksum_value want = value_of(kind, str_make(joined, 2 * n));
        assert_true(checksum_eq(&got, &want));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes_have_known_texts),
        cmocka_unit_test(names_lead_to_kinds_and_back),
        cmocka_unit_test(texts_of_a_wrong_length_or_alphabet_are_refused),
        cmocka_unit_test(each_algorithm_has_the_types_that_aws_gives_it),
        cmocka_unit_test(parts_join_to_the_checksum_of_the_object),
        cmocka_unit_test(the_composite_is_the_checksum_of_the_parts_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
