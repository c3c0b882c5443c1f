/* SPDX-License-Identifier: Apache-2.0 — zdb_disk_test.c: a namespace at the real end of a small
 * ext4 on a loop device. */
#include "storage/zdb/zdb_disk.h"
#include "storage/zdb/zdb_reserve.h"

#include <pthread.h>

#define MIB            ((uint64_t)1 << 20)
#define DISK_BYTES     (24 * MIB)
#define RESERVE_BYTES  (2 * MIB)
#define FILE_BYTES     (4 * MIB)
#define KEYS_MAX       20000
#define KEYS_FIRST     600  /* before another program takes the rest */
#define SHARED_KEYS    2000 /* half in each of two namespaces */
#define SHARED_THREADS 4
#define VALUE_MAX      ((size_t)64 << 10)
#define TAKE_BYTES     (64 << 10)
#define BALLAST        DISK_PATH "/ballast"
#define MESSAGE        "No space left on this namespace"

struct full {
    struct disk disk;
    struct sample s;
    struct zdb_reserve *reserve;
    size_t sizes[KEYS_MAX]; /* of the values; SIZE_MAX: deleted */
    uint64_t ids[KEYS_MAX];
    size_t count;
};

static void open_both(struct full *f) {
    struct err e = {0};
    if (zdb_reserve_open(DISK_PATH, RESERVE_BYTES, &f->reserve, &e) < 0)
        fail_msg("reserve: %s", e.msg);
    f->s.options.reserve = f->reserve;
    sample_open(&f->s);
}

static void close_both(struct full *f) {
    sample_close(&f->s);
    zdb_reserve_close(f->reserve);
}

static struct full *full_new(enum zdb_mode mode, enum zdb_durability durability) {
    struct full *f = xnew(struct full);
    disk_make(&f->disk, DISK_BYTES);
    disk_sample(&f->s, mode);
    f->s.options.durability = durability;
    f->s.options.interval_ms = 3600u * 1000; /* only when it is asked for */
    f->s.options.data_file_bytes = FILE_BYTES;
    open_both(f);
    return f;
}

static void full_free(struct full *f) {
    close_both(f);
    disk_done(&f->disk);
    free(f);
}

static struct str key_of(const struct full *f, size_t i, char out[24]) {
    if (f->s.options.mode == ZDB_USER)
        return str_make(out, (size_t)snprintf(out, 24, "key-%zu", i));
    zdb_id_encode(f->ids[i], (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

static struct str value_of(size_t i, size_t n, char out[VALUE_MAX]) {
    for (size_t k = 0; k < n; k++) out[k] = (char)(i * 31 + k * 7 + (k >> 8));
    return str_make(out, n);
}

/* A new key of the size, durable; -1 and the error when it was refused. */
static int put(struct full *f, size_t n, struct err *e) {
    char name[24];
    char value[VALUE_MAX];
    struct zdb_put_result r;
    bool is_seq = f->s.options.mode == ZDB_SEQ;
    struct zdb_put p = {is_seq ? STR_NONE : key_of(f, f->count, name), value_of(f->count, n, value),
                        SAMPLE_TIME_S};
    assert_true(f->count < KEYS_MAX);
    if (zdb_put(f->s.ns, &p, &r, e) < 0) return -1;
    if (zdb_commit(f->s.ns, r.ticket, e) < 0) return -1;
    f->ids[f->count] = r.id;
    f->sizes[f->count++] = n;
    return 0;
}

static void put_refused(struct full *f) {
    struct err e = {0};
    assert_int_equal(put(f, 1, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.msg, MESSAGE);
}

static int delete (struct full *f, size_t i, struct err *e) {
    char name[24];
    uint64_t ticket;
    if (zdb_delete(f->s.ns, key_of(f, i, name), SAMPLE_TIME_S, &ticket, e) < 0) return -1;
    if (zdb_commit(f->s.ns, ticket, e) < 0) return -1;
    f->sizes[i] = SIZE_MAX;
    return 0;
}

static void delete_some(struct full *f, size_t from, size_t to) {
    struct err e = {0};
    for (size_t i = from; i < to; i++)
        if (delete (f, i, &e) < 0) fail_msg("delete %zu of %zu: %s", i, f->count, e.msg);
}

static void expect_all(struct full *f) {
    char name[24];
    char value[VALUE_MAX];
    for (size_t i = 0; i < f->count; i++) {
        if (f->sizes[i] == SIZE_MAX)
            sample_expect_error(&f->s, key_of(f, i, name), ERR_NOT_FOUND);
        else
            sample_expect(&f->s, key_of(f, i, name), value_of(i, f->sizes[i], value));
    }
}

/* Smaller and smaller values, until not one byte more is accepted. */
static void fill_by_puts(struct full *f) {
    struct err e = {0};
    for (size_t n = VALUE_MAX; n > 0; n /= 16)
        while (put(f, n, &e) == 0) err_clear(&e);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.msg, MESSAGE);
}

/* Another program takes what is left, or so much. Returns what it got. */
static uint64_t take(uint64_t bytes_max) {
    char bytes[TAKE_BYTES] = {1};
    uint64_t taken = 0;
    ssize_t n = 1;
    AUTO_CLOSE int fd = open(BALLAST, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (uint64_t before = UINT64_MAX; taken != before;) { /* a sync frees what was only planned */
        before = taken;
        while (taken < bytes_max && (n = write(fd, bytes, sizeof bytes)) > 0) taken += (uint64_t)n;
        if (n < 0) assert_int_equal(errno, ENOSPC);
        assert_int_equal(fsync(fd), 0);
    }
    return taken;
}

/* And gives it back. */
static void give_back(void) {
    assert_int_equal(unlink(BALLAST), 0);
    sync(); /* freed blocks count when the journal has committed */
}

static void expect_room(struct full *f) {
    struct err e = {0};
    assert_true(zdb_reserve_refill(f->reserve));
    for (unsigned i = 0; i < 20; i++)
        if (put(f, 4096, &e) < 0) fail_msg("after there was room: %s", e.msg);
}

static void run_full(enum zdb_mode mode, enum zdb_durability durability) {
    struct full *f = full_new(mode, durability);
    struct zdb_reserve_info info;
    struct err e = {0};
    (void)take(6 * MIB);
    fill_by_puts(f);
    expect_all(f);
    delete_some(f, 0, f->count - 5);
    assert_int_equal(zdb_sync(f->s.ns, &e), 0);
    zdb_reserve_info(f->reserve, &info);
    assert_true(info.releases > 0);
    put_refused(f);
    expect_all(f);
    close_both(f); /* and a restart at the disk's end */
    open_both(f);
    expect_all(f);
    put_refused(f);
    delete_some(f, f->count - 5, f->count - 3);
    give_back();
    expect_room(f);
    close_both(f);
    open_both(f);
    expect_all(f);
    full_free(f);
}

static void at_the_end_puts_are_refused_deletes_and_reads_go_on(void **state) {
    (void)state;
    run_full(ZDB_USER, ZDB_ALWAYS);
    run_full(ZDB_SEQ, ZDB_ALWAYS);
}

static void so_they_do_when_the_disk_is_synced_at_times_or_never(void **state) {
    (void)state;
    run_full(ZDB_USER, ZDB_INTERVAL);
    run_full(ZDB_SEQ, ZDB_INTERVAL);
    run_full(ZDB_USER, ZDB_NEVER);
    run_full(ZDB_SEQ, ZDB_NEVER);
}

static void another_program_that_takes_the_rest_stops_no_delete(void **state) {
    (void)state;
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct zdb_settings d = {.versions_max = ZDB_KEEP_ALL, .durability = ZDB_ALWAYS};
    d.max_bytes = 1 << 30;
    d.password = STR("at the end");
    struct zdb_info info;
    struct err e = {0};
    for (unsigned i = 0; i < KEYS_FIRST; i++) assert_int_equal(put(f, 1000, &e), 0);
    assert_true(take(UINT64_MAX) > MIB);
    while (put(f, VALUE_MAX, &e) == 0) assert_true(f->count < KEYS_FIRST + 64); /* was set aside */
    assert_string_equal(e.msg, MESSAGE);
    delete_some(f, 0, KEYS_FIRST / 2);
    if (zdb_configure(f->s.ns, &d, &e) < 0) fail_msg("settings: %s", e.msg);
    if (zdb_jump(f->s.ns, &e) < 0) fail_msg("new files: %s", e.msg); /* deletions may need them */
    expect_all(f);
    delete_some(f, KEYS_FIRST / 2, KEYS_FIRST - 1);
    put_refused(f);
    give_back();
    expect_room(f);
    close_both(f);
    open_both(f);
    zdb_info(f->s.ns, &info);
    assert_int_equal(info.max_bytes, 1 << 30);
    expect_all(f);
    full_free(f);
}

static void a_torn_end_is_cut_at_the_disks_end_too(void **state) {
    (void)state;
    static const char torn[TAKE_BYTES];
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct zdb_reserve_info info;
    struct err e = {0};
    for (unsigned i = 0; i < 10; i++) assert_int_equal(put(f, 1000, &e), 0);
    close_both(f);
    AUTO_CLOSE int fd = open(DISK_PATH "/index/i0", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(file_write_all(fd, torn, sizeof torn), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(STEAL_FD(fd)), 0);
    (void)take(UINT64_MAX);
    open_both(f);
    assert_non_null(strstr(f->s.report, "kept in 'i0.cut'"));
    zdb_reserve_info(f->reserve, &info);
    assert_true(info.releases > 0);
    expect_all(f);
    give_back();
    expect_room(f);
    full_free(f);
}

static void when_the_reserve_is_eaten_up_reads_go_on_and_the_error_says_so(void **state) {
    (void)state;
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct zdb_reserve_info info;
    struct err e = {0};
    size_t i = 0;
    sample_close(&f->s);
    f->s.options.buffer_bytes = 0; /* what is set aside for writes that wait would do for all */
    sample_open(&f->s);
    while (f->count < 1000) assert_int_equal(put(f, 16, &e), 0);
    do { /* each deletion needs a block; what is released beyond it the other program takes */
        (void)!zdb_jump(f->s.ns, &e);
        (void)take(UINT64_MAX);
        err_clear(&e);
    } while (i < f->count && delete (f, i++, &e) == 0);
    assert_int_equal(e.kind, ERR_LIMIT);
    zdb_reserve_info(f->reserve, &info);
    assert_int_equal(info.held, 0);
    assert_true(info.releases > 2);
    expect_all(f); /* the last is undone: it is still there */
    put_refused(f);
    give_back();
    expect_room(f);
    delete_some(f, i, i + 20);
    expect_all(f);
    close_both(f);
    open_both(f);
    expect_all(f);
    full_free(f);
}

static void without_a_reserve_a_full_disk_refuses_and_recovers_as_well(void **state) {
    (void)state;
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct err e = {0};
    sample_close(&f->s);
    f->s.options.reserve = NULL;
    sample_open(&f->s);
    for (unsigned i = 0; i < KEYS_FIRST; i++) assert_int_equal(put(f, 1000, &e), 0);
    (void)take(UINT64_MAX);
    fill_by_puts(f);
    expect_all(f);
    give_back();
    for (unsigned i = 0; i < 20; i++) assert_int_equal(put(f, 4096, &e), 0);
    delete_some(f, 0, KEYS_FIRST);
    expect_all(f);
    f->s.options.reserve = f->reserve;
    full_free(f);
}

/* What ext4 does by itself when it meets damage. */
static void a_disk_that_went_read_only_still_serves_reads(void **state) {
    (void)state;
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct err e = {0};
    for (unsigned i = 0; i < 50; i++) assert_int_equal(put(f, 1000, &e), 0);
    delete_some(f, 0, 10);
    assert_int_equal(mount(f->disk.device, DISK_PATH, "ext4", MS_REMOUNT, "abort"), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(f, 1000, &e), -1);
        assert_int_not_equal(e.kind, ERR_LIMIT);
        assert_int_equal(delete (f, 20, &e), -1);
    }
    expect_all(f);
    (void)!zdb_close(f->s.ns, &e);
    zdb_reserve_close(f->reserve);
    disk_restart(&f->disk);
    open_both(f);
    expect_all(f);
    full_free(f);
}

/* Deleting returns nothing by itself: compaction does, out of the reserve, and then puts work. */
static void compact_at_the_end(enum zdb_mode mode) {
    struct full *f = full_new(mode, ZDB_ALWAYS);
    struct zdb_compact_options all = {.dead_percent_min = 0};
    struct zdb_compact_result result;
    struct zdb_reserve_info before;
    struct zdb_reserve_info after;
    struct err e = {0};
    fill_by_puts(f);
    for (size_t i = 0; i < f->count; i++)
        if (i % 8 > 0) delete_some(f, i, i + 1);
    put_refused(f);
    (void)take(UINT64_MAX); /* not one block is left but in the reserve */
    zdb_reserve_info(f->reserve, &before);
    if (zdb_compact(f->s.ns, &all, &result, &e) < 0) fail_msg("compact: %s", e.msg);
    assert_true(result.returned_bytes > DISK_BYTES / 3);
    expect_all(f);
    zdb_reserve_info(f->reserve, &after);
    assert_true(after.releases > before.releases);
    sync();
    expect_room(f); /* without a restart, and although the other program keeps what it took */
    zdb_reserve_info(f->reserve, &after);
    assert_int_equal(after.held, RESERVE_BYTES);
    expect_all(f);
    close_both(f);
    open_both(f);
    expect_all(f);
    full_free(f);
}

static void compaction_makes_room_on_a_full_disk_out_of_the_reserve(void **state) {
    (void)state;
    compact_at_the_end(ZDB_USER);
    compact_at_the_end(ZDB_SEQ);
}

/* ---- two namespaces, several threads, one reserve ---- */

struct deleter {
    struct sample *s;
    unsigned from, to;
    unsigned failed;
};

static void *delete_all(void *arg) {
    struct deleter *d = arg;
    char name[24];
    uint64_t ticket;
    struct err e = {0};
    for (unsigned i = d->from; i < d->to; i++) {
        struct str key = str_make(name, (size_t)snprintf(name, sizeof name, "shared-%u", i));
        struct zdb_put p = {key, STR("refused or not, never half"), SAMPLE_TIME_S};
        struct zdb_put_result r;
        (void)!zdb_put(d->s->ns, &p, &r, &e);
        if (zdb_delete(d->s->ns, key, SAMPLE_TIME_S, &ticket, &e) < 0 ||
            zdb_commit(d->s->ns, ticket, &e) < 0)
            d->failed++;
    }
    return NULL;
}

static void namespaces_share_the_reserve_from_several_threads(void **state) {
    (void)state;
    struct full *f = full_new(ZDB_USER, ZDB_ALWAYS);
    struct sample other;
    struct zdb_reserve_info info;
    struct err e = {0};
    char name[24];
    pthread_t threads[SHARED_THREADS];
    struct deleter deleters[SHARED_THREADS];
    disk_sample(&other, ZDB_USER);
    (void)snprintf(other.data, sizeof other.data, DISK_PATH "/other");
    (void)snprintf(other.index, sizeof other.index, DISK_PATH "/other");
    other.options.reserve = f->reserve;
    sample_open(&other);
    for (unsigned i = 0; i < SHARED_KEYS; i++) {
        struct sample *s = i % 2 ? &other : &f->s;
        (void)sample_put(s, str_make(name, (size_t)snprintf(name, sizeof name, "shared-%u", i / 2)),
                         STR("a value"));
    }
    assert_int_equal(zdb_sync(f->s.ns, &e), 0);
    assert_int_equal(zdb_sync(other.ns, &e), 0);
    (void)take(UINT64_MAX);
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        unsigned part = SHARED_KEYS / SHARED_THREADS;
        deleters[i] = (struct deleter){i % 2 ? &other : &f->s, i / 2 * part, (i / 2 + 1) * part, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, delete_all, &deleters[i]), 0);
    }
    for (unsigned i = 0; i < SHARED_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(deleters[i].failed, 0);
    }
    zdb_reserve_info(f->reserve, &info);
    assert_true(info.releases > 0 && info.held > 0);
    put_refused(f);
    give_back();
    expect_room(f);
    sample_close(&other);
    full_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_end_puts_are_refused_deletes_and_reads_go_on),
        cmocka_unit_test(so_they_do_when_the_disk_is_synced_at_times_or_never),
        cmocka_unit_test(another_program_that_takes_the_rest_stops_no_delete),
        cmocka_unit_test(a_torn_end_is_cut_at_the_disks_end_too),
        cmocka_unit_test(when_the_reserve_is_eaten_up_reads_go_on_and_the_error_says_so),
        cmocka_unit_test(a_disk_that_went_read_only_still_serves_reads),
        cmocka_unit_test(compaction_makes_room_on_a_full_disk_out_of_the_reserve),
        cmocka_unit_test(namespaces_share_the_reserve_from_several_threads),
        cmocka_unit_test(without_a_reserve_a_full_disk_refuses_and_recovers_as_well),
    };
    scratch_mount("64m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
