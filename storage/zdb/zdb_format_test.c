/* SPDX-License-Identifier: Apache-2.0 — zdb_format_test.c */
#include "storage/zdb/zdb_format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_checksum_is_crc32c_without_its_inversions(void **state) {
    (void)state;
    assert_int_equal(zdb_crc(0, "world", 5), 0x74d8f77bu);
    assert_int_equal(zdb_crc(0, "world2", 6), 0x39bd1e87u);
    assert_int_equal(zdb_crc(0, "123456789", 9), 0x58e3fa20u);
    assert_int_equal(zdb_crc(zdb_crc(0, "1234", 4), "56789", 5), 0x58e3fa20u);
    assert_int_equal(zdb_crc(0, NULL, 0), 0);
}

static void a_record_is_read_back_and_strictly(void **state) {
    (void)state;
    struct zdb_record r = {.key_bytes = 5, .payload_bytes = 6, .previous = 28, .crc = 9};
    struct zdb_record back;
    uint8_t b[ZDB_RECORD_BYTES];
    zdb_record_encode(&r, b);
    struct str in = str_make((char *)b, sizeof b);
    assert_int_equal(zdb_record_decode(in, &back), 0);
    assert_int_equal(back.previous, 28);
    for (size_t n = 0; n < sizeof b; n++)
        assert_int_equal(zdb_record_decode(str_sub(in, 0, n), &back), -ENODATA);
    r.payload_bytes = ZDB_PAYLOAD_BYTES_MAX + 1;
    zdb_record_encode(&r, b);
    assert_int_equal(zdb_record_decode(in, &back), -EBADMSG);
    r = (struct zdb_record){.key_bytes = 0};
    zdb_record_encode(&r, b);
    assert_int_equal(zdb_record_decode(in, &back), -EBADMSG);
    r = (struct zdb_record){.key_bytes = 1, .flags = 4};
    zdb_record_encode(&r, b);
    assert_int_equal(zdb_record_decode(in, &back), -EBADMSG);
}

static void an_entry_is_read_back_and_strictly(void **state) {
    (void)state;
    struct zdb_entry x = {.key_bytes = 1, .offset = 28, .parent_id = 3, .parent_offset = 29};
    struct zdb_entry back;
    uint8_t b[ZDB_ENTRY_BYTES];
    zdb_entry_encode(&x, b);
    struct str in = str_make((char *)b, sizeof b);
    assert_int_equal(zdb_entry_decode(in, &back), 0);
    assert_int_equal(back.parent_offset, 29);
    for (size_t n = 0; n < sizeof b; n++)
        assert_int_equal(zdb_entry_decode(str_sub(in, 0, n), &back), -ENODATA);
    x.offset = 27; /* within the header of the data file */
    zdb_entry_encode(&x, b);
    assert_int_equal(zdb_entry_decode(in, &back), -EBADMSG);
}

static void a_descriptor_is_read_back_and_strictly(void **state) {
    (void)state;
    struct zdb_descriptor d = {
        .name = STR("photos"), .password = STR("secret"), .max_bytes = 100000, .is_worm = true};
    struct zdb_descriptor back;
    uint8_t b[ZDB_DESCRIPTOR_BYTES_MAX];
    struct err e = {0};
    size_t n = zdb_descriptor_encode(&d, b);
    struct str in = str_make((char *)b, n);
    assert_int_equal(zdb_descriptor_decode(in, &back, &e), 0);
    assert_true(str_eq(back.password, STR("secret")) && back.is_worm && !back.is_public);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(zdb_descriptor_decode(str_sub(in, 0, i), &back, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
    b[14] = 8;
    assert_int_equal(zdb_descriptor_decode(in, &back, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    b[0] = 2;
    assert_int_equal(zdb_descriptor_decode(in, &back, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void headers_of_other_kinds_and_versions_are_refused(void **state) {
    (void)state;
    struct zdb_file_header h = {.file_id = 7, .mode = ZDB_SEQ};
    struct zdb_file_header back;
    struct err e = {0};
    uint8_t b[ZDB_INDEX_HEADER_BYTES];
    zdb_index_header_encode(&h, b);
    struct str in = str_make((char *)b, sizeof b);
    assert_int_equal(zdb_index_header_decode(in, &back, &e), 0);
    assert_true(back.file_id == 7 && back.mode == ZDB_SEQ);
    assert_int_equal(zdb_data_header_decode(in, &back, &e), -1);
    assert_int_equal(zdb_index_header_decode(str_sub(in, 0, 28), &back, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    b[28] = 2;
    assert_int_equal(zdb_index_header_decode(in, &back, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    b[4] = 3;
    assert_int_equal(zdb_index_header_decode(in, &back, &e), -1);
}

static void a_record_proves_itself_when_a_lost_sector_of_it_would_show(void **state) {
    (void)state;
    char zeros[ZDB_SECTOR_BYTES] = {0};
    char head[ZDB_RECORD_BYTES + 8] = {8};
    struct str h = str_make(head, sizeof head);
    uint32_t last_whole = ZDB_SECTOR_BYTES - (uint32_t)sizeof head;
    assert_true(zdb_record_is_evident(0, h, STR_NONE));
    assert_true(zdb_record_is_evident(last_whole, h, str_make(zeros, sizeof zeros)));
    assert_false(zdb_record_is_evident(last_whole + 1, h, str_make(zeros, sizeof zeros)));
    assert_false(zdb_record_is_evident(last_whole + 1, h, STR_NONE));
    assert_true(zdb_record_is_evident(last_whole + 1, h, STR("x")));
    zeros[sizeof zeros - 1] = 1; /* in the third sector: the second one reads as lost */
    assert_false(zdb_record_is_evident(last_whole + 1, h, str_make(zeros, sizeof zeros)));
    head[sizeof head - 1] = 1;
    assert_true(zdb_record_is_evident(last_whole + 1, h, STR_NONE));
    assert_false(zdb_record_is_evident(ZDB_SECTOR_BYTES - 1, str_make(zeros, 26), STR_NONE));
}

static void cursors_have_one_length(void **state) {
    (void)state;
    struct zdb_cursor c = {.key_bytes = 6, .file_id = 1, .payload_bytes = 6, .offset = 909};
    struct zdb_cursor back;
    uint8_t b[ZDB_CURSOR_BYTES];
    uint64_t id;
    uint32_t part;
    zdb_cursor_encode(&c, b);
    struct str in = str_make((char *)b, sizeof b);
    assert_int_equal(zdb_cursor_decode(in, &back), 0);
    assert_int_equal(back.offset, 909);
    assert_int_equal(zdb_cursor_decode(str_sub(in, 0, 16), &back), -EINVAL);
    assert_int_equal(zdb_history_decode(str_sub(in, 0, 7), &part, &part), -EINVAL);
    assert_int_equal(zdb_id_decode(str_sub(in, 0, 9), &id), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_crc32c_without_its_inversions),
        cmocka_unit_test(a_record_is_read_back_and_strictly),
        cmocka_unit_test(an_entry_is_read_back_and_strictly),
        cmocka_unit_test(a_descriptor_is_read_back_and_strictly),
        cmocka_unit_test(headers_of_other_kinds_and_versions_are_refused),
        cmocka_unit_test(a_record_proves_itself_when_a_lost_sector_of_it_would_show),
        cmocka_unit_test(cursors_have_one_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
