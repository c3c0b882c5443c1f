/* SPDX-License-Identifier: Apache-2.0 — unzstd_test.c */
#include "storage/unpack/unzstd.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* "some text of a zstd frame\n", with a checksum, as the zstd program writes it */
static const unsigned char FRAME[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0xd1, 0x00, 0x00, 0x73,
                                      0x6f, 0x6d, 0x65, 0x20, 0x74, 0x65, 0x78, 0x74, 0x20, 0x6f,
                                      0x66, 0x20, 0x61, 0x20, 0x7a, 0x73, 0x74, 0x64, 0x20, 0x66,
                                      0x72, 0x61, 0x6d, 0x65, 0x0a, 0xdd, 0xa2, 0x10, 0xe3};
static const char TEXT[] = "some text of a zstd frame\n";
/* a skippable frame of 3 bytes */
static const unsigned char SKIP[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3};

struct bytes {
    unsigned char p[256];
    size_t n;
};

static void join(struct bytes *b, const void *p, size_t n) {
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static ssize_t decode(const struct bytes *in, size_t step, char *out, size_t out_n, struct err *e) {
    struct unzstd *z = unzstd_new();
    struct decode_io io = {.out = (uint8_t *)out, .out_n = out_n};
    int r = 0;
    for (size_t at = 0; at < in->n && r == 0; at += step) {
        io.in = in->p + at;
        io.in_n = in->n - at < step ? in->n - at : step;
        while (r == 0 && io.in_n > 0) r = unzstd_step(z, &io, e);
    }
    if (r == 0) r = unzstd_end(z, e);
    unzstd_free(z);
    return r < 0 ? -1 : (ssize_t)(out_n - io.out_n);
}

static void frames_are_joined_whatever_the_window(void **state) {
    (void)state;
    struct bytes b = {.n = 0};
    join(&b, FRAME, sizeof FRAME);
    join(&b, SKIP, sizeof SKIP);
    join(&b, FRAME, sizeof FRAME);
    static const size_t steps[] = {1, 7, 1000};
    for (size_t i = 0; i < COUNT(steps); i++) {
        char out[256];
        struct err e = {0};
        ssize_t n = decode(&b, steps[i], out, sizeof out, &e);
        if (n < 0) fail_msg("%s", e.msg);
        assert_int_equal(n, 2 * (sizeof TEXT - 1));
        assert_memory_equal(out, TEXT, sizeof TEXT - 1);
        assert_memory_equal(out + sizeof TEXT - 1, TEXT, sizeof TEXT - 1);
    }
}

static void a_cut_stream_is_corrupt_at_every_length(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof FRAME; n++) {
        struct bytes b = {.n = 0};
        char out[256];
        struct err e = {0};
        join(&b, FRAME, n);
        assert_int_equal(decode(&b, 1000, out, sizeof out, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void a_wrong_checksum_and_garbage_are_corrupt(void **state) {
    (void)state;
    struct bytes damaged = {.n = 0};
    struct bytes garbage = {.n = 0};
    char out[256];
    struct err e = {0};
    join(&damaged, FRAME, sizeof FRAME);
    damaged.p[sizeof FRAME - 1] ^= 1;
    assert_int_equal(decode(&damaged, 1000, out, sizeof out, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    join(&garbage, FRAME, sizeof FRAME);
    join(&garbage, "garbage behind", 14);
    assert_int_equal(decode(&garbage, 1000, out, sizeof out, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
}

static void a_window_over_the_limit_is_refused(void **state) {
    (void)state;
    struct bytes b = {.n = 0};
    char out[256];
    struct err e = {0};
    static const unsigned char wide[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, /* 2^31 bytes */
                                         0x09, 0x00, 0x00, 'x'};
    join(&b, wide, sizeof wide);
    assert_int_equal(decode(&b, 1000, out, sizeof out, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_joined_whatever_the_window),
        cmocka_unit_test(a_cut_stream_is_corrupt_at_every_length),
        cmocka_unit_test(a_wrong_checksum_and_garbage_are_corrupt),
        cmocka_unit_test(a_window_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
