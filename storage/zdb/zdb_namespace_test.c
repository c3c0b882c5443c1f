/* SPDX-License-Identifier: Apache-2.0 — zdb_namespace_test.c: the engine against a model, many
 * writers, corrupt files, limits. */
#include "storage/zdb/zdb_sample.h"
#include "storage/zdb/zdb_settings.h"

#include <pthread.h>

#define MODEL_KEYS   300
#define MODEL_STEPS  100000
#define REOPEN_EVERY 9000
#define MODEL_BYTES  64
#define WRITERS      8
#define WRITES_EACH  40

static uint64_t seed = 42;
static uint32_t below(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- the model ---- */

struct model {
    struct sample s;
    bool is_seq;
    unsigned version[MODEL_KEYS]; /* 0: not there */
    unsigned written[MODEL_KEYS]; /* step of its last write: the order of scans */
    uint64_t id[MODEL_KEYS];
    unsigned count;
};

static struct str model_key(const struct model *m, unsigned k, char out[16]) {
    if (!m->is_seq) return str_make(out, (size_t)snprintf(out, 16, "k%u", k));
    zdb_id_encode(m->id[k], (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

static struct str model_value(unsigned k, unsigned version, char out[MODEL_BYTES]) {
    int n = snprintf(out, MODEL_BYTES, "%u of %u %0*u", version, k, (int)(version % 30) + 1, k);
    return str_make(out, (size_t)n);
}

static void model_put(struct model *m, unsigned k, unsigned step) {
    char name[16];
    char text[MODEL_BYTES];
    bool is_new = m->is_seq && m->version[k] == 0;
    bool is_same = m->version[k] > 0 && below(10) == 0;
    unsigned version = is_same ? m->version[k] : step + 1;
    struct zdb_put_result r =
        sample_put(&m->s, is_new ? STR_NONE : model_key(m, k, name), model_value(k, version, text));
    assert_int_equal(r.unchanged, is_same);
    if (is_new) m->id[k] = r.id;
    if (m->version[k] == 0) m->count++;
    if (!is_same) m->written[k] = step;
    m->version[k] = version;
}

static void model_delete(struct model *m, unsigned k) {
    char name[16];
    struct err e = {0};
    uint64_t ticket;
    int r = zdb_delete(m->s.ns, model_key(m, k, name), SAMPLE_TIME_S, &ticket, &e);
    assert_int_equal(r, m->version[k] > 0 ? 0 : -1);
    if (r < 0) assert_int_equal(e.kind, ERR_NOT_FOUND);
    if (r == 0) m->count--;
    m->version[k] = 0;
}

static void model_get(struct model *m, unsigned k) {
    char name[16];
    char text[MODEL_BYTES];
    if (m->version[k] == 0)
        sample_expect_error(&m->s, model_key(m, k, name), ERR_NOT_FOUND);
    else
        sample_expect(&m->s, model_key(m, k, name), model_value(k, m->version[k], text));
}

static unsigned key_number(const struct model *m, const struct zdb_scanned *found) {
    char name[16];
    struct str key = str_make((const char *)found->key, found->key_bytes);
    for (unsigned k = 0; k < MODEL_KEYS; k++)
        if (m->version[k] > 0 && str_eq(model_key(m, k, name), key)) return k;
    fail_msg("a key that is not in the model");
    return 0;
}

static uint64_t rank(const struct model *m, unsigned k) {
    return m->is_seq ? m->id[k] : m->written[k];
}

static void model_scan(struct model *m, enum zdb_direction direction) {
    struct zdb_scanned found;
    struct err e = {0};
    unsigned count = 0;
    uint64_t before = 0;
    const struct zdb_cursor *cursor = NULL;
    for (; zdb_scan(m->s.ns, direction, cursor, &found, &e) == 0; cursor = &found.cursor) {
        uint64_t now = rank(m, key_number(m, &found));
        if (count++ > 0) assert_true(direction == ZDB_FORWARD ? now > before : now < before);
        before = now;
    }
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(count, m->count);
}

static void model_check(struct model *m) {
    struct zdb_info info;
    for (unsigned k = 0; k < MODEL_KEYS; k++) model_get(m, k);
    zdb_info(m->s.ns, &info);
    assert_int_equal(info.entries, m->count);
    model_scan(m, ZDB_FORWARD);
    model_scan(m, ZDB_BACK);
}

static void compare_with_model(enum zdb_mode mode, enum zdb_durability durability) {
    struct model *m = xnew(struct model);
    struct err e = {0};
    sample_init(&m->s, mode);
    m->is_seq = mode == ZDB_SEQ;
    for (unsigned k = 0; k < MODEL_KEYS; k++) m->id[k] = UINT64_MAX;
    m->s.options.data_file_bytes = 300000;
    m->s.options.durability = durability;
    m->s.options.interval_ms = 1;
    sample_open(&m->s);
    for (unsigned step = 0; step < MODEL_STEPS / 4; step++) {
        unsigned k = below(MODEL_KEYS);
        uint32_t what = below(10);
        if (what < 6)
            model_put(m, k, step);
        else if (what < 8)
            model_delete(m, k);
        else
            model_get(m, k);
        if (below(200) == 0) assert_int_equal(zdb_sync(m->s.ns, &e), 0);
        if (step % REOPEN_EVERY != REOPEN_EVERY - 1) continue;
        model_check(m);
        sample_reopen(&m->s);
        assert_string_equal(m->s.report, "");
        model_check(m);
    }
    model_check(m);
    sample_close(&m->s);
    free(m);
}

static void user_mode_does_what_a_model_does(void **state) {
    (void)state;
    compare_with_model(ZDB_USER, ZDB_ALWAYS);
    compare_with_model(ZDB_USER, ZDB_NEVER);
}

static void seq_mode_does_what_a_model_does(void **state) {
    (void)state;
    compare_with_model(ZDB_SEQ, ZDB_ALWAYS);
    compare_with_model(ZDB_SEQ, ZDB_INTERVAL);
}

/* ---- many writers ---- */

struct writer {
    struct sample *s;
    unsigned number;
    bool ok;
};

static void *write_many(void *arg) {
    struct writer *w = arg;
    struct err e = {0};
    struct zdb_put_result r;
    char name[24];
    w->ok = true;
    for (unsigned i = 0; i < WRITES_EACH; i++) {
        struct str key =
            str_make(name, (size_t)snprintf(name, sizeof name, "w%u-%u", w->number, i));
        struct zdb_put put = {key, key, SAMPLE_TIME_S};
        w->ok = w->ok && zdb_put(w->s->ns, &put, &r, &e) == 0 &&
                zdb_commit(w->s->ns, r.ticket, &e) == 0;
    }
    return NULL;
}

static void many_writers_share_syncs_and_lose_nothing(void **state) {
    (void)state;
    struct sample s;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct zdb_info info;
    char name[24];
    sample_init(&s, ZDB_USER);
    s.options.data_file_bytes = 4000; /* new files in between */
    sample_open(&s);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){&s, i, false};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_true(writers[i].ok);
    }
    zdb_info(s.ns, &info);
    assert_true(info.syncs <= WRITERS * WRITES_EACH);
    sample_reopen(&s);
    for (unsigned i = 0; i < WRITERS * WRITES_EACH; i++) {
        int n = snprintf(name, sizeof name, "w%u-%u", i % WRITERS, i / WRITERS);
        sample_expect(&s, str_make(name, (size_t)n), str_make(name, (size_t)n));
    }
    sample_close(&s);
}

/* ---- damage ---- */

static void damage(const char *folder, const char *name, uint32_t offset) {
    char path[128];
    char byte;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)(byte ^ 0x20);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void a_changed_payload_is_an_error_that_names_the_key_never_served(void **state) {
    (void)state;
    struct sample s;
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct err e = {0};
    struct zdb_info info;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("bad"), STR("0123456789"));
    (void)sample_put(&s, STR("good"), STR("x"));
    assert_int_equal(zdb_find(s.ns, STR("bad"), &v, &e), 0);
    damage(s.data, "d0", v.offset + 3);
    sample_expect_error(&s, STR("bad"), ERR_CORRUPT);
    assert_int_equal(zdb_check(s.ns, STR("bad"), &v, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "'bad'"));
    sample_reopen(&s);
    sample_expect_error(&s, STR("bad"), ERR_CORRUPT);
    sample_expect(&s, STR("good"), STR("x"));
    zdb_info(s.ns, &info);
    assert_int_equal(info.corrupt, 1);
    (void)sample_put(&s, STR("bad"), STR("0123456789")); /* the same again: it must be written */
    sample_expect(&s, STR("bad"), STR("0123456789"));
    sample_close(&s);
}

static void an_entry_without_its_record_is_reported_by_key_and_skipped(void **state) {
    (void)state;
    struct sample s;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("first"), STR("1"));
    (void)sample_put(&s, STR("second"), STR("2"));
    sample_close(&s);
    damage(s.data, "d0", ZDB_DATA_HEADER_BYTES + ZDB_RECORD_BYTES); /* the key in the record */
    sample_open(&s);
    assert_non_null(strstr(s.report, "'first'"));
    sample_expect_error(&s, STR("first"), ERR_NOT_FOUND);
    sample_expect(&s, STR("second"), STR("2"));
    sample_close(&s);
}

static void append(const char *folder, const char *name, struct str bytes) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(file_write_all(fd, bytes.p, bytes.n), 0);
}

static void torn_ends_are_cut_with_a_message(void **state) {
    (void)state;
    struct sample s;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), STR("1"));
    sample_close(&s);
    append(s.data, "d0", STR("\x05half a record of the data file, longer than a header"));
    append(s.index, "i0", STR("\x05half"));
    sample_open(&s);
    assert_non_null(strstr(s.report, "data file 0"));
    assert_non_null(strstr(s.report, "index file 0: a torn end of 5 bytes"));
    sample_expect(&s, STR("a"), STR("1"));
    (void)sample_put(&s, STR("b"), STR("2"));
    sample_reopen(&s);
    assert_string_equal(s.report, "");
    sample_expect(&s, STR("b"), STR("2"));
    sample_close(&s);
}

static void files_of_others_are_refused(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    sample_close(&s);
    damage(s.data, "d0", 0);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    damage(s.data, "d0", 0);
    damage(s.index, "i0", 4);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    damage(s.index, "i0", 4);
    sample_open(&s);
    struct zdb_namespace *second;
    assert_int_equal(zdb_open(&s.options, &second, &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    sample_close(&s);
}

/* ---- limits and ranges ---- */

static void keys_and_payloads_over_their_limits_are_refused(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    struct zdb_put_result r;
    char key[ZDB_KEY_BYTES_MAX + 1] = {1};
    AUTO_FREE char *payload = xmalloc(ZDB_PAYLOAD_BYTES_MAX + 1);
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    struct zdb_put put = {str_make(key, sizeof key), STR("x"), 0};
    assert_int_equal(zdb_put(s.ns, &put, &r, &e), -1);
    put.key = STR_NONE;
    assert_int_equal(zdb_put(s.ns, &put, &r, &e), -1);
    put.key = str_make(key, ZDB_KEY_BYTES_MAX);
    put.payload = str_make(payload, ZDB_PAYLOAD_BYTES_MAX + 1);
    assert_int_equal(zdb_put(s.ns, &put, &r, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    (void)sample_put(&s, put.key, str_make(payload, ZDB_PAYLOAD_BYTES_MAX));
    sample_reopen(&s);
    sample_expect(&s, put.key, str_make(payload, ZDB_PAYLOAD_BYTES_MAX));
    sample_close(&s);
}

static void ranges_of_a_checked_value_are_its_bytes(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    AUTO(zdb_value_done) struct zdb_value v = {0};
    char part[1000];
    size_t n = (size_t)1 << 20;
    AUTO_FREE char *payload = xmalloc(n);
    for (size_t i = 0; i < n; i++) payload[i] = (char)(i * i >> 7);
    sample_init(&s, ZDB_SEQ);
    sample_open(&s);
    (void)sample_put(&s, STR_NONE, str_make(payload, n));
    struct str id = STR("\0\0\0\0\0\0\0\0");
    assert_int_equal(zdb_find(s.ns, id, &v, &e), 0);
    assert_int_equal(zdb_check(s.ns, id, &v, &e), 0);
    for (uint32_t from = 0; from + sizeof part <= n; from += 77777) {
        struct zdb_range range = {from, sizeof part};
        assert_int_equal(zdb_read_range(s.ns, &v, range, part, &e), 0);
        assert_memory_equal(part, payload + from, sizeof part);
    }
    assert_int_equal(zdb_read_range(s.ns, &v, (struct zdb_range){(uint32_t)n, 0}, part, &e), 0);
    assert_int_equal(zdb_read_range(s.ns, &v, (struct zdb_range){(uint32_t)n, 1}, part, &e), -1);
    assert_int_equal(zdb_read_range(s.ns, &v, (struct zdb_range){UINT32_MAX, UINT32_MAX}, part, &e),
                     -1);
    assert_int_equal(e.kind, ERR_INVALID);
    sample_close(&s);
}

static void places_that_name_nothing_are_refused(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct zdb_scanned found;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), STR("1"));
    (void)sample_put(&s, STR("b"), STR("1"));
    for (uint32_t at = 0; at < 200; at++) {
        bool is_a = at == ZDB_INDEX_HEADER_BYTES;
        assert_int_equal(zdb_history(s.ns, STR("a"), 0, at, &v, &e), is_a ? 0 : -1);
        zdb_value_done(&v);
    }
    assert_int_equal(zdb_history(s.ns, STR("a"), 7, 29, &v, &e), -1);
    struct zdb_cursor c = {.key_bytes = 1, .file_id = 3, .offset = 29};
    assert_int_equal(zdb_scan(s.ns, ZDB_FORWARD, &c, &found, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    sample_close(&s);
}

/* ---- settings ---- */

static void configure(struct sample *s, enum zdb_durability durability, uint32_t versions_max) {
    struct zdb_settings set;
    struct err e = {0};
    zdb_settings(s->ns, &set);
    set.durability = durability;
    set.interval_ms = durability == ZDB_INTERVAL ? 7 : 0;
    set.versions_max = versions_max;
    if (zdb_configure(s->ns, &set, &e) < 0) fail_msg("configure: %s", e.msg);
}

static void expect_settings(struct sample *s, enum zdb_durability durability,
                            uint32_t versions_max) {
    struct zdb_info info;
    struct zdb_settings set;
    zdb_info(s->ns, &info);
    zdb_settings(s->ns, &set);
    assert_int_equal(info.durability, durability);
    assert_int_equal(set.durability, durability);
    assert_int_equal(info.interval_ms, durability == ZDB_INTERVAL ? 7 : 0);
    assert_int_equal(info.versions_max, versions_max);
    assert_int_equal(set.versions_max, versions_max);
}

static void settings_count_at_once_and_after_a_restart(void **state) {
    (void)state;
    struct sample s;
    char key[16];
    const enum zdb_durability all[] = {ZDB_NEVER,    ZDB_INTERVAL, ZDB_ALWAYS,
                                       ZDB_INTERVAL, ZDB_NEVER,    ZDB_ALWAYS};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    expect_settings(&s, ZDB_ALWAYS, ZDB_KEEP_ALL);
    for (uint32_t i = 0; i < 2 * COUNT(all); i++) {
        (void)sample_put(&s, str_make(key, (size_t)snprintf(key, sizeof key, "k%u", i / 2)),
                         str_make(key, 1 + i % 2));
        configure(&s, all[i % COUNT(all)], i);
        expect_settings(&s, all[i % COUNT(all)], i);
        sample_reopen(&s);
        assert_string_equal(s.report, "");
        expect_settings(&s, all[i % COUNT(all)], i);
    }
    for (uint32_t i = 0; i < COUNT(all); i++) {
        int n = snprintf(key, sizeof key, "k%u", i);
        sample_expect(&s, str_make(key, (size_t)n), str_make(key, 2));
    }
    sample_close(&s);
}

static void a_durability_that_nobody_set_follows_the_options(void **state) {
    (void)state;
    struct sample s;
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    configure(&s, ZDB_ALWAYS, 3); /* as it was */
    sample_close(&s);
    s.options.durability = ZDB_NEVER;
    sample_open(&s);
    expect_settings(&s, ZDB_NEVER, 3);
    sample_close(&s);
}

static void wrong_settings_are_refused_and_change_nothing(void **state) {
    (void)state;
    struct sample s;
    struct zdb_settings set;
    struct err e = {0};
    char password[ZDB_PASSWORD_BYTES_MAX + 1] = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    zdb_settings(s.ns, &set);
    set.durability = ZDB_INTERVAL;
    assert_int_equal(zdb_configure(s.ns, &set, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    zdb_settings(s.ns, &set);
    set.password = str_make(password, sizeof password);
    assert_int_equal(zdb_configure(s.ns, &set, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    expect_settings(&s, ZDB_ALWAYS, ZDB_KEEP_ALL);
    sample_close(&s);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, s.index);
    assert_int_equal(file_write_durable(dir, "zdb-settings", STR("versions_max many\n"), 0600), 0);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "line 1"));
    char much[ZDB_SETTINGS_BYTES_MAX + 1] = {0};
    assert_int_equal(file_write_durable(dir, "zdb-settings", str_make(much, sizeof much), 0600), 0);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
}

/* ---- flush ---- */

static void expect_empty(struct sample *s, enum zdb_mode mode) {
    struct zdb_info info;
    struct zdb_scanned found;
    struct err e = {0};
    zdb_info(s->ns, &info);
    assert_int_equal(info.mode, mode);
    assert_int_equal(info.entries, 0);
    assert_int_equal(info.live_bytes, 0);
    assert_int_equal(info.file_id, 0);
    assert_int_equal(info.data_bytes, ZDB_DATA_HEADER_BYTES);
    assert_int_equal(info.index_bytes, ZDB_INDEX_HEADER_BYTES);
    assert_int_equal(zdb_scan(s->ns, ZDB_FORWARD, NULL, &found, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_flush_leaves_nothing_but_settings_and_values_in_use(void **state) {
    (void)state;
    struct sample s;
    AUTO(zdb_value_done) struct zdb_value v = {0};
    AUTO(buf_done) struct buf out = BUF(100);
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    configure(&s, ZDB_NEVER, 5);
    for (unsigned i = 0; i < 3; i++) {
        (void)sample_put(&s, STR("kept"), STR("in use"));
        (void)sample_put(&s, STR("other"), STR("x"));
        assert_int_equal(zdb_jump(s.ns, &e), 0);
    }
    assert_int_equal(zdb_find(s.ns, STR("kept"), &v, &e), 0);
    assert_int_equal(zdb_flush(s.ns, ZDB_SEQ, &e), 0);
    expect_empty(&s, ZDB_SEQ);
    assert_int_equal(zdb_read(s.ns, STR("kept"), &v, &out, &e), 0);
    assert_true(str_eq(buf_view(&out), STR("in use")));
    assert_int_equal(file_exists(AT_FDCWD, s.data) > 0, 1);
    expect_settings(&s, ZDB_NEVER, 5);
    sample_reopen(&s);
    assert_string_equal(s.report, "");
    expect_empty(&s, ZDB_SEQ);
    expect_settings(&s, ZDB_NEVER, 5);
    assert_int_equal(sample_put(&s, STR_NONE, STR("first")).id, 0);
    sample_reopen(&s);
    sample_expect(&s, STR("\0\0\0\0\0\0\0\0"), STR("first"));
    sample_close(&s);
}

static void a_flush_is_refused_in_worm_mode(void **state) {
    (void)state;
    struct sample s;
    struct zdb_settings set;
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), STR("1"));
    zdb_settings(s.ns, &set);
    set.is_worm = true;
    assert_int_equal(zdb_configure(s.ns, &set, &e), 0);
    assert_int_equal(zdb_flush(s.ns, ZDB_USER, &e), -1);
    assert_int_equal(e.kind, ERR_DENIED);
    sample_expect(&s, STR("a"), STR("1"));
    sample_close(&s);
}

static void an_opening_finishes_a_flush_that_was_begun(void **state) {
    (void)state;
    struct sample s;
    struct err e = {0};
    sample_init(&s, ZDB_USER);
    sample_open(&s);
    (void)sample_put(&s, STR("a"), STR("1"));
    assert_int_equal(zdb_jump(s.ns, &e), 0);
    sample_close(&s);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, s.index);
    assert_int_equal(file_write_durable(dir, "zdb-flush", STR("nonsense\n"), 0600), 0);
    assert_int_equal(zdb_open(&s.options, &s.ns, &e), -1);
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_int_equal(file_write_durable(dir, "zdb-flush", STR("seq\n"), 0600), 0);
    sample_open(&s);
    assert_non_null(strstr(s.report, "being emptied"));
    expect_empty(&s, ZDB_SEQ);
    sample_reopen(&s);
    assert_string_equal(s.report, "");
    sample_close(&s);
}

/* Right behind each growth of the table is where it costs the most. */
static void a_key_costs_48_bytes_at_most_and_an_id_none(void **state) {
    (void)state;
    char name[24];
    struct zdb_info info;
    for (int mode = ZDB_USER; mode <= ZDB_SEQ; mode++) {
        struct sample s;
        sample_init(&s, (enum zdb_mode)mode);
        s.options.durability = ZDB_NEVER;
        sample_open(&s);
        for (unsigned i = 1; i <= 25000; i++) {
            int n = mode == ZDB_SEQ ? 0 : snprintf(name, sizeof name, "k%u", i);
            (void)sample_put(&s, str_make(name, (size_t)n), STR("v"));
            zdb_info(s.ns, &info);
            assert_true(info.memory_bytes <= (mode == ZDB_SEQ ? 0 : 48 * i + 2048));
        }
        sample_reopen(&s);
        zdb_info(s.ns, &info);
        assert_true(info.memory_bytes <= (mode == ZDB_SEQ ? 0 : 48 * 25000));
        sample_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_mode_does_what_a_model_does),
        cmocka_unit_test(seq_mode_does_what_a_model_does),
        cmocka_unit_test(many_writers_share_syncs_and_lose_nothing),
        cmocka_unit_test(a_changed_payload_is_an_error_that_names_the_key_never_served),
        cmocka_unit_test(an_entry_without_its_record_is_reported_by_key_and_skipped),
        cmocka_unit_test(torn_ends_are_cut_with_a_message),
        cmocka_unit_test(files_of_others_are_refused),
        cmocka_unit_test(keys_and_payloads_over_their_limits_are_refused),
        cmocka_unit_test(ranges_of_a_checked_value_are_its_bytes),
        cmocka_unit_test(places_that_name_nothing_are_refused),
        cmocka_unit_test(settings_count_at_once_and_after_a_restart),
        cmocka_unit_test(a_durability_that_nobody_set_follows_the_options),
        cmocka_unit_test(wrong_settings_are_refused_and_change_nothing),
        cmocka_unit_test(a_flush_leaves_nothing_but_settings_and_values_in_use),
        cmocka_unit_test(a_flush_is_refused_in_worm_mode),
        cmocka_unit_test(an_opening_finishes_a_flush_that_was_begun),
        cmocka_unit_test(a_key_costs_48_bytes_at_most_and_an_id_none),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
