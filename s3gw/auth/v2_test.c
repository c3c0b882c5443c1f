/* SPDX-License-Identifier: Apache-2.0 — v2_test.c; known answers: the examples of the Amazon S3
 * user guide, "Signing and authenticating REST requests". */
#include "s3gw/auth/auth_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct example {
    const char *method, *bucket, *path, *query, *headers;
    int64_t at_s;
};

#define BUCKET "johnsmith"
#define AUTH   "Authorization: AWS " RIG_KEY ":"
/* Tue, 27 Mar 2007 00:00:00 UTC */
#define MAR_27 1174953600

static const struct example examples[] = {
    {"GET", BUCKET, "/photos/puppy.jpg", "",
     "Date: Tue, 27 Mar 2007 19:36:42 +0000\n" AUTH "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n",
     MAR_27 + 70602},
    {"PUT", BUCKET, "/photos/puppy.jpg", "",
     "Content-Type: image/jpeg\nContent-Length: 94328\nDate: Tue, 27 Mar 2007 21:15:45 +0000\n" AUTH
     "MyyxeRY7whkBe+bq8fHCL/2kKUg=\n",
     MAR_27 + 76545},
    {"GET", BUCKET, "/", "prefix=photos&max-keys=50&marker=puppy",
     "User-Agent: Mozilla/5.0\nDate: Tue, 27 Mar 2007 19:42:41 +0000\n" AUTH
     "htDYFYduRNen8P9ZfE/s9SuKy0U=\n",
     MAR_27 + 70961},
    {"GET", BUCKET, "/", "acl",
     "Date: Tue, 27 Mar 2007 19:44:46 +0000\n" AUTH "c2WLPFtWHVgbEmeEG93a4cG37dM=\n",
     MAR_27 + 71086},
    {"DELETE", "", "/johnsmith/photos/puppy.jpg", "",
     "Date: Tue, 27 Mar 2007 21:20:27 +0000\nx-amz-date: Tue, 27 Mar 2007 21:20:26 +0000\n" AUTH
     "R4dJ53KECjStyBO5iTBJZ4XVOaI=\n",
     MAR_27 + 76826},
    {"PUT", "static.johnsmith.net", "/db-backup.dat.gz", "",
     "User-Agent: curl/7.15.5\nDate: Tue, 27 Mar 2007 21:06:08 +0000\nx-amz-acl: public-read\n"
     "content-type: application/x-download\nContent-MD5: 4gJE4saaMU4BqNR0kLY+lw==\n"
     "X-Amz-Meta-ReviewedBy: joe@johnsmith.net\nX-Amz-Meta-ReviewedBy: jane@johnsmith.net\n"
     "X-Amz-Meta-FileChecksum: 0x02661779\nX-Amz-Meta-ChecksumAlgorithm: crc32\n"
     "Content-Disposition: attachment; filename=database.dat\nContent-Encoding: gzip\n"
     "Content-Length: 5913339\n" AUTH "ilyl83RwaSoYIEdixDQcA4OnAnc=\n",
     MAR_27 + 75968},
    {"GET", "", "/", "",
     "Date: Wed, 28 Mar 2007 01:29:59 +0000\n" AUTH "qGdzdERIC03wnaRNKh6OqZehG9s=\n",
     MAR_27 + 91799},
    {"GET", "", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "",
     "Date: Wed, 28 Mar 2007 01:49:49 +0000\n" AUTH "DNEZGsoieTZ92F3bUfSPQcbGmlM=\n",
     MAR_27 + 92989},
    {"GET", BUCKET, "/photos/puppy.jpg",
     "AWSAccessKeyId=" RIG_KEY "&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D", "",
     MAR_27},
};

/* With the same signed text as another URL, if it were not refused. */
static const char *const ambiguous_queries[] = {"x-amz-meta-a=%0Ax-amz-acl%3Apublic-read",
                                                "x-amz-meta-a%3Ab=c",
                                                "x-amz-meta-a=%00",
                                                "content-type=a%0A",
                                                "content-md5=%0Aa",
                                                "uploadId=a%26versionId%3Db",
                                                "versionId=a%26website",
                                                "versionId=%0Aa",
                                                "response-expires=%0Dx"};

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

static enum s3_code ask(struct rig *rig, const struct example *x) {
    rig->r.method = str_of(x->method);
    rig->r.path = str_of(x->path);
    rig->r.query = str_of(x->query);
    rig->r.vhost_bucket = str_of(x->bucket);
    rig->r.now_s = x->at_s;
    rig_headers(rig, x->headers);
    return rig_ask(rig);
}

static void the_examples_of_aws_are_accepted(void **state) {
    struct rig *rig = *state;
    for (size_t i = 0; i < COUNT(examples); i++) {
        enum s3_code got = ask(rig, &examples[i]);
        if (got != S3_OK) print_error("example %zu: %s\n", i, rig->x.message);
        assert_int_equal(got, S3_OK);
        assert_int_equal(rig->out.kind, examples[i].headers[0] ? AUTH_V2_HEADER : AUTH_V2_QUERY);
        assert_ptr_equal(rig->out.identity, rig);
        assert_int_equal(rig->out.payload, AUTH_PAYLOAD_UNSIGNED);
    }
}

/* What is changed in example `of`, as text in headers or query, or as a whole field. */
static const struct {
    unsigned of;
    struct example change; /* what is NULL stays */
    enum s3_code want;
} changes[] = {
    {0, {.method = "DELETE"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.bucket = "other"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.path = "/photos/kitten.jpg"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.path = "/photos%2Fpuppy.jpg"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "acl"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "tagging"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "retention"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "versionId=1"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "response-content-type=text%2Fhtml"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {0, {.query = "x-id=GetObject"}, S3_OK}, /* SDKs add it; it chooses nothing */
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:43 +0000\n" AUTH "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\nx-amz-acl: public-read\n" AUTH
                 "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\nContent-Type: a/b\n" AUTH
                 "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\n" AUTH "bWq2s1WEIj+Ydj0vQ697zp+IXMV=\n"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\n" AUTH "\n"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\nAuthorization: AWS x:y\n"},
     S3_INVALID_ACCESS_KEY_ID},
    {0,
     {.headers = "Date: Tue, 27 Mar 2007 19:36:42 +0000\nAuthorization: AWS xy\n"},
     S3_INVALID_ARGUMENT},
    {0, {.headers = AUTH "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"}, S3_ACCESS_DENIED},
    {0, {.at_s = MAR_27 + 70602 + 901}, S3_REQUEST_TIME_TOO_SKEWED},
    {0, {.at_s = MAR_27 + 70602 - 901}, S3_REQUEST_TIME_TOO_SKEWED},
    {8, {.at_s = 1175139619}, S3_OK},
    {8, {.at_s = 1175139620}, S3_ACCESS_DENIED},
    {8, {.method = "PUT"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {8, {.headers = "x-amz-acl: public-read\n"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {8, {.headers = "Content-MD5: x\n"}, S3_SIGNATURE_DOES_NOT_MATCH},
    {8, {.headers = "Authorization: AWS a:b\n"}, S3_INVALID_ARGUMENT},
    {8, {.query = "AWSAccessKeyId=" RIG_KEY "&Expires=1175139620"}, S3_ACCESS_DENIED},
    {8, {.query = "Signature=x&Expires=1175139620"}, S3_ACCESS_DENIED},
    {8, {.query = "AWSAccessKeyId=" RIG_KEY "&Signature=x"}, S3_ACCESS_DENIED},
    {8, {.query = "AWSAccessKeyId=" RIG_KEY "&Signature=x&Expires=-1"}, S3_ACCESS_DENIED},
    {8,
     {.query = "AWSAccessKeyId=" RIG_KEY "&Signature=x&Expires=18446744073709551615"},
     S3_ACCESS_DENIED},
    {8,
     {.query = "acl&AWSAccessKeyId=" RIG_KEY
               "&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {8,
     {.query = "x-amz-acl=private&AWSAccessKeyId=" RIG_KEY
               "&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"},
     S3_SIGNATURE_DOES_NOT_MATCH},
    {8,
     {.query = "x-amz-acl=private&AWSAccessKeyId=" RIG_KEY
               "&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D",
      .headers = "x-amz-acl: private\n"},
     S3_INVALID_ARGUMENT},
    {8,
     {.query = "AWSAccessKeyId=" RIG_KEY
               "&Expires=1175139621&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D"},
     S3_SIGNATURE_DOES_NOT_MATCH},
};

static void what_v2_signs_cannot_be_changed(void **state) {
    struct rig *rig = *state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct example x = examples[changes[i].of];
        const struct example *c = &changes[i].change;
        if (c->method) x.method = c->method;
        if (c->bucket) x.bucket = c->bucket;
        if (c->path) x.path = c->path;
        if (c->query) x.query = c->query;
        if (c->headers) x.headers = c->headers;
        if (c->at_s) x.at_s = c->at_s;
        enum s3_code got = ask(rig, &x);
        if (got != changes[i].want) print_error("row %zu: %s\n", i, rig->x.message);
        assert_int_equal(got, changes[i].want);
    }
}

static void values_that_could_be_read_in_two_ways_are_refused(void **state) {
    struct rig *rig = *state;
    for (size_t i = 0; i < COUNT(ambiguous_queries); i++) {
        struct example x = examples[8];
        AUTO_FREE char *query = xasprintf("%s&%s", x.query, ambiguous_queries[i]);
        x.query = query;
        assert_int_equal(ask(rig, &x), S3_INVALID_ARGUMENT);
    }
    struct example x = examples[8];
    AUTO_FREE char *query = xasprintf("%s&response-expires=a%%26b", x.query);
    x.query = query; /* no parameter's name: a wrong signature, but readable in one way */
    assert_int_equal(ask(rig, &x), S3_SIGNATURE_DOES_NOT_MATCH);
}

static void other_services_take_no_v2(void **state) {
    struct rig *rig = *state;
    rig->r.service = STR("sts");
    assert_int_equal(ask(rig, &examples[0]), S3_INVALID_REQUEST);
    assert_int_equal(ask(rig, &examples[8]), S3_INVALID_REQUEST);
}

static void a_key_may_refuse_v2(void **state) {
    struct rig *rig = *state;
    rig->sigv2_denied = true;
    assert_int_equal(ask(rig, &examples[0]), S3_INVALID_REQUEST);
    assert_int_equal(ask(rig, &examples[8]), S3_INVALID_REQUEST);
}

static void sessions_need_their_token(void **state) {
    struct rig *rig = *state;
    rig->token = "t";
    assert_int_equal(ask(rig, &examples[0]), S3_INVALID_ACCESS_KEY_ID);
    assert_int_equal(ask(rig, &examples[8]), S3_INVALID_ACCESS_KEY_ID);
    rig->token = NULL;
    rig->expires_s = MAR_27;
    assert_int_equal(ask(rig, &examples[0]), S3_EXPIRED_TOKEN);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_examples_of_aws_are_accepted),
        T(what_v2_signs_cannot_be_changed),
        T(values_that_could_be_read_in_two_ways_are_refused),
        T(other_services_take_no_v2),
        T(a_key_may_refuse_v2),
        T(sessions_need_their_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
