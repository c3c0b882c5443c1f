/* SPDX-License-Identifier: Apache-2.0 — post_policy_test.c; known answer: the example of the Amazon
 * S3 API reference, sigv4-post-example. Policies of our own are signed with V2, whose signature is
 * one HMAC over the text. */
#include "s3gw/auth/auth_rig.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define DEC_29_2015 1451347200
#define FIELDS_MAX  24

static const char example_policy[] =
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7Im"
    "J1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2Vy"
    "MS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaH"
    "R0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAg"
    "ICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOi"
    "AiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQog"
    "ICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOi"
    "AiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1h"
    "bXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMD"
    "AwWiIgfQ0KICBdDQp9";

static const struct s3_pair example_fields[] = {
    {{"key", 3}, {"user/user1/a.jpg", 16}},
    {{"acl", 3}, {"public-read", 11}},
    {{"success_action_redirect", 23},
     {"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html", 65}},
    {{"Content-Type", 12}, {"image/jpeg", 10}},
    {{"x-amz-meta-uuid", 15}, {"14365123651274", 14}},
    {{"x-amz-server-side-encryption", 28}, {"AES256", 6}},
    {{"X-Amz-Credential", 16}, {RIG_KEY "/20151229/us-east-1/s3/aws4_request", 55}},
    {{"X-Amz-Algorithm", 15}, {"AWS4-HMAC-SHA256", 16}},
    {{"X-Amz-Date", 10}, {"20151229T000000Z", 16}},
    {{"x-amz-meta-tag", 14}, {"", 0}},
    {{"Policy", 6}, {example_policy, sizeof example_policy - 1}},
    {{"X-Amz-Signature", 15},
     {"8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e", 64}},
};

struct form {
    struct rig rig;
    struct s3_pair fields[FIELDS_MAX];
    struct s3_form form;
    char policy[8192];
    char signature[64];
};

static int setup(void **state) {
    struct form *f = xnew(struct form);
    rig_open(&f->rig);
    f->form = (struct s3_form){STR("sigv4examplebucket"), f->fields, COUNT(example_fields)};
    memcpy(f->fields, example_fields, sizeof example_fields);
    f->rig.r.method = STR("POST");
    f->rig.r.form = &f->form;
    f->rig.r.now_s = DEC_29_2015;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct form *f = *state;
    rig_close(&f->rig);
    free(f);
    return 0;
}

static void put(struct form *f, const char *name, const char *value) {
    f->fields[f->form.count++] = (struct s3_pair){str_of(name), str_of(value)};
}

static void the_example_of_aws_is_accepted(void **state) {
    struct form *f = *state;
    assert_int_equal(rig_ask(&f->rig), S3_OK);
    assert_int_equal(f->rig.out.kind, AUTH_V4_POST);
    assert_true(f->rig.out.file_min == 0 && f->rig.out.file_max == UINT64_MAX);
}

static void every_field_of_the_example_is_bound(void **state) {
    struct form *f = *state;
    for (size_t i = 0; i < COUNT(example_fields); i++) {
        memcpy(f->fields, example_fields, sizeof example_fields);
        bool free_text = str_eq(example_fields[i].name, STR("x-amz-meta-tag"));
        f->fields[i].value = STR("evil");
        enum s3_code got = rig_ask(&f->rig);
        assert_true(free_text ? got == S3_OK : got != S3_OK);
        /* Left out. */
        memcpy(f->fields, example_fields, sizeof example_fields);
        memmove(f->fields + i, f->fields + i + 1,
                (COUNT(example_fields) - i - 1) * sizeof f->fields[0]);
        f->form.count--;
        assert_true(rig_ask(&f->rig) != S3_OK);
        f->form.count++;
    }
    memcpy(f->fields, example_fields, sizeof example_fields);
    put(f, "x-amz-storage-class", "STANDARD");
    assert_int_equal(rig_ask(&f->rig), S3_ACCESS_DENIED);
    f->fields[f->form.count - 1].name = STR("x-ignore-me");
    assert_int_equal(rig_ask(&f->rig), S3_OK);
    f->fields[f->form.count - 1].name = STR("ACL");
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT); /* twice */
    f->fields[f->form.count - 1].name = STR("signature");
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT); /* two ways to sign */
    f->form.count--;
    f->form.bucket = STR("otherbucket");
    assert_int_equal(rig_ask(&f->rig), S3_ACCESS_DENIED);
    put(f, "bucket", "sigv4examplebucket"); /* CVE-2023-43040: the form's own bucket */
    assert_int_equal(rig_ask(&f->rig), S3_ACCESS_DENIED);
    f->form.bucket = STR("sigv4examplebucket");
    assert_int_equal(rig_ask(&f->rig), S3_OK);
}

static void the_claim_of_a_form_is_checked_like_others(void **state) {
    struct form *f = *state;
    static const struct {
        size_t field;
        const char *value;
        enum s3_code want;
    } rows[] = {
        {6, "AKIAIOSFODNN7EXAMPLF/20151229/us-east-1/s3/aws4_request", S3_INVALID_ACCESS_KEY_ID},
        {6, RIG_KEY "/20151230/us-east-1/s3/aws4_request", S3_INVALID_ARGUMENT},
        {6, RIG_KEY "/20151229/us-west-2/s3/aws4_request", S3_INVALID_ARGUMENT},
        {6, "x", S3_INVALID_ARGUMENT},
        {7, "AWS4-HMAC-SHA1", S3_INVALID_ARGUMENT},
        {8, "20151229", S3_INVALID_ARGUMENT},
        {10, "eyB9", S3_SIGNATURE_DOES_NOT_MATCH},
        {11, "8afd", S3_SIGNATURE_DOES_NOT_MATCH},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        memcpy(f->fields, example_fields, sizeof example_fields);
        f->fields[rows[i].field].value = str_of(rows[i].value);
        assert_int_equal(rig_ask(&f->rig), rows[i].want);
    }
    memcpy(f->fields, example_fields, sizeof example_fields);
    f->rig.r.now_s = DEC_29_2015 + 129600; /* the policy's expiry */
    assert_int_equal(rig_ask(&f->rig), S3_ACCESS_DENIED);
    f->rig.r.now_s--;
    assert_int_equal(rig_ask(&f->rig), S3_OK);
    rig_header(&f->rig, "Authorization", "AWS a:b");
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT);
}

static void a_form_without_credentials_is_anonymous_and_a_half_one_is_not(void **state) {
    struct form *f = *state;
    f->form.count = 0;
    put(f, "key", "a");
    assert_int_equal(rig_ask(&f->rig), S3_OK);
    assert_int_equal(f->rig.out.kind, AUTH_ANONYMOUS);
    put(f, "policy", "e30=");
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT);
    put(f, "AWSAccessKeyId", RIG_KEY);
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT);
    f->fields[1] = (struct s3_pair){STR("signature"), STR("x")};
    assert_int_equal(rig_ask(&f->rig), S3_INVALID_ARGUMENT);
}

/* A form with the key "foo.txt" in bucket "b", signed. */
static enum s3_code with_policy(struct form *f, const char *document) {
    uint8_t mac[HASH_BYTES_MAX];
    (void)base64_encode(BASE64_STD, str_of(document), f->policy);
    size_t n = hmac(HASH_SHA1, STR(RIG_SECRET), str_of(f->policy), mac);
    (void)base64_encode(BASE64_STD, str_make((char *)mac, n), f->signature);
    f->form.count = 0;
    f->form.bucket = STR("b");
    put(f, "key", "foo.txt");
    put(f, "Content-Type", "text/plain");
    put(f, "AWSAccessKeyId", RIG_KEY);
    put(f, "signature", f->signature);
    put(f, "policy", f->policy);
    return rig_ask(&f->rig);
}

#define EXPIRES  "{\"expiration\":\"2015-12-30T00:00:00.000Z\",\"conditions\":["
#define BASE     "{\"bucket\":\"b\"},[\"starts-with\",\"$key\",\"foo\"]"
#define TYPE     "[\"starts-with\",\"$Content-Type\",\"text/plain\"]"
#define BASE_ALL BASE "," TYPE

static void conditions_mean_what_s3_says(void **state) {
    struct form *f = *state;
    static const struct {
        const char *document;
        enum s3_code want;
    } rows[] = {
        {EXPIRES BASE_ALL "]}", S3_OK},
        {EXPIRES BASE_ALL ",[\"content-length-range\",0,1024]]}", S3_OK},
        {EXPIRES "{\"bUcKeT\":\"b\"},[\"StArTs-WiTh\",\"$KeY\",\"foo\"],"
                 "[\"eQ\",\"$CoNtEnT-TyPe\",\"text/plain\"]]}",
         S3_OK},
        {EXPIRES "{\"bucket\":\"b\"},[\"starts-with\",\"$key\",\"\"]," TYPE "]}", S3_OK},
        {EXPIRES "[\"starts-with\",\"$key\",\"foo\"]," TYPE "]}", S3_ACCESS_DENIED},
        {EXPIRES BASE "]}", S3_ACCESS_DENIED},
        {EXPIRES BASE_ALL ",{\"acl\":\"private\"}]}", S3_ACCESS_DENIED},
        {EXPIRES BASE_ALL ",[\"starts-with\",\"$x-amz-meta-foo\",\"\"]]}", S3_ACCESS_DENIED},
        {EXPIRES "{\"bucket\":\"c\"},[\"starts-with\",\"$key\",\"foo\"]," TYPE "]}",
         S3_ACCESS_DENIED},
        {EXPIRES "{\"bucket\":\"b\"},[\"eq\",\"$key\",\"foo\"]," TYPE "]}", S3_ACCESS_DENIED},
        {EXPIRES BASE_ALL ",[\"content-length-range\",0]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[\"content-length-range\",-1,0]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[\"content-length-range\",2,1]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[\"ends-with\",\"$key\",\"foo\"]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[\"eq\",\"key\",\"foo.txt\"]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[\"eq\",\"$\",\"\"]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",{}]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",[]]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",7]}", S3_INVALID_POLICY_DOCUMENT},
        {EXPIRES BASE_ALL ",{\"acl\":7}]}", S3_INVALID_POLICY_DOCUMENT},
        {"{\"expiration\":\"2015-12-30T00:00:00Z\"}", S3_INVALID_POLICY_DOCUMENT},
        {"{\"EXPIRATION\":\"2015-12-30T00:00:00Z\",\"conditions\":[" BASE_ALL "]}",
         S3_INVALID_POLICY_DOCUMENT},
        {"{\"expiration\":\"2015-12-30 00:00:00\",\"conditions\":[" BASE_ALL "]}",
         S3_INVALID_POLICY_DOCUMENT},
        {"{\"expiration\":\"2015-12-28T00:00:00Z\",\"conditions\":[" BASE_ALL "]}",
         S3_ACCESS_DENIED},
        {"[]", S3_INVALID_POLICY_DOCUMENT},
        {"{", S3_INVALID_POLICY_DOCUMENT},
        {"", S3_INVALID_POLICY_DOCUMENT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum s3_code got = with_policy(f, rows[i].document);
        if (got != rows[i].want)
            print_error("%s: %s: %s\n", rows[i].document, s3_code_name(got), f->rig.x.message);
        assert_int_equal(got, rows[i].want);
    }
    assert_int_equal(with_policy(f, EXPIRES BASE_ALL ",[\"content-length-range\",0,9],"
                                                     "[\"content-length-range\",5,20]]}"),
                     S3_OK);
    assert_int_equal(f->rig.out.kind, AUTH_V2_POST);
    assert_true(f->rig.out.file_min == 5 && f->rig.out.file_max == 9);
    f->fields[1].value = STR("text/plain,text/html"); /* each of a list */
    assert_int_equal(rig_ask(&f->rig), S3_ACCESS_DENIED);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_example_of_aws_is_accepted),
        T(every_field_of_the_example_is_bound),
        T(the_claim_of_a_form_is_checked_like_others),
        T(a_form_without_credentials_is_anonymous_and_a_half_one_is_not),
        T(conditions_mean_what_s3_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
