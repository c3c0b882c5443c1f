/* SPDX-License-Identifier: Apache-2.0 — error_test.c */
#include "s3gw/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void every_code_has_a_name_a_status_and_a_message(void **state) {
    (void)state;
    for (size_t i = 1; i < S3_CODES; i++) {
        struct s3_error x = {0};
        enum s3_code code = (enum s3_code)i;
        assert_int_equal(s3_fail(&x, code), -1);
        assert_true(x.message[0] != '\0'); /* aws-cli dies of an empty one */
        assert_true(s3_code_name(code)[0] != '\0');
        assert_in_range(s3_code_status(code), 400, 599);
        for (size_t k = 1; k < i; k++)
            assert_string_not_equal(s3_code_name(code), s3_code_name((enum s3_code)k));
    }
    assert_int_equal(s3_code_status(S3_NO_SUCH_KEY), 404);
    assert_int_equal(s3_code_status(S3_INVALID_RANGE), 416);
    assert_int_equal(s3_code_status(S3_MISSING_CONTENT_LENGTH), 411);
}

static void the_document_is_that_of_s3(void **state) {
    (void)state;
    struct s3_error x = {0};
    AUTO(buf_done) struct buf b = BUF(S3_ERROR_DOCUMENT_MAX);
    (void)s3_fail_with(&x, S3_AUTHORIZATION_HEADER_MALFORMED, "the region '%s' is wrong", "<x>");
    (void)s3_detail(&x, "Region", STR("us-east-1"));
    struct s3_error_place place = {STR("/b/k&"), STR("R1"), STR("H1")};
    assert_int_equal(s3_error_document(&x, &place, &b), 0);
    assert_string_equal(
        buf_c(&b),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<Error><Code>AuthorizationHeaderMalformed</Code>"
        "<Message>the region '&lt;x&gt;' is wrong</Message><Region>us-east-1</Region>"
        "<Resource>/b/k&amp;</Resource><RequestId>R1</RequestId><HostId>H1</HostId></Error>");
    struct buf small = BUF(30);
    assert_int_equal(s3_error_document(&x, &place, &small), -ENOSPC);
    buf_done(&small);
}

static void kinds_become_codes_and_our_own_faults_keep_their_text(void **state) {
    (void)state;
    struct s3_error x = {0};
    struct err e = {0};
    (void)err_set(&e, ERR_IO, "open '/secret/place': no such file");
    assert_int_equal(s3_error_of_err(&x, &e), -1);
    assert_int_equal(x.code, S3_INTERNAL_ERROR);
    assert_null(strstr(x.message, "secret"));
    (void)err_set(&e, ERR_INVALID, "max-keys: not a number");
    (void)s3_error_of_err(&x, &e);
    assert_int_equal(x.code, S3_INVALID_ARGUMENT);
    assert_string_equal(x.message, "max-keys: not a number");
    for (int kind = 0; kind < ERR_KINDS; kind++) {
        e.kind = (enum err_kind)kind;
        (void)s3_error_of_err(&x, &e);
        assert_int_equal(x.code, s3_code_of_kind(e.kind));
        assert_true(s3_code_status(x.code) >= 400);
    }
}

static void values_that_are_too_long_are_cut(void **state) {
    (void)state;
    struct s3_error x = {0};
    char text[1000];
    memset(text, 'v', sizeof text);
    (void)s3_fail_with(&x, S3_INVALID_ARGUMENT, "%.*s", (int)sizeof text, text);
    (void)s3_detail(&x, "ArgumentValue", str_make(text, sizeof text));
    assert_int_equal(strlen(x.message), S3_ERROR_MESSAGE_MAX - 1);
    assert_int_equal(strlen(x.detail[0].value), S3_ERROR_VALUE_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_a_status_and_a_message),
        cmocka_unit_test(the_document_is_that_of_s3),
        cmocka_unit_test(kinds_become_codes_and_our_own_faults_keep_their_text),
        cmocka_unit_test(values_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
