/* SPDX-License-Identifier: Apache-2.0 — stream_test.c */
#include "storage/unpack/stream.h"

#include "base/file.h"
#include "storage/unpack/tar_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#define TEXT_BYTES ((size_t)5 << 20) /* more than the ring holds */

static struct str text_of(size_t n) {
    static char text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 31 + i / 4099);
    return str_make(text, n);
}

static int file_with(struct str bytes) {
    int fd = memfd_create("stream", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes.p, bytes.n), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Reads everything and compares; the digest too. */
static void assert_decodes(int fd, enum stream_kind kind, struct str want) {
    struct err e = {0};
    const void *block;
    size_t at = 0;
    ssize_t n;
    struct stream *s = stream_new(fd, kind, &e);
    assert_non_null(s);
    stream_start(s);
    while ((n = stream_next(s, &block, &e)) > 0) {
        assert_true(at + (size_t)n <= want.n);
        assert_memory_equal(block, want.p + at, (size_t)n);
        at += (size_t)n;
    }
    if (n < 0) fail_msg("%s", e.msg);
    assert_int_equal(at, want.n);
    struct digest expected = digest_of(want);
    struct digest got = stream_digest(s);
    assert_true(digest_eq(&expected, &got));
    stream_free(s);
}

static void plain_and_gzip_streams_are_decoded_and_digested(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, STREAM_BLOCK_BYTES, STREAM_BLOCK_BYTES + 1, TEXT_BYTES};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct str text = text_of(sizes[i]);
        AUTO(buf_done) struct buf gz = BUF(SAMPLE_BYTES_MAX);
        sample_gzip(&gz, str_sub(text, 0, text.n / 3));
        sample_gzip(&gz, str_sub(text, text.n / 3, text.n));
        AUTO_CLOSE int plain = file_with(text);
        AUTO_CLOSE int zipped = file_with(buf_view(&gz));
        assert_decodes(plain, STREAM_PLAIN, text);
        assert_decodes(zipped, STREAM_GZIP, text);
    }
}

static void a_failure_comes_after_the_good_bytes_and_stays(void **state) {
    (void)state;
    AUTO(buf_done) struct buf gz = BUF(SAMPLE_BYTES_MAX);
    struct err e = {0};
    const void *block;
    sample_gzip(&gz, text_of(1 << 20));
    AUTO_CLOSE int fd = file_with(str_sub(buf_view(&gz), 0, gz.n - 4));
    struct stream *s = stream_new(fd, STREAM_GZIP, &e);
    stream_start(s);
    ssize_t n;
    while ((n = stream_next(s, &block, &e)) > 0) {
    }
    assert_int_equal(n, -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_int_equal(stream_next(s, &block, &e), -1);
    stream_free(s);
}

static void a_reader_may_leave_at_any_time(void **state) {
    (void)state;
    for (int blocks = 0; blocks < 12; blocks++) {
        struct err e = {0};
        const void *block;
        AUTO_CLOSE int fd = file_with(text_of(TEXT_BYTES));
        struct stream *s = stream_new(fd, STREAM_PLAIN, &e);
        if (blocks > 0) stream_start(s); /* 0: never started */
        for (int i = 1; i < blocks; i++) assert_true(stream_next(s, &block, &e) > 0);
        stream_free(s);
    }
    stream_free(NULL);
}

static void a_descriptor_that_cannot_be_read_is_an_error(void **state) {
    (void)state;
    struct err e = {0};
    const void *block;
    AUTO_CLOSE int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stream *s = stream_new(fd, STREAM_PLAIN, &e);
    stream_start(s);
    assert_int_equal(stream_next(s, &block, &e), -1);
    assert_non_null(strstr(e.msg, "read the layer's bytes"));
    stream_free(s);
}

/* A zstd frame of run-length blocks, 128 KiB of zeros in 4 bytes each (RFC 8878, section 3.1.1). */
static void add_zeros(struct buf *b, uint64_t blocks) {
    static const unsigned char head[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38};
    sample_bytes(b, head, sizeof head);
    for (uint64_t i = 1; i <= blocks; i++) {
        unsigned char rle[4] = {(unsigned char)(1u << 1 | (i == blocks)), 0x00, 0x10, 0};
        sample_bytes(b, rle, sizeof rle);
    }
}

/* What the stream gives before it ends or fails. */
static uint64_t decoded_bytes(struct str zstd, struct err *e) {
    const void *block;
    ssize_t n;
    uint64_t total = 0;
    AUTO_CLOSE int fd = file_with(zstd);
    struct stream *s = stream_new(fd, STREAM_ZSTD, e);
    assert_non_null(s);
    stream_start(s);
    while ((n = stream_next(s, &block, e)) > 0) total += (uint64_t)n;
    stream_free(s);
    return total;
}

static void a_decompression_bomb_is_cut_off_at_the_limit(void **state) {
    (void)state;
    const uint64_t block = 128 << 10;
    const uint64_t blocks = STREAM_EXPANSION_FREE_BYTES_MAX / block;
    AUTO(buf_done) struct buf b = BUF(SAMPLE_BYTES_MAX);
    struct err e = {0};
    add_zeros(&b, 4 * blocks);
    uint64_t most = STREAM_EXPANSION_FREE_BYTES_MAX + STREAM_EXPANSION_RATIO_MAX * b.n;
    assert_in_range(decoded_bytes(buf_view(&b), &e), blocks * block, most);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.msg, "a decompression bomb"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_gzip_streams_are_decoded_and_digested),
        cmocka_unit_test(a_failure_comes_after_the_good_bytes_and_stays),
        cmocka_unit_test(a_reader_may_leave_at_any_time),
        cmocka_unit_test(a_descriptor_that_cannot_be_read_is_an_error),
        cmocka_unit_test(a_decompression_bomb_is_cut_off_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
