/* SPDX-License-Identifier: Apache-2.0 — tagging_test.c */
#include "s3gw/config/tagging.h"

#include "s3gw/config/config_expect_rig.h"

#define TAG(key, value) "<Tag><Key>" key "</Key><Value>" value "</Value></Tag>"
#define SET(tags)       "<TagSet>" tags "</TagSet>"
static const struct rig_round R = {"Tagging", round_tags_of_object};
static const struct rig_round BUCKET = {"Tagging", round_tags_of_bucket};

static void tags_are_given_back(void **state) {
    (void)state;
    gives_body(&R, SET(TAG("Organization", "marketing") TAG("a b+-=._:/@9", "")));
    gives_body(&R, SET(""));
    gives_body(&BUCKET, SET(TAG("gr\xC3\xBC\xC3\x9F", "\xF0\x9F\x92\xA1")));
}

static void keys_and_values_have_rules(void **state) {
    (void)state;
    refuses_body(&R, SET(TAG("", "v")), S3_INVALID_TAG);
    refuses_body(&R, SET(TAG("a*", "v")), S3_INVALID_TAG);
    refuses_body(&R, SET(TAG("a", "v&#10;")), S3_INVALID_TAG);
    refuses_body(&R, SET(TAG("aws:x", "v")), S3_INVALID_TAG);
    refuses_body(&R, SET(TAG("AWS:x", "v")), S3_INVALID_TAG);
    refuses_body(&R, SET(TAG("a", "1") TAG("a", "2")), S3_INVALID_TAG);
    refuses_body(&R, SET("<Tag><Key>a</Key></Tag>"), S3_MALFORMED_XML);
    refuses_body(&R, "", S3_MALFORMED_XML);
}

static char *tags(size_t n) {
    AUTO(buf_done) struct buf b = BUF(1 << 16);
    for (size_t i = 0; i < n; i++) assert_int_equal(buf_fmt(&b, TAG("k%zu", "v"), i), 0);
    return xasprintf(SET("%s"), buf_c(&b));
}

static void counts_and_lengths_are_limited(void **state) {
    (void)state;
    for (int is_bucket = 0; is_bucket < 2; is_bucket++) {
        size_t max = is_bucket ? TAGS_OF_BUCKET_MAX : TAGS_OF_OBJECT_MAX;
        AUTO_FREE char *fits = tags(max);
        AUTO_FREE char *over = tags(max + 1);
        gives_body(is_bucket ? &BUCKET : &R, fits);
        refuses_body(is_bucket ? &BUCKET : &R, over, S3_BAD_REQUEST);
    }
    AUTO_FREE char *key = times(TAG_KEY_CHARS_MAX, "\xC3\xA9"); /* characters, not bytes */
    AUTO_FREE char *value = times(TAG_VALUE_CHARS_MAX, "\xC3\xA9");
    AUTO_FREE char *fits = xasprintf(SET(TAG("%s", "%s")), key, value);
    AUTO_FREE char *long_key = xasprintf(SET(TAG("%sx", "%s")), key, value);
    AUTO_FREE char *long_value = xasprintf(SET(TAG("%s", "%sx")), key, value);
    gives_body(&R, fits);
    refuses_body(&R, long_key, S3_INVALID_TAG);
    refuses_body(&R, long_value, S3_INVALID_TAG);
}

static enum s3_code header(const char *value, const char *want) {
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    AUTO(buf_done) struct buf b = BUF(1 << 16);
    struct s3_error x = {0};
    struct tagging t;
    if (tagging_of_header(&a, str_of(value), &t, &x) < 0) return x.code;
    assert_int_equal(tagging_header(&t, &b), 0);
    assert_string_equal(buf_c(&b), want);
    return S3_OK;
}

static void the_header_is_a_query(void **state) {
    (void)state;
    assert_int_equal(header("a=1&b=x%2By+z&c", "a=1&b=x%2By%20z&c="), S3_OK);
    assert_int_equal(header("", ""), S3_OK);
    assert_int_equal(header("a=1&a=2", ""), S3_INVALID_ARGUMENT);
    assert_int_equal(header("a=%zz", ""), S3_INVALID_ARGUMENT);
    assert_int_equal(header("a=%FF", ""), S3_INVALID_ARGUMENT);
    assert_int_equal(header("aws:a=1", ""), S3_INVALID_TAG);
    assert_int_equal(header("=1", ""), S3_INVALID_TAG);
    assert_int_equal(header("a&b&c&d&e&f&g&h&i&j&k", ""), S3_BAD_REQUEST);
    AUTO_FREE char *many = times(200, "a&");
    assert_int_equal(header(many, ""), S3_BAD_REQUEST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_given_back),
        cmocka_unit_test(keys_and_values_have_rules),
        cmocka_unit_test(counts_and_lengths_are_limited),
        cmocka_unit_test(the_header_is_a_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
