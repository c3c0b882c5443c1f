/* SPDX-License-Identifier: Apache-2.0 — create_bucket_test.c */
#include "s3gw/config/create_bucket.h"

#include "s3gw/config/config_expect_rig.h"

static enum s3_code parse(const char *in, const char *location, size_t tags) {
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    struct create_bucket c;
    struct s3_error x = {0};
    if (create_bucket_parse(&a, str_of(in), STR("eu-west-1"), &c, &x) < 0) return x.code;
    assert_true(str_eq(c.location, str_of(location)));
    assert_int_equal(c.tags.count, tags);
    return S3_OK;
}
#define DOC(x) "<CreateBucketConfiguration>" x "</CreateBucketConfiguration>"
#define AT(x)  DOC("<LocationConstraint>" x "</LocationConstraint>")

static void the_location_is_the_default_or_the_configured_region(void **state) {
    (void)state;
    assert_int_equal(parse("", "", 0), S3_OK);
    assert_int_equal(parse(DOC(""), "", 0), S3_OK);
    assert_int_equal(parse(AT(""), "", 0), S3_OK);
    assert_int_equal(parse(AT("us-east-1"), "us-east-1", 0), S3_OK);
    assert_int_equal(parse(AT("eu-west-1"), "eu-west-1", 0), S3_OK);
    assert_int_equal(parse(AT("mars-1"), "", 0), S3_ILLEGAL_LOCATION_CONSTRAINT);
}

static void tags_come_along_and_directory_buckets_do_not(void **state) {
    (void)state;
    assert_int_equal(parse(DOC("<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>"), "", 1),
                     S3_OK);
    assert_int_equal(parse(DOC("<Tags><Tag><Key>aws:</Key><Value>b</Value></Tag></Tags>"), "", 1),
                     S3_INVALID_TAG);
    assert_int_equal(parse(DOC("<Bucket><Type>Directory</Type></Bucket>"), "", 0),
                     S3_NOT_IMPLEMENTED);
    assert_int_equal(parse(DOC("<Color/>"), "", 0), S3_MALFORMED_XML);
    assert_int_equal(parse("<x", "", 0), S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_location_is_the_default_or_the_configured_region),
        cmocka_unit_test(tags_come_along_and_directory_buckets_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
