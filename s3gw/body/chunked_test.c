/* SPDX-License-Identifier: Apache-2.0 — chunked_test.c; known answers: the two examples of the
 * Amazon S3 API reference, sigv4-streaming and sigv4-streaming-trailers. */
#include "s3gw/body/chunked.h"

#include "s3gw/auth/auth_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PAYLOAD_BYTES 66560
#define BODY_MAX      (1 << 20)
#define HEADERS(mode, more, names, signature)                                                      \
    "Host: s3.amazonaws.com\nx-amz-date: 20130524T000000Z\n"                                       \
    "x-amz-storage-class: REDUCED_REDUNDANCY\nContent-Encoding: aws-chunked\n"                     \
    "x-amz-content-sha256: " mode "\nx-amz-decoded-content-length: 66560\n" more                   \
    "Authorization: AWS4-HMAC-SHA256 Credential=" RIG_KEY                                          \
    "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" names ",Signature=" signature "\n"

static const char plain_headers[] =
    HEADERS("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Length: 66824\n",
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
            "x-amz-decoded-content-length;x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
static const char *const plain_signatures[] = {
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"};

static const char trailer_headers[] =
    HEADERS("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-trailer: x-amz-checksum-crc32c\n",
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
            "x-amz-storage-class;x-amz-trailer",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
static const char *const trailer_signatures[] = {
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"};
#define CHECKSUM_LINE "x-amz-checksum-crc32c:sOO8/Q=="
#define TRAILER_SIGNATURE                                                                          \
    "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"

/* A request with its body. */
struct upload {
    struct rig rig;
    struct buf body;
    struct s3_error x;
};

static void add(struct upload *u, const char *text) {
    assert_int_equal(buf_str(&u->body, str_of(text)), 0);
}

static void add_chunk(struct upload *u, size_t bytes, const char *signature) {
    assert_int_equal(buf_fmt(&u->body, "%zx;chunk-signature=%s\r\n", bytes, signature), 0);
    assert_int_equal(buf_reserve(&u->body, bytes), 0);
    memset(u->body.p + u->body.n, 'a', bytes);
    u->body.n += bytes;
    if (bytes) add(u, "\r\n");
}

static void add_example(struct upload *u, const char *const signatures[3]) {
    buf_clear(&u->body);
    add_chunk(u, 65536, signatures[0]);
    add_chunk(u, 1024, signatures[1]);
    add_chunk(u, 0, signatures[2]);
}

static void sign_in(struct upload *u, const char *headers) {
    u->rig.r.method = STR("PUT");
    u->rig.r.path = STR("/examplebucket/chunkObject.txt");
    rig_headers(&u->rig, headers);
    enum s3_code got = rig_ask(&u->rig);
    if (got != S3_OK) print_error("%s\n", u->rig.x.message);
    assert_int_equal(got, S3_OK);
}

static int setup(void **state) {
    struct upload *u = xnew(struct upload);
    rig_open(&u->rig);
    u->body = BUF(BODY_MAX);
    *state = u;
    return 0;
}

static int teardown(void **state) {
    struct upload *u = *state;
    rig_close(&u->rig);
    buf_done(&u->body);
    free(u);
    return 0;
}

/* Feeds the body in pieces; how many bytes of payload came is in *out. The code of the result. */
static enum s3_code decode(struct upload *u, struct chunked *c, size_t step, size_t *out) {
    struct s3_error *x = &u->x;
    *out = 0;
    *x = (struct s3_error){0};
    if (chunked_init(c, &u->rig.out, &u->rig.r, x) < 0) return x->code;
    for (size_t at = 0; at < u->body.n; at += step) {
        struct str in = str_sub(buf_view(&u->body), at, at + step);
        struct str piece;
        enum chunked_event event;
        while ((event = chunked_next(c, &in, &piece, x)) == CHUNKED_PIECE) {
            assert_true(piece.n > 0);
            *out += piece.n;
        }
        if (event == CHUNKED_ERROR) return x->code;
        assert_int_equal(in.n, 0);
    }
    return chunked_finish(c, x) < 0 ? x->code : S3_OK;
}

/* In several cuts, with equal results. */
static enum s3_code result(struct upload *u) {
    static const size_t steps[] = {SIZE_MAX / 2, 1, 7, 1000, 65537};
    enum s3_code first = S3_OK;
    size_t payload = 0;
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct chunked c;
        size_t n = 0;
        enum s3_code got = decode(u, &c, steps[i], &n);
        chunked_done(&c);
        if (i == 0) first = got;
        if (got == S3_OK && i == 0) payload = n;
        assert_int_equal(got, first);
        if (got == S3_OK) assert_int_equal(n, payload);
    }
    return first;
}

static void the_example_of_signed_chunks_is_accepted(void **state) {
    struct upload *u = *state;
    struct chunked c;
    size_t n = 0;
    sign_in(u, plain_headers);
    assert_int_equal(u->rig.out.payload, AUTH_PAYLOAD_CHUNKS);
    add_example(u, plain_signatures);
    add(u, "\r\n");
    assert_int_equal(result(u), S3_OK);
    assert_int_equal(decode(u, &c, 4096, &n), S3_OK);
    assert_int_equal(n, PAYLOAD_BYTES);
    assert_int_equal(chunked_payload_bytes(&c), 0);
    chunked_done(&c);
}

static void the_example_of_signed_trailers_is_accepted(void **state) {
    struct upload *u = *state;
    static const char *const endings[] = {
        CHECKSUM_LINE "\r\n" TRAILER_SIGNATURE "\r\n\r\n",
        CHECKSUM_LINE "\n\r\n" TRAILER_SIGNATURE "\r\n\r\n", /* minio-go */
        CHECKSUM_LINE "\r\n" TRAILER_SIGNATURE "\r\n\r\n\r\n",
        "X-Amz-Checksum-CRC32C: sOO8/Q== \r\n" TRAILER_SIGNATURE "\r\n\r\n",
    };
    sign_in(u, trailer_headers);
    for (size_t i = 0; i < COUNT(endings); i++) {
        struct chunked c;
        size_t n = 0;
        add_example(u, trailer_signatures);
        add(u, endings[i]);
        assert_int_equal(result(u), S3_OK);
        assert_int_equal(decode(u, &c, 333, &n), S3_OK);
        assert_int_equal(n, PAYLOAD_BYTES);
        assert_true(str_eq(chunked_trailer_value(&c, "x-amz-checksum-crc32c"), STR("sOO8/Q==")));
        assert_null(chunked_trailer_value(&c, "x-amz-checksum-crc32").p);
        chunked_done(&c);
    }
}

/* The examples from their second chunk on: the chain goes on from the first one's signature. All
 * kinds of lines are there, and a kilobyte instead of 65 to be hashed each time. */
static void sign_in_tail(struct upload *u, bool with_trailer) {
    const char *const *signatures = with_trailer ? trailer_signatures : plain_signatures;
    sign_in(u, with_trailer ? trailer_headers : plain_headers);
    memcpy(u->rig.out.seed.signature, signatures[0], AUTH_SIGNATURE_HEX + 1);
    for (size_t i = 0; i < u->rig.r.header_count; i++)
        if (str_eq(u->rig.headers[i].name, STR("x-amz-decoded-content-length")))
            u->rig.headers[i].value = STR("1024");
    buf_clear(&u->body);
    add_chunk(u, 1024, signatures[1]);
    add_chunk(u, 0, signatures[2]);
    add(u, with_trailer ? CHECKSUM_LINE "\r\n" TRAILER_SIGNATURE "\r\n\r\n" : "\r\n");
}

static void a_flipped_bit_anywhere_is_an_error(void **state) {
    struct upload *u = *state;
    for (int with_trailer = 0; with_trailer < 2; with_trailer++) {
        sign_in_tail(u, with_trailer);
        assert_int_equal(result(u), S3_OK);
        for (size_t i = 0; i < u->body.n * 8; i++) {
            char kept = u->body.p[i / 8];
            char flipped = (char)(kept ^ (1 << i % 8));
            size_t n = 0;
            struct chunked c;
            u->body.p[i / 8] = flipped;
            enum s3_code got = decode(u, &c, 1000, &n);
            chunked_done(&c);
            /* A trailer's name may have either case, a blank may end its line. */
            bool case_of_letter = (kept ^ flipped) == 32 && (kept | 32) >= 'a';
            if (got == S3_OK) assert_true(case_of_letter || flipped == '\t');
            u->body.p[i / 8] = kept;
        }
    }
}

static void a_body_that_ends_early_is_incomplete_at_every_byte(void **state) {
    struct upload *u = *state;
    sign_in_tail(u, true);
    size_t whole = u->body.n;
    for (size_t n = 0; n < whole; n++) {
        struct chunked c;
        size_t payload = 0;
        u->body.n = n;
        assert_int_equal(decode(u, &c, 1000, &payload), S3_INCOMPLETE_BODY);
        chunked_done(&c);
    }
    u->body.n = whole;
}

static void unsigned_mode(struct upload *u, const char *length, const char *trailer) {
    rig_headers(&u->rig, "Host: h\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\n");
    if (length) rig_header(&u->rig, "x-amz-decoded-content-length", length);
    if (trailer) rig_header(&u->rig, "X-Amz-Trailer", trailer);
    assert_int_equal(rig_ask(&u->rig), S3_OK);
}

static void unsigned_chunks_have_the_errors_of_s3(void **state) {
    struct upload *u = *state;
    static const struct {
        const char *length, *trailer, *body;
        enum s3_code want;
    } rows[] = {
#define CRC "x-amz-checksum-crc32"
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":NhCmhg==\r\n\r\n", S3_OK},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":NhCmhg==\r\n\r\n\r\n", S3_OK},
        {"5", CRC, "2\r\nhe\r\n3\r\nllo\r\n0\r\n" CRC ":NhCmhg==\r\n\r\n", S3_OK},
        {"10", NULL, "A\r\n0123456789\r\n0\r\n\r\n", S3_OK},
        {"0", CRC, "0\r\n" CRC ":AAAAAA==\r\n\r\n", S3_OK},
        {"0", "", "0\r\n\r\n", S3_OK},
        {"5", CRC, "5\r\nhello\r\n0\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", NULL, "5\r\nhello\r\n0\r\n" CRC ":NhCmhg==\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC "c:NhCmhg==\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n" CRC ":a\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC "\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n:a\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\rb\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n\r\nx", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n\r\n\r\n\r\n", S3_MALFORMED_TRAILER},
        {"5", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n\r\n\r", S3_INCOMPLETE_BODY},
        {"6", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n\r\n", S3_INCOMPLETE_BODY},
        {"4", CRC, "5\r\nhello\r\n0\r\n" CRC ":a\r\n\r\n", S3_INCOMPLETE_BODY},
        {"5", CRC, "ffffffffffffffff\r\nhello", S3_INCOMPLETE_BODY},
        {"5", CRC, "00000000000000005\r\nhello", S3_INVALID_REQUEST},
        {"5", CRC, "5;chunk-signature=00\r\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "\r\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "+5\r\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "0x5\r\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "5 \r\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "5\nhello\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "5\r\nhello0\r\n\r\n", S3_INVALID_REQUEST},
        {"5", CRC, "5\r\nhellooo\r\n0\r\n\r\n", S3_INVALID_REQUEST},
        {NULL, CRC, "", S3_MISSING_CONTENT_LENGTH},
        {"", CRC, "", S3_INVALID_ARGUMENT},
        {"-1", CRC, "", S3_INVALID_ARGUMENT},
        {"18446744073709551615", CRC, "", S3_INVALID_ARGUMENT},
        {"5", "x-amz-acl", "", S3_INVALID_REQUEST},
        {"5", "x-amz-checksum-", "", S3_INVALID_REQUEST},
        {"5", CRC "," CRC "," CRC "," CRC "," CRC, "", S3_INVALID_REQUEST},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned_mode(u, rows[i].length, rows[i].trailer);
        buf_clear(&u->body);
        add(u, rows[i].body);
        enum s3_code got = result(u);
        if (got != rows[i].want) print_error("row %zu: %s\n", i, u->x.message);
        assert_int_equal(got, rows[i].want);
    }
}

static void lines_have_a_limit(void **state) {
    struct upload *u = *state;
    unsigned_mode(u, "0", "x-amz-checksum-crc32");
    for (size_t i = 0; i < 2; i++) { /* a header without an end, a trailer without one */
        buf_clear(&u->body);
        add(u, i ? "0\r\nx-amz-checksum-crc32:" : "");
        for (size_t n = 0; n <= CHUNKED_LINE_MAX; n++) add(u, "0");
        assert_int_equal(result(u), i ? S3_MALFORMED_TRAILER : S3_INVALID_REQUEST);
    }
}

static void only_the_last_signed_chunk_may_be_small(void **state) {
    struct upload *u = *state;
    struct chunked c;
    size_t n = 0;
    sign_in(u, plain_headers);
    add_chunk(u, 65536, plain_signatures[0]);
    add_chunk(u, 1023, "x");
    (void)snprintf(u->rig.out.seed.signature, sizeof u->rig.out.seed.signature, "%s",
                   plain_signatures[0]);
    buf_clear(&u->body);
    add_chunk(u, 1024, plain_signatures[1]);
    add_chunk(u, 1024, plain_signatures[1]);
    assert_int_equal(decode(u, &c, 100, &n), S3_INVALID_CHUNK_SIZE);
    assert_int_equal(n, 1024);
    chunked_done(&c);
}

static void a_trailer_needs_a_mode_that_has_trailers(void **state) {
    struct upload *u = *state;
    struct chunked c;
    size_t n = 0;
    sign_in(u, plain_headers);
    rig_header(&u->rig, "x-amz-trailer", "x-amz-checksum-crc32");
    assert_int_equal(decode(u, &c, 100, &n), S3_INVALID_REQUEST);
    chunked_done(&c);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_example_of_signed_chunks_is_accepted),
        T(the_example_of_signed_trailers_is_accepted),
        T(a_flipped_bit_anywhere_is_an_error),
        T(a_body_that_ends_early_is_incomplete_at_every_byte),
        T(unsigned_chunks_have_the_errors_of_s3),
        T(lines_have_a_limit),
        T(only_the_last_signed_chunk_may_be_small),
        T(a_trailer_needs_a_mode_that_has_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
