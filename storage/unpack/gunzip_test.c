/* SPDX-License-Identifier: Apache-2.0 — gunzip_test.c */
#include "storage/unpack/gunzip.h"

#include "storage/unpack/tar_sample.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PLAIN_BYTES 150000

static struct str plain_text(void) {
    static char text[PLAIN_BYTES];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 7 + i / 251);
    return str_make(text, sizeof text);
}

/* Decodes with windows of the given sizes; the output's length or -1. */
static ssize_t decode(struct str in, size_t in_step, size_t out_step, char *out, struct err *e) {
    struct gunzip *g = gunzip_new();
    size_t made = 0;
    int r = 0;
    for (size_t at = 0; at < in.n && r == 0;) {
        size_t n = in.n - at < in_step ? in.n - at : in_step;
        struct decode_io io = {.in = (const uint8_t *)in.p + at, .in_n = n};
        size_t before;
        do {
            before = io.in_n;
            io.out = (uint8_t *)out + made;
            io.out_n = out_step;
            r = gunzip_step(g, &io, e);
            made += out_step - io.out_n;
        } while (r == 0 && (io.in_n < before || io.out_n < out_step));
        at += n;
    }
    if (r == 0) r = gunzip_end(g, e);
    gunzip_free(g);
    return r < 0 ? -1 : (ssize_t)made;
}

static void members_are_joined_whatever_the_windows(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(SAMPLE_BYTES_MAX);
    AUTO_FREE char *out = xmalloc(PLAIN_BYTES + 100000);
    struct str text = plain_text();
    sample_gzip(&b, str_sub(text, 0, 100));
    sample_gzip(&b, STR(""));
    sample_gzip(&b, str_sub(text, 100, 70000));
    sample_gzip(&b, str_sub(text, 70000, text.n));
    static const size_t steps[][2] = {{1 << 20, 65536}, {1, 1}, {1, 4096}, {4096, 7}, {13, 65536}};
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct err e = {0};
        ssize_t n = decode(buf_view(&b), steps[i][0], steps[i][1], out, &e);
        if (n < 0) fail_msg("%s", e.msg);
        assert_int_equal(n, PLAIN_BYTES);
        assert_memory_equal(out, text.p, text.n);
    }
}

static void a_wrong_checksum_is_corrupt(void **state) {
    (void)state;
    for (size_t back = 1; back <= 8; back++) { /* CRC and length */
        AUTO(buf_done) struct buf b = BUF(SAMPLE_BYTES_MAX);
        char out[256];
        struct err e = {0};
        sample_gzip(&b, STR("some text"));
        b.p[b.n - back] ^= 1;
        assert_int_equal(decode(buf_view(&b), 1000, 100, out, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.msg, "checksum"));
    }
}

static void a_cut_stream_is_corrupt_at_every_length(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(SAMPLE_BYTES_MAX);
    char out[256];
    sample_gzip(&b, STR("some text"));
    for (size_t n = 0; n < b.n; n++) {
        struct err e = {0};
        assert_int_equal(decode(str_sub(buf_view(&b), 0, n), 1000, 100, out, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void garbage_behind_the_last_member_is_corrupt(void **state) {
    (void)state;
    static const char *const tails[] = {"garbage behind the end", "\x1f", "\x1f\x8b"};
    for (size_t i = 0; i < COUNT(tails); i++) {
        AUTO(buf_done) struct buf b = BUF(SAMPLE_BYTES_MAX);
        char out[256];
        struct err e = {0};
        sample_gzip(&b, STR("some text"));
        sample_bytes(&b, tails[i], strlen(tails[i]));
        assert_int_equal(decode(buf_view(&b), 1000, 100, out, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void what_is_not_gzip_is_corrupt(void **state) {
    (void)state;
    char out[256];
    struct err e = {0};
    assert_int_equal(decode(STR("plain text, nothing else"), 1000, 100, out, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "does not start with a gzip header"));
    assert_int_equal(decode(STR(""), 1000, 100, out, &e), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_joined_whatever_the_windows),
        cmocka_unit_test(a_wrong_checksum_is_corrupt),
        cmocka_unit_test(a_cut_stream_is_corrupt_at_every_length),
        cmocka_unit_test(garbage_behind_the_last_member_is_corrupt),
        cmocka_unit_test(what_is_not_gzip_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
