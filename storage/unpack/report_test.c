/* SPDX-License-Identifier: Apache-2.0 — report_test.c */
#include "storage/unpack/report.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int decode(struct str bytes, struct arena *a, struct report *out, struct err *e) {
    return report_decode(bytes, a, out, e);
}

static struct buf good_report(void) {
    struct buf opaques = BUF(REPORT_OPAQUE_BYTES_MAX);
    struct buf b = BUF(REPORT_BYTES_MAX + 4);
    struct report r = {.bytes = 1ULL << 40, .inodes = 77, .opaque_count = 2, .implied_count = 1};
    for (unsigned i = 0; i < DIGEST_BYTES; i++) r.diff_id.bytes[i] = (uint8_t)i;
    assert_int_equal(report_add_opaque(&opaques, STR("")), 0);
    assert_int_equal(report_add_opaque(&opaques, STR("var/lib")), 0);
    assert_int_equal(report_add_implied(&opaques, STR("tmp")), 0); /* the second list follows */
    assert_int_equal(report_encode(&r, buf_view(&opaques), &b), 0);
    buf_done(&opaques);
    return b;
}

static void a_report_survives_the_way(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = good_report();
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report r;
    struct err e = {0};
    assert_int_equal(decode(buf_view(&b), &a, &r, &e), 0);
    assert_int_equal(r.bytes, 1ULL << 40);
    assert_int_equal(r.inodes, 77);
    assert_int_equal(r.diff_id.bytes[31], 31);
    assert_int_equal(r.opaque_count, 2);
    assert_int_equal(r.opaques[0].n, 0);
    assert_true(str_eq(r.opaques[1], STR("var/lib")));
    assert_int_equal(r.implied_count, 1);
    assert_true(str_eq(r.implied[0], STR("tmp")));
}

static void bytes_behind_the_report_are_not_read(void **state) {
    (void)state; /* the file has a fixed size */
    AUTO(buf_done) struct buf b = good_report();
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report r;
    struct err e = {0};
    assert_int_equal(buf_append(&b, "\0\0\0junk", 7), 0);
    assert_int_equal(decode(buf_view(&b), &a, &r, &e), 0);
}

static void a_cut_report_is_refused_at_every_length(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = good_report();
    for (size_t n = 0; n < b.n; n++) {
        AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
        struct report r;
        struct err e = {0};
        assert_int_equal(decode(str_sub(buf_view(&b), 0, n), &a, &r, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void an_inner_length_that_lies_is_refused(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = good_report();
    for (int delta = -1; delta <= 1; delta += 2) {
        AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
        struct report r;
        struct err e = {0};
        b.p[53] = (char)(2 + delta); /* count of opaque folders */
        assert_int_equal(decode(buf_view(&b), &a, &r, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void a_path_that_is_not_clean_is_refused(void **state) {
    (void)state;
    static const char *const paths[] = {"../x", "/etc", "a//b", "a/", ".", ".wh.x", "a/../b"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(buf_done) struct buf opaques = BUF(REPORT_OPAQUE_BYTES_MAX);
        AUTO(buf_done) struct buf b = BUF(REPORT_BYTES_MAX);
        AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
        struct report in = {.opaque_count = 1};
        struct report r;
        struct err e = {0};
        assert_int_equal(report_add_opaque(&opaques, str_of(paths[i])), 0);
        assert_int_equal(report_encode(&in, buf_view(&opaques), &b), 0);
        assert_int_equal(decode(buf_view(&b), &a, &r, &e), -1);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void a_failure_keeps_its_kind_and_text(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(REPORT_BYTES_MAX);
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report r;
    struct err failure = {0};
    struct err e = {0};
    (void)err_set(&failure, ERR_LIMIT, "entry 'x': too much");
    assert_int_equal(report_encode_error(&failure, &b), 0);
    assert_int_equal(decode(buf_view(&b), &a, &r, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.msg, "entry 'x': too much");
}

static void an_unknown_kind_of_failure_is_refused(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(REPORT_BYTES_MAX);
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report r;
    struct err failure = {.kind = ERR_LIMIT, .msg = "x"};
    struct err e = {0};
    assert_int_equal(report_encode_error(&failure, &b), 0);
    b.p[5] = 99;
    assert_int_equal(decode(buf_view(&b), &a, &r, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
}

static void no_report_at_all_is_named_so(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(REPORT_ARENA_BYTES_MAX);
    struct report r;
    struct err e = {0};
    assert_int_equal(decode(STR("\0\0\0\0\0\0\0\0"), &a, &r, &e), -1);
    assert_int_equal(e.kind, ERR_INTERNAL);
    assert_non_null(strstr(e.msg, "without a report"));
}

static void the_list_of_opaque_folders_has_an_end(void **state) {
    (void)state;
    AUTO(buf_done) struct buf opaques = BUF(2 * REPORT_OPAQUE_BYTES_MAX);
    char path[4095];
    memset(path, 'x', sizeof path);
    int r = 0;
    size_t added = 0;
    while ((r = report_add_opaque(&opaques, str_make(path, sizeof path))) == 0) added++;
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(added, REPORT_OPAQUE_BYTES_MAX / (sizeof path + 2));
}

static void the_list_of_implied_folders_has_an_end(void **state) {
    (void)state;
    AUTO(buf_done) struct buf implied = BUF(2 * REPORT_IMPLIED_BYTES_MAX);
    char path[4095];
    memset(path, 'x', sizeof path);
    size_t added = 0;
    while (report_add_implied(&implied, str_make(path, sizeof path)) == 0) added++;
    assert_int_equal(added, REPORT_IMPLIED_BYTES_MAX / (sizeof path + 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_survives_the_way),
        cmocka_unit_test(bytes_behind_the_report_are_not_read),
        cmocka_unit_test(a_cut_report_is_refused_at_every_length),
        cmocka_unit_test(an_inner_length_that_lies_is_refused),
        cmocka_unit_test(a_path_that_is_not_clean_is_refused),
        cmocka_unit_test(a_failure_keeps_its_kind_and_text),
        cmocka_unit_test(an_unknown_kind_of_failure_is_refused),
        cmocka_unit_test(no_report_at_all_is_named_so),
        cmocka_unit_test(the_list_of_opaque_folders_has_an_end),
        cmocka_unit_test(the_list_of_implied_folders_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
