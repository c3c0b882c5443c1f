/* SPDX-License-Identifier: Apache-2.0 — zdb_power_test.c: power cuts that really drop what was not
 * synced: an ext4 with a journal is shut down without writing it, in the middle of several writers.
 *
 * Each writer has keys of its own and remembers, per key, the version that was acknowledged last
 * and the span of versions that it tried since. After the cut a key has one of these, whole. What
 * was found counts as acknowledged for the next round, which goes on with the same files.
 * ZDB_POWER_SECONDS makes it run longer than the rounds that CI has time for. */
#include "storage/zdb/zdb_disk.h"

#include "base/clock.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>

#define DISK_BYTES   ((uint64_t)160 << 20)
#define FILE_BYTES   ((uint64_t)256 << 10) /* a round starts some new files */
#define FILES_ENOUGH 150                   /* then a new disk: it does not compact */
#define WRITERS      4
#define KEYS         24 /* of each writer */
#define OPS_MAX      500
#define GROUP_MAX    6
#define GONE_MAX     16
#define ROUNDS       25 /* per key mode */
#define VALUE_BYTES  6000
#define VALUE_HEADER 24 /* writer, key, version: u64 each */

struct key {
    uint64_t id;           /* seq; UINT64_MAX: none yet */
    uint64_t acknowledged; /* version, 0: not there */
    uint64_t tried_from;   /* versions since then: a put of its number, or a deletion */
    uint64_t tried_to;     /* equal to tried_from: none */
    bool was_deleted;      /* among the tried ones */
};

struct writer {
    struct power *power;
    unsigned number;
    uint64_t seed, version;
    unsigned waiting[GROUP_MAX]; /* keys of the writes that are not committed yet */
    unsigned waiting_count;
    struct key keys[KEYS];
    uint64_t acknowledged;   /* writes */
    uint64_t gone[GONE_MAX]; /* seq: the ids whose deletion was acknowledged last */
    unsigned gone_count;     /* ever */
};

struct power {
    struct disk disk;
    struct sample s;
    struct writer writers[WRITERS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned ops, cut_at;
    atomic_bool is_cut; /* what is acknowledged from now on nobody hears: a sync that the shutdown
                         * overtakes returns 0 on Linux 6.18, though nothing was written */
};

static uint32_t below(uint64_t *seed, uint32_t n) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 33) % n;
}

static struct str value_of(const struct writer *w, unsigned key, uint64_t version, char *out) {
    uint64_t seed = version * 0x9e3779b97f4a7c15u + w->number * 1009 + key + 1;
    size_t n = VALUE_HEADER + below(&seed, VALUE_BYTES - VALUE_HEADER);
    uint64_t head[] = {w->number, key, version};
    memcpy(out, head, sizeof head);
    for (size_t i = sizeof head; i < n; i++) out[i] = (char)below(&seed, 256);
    return str_make(out, n);
}

static struct str key_of(const struct writer *w, unsigned key, char out[32]) {
    if (w->power->s.options.mode == ZDB_USER)
        return str_make(out, (size_t)snprintf(out, 32, "writer-%u-key-%u", w->number, key));
    zdb_id_encode(w->keys[key].id, (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

/* ---- the writers ---- */

static int put(struct writer *w, unsigned k, uint64_t *out_ticket) {
    char name[32];
    char value[VALUE_BYTES];
    struct zdb_put_result r;
    struct err e = {0};
    struct key *key = &w->keys[k];
    bool is_new = w->power->s.options.mode == ZDB_SEQ && key->id == UINT64_MAX;
    struct zdb_put p = {is_new ? STR_NONE : key_of(w, k, name), value_of(w, k, w->version, value),
                        SAMPLE_TIME_S};
    if (zdb_put(w->power->s.ns, &p, &r, &e) < 0) return -1;
    if (is_new) key->id = r.id;
    *out_ticket = r.ticket;
    return 0;
}

/* One put or deletion; -1 when it was refused. */
static int write_one(struct writer *w, unsigned k, uint64_t *out_ticket) {
    char name[32];
    struct err e = {0};
    struct key *key = &w->keys[k];
    bool is_seq = w->power->s.options.mode == ZDB_SEQ;
    bool is_there = key->acknowledged > 0 && key->tried_from == key->tried_to;
    bool is_delete = is_there && below(&w->seed, is_seq ? 30 : 4) == 0;
    w->version++;
    if (key->tried_from == key->tried_to) key->tried_from = w->version;
    key->tried_to = w->version + 1;
    if (!is_delete) return put(w, k, out_ticket);
    key->was_deleted = true;
    return zdb_delete(w->power->s.ns, key_of(w, k, name), SAMPLE_TIME_S, out_ticket, &e);
}

static void acknowledge(struct writer *w) {
    for (unsigned i = 0; i < w->waiting_count; i++) {
        struct key *key = &w->keys[w->waiting[i]];
        uint64_t last = key->tried_to - 1;
        key->acknowledged = key->was_deleted ? 0 : last;
        if (key->was_deleted && w->power->s.options.mode == ZDB_SEQ) {
            w->gone[w->gone_count++ % GONE_MAX] = key->id;
            key->id = UINT64_MAX;
        }
        key->was_deleted = false;
        key->tried_from = key->tried_to = 0;
        w->acknowledged++;
    }
    w->waiting_count = 0;
}

static void count_op(struct power *p) {
    (void)pthread_mutex_lock(&p->lock);
    p->ops++;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->lock);
}

/* Writes until the power is gone. A key is in one write of a group, so that it is known what the
 * group's acknowledgement means for it. */
static void *write_on(void *arg) {
    struct writer *w = arg;
    struct err e = {0};
    for (;;) {
        unsigned group = 1 + below(&w->seed, GROUP_MAX);
        unsigned first = below(&w->seed, KEYS);
        uint64_t ticket = 0;
        for (unsigned i = 0; i < group; i++) {
            unsigned k = (first + i * 5) % KEYS;
            count_op(w->power);
            if (write_one(w, k, &ticket) < 0) return NULL;
            w->waiting[w->waiting_count++] = k;
        }
        if (zdb_commit(w->power->s.ns, ticket, &e) < 0) return NULL;
        if (atomic_load(&w->power->is_cut)) return NULL;
        acknowledge(w);
    }
}

static void *cut_at(void *arg) {
    struct power *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    while (p->ops < p->cut_at) (void)pthread_cond_wait(&p->changed, &p->lock);
    (void)pthread_mutex_unlock(&p->lock);
    atomic_store(&p->is_cut, true);
    disk_cut();
    return NULL;
}

/* ---- after it ---- */

/* The version that is there, whole; 0: none. */
static uint64_t version_there(const struct writer *w, unsigned k) {
    AUTO(buf_done) struct buf out = BUF(VALUE_BYTES);
    char name[32];
    char value[VALUE_BYTES];
    uint64_t head[3];
    if (w->power->s.options.mode == ZDB_SEQ && w->keys[k].id == UINT64_MAX) return 0;
    enum err_kind kind = sample_get(&w->power->s, key_of(w, k, name), &out);
    if (kind == ERR_NOT_FOUND) return 0;
    assert_int_equal(kind, ERR_NONE);
    assert_true(out.n >= sizeof head);
    memcpy(head, out.p, sizeof head);
    /* An id that was not acknowledged may be another writer's by now. */
    if (head[0] != w->number || head[1] != k) return UINT64_MAX;
    assert_true(str_eq(buf_view(&out), value_of(w, k, head[2], value)));
    return head[2];
}

static void check_key(struct writer *w, unsigned k) {
    struct key *key = &w->keys[k];
    uint64_t found = version_there(w, k);
    bool is_allowed = found == key->acknowledged;
    if (key->tried_from < key->tried_to) {
        is_allowed |= found >= key->tried_from && found < key->tried_to;
        is_allowed |= found == 0 && key->was_deleted;
    }
    if (found == UINT64_MAX && key->acknowledged == 0) { /* it never was */
        is_allowed = w->power->s.options.mode == ZDB_SEQ;
        found = 0;
    }
    if (!is_allowed)
        fail_msg("writer %u key %u: version %llu, acknowledged %llu, tried %llu to %llu\n%s",
                 w->number, k, (unsigned long long)found, (unsigned long long)key->acknowledged,
                 (unsigned long long)key->tried_from, (unsigned long long)key->tried_to,
                 w->power->s.report);
    uint64_t id = found == 0 ? UINT64_MAX : key->id;
    *key = (struct key){.id = id, .acknowledged = found};
}

static void check_gone(const struct writer *w) {
    uint8_t id[ZDB_ID_BYTES];
    for (unsigned i = 0; i < w->gone_count && i < GONE_MAX; i++) {
        zdb_id_encode(w->gone[i], id);
        sample_expect_error(&w->power->s, str_make((char *)id, sizeof id), ERR_NOT_FOUND);
    }
}

static uint64_t run_round(struct power *p) {
    pthread_t threads[WRITERS + 1];
    uint64_t before = 0;
    uint64_t after = 0;
    struct err e = {0};
    p->ops = 0;
    atomic_store(&p->is_cut, false);
    p->cut_at = 1 + (unsigned)random_below(OPS_MAX);
    for (unsigned i = 0; i < WRITERS; i++) before += p->writers[i].acknowledged;
    assert_int_equal(pthread_create(&threads[WRITERS], NULL, cut_at, p), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &p->writers[i]), 0);
    for (unsigned i = 0; i <= WRITERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)!zdb_close(p->s.ns, &e);
    disk_restart(&p->disk);
    sample_open(&p->s);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *w = &p->writers[i];
        for (unsigned k = 0; k < KEYS; k++) check_key(w, k);
        check_gone(w);
        w->waiting_count = 0;
        after += w->acknowledged;
    }
    return after - before;
}

static void on_found(void *user, struct str key, const char *text) {
    (void)user;
    (void)key;
    print_message("scrub: %s\n", text);
}

/* What recovery made of it is what the next opening finds, and is sound. */
static void check_reopened(struct power *p) {
    struct zdb_scrub_options o = {.found = on_found};
    struct zdb_scrub_result result;
    struct err e = {0};
    sample_reopen(&p->s);
    assert_string_equal(p->s.report, "");
    assert_int_equal(zdb_scrub(p->s.ns, &o, &result, &e), 0);
    assert_int_equal(result.corrupt, 0);
    for (unsigned i = 0; i < WRITERS; i++)
        for (unsigned k = 0; k < KEYS; k++) {
            struct writer *w = &p->writers[i];
            if (w->keys[k].acknowledged > 0)
                assert_int_equal(version_there(w, k), w->keys[k].acknowledged);
        }
}

static void power_on(struct power *p, enum zdb_mode mode) {
    disk_make(&p->disk, DISK_BYTES);
    disk_sample(&p->s, mode);
    p->s.options.data_file_bytes = FILE_BYTES;
    sample_open(&p->s);
    for (unsigned i = 0; i < WRITERS; i++) {
        struct writer *w = &p->writers[i];
        *w = (struct writer){.power = p, .number = i, .version = w->version};
        random_bytes(&w->seed, sizeof w->seed);
        w->seed |= 1;
        for (unsigned k = 0; k < KEYS; k++) w->keys[k].id = UINT64_MAX;
    }
}

static void power_off(struct power *p) {
    sample_close(&p->s);
    disk_done(&p->disk);
}

static void cut_often(enum zdb_mode mode) {
    struct power *p = xnew(struct power);
    const char *seconds = getenv("ZDB_POWER_SECONDS");
    uint64_t wanted_s = 0;
    uint64_t acknowledged = 0;
    struct zdb_info info;
    if (seconds) assert_int_equal(str_u64(str_of(seconds), &wanted_s), 0);
    uint64_t until = clock_ms() + wanted_s * 1000;
    unsigned rounds = 0;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->changed, NULL);
    power_on(p, mode);
    for (; rounds < ROUNDS || clock_ms() < until; rounds++) {
        acknowledged += run_round(p);
        if (rounds % 5 == 0) check_reopened(p);
        zdb_info(p->s.ns, &info);
        if (info.file_id < FILES_ENOUGH) continue;
        power_off(p);
        power_on(p, mode);
    }
    print_message("%u power cuts, %llu acknowledged writes\n", rounds,
                  (unsigned long long)acknowledged);
    assert_true(acknowledged > rounds * 10); /* it did cut in the middle of something */
    power_off(p);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static void what_was_acknowledged_outlives_power_cuts(void **state) {
    (void)state;
    cut_often(ZDB_USER);
}

static void what_was_acknowledged_outlives_power_cuts_in_seq_mode(void **state) {
    (void)state;
    cut_often(ZDB_SEQ);
}

/* The test itself: without acknowledgements from the disk, things are lost here. */
static void what_was_not_synced_is_really_gone_here(void **state) {
    (void)state;
    struct disk disk;
    struct stat st;
    disk_make(&disk, 16u << 20);
    AUTO_CLOSE int fd = open(DISK_PATH "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "synced", 6, 0), 6);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(pwrite(fd, "not synced", 10, 6), 10);
    disk_cut();
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(close(STEAL_FD(fd)), 0);
    disk_restart(&disk);
    assert_int_equal(stat(DISK_PATH "/file", &st), 0);
    assert_int_equal(st.st_size, 6);
    disk_done(&disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_synced_is_really_gone_here),
        cmocka_unit_test(what_was_acknowledged_outlives_power_cuts),
        cmocka_unit_test(what_was_acknowledged_outlives_power_cuts_in_seq_mode),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
