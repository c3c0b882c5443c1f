/* SPDX-License-Identifier: Apache-2.0 — http_body_test.c: each body is fed whole and in steps. */
#include "base/http_body.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct outcome {
    enum http_body_event event;
    struct http_refusal refusal;
    struct buf bytes;
    size_t rest; /* of the input */
    struct http_body body;
    struct http_trailer_room room;
};

static void done(struct outcome *o) { buf_done(&o->bytes); }

static void run(struct outcome *o, const struct http_head *h, struct str input, size_t step) {
    o->bytes = BUF(1 << 20);
    http_body_init(&o->body, h, &o->room);
    struct str piece, rest = input;
    o->event = HTTP_BODY_MORE;
    while (rest.n > 0 && (o->event == HTTP_BODY_MORE || o->event == HTTP_BODY_PIECE)) {
        struct str in = str_sub(rest, 0, step);
        size_t given = in.n;
        while ((o->event = http_body_next(&o->body, &in, 3, &piece)) == HTTP_BODY_PIECE)
            assert_int_equal(buf_str(&o->bytes, piece), 0);
        rest = str_sub(rest, given - in.n, rest.n);
    }
    if (rest.n == 0 && o->event == HTTP_BODY_MORE)
        o->event = http_body_next(&o->body, &rest, 1, &piece);
    o->rest = rest.n;
    o->refusal = o->body.refusal;
}

static void run_chunked(struct outcome *o, struct str input) {
    const struct http_head h = {.chunked = true};
    run(o, &h, input, input.n);
    for (size_t step = 1; step < 8 && step < input.n; step++) {
        AUTO(done) struct outcome other;
        run(&other, &h, input, step);
        assert_int_equal(o->event, other.event);
        assert_ptr_equal(o->refusal.why, other.refusal.why);
        assert_int_equal(o->rest, other.rest);
        assert_true(str_eq(buf_view(&o->bytes), buf_view(&other.bytes)));
        assert_int_equal(o->body.trailer_count, other.body.trailer_count);
    }
}

static void expect_refused(struct str input, unsigned status, const char *why) {
    AUTO(done) struct outcome o;
    run_chunked(&o, input);
    if (o.event != HTTP_BODY_REFUSED) fail_msg("accepted '%.*s'", STR_ARG(input));
    assert_int_equal(o.refusal.status, status);
    assert_string_equal(o.refusal.why, why);
    struct str in = STR("0\r\n\r\n"), piece;
    assert_int_equal(http_body_next(&o.body, &in, 1, &piece), HTTP_BODY_REFUSED);
}

static void a_sized_body_ends_at_its_length(void **state) {
    (void)state;
    const struct http_head h = {.has_length = true, .length = 5};
    for (size_t step = 1; step < 9; step++) {
        AUTO(done) struct outcome o;
        run(&o, &h, STR("helloGET /"), step);
        assert_int_equal(o.event, HTTP_BODY_END);
        assert_true(str_eq(buf_view(&o.bytes), STR("hello")));
        assert_int_equal(o.rest, 5);
        assert_int_equal(o.body.total, 5);
    }
    const struct http_head none = {0};
    AUTO(done) struct outcome o;
    run(&o, &none, STR("GET /"), 1);
    assert_int_equal(o.event, HTTP_BODY_END);
    assert_int_equal(o.rest, 5);
}

static void a_body_that_is_cut_is_not_at_its_end(void **state) {
    (void)state;
    static const struct str whole = STR("3;x=\"y\"\r\nabc\r\n0\r\nt: v\r\n\r\n");
    for (size_t n = 0; n < whole.n; n++) {
        AUTO(done) struct outcome o;
        run_chunked(&o, str_sub(whole, 0, n));
        assert_int_equal(o.event, HTTP_BODY_MORE);
        assert_false(http_body_ended(&o.body));
    }
}

static void chunks_and_trailers_are_taken_apart(void **state) {
    (void)state;
    AUTO(done) struct outcome o;
    run_chunked(&o, STR("5\r\nhello\r\n00A;name=\"va lue\"\r\n0123456789\r\n0;end\r\n"
                        "x-amz-checksum-crc32: PlpNiA==\r\nEmpty:\r\n\r\nGET"));
    assert_int_equal(o.event, HTTP_BODY_END);
    assert_true(str_eq(buf_view(&o.bytes), STR("hello0123456789")));
    assert_int_equal(o.rest, 3);
    assert_int_equal(o.body.total, 15);
    struct str value = http_body_trailer(&o.body, STR("X-Amz-Checksum-CRC32"));
    assert_true(str_eq(value, STR("PlpNiA==")));
    assert_int_equal(http_body_trailer(&o.body, STR("empty")).n, 0);
    assert_null(http_body_trailer(&o.body, STR("none")).p);
    assert_true(http_body_ended(&o.body));
}

static void what_has_two_readings_is_refused(void **state) {
    (void)state;
    static const struct {
        struct str input;
        const char *why;
    } cases[] = {
        {STR("\r\n"), "a malformed chunk size"},
        {STR(";\r\n"), "a malformed chunk size"},
        {STR("-1\r\n"), "a malformed chunk size"},
        {STR("+1\r\n"), "a malformed chunk size"},
        {STR(" 1\r\n"), "a malformed chunk size"},
        {STR("0x1\r\n"), "a malformed chunk size"},
        {STR("1 \r\n"), "a malformed chunk size"},
        {STR("1\t;a\r\n"), "a malformed chunk size"},
        {STR("1_0\r\n"), "a malformed chunk size"},
        {STR("g\r\n"), "a malformed chunk size"},
        {STR("1\na"), "a malformed chunk size"},
        {STR("1\ra"), "a chunk size line that does not end with CRLF"},
        {STR("1;a\nb"), "a control byte in a chunk extension"},
        {STR("1;a\x00\r\n"), "a control byte in a chunk extension"},
        {STR("1;a\r\r\n"), "a chunk size line that does not end with CRLF"},
        {STR("00000000000000001\r\n"), "a chunk size that is too large"},
        {STR("ffffffffffffffff\r\n"), "a chunk size that is too large"},
        {STR("8000000000000000\r\n"), "a chunk size that is too large"},
        {STR("1\r\na\r\n4000000000000000\r\n"), "a chunk size that is too large"},
        {STR("1\r\nab\r\n"), "a chunk longer than its size"},
        {STR("1\r\na\n0\r\n"), "a chunk longer than its size"},
        {STR("1\r\na\rb"), "a chunk that does not end with CRLF"},
        {STR("2\r\na\r\n0\r\n\r\n"), "a chunk longer than its size"},
        {STR("0\r\n\n"), "a trailer that does not end with CRLF"},
        {STR("0\r\na: b\n\r\n"), "a trailer that does not end with CRLF"},
        {STR("0\r\na: b\rc\r\n"), "a trailer that does not end with CRLF"},
        {STR("0\r\na: b\r\n c\r\n"), "a folded header line"},
        {STR("0\r\na : b\r\n"), "a header name that is no token"},
        {STR("0\r\na: \x00\r\n"), "a control byte in a header"},
        {STR("0\r\nContent-Length: 5\r\n"), "a trailer that may only be a header"},
        {STR("0\r\ntransfer-encoding: chunked\r\n"), "a trailer that may only be a header"},
        {STR("0\r\nHost: a\r\n"), "a trailer that may only be a header"},
        {STR("0\r\nauthorization: a\r\n"), "a trailer that may only be a header"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) expect_refused(cases[i].input, 400, cases[i].why);
}

static void limits_of_chunk_lines_are_reached(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(64 << 10);
    assert_int_equal(buf_fmt(&b, "1;%0*d\r\n", HTTP_CHUNK_LINE_BYTES_MAX - 4, 1), 0);
    assert_int_equal(buf_str(&b, STR("a\r\n0\r\n\r\n")), 0);
    AUTO(done) struct outcome o;
    run_chunked(&o, buf_view(&b));
    assert_int_equal(o.event, HTTP_BODY_END);
    buf_clear(&b);
    assert_int_equal(buf_fmt(&b, "1;%0*d\r\n", HTTP_CHUNK_LINE_BYTES_MAX - 3, 1), 0);
    expect_refused(buf_view(&b), 400, "a chunk size line that is too long");
    buf_clear(&b);
    for (size_t i = 0; i <= HTTP_CHUNK_EXTENSION_BYTES_MAX / 200; i++)
        assert_int_equal(buf_fmt(&b, "1;%0200d\r\na\r\n", 1), 0);
    expect_refused(buf_view(&b), 400, "chunk extensions too long");
}

static void limits_of_trailers_are_reached(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(64 << 10);
    assert_int_equal(buf_fmt(&b, "0\r\na:%0*d\r\n\r\n", HTTP_TRAILER_BYTES_MAX - 6, 1), 0);
    AUTO(done) struct outcome o;
    run_chunked(&o, buf_view(&b));
    assert_int_equal(o.event, HTTP_BODY_END);
    buf_clear(&b);
    assert_int_equal(buf_fmt(&b, "0\r\na:%0*d\r\n\r\n", HTTP_TRAILER_BYTES_MAX - 5, 1), 0);
    expect_refused(buf_view(&b), 431, "trailers too long");
    buf_clear(&b);
    assert_int_equal(buf_str(&b, STR("0\r\n")), 0);
    for (size_t i = 0; i <= HTTP_TRAILERS_MAX; i++)
        assert_int_equal(buf_str(&b, STR("a: b\r\n")), 0);
    expect_refused(buf_view(&b), 431, "too many trailers");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sized_body_ends_at_its_length),
        cmocka_unit_test(a_body_that_is_cut_is_not_at_its_end),
        cmocka_unit_test(chunks_and_trailers_are_taken_apart),
        cmocka_unit_test(what_has_two_readings_is_refused),
        cmocka_unit_test(limits_of_chunk_lines_are_reached),
        cmocka_unit_test(limits_of_trailers_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
