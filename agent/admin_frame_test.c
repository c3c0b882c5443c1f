/* SPDX-License-Identifier: Apache-2.0 — admin_frame_test.c */
#include "agent/admin_frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void frames_are_found_whole_and_byte_by_byte(void **state) {
    (void)state;
    static const char in[] = "\x02\x00\x00\x00{}\x03\x00\x00\x00{ }";
    struct str body = STR_NONE;
    size_t bytes = 0;
    for (size_t n = 0; n < 6; n++)
        assert_int_equal(admin_frame_next(str_make(in, n), &body, &bytes), 0);
    for (size_t n = 6; n < sizeof in; n++) {
        assert_int_equal(admin_frame_next(str_make(in, n), &body, &bytes), 1);
        assert_int_equal(bytes, 6);
        assert_true(str_eq(body, STR("{}")));
    }
    assert_int_equal(admin_frame_next(str_make(in + 6, sizeof in - 7), &body, &bytes), 1);
    assert_int_equal(bytes, 7);
}

static void empty_and_too_long_frames_are_refused_by_their_header(void **state) {
    (void)state;
    struct str body;
    size_t bytes;
    uint8_t header[ADMIN_FRAME_HEADER];
    assert_int_equal(admin_frame_next(STR("\0\0\0\0"), &body, &bytes), -EINVAL);
    admin_frame_header(ADMIN_FRAME_BYTES_MAX, header);
    assert_int_equal(admin_frame_next(str_make((char *)header, 4), &body, &bytes), 0);
    admin_frame_header(ADMIN_FRAME_BYTES_MAX + 1, header);
    assert_int_equal(admin_frame_next(str_make((char *)header, 4), &body, &bytes), -EMSGSIZE);
}

static void requests_need_a_command(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct admin_request r;
    struct err e = {0};
    struct str ref = STR_NONE;
    assert_int_equal(
        admin_request_parse(&a, STR("{\"command\":\"pull\",\"ref\":\"x\",\"fds\":3}"), &r, &e), 0);
    assert_true(str_eq(r.command, STR("pull")));
    assert_int_equal(r.fd_count, 3);
    assert_int_equal(json_need_str(r.args, "ref", &ref, &e), 0);
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"command\":7}",
        "{\"command\":\"\"}",
        "{\"command\":\"a\",\"fds\":5}",
        "{\"command\":\"a\",\"fds\":-1}",
        "{",
        "{\"command\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(admin_request_parse(&a, str_of(bad[i]), &r, &e), -1);
}

static void replies_survive_writing_and_reading(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    AUTO(buf_done) struct buf b = BUF(4096);
    struct admin_reply r;
    struct err e = {0};
    struct str body;
    size_t bytes = 0;
    assert_int_equal(admin_reply_write(&b, ADMIN_EVENT, STR("{\"n\":1}"), 2), 0);
    assert_int_equal(admin_frame_next(buf_view(&b), &body, &bytes), 1);
    assert_int_equal(bytes, b.n);
    assert_true(str_eq(body, STR("{\"event\":{\"n\":1},\"fds\":2}")));
    assert_int_equal(admin_reply_parse(&a, body, &r, &e), 0);
    assert_int_equal(r.kind, ADMIN_EVENT);
    assert_int_equal(r.fd_count, 2);
    buf_clear(&b);
    assert_int_equal(admin_reply_write(&b, ADMIN_RESULT, STR("null"), 0), 0);
    assert_int_equal(admin_frame_next(buf_view(&b), &body, &bytes), 1);
    assert_int_equal(admin_reply_parse(&a, body, &r, &e), 0);
    assert_int_equal(r.kind, ADMIN_RESULT);
    buf_clear(&b);
    (void)err_set(&e, ERR_NOT_FOUND, "image 'x\"y': none");
    assert_int_equal(admin_error_write(&b, &e), 0);
    assert_int_equal(admin_frame_next(buf_view(&b), &body, &bytes), 1);
    assert_int_equal(admin_reply_parse(&a, body, &r, &e), 0);
    assert_int_equal(r.kind, ADMIN_ERROR);
    assert_int_equal(r.error.kind, ERR_NOT_FOUND);
    assert_string_equal(r.error.msg, "image 'x\"y': none");
    assert_int_equal(admin_reply_parse(&a, STR("{}"), &r, &e), -1);
    assert_int_equal(admin_reply_parse(&a, STR("{\"error\":{\"kind\":1}}"), &r, &e), -1);
}

static void a_reply_over_the_limit_leaves_the_buffer_as_it_was(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(64);
    AUTO_FREE char *big = xmalloc(100);
    memset(big, '1', 99);
    assert_int_equal(buf_str(&b, STR("kept")), 0);
    assert_int_equal(admin_reply_write(&b, ADMIN_RESULT, str_of(big), 0), -ENOSPC);
    assert_int_equal(b.n, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_found_whole_and_byte_by_byte),
        cmocka_unit_test(empty_and_too_long_frames_are_refused_by_their_header),
        cmocka_unit_test(requests_need_a_command),
        cmocka_unit_test(replies_survive_writing_and_reading),
        cmocka_unit_test(a_reply_over_the_limit_leaves_the_buffer_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
