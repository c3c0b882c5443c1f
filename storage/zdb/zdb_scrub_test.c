/* SPDX-License-Identifier: Apache-2.0 — zdb_scrub_test.c: damage of every kind is found, once and
 * by its key, and nothing else is. */
#include "storage/zdb/zdb_sample.h"

#include "base/clock.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>

#define KEYS      40
#define FOUND_MAX 20000
#define TEXT_MAX  ((size_t)4 << 20)
#define MANY      9000 /* entries: more than two batches of the search */
#define WRITES    3000 /* of each writer beside a scrub */

struct findings {
    struct sample *s;
    struct buf text; /* the sentences, a line each */
    struct str keys[FOUND_MAX];
    char key_bytes[FOUND_MAX][16];
    size_t count;
    unsigned asked, cancel_at;
    struct zdb_progress progress;
    struct zdb_scrub_result result;
    uint64_t bytes_per_s;
};

static void on_found(void *user, struct str key, const char *text) {
    struct findings *f = user;
    assert_true(f->count < FOUND_MAX && key.n <= 16);
    if (key.n > 0) memcpy(f->key_bytes[f->count], key.p, key.n);
    f->keys[f->count] = str_make(f->key_bytes[f->count], key.n);
    f->count++;
    assert_int_equal(buf_fmt(&f->text, "%s\n", text), 0);
}

static bool on_progress(void *user, const struct zdb_progress *p) {
    struct findings *f = user;
    assert_true(p->done_bytes >= f->progress.done_bytes);
    assert_true(p->done_bytes <= p->total_bytes && p->files_done <= p->files_total);
    f->progress = *p;
    return ++f->asked != f->cancel_at;
}

static struct findings *scrub_try(struct sample *s, struct findings *f, struct err *e) {
    struct zdb_scrub_options o = {f->bytes_per_s, on_progress, on_found, f};
    f->text = BUF(TEXT_MAX);
    if (zdb_scrub(s->ns, &o, &f->result, e) == 0) return f;
    buf_done(&f->text);
    free(f);
    return NULL;
}

static struct findings *scrub(struct sample *s) {
    struct err e = {0};
    struct findings *f = scrub_try(s, xnew(struct findings), &e);
    if (!f) fail_msg("scrub: %s", e.msg);
    assert_int_equal(f->result.corrupt, f->count);
    return f;
}

static void findings_free(struct findings *f) {
    buf_done(&f->text);
    free(f);
}

static void expect_sound(struct sample *s, uint64_t values) {
    struct findings *f = scrub(s);
    if (f->count > 0) fail_msg("found in what is sound: %s", buf_c(&f->text));
    if (values > 0) assert_int_equal(f->result.values, values);
    findings_free(f);
}

/* Exactly one finding, of the key (empty: of none). */
static void expect_one(struct sample *s, struct str key, const char *text) {
    struct findings *f = scrub(s);
    if (f->count != 1) fail_msg("%zu findings: %s", f->count, buf_c(&f->text));
    assert_true(str_eq(f->keys[0], key));
    if (!strstr(buf_c(&f->text), text)) fail_msg("'%s' is not in: %s", text, buf_c(&f->text));
    findings_free(f);
}

/* ---- namespaces and their damage ---- */

static struct str key_text(unsigned k, char out[16]) {
    return str_make(out, (size_t)snprintf(out, 16, "key-%u", k));
}

static struct str id_key(uint64_t id, char out[16]) {
    zdb_id_encode(id, (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

static struct str key_of(const struct sample *s, unsigned k, char out[16]) {
    return s->options.mode == ZDB_SEQ ? id_key(k, out) : key_text(k, out);
}

static void put(struct sample *s, unsigned k, struct str value) {
    char name[16];
    struct zdb_info info;
    zdb_info(s->ns, &info);
    bool is_new = s->options.mode == ZDB_SEQ && k >= info.next_id;
    (void)sample_put(s, is_new ? STR_NONE : key_of(s, k, name), value);
}

/* A new key, in `seq` mode of whatever id. */
static void add(struct sample *s, struct str key, struct str value) {
    (void)sample_put(s, s->options.mode == ZDB_SEQ ? STR_NONE : key, value);
}

static void sync_all(struct sample *s) {
    struct err e = {0};
    if (zdb_sync(s->ns, &e) < 0) fail_msg("sync: %s", e.msg);
}

/* KEYS values, all of them of 20 to 59 bytes. */
static void fill(struct sample *s) {
    char value[64];
    sample_open(s);
    for (unsigned k = 0; k < KEYS; k++) {
        int n = snprintf(value, sizeof value, "the value of key %03u", k);
        memset(value + n, 'a' + (int)(k % 26), sizeof value - (size_t)n);
        put(s, k, str_make(value, 20 + k));
    }
    sync_all(s);
}

/* Where the value of a key that fill() wrote is, and its record. */
static struct zdb_value find(struct sample *s, unsigned k) {
    char name[16];
    struct zdb_value v;
    struct err e = {0};
    if (zdb_find(s->ns, key_of(s, k, name), &v, &e) < 0) fail_msg("key %u: %s", k, e.msg);
    zdb_value_done(&v); /* its place is all that is wanted */
    return v;
}

static uint32_t record_of(struct sample *s, unsigned k) {
    char name[16];
    return find(s, k).offset - ZDB_RECORD_BYTES - (uint32_t)key_of(s, k, name).n;
}

static void change(const char *folder, const char *name, uint64_t at, struct str bytes) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_all(fd, bytes.p, bytes.n, at), 0);
}

static void cut(const char *folder, const char *name, uint64_t bytes) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(truncate(path, (off_t)bytes), 0);
}

static void end(struct sample *s) {
    struct err e = {0};
    (void)!zdb_close(s->ns, &e);
    assert_int_equal(file_remove_tree(AT_FDCWD, s->path), 0);
}

static void each_mode(void (*run)(enum zdb_mode mode)) {
    run(ZDB_USER);
    run(ZDB_SEQ);
}

/* ---- sound ones ---- */

static void run_sound(enum zdb_mode mode) {
    char name[16];
    char value[64];
    struct sample s;
    sample_init(&s, mode);
    s.options.data_file_bytes = 2000;
    fill(&s);
    for (unsigned k = 0; k < KEYS; k += 3) {
        int n = snprintf(value, sizeof value, "newer %u", k);
        put(&s, k, str_make(value, (size_t)n));
    }
    for (unsigned k = 1; k < KEYS; k += 6) sample_delete(&s, key_of(&s, k, name));
    add(&s, STR("empty"), STR_NONE);
    sync_all(&s);
    expect_sound(&s, KEYS + 14 + 1);
    add(&s, STR("last"), STR("not synced yet"));
    expect_sound(&s, KEYS + 14 + 1);
    sample_reopen(&s);
    expect_sound(&s, KEYS + 14 + 2);
    end(&s);
}

static void what_is_sound_has_no_findings(void **state) {
    (void)state;
    each_mode(run_sound);
}

static void an_empty_namespace_has_no_findings(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    struct zdb_scrub_options o = {0};
    struct zdb_scrub_result result = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    assert_int_equal(zdb_scrub(s.ns, &o, &result, &e), 0);
    assert_int_equal(result.corrupt, 0);
    end(&s);
}

static void scrub_vector(const char *vector, const char *name) {
    struct sample s;
    char from[256];
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    sample_init(&s, ZDB_USER);
    const char *to[] = {s.data, s.index};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(from, sizeof from, "tests/zdb-vectors/%s/%s/%s", vector,
                       i == 0 ? "data" : "index", name);
        AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, to[i], 0700);
        assert_true(dir >= 0);
        if (file_dir_open(&d, AT_FDCWD, from) < 0) fail_msg("no vector '%s'", from);
        while (file_dir_next(&d, &entry) > 0) {
            struct buf b = sample_file(from, entry.name);
            assert_int_equal(file_write_atomic(dir, entry.name, buf_view(&b), 0600), 0);
            buf_done(&b);
        }
        file_dir_close(&d);
    }
    sample_open(&s);
    expect_sound(&s, 0);
    end(&s);
}

static void what_0_db_wrote_has_no_findings(void **state) {
    (void)state;
    scrub_vector("user", "default");
    scrub_vector("seq", "default");
    scrub_vector("mixed", "default");
    scrub_vector("mixed", "events");
    scrub_vector("mixed", "ledger");
    scrub_vector("mixed", "photos");
}

/* ---- damage ---- */

static void run_payload(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    sample_init(&s, mode);
    fill(&s);
    change(s.data, "d0", find(&s, 7).offset + 3, STR("#"));
    expect_one(&s, key_of(&s, 7, name), "does not have its checksum");
    change(s.data, "d0", find(&s, KEYS - 1).offset + 58, STR("#")); /* the very last byte */
    struct findings *f = scrub(&s);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->result.values, KEYS - 2);
    findings_free(f);
    sample_expect_error(&s, key_of(&s, 7, name), ERR_CORRUPT);
    end(&s);
}

static void a_changed_payload_is_found_once_and_by_its_key(void **state) {
    (void)state;
    each_mode(run_payload);
}

static void run_version(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    sample_init(&s, mode);
    s.options.data_file_bytes = 2000;
    fill(&s);
    uint32_t at = find(&s, 0).offset;
    put(&s, 0, STR("a later version"));
    sync_all(&s);
    change(s.data, "d0", at, STR("#"));
    expect_one(&s, key_of(&s, 0, name), "a version before of key");
    sample_expect(&s, key_of(&s, 0, name), STR("a later version"));
    end(&s);
}

static void a_changed_version_of_history_is_found(void **state) {
    (void)state;
    each_mode(run_version);
}

/* A length that leads the walk astray, over and behind what comes next. */
static void run_length(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    for (unsigned n = 0; n < 3; n++) {
        const struct str lengths[] = {STR("\x01\0\0\0"), STR("\x90\x01\0\0"),
                                      STR("\xff\xff\xff\xff")};
        sample_init(&s, mode);
        fill(&s);
        change(s.data, "d0", record_of(&s, 3) + 1, lengths[n]);
        expect_one(&s, key_of(&s, 3, name), "record is damaged");
        change(s.data, "d0", find(&s, 4).offset, STR("#")); /* right behind it */
        change(s.data, "d0", find(&s, 30).offset, STR("#"));
        struct findings *f = scrub(&s);
        assert_int_equal(f->count, 3);
        assert_true(str_eq(f->keys[1], key_of(&s, 4, name)));
        assert_true(str_eq(f->keys[2], key_of(&s, 30, name)));
        assert_int_equal(f->result.values, KEYS - 3);
        findings_free(f);
        end(&s);
    }
}

static void behind_a_wrong_length_everything_is_still_compared(void **state) {
    (void)state;
    each_mode(run_length);
}

/* The record of a deletion: nothing names it, and it has no payload that could be compared. */
static void run_tombstone(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    struct zdb_info info;
    sample_init(&s, mode);
    fill(&s);
    zdb_info(s.ns, &info);
    sample_delete(&s, key_of(&s, 5, name));
    put(&s, KEYS, STR("behind the deletion"));
    put(&s, KEYS + 1, STR("and behind that"));
    sync_all(&s);
    expect_sound(&s, KEYS + 2);
    change(s.data, "d0", info.data_end, STR("\x07")); /* its key is shorter or longer by a little */
    expect_one(&s, STR_NONE, "no entry names them");
    change(s.data, "d0", find(&s, KEYS).offset, STR("#"));
    change(s.data, "d0", find(&s, KEYS + 1).offset, STR("#"));
    struct findings *f = scrub(&s);
    assert_in_range(f->count, 2, 3);
    assert_int_equal(f->result.values, KEYS);
    findings_free(f);
    end(&s);
}

static void a_damaged_deletion_hides_nothing_behind_it(void **state) {
    (void)state;
    each_mode(run_tombstone);
}

static void run_zeros(enum zdb_mode mode) {
    static char zeros[1 << 20];
    struct sample s;
    sample_init(&s, mode);
    fill(&s);
    uint32_t from = record_of(&s, 10);
    uint32_t to = record_of(&s, 20);
    change(s.data, "d0", from, str_make(zeros, to - from));
    struct findings *f = scrub(&s);
    assert_int_equal(f->count, 10);
    assert_int_equal(f->result.values, KEYS - 10);
    findings_free(f);
    cut(s.data, "d0", record_of(&s, 30) + 1);
    f = scrub(&s);
    assert_int_equal(f->count, 10 + KEYS - 30);
    findings_free(f);
    end(&s);
}

static void a_lost_region_and_a_lost_end_are_found_key_by_key(void **state) {
    (void)state;
    each_mode(run_zeros);
}

static void run_many(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    sample_init(&s, mode);
    sample_open(&s);
    for (unsigned k = 0; k < MANY; k++) put(&s, k, key_text(k, name));
    sync_all(&s);
    expect_sound(&s, MANY);
    for (unsigned k = 1; k + 1 < MANY; k++)
        change(s.data, "d0", record_of(&s, k), STR("\0\0\0\0\0\0\0\0\0"));
    struct findings *f = scrub(&s);
    assert_int_equal(f->count, MANY - 2);
    assert_int_equal(f->result.values, 2);
    findings_free(f);
    end(&s);
}

static void more_damage_than_one_search_of_the_index_holds_is_found(void **state) {
    (void)state;
    each_mode(run_many);
}

/* Flips each byte of the data behind its header in turn. The fields that say nothing about a value
 * (previous, time) may change unseen. */
static void run_each_byte(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    sample_init(&s, mode);
    sample_open(&s);
    for (unsigned k = 0; k < 6; k++) put(&s, k, key_text(k * 1000, name));
    sync_all(&s);
    uint32_t key_bytes = (uint32_t)key_of(&s, 0, name).n;
    struct buf whole = sample_file(s.data, "d0");
    for (unsigned k = 0; k < 6; k++) {
        uint32_t start = record_of(&s, k);
        uint32_t stop = find(&s, k).offset + find(&s, k).payload_bytes;
        for (uint32_t at = start; at < stop; at++) {
            uint32_t field = at - start;
            if ((field >= 5 && field < 9) || (field >= 14 && field < 18)) continue;
            char byte = (char)(whole.p[at] ^ 1);
            change(s.data, "d0", at, str_make(&byte, 1));
            expect_one(&s, key_of(&s, k, name), "");
            change(s.data, "d0", at, str_make(whole.p + at, 1));
        }
        assert_int_equal(stop - start, ZDB_RECORD_BYTES + key_bytes + find(&s, k).payload_bytes);
    }
    expect_sound(&s, 6);
    buf_done(&whole);
    end(&s);
}

static void every_byte_that_matters_is_compared(void **state) {
    (void)state;
    each_mode(run_each_byte);
}

static void run_index(enum zdb_mode mode) {
    char name[16];
    struct sample s;
    sample_init(&s, mode);
    fill(&s);
    struct zdb_value v = find(&s, 9);
    change(s.index, "i0", v.index_offset + 22, STR("\1\2\3\4")); /* the checksum */
    expect_one(&s, key_of(&s, 9, name), "does not fit a record");
    change(s.index, "i0", find(&s, 12).index_offset, STR("\0"));
    struct findings *f = scrub(&s);
    assert_int_equal(f->count, 2);
    assert_int_equal(f->keys[1].n, 0);
    assert_non_null(strstr(buf_c(&f->text), "index file 0: there is no entry at"));
    findings_free(f);
    end(&s);
}

static void a_damaged_index_entry_is_found(void **state) {
    (void)state;
    each_mode(run_index);
}

/* ---- rate, cancelling, and beside others ---- */

static bool advance(void *user, const struct zdb_progress *p) {
    clock_fake_advance(1);
    return on_progress(user, p);
}

static void the_rate_is_kept(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    AUTO_FREE char *value = xmalloc((size_t)1 << 20);
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    random_bytes(value, (size_t)1 << 20);
    (void)sample_put(&s, STR("key"), str_make(value, (size_t)1 << 20));
    sync_all(&s);
    clock_fake(1000000000000ull, 0);
    uint64_t before = clock_ms();
    struct findings *f = xnew(struct findings);
    struct zdb_scrub_options o = {(uint64_t)4 << 20, advance, on_found, f};
    f->text = BUF(TEXT_MAX);
    assert_int_equal(zdb_scrub(s.ns, &o, &f->result, &e), 0);
    uint64_t took_ms = clock_ms() - before;
    clock_real();
    assert_true(f->result.read_bytes > (uint64_t)1 << 20);
    assert_in_range(took_ms, 150, 300); /* 250, of which 100 may be saved up */
    findings_free(f);
    end(&s);
}

static void a_cancelled_scrub_ends_soon_and_says_so(void **state) {
    (void)state;
    struct sample s;
    sample_init(&s, ZDB_SEQ);
    s.options.data_file_bytes = 500;
    fill(&s);
    for (unsigned at = 1; at < 8; at++) {
        struct err e = {0};
        struct findings *f = xnew(struct findings);
        f->cancel_at = at;
        f->bytes_per_s = at == 7 ? 1000 : 0;
        assert_null(scrub_try(&s, f, &e));
        assert_int_equal(e.kind, ERR_CANCELLED);
        assert_non_null(strstr(e.msg, "'default'"));
    }
    end(&s);
}

struct writer {
    struct sample *s;
    unsigned number;
    atomic_bool *is_over;
};

static void *write_beside(void *arg) {
    struct writer *w = arg;
    char name[24];
    char value[700];
    struct zdb_put_result r;
    uint64_t ticket;
    struct err e = {0};
    uint64_t ids[16] = {0};
    bool is_seq = w->s->options.mode == ZDB_SEQ;
    for (unsigned i = 0; i < WRITES; i++) {
        unsigned k = i % 16;
        size_t n = 1 + (i * 37) % (sizeof value - 1);
        memset(value, (int)i, n);
        struct str key =
            str_make(name, (size_t)snprintf(name, sizeof name, "w%u-%u", w->number, k));
        if (is_seq && i < 16) key = STR_NONE;
        if (is_seq && i >= 16) {
            zdb_id_encode(ids[k], (uint8_t *)name);
            key = str_make(name, ZDB_ID_BYTES);
        }
        struct zdb_put p = {key, str_make(value, n), SAMPLE_TIME_S};
        assert_int_equal(zdb_put(w->s->ns, &p, &r, &e), 0);
        if (i < 16) ids[k] = r.id;
        if (!is_seq && i % 5 == 0)
            assert_int_equal(zdb_delete(w->s->ns, key, SAMPLE_TIME_S, &ticket, &e), 0);
        if (i % 3 == 0) assert_int_equal(zdb_commit(w->s->ns, r.ticket, &e), 0);
    }
    atomic_store(w->is_over, true);
    return NULL;
}

static void run_beside(enum zdb_mode mode) {
    struct sample s;
    pthread_t threads[2];
    atomic_bool is_over[2] = {false, false};
    struct writer writers[2];
    unsigned rounds = 0;
    sample_init(&s, mode);
    s.options.data_file_bytes = 50000;
    sample_open(&s);
    for (unsigned i = 0; i < 2; i++) {
        writers[i] = (struct writer){&s, i, &is_over[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, write_beside, &writers[i]), 0);
    }
    for (; rounds < 3 || !atomic_load(&is_over[0]) || !atomic_load(&is_over[1]); rounds++)
        expect_sound(&s, 0);
    for (unsigned i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect_sound(&s, 0);
    end(&s);
}

static void beside_writers_nothing_is_found_that_is_not_there(void **state) {
    (void)state;
    each_mode(run_beside);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sound_has_no_findings),
        cmocka_unit_test(an_empty_namespace_has_no_findings),
        cmocka_unit_test(what_0_db_wrote_has_no_findings),
        cmocka_unit_test(a_changed_payload_is_found_once_and_by_its_key),
        cmocka_unit_test(a_changed_version_of_history_is_found),
        cmocka_unit_test(behind_a_wrong_length_everything_is_still_compared),
        cmocka_unit_test(a_damaged_deletion_hides_nothing_behind_it),
        cmocka_unit_test(a_lost_region_and_a_lost_end_are_found_key_by_key),
        cmocka_unit_test(more_damage_than_one_search_of_the_index_holds_is_found),
        cmocka_unit_test(every_byte_that_matters_is_compared),
        cmocka_unit_test(a_damaged_index_entry_is_found),
        cmocka_unit_test(the_rate_is_kept),
        cmocka_unit_test(a_cancelled_scrub_ends_soon_and_says_so),
        cmocka_unit_test(beside_writers_nothing_is_found_that_is_not_there),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
