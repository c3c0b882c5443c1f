/* SPDX-License-Identifier: Apache-2.0 — complete_upload.c */
#include "s3gw/config/complete_upload.h"

#include <stdio.h>

#define PART_ELEMENTS_MAX 4 /* Part, PartNumber, ETag, one checksum */

static const struct xml_limits LIMITS = {.bytes_max = COMPLETE_BYTES_MAX,
                                         .elements_max = 1 + PART_ELEMENTS_MAX * COMPLETE_PARTS_MAX,
                                         .text_max = 1024};
static const struct element_rule RULES[] = {{"Part", 1, COMPLETE_PARTS_MAX, false},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {
    .root = "CompleteMultipartUpload", .rules = RULES, .limits = &LIMITS};
static const struct element_rule PART_RULES[] = {{"PartNumber", 1, 1, true},
                                                 {"ETag", 1, 1, true},
                                                 {"ChecksumCRC32", 0, 1, true},
                                                 {"ChecksumCRC32C", 0, 1, true},
                                                 {"ChecksumCRC64NVME", 0, 1, true},
                                                 {"ChecksumSHA1", 0, 1, true},
                                                 {"ChecksumSHA256", 0, 1, true},
                                                 {"ChecksumSHA512", 0, 1, true},
                                                 {"ChecksumMD5", 0, 1, true},
                                                 {"ChecksumXXHASH64", 0, 1, true},
                                                 {"ChecksumXXHASH3", 0, 1, true},
                                                 {"ChecksumXXHASH128", 0, 1, true},
                                                 {NULL, 0, 0, false}};

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int parse_etag(struct str s, struct complete_part *p, struct s3_error *x) {
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') s = str_sub(s, 1, s.n - 1);
    bool is_valid = s.n == 2 * sizeof p->md5;
    for (size_t i = 0; is_valid && i < sizeof p->md5; i++) {
        int high = hex_digit(s.p[2 * i]), low = hex_digit(s.p[2 * i + 1]);
        is_valid = high >= 0 && low >= 0;
        p->md5[i] = (uint8_t)(((unsigned)high << 4 | (unsigned)low) & 0xFF);
    }
    if (is_valid) return 0;
    char number[16];
    (void)s3_fail(x, S3_INVALID_PART);
    (void)snprintf(number, sizeof number, "%u", p->number);
    (void)s3_detail(x, "PartNumber", str_of(number));
    return s3_detail(x, "ETag", s);
}

static int parse_checksum(const struct element *part, struct complete_part *p, struct s3_error *x) {
    for (const struct element *e = part->first; e; e = e->next) {
        if (!str_starts(e->name, STR("Checksum"))) continue;
        if (p->has_checksum)
            return s3_fail_with(x, S3_INVALID_REQUEST, "part %u has more than one checksum",
                                p->number);
        size_t kind = 0;
        while (kind < CHECKSUM_KINDS &&
               !str_eq(e->name, str_of(checksum_element((enum checksum_kind)kind))))
            kind++;
        if (kind == CHECKSUM_KINDS)
            return s3_fail_with(x, S3_NOT_IMPLEMENTED, "%.*s is not offered", STR_ARG(e->name));
        if (checksum_parse((enum checksum_kind)kind, e->text, &p->checksum) < 0)
            return s3_fail_with(x, S3_INVALID_REQUEST, "Value for %.*s of part %u is invalid.",
                                STR_ARG(e->name), p->number);
        p->has_checksum = true;
    }
    return 0;
}

static int parse_part(const struct element *e, struct complete_part *p, struct s3_error *x) {
    uint64_t number = 0;
    if (element_check(e, PART_RULES, x) < 0) return -1;
    if (element_u64(e, "PartNumber", &number, x) < 0) return -1;
    if (number == 0 || number > COMPLETE_PARTS_MAX)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "Part number must be an integer between 1 and %d, inclusive",
                            COMPLETE_PARTS_MAX);
    p->number = (uint32_t)number;
    if (parse_etag(element_text(e, "ETag"), p, x) < 0) return -1;
    return parse_checksum(e, p, x);
}

int complete_upload_parse(struct arena *a, struct str document, struct complete_upload *out,
                          struct s3_error *x) {
    const struct element *root = NULL;
    uint32_t before = 0;
    struct complete_upload c = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    struct complete_part *parts = arena_array(a, element_count(root, "Part"), sizeof *parts);
    if (!parts) return element_no_memory(x);
    c.parts = parts;
    for (const struct element *e = root->first; e; e = e->next) {
        struct complete_part *p = &parts[c.count++];
        if (parse_part(e, p, x) < 0) return -1;
        if (p->number <= before) return s3_fail(x, S3_INVALID_PART_ORDER);
        before = p->number;
    }
    *out = c;
    return 0;
}
