/* SPDX-License-Identifier: Apache-2.0 — cors_test.c */
#include "s3gw/config/cors.h"

#include "s3gw/config/config_expect_rig.h"

#define O(x)    "<AllowedOrigin>" x "</AllowedOrigin>"
#define M(x)    "<AllowedMethod>" x "</AllowedMethod>"
#define H(x)    "<AllowedHeader>" x "</AllowedHeader>"
#define E(x)    "<ExposeHeader>" x "</ExposeHeader>"
#define RULE(x) "<CORSRule>" x "</CORSRule>"
static const struct rig_round R = {"CORSConfiguration", round_cors};
/* The example of the user guide. */
static const char EXAMPLE[] =
    RULE(O("http://www.example.com") M("PUT") M("POST") M("DELETE")
             H("*") "<MaxAgeSeconds>3000"
                    "</MaxAgeSeconds>" E("x-amz-server-side-encryption") E("x-amz-id-2"))
        RULE(O("http://*.example.com") M("GET") H("x-a-*"))
            RULE("<ID>all</ID>" O("*") M("GET") M("HEAD"));

static void rules_are_given_back(void **state) {
    (void)state;
    gives_body(&R, EXAMPLE);
    gives(&R,
          "<CORSConfiguration><CORSRule><ExposeHeader>ETag</ExposeHeader>" M("HEAD") M("GET")
              O("*") "</CORSRule></CORSConfiguration>",
          RULE(O("*") M("GET") M("HEAD") E("ETag")));
}

static void what_rules_may_not_say_is_refused(void **state) {
    (void)state;
    refuses_body(&R, "", S3_MALFORMED_XML);
    refuses_body(&R, RULE(O("*")), S3_MALFORMED_XML);
    refuses_body(&R, RULE(M("GET")), S3_MALFORMED_XML);
    refuses_body(&R, RULE(O("*") M("PATCH")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("*") M("get")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("http://*.*.com") M("GET")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("") M("GET")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("*") M("GET") H("*-*")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("*") M("GET") E("x-*")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("*") M("GET") E("a&#13;&#10;Set-Cookie: b")), S3_INVALID_REQUEST);
    refuses_body(&R, RULE(O("*") M("GET") "<MaxAgeSeconds>-1</MaxAgeSeconds>"), S3_MALFORMED_XML);
    refuses_body(&R, RULE(O("*") M("GET") "<MaxAgeSeconds>2147483648</MaxAgeSeconds>"),
                 S3_MALFORMED_XML);
}

static void limits_are_reached(void **state) {
    (void)state;
    AUTO_FREE char *fits = times(CORS_RULES_MAX, RULE(O("*") M("GET")));
    AUTO_FREE char *over = times(CORS_RULES_MAX + 1, RULE(O("*") M("GET")));
    gives_body(&R, fits);
    refuses_body(&R, over, S3_MALFORMED_XML);
    AUTO_FREE char *id = times(CORS_ID_CHARS_MAX, "i");
    AUTO_FREE char *named = xasprintf(RULE("<ID>%s</ID>" O("*") M("GET")), id);
    AUTO_FREE char *longer = xasprintf(RULE("<ID>%sx</ID>" O("*") M("GET")), id);
    gives_body(&R, named);
    refuses_body(&R, longer, S3_INVALID_REQUEST);
    AUTO_FREE char *space = times(CORS_BYTES_MAX, " ");
    refuses_body(&R, space, S3_MALFORMED_XML);
}

/* "Name: value" lines of the reply. */
static enum s3_code ask(bool preflight, struct cors_question q, const char *want) {
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    AUTO(buf_done) struct buf b = BUF(1 << 16);
    AUTO_FREE char *in = xasprintf("<CORSConfiguration>%s</CORSConfiguration>", EXAMPLE);
    const struct cors *c = NULL;
    struct cors_reply reply = {.count = 0};
    struct s3_error x = {0};
    assert_int_equal(cors_parse(&a, str_of(in), &c, &x), 0);
    int r = preflight ? cors_preflight(&a, c, &q, &reply, &x) : cors_simple(&a, c, &q, &reply);
    if (r < 0) return x.code;
    for (size_t i = 0; i < reply.count; i++)
        assert_int_equal(
            buf_fmt(&b, "%.*s: %.*s\n", STR_ARG(reply.at[i].name), STR_ARG(reply.at[i].value)), 0);
    assert_string_equal(buf_c(&b), want);
    return S3_OK;
}
#define VARY "Vary: Origin, Access-Control-Request-Headers, Access-Control-Request-Method\n"

static void a_request_gets_the_headers_of_the_first_rule_that_fits(void **state) {
    (void)state;
    struct cors_question q = {STR("http://www.example.com"), STR("PUT"), STR("ignored")};
    ask(false, q,
        "Access-Control-Allow-Origin: http://www.example.com\n"
        "Access-Control-Allow-Methods: PUT, POST, DELETE\n"
        "Access-Control-Expose-Headers: x-amz-server-side-encryption, x-amz-id-2\n"
        "Access-Control-Max-Age: 3000\nAccess-Control-Allow-Credentials: true\n" VARY);
    q.method = STR("HEAD");
    ask(false, q, "Access-Control-Allow-Origin: *\nAccess-Control-Allow-Methods: GET, HEAD\n" VARY);
    q.method = STR("PUT");
    q.origin = STR("http://x.example.com");
    ask(false, q, "");
    q.origin = STR("http://www.example.com\r\nx: y");
    ask(false, q, "");
    q.origin = STR_NONE;
    ask(false, q, "");
}

static void a_preflight_is_answered_or_forbidden(void **state) {
    (void)state;
    struct cors_question q = {STR("http://www.example.com"), STR("PUT"),
                              STR("X-One, content-type")};
    assert_int_equal(
        ask(true, q,
            "Access-Control-Allow-Origin: http://www.example.com\n"
            "Access-Control-Allow-Methods: PUT, POST, DELETE\n"
            "Access-Control-Allow-Headers: x-one, content-type\n"
            "Access-Control-Expose-Headers: x-amz-server-side-encryption, x-amz-id-2\n"
            "Access-Control-Max-Age: 3000\nAccess-Control-Allow-Credentials: true\n" VARY),
        S3_OK);
    q = (struct cors_question){STR("http://a.example.com"), STR("GET"), STR("X-A-1")};
    assert_int_equal(ask(true, q,
                         "Access-Control-Allow-Origin: http://a.example.com\n"
                         "Access-Control-Allow-Methods: GET\n"
                         "Access-Control-Allow-Headers: x-a-1\n"
                         "Access-Control-Allow-Credentials: true\n" VARY),
                     S3_OK);
    q.headers = STR("x-b-1");
    assert_int_equal(ask(true, q, ""), S3_ACCESS_FORBIDDEN);
    q.headers = STR("x-a-1\r\nx: y");
    assert_int_equal(ask(true, q, ""), S3_ACCESS_FORBIDDEN);
    AUTO_FREE char *many = times(CORS_ASKED_HEADERS_MAX + 1, "x-a-1,");
    q.headers = str_of(many);
    assert_int_equal(ask(true, q, ""), S3_ACCESS_FORBIDDEN);
    q.headers = str_sub(q.headers, 6, q.headers.n);
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    struct cors_reply reply;
    struct s3_error x = {0};
    assert_int_equal(cors_preflight(&a, NULL, &q, &reply, &x), -1);
    assert_int_equal(x.code, S3_ACCESS_FORBIDDEN);
    q.method = STR("PATCH");
    assert_int_equal(ask(true, q, ""), S3_BAD_REQUEST);
    q.origin = STR_NONE;
    assert_int_equal(ask(true, q, ""), S3_BAD_REQUEST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_given_back),
        cmocka_unit_test(what_rules_may_not_say_is_refused),
        cmocka_unit_test(limits_are_reached),
        cmocka_unit_test(a_request_gets_the_headers_of_the_first_rule_that_fits),
        cmocka_unit_test(a_preflight_is_answered_or_forbidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
