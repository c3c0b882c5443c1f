/* SPDX-License-Identifier: Apache-2.0 — crc_test.c; check values: the catalogue of parametrised CRC
 * algorithms, and bit-by-bit computation. */
#include "s3gw/checksum/crc.h"

#include "base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE_BYTES 4096

static uint8_t *sample(void) {
    uint8_t *p = xmalloc(SAMPLE_BYTES);
    uint32_t state = 12345;
    for (size_t i = 0; i < SAMPLE_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        p[i] = (uint8_t)(state >> 24);
    }
    return p;
}

static uint64_t bitwise(uint64_t poly, unsigned width, const uint8_t *p, size_t n) {
    uint64_t ones = width == 64 ? UINT64_MAX : (1ULL << width) - 1;
    uint64_t crc = ones;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? poly : 0);
    }
    return crc ^ ones;
}

static void the_check_values_are_those_of_the_catalogue(void **state) {
    (void)state;
    assert_int_equal(crc32_add(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(crc32c_add(0, "123456789", 9), 0xE3069283);
    assert_true(crc64nvme_add(0, "123456789", 9) == 0xAE8B14860A799888);
    assert_int_equal(crc32_add(0, "", 0), 0);
    assert_int_equal(crc32c_add(0, "", 0), 0);
    assert_true(crc64nvme_add(0, "", 0) == 0);
}

static void every_length_agrees_with_the_definition(void **state) {
    (void)state;
    AUTO_FREE uint8_t *p = sample();
    for (size_t n = 0; n < 600; n++) {
        const uint8_t *at = p + n % 17; /* any alignment */
        assert_int_equal(crc32_add(0, at, n), bitwise(0xEDB88320, 32, at, n));
        assert_int_equal(crc32c_add(0, at, n), bitwise(0x82F63B78, 32, at, n));
        uint64_t want = bitwise(0x9A6C9329AC4BC9B5, 64, at, n);
        assert_true(crc64nvme_add(0, at, n) == want);
        assert_true(crc64nvme_add_portable(0, at, n) == want);
    }
}

static void pieces_and_joins_give_the_value_of_the_whole(void **state) {
    (void)state;
    AUTO_FREE uint8_t *p = sample();
    uint32_t whole32 = crc32_add(0, p, SAMPLE_BYTES);
    uint32_t whole32c = crc32c_add(0, p, SAMPLE_BYTES);
    uint64_t whole64 = crc64nvme_add(0, p, SAMPLE_BYTES);
    for (size_t cut = 0; cut <= SAMPLE_BYTES; cut += 61) {
        const uint8_t *b = p + cut;
        size_t n = SAMPLE_BYTES - cut;
        assert_int_equal(crc32_add(crc32_add(0, p, cut), b, n), whole32);
        assert_int_equal(crc32c_add(crc32c_add(0, p, cut), b, n), whole32c);
        assert_true(crc64nvme_add(crc64nvme_add(0, p, cut), b, n) == whole64);
        assert_int_equal(crc32_join(crc32_add(0, p, cut), crc32_add(0, b, n), n), whole32);
        assert_int_equal(crc32c_join(crc32c_add(0, p, cut), crc32c_add(0, b, n), n), whole32c);
        assert_true(crc64nvme_join(crc64nvme_add(0, p, cut), crc64nvme_add(0, b, n), n) == whole64);
    }
}

/* zlib's crc32_combine(crc32("a"), crc32(2^40 zero bytes), 2^40) is out of reach of a test that
 * reads the bytes: joining halves must agree with doubling instead. */
static void joining_works_for_parts_of_terabytes(void **state) {
    (void)state;
    uint64_t zeros = crc64nvme_add(0, "\0", 1);
    uint64_t n = 1;
    for (int k = 0; k < 40; k++) {
        zeros = crc64nvme_join(zeros, zeros, n);
        n *= 2;
    }
    uint64_t first = crc64nvme_add(0, "a", 1);
    uint64_t by_step = crc64nvme_join(crc64nvme_join(first, zeros, n), zeros, n);
    assert_true(by_step == crc64nvme_join(first, crc64nvme_join(zeros, zeros, n), 2 * n));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_values_are_those_of_the_catalogue),
        cmocka_unit_test(every_length_agrees_with_the_definition),
        cmocka_unit_test(pieces_and_joins_give_the_value_of_the_whole),
        cmocka_unit_test(joining_works_for_parts_of_terabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
