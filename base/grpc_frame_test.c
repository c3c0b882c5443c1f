/* SPDX-License-Identifier: Apache-2.0 — grpc_frame_test.c: framing in pieces of any size. */
#include "base/grpc_frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define LIMIT 300

/* Feeds pieces until an error; the frame must be freed. */
static int feed(struct grpc_frame *f, struct str wire, size_t piece) {
    grpc_frame_init(f, LIMIT);
    int r = 0;
    for (size_t at = 0; r == 0 && at < wire.n; at += piece) {
        struct str part = str_sub(wire, at, at + piece);
        r = grpc_frame_feed(f, (const uint8_t *)part.p, part.n);
    }
    return r;
}

static void expect(struct str wire, int expected, bool complete) {
    for (size_t piece = 1; piece <= wire.n; piece++) {
        struct grpc_frame f;
        assert_int_equal(feed(&f, wire, piece), expected);
        if (expected == 0) assert_int_equal(grpc_frame_complete(&f), complete);
        grpc_frame_done(&f);
    }
}

static void every_split_gives_the_same(void **state) {
    (void)state;
    expect(str_make("\0\0\0\0\5hello", 10), 0, true);
    expect(str_make("\0\0\0\0\0", 5), 0, true);
    expect(str_make("\0\0\0\0", 4), 0, false);
    expect(str_make("\0\0\0\0\5hell", 9), 0, false);
    expect(str_make("\0\0\0\0\5hello!", 11), -EPROTO, false);
    expect(str_make("\2\0\0\0\5hello", 10), -EPROTO, false);
    expect(str_make("\1\0\0\0\5hello", 10), -ENOTSUP, false);
    expect(str_make("\0\0\0\1\x2d", 5), -EMSGSIZE, false); /* 301 */
    expect(str_make("\0\xff\xff\xff\xff", 5), -EMSGSIZE, false);
}

static void a_message_at_the_limit_is_taken(void **state) {
    (void)state;
    uint8_t wire[GRPC_FRAME_PREFIX_BYTES + LIMIT] = {0};
    grpc_frame_prefix(LIMIT, wire);
    expect(str_make((const char *)wire, sizeof wire), 0, true);
}

static void the_prefix_is_big_endian(void **state) {
    (void)state;
    uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
    grpc_frame_prefix(0x01020304, prefix);
    assert_memory_equal(prefix, "\0\1\2\3\4", sizeof prefix);
    struct grpc_frame f;
    grpc_frame_init(&f, UINT32_MAX);
    assert_int_equal(grpc_frame_length(&f), 0);
    assert_int_equal(grpc_frame_feed(&f, prefix, sizeof prefix), 0);
    assert_int_equal(grpc_frame_length(&f), 0x01020304);
    grpc_frame_done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(a_message_at_the_limit_is_taken),
        cmocka_unit_test(the_prefix_is_big_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
