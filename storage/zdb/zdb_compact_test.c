/* SPDX-License-Identifier: Apache-2.0 — zdb_compact_test.c: compaction against a model that
 * remembers every write, with writes in between, and what readers see. */
#include "storage/zdb/zdb_folder.h"
#include "storage/zdb/zdb_past.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define ROUNDS     6
#define STEPS      250
#define FILE_BYTES 14000
#define WRITERS    3
#define WRITES     400

static struct zdb_compact_result compact(struct sample *s, const struct zdb_compact_options *o) {
    struct zdb_compact_result result;
    struct err e = {0};
    if (zdb_compact(s->ns, o, &result, &e) < 0) fail_msg("compact: %s", e.msg);
    return result;
}

static void jump(struct sample *s) {
    struct err e = {0};
    assert_int_equal(zdb_jump(s->ns, &e), 0);
}

/* ---- the model ---- */

/* Between the pieces of compaction others write. */
static bool write_some(void *user, const struct zdb_progress *progress) {
    struct past *p = user;
    struct err e = {0};
    assert_true(progress->done_bytes <= progress->total_bytes);
    assert_true(progress->files_done <= progress->files_total);
    past_steps(p, past_below(12));
    if (past_below(3) == 0) assert_int_equal(zdb_commit(p->s.ns, p->ticket, &e), 0);
    if (past_below(10) == 0) jump(&p->s);
    return true;
}

/* Nothing is left to be returned: each file but the last has what is needed, to the byte. */
static void expect_compact(struct past *p) {
    struct zdb_info info;
    struct zdb_compact_options all = {0};
    unsigned found[PAST_VERSIONS_MAX];
    char name[16];
    char value[PAST_VALUE];
    jump(&p->s);
    (void)compact(&p->s, &all);
    uint64_t bytes = 0;
    for (unsigned k = 0; k < PAST_KEYS; k++) {
        size_t n = p->is_there[k] ? past_found(p, &p->s, k, found) : 0;
        for (size_t i = 0; i < n; i++)
            bytes += ZDB_RECORD_BYTES + past_key(p, k, name).n + past_value(found[i], value).n;
    }
    zdb_info(p->s.ns, &info);
    assert_int_equal(info.dead_bytes, 0);
    assert_int_equal(info.data_bytes, bytes + (info.file_id + 1) * (uint64_t)ZDB_DATA_HEADER_BYTES);
    struct zdb_compact_result again = compact(&p->s, &all);
    assert_int_equal(again.files_looked_at, 0);
    past_check(p);
}

static void check_folders(struct past *p) {
    sample_close(&p->s);
    folder_check(&p->s);
    folder_has_no_leftovers(&p->s);
    sample_open(&p->s);
    assert_string_equal(p->s.report, "");
    past_check(p);
}

static void compact_and_compare(enum zdb_mode mode, enum zdb_durability durability,
                                uint32_t versions_max) {
    struct past *p = xnew(struct past);
    past_init(p, mode);
    p->s.options.data_file_bytes = FILE_BYTES;
    p->s.options.durability = durability;
    p->s.options.interval_ms = 1;
    sample_open(&p->s);
    past_retain(p, versions_max);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct zdb_compact_options o = {past_below(60), 0, write_some, p};
        past_steps(p, STEPS);
        (void)compact(&p->s, &o);
        past_check(p);
        if (past_below(2)) continue;
        check_folders(p);
        past_steps(p, STEPS / 10); /* `previous` of the next ones is right, too */
        check_folders(p);
    }
    expect_compact(p);
    check_folders(p);
    past_steps(p, STEPS / 10);
    check_folders(p);
    past_done(p);
    free(p);
}

static const uint32_t retentions[] = {0, 1, 3, ZDB_KEEP_ALL};

static void a_compacted_user_namespace_is_what_a_model_says(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        past_seed = seed * 7919;
        compact_and_compare(ZDB_USER, (enum zdb_durability)(seed % 3),
                            retentions[seed % COUNT(retentions)]);
    }
}

static void a_compacted_seq_namespace_is_what_a_model_says(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        past_seed = seed * 104729;
        compact_and_compare(ZDB_SEQ, (enum zdb_durability)(seed % 3),
                            retentions[seed % COUNT(retentions)]);
    }
}

/* ---- threads ---- */

struct worker {
    struct sample *s;
    unsigned number;
    atomic_bool *stop;
    unsigned writes, reads;
};

static struct str worker_key(unsigned writer, unsigned i, char out[24]) {
    return str_make(out, (size_t)snprintf(out, 24, "w%u-%u", writer, i % 10));
}

static void *write_many(void *arg) {
    struct worker *w = arg;
    struct err e = {0};
    struct zdb_put_result r;
    char name[24];
    char text[64];
    for (unsigned i = 0; i < WRITES; i++) {
        int n = snprintf(text, sizeof text, "%u of %u", i, w->number);
        struct zdb_put put = {worker_key(w->number, i, name), str_make(text, (size_t)n), 1};
        if (zdb_put(w->s->ns, &put, &r, &e) < 0) return NULL;
        if (i % 8 == 0 && zdb_commit(w->s->ns, r.ticket, &e) < 0) return NULL;
        w->writes++;
    }
    return NULL;
}

/* Every value that is found can be read, however long that takes. */
static void *read_many(void *arg) {
    struct worker *w = arg;
    AUTO(buf_done) struct buf out = BUF(1000);
    struct err e = {0};
    char name[24];
    for (unsigned i = 0; !atomic_load(w->stop); i++) {
        AUTO(zdb_value_done) struct zdb_value v = {0};
        AUTO(zdb_value_done) struct zdb_value before = {0};
        struct str key = worker_key(i % WRITERS, i / WRITERS, name);
        if (zdb_find(w->s->ns, key, &v, &e) < 0) continue;
        buf_clear(&out);
        if (zdb_read(w->s->ns, key, &v, &out, &e) < 0) return NULL;
        /* A place that a value names may be gone by now, but is never another key's. */
        if (zdb_history(w->s->ns, key, v.parent_id, v.parent_offset, &before, &e) == 0 &&
            zdb_read(w->s->ns, key, &before, &out, &e) < 0)
            return NULL;
        w->reads++;
    }
    w->writes = 1; /* no error */
    return NULL;
}

static void *compact_many(void *arg) {
    struct worker *w = arg;
    struct zdb_compact_options o = {0};
    struct zdb_compact_result result;
    struct err e = {0};
    while (!atomic_load(w->stop)) {
        if (zdb_compact(w->s->ns, &o, &result, &e) < 0) return NULL;
        w->reads += result.files_rewritten;
    }
    w->writes = 1;
    return NULL;
}

static void compact_beside_others(enum zdb_durability durability) {
    struct sample s;
    struct worker workers[WRITERS + 2];
    pthread_t threads[WRITERS + 2];
    atomic_bool stop = false;
    char name[24];
    char text[64];
    sample_init(&s, ZDB_USER);
    s.options.data_file_bytes = 3000;
    s.options.durability = durability;
    s.options.interval_ms = 1;
    sample_open(&s);
    for (unsigned i = 0; i < COUNT(workers); i++) {
        void *(*run)(void *) = i < WRITERS ? write_many : i == WRITERS ? read_many : compact_many;
        workers[i] = (struct worker){&s, i, &stop, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].writes, WRITES);
    }
    atomic_store(&stop, true);
    for (unsigned i = WRITERS; i < COUNT(workers); i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].writes, 1);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = WRITES - 10; i < WRITES * WRITERS;
             i += i % WRITES == WRITES - 1 ? WRITES - 9 : 1) {
            int n = snprintf(text, sizeof text, "%u of %u", i % WRITES, i / WRITES);
            sample_expect(&s, worker_key(i / WRITES, i, name), str_make(text, (size_t)n));
        }
        sample_close(&s);
        folder_check(&s);
        sample_open(&s);
        assert_string_equal(s.report, "");
    }
    sample_close(&s);
}

static void compaction_runs_beside_writers_and_readers(void **state) {
    (void)state;
    compact_beside_others(ZDB_ALWAYS);
    compact_beside_others(ZDB_INTERVAL);
}

/* ---- what readers hold ---- */

static void a_found_value_survives_compaction_and_a_flush(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_options o = {0};
    AUTO(zdb_value_done) struct zdb_value v = {0};
    AUTO(buf_done) struct buf out = BUF(100);
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), STR("gone"));
    (void)sample_put(&s, STR("b"), STR("moved"));
    sample_delete(&s, STR("a"));
    jump(&s);
    assert_int_equal(zdb_find(s.ns, STR("b"), &v, &e), 0);
    assert_int_equal(compact(&s, &o).files_rewritten, 1);
    sample_expect(&s, STR("b"), STR("moved"));
    assert_int_equal(zdb_read(s.ns, STR("b"), &v, &out, &e), 0);
    assert_true(str_eq(buf_view(&out), STR("moved")));
    assert_int_equal(zdb_check(s.ns, STR("b"), &v, &e), 0);
    assert_int_equal(zdb_flush(s.ns, ZDB_USER, &e), 0);
    assert_int_equal(zdb_check(s.ns, STR("b"), &v, &e), 0);
    sample_close(&s);
    buf_clear(&out);
    zdb_value_done(&v);
    zdb_value_done(&v);
}

static void a_cursor_of_before_is_refused_and_never_skips_a_key(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_options o = {0};
    struct zdb_scanned found;
    struct zdb_scanned again;
    struct err e = {0};
    char name[8];
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    for (unsigned i = 0; i < 20; i++) /* equal lengths and payloads: only places differ */
        (void)sample_put(&s, str_make(name, (size_t)snprintf(name, sizeof name, "k%02u", i)),
                         STR("same"));
    for (unsigned i = 0; i < 20; i += 2)
        sample_delete(&s, str_make(name, (size_t)snprintf(name, sizeof name, "k%02u", i)));
    jump(&s);
    (void)sample_put(&s, STR("later"), STR("same"));
    assert_int_equal(zdb_scan(s.ns, ZDB_FORWARD, NULL, &found, &e), 0);
    assert_int_equal(zdb_scan(s.ns, ZDB_FORWARD, &found.cursor, &found, &e), 0);
    assert_int_equal(zdb_scan(s.ns, ZDB_BACK, NULL, &again, &e), 0);
    assert_int_equal(compact(&s, &o).files_rewritten, 1);
    for (int d = ZDB_FORWARD; d <= ZDB_BACK; d++) {
        struct zdb_scanned next;
        assert_int_equal(zdb_scan(s.ns, (enum zdb_direction)d, &found.cursor, &next, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
    assert_int_equal(zdb_scan(s.ns, ZDB_BACK, &again.cursor, &found, &e), 0); /* not rewritten */
    AUTO(zdb_value_done) struct zdb_value v = {0};
    assert_int_equal(zdb_find(s.ns, STR("k03"), &v, &e), 0);
    struct zdb_cursor c = {3, v.index_id, v.payload_bytes, v.index_offset, v.cursor_crc};
    assert_int_equal(zdb_scan(s.ns, ZDB_FORWARD, &c, &found, &e), 0);
    assert_memory_equal(found.key, "k05", 3);
    sample_reopen(&s);
    assert_int_equal(zdb_scan(s.ns, ZDB_FORWARD, &c, &found, &e), 0); /* it outlives a restart */
    sample_close(&s);
}

static void ids_keep_their_places_when_the_last_copy_loses_its_record(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_options o = {0};
    struct zdb_settings set;
    struct zdb_info info;
    struct err e = {0};
    struct str id = STR("\0\0\0\0\0\0\0\0");
    sample_init(&s, ZDB_SEQ);
    sample_open(&s);
    zdb_settings(s.ns, &set);
    set.versions_max = 0;
    assert_int_equal(zdb_configure(s.ns, &set, &e), 0);
    (void)sample_put(&s, STR_NONE, STR("1"));
    jump(&s);
    (void)sample_put(&s, id, STR("2")); /* the last entry is the copy of the first value */
    assert_int_equal(compact(&s, &o).files_rewritten, 1);
    for (unsigned i = 0; i < 2; i++) {
        zdb_info(s.ns, &info);
        assert_int_equal(info.next_id, 2);
        sample_expect(&s, id, STR("2"));
        sample_reopen(&s);
        assert_string_equal(s.report, "");
    }
    assert_int_equal(sample_put(&s, STR_NONE, STR("3")).id, 2);
    sample_close(&s);
    folder_check(&s);
}

/* ---- damage, empty pairs, limits ---- */

static void damage(const struct sample *s, uint32_t offset) {
    char path[128];
    char byte;
    (void)snprintf(path, sizeof path, "%s/d0", s->data);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)(byte ^ 0x20);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void a_corrupt_payload_is_copied_reported_and_never_served(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_options o = {0};
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("gone"), STR("gone"));
    (void)sample_put(&s, STR("bad"), STR("0123456789"));
    (void)sample_put(&s, STR("good"), STR("good"));
    sample_delete(&s, STR("gone"));
    jump(&s);
    {
        AUTO(zdb_value_done) struct zdb_value v = {0};
        assert_int_equal(zdb_find(s.ns, STR("bad"), &v, &e), 0);
        damage(&s, v.offset + 3);
    }
    assert_int_equal(compact(&s, &o).files_rewritten, 1);
    assert_non_null(strstr(s.report, "'bad'"));
    sample_expect_error(&s, STR("bad"), ERR_CORRUPT);
    sample_expect(&s, STR("good"), STR("good"));
    sample_reopen(&s);
    sample_expect_error(&s, STR("bad"), ERR_CORRUPT);
    sample_close(&s);
}

static void a_file_with_damaged_records_is_reported_and_left_alone(void **state) {
    (void)state;
    struct zdb_compact_options o = {0};
    struct err e = {0};
    const uint32_t places[] = {0, 1, ZDB_RECORD_BYTES}; /* length of key, of payload; the key */
    for (size_t i = 0; i < COUNT(places); i++) {
        struct sample s;
        sample_init(&s, ZDB_USER);
        sample_open(&s);
        (void)sample_put(&s, STR("gone"), STR("gone"));
        (void)sample_put(&s, STR("bad"), STR("0123456789"));
        (void)sample_put(&s, STR("good"), STR("good"));
        sample_delete(&s, STR("gone"));
        jump(&s);
        {
            AUTO(zdb_value_done) struct zdb_value v = {0};
            assert_int_equal(zdb_find(s.ns, STR("bad"), &v, &e), 0);
            damage(&s, v.offset - ZDB_RECORD_BYTES - 3 + places[i]);
        }
        assert_int_equal(compact(&s, &o).files_rewritten, 0);
        assert_non_null(strstr(s.report, "data file 0 is not compacted"));
        assert_int_equal(compact(&s, &o).files_looked_at, 0);
        sample_expect(&s, STR("bad"), STR("0123456789")); /* the index knows where it is */
        sample_expect(&s, STR("good"), STR("good"));
        folder_has_no_leftovers(&s);
        sample_close(&s);
    }
}

static unsigned open_files(void) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    unsigned n = 0;
    assert_int_equal(file_dir_open(&d, AT_FDCWD, "/proc/self/fd"), 0);
    while (file_dir_next(&d, &entry) > 0) n++;
    return n;
}

static void empty_pairs_keep_their_numbers_and_no_descriptor(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_options o = {0};
    struct zdb_info info;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    unsigned before = open_files();
    (void)sample_put(&s, STR("first"), STR("stays"));
    for (unsigned i = 0; i < 50; i++) {
        jump(&s);
        (void)sample_put(&s, STR("a"), STR("1"));
        (void)sample_put(&s, STR("a"), STR("2"));
        sample_delete(&s, STR("a"));
    }
    assert_int_equal(open_files(), before + 100);
    assert_int_equal(compact(&s, &o).files_rewritten, 49);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(open_files(), before + 2);
        zdb_info(s.ns, &info);
        assert_int_equal(info.file_id, 50);
        sample_expect(&s, STR("first"), STR("stays"));
        sample_expect_error(&s, STR("a"), ERR_NOT_FOUND);
        sample_close(&s);
        folder_check(&s);
        sample_open(&s);
        assert_string_equal(s.report, "");
    }
    sample_close(&s);
}

static void a_deletion_stays_while_an_older_file_may_have_the_value(void **state) {
    (void)state;
    struct sample s;
    struct zdb_info info;
    struct zdb_compact_options most = {.dead_percent_min = 50};
    struct zdb_compact_options all = {0};
    char big[1000] = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("big"), str_make(big, sizeof big));
    (void)sample_put(&s, STR("small"), STR("1"));
    jump(&s);
    sample_delete(&s, STR("small"));
    (void)sample_put(&s, STR("x"), str_make(big, sizeof big));
    sample_delete(&s, STR("x"));
    jump(&s);
    assert_int_equal(compact(&s, &most).files_rewritten, 1); /* file 0 is not worth it */
    zdb_info(s.ns, &info);
    uint64_t with = info.data_bytes;
    assert_int_equal(compact(&s, &all).files_rewritten, 2);
    zdb_info(s.ns, &info);
    assert_true(with > info.data_bytes);
    assert_int_equal(info.data_bytes,
                     3 * ZDB_DATA_HEADER_BYTES + ZDB_RECORD_BYTES + 3 + sizeof big);
    sample_expect_error(&s, STR("small"), ERR_NOT_FOUND);
    sample_close(&s);
}

static void too_few_descriptors_are_a_limit_that_is_named(void **state) {
    (void)state;
    struct sample s;
    struct rlimit before;
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    for (unsigned i = 0; i < 30; i++) {
        (void)sample_put(&s, STR("a"), str_make("0123456789012345678901234567890", i));
        jump(&s);
    }
    sample_close(&s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {open_files() + 20, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.msg, "limit of open files"));
    sample_open(&s);
    sample_close(&s);
}

static bool pass_time(void *user, const struct zdb_progress *progress) {
    unsigned *asked = user;
    (void)progress;
    ++*asked;
    clock_fake_advance(10);
    return true;
}

static void the_rate_bounds_what_is_read_and_written(void **state) {
    (void)state;
    struct sample s;
    unsigned asked = 0;
    struct zdb_compact_options o = {0, 1000000, pass_time, &asked};
    AUTO_FREE char *big = xmalloc(1 << 20);
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), str_make(big, 1 << 20));
    (void)sample_put(&s, STR("b"), STR("1"));
    sample_delete(&s, STR("b"));
    jump(&s);
    clock_fake(1, 1);
    assert_int_equal(compact(&s, &o).files_rewritten, 1);
    uint64_t ms = clock_ms();
    clock_real();
    assert_true(ms >= 2000 && ms <= 4000); /* 1 MiB is read and written, at 1 MB a second */
    sample_close(&s);
}

struct nested {
    struct sample *s;
    unsigned asked, stop_at;
};

static bool compact_again(void *user, const struct zdb_progress *progress) {
    struct nested *n = user;
    struct zdb_compact_options o = {0};
    struct zdb_compact_result result;
    struct err e = {0};
    (void)progress;
    assert_int_equal(zdb_compact(n->s->ns, &o, &result, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    return ++n->asked < n->stop_at;
}

static void a_second_compaction_is_refused_and_a_stopped_one_leaves_nothing(void **state) {
    (void)state;
    struct sample s;
    struct zdb_compact_result result;
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    for (unsigned i = 0; i < 3; i++) {
        (void)sample_put(&s, STR("a"), STR("1"));
        sample_delete(&s, STR("a"));
        (void)sample_put(&s, STR("b"), str_make("123", 1 + i));
    }
    jump(&s);
    for (unsigned stop_at = 1; stop_at <= 3; stop_at++) {
        struct nested n = {&s, 0, stop_at};
        struct zdb_compact_options o = {0, 0, compact_again, &n};
        assert_int_equal(zdb_compact(s.ns, &o, &result, &e), -1);
        assert_int_equal(e.kind, ERR_CANCELLED);
        assert_int_equal(result.files_rewritten, 0);
        folder_has_no_leftovers(&s);
    }
    struct zdb_compact_options wrong = {.dead_percent_min = 101};
    assert_int_equal(zdb_compact(s.ns, &wrong, &result, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    sample_expect(&s, STR("b"), STR("123"));
    sample_close(&s);
}

static bool flush_now(void *user, const struct zdb_progress *progress) {
    struct nested *n = user;
    struct err e = {0};
    (void)progress;
    if (++n->asked == n->stop_at) assert_int_equal(zdb_flush(n->s->ns, ZDB_USER, &e), 0);
    return true;
}

static void a_flush_ends_compaction(void **state) {
    (void)state;
    for (unsigned at = 1; at <= 4; at++) {
        struct sample s;
        struct zdb_info info;
        struct zdb_compact_result result;
        struct err e = {0};
        struct nested n = {&s, 0, at};
        struct zdb_compact_options o = {0, 0, flush_now, &n};
        sample_init(&s, ZDB_USER);
        sample_open(&s);
        (void)sample_put(&s, STR("a"), STR("1"));
        (void)sample_put(&s, STR("a"), STR("2"));
        past_seed = at;
        jump(&s);
        struct zdb_settings set;
        zdb_settings(s.ns, &set);
        set.versions_max = 0;
        assert_int_equal(zdb_configure(s.ns, &set, &e), 0);
        assert_int_equal(zdb_compact(s.ns, &o, &result, &e), at <= 3 ? -1 : 0);
        if (at <= 3) assert_int_equal(e.kind, ERR_BUSY);
        folder_has_no_leftovers(&s);
        zdb_info(s.ns, &info);
        assert_int_equal(info.entries, at <= 3 ? 0 : 1);
        (void)sample_put(&s, STR("a"), STR("3"));
        sample_reopen(&s);
        assert_string_equal(s.report, "");
        sample_expect(&s, STR("a"), STR("3"));
        sample_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compacted_user_namespace_is_what_a_model_says),
        cmocka_unit_test(a_compacted_seq_namespace_is_what_a_model_says),
        cmocka_unit_test(compaction_runs_beside_writers_and_readers),
        cmocka_unit_test(a_found_value_survives_compaction_and_a_flush),
        cmocka_unit_test(a_cursor_of_before_is_refused_and_never_skips_a_key),
        cmocka_unit_test(ids_keep_their_places_when_the_last_copy_loses_its_record),
        cmocka_unit_test(a_corrupt_payload_is_copied_reported_and_never_served),
        cmocka_unit_test(a_file_with_damaged_records_is_reported_and_left_alone),
        cmocka_unit_test(empty_pairs_keep_their_numbers_and_no_descriptor),
        cmocka_unit_test(too_few_descriptors_are_a_limit_that_is_named),
        cmocka_unit_test(the_rate_bounds_what_is_read_and_written),
        cmocka_unit_test(a_deletion_stays_while_an_older_file_may_have_the_value),
        cmocka_unit_test(a_second_compaction_is_refused_and_a_stopped_one_leaves_nothing),
        cmocka_unit_test(a_flush_ends_compaction),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
