/* SPDX-License-Identifier: Apache-2.0 — lifecycle_test.c */
#include "s3gw/config/lifecycle.h"

#include "s3gw/config/config_expect_rig.h"

#define ON(rest)  "<Rule><ID>r</ID>" rest "</Rule>"
#define ENABLED   "<Status>Enabled</Status>"
#define DAYS(n)   "<Expiration><Days>" n "</Days></Expiration>"
#define ALL       "<Filter></Filter>"
#define TAG(k, v) "<Tag><Key>" k "</Key><Value>" v "</Value></Tag>"
#define ABORT(n)                                                                                   \
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>" n                                      \
    "</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
#define PAST(n, newer)                                                                             \
    "<NoncurrentVersionExpiration><NoncurrentDays>" n "</NoncurrentDays>" newer                    \
    "</NoncurrentVersionExpiration>"
#define NEWER(n) "<NewerNoncurrentVersions>" n "</NewerNoncurrentVersions>"
#define MARKER                                                                                     \
    "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
static const struct rig_round R = {"LifecycleConfiguration", round_lifecycle};

static void rules_are_given_back(void **state) {
    (void)state;
    gives_body(&R, ON(ALL ENABLED DAYS("3650")));
    gives_body(&R, ON("<Prefix>old/</Prefix>" ENABLED DAYS("1")));
    gives_body(&R, ON("<Filter><Prefix>p</Prefix></Filter>" ENABLED MARKER PAST("3", NEWER("5"))
                          ABORT("7")));
    gives_body(&R, ON("<Filter><And><Prefix>p</Prefix>" TAG("a", "1") TAG(
                       "b", "2") "<ObjectSizeGreaterThan>500</ObjectSizeGreaterThan>"
                                 "<ObjectSizeLessThan>64000</ObjectSizeLessThan></And></Filter>"
                                 "<Status>Disabled</Status>" DAYS("1")));
    gives(&R,
          "<LifecycleConfiguration><Rule><ID>r</ID><Filter/>" ENABLED
          "<Expiration><Date>2030-01-01</Date></Expiration></Rule></LifecycleConfiguration>",
          ON(ALL ENABLED "<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>"));
}

static void a_rule_without_id_gets_one(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    struct str in = STR("<LifecycleConfiguration><Rule><Prefix/>" ENABLED DAYS(
        "1") "</Rule><Rule>"
             "<Prefix/>" ENABLED DAYS("1") "</Rule></LifecycleConfiguration>");
    const struct lifecycle *l = NULL, *again = NULL;
    struct s3_error x = {0};
    assert_int_equal(lifecycle_parse(&a, in, &l, &x), 0);
    assert_int_equal(lifecycle_parse(&a, in, &again, &x), 0);
    assert_true(l->rules[0].id.n > 0 && !str_eq(l->rules[0].id, l->rules[1].id));
    assert_true(str_eq(l->rules[0].id, again->rules[0].id));
}

static void awss_rules_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum s3_code code;
    } rows[] = {
        {"", S3_MALFORMED_XML},
        {ON(ALL DAYS("1")), S3_MALFORMED_XML},
        {ON(ALL "<Status>enabled</Status>" DAYS("1")), S3_MALFORMED_XML},
        {ON(ENABLED DAYS("1")), S3_MALFORMED_XML},
        {ON(ALL "<Prefix>p</Prefix>" ENABLED DAYS("1")), S3_MALFORMED_XML},
        {ON(ALL ENABLED), S3_INVALID_REQUEST},
        {ON(ALL ENABLED DAYS("0")), S3_INVALID_ARGUMENT},
        {ON(ALL ENABLED DAYS("-1")), S3_INVALID_ARGUMENT},
        {ON(ALL ENABLED DAYS("2147483648")), S3_INVALID_ARGUMENT},
        {ON(ALL ENABLED DAYS("x")), S3_MALFORMED_XML},
        {ON(ALL ENABLED "<Expiration/>"), S3_MALFORMED_XML},
        {ON(ALL ENABLED "<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"),
         S3_MALFORMED_XML},
        {ON(ALL ENABLED "<Expiration><Date>20300101</Date></Expiration>"), S3_MALFORMED_XML},
        {ON(ALL ENABLED "<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"),
         S3_INVALID_ARGUMENT},
        {ON(ALL ENABLED PAST("0", "")), S3_INVALID_ARGUMENT},
        {ON(ALL ENABLED PAST("1", NEWER("101"))), S3_INVALID_ARGUMENT},
        {ON("<Prefix/>" ENABLED PAST("1", NEWER("1"))), S3_INVALID_REQUEST},
        {ON(ALL ENABLED ABORT("0")), S3_INVALID_ARGUMENT},
        {ON("<Filter>" TAG("a", "1") "</Filter>" ENABLED ABORT("1")), S3_INVALID_REQUEST},
        {ON("<Filter>" TAG("a", "1") "</Filter>" ENABLED MARKER), S3_INVALID_REQUEST},
        {ON("<Filter><Prefix>p</Prefix>" TAG("a", "1") "</Filter>" ENABLED DAYS("1")),
         S3_MALFORMED_XML},
        {ON("<Filter><And>" TAG("a", "1") TAG("a", "2") "</And></Filter>" ENABLED DAYS("1")),
         S3_INVALID_REQUEST},
        {ON("<Filter><And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5"
            "</ObjectSizeLessThan></And></Filter>" ENABLED DAYS("1")),
         S3_INVALID_REQUEST},
        {ON(ALL ENABLED "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass>"
                        "</Transition>"),
         S3_NOT_IMPLEMENTED},
        {ON(ALL ENABLED DAYS("1")) ON(ALL ENABLED DAYS("2")), S3_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) refuses_body(&R, rows[i].body, rows[i].code);
}

static char *rules(size_t n) {
    AUTO(buf_done) struct buf b = BUF(1 << 20);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_fmt(&b, "<Rule><ID>%zu</ID>" ALL ENABLED DAYS("1") "</Rule>", i), 0);
    return xstrdup(buf_c(&b));
}

static void limits_are_reached(void **state) {
    (void)state;
    AUTO_FREE char *fits = rules(LIFECYCLE_RULES_MAX);
    AUTO_FREE char *over = rules(LIFECYCLE_RULES_MAX + 1);
    gives_body(&R, fits);
    refuses_body(&R, over, S3_MALFORMED_XML);
    AUTO_FREE char *id = times(LIFECYCLE_ID_CHARS_MAX, "i");
    AUTO_FREE char *named = xasprintf("<Rule><ID>%s</ID>" ALL ENABLED DAYS("1") "</Rule>", id);
    AUTO_FREE char *longer = xasprintf("<Rule><ID>%sx</ID>" ALL ENABLED DAYS("1") "</Rule>", id);
    gives_body(&R, named);
    refuses_body(&R, longer, S3_INVALID_ARGUMENT);
    AUTO_FREE char *prefix = times(LIFECYCLE_PREFIX_MAX + 1, "p");
    AUTO_FREE char *far = xasprintf(ON("<Prefix>%s</Prefix>" ENABLED DAYS("1")), prefix);
    refuses_body(&R, far, S3_INVALID_REQUEST);
}

static const struct lifecycle *of(struct arena *a, const char *body) {
    AUTO_FREE char *in = xasprintf("<LifecycleConfiguration>%s</LifecycleConfiguration>", body);
    const struct lifecycle *l = NULL;
    struct s3_error x = {0};
    assert_int_equal(lifecycle_parse(a, str_of(in), &l, &x), 0);
    return l;
}

static void the_earliest_rule_that_fits_says_when(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    const struct lifecycle *l = of(
        &a,
        "<Rule><ID>slow one</ID>" ALL ENABLED DAYS(
            "10") "</Rule>"
                  "<Rule><ID>logs</ID><Filter><And><Prefix>logs/</Prefix>" TAG(
                      "a",
                      "1") "<ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And></Filter>" ENABLED
                      DAYS("3") "</Rule><Rule><ID>off</ID>" ALL
                                "<Status>Disabled</Status>" DAYS("1") "</Rule>");
    const struct tag tag = {STR("a"), STR("1")};
    const struct tagging tags = {&tag, 1};
    struct lifecycle_object o = {.key = STR("logs/x"), .size_bytes = 10, .tags = &tags};
    const int64_t at = 1389782430; /* 2014-01-15 10:40:30: AWS's own example, less 10 s */
    struct lifecycle_due due;
    assert_true(lifecycle_current(l, &o, at, LIFECYCLE_DAY_S, &due));
    assert_int_equal(due.at_s, 1390089600); /* 2014-01-19 00:00 */
    assert_true(str_eq(due.rule->id, STR("logs")));
    assert_true(lifecycle_current(l, &o, at, 10, &due));
    assert_int_equal(due.at_s, at + 30);
    o.size_bytes = 9;
    assert_true(lifecycle_current(l, &o, at, 10, &due));
    assert_int_equal(due.at_s, at + 100);
    AUTO(buf_done) struct buf b = BUF(LIFECYCLE_HEADER_MAX);
    due.at_s = 1356220800;
    assert_int_equal(lifecycle_header(&due, &b), 0);
    assert_string_equal(buf_c(&b),
                        "expiry-date=\"Sun, 23 Dec 2012 00:00:00 GMT\", rule-id=\"slow%20one\"");
    o.is_delete_marker = true;
    assert_false(lifecycle_current(l, &o, at, 10, &due));
}

static void versions_markers_and_uploads_have_their_rules(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    const struct lifecycle *l =
        of(&a, "<Rule><ID>v</ID><Filter><Prefix>p</Prefix></Filter>" ENABLED MARKER PAST(
                   "2", NEWER("3")) ABORT("7") "</Rule>");
    struct lifecycle_object o = {.key = STR("p1")};
    struct lifecycle_past past = {1000, 2};
    struct lifecycle_due due;
    assert_false(lifecycle_noncurrent(l, &o, &past, 10, &due));
    past.newer = 3;
    assert_true(lifecycle_noncurrent(l, &o, &past, 10, &due));
    assert_int_equal(due.at_s, 1020);
    assert_false(lifecycle_current(l, &o, 0, 10, &due));
    assert_true(lifecycle_lone_marker(l, STR("p1"), 500, 10, &due));
    assert_int_equal(due.at_s, 500);
    assert_false(lifecycle_lone_marker(l, STR("x"), 500, 10, &due));
    assert_true(lifecycle_upload(l, STR("p1"), 500, 10, &due));
    assert_int_equal(due.at_s, 570);
    assert_false(lifecycle_upload(l, STR("x"), 500, 10, &due));
    l = of(&a, ON("<Filter>" TAG("a", "1") "</Filter>" ENABLED DAYS("1")));
    assert_false(lifecycle_lone_marker(l, STR("p1"), 500, 10, &due));
    assert_false(lifecycle_current(l, &o, 500, 10, &due));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_given_back),
        cmocka_unit_test(a_rule_without_id_gets_one),
        cmocka_unit_test(awss_rules_are_checked),
        cmocka_unit_test(limits_are_reached),
        cmocka_unit_test(the_earliest_rule_that_fits_says_when),
        cmocka_unit_test(versions_markers_and_uploads_have_their_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
