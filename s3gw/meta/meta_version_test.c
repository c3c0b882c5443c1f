/* SPDX-License-Identifier: Apache-2.0 — meta_version_test.c: versioning against a model, and where
 * each chunk is after random changes.
 *
 * The model keeps, for each key, its versions newest first, and knows the rules of AWS only as they
 * are written: a write with versioning off or suspended replaces the null version. */
#include "base/sqlite.h"
#include "s3gw/meta/chunk_list.h"
#include "s3gw/meta/meta_sample.h"

#define B            STR("bucket")
#define KEYS         5
#define VERSIONS_MAX 64
#define IDS_MAX      65536

struct version {
    uint64_t id;
    bool is_null, is_marker;
};
struct key {
    struct version v[VERSIONS_MAX];
    size_t count;
};
struct model {
    struct sample s;
    uint64_t seed;
    enum meta_versioning versioning;
    struct key keys[KEYS];
    uint8_t given[IDS_MAX], reclaimed[IDS_MAX];
};
static struct model model;

static struct str key_name(size_t i) {
    static const char *const NAMES[KEYS] = {"a", "a/b", "a/b/c", "b", "\xff"};
    return str_of(NAMES[i]);
}

static uint64_t dice(struct model *m, uint64_t sides) { return sample_random(&m->seed) % sides; }

static void drop(struct key *k, size_t at) {
    memmove(k->v + at, k->v + at + 1, (k->count - at - 1) * sizeof k->v[0]);
    k->count--;
}

static void add(struct model *m, struct key *k, uint64_t id, bool is_marker) {
    bool is_null = m->versioning != META_ENABLED;
    for (size_t i = 0; is_null && i < k->count; i++)
        if (k->v[i].is_null) drop(k, i--);
    assert_true(k->count < VERSIONS_MAX);
    memmove(k->v + 1, k->v, k->count * sizeof k->v[0]);
    k->v[0] = (struct version){id, is_null, is_marker};
    k->count++;
}

/* ---- random changes ---- */

static struct meta_chunks some_chunks(struct model *m, struct meta_chunk out[8]) {
    struct meta_chunks c = sample_chunks(&m->s, out, 1 + (uint32_t)dice(m, 8));
    for (size_t i = 0; i < c.count; i++) {
        assert_true(c.p[i].id < IDS_MAX);
        m->given[c.p[i].id]++;
    }
    return c;
}

static void do_put(struct model *m, size_t at) {
    struct meta_chunk chunks[8];
    struct key *k = &m->keys[at];
    struct meta_op op = dice(m, 3) ? sample_put_chunks(B, key_name(at), some_chunks(m, chunks))
                                   : sample_put(B, key_name(at), STR("inline"));
    op.put.conditions.none_may_exist = dice(m, 4) == 0;
    bool exists = k->count && !k->v[0].is_marker;
    enum meta_why why = sample_run(&m->s, &op);
    assert_int_equal(why, op.put.conditions.none_may_exist && exists ? META_PRECONDITION : META_OK);
    if (why != META_OK) return;
    add(m, k, op.new_version, false);
    assert_int_equal(op.is_null, k->v[0].is_null);
}

static void do_copy(struct model *m, size_t at) {
    size_t from = (size_t)dice(m, KEYS);
    struct key *k = &m->keys[from];
    struct meta_op op = {.verb = META_PUT,
                         .bucket = B,
                         .key = key_name(at),
                         .put = {.source = {.bucket = B, .key = key_name(from)}}};
    bool by_version = k->count && dice(m, 2);
    const struct version *v = by_version ? &k->v[dice(m, k->count)] : &k->v[0];
    if (by_version) op.put.source.version = v->is_null ? META_NULL_VERSION : v->id;
    enum meta_why why = sample_run(&m->s, &op);
    bool there = k->count && !v->is_marker;
    assert_int_equal(why, there ? META_OK : by_version ? META_NO_VERSION : META_NO_KEY);
    if (why == META_OK) add(m, &m->keys[at], op.new_version, false);
}

static void do_delete(struct model *m, size_t at) {
    struct key *k = &m->keys[at];
    struct meta_op op = sample_delete(B, key_name(at), META_LATEST);
    sample_ok(&m->s, &op);
    assert_int_equal(op.was_found, k->count && !k->v[0].is_marker);
    if (m->versioning != META_UNVERSIONED)
        add(m, k, op.new_version, true);
    else if (k->count)
        drop(k, 0);
}

static void do_delete_version(struct model *m, size_t at) {
    struct key *k = &m->keys[at];
    if (!k->count) return;
    size_t which = (size_t)dice(m, k->count);
    struct version v = k->v[which];
    bool by_null = v.is_null && dice(m, 2);
    struct meta_op op = sample_delete(B, key_name(at), by_null ? META_NULL_VERSION : v.id);
    sample_ok(&m->s, &op);
    assert_true(op.was_found && op.new_version == v.id && op.is_marker == v.is_marker);
    drop(k, which);
    sample_ok(&m->s, &op);
    assert_false(op.was_found);
}

static void do_upload(struct model *m, size_t at) {
    struct meta_chunk chunks[8];
    struct meta_op begin = {.verb = META_UPLOAD_BEGIN, .bucket = B, .key = key_name(at)};
    struct meta_part_named parts[4];
    size_t n = 0;
    sample_ok(&m->s, &begin);
    for (uint32_t number = 1; number <= 4; number++) {
        struct meta_chunks c = some_chunks(m, chunks);
        struct meta_op put = {.verb = META_PART_PUT,
                              .bucket = B,
                              .key = key_name(at),
                              .part_put = {.upload = begin.upload,
                                           .number = number - (number > 1 && dice(m, 3) == 0),
                                           .size_bytes = c.count,
                                           .chunks = c}};
        sample_ok(&m->s, &put);
        bool again = n && parts[n - 1].number == put.part_put.number;
        if (again || (n && dice(m, 4) == 0)) continue;
        parts[n++] = (struct meta_part_named){.number = put.part_put.number};
    }
    struct meta_op end = {
        .verb = META_UPLOAD_ABORT, .bucket = B, .key = key_name(at), .abort = begin.upload};
    bool completes = dice(m, 2);
    if (completes) {
        end.verb = META_UPLOAD_COMPLETE;
        end.complete =
            (struct meta_complete_in){.upload = begin.upload, .parts = parts, .parts_count = n};
    }
    sample_ok(&m->s, &end);
    if (completes) add(m, &m->keys[at], end.new_version, false);
}

static void do_discard(struct model *m, size_t at) {
    (void)at;
    struct meta_chunk chunks[8];
    struct meta_op op = {.verb = META_DISCARD, .discard = some_chunks(m, chunks)};
    if (dice(m, 2)) sample_ok(&m->s, &op); /* else: the writer "dies" at the next opening */
}

static void do_reclaim(struct model *m, size_t at) {
    (void)at;
    struct meta_garbage g;
    const struct meta_garbage_query q = {.before_ms = UINT32_MAX, .chunks_max = META_CHUNKS_MAX};
    assert_int_equal(meta_garbage(&m->s.r, &q, &g, &m->s.e), 0);
    for (size_t i = 0; i < g.count; i++) {
        if (dice(m, 2)) continue;
        for (size_t j = 0; j < g.p[i].chunks.count; j++) m->reclaimed[g.p[i].chunks.p[j].id]++;
        struct meta_op op = {.verb = META_RECLAIMED, .reclaimed = {&g.p[i].token, 1}};
        sample_ok(&m->s, &op);
    }
}

static void do_switch(struct model *m, size_t at) {
    (void)at;
    struct meta_op op = {.verb = META_BUCKET_SET, .bucket = B};
    if (dice(m, 6)) return;
    m->versioning = dice(m, 2) ? META_ENABLED : META_SUSPENDED;
    op.settings = (struct meta_bucket_in){META_SET_VERSIONING, .versioning = m->versioning};
    sample_ok(&m->s, &op);
}

/* ---- comparing ---- */

static void compare_key(struct model *m, size_t at) {
    const struct key *k = &m->keys[at];
    struct meta_object o;
    enum meta_why why = sample_get(&m->s, B, key_name(at), META_LATEST, &o);
    assert_int_equal(why, k->count && !k->v[0].is_marker ? META_OK : META_NO_KEY);
    assert_int_equal(o.is_marker, k->count && k->v[0].is_marker);
    for (size_t i = 0; i < k->count; i++) {
        const struct version *v = &k->v[i];
        assert_int_equal(sample_get(&m->s, B, key_name(at), v->id, &o), META_OK);
        assert_true(o.is_null == v->is_null && o.is_marker == v->is_marker);
        assert_int_equal(o.is_latest, i == 0);
        if (!v->is_null) continue;
        assert_int_equal(sample_get(&m->s, B, key_name(at), META_NULL_VERSION, &o), META_OK);
        assert_int_equal(o.version, v->id);
    }
}

static void compare_list(struct model *m) {
    struct meta_page page;
    const struct meta_list_query q = {.what = META_LIST_VERSIONS, .bucket = B, .max = 1000};
    assert_int_equal(meta_list(&m->s.r, &q, &page, &m->s.e), 0);
    size_t n = 0;
    for (size_t at = 0; at < KEYS; at++)
        for (size_t i = 0; i < m->keys[at].count; i++, n++) {
            const struct version *v = &m->keys[at].v[i];
            assert_true(n < page.count && page.p[n].id == v->id);
            assert_true(page.p[n].is_latest == (i == 0) && page.p[n].is_null == v->is_null &&
                        page.p[n].is_marker == v->is_marker);
        }
    assert_int_equal(page.count, n);
}

static void compare(struct model *m) {
    for (size_t at = 0; at < KEYS; at++) compare_key(m, at);
    compare_list(m);
    sample_check(&m->s);
    arena_done(&m->s.a);
}

/* Where every id of the database is: 1 for each place. */
static void count_lists(struct sqlite *db, const char *sql, uint8_t *seen) {
    struct err e;
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    assert_int_equal(SQL_SELECT(db, &rows, &e, sql), 0);
    while (sqlite_next(&rows, &e) > 0) {
        struct chunk_list list = CHUNK_LIST(sqlite_bytes(&rows, 0));
        struct meta_chunk chunk;
        while (chunk_list_next(&list, &chunk) > 0) seen[chunk.id]++;
    }
}

/* Every id that was given out is in exactly one place or was reclaimed once. */
static void account_for_chunks(struct model *m) {
    static uint8_t seen[IDS_MAX];
    memset(seen, 0, sizeof seen);
    AUTO_FREE char *path = xasprintf("%s/meta.db", m->s.dir);
    const struct sqlite_options o = {
        .path = path, .version = 1, .remedy = "", .cache_bytes = 1 << 16, .shared = true};
    struct sqlite *db = sqlite_open(&o, &m->s.e);
    assert_non_null(db);
    count_lists(db, "SELECT list FROM body WHERE form = 0", seen);
    count_lists(db, "SELECT list FROM part", seen);
    count_lists(db, "SELECT list FROM garbage WHERE form = 0", seen);
    {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        assert_int_equal(SQL_SELECT(db, &rows, &m->s.e, "SELECT word, open FROM intent"), 0);
        while (sqlite_next(&rows, &m->s.e) > 0)
            for (uint64_t i = 0; i < 64; i++)
                if (sqlite_number(&rows, 1) >> i & 1) seen[sqlite_number(&rows, 0) * 64 + i]++;
    }
    sqlite_close(db);
    for (size_t id = 0; id < IDS_MAX; id++) {
        if (!m->given[id]) continue;
        if (m->given[id] != 1 || seen[id] + m->reclaimed[id] != 1)
            fail_msg("chunk %zu: given %u times, in %u places, reclaimed %u times", id,
                     m->given[id], seen[id], m->reclaimed[id]);
    }
}

static void run_model(uint64_t seed) {
    static void (*const DO[])(struct model *, size_t) = {do_put,
                                                         do_put,
                                                         do_put,
                                                         do_copy,
                                                         do_delete,
                                                         do_delete_version,
                                                         do_delete_version,
                                                         do_upload,
                                                         do_discard,
                                                         do_reclaim,
                                                         do_switch};
    struct model *m = &model;
    *m = (struct model){.seed = seed * UINT64_C(0x9e3779b97f4a7c15)};
    sample_open(&m->s);
    m->versioning = seed % 2 ? META_UNVERSIONED : META_ENABLED;
    sample_bucket(&m->s, B, m->versioning);
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 60; i++) DO[dice(m, COUNT(DO))](m, (size_t)dice(m, KEYS));
        compare(m);
        if (round % 2) sample_reopen(&m->s);
        account_for_chunks(m);
    }
    compare(m);
    sample_close(&m->s);
}

static void random_changes_leave_what_the_model_says_and_lose_no_chunk(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) run_model(seed);
}

static void usage_counts_what_is_there(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_ENABLED);
    struct meta_op one = sample_put(B, STR("a"), STR("123")),
                   two = sample_put(B, STR("a"), STR("4"));
    struct meta_op del = sample_delete(B, STR("a"), META_LATEST);
    sample_ok(&s, &one);
    sample_ok(&s, &two);
    sample_ok(&s, &del);
    struct meta_bucket b;
    assert_int_equal(meta_bucket(&s.r, B, &b, &s.e), 0);
    assert_int_equal(b.objects, 0);
    assert_int_equal(b.versions, 3);
    assert_int_equal(b.bytes, 4);
    struct meta_op undo = sample_delete(B, STR("a"), del.new_version);
    sample_ok(&s, &undo);
    assert_int_equal(meta_bucket(&s.r, B, &b, &s.e), 0);
    assert_int_equal(b.objects, 1);
    assert_int_equal(b.versions, 2);
    sample_close(&s);
}

static void the_bytes_of_a_deleted_key_are_not_listed_but_its_versions_are(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_ENABLED);
    struct meta_op put = sample_put(B, STR("a"), STR("1"));
    struct meta_op del = sample_delete(B, STR("a"), META_LATEST), again = del;
    sample_ok(&s, &put);
    sample_ok(&s, &del);
    sample_ok(&s, &again); /* a marker on a marker */
    struct meta_page page;
    struct meta_list_query q = {.bucket = B, .max = 10};
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 0);
    q.what = META_LIST_VERSIONS;
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 3);
    assert_true(page.p[0].is_marker && page.p[0].is_latest && !page.p[1].is_latest);
    assert_int_equal(page.p[1].since_ms, again.now_ms);
    assert_int_equal(page.p[2].since_ms, del.now_ms);
    sample_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_leave_what_the_model_says_and_lose_no_chunk),
        cmocka_unit_test(usage_counts_what_is_there),
        cmocka_unit_test(the_bytes_of_a_deleted_key_are_not_listed_but_its_versions_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
