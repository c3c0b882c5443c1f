/* SPDX-License-Identifier: Apache-2.0 — policy_test.c */
#include "s3gw/policy/policy.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define V12      "{\"Version\":\"2012-10-17\",\"Statement\":["
#define ALL      "\"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::b/*\""
#define ALLOW    "{\"Effect\":\"Allow\"," ALL "}"
#define IF(cond) V12 "{\"Effect\":\"Allow\"," ALL ",\"Condition\":{" cond "}}]}"
#define ALICE    "arn:aws:iam::111122223333:user/alice"

static enum policy_verdict ask(const char *document, const struct policy_question *q) {
    AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
    const struct policy *p = NULL;
    struct err e = {0};
    if (policy_parse(&a, str_of(document), STR("b"), &p, &e) < 0) {
        print_error("%s: %s\n", document, e.msg);
        assert_true(false);
    }
    return policy_evaluate(p, q);
}

static struct policy_question get_by(const char *arn) {
    return (struct policy_question){.action = STR("s3:GetObject"),
                                    .resource = STR("arn:aws:s3:::b/dir/key"),
                                    .principal_arn = str_of(arn),
                                    .account = arn ? STR("111122223333") : STR_NONE,
                                    .canonical_id = arn ? STR("c4n0n") : STR_NONE};
}

static void statements_apply_by_principal_action_and_resource(void **state) {
    (void)state;
#define ST(effect, rest) "{\"Effect\":\"" effect "\"," rest "}"
#define RES              ",\"Resource\":\"arn:aws:s3:::b/*\""
#define GET              "\"Action\":\"s3:GetObject\""
#define P(principal)     "\"Principal\":" principal ","
    static const struct {
        const char *statements;
        enum policy_verdict alice, nobody;
    } rows[] = {
        {ALLOW, POLICY_ALLOW, POLICY_ALLOW},
        {ST("Allow", P("{\"AWS\":\"*\"}") GET RES), POLICY_ALLOW, POLICY_ALLOW},
        {ST("Allow", P("{\"AWS\":\"" ALICE "\"}") GET RES), POLICY_ALLOW, POLICY_SILENT},
        {ST("Allow", P("{\"AWS\":[\"x\",\"111122223333\"]}") GET RES), POLICY_ALLOW, POLICY_SILENT},
        {ST("Allow", P("{\"AWS\":\"arn:aws:iam::111122223333:root\"}") GET RES), POLICY_ALLOW,
         POLICY_SILENT},
        {ST("Allow", P("{\"AWS\":\"arn:aws:iam::111122223334:root\"}") GET RES), POLICY_SILENT,
         POLICY_SILENT},
        {ST("Allow", P("{\"CanonicalUser\":\"c4n0n\"}") GET RES), POLICY_ALLOW, POLICY_SILENT},
        {ST("Allow", P("{\"Service\":\"s3.amazonaws.com\"}") GET RES), POLICY_SILENT,
         POLICY_SILENT},
        {ALLOW "," ST("Deny", "\"NotPrincipal\":{\"AWS\":\"" ALICE "\"}," GET RES), POLICY_ALLOW,
         POLICY_DENY},
        {ALLOW "," ST("Deny", P("{\"AWS\":\"" ALICE "\"}") "\"Action\":\"*\"" RES), POLICY_DENY,
         POLICY_ALLOW},
        {ST("Deny", P("\"*\"") GET RES) "," ALLOW, POLICY_DENY, POLICY_DENY},
        {ST("Allow", P("\"*\"") "\"Action\":\"S3:get*\"" RES), POLICY_ALLOW, POLICY_ALLOW},
        {ST("Allow", P("\"*\"") "\"Action\":\"s3:GetObjec\"" RES), POLICY_SILENT, POLICY_SILENT},
        {ST("Allow", P("\"*\"") "\"Action\":\"s3:GetObject?\"" RES), POLICY_SILENT, POLICY_SILENT},
        {ST("Allow", P("\"*\"") "\"NotAction\":\"s3:Put*\"" RES), POLICY_ALLOW, POLICY_ALLOW},
        {ST("Allow", P("\"*\"") "\"NotAction\":[\"s3:Put*\",\"s3:Get*\"]" RES), POLICY_SILENT,
         POLICY_SILENT},
        {ST("Allow", P("\"*\"") GET ",\"Resource\":\"arn:aws:s3:::b\""), POLICY_SILENT,
         POLICY_SILENT},
        {ST("Allow", P("\"*\"") GET ",\"Resource\":\"arn:aws:s3:::b/DIR/*\""), POLICY_SILENT,
         POLICY_SILENT},
        {ST("Allow", P("\"*\"") GET ",\"Resource\":\"arn:aws:s3:::b/d?r/*y\""), POLICY_ALLOW,
         POLICY_ALLOW},
        {ST("Allow", P("\"*\"") GET ",\"NotResource\":\"arn:aws:s3:::b/dir/*\""), POLICY_SILENT,
         POLICY_SILENT},
        {ST("Allow", P("\"*\"") GET ",\"NotResource\":\"arn:aws:s3:::b/x/*\""), POLICY_ALLOW,
         POLICY_ALLOW},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_FREE char *document = xasprintf(V12 "%s]}", rows[i].statements);
        struct policy_question alice = get_by(ALICE);
        struct policy_question nobody = get_by(NULL);
        if (ask(document, &alice) != rows[i].alice) print_error("alice: %s\n", document);
        assert_int_equal(ask(document, &alice), rows[i].alice);
        assert_int_equal(ask(document, &nobody), rows[i].nobody);
    }
}

static const struct s3_pair context[] = {
    {{"aws:SourceIp", 12}, {"192.0.2.77", 10}},
    {{"aws:SecureTransport", 19}, {"true", 4}},
    {{"aws:CurrentTime", 15}, {"2020-06-01T00:00:00Z", 20}},
    {{"aws:username", 12}, {"al*ce", 5}},
    {{"s3:prefix", 9}, {"home/al*ce/x", 12}},
    {{"s3:max-keys", 11}, {"10", 2}},
    {{"s3:x-amz-acl", 12}, {"public-read", 11}},
    {{"s3:ExistingObjectTag/class", 26}, {"open", 4}},
    {{"s3:RequestObjectTagKeys", 23}, {"a", 1}},
    {{"s3:RequestObjectTagKeys", 23}, {"b", 1}},
};

#define C(operator, key, value) "\"" operator"\":{\"" key "\":" value "}"
static const struct {
    const char *document;
    bool holds;
} conditions[] = {
    {IF(C("StringEquals", "s3:x-amz-acl", "\"public-read\"")), true},
    {IF(C("StringEquals", "S3:X-AMZ-ACL", "[\"private\",\"public-read\"]")), true},
    {IF(C("StringEquals", "s3:x-amz-acl", "\"public-*\"")), false},
    {IF(C("StringEquals", "s3:x-amz-acl", "\"Public-Read\"")), false},
    {IF(C("StringEqualsIgnoreCase", "s3:x-amz-acl", "\"Public-Read\"")), true},
    {IF(C("StringNotEqualsIgnoreCase", "s3:x-amz-acl", "\"Public-Read\"")), false},
    {IF(C("StringNotEquals", "s3:x-amz-acl", "[\"private\",\"public-read\"]")), false},
    {IF(C("StringNotEquals", "s3:x-amz-acl", "\"private\"")), true},
    {IF(C("StringLike", "s3:x-amz-acl", "\"public-*\"")), true},
    {IF(C("StringNotLike", "s3:x-amz-acl", "\"public-*\"")), false},
    {IF(C("StringEquals", "s3:delimiter", "\"/\"")), false},
    {IF(C("StringNotEquals", "s3:delimiter", "\"/\"")), true},
    {IF(C("StringEqualsIfExists", "s3:delimiter", "\"/\"")), true},
    {IF(C("StringEqualsIfExists", "s3:x-amz-acl", "\"private\"")), false},
    {IF(C("NumericLessThanEquals", "s3:max-keys", "\"10\"")), true},
    {IF(C("NumericLessThan", "s3:max-keys", "10")), false},
    {IF(C("NumericEquals", "s3:max-keys", "10")), true},
    {IF(C("NumericNotEquals", "s3:max-keys", "10")), false},
    {IF(C("NumericGreaterThan", "s3:max-keys", "9")), true},
    {IF(C("NumericGreaterThanEquals", "s3:max-keys", "11")), false},
    {IF(C("NumericEquals", "s3:prefix", "10")), false},
    {IF(C("DateGreaterThan", "aws:CurrentTime", "\"2020-05-31T23:59:59Z\"")), true},
    {IF(C("DateLessThan", "aws:CurrentTime", "\"2020-05-31T23:59:59Z\"")), false},
    {IF(C("DateEquals", "aws:CurrentTime", "\"1590969600\"")), true},
    {IF(C("DateNotEquals", "aws:CurrentTime", "\"1590969600\"")), false},
    {IF(C("DateLessThanEquals", "aws:CurrentTime", "\"1590969600\"")), true},
    {IF(C("DateGreaterThanEquals", "aws:CurrentTime", "\"1590969601\"")), false},
    {IF(C("Bool", "aws:SecureTransport", "\"true\"")), true},
    {IF(C("Bool", "aws:SecureTransport", "false")), false},
    {IF(C("IpAddress", "aws:SourceIp", "\"192.0.2.0/24\"")), true},
    {IF(C("IpAddress", "aws:SourceIp", "\"192.0.2.76/31\"")), true},
    {IF(C("IpAddress", "aws:SourceIp", "\"192.0.2.78/31\"")), false},
    {IF(C("IpAddress", "aws:SourceIp", "\"192.0.2.77\"")), true},
    {IF(C("IpAddress", "aws:SourceIp", "\"::ffff:192.0.2.0/120\"")), true},
    {IF(C("IpAddress", "aws:SourceIp", "\"0.0.0.0/0\"")), true},
    {IF(C("IpAddress", "aws:SourceIp", "\"2001:db8::/32\"")), false},
    {IF(C("NotIpAddress", "aws:SourceIp", "\"192.0.2.0/24\"")), false},
    {IF(C("NotIpAddress", "aws:SourceIp", "\"10.0.0.0/8\"")), true},
    {IF(C("Null", "s3:delimiter", "\"true\"")), true},
    {IF(C("Null", "s3:delimiter", "false")), false},
    {IF(C("Null", "s3:prefix", "\"false\"")), true},
    {IF(C("StringEquals", "s3:ExistingObjectTag/class", "\"open\"")), true},
    {IF(C("StringEquals", "s3:ExistingObjectTag/other", "\"open\"")), false},
    /* Sets: a and b. */
    {IF(C("ForAnyValue:StringEquals", "s3:RequestObjectTagKeys", "\"a\"")), true},
    {IF(C("ForAnyValue:StringEquals", "s3:RequestObjectTagKeys", "\"c\"")), false},
    {IF(C("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", "\"a\"")), false},
    {IF(C("ForAllValues:StringEquals", "s3:RequestObjectTagKeys", "[\"a\",\"b\",\"c\"]")), true},
    {IF(C("ForAllValues:StringNotEquals", "s3:RequestObjectTagKeys", "\"a\"")), false},
    {IF(C("ForAllValues:StringNotEquals", "s3:RequestObjectTagKeys", "\"c\"")), true},
    {IF(C("ForAnyValue:StringNotEquals", "s3:RequestObjectTagKeys", "\"a\"")), true},
    {IF(C("ForAnyValue:StringNotEquals", "s3:RequestObjectTagKeys", "[\"a\",\"b\"]")), false},
    {IF(C("StringNotEquals", "s3:RequestObjectTagKeys", "\"a\"")), false},
    {IF(C("ForAllValues:StringEquals", "s3:delimiter", "\"/\"")), true},
    {IF(C("ForAnyValue:StringEquals", "s3:delimiter", "\"/\"")), false},
    {IF(C("ForAnyValue:StringNotEquals", "s3:delimiter", "\"/\"")), false},
    {IF(C("ForAnyValue:StringEqualsIfExists", "s3:delimiter", "\"/\"")), true},
    /* Variables are text: "al*ce" is no wildcard. */
    {IF(C("StringLike", "s3:prefix", "\"home/${aws:username}/*\"")), true},
    {IF(C("StringLike", "s3:prefix", "\"home/${aws:nobody}/*\"")), false},
    {IF(C("StringLike", "s3:prefix", "\"home/${aws:nobody, 'al'}${*}ce/?\"")), true},
    {IF(C("StringEquals", "aws:username", "\"al${*}ce\"")), true},
    {IF(C("StringLike", "s3:x-amz-acl", "\"public-${?}ead\"")), false},
    /* All must hold. */
    {IF(C("Bool", "aws:SecureTransport", "true") "," C("Null", "s3:prefix", "true")), false},
    {IF("\"StringEquals\":{\"s3:x-amz-acl\":\"public-read\",\"s3:prefix\":\"x\"}"), false},
};

static void conditions_hold_as_iam_says(void **state) {
    (void)state;
    struct policy_question q = get_by(ALICE);
    q.context = context;
    q.context_count = COUNT(context);
    for (size_t i = 0; i < COUNT(conditions); i++) {
        enum policy_verdict got = ask(conditions[i].document, &q);
        if (got != (conditions[i].holds ? POLICY_ALLOW : POLICY_SILENT))
            print_error("%s: %d\n", conditions[i].document, got);
        assert_int_equal(got, conditions[i].holds ? POLICY_ALLOW : POLICY_SILENT);
    }
}

static void old_documents_have_no_variables(void **state) {
    (void)state;
    struct policy_question q = get_by(ALICE);
    struct s3_pair user = {STR("aws:username"), STR("dir")};
    q.context = &user;
    q.context_count = 1;
#define OWN                                                                                        \
    "\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\","                 \
    "\"Resource\":\"arn:aws:s3:::b/${aws:username}/*\"}}"
    assert_int_equal(ask("{\"Version\":\"2012-10-17\"," OWN, &q), POLICY_ALLOW);
    assert_int_equal(ask("{\"Version\":\"2008-10-17\"," OWN, &q), POLICY_SILENT);
    assert_int_equal(ask("{" OWN, &q), POLICY_SILENT);
    user.value = STR("*"); /* a user of that name does not own everything */
    assert_int_equal(ask("{\"Version\":\"2012-10-17\"," OWN, &q), POLICY_SILENT);
}

static const char *const refused[] = {
    "",
    "[]",
    "{}",
    "{\"Statement\":[]}",
    "{\"Version\":\"2020-01-01\",\"Statement\":[" ALLOW "]}",
    "{\"Statement\":[" ALLOW "],\"Extra\":1}",
    "{\"Statement\":[" ALLOW "],\"Statement\":[]}",
    V12 "{" ALL "}]}",
    V12 "{\"Effect\":\"allow\"," ALL "}]}",
    V12 "{\"Effect\":\"Allow\"," ALL ",\"Foo\":1}]}",
    V12 "{\"Effect\":\"Allow\"," ALL ",\"NotAction\":\"s3:*\"}]}",
    V12 "{\"Effect\":\"Allow\"," ALL ",\"NotResource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"alice\",\"Action\":\"s3:*\","
        "\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::*:root\"},"
        "\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":{\"Foo\":\"x\"},\"Action\":\"s3:*\","
        "\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"NotPrincipal\":{\"AWS\":\"x\"},\"Action\":\"s3:*\","
        "\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12
    "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":[],\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"GetObject\","
        "\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"iam:*\","
        "\"Resource\":\"arn:aws:s3:::b\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}",
    V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\","
        "\"Resource\":\"arn:aws:s3:::bb/*\"}]}",
    IF("\"StringEqual\":{\"s3:prefix\":\"x\"}"),
    IF("\"NullIfExists\":{\"s3:prefix\":\"true\"}"),
    IF("\"ForSomeValues:StringEquals\":{\"s3:prefix\":\"x\"}"),
    IF("\"StringEquals\":{\"s3:prefixx\":\"x\"}"),
    IF("\"StringEquals\":{\"s3:ExistingObjectTag/\":\"x\"}"),
    IF("\"StringEquals\":{\"s3:prefix\":[]}"),
    IF("\"StringEquals\":{\"s3:prefix\":{}}"),
    IF("\"StringEquals\":7"),
    IF("\"NumericEquals\":{\"s3:max-keys\":\"1x\"}"),
    IF("\"DateLessThan\":{\"aws:CurrentTime\":\"tomorrow\"}"),
    IF("\"Bool\":{\"aws:SecureTransport\":\"yes\"}"),
    IF("\"IpAddress\":{\"aws:SourceIp\":\"192.0.2.0/33\"}"),
    IF("\"IpAddress\":{\"aws:SourceIp\":\"::/129\"}"),
    IF("\"IpAddress\":{\"aws:SourceIp\":\"192.0.2\"}"),
    V12 "{\"Sid\":\"1\",\"Effect\":\"Allow\"," ALL "},{\"Sid\":\"1\",\"Effect\":\"Deny\"," ALL
        "}]}",
};

static void what_cannot_be_understood_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
        const struct policy *p = NULL;
        struct err e = {0};
        int r = policy_parse(&a, str_of(refused[i]), STR("b"), &p, &e);
        if (r == 0) print_error("accepted: %s\n", refused[i]);
        assert_int_equal(r, -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_true(str_contains(str_of(e.msg), STR("policy")));
        assert_null(p);
    }
}

static void a_users_policy_names_no_principal(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
    const struct policy *p = NULL;
    struct err e = {0};
    struct str document = STR(V12 "{\"Effect\":\"Allow\",\"Action\":[\"s3:*\",\"iam:GetUser\"],"
                                  "\"Resource\":\"*\"}]}");
    assert_int_equal(policy_parse(&a, document, STR_NONE, &p, &e), 0);
    struct policy_question q = get_by(ALICE);
    assert_int_equal(policy_evaluate(p, &q), POLICY_ALLOW);
    assert_false(policy_is_public(p));
    assert_int_equal(policy_parse(&a, STR(V12 ALLOW "]}"), STR_NONE, &p, &e), -1);
}

static void public_policies_are_recognised(void **state) {
    (void)state;
    static const struct {
        const char *document;
        bool is_public;
    } rows[] = {
        {V12 ALLOW "]}", true},
        {V12 "{\"Effect\":\"Deny\"," ALL "}]}", false},
        {IF("\"IpAddress\":{\"aws:SourceIp\":\"192.0.2.0/24\"}"), false},
        {IF("\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}"), true},
        {IF("\"NotIpAddress\":{\"aws:SourceIp\":\"192.0.2.0/24\"}"), true},
        {IF("\"StringLike\":{\"aws:PrincipalArn\":\"*\"}"), true},
        {IF("\"Bool\":{\"aws:SecureTransport\":\"true\"}"), true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
        const struct policy *p = NULL;
        struct err e = {0};
        assert_int_equal(policy_parse(&a, str_of(rows[i].document), STR("b"), &p, &e), 0);
        assert_int_equal(policy_is_public(p), rows[i].is_public);
    }
}

static void put(struct buf *b, const char *text) { assert_int_equal(buf_str(b, str_of(text)), 0); }

static void limits_end_in_an_error_or_a_denial(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
    AUTO(buf_done) struct buf b = BUF(1 << 20);
    const struct policy *p = NULL;
    struct err e = {0};
    put(&b, V12 ALLOW "]}");
    while (b.n <= POLICY_BYTES_MAX) put(&b, " ");
    assert_int_equal(policy_parse(&a, buf_view(&b), STR("b"), &p, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    b.n--;
    assert_int_equal(policy_parse(&a, buf_view(&b), STR("b"), &p, &e), 0);
    buf_clear(&b);
    put(&b, V12 "{}");
    for (int i = 0; i < POLICY_STATEMENTS_MAX; i++) put(&b, ",{}");
    put(&b, "]}");
    assert_int_equal(policy_parse(&a, buf_view(&b), STR("b"), &p, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    /* A value that is too long to be looked at. */
    struct policy_question q = get_by(ALICE);
    AUTO_FREE char *value = xmalloc(POLICY_VALUE_MAX + 2);
    memset(value, 'a', POLICY_VALUE_MAX + 1);
    struct s3_pair prefix = {STR("s3:prefix"), str_make(value, POLICY_VALUE_MAX)};
    q.context = &prefix;
    q.context_count = 1;
    assert_int_equal(ask(IF("\"StringLike\":{\"s3:prefix\":\"a*\"}"), &q), POLICY_ALLOW);
    prefix.value.n++;
    assert_int_equal(ask(IF("\"StringLike\":{\"s3:prefix\":\"a*\"}"), &q), POLICY_DENY);
}

/* Many stars against a long text without the end: exponential if it were done naively. What costs
 * more than the budget is denied. */
static void wildcards_cost_no_more_than_the_budget(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(POLICY_BYTES_MAX);
    put(&b, V12 "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":[");
    for (int i = 0; i < 9; i++) {
        put(&b, i ? ",\"arn:aws:s3:::b/" : "\"arn:aws:s3:::b/");
        for (int k = 0; k < 100; k++) put(&b, "*a");
        for (int k = 0; k < 1000; k++) put(&b, "a");
        put(&b, "b\"");
    }
    put(&b, "]}]}");
    AUTO(buf_done) struct buf resource = BUF(64 << 10);
    put(&resource, "arn:aws:s3:::b/");
    while (resource.n < (32 << 10)) put(&resource, "a");
    struct policy_question q = get_by(ALICE);
    q.resource = buf_view(&resource);
    assert_int_equal(ask(buf_c(&b), &q), POLICY_DENY);
    q.resource.n = 1100;
    assert_int_equal(ask(buf_c(&b), &q), POLICY_SILENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_apply_by_principal_action_and_resource),
        cmocka_unit_test(conditions_hold_as_iam_says),
        cmocka_unit_test(old_documents_have_no_variables),
        cmocka_unit_test(what_cannot_be_understood_is_refused),
        cmocka_unit_test(a_users_policy_names_no_principal),
        cmocka_unit_test(public_policies_are_recognised),
        cmocka_unit_test(limits_end_in_an_error_or_a_denial),
        cmocka_unit_test(wildcards_cost_no_more_than_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
