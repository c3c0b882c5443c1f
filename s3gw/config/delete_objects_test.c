/* SPDX-License-Identifier: Apache-2.0 — delete_objects_test.c */
#include "s3gw/config/delete_objects.h"

#include "s3gw/config/config_expect_rig.h"

#define OBJECT(rest) "<Object><Key>k</Key>" rest "</Object>"

static int parse(struct arena *a, const char *body, struct delete_objects *out) {
    AUTO_FREE char *in = xasprintf("<Delete>%s</Delete>", body);
    struct s3_error x = {0};
    int r = delete_objects_parse(a, str_of(in), out, &x);
    if (r < 0) assert_int_equal(x.code, S3_MALFORMED_XML);
    return r;
}

static void objects_come_with_versions_and_conditions(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(DELETE_ARENA_BYTES);
    struct delete_objects d;
    assert_int_equal(
        parse(&a,
              "<Object><Key>a&amp;b</Key></Object><Quiet>true</Quiet>" OBJECT(
                  "<VersionId>v</VersionId><ETag>\"e\"</ETag><Size>7</Size><LastModifiedTime>"
                  "Fri, 24 May 2013 00:00:00 GMT</LastModifiedTime>")
                  OBJECT("<ETag>*</ETag><LastModifiedTime>2013-05-24T00:00:00Z</LastModifiedTime>"),
              &d),
        0);
    assert_true(d.is_quiet);
    assert_int_equal(d.count, 3);
    assert_true(str_eq(d.at[0].key, STR("a&b")));
    assert_false(d.at[0].has_size || d.at[0].has_modified || d.at[0].etag.n || d.at[0].version.n);
    assert_true(str_eq(d.at[1].version, STR("v")) && str_eq(d.at[1].etag, STR("e")));
    assert_true(d.at[1].has_size && d.at[1].size_bytes == 7);
    assert_int_equal(d.at[1].modified_s, 1369353600);
    assert_int_equal(d.at[2].modified_s, 1369353600);
    assert_true(str_eq(d.at[2].etag, STR("*")));
}

static void other_documents_are_malformed(void **state) {
    (void)state;
    static const char *const rows[] = {"",
                                       "<Quiet>true</Quiet>",
                                       "<Object/>",
                                       "<Object><Key/></Object>",
                                       OBJECT("<Key>k</Key>"),
                                       OBJECT("<Size>-1</Size>"),
                                       OBJECT("<LastModifiedTime>x</LastModifiedTime>"),
                                       OBJECT("<Force>true</Force>"),
                                       OBJECT("") "<Quiet>maybe</Quiet>"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(DELETE_ARENA_BYTES);
        struct delete_objects d;
        assert_int_equal(parse(&a, rows[i], &d), -1);
    }
}

static void a_thousand_objects_with_the_longest_keys_fit(void **state) {
    (void)state;
    AUTO_FREE char *key = times(1024, "k");
    AUTO_FREE char *object =
        xasprintf("<Object><Key>%s</Key><VersionId>v</VersionId><ETag>e</ETag><Size>1</Size>"
                  "<LastModifiedTime>2013-05-24T00:00:00Z</LastModifiedTime></Object>",
                  key);
    AUTO_FREE char *fits = times(DELETE_OBJECTS_MAX, object);
    AUTO_FREE char *over = times(DELETE_OBJECTS_MAX + 1, OBJECT(""));
    AUTO(arena_done) struct arena a = ARENA(DELETE_ARENA_BYTES);
    struct delete_objects d;
    assert_int_equal(parse(&a, fits, &d), 0);
    assert_int_equal(d.count, DELETE_OBJECTS_MAX);
    assert_int_equal(parse(&a, over, &d), -1);
    AUTO_FREE char *space = times(DELETE_BYTES_MAX, " ");
    assert_int_equal(parse(&a, space, &d), -1);
    AUTO_FREE char *text = times(DELETE_KEY_BYTES_MAX + 1, "k");
    AUTO_FREE char *longer = xasprintf("<Object><Key>%s</Key></Object>", text);
    assert_int_equal(parse(&a, longer, &d), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_come_with_versions_and_conditions),
        cmocka_unit_test(other_documents_are_malformed),
        cmocka_unit_test(a_thousand_objects_with_the_longest_keys_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
