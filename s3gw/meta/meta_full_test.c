/* SPDX-License-Identifier: Apache-2.0 — meta_full_test.c: a disk that is really full. */
#include "s3gw/meta/meta_sample.h"

#include "base/clock.h"
#include "storage/unpack/scratch.h"

#include <errno.h>

#define B        STR("bucket")
#define DISK     "40m"
#define RESERVE  (UINT64_C(12) * 1024 * 1024)
#define LATER_MS 5000

static void open_on_disk(struct sample *s) {
    *s = (struct sample){.a = ARENA(64 << 20), .now_ms = 1000000};
    (void)close(scratch_dir(s->dir));
    const struct meta_options o = {.folder = s->dir, .readers = 1, .reserve_bytes = RESERVE};
    if (meta_open(&o, &s->m, &s->e) < 0) fail_msg("%s", s->e.msg);
    s->r = (struct meta_read){.m = s->m, .arena = &s->a};
    sample_bucket(s, B, META_UNVERSIONED);
}

static struct str name_of(char out[32], unsigned i) {
    (void)snprintf(out, 32, "key-%06u", i);
    return str_of(out);
}

/* Takes what is left of the disk but for a little. */
static void fill_with_ballast(const struct sample *s, size_t but_bytes) {
    AUTO_FREE char *path = xasprintf("%s/ballast", s->dir);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    static char block[64 * 1024];
    uint64_t size = 0;
    while (file_pwrite_all(fd, block, sizeof block, size) == 0) size += sizeof block;
    size = size > but_bytes ? size - but_bytes : 0;
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static void drop_ballast(const struct sample *s) {
    AUTO_FREE char *path = xasprintf("%s/ballast", s->dir);
    assert_int_equal(unlink(path), 0);
}

/* Puts until it is refused; how many there are then. */
static unsigned put_until_full(struct sample *s) {
    static char data[META_INLINE_BYTES_MAX];
    char key[32];
    for (unsigned i = 0;; i++) {
        struct meta_op op = sample_put(B, name_of(key, i), str_make(data, sizeof data));
        if (sample_run(s, &op) == META_OK) continue;
        assert_int_equal(op.why, META_FAILED);
        assert_int_equal(op.error.kind, ERR_LIMIT);
        return i;
    }
}

static void read_all(struct sample *s, unsigned from, unsigned count) {
    char key[32];
    struct meta_object o;
    for (unsigned i = from; i < count; i++) {
        assert_int_equal(sample_get(s, B, name_of(key, i), META_LATEST, &o), META_OK);
        arena_done(&s->a);
    }
    struct meta_page page;
    const struct meta_list_query q = {.bucket = B, .max = 1000};
    assert_int_equal(meta_list(&s->r, &q, &page, &s->e), 0);
    arena_done(&s->a);
}

static void delete_some(struct sample *s, unsigned from, unsigned to) {
    char key[32];
    for (unsigned i = from; i < to; i++) {
        struct meta_op op = sample_delete(B, name_of(key, i), META_LATEST);
        sample_ok(s, &op);
        assert_true(op.was_found);
    }
}

static void a_full_disk_refuses_writes_and_serves_the_rest_and_recovers(void **state) {
    (void)state;
    struct sample s;
    struct meta_stats stats;
    clock_fake(0, 0);
    open_on_disk(&s);
    fill_with_ballast(&s, 10 << 20);
    unsigned count = put_until_full(&s);
    assert_true(count > 100);
    struct meta_op more = sample_put(B, STR("more"), STR("x"));
    assert_int_equal(sample_run(&s, &more), META_FAILED);
    assert_non_null(strstr(s.e.msg, "full"));
    meta_stats(s.m, &stats);
    assert_true(stats.is_full && stats.refused_full >= 2);
    read_all(&s, 0, count);
    delete_some(&s, 0, count / 2);
    read_all(&s, count / 2, count);
    assert_int_equal(sample_run(&s, &more), META_FAILED); /* not before it has looked again */
    drop_ballast(&s);
    clock_fake_advance(LATER_MS);
    sample_ok(&s, &more);
    meta_stats(s.m, &stats);
    assert_false(stats.is_full);
    sample_check(&s);
    meta_close(s.m);
    arena_done(&s.a);
    clock_real();
}

static void everything_can_be_deleted_on_a_full_disk(void **state) {
    (void)state;
    struct sample s;
    clock_fake(0, 0);
    open_on_disk(&s);
    fill_with_ballast(&s, 6 << 20);
    unsigned count = put_until_full(&s);
    fill_with_ballast(&s, 0);
    delete_some(&s, 0, count);
    struct meta_bucket b;
    assert_int_equal(meta_bucket(&s.r, B, &b, &s.e), 0);
    assert_int_equal(b.versions, 0);
    sample_check(&s);
    meta_close(s.m);
    arena_done(&s.a);
    clock_real();
}

static void ids_for_chunks_are_refused_on_a_full_disk_and_come_again(void **state) {
    (void)state;
    struct sample s;
    uint64_t first;
    clock_fake(0, 0);
    open_on_disk(&s);
    fill_with_ballast(&s, 6 << 20);
    (void)put_until_full(&s);
    int r = 0;
    for (int i = 0; i < 100 && r == 0; i++) r = meta_chunk_ids(s.m, META_IDS_MAX, &first, &s.e);
    assert_int_equal(r, -1);
    assert_int_equal(s.e.kind, ERR_LIMIT);
    drop_ballast(&s);
    clock_fake_advance(LATER_MS);
    assert_int_equal(meta_chunk_ids(s.m, META_IDS_MAX, &first, &s.e), 0);
    meta_close(s.m);
    arena_done(&s.a);
    clock_real();
}

static void a_store_opens_on_a_full_disk(void **state) {
    (void)state;
    struct sample s;
    open_on_disk(&s);
    fill_with_ballast(&s, 6 << 20);
    unsigned count = put_until_full(&s);
    meta_close(s.m);
    fill_with_ballast(&s, 0);
    const struct meta_options o = {.folder = s.dir, .readers = 1, .reserve_bytes = RESERVE};
    if (meta_open(&o, &s.m, &s.e) < 0) fail_msg("%s", s.e.msg);
    s.r.m = s.m;
    read_all(&s, 0, count);
    delete_some(&s, 0, count);
    meta_close(s.m);
    arena_done(&s.a);
}

static int fresh_disk(void **state) {
    (void)state;
    scratch_mount(DISK);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_full_disk_refuses_writes_and_serves_the_rest_and_recovers,
                               fresh_disk),
        cmocka_unit_test_setup(everything_can_be_deleted_on_a_full_disk, fresh_disk),
        cmocka_unit_test_setup(ids_for_chunks_are_refused_on_a_full_disk_and_come_again,
                               fresh_disk),
        cmocka_unit_test_setup(a_store_opens_on_a_full_disk, fresh_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
