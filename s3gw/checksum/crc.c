/* SPDX-License-Identifier: Apache-2.0 — crc.c: CRC-32 and CRC-32C by ISA-L, CRC-64/NVME here (ISA-L
 * 2.30 does not have it).
 *
 * All three are reflected: bit 0 of a value is the highest power of x. A product of two reflected
 * 64-bit values comes out of PCLMULQDQ one power of x too low, so the folding constants are
 * x^(distance - 1) mod P. The four accumulators of 16 bytes stand 64 bytes apart; at the end each
 * is folded into its neighbour 16 bytes on, and the 16 bytes that are left go through the table,
 * which is cheaper to be sure about than a Barrett reduction. Every length is tested against the
 * definition, bit by bit.
 *
 * Joining: CRC(A B) = CRC(A) * x^(8 |B|) + CRC(B) mod P; the inversions at both ends cancel out. */
#include "s3gw/checksum/crc.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLY_32     0xEDB88320U
#define POLY_32C    0x82F63B78U
#define POLY_64NVME 0x9A6C9329AC4BC9B5U

uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n) {
    return crc32_gzip_refl(crc, bytes, n);
}

uint32_t crc32c_add(uint32_t crc, const void *bytes, size_t n) {
    unsigned char *p = (unsigned char *)(uintptr_t)bytes; /* read only, though not declared so */
    crc = ~crc;
    while (n > 0) {
        int part = n > INT_MAX ? INT_MAX : (int)n;
        crc = crc32_iscsi(p, part, crc);
        p += part;
        n -= (size_t)part;
    }
    return ~crc;
}

/* table[k][b]: byte b followed by k zero bytes. */
static uint64_t table[8][256];
static bool has_clmul;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void) {
    for (unsigned b = 0; b < 256; b++) {
        uint64_t v = b;
        for (int bit = 0; bit < 8; bit++) v = (v >> 1) ^ (v & 1 ? POLY_64NVME : 0);
        table[0][b] = v;
    }
    for (unsigned b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
#if defined(__x86_64__)
    has_clmul = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

static uint64_t load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t slice8(uint64_t v) {
    uint64_t r = 0;
    for (int k = 0; k < 8; k++) r ^= table[7 - k][v >> (8 * k) & 0xff];
    return r;
}

/* Without the inversions. */
static uint64_t crc64_table(uint64_t crc, const uint8_t *p, size_t n) {
    for (; n >= 8; p += 8, n -= 8) crc = slice8(crc ^ load64(p));
    for (; n > 0; p++, n--) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return crc;
}

uint64_t crc64nvme_add_portable(uint64_t crc, const void *bytes, size_t n) {
    (void)pthread_once(&table_once, table_fill);
    return ~crc64_table(~crc, bytes, n);
}

#if defined(__x86_64__)
#define CLMUL          __attribute__((target("pclmul,sse4.1")))
#define FOLD_BYTES     64
#define FOLD_BYTES_MIN 128 /* below it the table is as fast */

/* x^(64 + d - 1) and x^(d - 1) mod P: what moves the first and the last eight bytes d bits on. */
#define BY_512_FIRST 0x0c32cdb31e18a84aU
#define BY_512_LAST  0x62242240ace5045aU
#define BY_128_FIRST 0xeadc41fd2ba3d420U
#define BY_128_LAST  0x21e9761e252621acU

CLMUL static __m128i load128(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

CLMUL static __m128i fold(__m128i state, __m128i by, __m128i next) {
    __m128i first = _mm_clmulepi64_si128(state, by, 0x00);
    __m128i last = _mm_clmulepi64_si128(state, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, last), next);
}

CLMUL static uint64_t crc64_clmul(uint64_t crc, const uint8_t *p, size_t n) {
    const __m128i by_512 = _mm_set_epi64x((int64_t)BY_512_LAST, (int64_t)BY_512_FIRST);
    const __m128i by_128 = _mm_set_epi64x((int64_t)BY_128_LAST, (int64_t)BY_128_FIRST);
    __m128i x[4];
    for (int i = 0; i < 4; i++) x[i] = load128(p + 16 * i);
    x[0] = _mm_xor_si128(x[0], _mm_set_epi64x(0, (int64_t)crc));
    for (p += FOLD_BYTES, n -= FOLD_BYTES; n >= FOLD_BYTES; p += FOLD_BYTES, n -= FOLD_BYTES)
        for (int i = 0; i < 4; i++) x[i] = fold(x[i], by_512, load128(p + 16 * i));
    __m128i state = x[0];
    for (int i = 1; i < 4; i++) state = fold(state, by_128, x[i]);
    uint8_t left[16];
    _mm_storeu_si128((__m128i *)left, state);
    return crc64_table(crc64_table(0, left, sizeof left), p, n);
}
#endif

uint64_t crc64nvme_add(uint64_t crc, const void *bytes, size_t n) {
    (void)pthread_once(&table_once, table_fill);
#if defined(__x86_64__)
    if (has_clmul && n >= FOLD_BYTES_MIN) return ~crc64_clmul(~crc, bytes, n);
#endif
    return ~crc64_table(~crc, bytes, n);
}

/* A field of polynomials modulo one of width bits, reflected: x^0 is the highest bit. */
struct field {
    uint64_t poly;
    unsigned width;
};

static uint64_t times_x(const struct field *f, uint64_t a) {
    return (a >> 1) ^ (a & 1 ? f->poly : 0);
}

static uint64_t times(const struct field *f, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (uint64_t bit = 1ULL << (f->width - 1); bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = times_x(f, b);
    }
    return product;
}

static uint64_t join(const struct field *f, uint64_t a, uint64_t b, uint64_t b_bytes) {
    uint64_t power = 1ULL << (f->width - 1); /* x^0 */
    for (int i = 0; i < 8; i++) power = times_x(f, power);
    for (uint64_t n = b_bytes; n; n >>= 1) { /* power is x^(8 * 2^k) */
        if (n & 1) a = times(f, a, power);
        power = times(f, power, power);
    }
    return a ^ b;
}

uint32_t crc32_join(uint32_t a, uint32_t b, uint64_t b_bytes) {
    return (uint32_t)join(&(struct field){POLY_32, 32}, a, b, b_bytes);
}

uint32_t crc32c_join(uint32_t a, uint32_t b, uint64_t b_bytes) {
    return (uint32_t)join(&(struct field){POLY_32C, 32}, a, b, b_bytes);
}

uint64_t crc64nvme_join(uint64_t a, uint64_t b, uint64_t b_bytes) {
    return join(&(struct field){POLY_64NVME, 64}, a, b, b_bytes);
}
