/* SPDX-License-Identifier: Apache-2.0 — body_test.c; digests of "hello": from the tools of the
 * algorithms' authors. */
#include "s3gw/body/body.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HELLO_MD5    "XUFAKrxLKna5cZ2REBfFkg=="
#define HELLO_CRC32  "NhCmhg=="
#define HELLO_SHA1   "qvTGHdzF6KLavt4PO0gs2a6pQ00="
#define HEADERS_MAX  8
#define TRAILER_MODE AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER

struct row {
    enum s3_auth_payload payload;
    const char *headers, *body;
    uint64_t length;
    enum s3_code want;
};

static enum s3_code run(const struct row *row, struct s3_error *x, struct body_result *out) {
    struct s3_pair headers[HEADERS_MAX];
    struct s3_request r = {.headers = headers};
    struct str rest = str_of(row->headers);
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find(line, ':');
        if (colon > 0)
            headers[r.header_count++] = (struct s3_pair){str_sub(line, 0, (size_t)colon),
                                                         str_sub(line, (size_t)colon + 1, line.n)};
    }
    struct s3_auth_result auth = {.payload = row->payload, .sha256 = digest_of(STR("hello"))};
    struct body b;
    int result = body_init(&b, &auth, &r, row->length, x);
    struct str body = str_of(row->body);
    for (size_t i = 0; result >= 0 && i < body.n; i++) {
        struct str in = str_sub(body, i, i + 1);
        struct str piece;
        while ((result = body_next(&b, &in, &piece, x)) > 0) assert_int_equal(piece.n, 1);
    }
    if (result >= 0) result = body_end(&b, out, x);
    body_done(&b);
    body_done(&b);
    return result < 0 ? x->code : S3_OK;
}

#define FRAME(trailer) "5\r\nhello\r\n0\r\n" trailer "\r\n\r\n"
#define TRAILED(name)  "x-amz-decoded-content-length: 5\nx-amz-trailer: " name "\n"
static const struct row rows[] = {
    {AUTH_PAYLOAD_UNSIGNED, "", "hello", 5, S3_OK},
    {AUTH_PAYLOAD_UNSIGNED, "", "hello", 4, S3_INVALID_REQUEST},
    {AUTH_PAYLOAD_UNSIGNED, "", "hello", 6, S3_INCOMPLETE_BODY},
    {AUTH_PAYLOAD_UNSIGNED, "", "hello", UINT64_MAX, S3_MISSING_CONTENT_LENGTH},
    {AUTH_PAYLOAD_SHA256, "", "hello", 5, S3_OK},
    {AUTH_PAYLOAD_SHA256, "", "hellp", 5, S3_XAMZ_CONTENT_SHA256_MISMATCH},
    {AUTH_PAYLOAD_UNSIGNED, "Content-MD5: " HELLO_MD5, "hello", 5, S3_OK},
    {AUTH_PAYLOAD_UNSIGNED, "Content-MD5: " HELLO_MD5, "hellp", 5, S3_BAD_DIGEST},
    {AUTH_PAYLOAD_UNSIGNED, "Content-MD5: x", "hello", 5, S3_INVALID_DIGEST},
    {AUTH_PAYLOAD_UNSIGNED, "Content-MD5:", "hello", 5, S3_INVALID_DIGEST},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-checksum-crc32: " HELLO_CRC32, "hello", 5, S3_OK},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-checksum-crc32: " HELLO_CRC32, "hellp", 5, S3_BAD_DIGEST},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-checksum-crc32: x", "hello", 5, S3_INVALID_REQUEST},
    {AUTH_PAYLOAD_UNSIGNED, "X-Amz-Checksum-Sha1: " HELLO_SHA1, "hello", 5, S3_OK},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-checksum-xxhash64: AAAA", "hello", 5, S3_NOT_IMPLEMENTED},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-checksum-type: FULL_OBJECT", "hello", 5, S3_OK},
    {AUTH_PAYLOAD_UNSIGNED,
     "x-amz-checksum-crc32: " HELLO_CRC32 "\nx-amz-checksum-sha1: " HELLO_SHA1, "hello", 5,
     S3_INVALID_REQUEST},
    {AUTH_PAYLOAD_UNSIGNED,
     "x-amz-checksum-crc32: " HELLO_CRC32 "\nx-amz-sdk-checksum-algorithm: CRC32", "hello", 5,
     S3_OK},
    {AUTH_PAYLOAD_UNSIGNED,
     "x-amz-checksum-crc32: " HELLO_CRC32 "\nx-amz-sdk-checksum-algorithm: SHA1", "hello", 5,
     S3_INVALID_REQUEST},
    {AUTH_PAYLOAD_UNSIGNED, "x-amz-sdk-checksum-algorithm: CRC31", "hello", 5, S3_INVALID_REQUEST},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32"), FRAME("x-amz-checksum-crc32:" HELLO_CRC32),
     UINT64_MAX, S3_OK},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32"), FRAME("x-amz-checksum-crc32:AAAAAA=="),
     UINT64_MAX, S3_BAD_DIGEST},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32"), FRAME("x-amz-checksum-crc32:x"), UINT64_MAX,
     S3_INVALID_REQUEST},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32"), FRAME(""), UINT64_MAX, S3_MALFORMED_TRAILER},
    {TRAILER_MODE, TRAILED("x-amz-checksum-sha512"), "", UINT64_MAX, S3_NOT_IMPLEMENTED},
    {TRAILER_MODE, TRAILED("x-amz-checksum-foo"), "", UINT64_MAX, S3_INVALID_REQUEST},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32,x-amz-checksum-sha1"), "", UINT64_MAX,
     S3_INVALID_REQUEST},
    {TRAILER_MODE, TRAILED("x-amz-checksum-sha1") "x-amz-checksum-crc32: " HELLO_CRC32, "",
     UINT64_MAX, S3_INVALID_REQUEST},
    {TRAILER_MODE, "x-amz-trailer: x-amz-checksum-crc32", "", 5, S3_MISSING_CONTENT_LENGTH},
    {TRAILER_MODE, TRAILED("x-amz-checksum-crc32"), "5\r\nhel", UINT64_MAX, S3_INCOMPLETE_BODY},
};

static void each_digest_that_a_client_gives_is_compared(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct s3_error x = {0};
        struct body_result out;
        enum s3_code got = run(&rows[i], &x, &out);
        if (got != rows[i].want) print_error("row %zu: %s %s\n", i, s3_code_name(got), x.message);
        assert_int_equal(got, rows[i].want);
    }
}

static void the_result_is_the_etag_and_the_checksum_to_keep(void **state) {
    (void)state;
    struct s3_error x = {0};
    struct body_result out;
    char text[CHECKSUM_TEXT_MAX + 1];
    char hex[33];
    assert_int_equal(run(&rows[0], &x, &out), S3_OK);
    assert_string_equal(hex_encode(out.md5, 16, hex), "5d41402abc4b2a76b9719d911017c592");
    assert_int_equal(out.checksum.kind, CHECKSUM_CRC64NVME); /* none was asked for */
    assert_false(out.checksum_given);
    struct row named = rows[0];
    named.headers = "x-amz-sdk-checksum-algorithm: SHA1";
    assert_int_equal(run(&named, &x, &out), S3_OK);
    assert_string_equal(checksum_text(&out.checksum, text), HELLO_SHA1);
    named.headers = "x-amz-checksum-crc32: " HELLO_CRC32;
    assert_int_equal(run(&named, &x, &out), S3_OK);
    assert_true(out.checksum_given);
    assert_string_equal(checksum_text(&out.checksum, text), HELLO_CRC32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_digest_that_a_client_gives_is_compared),
        cmocka_unit_test(the_result_is_the_etag_and_the_checksum_to_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
