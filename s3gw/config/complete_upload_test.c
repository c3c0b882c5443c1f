/* SPDX-License-Identifier: Apache-2.0 — complete_upload_test.c */
#include "s3gw/config/complete_upload.h"

#include "s3gw/config/config_expect_rig.h"

#define MD5 "0123456789abcdef0123456789ABCDEF"
#define PART(number, rest)                                                                         \
    "<Part><PartNumber>" number "</PartNumber><ETag>\"" MD5 "\"</ETag>" rest "</Part>"

static enum s3_code parse(struct arena *a, const char *body, struct complete_upload *out) {
    AUTO_FREE char *in = xasprintf("<CompleteMultipartUpload>%s</CompleteMultipartUpload>", body);
    struct s3_error x = {0};
    return complete_upload_parse(a, str_of(in), out, &x) < 0 ? x.code : S3_OK;
}

static void parts_come_with_etags_and_checksums(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(COMPLETE_ARENA_BYTES);
    struct complete_upload c;
    assert_int_equal(
        parse(&a,
              "<Part><ETag>" MD5 "</ETag><PartNumber>2</PartNumber></Part>" PART(
                  "3", "<ChecksumCRC32>AAAAAQ==</ChecksumCRC32>")
                  PART("4", "<ChecksumCRC32C>AAAAAQ==</ChecksumCRC32C>")
                      PART("5", "<ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME>")
                          PART("6", "<ChecksumSHA1>AAAAAAAAAAAAAAAAAAAAAAAAAAA=</ChecksumSHA1>")
                              PART("10000",
                                   "<ChecksumSHA256>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
                                   "</ChecksumSHA256>"),
              &c),
        S3_OK);
    assert_int_equal(c.count, 6);
    assert_int_equal(c.parts[0].number, 2);
    assert_int_equal(c.parts[0].md5[15], 0xEF);
    assert_false(c.parts[0].has_checksum);
    for (size_t i = 0; i < CHECKSUM_KINDS; i++) {
        assert_true(c.parts[i + 1].has_checksum);
        assert_int_equal(c.parts[i + 1].checksum.kind, i);
    }
    assert_int_equal(c.parts[1].checksum.bytes[3], 1);
}

static void each_mistake_has_its_code(void **state) {
    (void)state;
    static const struct {
        const char *body;
        enum s3_code code;
    } rows[] = {
        {"", S3_MALFORMED_XML},
        {"<Part><PartNumber>1</PartNumber></Part>", S3_MALFORMED_XML},
        {"<Part><ETag>" MD5 "</ETag></Part>", S3_MALFORMED_XML},
        {PART("x", ""), S3_MALFORMED_XML},
        {PART("1", "<Size>1</Size>"), S3_MALFORMED_XML},
        {PART("0", ""), S3_INVALID_ARGUMENT},
        {PART("10001", ""), S3_INVALID_ARGUMENT},
        {PART("2", "") PART("1", ""), S3_INVALID_PART_ORDER},
        {PART("1", "") PART("1", ""), S3_INVALID_PART_ORDER},
        {"<Part><PartNumber>1</PartNumber><ETag>garbage</ETag></Part>", S3_INVALID_PART},
        {"<Part><PartNumber>1</PartNumber><ETag>\"</ETag></Part>", S3_INVALID_PART},
        {PART("1", "<ChecksumCRC32>AAAA</ChecksumCRC32>"), S3_INVALID_REQUEST},
        {PART("1",
              "<ChecksumCRC32>AAAAAQ==</ChecksumCRC32><ChecksumCRC32C>AAAAAQ==</ChecksumCRC32C>"),
         S3_INVALID_REQUEST},
        {PART("1", "<ChecksumSHA512>AAAA</ChecksumSHA512>"), S3_NOT_IMPLEMENTED},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(COMPLETE_ARENA_BYTES);
        struct complete_upload c;
        assert_int_equal(parse(&a, rows[i].body, &c), rows[i].code);
    }
}

static char *parts(size_t n) {
    AUTO(buf_done) struct buf b = BUF(COMPLETE_BYTES_MAX);
    for (size_t i = 1; i <= n; i++)
        assert_int_equal(buf_fmt(&b,
                                 PART("%zu", "<ChecksumSHA256>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                             "AAAAAAAAAA=</ChecksumSHA256>"),
                                 i),
                         0);
    return xstrdup(buf_c(&b));
}

static void ten_thousand_parts_fit_and_no_more(void **state) {
    (void)state;
    AUTO_FREE char *fits = parts(COMPLETE_PARTS_MAX);
    AUTO_FREE char *over = parts(COMPLETE_PARTS_MAX + 1);
    AUTO(arena_done) struct arena a = ARENA(COMPLETE_ARENA_BYTES);
    struct complete_upload c;
    assert_int_equal(parse(&a, fits, &c), S3_OK);
    assert_int_equal(c.count, COMPLETE_PARTS_MAX);
    assert_int_equal(parse(&a, over, &c), S3_MALFORMED_XML);
    AUTO_FREE char *space = times(COMPLETE_BYTES_MAX, " ");
    assert_int_equal(parse(&a, space, &c), S3_MALFORMED_XML);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_with_etags_and_checksums),
        cmocka_unit_test(each_mistake_has_its_code),
        cmocka_unit_test(ten_thousand_parts_fit_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
