/* SPDX-License-Identifier: Apache-2.0 — meta_upload_test.c: multipart uploads, bodies, garbage. */
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_sample.h"

#define B STR("bucket")
#define K STR("key")

struct uploading {
    struct sample s;
    uint64_t id;
    struct meta_chunk chunks[64];
};

static void begin(struct uploading *u) {
    sample_open(&u->s);
    sample_bucket(&u->s, B, META_UNVERSIONED);
    struct meta_op op = {.verb = META_UPLOAD_BEGIN,
                         .bucket = B,
                         .key = K,
                         .begin = {.attributes = {.headers = STR("h"), .checksum_kind = 4},
                                   .initiator = STR("bob")}};
    sample_ok(&u->s, &op);
    u->id = op.upload;
}

static struct meta_op part(struct uploading *u, uint32_t number, uint32_t bytes) {
    return (struct meta_op){.verb = META_PART_PUT,
                            .bucket = B,
                            .key = K,
                            .part_put = {.upload = u->id,
                                         .number = number,
                                         .etag = sample_etag(number),
                                         .size_bytes = bytes,
                                         .checksums = STR("sum"),
                                         .chunks = sample_chunks(&u->s, u->chunks, bytes)}};
}

static void put_part(struct uploading *u, uint32_t number, uint32_t bytes) {
    struct meta_op op = part(u, number, bytes);
    sample_ok(&u->s, &op);
    assert_true(op.chunks_taken);
}

static struct meta_op complete(struct uploading *u, const struct meta_part_named *parts, size_t n) {
    return (struct meta_op){.verb = META_UPLOAD_COMPLETE,
                            .bucket = B,
                            .key = K,
                            .complete = {.upload = u->id,
                                         .parts = parts,
                                         .parts_count = n,
                                         .part_bytes_min = 3,
                                         .etag = {.parts = (uint32_t)n}}};
}

static size_t garbage_chunks(struct sample *s) {
    struct meta_garbage g;
    const struct meta_garbage_query q = {.before_ms = UINT32_MAX, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&s->r, &q, &g, &s->e), 0);
    size_t n = 0;
    for (size_t i = 0; i < g.count; i++) n += g.p[i].chunks.count;
    return n;
}

static void chosen_parts_become_an_object_and_the_others_garbage(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    put_part(&u, 1, 4);
    put_part(&u, 3, 3);
    put_part(&u, 5, 9); /* left out */
    put_part(&u, 7, 2);
    put_part(&u, 3, 5); /* again: the last one counts */
    const struct meta_part_named parts[] = {{1, sample_etag(1), STR("sum")},
                                            {3, sample_etag(3), STR_NONE},
                                            {7, sample_etag(7), STR_NONE}};
    struct meta_op op = complete(&u, parts, 3);
    sample_ok(&u.s, &op);
    assert_int_equal(op.size_bytes, 11);
    assert_int_equal(garbage_chunks(&u.s), 3 + 9);
    struct meta_object o;
    assert_int_equal(sample_get(&u.s, B, K, META_LATEST, &o), META_OK);
    assert_int_equal(o.size_bytes, 11);
    assert_int_equal(o.parts, 3);
    assert_int_equal(o.attributes.checksum_kind, 4);
    assert_true(str_eq(o.attributes.headers, STR("h")));
    struct meta_parts list;
    const struct meta_parts_query q = {.id = o.body, .after = 1, .max = 10};
    assert_int_equal(meta_parts(&u.s.r, &q, &list, &u.s.e), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.p[1].number, 7);
    assert_int_equal(list.p[1].offset, 9);
    struct meta_bucket b;
    assert_int_equal(meta_bucket(&u.s.r, B, &b, &u.s.e), 0);
    assert_int_equal(b.upload_bytes + b.uploads, 0);
    assert_int_equal(b.bytes, 11);
    sample_check(&u.s);
    sample_close(&u.s);
}

static void chunks_of_a_body_are_found_from_any_offset(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    for (uint32_t number = 1; number <= 5; number++) put_part(&u, number, 4);
    struct meta_part_named parts[5];
    for (uint32_t i = 0; i < 5; i++)
        parts[i] = (struct meta_part_named){i + 1, sample_etag(i + 1), STR_NONE};
    struct meta_op op = complete(&u, parts, 5);
    sample_ok(&u.s, &op);
    struct meta_object o;
    assert_int_equal(sample_get(&u.s, B, K, META_LATEST, &o), META_OK);
    for (uint64_t offset = 0; offset <= 20; offset++)
        for (size_t max = 1; max < 8; max++) {
            struct meta_span_chunks got;
            const struct meta_span span = {o.body, offset, max};
            assert_int_equal(meta_body_chunks(&u.s.r, &span, &got, &u.s.e), 0);
            size_t left = (size_t)(20 - offset);
            assert_int_equal(got.count, left < max ? left : max);
            if (got.count) assert_int_equal(got.first_offset, offset);
        }
    struct meta_op del = sample_delete(B, K, META_LATEST);
    sample_ok(&u.s, &del);
    struct meta_span_chunks got;
    const struct meta_span span = {o.body, 0, 1};
    assert_int_equal(meta_body_chunks(&u.s.r, &span, &got, &u.s.e), -1);
    assert_int_equal(u.s.r.why, META_NO_VERSION);
    sample_close(&u.s);
}

static void a_list_that_is_wrong_is_refused_with_the_part_and_may_be_said_again(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    put_part(&u, 1, 4);
    put_part(&u, 2, 2);
    put_part(&u, 3, 4);
    struct meta_part_named parts[] = {{2, sample_etag(2), STR_NONE},
                                      {1, sample_etag(1), STR_NONE},
                                      {3, sample_etag(3), STR_NONE}};
    struct meta_op op = complete(&u, parts, 3);
    assert_int_equal(sample_run(&u.s, &op), META_PART_ORDER);
    assert_int_equal(op.part, 1);
    parts[0].number = 1;
    parts[1].number = 2;
    assert_int_equal(sample_run(&u.s, &op), META_PART_INVALID); /* the etag of another */
    assert_int_equal(op.part, 1);
    parts[0] = (struct meta_part_named){1, sample_etag(1), STR_NONE};
    parts[1] = (struct meta_part_named){2, sample_etag(2), STR_NONE};
    assert_int_equal(sample_run(&u.s, &op), META_PART_SMALL);
    assert_int_equal(op.part, 2);
    parts[1] = (struct meta_part_named){4, sample_etag(4), STR_NONE};
    op.complete.parts_count = 2;
    assert_int_equal(sample_run(&u.s, &op), META_PART_INVALID);
    assert_int_equal(op.part, 4);
    parts[1] = (struct meta_part_named){2, sample_etag(2), STR("other")};
    assert_int_equal(sample_run(&u.s, &op), META_PART_INVALID);
    parts[1].checksums = STR_NONE;
    const uint64_t announced = 7;
    op.complete.size_announced = &announced;
    assert_int_equal(sample_run(&u.s, &op), META_WRONG_SIZE);
    op.complete.size_announced = NULL;
    op.complete.conditions.one_must_exist = true;
    assert_int_equal(sample_run(&u.s, &op), META_NO_KEY);
    op.complete.conditions.one_must_exist = false;
    sample_check(&u.s);
    sample_ok(&u.s, &op);
    uint64_t version = op.new_version;
    sample_ok(&u.s, &op); /* the answer was lost: the same again */
    assert_int_equal(op.new_version, version);
    struct meta_op put = sample_put(B, K, STR("x"));
    sample_ok(&u.s, &put);
    assert_int_equal(sample_run(&u.s, &op), META_NO_UPLOAD);
    sample_check(&u.s);
    sample_close(&u.s);
}

static void an_aborted_uploads_chunks_are_handed_out_until_reclaimed(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    for (uint32_t number = 1; number <= 4; number++) put_part(&u, number, 3);
    struct meta_op stop = {.verb = META_UPLOAD_ABORT, .bucket = B, .key = K, .abort = u.id};
    sample_ok(&u.s, &stop);
    assert_int_equal(sample_run(&u.s, &stop), META_NO_UPLOAD);
    struct meta_op late = part(&u, 9, 2);
    assert_int_equal(sample_run(&u.s, &late), META_NO_UPLOAD);
    assert_true(late.chunks_taken); /* refused, and yet not lost */
    assert_int_equal(garbage_chunks(&u.s), 12 + 2);
    struct meta_garbage g;
    const struct meta_garbage_query all = {.before_ms = UINT32_MAX, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&u.s.r, &all, &g, &u.s.e), 0);
    assert_int_equal(g.count, 5);
    const struct meta_garbage_query rest = {
        .before_ms = UINT32_MAX, .after = g.p[1].token, .chunks_max = META_CHUNKS_MAX};
    struct meta_garbage more;
    assert_int_equal(meta_garbage(&u.s.r, &rest, &more, &u.s.e), 0);
    assert_int_equal(more.count, 3);
    const struct meta_garbage_query young = {.before_ms = 1, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&u.s.r, &young, &more, &u.s.e), 0);
    assert_int_equal(more.count, 0);
    for (size_t i = 0; i < g.count; i++) {
        struct meta_op gone = {.verb = META_RECLAIMED, .reclaimed = {&g.p[i].token, 1}};
        sample_ok(&u.s, &gone);
        sample_ok(&u.s, &gone); /* twice is no error */
        sample_check(&u.s);
    }
    assert_int_equal(garbage_chunks(&u.s), 0);
    sample_close(&u.s);
}

static void a_chunk_belongs_to_one_object_only(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    struct meta_chunks chunks = sample_chunks(&u.s, u.chunks, 2);
    struct meta_op put = sample_put_chunks(B, K, chunks),
                   again = sample_put_chunks(B, STR("l"), chunks);
    sample_ok(&u.s, &put);
    assert_int_equal(sample_run(&u.s, &again), META_INVALID);
    assert_false(again.chunks_taken);
    struct meta_chunk twice[2] = {{u.chunks[0].id + 50, 1}, {u.chunks[0].id + 50, 1}};
    again = sample_put_chunks(B, STR("l"), (struct meta_chunks){twice, 2});
    assert_int_equal(sample_run(&u.s, &again), META_INVALID);
    struct meta_op refused = sample_put_chunks(B, K, sample_chunks(&u.s, u.chunks, 2));
    refused.put.conditions.none_may_exist = true;
    assert_int_equal(sample_run(&u.s, &refused), META_PRECONDITION);
    assert_true(refused.chunks_taken);
    assert_int_equal(garbage_chunks(&u.s), 2);
    struct meta_op discard = {.verb = META_DISCARD, .discard = sample_chunks(&u.s, u.chunks, 5)};
    sample_ok(&u.s, &discard);
    assert_int_equal(sample_run(&u.s, &discard), META_INVALID);
    assert_int_equal(garbage_chunks(&u.s), 7);
    sample_check(&u.s);
    sample_close(&u.s);
}

static void chunks_of_a_dead_writer_are_garbage_after_opening(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    (void)sample_chunks(&u.s, u.chunks, 5);
    sample_reopen(&u.s);
    assert_true(garbage_chunks(&u.s) >= 5);
    struct meta_chunks fresh = sample_chunks(&u.s, u.chunks + 8, 1);
    assert_true(fresh.p[0].id > u.chunks[4].id);
    sample_check(&u.s);
    sample_close(&u.s);
}

static void an_uploads_attributes_and_parts_are_read_before_it_is_completed(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    put_part(&u, 2, 4);
    struct meta_upload upload;
    const struct meta_name name = {B, K, u.id};
    assert_int_equal(meta_upload(&u.s.r, &name, &upload, &u.s.e), 0);
    assert_true(str_eq(upload.initiator, STR("bob")));
    assert_true(str_eq(upload.attributes.headers, STR("h")));
    struct meta_parts list;
    struct meta_parts_query q = {.bucket = B, .key = K, .id = u.id, .max = 10};
    assert_int_equal(meta_parts(&u.s.r, &q, &list, &u.s.e), 0);
    assert_int_equal(list.count, 1);
    assert_true(str_eq(list.p[0].checksums, STR("sum")));
    q.id++;
    assert_int_equal(meta_parts(&u.s.r, &q, &list, &u.s.e), -1);
    assert_int_equal(u.s.r.why, META_NO_UPLOAD);
    sample_close(&u.s);
}

static void ten_thousand_parts_are_completed_and_deleted_by_one_row(void **state) {
    (void)state;
    struct uploading u;
    begin(&u);
    struct meta_part_named *parts = xmalloc(META_PARTS_MAX * sizeof *parts);
    for (uint32_t i = 0; i < META_PARTS_MAX; i++) {
        struct meta_op op = part(&u, i + 1, 1);
        sample_ok(&u.s, &op);
        parts[i] = (struct meta_part_named){i + 1, sample_etag(i + 1), STR_NONE};
        if (i % 4000 == 0) arena_done(&u.s.a);
    }
    struct meta_op op = complete(&u, parts, META_PARTS_MAX);
    op.complete.part_bytes_min = 1;
    sample_ok(&u.s, &op);
    op.complete.parts_count++;
    assert_int_equal(sample_run(&u.s, &op), META_INVALID);
    struct meta_object o;
    assert_int_equal(sample_get(&u.s, B, K, META_LATEST, &o), META_OK);
    assert_int_equal(o.parts, META_PARTS_MAX);
    struct meta_op del = sample_delete(B, K, META_LATEST);
    sample_ok(&u.s, &del);
    struct meta_garbage g;
    const struct meta_garbage_query q = {.before_ms = UINT32_MAX, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&u.s.r, &q, &g, &u.s.e), 0);
    assert_int_equal(g.count, META_TOKENS_MAX); /* a page */
    assert_true(g.truncated);
    sample_check(&u.s);
    free(parts);
    sample_close(&u.s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_parts_become_an_object_and_the_others_garbage),
        cmocka_unit_test(chunks_of_a_body_are_found_from_any_offset),
        cmocka_unit_test(a_list_that_is_wrong_is_refused_with_the_part_and_may_be_said_again),
        cmocka_unit_test(an_aborted_uploads_chunks_are_handed_out_until_reclaimed),
        cmocka_unit_test(a_chunk_belongs_to_one_object_only),
        cmocka_unit_test(chunks_of_a_dead_writer_are_garbage_after_opening),
        cmocka_unit_test(an_uploads_attributes_and_parts_are_read_before_it_is_completed),
        cmocka_unit_test(ten_thousand_parts_are_completed_and_deleted_by_one_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
