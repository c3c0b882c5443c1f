/* SPDX-License-Identifier: Apache-2.0 — zdb_journal_test.c: the journal of a compaction, whole and
 * damaged. */
#include "storage/zdb/zdb_journal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct buf sample(void) {
    struct buf b = BUF(ZDB_JOURNAL_BYTES_MAX);
    const struct zdb_journal j = {.file_id = 7, .has_index = true};
    const struct zdb_fix fixes[] = {{ZDB_FIX_PARENT, 8, 29, 7, 68},
                                    {ZDB_FIX_OFFSET, 8, 70, 28, 0},
                                    {ZDB_FIX_PREVIOUS_RECORD, 9, 28, 300, 0}};
    assert_int_equal(zdb_journal_begin(&b, &j), 0);
    for (size_t i = 0; i < COUNT(fixes); i++) assert_int_equal(zdb_journal_fix(&b, &fixes[i]), 0);
    assert_int_equal(zdb_journal_end(&b), 0);
    return b;
}

static void a_journal_is_read_as_it_was_written(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = sample();
    struct zdb_journal j;
    struct zdb_fix f;
    struct err e = {0};
    assert_int_equal(b.n, ZDB_JOURNAL_HEADER_BYTES + 3 * ZDB_JOURNAL_FIX_BYTES + 4);
    assert_int_equal(zdb_journal_decode(buf_view(&b), &j, &e), 0);
    assert_int_equal(j.file_id, 7);
    assert_true(j.has_index);
    assert_int_equal(j.fix_count, 3);
    zdb_journal_get(&j, 0, &f);
    assert_int_equal(f.kind, ZDB_FIX_PARENT);
    assert_int_equal(f.y, 68);
    zdb_journal_get(&j, 2, &f);
    assert_int_equal(f.file_id, 9);
    assert_int_equal(f.x, 300);
}

static void a_cut_or_changed_journal_is_refused(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = sample();
    struct zdb_journal j;
    struct err e = {0};
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(zdb_journal_decode(str_make(b.p, n), &j, &e), -1);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = (char)(b.p[i] ^ 0x10);
        assert_int_equal(zdb_journal_decode(buf_view(&b), &j, &e), -1);
        b.p[i] = (char)(b.p[i] ^ 0x10);
    }
    assert_int_equal(zdb_journal_decode(buf_view(&b), &j, &e), 0);
    b.p[4] = 2;
    assert_int_equal(zdb_journal_decode(buf_view(&b), &j, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void a_journal_with_too_many_fixes_is_refused(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = sample();
    struct zdb_journal j;
    struct err e = {0};
    const uint32_t many = ZDB_JOURNAL_FIXES_MAX + 1;
    memcpy(b.p + 16, &many, sizeof many);
    assert_int_equal(zdb_journal_decode(buf_view(&b), &j, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    struct buf small = BUF(ZDB_JOURNAL_HEADER_BYTES + ZDB_JOURNAL_FIX_BYTES);
    const struct zdb_fix fix = {ZDB_FIX_OFFSET, 0, 29, 28, 0};
    assert_int_equal(zdb_journal_begin(&small, &(struct zdb_journal){.file_id = 1}), 0);
    assert_int_equal(zdb_journal_fix(&small, &fix), 0);
    assert_true(zdb_journal_fix(&small, &fix) < 0);
    assert_true(zdb_journal_end(&small) < 0);
    buf_done(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_is_read_as_it_was_written),
        cmocka_unit_test(a_cut_or_changed_journal_is_refused),
        cmocka_unit_test(a_journal_with_too_many_fixes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
