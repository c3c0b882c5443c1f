/* SPDX-License-Identifier: Apache-2.0 — http_reply_test.c */
#include "base/http_reply.h"

#include "base/http_date.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct http_field type = {STR("Content-Type"), STR("text/plain")};

static struct http_reply_head head(unsigned status, uint64_t length) {
    return (struct http_reply_head){.status = status,
                                    .date = STR("Sun, 06 Nov 1994 08:49:37 GMT"),
                                    .fields = &type,
                                    .field_count = 1,
                                    .length = length,
                                    .minor = 1};
}

static void expect(const struct http_reply_head *r, const char *line, const char *rest) {
    char out[HTTP_REPLY_HEAD_BYTES_MAX];
    struct err e = {0};
    ssize_t n = http_reply_encode(r, out, sizeof out, &e);
    assert_true(n > 0);
    AUTO_FREE char *want = xasprintf("%s\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                     "Content-Type: text/plain\r\n%s\r\n",
                                     line, rest);
    out[n] = '\0';
    assert_string_equal(out, want);
}

static void the_body_is_framed_by_length_or_chunks(void **state) {
    (void)state;
    struct http_reply_head r = head(200, 0);
    expect(&r, "HTTP/1.1 200 OK", "Content-Length: 0\r\n");
    assert_int_equal(http_reply_framing(&r), HTTP_SIZED);
    r.length = UINT64_MAX - 1;
    r.close = true;
    expect(&r, "HTTP/1.1 200 OK", "Content-Length: 18446744073709551614\r\nConnection: close\r\n");
    r = head(206, HTTP_LENGTH_UNKNOWN);
    expect(&r, "HTTP/1.1 206 Partial Content", "Transfer-Encoding: chunked\r\n");
    assert_int_equal(http_reply_framing(&r), HTTP_CHUNKED);
}

static void http_1_0_gets_no_chunks(void **state) {
    (void)state;
    struct http_reply_head r = head(200, HTTP_LENGTH_UNKNOWN);
    r.minor = 0;
    expect(&r, "HTTP/1.1 200 OK", "Connection: close\r\n");
    assert_int_equal(http_reply_framing(&r), HTTP_UNTIL_CLOSE);
    r.length = 3;
    expect(&r, "HTTP/1.1 200 OK", "Content-Length: 3\r\nConnection: keep-alive\r\n");
}

static void replies_without_a_body_say_no_wrong_length(void **state) {
    (void)state;
    struct http_reply_head r = head(204, 0);
    expect(&r, "HTTP/1.1 204 No Content", "");
    assert_int_equal(http_reply_framing(&r), HTTP_NO_BODY);
    r = head(304, 5);
    expect(&r, "HTTP/1.1 304 Not Modified", "");
    r = head(200, 5);
    r.head_only = true;
    expect(&r, "HTTP/1.1 200 OK", "Content-Length: 5\r\n");
    assert_int_equal(http_reply_framing(&r), HTTP_NO_BODY);
    r.length = HTTP_LENGTH_UNKNOWN;
    expect(&r, "HTTP/1.1 200 OK", "");
    r = head(599, 0);
    expect(&r, "HTTP/1.1 599 Unknown", "Content-Length: 0\r\n");
}

static void headers_cannot_be_injected(void **state) {
    (void)state;
    static const struct {
        struct http_field field;
        const char *why;
    } cases[] = {
        {{STR("a"), STR("b\r\nc: d")}, "write the header 'a': a control byte in its value"},
        {{STR("a"), STR("b\nc")}, "write the header 'a': a control byte in its value"},
        {{STR("a"), STR("b\rc")}, "write the header 'a': a control byte in its value"},
        {{STR("a"), STR("b\x00")}, "write the header 'a': a control byte in its value"},
        {{STR("a\r\nb"), STR("c")}, "write a header: 'a\r\nb' is no name of a header"},
        {{STR("a:"), STR("c")}, "write a header: 'a:' is no name of a header"},
        {{STR(""), STR("c")}, "write a header: '' is no name of a header"},
        {{STR("content-length"), STR("1")},
         "write the header 'content-length': only the server itself sets it"},
        {{STR("Transfer-Encoding"), STR("chunked")},
         "write the header 'Transfer-Encoding': only the server itself sets it"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_reply_head r = head(200, 0);
        r.fields = &cases[i].field;
        char out[HTTP_REPLY_HEAD_BYTES_MAX];
        struct err e = {0};
        assert_int_equal(http_reply_encode(&r, out, sizeof out, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_string_equal(e.msg, cases[i].why);
    }
}

static void a_head_that_does_not_fit_is_refused_whole(void **state) {
    (void)state;
    struct http_reply_head r = head(200, 0);
    char out[HTTP_REPLY_HEAD_BYTES_MAX];
    struct err e = {0};
    ssize_t n = http_reply_encode(&r, out, sizeof out, &e);
    assert_int_equal(http_reply_encode(&r, out, (size_t)n, &e), n);
    assert_int_equal(http_reply_encode(&r, out, (size_t)n - 1, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void dates_are_written_as_the_rfc_has_them(void **state) {
    (void)state;
    char out[HTTP_DATE_CHARS + 1];
    assert_true(str_eq(http_date(784111777, out), STR("Sun, 06 Nov 1994 08:49:37 GMT")));
    assert_true(str_eq(http_date(0, out), STR("Thu, 01 Jan 1970 00:00:00 GMT")));
    assert_true(str_eq(http_date(253402300799, out), STR("Fri, 31 Dec 9999 23:59:59 GMT")));
    assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_framed_by_length_or_chunks),
        cmocka_unit_test(http_1_0_gets_no_chunks),
        cmocka_unit_test(replies_without_a_body_say_no_wrong_length),
        cmocka_unit_test(headers_cannot_be_injected),
        cmocka_unit_test(a_head_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(dates_are_written_as_the_rfc_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
