/* SPDX-License-Identifier: Apache-2.0 — acl_test.c */
#include "s3gw/config/acl.h"

#include "s3gw/config/config_expect_rig.h"

#include <errno.h>

#define OWNER  "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
#define OTHER  "8a6925ce4adf588a4f21c32aa379004fef51c83d57ca2b9ef1a9f0e5f1b7e5d2"
#define GROUP  "http://acs.amazonaws.com/groups/"
#define OF(id) "<ID>" id "</ID><DisplayName>" id "</DisplayName>"
#define TO(type)                                                                                   \
    "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"" type "\">"
#define GRANT(grantee, permission)                                                                 \
    "<Grant>" grantee "</Grantee><Permission>" permission "</Permission></Grant>"
#define DOC(grants) "<Owner>" OF(OWNER) "</Owner><AccessControlList>" grants "</AccessControlList>"
static const struct rig_round R = {"AccessControlPolicy", round_acl};

static void grants_are_given_back(void **state) {
    (void)state;
    gives_body(&R, DOC(""));
    gives_body(&R,
               DOC(GRANT(TO("CanonicalUser") OF(OWNER), "FULL_CONTROL")
                       GRANT(TO("Group") "<URI>" GROUP "global/AllUsers</URI>", "READ") GRANT(
                           TO("Group") "<URI>" GROUP "global/AuthenticatedUsers</URI>", "READ_ACP")
                           GRANT(TO("Group") "<URI>" GROUP "s3/LogDelivery</URI>", "WRITE")));
    gives(&R,
          "<AccessControlPolicy><Owner><ID>" OWNER "</ID></Owner><AccessControlList>"
          "<Grant><Grantee><ID>" OTHER "</ID></Grantee><Permission>WRITE_ACP</Permission></Grant>"
          "</AccessControlList></AccessControlPolicy>",
          DOC(GRANT(TO("CanonicalUser") OF(OTHER), "WRITE_ACP")));
}

static void what_is_not_an_acl_is_refused_with_its_code(void **state) {
    (void)state;
    refuses_body(&R, "", S3_MALFORMED_ACL);
    refuses_body(&R, DOC(GRANT(TO("Group") OF(OTHER), "READ")), S3_MALFORMED_ACL);
    refuses_body(&R, DOC(GRANT(TO("CanonicalUser") OF(OTHER), "ALL")), S3_MALFORMED_ACL);
    refuses_body(&R, DOC(GRANT(TO("CanonicalUser"), "READ")), S3_MALFORMED_ACL);
    refuses_body(&R, DOC(GRANT(TO("CanonicalUser") OF("a b"), "READ")), S3_INVALID_ARGUMENT);
    refuses_body(&R, DOC(GRANT(TO("Group") "<URI>http://x</URI>", "READ")), S3_INVALID_ARGUMENT);
    refuses_body(
        &R, DOC(GRANT(TO("AmazonCustomerByEmail") "<EmailAddress>a@b.c</EmailAddress>", "READ")),
        S3_UNRESOLVABLE_GRANT);
}

static void a_hundred_grants_fit_and_no_more(void **state) {
    (void)state;
    AUTO_FREE char *full = times(ACL_GRANTS_MAX, GRANT(TO("CanonicalUser") OF(OTHER), "READ"));
    AUTO_FREE char *fits = xasprintf(DOC("%s"), full);
    AUTO_FREE char *over = xasprintf(DOC("%s" GRANT(TO("CanonicalUser") OF(OTHER), "READ")), full);
    gives_body(&R, fits);
    refuses_body(&R, over, S3_MALFORMED_ACL);
    AUTO_FREE char *id = times(ACL_ID_CHARS_MAX + 1, "i");
    AUTO_FREE char *longer =
        xasprintf("<Owner><ID>%s</ID></Owner><AccessControlList></AccessControlList>", id);
    refuses_body(&R, longer, S3_INVALID_ARGUMENT);
}

#define HEADERS(h, n)                                                                              \
    &(struct s3_request) { .headers = (h), .header_count = (n) }

static int ask(struct arena *a, const struct s3_request *rq, bool is_bucket, struct acl_asked *out,
               struct s3_error *x) {
    struct acl_place place = {STR("me"), is_bucket ? STR("me") : STR("boss"), is_bucket};
    return acl_of_headers(a, rq, &place, out, x);
}

static void each_canned_list_is_kept_and_loaded(void **state) {
    (void)state;
    static const struct {
        const char *name, *bucket, *object; /* behind the owner's lines */
    } rows[] = {
        {"private", "", ""},
        {"public-read", "READ all\n", "READ all\n"},
        {"public-read-write", "READ all\nWRITE all\n", "READ all\nWRITE all\n"},
        {"authenticated-read", "READ authenticated\n", "READ authenticated\n"},
        {"aws-exec-read", "", ""},
        {"bucket-owner-read", "", "READ id boss\n"},
        {"bucket-owner-full-control", "", "FULL_CONTROL id boss\n"},
        {"log-delivery-write", "WRITE log-delivery\nREAD_ACP log-delivery\n", ""},
    };
    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
        AUTO(buf_done) struct buf b = BUF(ACL_STORED_BYTES_MAX), b2 = BUF(ACL_STORED_BYTES_MAX);
        struct s3_error x = {0};
        struct acl_asked asked;
        struct acl l;
        bool is_bucket = i % 2;
        struct s3_pair h = {STR("X-Amz-Acl"), str_of(rows[i / 2].name)};
        assert_int_equal(ask(&a, HEADERS(&h, 1), is_bucket, &asked, &x), 0);
        assert_true(asked.is_given);
        assert_int_equal(acl_store(&asked.acl, &b), 0);
        AUTO_FREE char *want = xasprintf("owner me\nFULL_CONTROL id me\n%s",
                                         is_bucket ? rows[i / 2].bucket : rows[i / 2].object);
        assert_string_equal(buf_c(&b), want);
        assert_int_equal(acl_load(&a, buf_view(&b), &l), 0);
        assert_int_equal(acl_store(&l, &b2), 0);
        assert_string_equal(buf_c(&b2), want);
    }
}

static void grants_come_in_headers(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    AUTO(buf_done) struct buf b = BUF(ACL_STORED_BYTES_MAX);
    struct s3_error x = {0};
    struct acl_asked asked;
    struct s3_pair h[] = {
        {STR("x-amz-grant-read"), STR("uri=\"" GROUP "global/AllUsers\", id=\"bob\"")},
        {STR("x-amz-grant-full-control"), STR("id=me")},
    };
    assert_int_equal(ask(&a, HEADERS(h, 2), true, &asked, &x), 0);
    assert_int_equal(acl_store(&asked.acl, &b), 0);
    assert_string_equal(buf_c(&b), "owner me\nREAD all\nREAD id bob\nFULL_CONTROL id me\n");
    assert_int_equal(ask(&a, HEADERS(NULL, 0), true, &asked, &x), 0);
    assert_false(asked.is_given);
    assert_int_equal(asked.acl.count, 1);
    static const struct {
        struct s3_pair h[2];
        size_t n;
        enum s3_code code;
    } bad[] = {
        {{{{"x-amz-acl", 9}, {"secret", 6}}}, 1, S3_INVALID_ARGUMENT},
        {{{{"x-amz-acl", 9}, {"private", 7}}, {{"x-amz-acl", 9}, {"private", 7}}},
         2,
         S3_INVALID_ARGUMENT},
        {{{{"x-amz-acl", 9}, {"private", 7}}, {{"x-amz-grant-read", 16}, {"id=x", 4}}},
         2,
         S3_INVALID_REQUEST},
        {{{{"x-amz-grant-read", 16}, {"emailAddress=a@b", 16}}}, 1, S3_UNRESOLVABLE_GRANT},
        {{{{"x-amz-grant-read", 16}, {"id", 2}}}, 1, S3_INVALID_ARGUMENT},
        {{{{"x-amz-grant-read", 16}, {"id=\"\"", 5}}}, 1, S3_INVALID_ARGUMENT},
        {{{{"x-amz-grant-read", 16}, {"uri=x", 5}}}, 1, S3_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(ask(&a, HEADERS(bad[i].h, bad[i].n), true, &asked, &x), -1);
        assert_int_equal(x.code, bad[i].code);
    }
    AUTO_FREE char *many = times(ACL_GRANTS_MAX, "id=x,");
    h[0].value = str_of(many);
    h[0].value.n--;
    assert_int_equal(ask(&a, HEADERS(h, 1), true, &asked, &x), 0);
    assert_int_equal(ask(&a, HEADERS(h, 2), true, &asked, &x), -1);
    assert_int_equal(x.code, S3_INVALID_REQUEST);
}

static bool may(const char *stored, const char *id, enum acl_rights right, bool ignore_public) {
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    struct acl l;
    assert_int_equal(acl_load(&a, str_of(stored), &l), 0);
    struct acl_question q = {str_of(id), right, ignore_public};
    return acl_permits(&l, &q);
}

static void lists_permit_what_they_grant(void **state) {
    (void)state;
    const char *open = "owner o\nREAD all\nWRITE authenticated\nFULL_CONTROL id bob\n";
    assert_true(may(open, "", ACL_MAY_READ, false));
    assert_false(may(open, "", ACL_MAY_READ, true));
    assert_false(may(open, "", ACL_MAY_WRITE, false));
    assert_true(may(open, "eve", ACL_MAY_WRITE, false));
    assert_false(may(open, "eve", ACL_MAY_WRITE, true));
    assert_false(may(open, "eve", ACL_MAY_WRITE_ACP, false));
    assert_true(may(open, "bob", ACL_MAY_WRITE_ACP, true));
    assert_true(may(open, "o", ACL_MAY_READ_ACP, true));
    assert_true(may("owner o\n", "o", ACL_MAY_WRITE_ACP, false));
    assert_false(may("owner o\n", "o", ACL_MAY_WRITE, false));
    assert_false(may("owner o\nREAD log-delivery\n", "eve", ACL_MAY_READ, false));
}

static void broken_stored_lists_are_errors(void **state) {
    (void)state;
    static const char *const rows[] = {"",
                                       "owner o",
                                       "READ all\n",
                                       "owner \n",
                                       "owner o\nREAD\n",
                                       "owner o\nREAD all x\n",
                                       "owner o\nREAD id\n",
                                       "owner o\nREAD id \n",
                                       "owner o\nALL all\n",
                                       "owner o\n\n",
                                       "owner o\nREAD everybody\n"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
        struct acl l;
        assert_int_equal(acl_load(&a, str_of(rows[i]), &l), -EINVAL);
    }
}

static void enforced_ownership_takes_only_full_control_of_the_owner(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    struct s3_error x = {0};
    struct acl_asked asked;
    struct s3_pair h = {STR("x-amz-acl"), STR("private")};
    assert_int_equal(ask(&a, HEADERS(&h, 1), false, &asked, &x), 0);
    assert_int_equal(acl_check_ownership(OWNERSHIP_WRITER, &asked, STR("boss"), &x), 0);
    assert_int_equal(acl_check_ownership(OWNERSHIP_ENFORCED, &asked, STR("boss"), &x), -1);
    assert_int_equal(x.code, S3_ACCESS_CONTROL_LIST_NOT_SUPPORTED);
    h.value = STR("bucket-owner-full-control");
    assert_int_equal(ask(&a, HEADERS(&h, 1), false, &asked, &x), 0);
    assert_int_equal(acl_check_ownership(OWNERSHIP_ENFORCED, &asked, STR("boss"), &x), 0);
    h = (struct s3_pair){STR("x-amz-grant-full-control"), STR("id=boss")};
    assert_int_equal(ask(&a, HEADERS(&h, 1), false, &asked, &x), 0);
    assert_int_equal(acl_check_ownership(OWNERSHIP_ENFORCED, &asked, STR("boss"), &x), 0);
    assert_int_equal(acl_check_ownership(OWNERSHIP_ENFORCED, &asked, STR("me"), &x), -1);
    assert_false(acl_is_public(&asked.acl));
    h = (struct s3_pair){STR("x-amz-acl"), STR("authenticated-read")};
    assert_int_equal(ask(&a, HEADERS(&h, 1), false, &asked, &x), 0);
    assert_true(acl_is_public(&asked.acl));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_given_back),
        cmocka_unit_test(what_is_not_an_acl_is_refused_with_its_code),
        cmocka_unit_test(a_hundred_grants_fit_and_no_more),
        cmocka_unit_test(each_canned_list_is_kept_and_loaded),
        cmocka_unit_test(grants_come_in_headers),
        cmocka_unit_test(lists_permit_what_they_grant),
        cmocka_unit_test(broken_stored_lists_are_errors),
        cmocka_unit_test(enforced_ownership_takes_only_full_control_of_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
