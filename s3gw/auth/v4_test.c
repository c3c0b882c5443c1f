/* SPDX-License-Identifier: Apache-2.0 — v4_test.c; known answers: the examples of the Amazon S3 API
 * reference, sigv4-header-based-auth and sigv4-query-string-auth. */
#include "s3gw/auth/auth_rig.h"
#include "s3gw/uri.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CREDENTIAL "Credential=" RIG_KEY "/20130524/us-east-1/s3/aws4_request,"
#define HOST_LINE  "Host: examplebucket.s3.amazonaws.com\n"

struct example {
    const char *method, *path, *query, *headers;
};

static const struct example get_object = {
    "GET", "/test.txt", "",
    HOST_LINE "Range: bytes=0-9\nx-amz-content-sha256: " RIG_SHA_EMPTY
              "\nx-amz-date: 20130524T000000Z\n"
              "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
              "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
              "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n"};

#define PUT_SHA "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
static const struct example put_object = {
    "PUT", "/test%24file.text", "",
    HOST_LINE "Date: Fri, 24 May 2013 00:00:00 GMT\nx-amz-date: 20130524T000000Z\n"
              "x-amz-storage-class: REDUCED_REDUNDANCY\nx-amz-content-sha256: " PUT_SHA "\n"
              "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL "SignedHeaders=date;host;"
              "x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
              "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd\n"};

#define LIST_HEADERS(signature)                                                                    \
    HOST_LINE "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: " RIG_SHA_EMPTY "\n"            \
              "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL                                        \
              "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" signature "\n"
static const struct example lifecycle = {
    "GET", "/", "lifecycle",
    LIST_HEADERS("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")};
static const struct example list = {
    "GET", "/", "prefix=J&max-keys=2",
    LIST_HEADERS("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")};

#define PRESIGNED_HEAD                                                                             \
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" RIG_KEY                                   \
    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
#define PRESIGNED_TAIL                                                                             \
    "&X-Amz-SignedHeaders=host&X-Amz-Signature="                                                   \
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
static const struct example presigned = {"GET", "/test.txt", PRESIGNED_HEAD "86400" PRESIGNED_TAIL,
                                         HOST_LINE};

static void load(struct rig *rig, const struct example *x) {
    rig->r.method = str_of(x->method);
    rig->r.path = str_of(x->path);
    rig->r.query = str_of(x->query);
    rig_headers(rig, x->headers);
}

static int setup(void **state) {
    struct rig *rig = xnew(struct rig);
    rig_open(rig);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    free(*state);
    return 0;
}

static void the_examples_of_aws_are_accepted(void **state) {
    struct rig *rig = *state;
    static const struct example *const all[] = {&get_object, &put_object, &lifecycle, &list};
    for (int round = 0; round < 2; round++) /* the second with a cached key */
        for (size_t i = 0; i < COUNT(all); i++) {
            load(rig, all[i]);
            assert_int_equal(rig_ask(rig), S3_OK);
            assert_int_equal(rig->out.kind, AUTH_V4_HEADER);
            assert_true(str_eq(rig->out.access_key, STR(RIG_KEY)));
            assert_ptr_equal(rig->out.identity, rig);
            assert_int_equal(rig->out.payload, AUTH_PAYLOAD_SHA256);
        }
    load(rig, &put_object);
    assert_int_equal(rig_ask(rig), S3_OK);
    char hex[DIGEST_HEX_CHARS + 1];
    assert_string_equal(digest_hex(&rig->out.sha256, hex), PUT_SHA);
    load(rig, &presigned);
    assert_int_equal(rig_ask(rig), S3_OK);
    assert_int_equal(rig->out.kind, AUTH_V4_QUERY);
    assert_int_equal(rig->out.payload, AUTH_PAYLOAD_UNSIGNED);
}

static void a_request_without_credentials_is_anonymous(void **state) {
    struct rig *rig = *state;
    rig_headers(rig, HOST_LINE);
    rig->r.query = STR("X-Amz-Expires=1&Expires=7&x-amz-acl=private");
    assert_int_equal(rig_ask(rig), S3_OK);
    assert_int_equal(rig->out.kind, AUTH_ANONYMOUS);
    assert_null(rig->out.identity);
    assert_int_equal(rig->out.access_key.n, 0);
    rig_header(rig, "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert_int_equal(rig_ask(rig), S3_OK);
    assert_int_equal(rig->out.payload, AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER);
    rig->headers[1].value = STR("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    assert_int_equal(rig_ask(rig), S3_INVALID_REQUEST);
    assert_int_equal(rig->lookups, 0);
}

/* One change of a good request, and what it must lead to. */
struct change {
    const char *from, *to; /* in the headers and the query; NULL: none */
    enum s3_code want;
};

static char *replaced(const char *text, const struct change *c) {
    const char *at = c->from ? strstr(text, c->from) : NULL;
    if (!at) return xstrdup(text);
    return xasprintf("%.*s%s%s", (int)(at - text), text, c->to, at + strlen(c->from));
}

static void check_changes(struct rig *rig, const struct example *x, const struct change *changes,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *headers = replaced(x->headers, &changes[i]);
        AUTO_FREE char *query = replaced(x->query, &changes[i]);
        load(rig, x);
        rig->r.query = str_of(query);
        rig_headers(rig, headers);
        enum s3_code got = rig_ask(rig);
        if (got != changes[i].want)
            print_error("change %zu: '%s': got %s, want %s (%s)\n", i, changes[i].to,
                        s3_code_name(got), s3_code_name(changes[i].want), rig->x.message);
        assert_int_equal(got, changes[i].want);
        if (got != S3_OK) assert_null(strstr(rig->x.message, RIG_SECRET));
    }
}

static void every_change_of_a_signed_request_is_refused_with_the_error_of_s3(void **state) {
    static const struct change changes[] = {
        {"0-9", "0-8", S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-content-sha256: e3", "x-amz-content-sha256: e4", S3_SIGNATURE_DOES_NOT_MATCH},
        {"examplebucket", "otherbucket", S3_SIGNATURE_DOES_NOT_MATCH},
        {"bdb41", "bdb40", S3_SIGNATURE_DOES_NOT_MATCH},
        {"bdb41", "bdb4", S3_SIGNATURE_DOES_NOT_MATCH},
        {"bdb41", "BDB41", S3_SIGNATURE_DOES_NOT_MATCH},
        {"Signature=f0e8", "Signature=", S3_SIGNATURE_DOES_NOT_MATCH},
        {"Range: bytes=0-9\n", "", S3_SIGNATURE_DOES_NOT_MATCH},
        {"Range: bytes=0-9\n", "Range: bytes=0-9\nRange: x\n", S3_SIGNATURE_DOES_NOT_MATCH},
        {"Range: bytes=0-9", "rAnGe:   bytes=0-9  ", S3_OK},
        {"Range", "Accept: */*\nRange", S3_OK},
        {"Range", "Content-Type: text/plain\nRange", S3_OK},
        {",Signed", ", Signed", S3_OK},
        {"Range", "x-amz-acl: public-read\nRange", S3_ACCESS_DENIED},
        {"Range", "X-Amz-Meta-A: b\nRange", S3_ACCESS_DENIED},
        {"Range", "x-amz-security-token: t\nRange", S3_ACCESS_DENIED},
        {"=host;range;", "=range;", S3_ACCESS_DENIED},
        {"=host;range;", "=range;host;", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"=host;range;", "=host;host;range;", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"=host;range;", "=Host;range;", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"=host;range;", "=host;;range;", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,", "",
         S3_AUTHORIZATION_HEADER_MALFORMED},
        {"SignedHeaders", "Signature", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"SignedHeaders", "Credential=a,SignedHeaders", S3_AUTHORIZATION_HEADER_MALFORMED},
        {",Signature", ",Foo=1,Signature", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"HMAC-SHA256 ", "HMAC-SHA256", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", S3_NOT_IMPLEMENTED},
        {"AWS4-HMAC-SHA256", "Bearer", S3_INVALID_ARGUMENT},
        {"Authorization: ", "Authorization: x\nAuthorization: ", S3_INVALID_ARGUMENT},
        {RIG_KEY, "AKIAIOSFODNN7EXAMPLF", S3_INVALID_ACCESS_KEY_ID},
        {RIG_KEY, "", S3_AUTHORIZATION_HEADER_MALFORMED},
        {RIG_KEY "/20130524/us-east-1/s3/aws4_request", "x", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"us-east-1", "us-west-2", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"us-east-1", "eu-central-1", S3_SIGNATURE_DOES_NOT_MATCH},
        {"/s3/", "/sts/", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"aws4_request", "aws3_request", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"/20130524/", "/20130525/", S3_AUTHORIZATION_HEADER_MALFORMED},
        {"x-amz-date: 20130524T000000Z\n", "", S3_ACCESS_DENIED},
        {"x-amz-date: 20130524T000000Z", "x-amz-date: x", S3_ACCESS_DENIED},
        {"x-amz-date: 20130524T000000Z", "x-amz-date: 20130524T000001Z",
         S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-date: ", "x-amz-date: 20130524T000000Z\nx-amz-date: ", S3_INVALID_ARGUMENT},
        {"Host: ", "Host: a\nHost: ", S3_INVALID_ARGUMENT},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY "\n", "", S3_INVALID_REQUEST},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY, "x-amz-content-sha256: x", S3_INVALID_ARGUMENT},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY, "x-amz-content-sha256: UNSIGNED-PAYLOAD",
         S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY,
         "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY,
         "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY,
         "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
         S3_SIGNATURE_DOES_NOT_MATCH},
        {"x-amz-content-sha256: " RIG_SHA_EMPTY,
         "x-amz-content-sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", S3_NOT_IMPLEMENTED},
    };
    check_changes(*state, &get_object, changes, COUNT(changes));
}

static void every_change_of_a_presigned_url_is_refused_with_the_error_of_s3(void **state) {
    static const struct change changes[] = {
        {"d404", "d405", S3_SIGNATURE_DOES_NOT_MATCH},
        {"&X-Amz-Date", "&acl&X-Amz-Date", S3_SIGNATURE_DOES_NOT_MATCH},
        {"86400", "86401", S3_SIGNATURE_DOES_NOT_MATCH},
        {"86400", "604800", S3_SIGNATURE_DOES_NOT_MATCH},
        {"86400", "604801", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"86400", "-1", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"86400", "0", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"86400", "1e9", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"86400", "99999999999999999999", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"86400", "", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"&X-Amz-Expires=86400", "", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"&X-Amz-SignedHeaders=host", "", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"SignedHeaders=host", "SignedHeaders=range", S3_ACCESS_DENIED},
        {"X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", S3_NOT_IMPLEMENTED},
        {"X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524",
         S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130523T000000Z",
         S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"us-east-1", "us-west-2", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"%2Fs3%2F", "%2Fiam%2F", S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {RIG_KEY, "AKIAIOSFODNN7EXAMPLF", S3_INVALID_ACCESS_KEY_ID},
        {"&X-Amz-Signature=", "&X-Amz-Signature=x&X-Amz-Signature=",
         S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR},
        {"&X-Amz-Signature=", "&Signature=", S3_INVALID_ARGUMENT},
        {"&X-Amz-Signature", "&AWSAccessKeyId=x&X-Amz-Signature", S3_INVALID_ARGUMENT},
        {"Host", "Authorization: AWS a:b\nHost", S3_INVALID_ARGUMENT},
        {"Host", "x-amz-acl: public-read\nHost", S3_ACCESS_DENIED},
        {"Host", "x-amz-security-token: a\nHost", S3_ACCESS_DENIED},
        {"&X-Amz-Signature=", "&X-Amz-Security-Token=a&X-Amz-Signature=", S3_INVALID_TOKEN},
        {"Host", "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\nHost",
         S3_SIGNATURE_DOES_NOT_MATCH},
        {"Host", "x-amz-content-sha256: UNSIGNED-PAYLOAD\nHost", S3_OK},
        {"Host", "Range: bytes=0-9\nHost", S3_OK},
        {"%2F20130524", "/20130524", S3_OK}, /* the spelling of an escape does not matter */
        {"X-Amz-Date", "%58-Amz-Date", S3_OK},
        {"&X-Amz-Date", "&&X-Amz-Date", S3_OK},
        {"&X-Amz-Date", "&%zz&X-Amz-Date", S3_INVALID_URI},
    };
    check_changes(*state, &presigned, changes, COUNT(changes));
}

static void method_and_path_are_signed(void **state) {
    struct rig *rig = *state;
    static const struct example *const all[] = {&get_object, &presigned};
    static const char *const paths[] = {"/test.tx",    "/test.txt/",     "//test.txt",
                                        "/./test.txt", "/x/../test.txt", "/test.txt%00"};
    for (size_t i = 0; i < COUNT(all); i++) {
        load(rig, all[i]);
        rig->r.method = STR("PUT");
        assert_int_equal(rig_ask(rig), S3_SIGNATURE_DOES_NOT_MATCH);
        load(rig, all[i]);
        for (size_t k = 0; k < COUNT(paths); k++) {
            rig->r.path = str_of(paths[k]);
            assert_int_equal(rig_ask(rig), S3_SIGNATURE_DOES_NOT_MATCH);
        }
        rig->r.path = STR("/%74est.txt");
        assert_int_equal(rig_ask(rig), S3_OK);
        rig->r.path = STR("/test.txt%");
        assert_int_equal(rig_ask(rig), S3_INVALID_URI);
    }
}

static void the_time_of_a_request_may_be_a_quarter_of_an_hour_off(void **state) {
    struct rig *rig = *state;
    load(rig, &get_object);
    static const struct {
        int64_t off_s;
        enum s3_code want;
    } rows[] = {{-AUTH_SKEW_S - 1, S3_REQUEST_TIME_TOO_SKEWED},
                {-AUTH_SKEW_S, S3_OK},
                {AUTH_SKEW_S, S3_OK},
                {AUTH_SKEW_S + 1, S3_REQUEST_TIME_TOO_SKEWED}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig->r.now_s = RIG_MAY_24 + rows[i].off_s;
        assert_int_equal(rig_ask(rig), rows[i].want);
    }
    load(rig, &presigned);
    static const struct {
        int64_t off_s;
        enum s3_code want;
    } urls[] = {{-AUTH_SKEW_S - 1, S3_ACCESS_DENIED},
                {-AUTH_SKEW_S, S3_OK},
                {86399, S3_OK},
                {86400, S3_ACCESS_DENIED}};
    for (size_t i = 0; i < COUNT(urls); i++) {
        rig->r.now_s = RIG_MAY_24 + urls[i].off_s;
        assert_int_equal(rig_ask(rig), urls[i].want);
    }
}

static void an_error_of_the_region_tells_the_right_one(void **state) {
    struct rig *rig = *state;
    static const struct change wrong = {"us-east-1", "us-west-2", S3_OK};
    AUTO_FREE char *headers = replaced(get_object.headers, &wrong);
    load(rig, &get_object);
    rig_headers(rig, headers);
    assert_int_equal(rig_ask(rig), S3_AUTHORIZATION_HEADER_MALFORMED);
    assert_int_equal(rig->x.details, 1);
    assert_string_equal(rig->x.detail[0].name, "Region");
    assert_string_equal(rig->x.detail[0].value, "eu-central-1");
    assert_string_equal(rig->x.message, "The authorization header is malformed; the region "
                                        "'us-west-2' is wrong; expecting 'eu-central-1'");
}

static void sessions_need_their_token_and_end(void **state) {
    struct rig *rig = *state;
    load(rig, &get_object);
    rig->token = "the-token";
    assert_int_equal(rig_ask(rig), S3_INVALID_ACCESS_KEY_ID);
    rig->token = NULL;
    rig->expires_s = RIG_MAY_24;
    assert_int_equal(rig_ask(rig), S3_EXPIRED_TOKEN);
    rig->expires_s = RIG_MAY_24 + 1;
    assert_int_equal(rig_ask(rig), S3_OK);
}

static void control_characters_are_refused_in_every_place(void **state) {
    struct rig *rig = *state;
    static const struct s3_pair bad[] = {{{"x-a", 3}, {"a\nb", 3}},
                                         {{"x-a", 3}, {"a\rb", 3}},
                                         {{"x-a", 3}, {"a\0b", 3}},
                                         {{"x\na", 3}, {"b", 1}},
                                         {{"x-a", 3}, {"\x7f", 1}}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        load(rig, &get_object);
        rig->headers[rig->r.header_count++] = bad[i];
        assert_int_equal(rig_ask(rig), S3_INVALID_REQUEST);
    }
    load(rig, &get_object);
    rig_header(rig, "x-a", "a\tb");
    assert_int_equal(rig_ask(rig), S3_OK);
    rig->r.path = STR("/a\nb");
    assert_int_equal(rig_ask(rig), S3_INVALID_REQUEST);
    load(rig, &get_object);
    rig->r.query = STR("a=\r");
    assert_int_equal(rig_ask(rig), S3_INVALID_URI);
}

/* CVE-2025-31489, CVE-2026-40344, CVE-2026-41145: a known key and a made-up signature, in each
 * place and with each kind of body. */
static void no_mode_of_the_body_skips_the_signature(void **state) {
    struct rig *rig = *state;
    static const char *const modes[] = {
        "UNSIGNED-PAYLOAD", RIG_SHA_EMPTY, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"};
    static const char *const methods[] = {"PUT", "POST", "GET", "DELETE", "HEAD"};
    static const char *const queries[] = {"", "uploads=", "partNumber=1&uploadId=x", "delete="};
    static const char *const forged[] = {
        "Authorization: AWS4-HMAC-SHA256 " CREDENTIAL
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" RIG_SHA_EMPTY "\n",
        "Authorization: AWS " RIG_KEY ":AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ""};
    for (size_t i = 0; i < COUNT(modes) * COUNT(methods) * COUNT(queries) * COUNT(forged); i++) {
        const char *mode = modes[i % COUNT(modes)];
        const char *query = queries[i / 25 % COUNT(queries)];
        const char *credential = forged[i / 100];
        AUTO_FREE char *headers =
            xasprintf(HOST_LINE "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: %s\n%s", mode,
                      credential);
        AUTO_FREE char *url = xasprintf("%s&%s", query, PRESIGNED_HEAD "9" PRESIGNED_TAIL);
        rig->r.method = str_of(methods[i / 5 % COUNT(methods)]);
        rig->r.path = STR("/b/k");
        rig->r.query = str_of(credential[0] ? query : url);
        rig_headers(rig, headers);
        if (!credential[0]) rig->headers[1].name = STR("accept"); /* x-amz-date is not signed */
        enum s3_code got = rig_ask(rig);
        assert_true(
            got == S3_SIGNATURE_DOES_NOT_MATCH ||
            (got == S3_INVALID_REQUEST && strstr(credential, "AWS "))); /* V2, signed chunks */
    }
}

static void the_body_of_other_services_is_always_signed(void **state) {
    struct rig *rig = *state;
    static const struct change service = {"/s3/", "/sts/", S3_OK};
    AUTO_FREE char *headers = replaced(get_object.headers, &service);
    struct digest other = digest_of(STR("Action=AssumeRole"));
    rig->r.service = STR("sts");
    load(rig, &get_object);
    rig_headers(rig, headers);
    assert_int_equal(rig_ask(rig), S3_SIGNATURE_DOES_NOT_MATCH); /* an empty body */
    rig->r.body = &other;
    assert_int_equal(rig_ask(rig), S3_XAMZ_CONTENT_SHA256_MISMATCH);
}

static void a_store_that_fails_is_no_verdict_about_the_key(void **state) {
    struct rig *rig = *state;
    load(rig, &get_object);
    rig->store_broken = true;
    assert_int_equal(rig_ask(rig), S3_INTERNAL_ERROR);
    assert_null(strstr(rig->x.message, "store"));
}

static void each_limit_of_a_request_is_kept(void **state) {
    struct rig *rig = *state;
    static struct s3_pair many[AUTH_HEADERS_MAX + 1];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = (struct s3_pair){STR("a"), STR("b")};
    rig->r.headers = many;
    rig->r.header_count = AUTH_HEADERS_MAX;
    assert_int_equal(rig_ask(rig), S3_OK);
    rig->r.header_count = AUTH_HEADERS_MAX + 1;
    assert_int_equal(rig_ask(rig), S3_REQUEST_HEADERS_TOO_LARGE);
    AUTO_FREE char *path = xmalloc(AUTH_HEAD_BYTES_MAX + 1);
    memset(path, '/', AUTH_HEAD_BYTES_MAX);
    load(rig, &get_object);
    rig->r.headers = rig->headers;
    rig->r.path = str_of(path);
    assert_int_equal(rig_ask(rig), S3_REQUEST_HEADERS_TOO_LARGE);
    rig->r.header_count = 0;
    assert_int_equal(rig_ask(rig), S3_OK); /* anonymous, exactly at the limit */
    AUTO_FREE char *query = xmalloc(2 * URI_PARAMETERS_MAX + 4);
    for (size_t i = 0; i <= URI_PARAMETERS_MAX; i++) memcpy(query + 2 * i, "a&", 2);
    rig->r.path = STR("/");
    rig->r.query = str_of(query);
    assert_int_equal(rig_ask(rig), S3_REQUEST_HEADERS_TOO_LARGE);
}

/* The worst that fits into the limits is answered, not refused for want of memory. */
static void the_arena_is_enough_for_the_largest_request(void **state) {
    struct rig *rig = *state;
    load(rig, &presigned);
    AUTO(buf_done) struct buf query = BUF(AUTH_HEAD_BYTES_MAX);
    size_t room = AUTH_HEAD_BYTES_MAX - 200 - strlen(presigned.query);
    assert_int_equal(buf_fmt(&query, "%s&p=", presigned.query), 0);
    while (query.n < room) assert_int_equal(buf_str(&query, STR("!")), 0); /* three bytes each */
    rig->r.query = buf_view(&query);
    assert_int_equal(rig_ask(rig), S3_SIGNATURE_DOES_NOT_MATCH);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_examples_of_aws_are_accepted),
        T(a_request_without_credentials_is_anonymous),
        T(every_change_of_a_signed_request_is_refused_with_the_error_of_s3),
        T(every_change_of_a_presigned_url_is_refused_with_the_error_of_s3),
        T(method_and_path_are_signed),
        T(the_time_of_a_request_may_be_a_quarter_of_an_hour_off),
        T(an_error_of_the_region_tells_the_right_one),
        T(sessions_need_their_token_and_end),
        T(control_characters_are_refused_in_every_place),
        T(no_mode_of_the_body_skips_the_signature),
        T(the_body_of_other_services_is_always_signed),
        T(a_store_that_fails_is_no_verdict_about_the_key),
        T(each_limit_of_a_request_is_kept),
        T(the_arena_is_enough_for_the_largest_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
