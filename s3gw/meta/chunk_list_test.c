/* SPDX-License-Identifier: Apache-2.0 — chunk_list_test.c */
#include "s3gw/meta/chunk_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void decodes_to(struct str bytes, struct meta_chunks chunks) {
    struct chunk_list l = CHUNK_LIST(bytes);
    struct meta_chunk c;
    for (size_t i = 0; i < chunks.count; i++) {
        assert_int_equal(chunk_list_next(&l, &c), 1);
        assert_true(c.id == chunks.p[i].id && c.size_bytes == chunks.p[i].size_bytes);
    }
    assert_int_equal(chunk_list_next(&l, &c), 0);
}

static void a_run_of_chunks_takes_a_few_bytes(void **state) {
    (void)state;
    struct meta_chunk chunks[5120];
    AUTO(buf_done) struct buf b = BUF(CHUNK_LIST_BYTES_MAX);
    for (size_t i = 0; i < COUNT(chunks); i++)
        chunks[i] = (struct meta_chunk){1000000 + i, 1 << 20};
    assert_int_equal(chunk_list_encode((struct meta_chunks){chunks, COUNT(chunks)}, &b), 0);
    assert_true(b.n <= 12);
    decodes_to(buf_view(&b), (struct meta_chunks){chunks, COUNT(chunks)});
}

static void any_order_and_size_comes_back(void **state) {
    (void)state;
    const struct meta_chunk chunks[] = {
        {UINT64_MAX >> 1, UINT32_MAX}, {1, 1}, {3, 1}, {2, 1}, {3, 0}};
    AUTO(buf_done) struct buf b = BUF(CHUNK_LIST_BYTES_MAX);
    assert_int_equal(chunk_list_encode((struct meta_chunks){chunks, COUNT(chunks)}, &b), 0);
    decodes_to(buf_view(&b), (struct meta_chunks){chunks, COUNT(chunks)});
}

static void the_longest_list_fits_its_limit_and_one_more_is_refused(void **state) {
    (void)state;
    struct meta_chunk *chunks = xmalloc((META_CHUNKS_MAX + 1) * sizeof *chunks);
    AUTO(buf_done) struct buf b = BUF(2 * CHUNK_LIST_BYTES_MAX);
    for (size_t i = 0; i <= META_CHUNKS_MAX; i++)
        chunks[i] = (struct meta_chunk){i % 2 ? UINT64_MAX >> 1 : 1, UINT32_MAX};
    assert_int_equal(chunk_list_encode((struct meta_chunks){chunks, META_CHUNKS_MAX}, &b), 0);
    assert_true(b.n <= CHUNK_LIST_BYTES_MAX);
    decodes_to(buf_view(&b), (struct meta_chunks){chunks, META_CHUNKS_MAX});
    buf_clear(&b);
    assert_int_equal(chunk_list_encode((struct meta_chunks){chunks, META_CHUNKS_MAX + 1}, &b), 0);
    struct chunk_list l = CHUNK_LIST(buf_view(&b));
    struct meta_chunk c;
    int n;
    while ((n = chunk_list_next(&l, &c)) > 0) continue;
    assert_int_equal(n, -EINVAL);
    free(chunks);
    AUTO(buf_done) struct buf tiny = BUF(2);
    const struct meta_chunk one = {1 << 20, 1 << 20};
    assert_int_equal(chunk_list_encode((struct meta_chunks){&one, 1}, &tiny), -ENOSPC);
}

static void cut_and_overlong_bytes_are_refused(void **state) {
    (void)state;
    const struct str bad[] = {
        STR("\x02"), STR("\x02\x00"), STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x00\x01"),
        STR("\x02\x80\x40\x01") /* a run of 8193 */, STR("\x02\x00\xff\xff\xff\xff\x1f")};
    struct meta_chunk c;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct chunk_list l = CHUNK_LIST(bad[i]);
        assert_int_equal(chunk_list_next(&l, &c), -EINVAL);
    }
}

static void parts_come_back_with_their_offsets(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(PART_LIST_BYTES_MAX);
    assert_int_equal(part_list_add(&b, 0, 1, 5), 0);
    assert_int_equal(part_list_add(&b, 1, 7, UINT64_C(5) << 30), 0);
    assert_int_equal(part_list_add(&b, 7, META_PARTS_MAX, 0), 0);
    struct part_list l = PART_LIST(buf_view(&b));
    assert_int_equal(part_list_next(&l), 1);
    assert_int_equal(part_list_next(&l), 1);
    assert_true(l.number == 7 && l.offset == 5 && l.size_bytes == UINT64_C(5) << 30);
    assert_int_equal(part_list_next(&l), 1);
    assert_int_equal(l.number, META_PARTS_MAX);
    assert_int_equal(part_list_next(&l), 0);
    const struct str bad[] = {STR("\x00\x01"), STR("\x01"), STR("\x91\x4e\x01")};
    for (size_t i = 0; i < COUNT(bad); i++) {
        l = PART_LIST(bad[i]);
        assert_int_equal(part_list_next(&l), -EINVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_of_chunks_takes_a_few_bytes),
        cmocka_unit_test(any_order_and_size_comes_back),
        cmocka_unit_test(the_longest_list_fits_its_limit_and_one_more_is_refused),
        cmocka_unit_test(cut_and_overlong_bytes_are_refused),
        cmocka_unit_test(parts_come_back_with_their_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
