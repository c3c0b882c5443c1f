/* SPDX-License-Identifier: Apache-2.0 — http_head_test.c: each request is fed whole, byte by byte
 * and cut at each place, and must be read alike. */
#include "base/http_head.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Feeds the bytes in steps; what follows the head is left. */
static ssize_t feed_in_steps(struct http_head *h, struct str bytes, size_t first, size_t step) {
    http_head_init(h);
    for (size_t n = first;; n += step) {
        if (n > bytes.n) n = bytes.n;
        ssize_t r = http_head_feed(h, bytes.p, n);
        if (r != 0 || n == bytes.n) return r;
    }
}

static ssize_t feed(struct http_head *h, struct str bytes) {
    struct http_head other;
    ssize_t whole = feed_in_steps(h, bytes, bytes.n, 1);
    for (size_t first = 0; first < bytes.n; first += 1 + bytes.n / 200) {
        ssize_t cut = feed_in_steps(&other, bytes, first, first ? bytes.n : 1);
        assert_int_equal(whole, cut);
        assert_int_equal(h->refusal.status, other.refusal.status);
        assert_ptr_equal(h->refusal.why, other.refusal.why);
        assert_int_equal(h->field_count, other.field_count);
    }
    return whole;
}

static void expect_refused(struct str bytes, unsigned status, const char *why) {
    struct http_head h;
    ssize_t r = feed(&h, bytes);
    if (r != -1 || h.refusal.status != status || strcmp(h.refusal.why, why) != 0)
        print_error("%.*s\n-> %zd %u %s\n", STR_ARG(bytes), r, h.refusal.status, h.refusal.why);
    assert_int_equal(r, -1);
    assert_int_equal(h.refusal.status, status);
    assert_string_equal(h.refusal.why, why);
}

static void expect_str(struct str got, const char *want) {
    if (!str_eq(got, str_of(want))) fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
}

static void a_request_is_taken_apart(void **state) {
    (void)state;
    struct http_head h;
    struct str bytes = STR("PUT /b/k%20//..?partNumber=1&uploadId= HTTP/1.1\r\n"
                           "Host: s3.Example.org:9000\r\n"
                           "content-LENGTH: 12345\r\n"
                           "Expect: 100-Continue\r\n"
                           "x-amz-meta-a: \t one, \xc3\xa9 \t\r\n"
                           "X-AMZ-Meta-A: two\r\n"
                           "empty:\r\n"
                           "\r\nbody");
    assert_int_equal(feed(&h, bytes), bytes.n - 4);
    assert_int_equal(h.verb, HTTP_VERB_PUT);
    expect_str(h.method, "PUT");
    expect_str(h.target, "/b/k%20//..?partNumber=1&uploadId=");
    expect_str(h.uri.path, "/b/k%20//..");
    expect_str(h.uri.query, "partNumber=1&uploadId=");
    assert_true(h.uri.has_query);
    expect_str(h.host.name, "s3.Example.org");
    assert_int_equal(h.host.port, 9000);
    assert_int_equal(h.minor, 1);
    assert_true(h.keep_alive && h.expects_continue && h.has_length && !h.chunked);
    assert_int_equal(h.length, 12345);
    assert_int_equal(h.field_count, 6);
    expect_str(http_head_value(&h, STR("X-Amz-Meta-a")), "one, \xc3\xa9");
    expect_str(http_head_nth(&h, STR("x-amz-meta-a"), 1)->value, "two");
    assert_null(http_head_nth(&h, STR("x-amz-meta-a"), 2));
    expect_str(http_head_value(&h, STR("empty")), "");
    assert_null(http_head_value(&h, STR("none")).p);
}

static void what_may_be_left_out_is_left_out(void **state) {
    (void)state;
    struct http_head h;
    assert_true(feed(&h, STR("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
    assert_true(h.keep_alive && !h.has_length && !h.chunked && h.length == 0);
    assert_true(feed(&h, STR("GET /?a HTTP/1.0\r\n\r\n")) > 0);
    assert_true(!h.keep_alive && h.minor == 0 && h.host.name.n == 0 && h.host.port == -1);
    assert_true(feed(&h, STR("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
    assert_int_equal(h.uri.form, HTTP_ASTERISK_FORM);
    assert_true(feed(&h, STR("BREW /x HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
    assert_int_equal(h.verb, HTTP_VERB_OTHER);
    assert_true(feed(&h, STR("get / HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
    assert_int_equal(h.verb, HTTP_VERB_OTHER); /* methods have a case */
    assert_int_equal(feed(&h, STR("GET / HTTP/1.1\r\nHost: a\r\n")), 0);
    assert_int_equal(feed(&h, STR("GET / HTTP/1.1\r\nHost: a\r\n\r")), 0);
    assert_int_equal(feed(&h, STR("")), 0);
}

static void connection_and_version_decide_about_keep_alive(void **state) {
    (void)state;
    static const struct {
        struct str bytes;
        bool keep;
    } cases[] = {
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n"), false},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n"), true},
        {STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true},
        {STR("GET / HTTP/1.0\r\nConnection: x\r\n\r\n"), false},
        {STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"), false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_head h;
        assert_true(feed(&h, cases[i].bytes) > 0);
        assert_int_equal(h.keep_alive, cases[i].keep);
    }
}

static void an_absolute_target_gives_the_host(void **state) {
    (void)state;
    struct http_head h;
    assert_true(feed(&h, STR("GET http://A.b:80/p?q HTTP/1.1\r\nHost: a.B:80\r\n\r\n")) > 0);
    expect_str(h.host.name, "A.b");
    expect_str(h.uri.path, "/p");
    expect_str(h.uri.query, "q");
    assert_true(feed(&h, STR("GET HTTPS://a HTTP/1.0\r\n\r\n")) > 0);
    expect_str(h.uri.path, "/");
    expect_str(h.host.name, "a");
    expect_refused(STR("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), 400,
                   "a request target with another host than Host");
    expect_refused(STR("GET http://a:80/ HTTP/1.1\r\nHost: a:81\r\n\r\n"), 400,
                   "a request target with another host than Host");
    expect_refused(STR("GET http://a/ HTTP/1.1\r\n\r\n"), 400, "a request without Host");
    expect_refused(STR("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
                   "a request target that is malformed");
}

#define OK_LINE "POST /x HTTP/1.1\r\nHost: a\r\n"

/* The classes of request smuggling and what is like them: each has two readings somewhere. */
static const struct {
    struct str bytes;
    unsigned status;
    const char *why;
} catalogue[] = {
    {STR(OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "Content-Length beside Transfer-Encoding"},
    {STR(OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400,
     "Content-Length beside Transfer-Encoding"},
    {STR(OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400,
     "a header twice that may come once"},
    {STR(OK_LINE "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"), 400,
     "a header twice that may come once"},
    {STR(OK_LINE "Content-Length: 5, 5\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: +5\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: -5\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 0x5\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 05\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 5 5\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length:\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 5.0\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 1234567890123456789\r\n\r\n"), 400, "a malformed Content-Length"},
    {STR(OK_LINE "Content-Length: 18446744073709551616\r\n\r\n"), 400,
     "a malformed Content-Length"},
    {STR(OK_LINE "Transfer-Encoding: xchunked\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: chunked, identity\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: identity\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: \"chunked\"\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: chunked;q=1\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding:\r\n\r\n"), 400, "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "a header twice that may come once"},
    {STR(OK_LINE "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR(OK_LINE "Transfer-Encoding : chunked\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "Transfer-Encoding\t: chunked\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "Transfer-Encoding:\x0b"
                 "chunked\r\n\r\n"),
     400, "a control byte in the head"},
    {STR(OK_LINE "Transfer\x00-Encoding: chunked\r\n\r\n"), 400, "a control byte in the head"},
    {STR(OK_LINE "X: 1\x00\r\n\r\n"), 400, "a control byte in the head"},
    {STR(OK_LINE "X: 1\x7f\r\n\r\n"), 400, "a control byte in the head"},
    {STR(OK_LINE "X: 1\rTransfer-Encoding: chunked\r\n\r\n"), 400, "a control byte in the head"},
    {STR(OK_LINE "X: 1\r\r\n\r\n"), 400, "a control byte in the head"},
    {STR(OK_LINE "X: 1\nTransfer-Encoding: chunked\r\n\r\n"), 400, "a line that ends without CR"},
    {STR(OK_LINE "X: 1\r\n\n"), 400, "a line that ends without CR"},
    {STR("GET / HTTP/1.1\nHost: a\n\n"), 400, "a line that ends without CR"},
    {STR("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a line that ends without CR"},
    {STR(OK_LINE "X: 1\r\n folded\r\n\r\n"), 400, "a folded header line"},
    {STR(OK_LINE "Transfer-Encoding:\r\n chunked\r\n\r\n"), 400,
     "a Transfer-Encoding other than chunked"},
    {STR("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400, "a folded header line"},
    {STR("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"), 400, "a folded header line"},
    {STR(OK_LINE "nocolon\r\n\r\n"), 400, "a header line without a colon"},
    {STR(OK_LINE ": empty\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "a b: c\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "a(b: c\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "\xc3\xa9: c\r\n\r\n"), 400, "a header name that is no token"},
    {STR(OK_LINE "Host: a\r\n\r\n"), 400, "a header twice that may come once"},
    {STR(OK_LINE "hOST: b\r\n\r\n"), 400, "a header twice that may come once"},
    {STR("GET / HTTP/1.1\r\n\r\n"), 400, "a request without Host"},
    {STR("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: a:\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400, "a malformed Host"},
    {STR("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), 400, "a request line without an HTTP version"},
    {STR(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a method that is no token"},
    {STR("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"), 400,
     "a request line without method, target and version"},
    {STR("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"), 400,
     "a request line without method, target and version"},
    {STR("GET / /b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET /\r\n\r\n"), 400, "a request line without method, target and version"},
    {STR("GET / http/1.1\r\nHost: a\r\n\r\n"), 400, "a request line without an HTTP version"},
    {STR("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), 400, "a request line without an HTTP version"},
    {STR("GET / HTTP/01.1\r\nHost: a\r\n\r\n"), 400, "a request line without an HTTP version"},
    {STR("GET / HTTP/+1.1\r\nHost: a\r\n\r\n"), 400, "a request line without an HTTP version"},
    {STR("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505, "an HTTP version other than 1.0 and 1.1"},
    {STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, "an HTTP version other than 1.0 and 1.1"},
    {STR("GET / HTTP/0.9\r\n\r\n"), 505, "an HTTP version other than 1.0 and 1.1"},
    {STR("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET /\\..\\x HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
     "a request target that does not fit the method"},
    {STR("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
     "a request target that does not fit the method"},
    {STR("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "a request target that is malformed"},
    {STR("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"), 501, "CONNECT: this is no proxy"},
    {STR("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
     "Transfer-Encoding in HTTP/1.0"},
    {STR(OK_LINE "Expect: 200-ok\r\n\r\n"), 417, "an Expect other than 100-continue"},
    {STR(OK_LINE "Authorization: a\r\nAuthorization: b\r\n\r\n"), 400,
     "a header twice that may come once"},
    {STR(OK_LINE "Range: a\r\nrange: b\r\n\r\n"), 400, "a header twice that may come once"},
    {STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400, "a control byte in the head"},
    {STR("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
     "a request line without method, target and version"},
};

static void what_has_two_readings_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(catalogue); i++)
        expect_refused(catalogue[i].bytes, catalogue[i].status, catalogue[i].why);
}

static void fill(struct buf *b, const char *head, size_t n, const char *tail) {
    *b = BUF(3 * HTTP_HEAD_BYTES_MAX);
    assert_int_equal(buf_str(b, str_of(head)), 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(buf_str(b, STR("x")), 0);
    assert_int_equal(buf_str(b, str_of(tail)), 0);
}

static void limits_are_reached_and_not_passed(void **state) {
    (void)state;
    struct http_head h;
    AUTO(buf_done) struct buf b = BUF(0);
    size_t framing = strlen("GET / HTTP/1.1\r\n");
    fill(&b, "GET /", HTTP_LINE_BYTES_MAX - framing, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(feed(&h, buf_view(&b)) > 0);
    buf_done(&b);
    fill(&b, "GET /", HTTP_LINE_BYTES_MAX - framing + 1, " HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_refused(buf_view(&b), 414, "a request line that is too long");
    buf_done(&b);
    fill(&b, OK_LINE "a:", HTTP_FIELD_BYTES_MAX - 4, "\r\n\r\n");
    assert_true(feed(&h, buf_view(&b)) > 0);
    buf_done(&b);
    fill(&b, OK_LINE "a:", HTTP_FIELD_BYTES_MAX - 3, "\r\n\r\n");
    expect_refused(buf_view(&b), 431, "a header that is too long");
    buf_done(&b);
    fill(&b, "", HTTP_METHOD_BYTES_MAX + 1, " / HTTP/1.1\r\n");
    expect_refused(buf_view(&b), 400, "a method that is no token");
}

static void the_head_has_a_limit_as_a_whole(void **state) {
    (void)state;
    struct http_head h;
    AUTO(buf_done) struct buf b = BUF(2 * HTTP_HEAD_BYTES_MAX);
    assert_int_equal(buf_fmt(&b, OK_LINE "a: %012000d\r\nb: %012000d\r\n", 1, 1), 0);
    size_t left = HTTP_HEAD_BYTES_MAX - b.n - strlen("c:\r\n\r\n");
    AUTO(buf_done) struct buf longer = BUF(2 * HTTP_HEAD_BYTES_MAX);
    assert_int_equal(buf_str(&longer, buf_view(&b)), 0);
    assert_int_equal(buf_fmt(&b, "c:%0*d\r\n\r\n", (int)left, 1), 0);
    assert_int_equal(feed(&h, buf_view(&b)), HTTP_HEAD_BYTES_MAX);
    assert_int_equal(buf_fmt(&longer, "c:%0*d\r\n\r\n", (int)left + 1, 1), 0);
    expect_refused(buf_view(&longer), 431, "a header that is too long");
}

static void there_is_a_limit_on_the_number_of_headers(void **state) {
    (void)state;
    struct http_head h;
    AUTO(buf_done) struct buf b = BUF(HTTP_HEAD_BYTES_MAX);
    assert_int_equal(buf_str(&b, STR(OK_LINE)), 0);
    for (size_t i = 1; i < HTTP_FIELDS_MAX; i++) assert_int_equal(buf_fmt(&b, "h%zu: v\r\n", i), 0);
    size_t n = b.n;
    assert_int_equal(buf_str(&b, STR("\r\n")), 0);
    assert_true(feed(&h, buf_view(&b)) > 0);
    assert_int_equal(h.field_count, HTTP_FIELDS_MAX);
    b.n = n;
    assert_int_equal(buf_str(&b, STR("one: more\r\n\r\n")), 0);
    expect_refused(buf_view(&b), 431, "too many headers");
}

static void values_are_looked_for_in_lists(void **state) {
    (void)state;
    assert_true(http_list_has(STR("a,\tB , c"), STR("b")));
    assert_false(http_list_has(STR("ab, c"), STR("b")));
    assert_false(http_list_has(STR(""), STR("b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(what_may_be_left_out_is_left_out),
        cmocka_unit_test(connection_and_version_decide_about_keep_alive),
        cmocka_unit_test(an_absolute_target_gives_the_host),
        cmocka_unit_test(what_has_two_readings_is_refused),
        cmocka_unit_test(limits_are_reached_and_not_passed),
        cmocka_unit_test(the_head_has_a_limit_as_a_whole),
        cmocka_unit_test(there_is_a_limit_on_the_number_of_headers),
        cmocka_unit_test(values_are_looked_for_in_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
