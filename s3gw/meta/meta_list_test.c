/* SPDX-License-Identifier: Apache-2.0 — meta_list_test.c: lists against a brute-force model.
 *
 * Keys are made of the bytes that break orders: 0x01, '+', '/', 0x7f, 0xff, halves of surrogates'
 * encodings (U+FFFF sorts below U+10000 in bytes, above it in UTF-16), and keys that begin with
 * each other. Whatever the page size, the pages together must be the model's list. */
#include "s3gw/meta/meta_sample.h"

#define B         STR("bucket")
#define KEYS_MAX  400
#define ITEMS_MAX 4000
#define KEY_PARTS 6

struct version {
    uint64_t id;
    bool is_marker;
};
struct key {
    char p[64];
    size_t n;
    struct version versions[6]; /* newest first */
    size_t versions_count;
};
static struct key keys[KEYS_MAX];
static size_t keys_count;

struct item {
    struct str key;
    bool is_prefix, is_latest, is_marker;
    uint64_t id;
};
struct items {
    struct item p[ITEMS_MAX];
    size_t count;
};
static struct items expected, got;

static const char *const PIECES[] = {"a",    "b", "foo",  "/",  "foo+1",        "\x01",
                                     "\xff", "+", "-",    "//", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                                     "\x7f", "%", "foo/", "."};

static struct str random_text(uint64_t *seed, char *out, unsigned pieces_max) {
    size_t n = 0;
    unsigned pieces = (unsigned)(sample_random(seed) % (pieces_max + 1));
    for (unsigned i = 0; i < pieces; i++) {
        const char *piece = PIECES[sample_random(seed) % COUNT(PIECES)];
        memcpy(out + n, piece, strlen(piece));
        n += strlen(piece);
    }
    return str_make(out, n);
}

static int by_key(const void *a, const void *b) {
    const struct key *x = a, *y = b;
    return str_cmp(str_make(x->p, x->n), str_make(y->p, y->n));
}

static struct key *key_of(struct str name) {
    for (size_t i = 0; i < keys_count; i++)
        if (str_eq(str_make(keys[i].p, keys[i].n), name)) return &keys[i];
    if (keys_count == KEYS_MAX) return NULL;
    struct key *k = &keys[keys_count++];
    *k = (struct key){.n = name.n};
    memcpy(k->p, name.p, name.n);
    return k;
}

static void add_version(struct sample *s, uint64_t *seed, bool is_upload) {
    char text[64];
    struct str name = random_text(seed, text, KEY_PARTS);
    struct key *k = name.n ? key_of(name) : NULL;
    if (!k || k->versions_count == COUNT(k->versions)) return;
    bool is_marker = !is_upload && sample_random(seed) % 4 == 0;
    struct meta_op op =
        is_marker ? sample_delete(B, name, META_LATEST) : sample_put(B, name, STR("x"));
    if (is_upload) op = (struct meta_op){.verb = META_UPLOAD_BEGIN, .bucket = B, .key = name};
    sample_ok(s, &op);
    if (is_upload) { /* in the order of their beginning */
        k->versions[k->versions_count++] = (struct version){op.upload, false};
        return;
    }
    memmove(k->versions + 1, k->versions, k->versions_count * sizeof k->versions[0]);
    k->versions[0] = (struct version){op.new_version, is_marker};
    k->versions_count++;
}

/* ---- the model ---- */

static void expect(struct item item) {
    assert_true(expected.count < ITEMS_MAX);
    expected.p[expected.count++] = item;
}

static size_t prefix_bytes(const struct meta_list_query *q, struct str key) {
    for (size_t i = q->prefix.n; q->delimiter.n && i + q->delimiter.n <= key.n; i++)
        if (memcmp(key.p + i, q->delimiter.p, q->delimiter.n) == 0) return i + q->delimiter.n;
    return 0;
}

static void expect_key(const struct meta_list_query *q, const struct key *k) {
    struct str name = str_make(k->p, k->n);
    bool objects = q->what == META_LIST_OBJECTS;
    if (!str_starts(name, q->prefix) || (objects && k->versions[0].is_marker)) return;
    size_t n = prefix_bytes(q, name);
    struct str common = str_sub(name, 0, n);
    if (str_cmp(n ? common : name, q->after_key) <= 0 && q->after_key.n) return;
    if (n == 0) {
        for (size_t i = 0; i < (objects ? 1 : k->versions_count); i++)
            expect((struct item){name, false, i == 0, k->versions[i].is_marker, k->versions[i].id});
        return;
    }
    const struct item *last = expected.count ? &expected.p[expected.count - 1] : NULL;
    if (last && last->is_prefix && str_eq(last->key, common)) return;
    expect((struct item){common, true, false, false, 0});
}

/* ---- the pages ---- */

static void read_pages(struct sample *s, struct meta_list_query q) {
    struct meta_page page;
    do {
        if (meta_list(&s->r, &q, &page, &s->e) < 0) fail_msg("%s", s->e.msg);
        assert_true(page.count <= q.max);
        assert_true(!page.truncated || page.count == q.max);
        for (size_t i = 0; i < page.count; i++) {
            const struct meta_entry *e = &page.p[i];
            assert_true(got.count < ITEMS_MAX);
            got.p[got.count++] =
                (struct item){e->key, e->is_prefix, e->is_latest, e->is_marker, e->id};
        }
        if (page.count) {
            q.after_key = page.p[page.count - 1].key;
            q.after_id = q.what == META_LIST_OBJECTS ? 0 : page.p[page.count - 1].id;
        }
    } while (page.truncated);
}

static void compare(const struct meta_list_query *q) {
    for (size_t i = 0; i < expected.count && i < got.count; i++) {
        const struct item *x = &expected.p[i], *y = &got.p[i];
        bool same = str_eq(x->key, y->key) && x->is_prefix == y->is_prefix && x->id == y->id &&
                    x->is_marker == y->is_marker &&
                    (q->what != META_LIST_VERSIONS || x->is_latest == y->is_latest);
        if (!same)
            fail_msg("what %d, item %zu: '%.*s' %llu is expected, there is '%.*s' %llu "
                     "(prefix '%.*s', delimiter '%.*s', after '%.*s', max %u)",
                     (int)q->what, i, STR_ARG(x->key), (unsigned long long)x->id, STR_ARG(y->key),
                     (unsigned long long)y->id, STR_ARG(q->prefix), STR_ARG(q->delimiter),
                     STR_ARG(q->after_key), q->max);
    }
    assert_int_equal(got.count, expected.count);
}

static void try_list(struct sample *s, uint64_t *seed, enum meta_listed what) {
    char prefix[64], delimiter[64], after[64];
    struct meta_list_query q = {
        .what = what,
        .bucket = B,
        .prefix = random_text(seed, prefix, 2),
        .delimiter = random_text(seed, delimiter, 2),
        .max = 1 + (uint32_t)(sample_random(seed) % (sample_random(seed) % 2 ? 5 : 300)),
    };
    if (sample_random(seed) % 3 == 0) q.after_key = random_text(seed, after, 4);
    expected.count = got.count = 0;
    for (size_t i = 0; i < keys_count; i++) expect_key(&q, &keys[i]);
    read_pages(s, q);
    compare(&q);
    arena_done(&s->a);
}

static void try_many(struct sample *s, uint64_t *seed, bool uploads) {
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 150; i++) add_version(s, seed, uploads);
        qsort(keys, keys_count, sizeof keys[0], by_key);
        for (int i = 0; i < 60; i++)
            try_list(s, seed,
                     uploads ? META_LIST_UPLOADS
                     : i % 2 ? META_LIST_OBJECTS
                             : META_LIST_VERSIONS);
    }
}

static void pages_of_objects_and_versions_together_are_the_models_list(void **state) {
    (void)state;
    struct sample s;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
        keys_count = 0;
        sample_open(&s);
        sample_bucket(&s, STR("aaa"), META_ENABLED); /* neighbours must not be seen */
        sample_bucket(&s, B, META_ENABLED);
        sample_bucket(&s, STR("zzz"), META_ENABLED);
        struct meta_op before = sample_put(STR("aaa"), STR("\xff"), STR("x"));
        struct meta_op behind = sample_put(STR("zzz"), STR("\x01"), STR("x"));
        sample_ok(&s, &before);
        sample_ok(&s, &behind);
        try_many(&s, &random, false);
        sample_check(&s);
        sample_close(&s);
    }
}

static void pages_of_uploads_together_are_the_models_list(void **state) {
    (void)state;
    struct sample s;
    uint64_t random = 42;
    keys_count = 0;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    try_many(&s, &random, true);
    sample_close(&s);
}

/* ---- what the model does not say ---- */

static void foo_plus_one_comes_before_foo_slash(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    const char *names[] = {"foo/", "foo+1/", "foo", "foo/bar", "foo+1/x"};
    for (size_t i = 0; i < COUNT(names); i++) {
        struct meta_op put = sample_put(B, str_of(names[i]), STR("x"));
        sample_ok(&s, &put);
    }
    struct meta_page page;
    struct meta_list_query q = {.bucket = B, .delimiter = STR("/"), .max = 10};
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 3);
    assert_true(str_eq(page.p[0].key, STR("foo")));
    assert_true(str_eq(page.p[1].key, STR("foo+1/")));
    assert_true(str_eq(page.p[2].key, STR("foo/")));
    q.after_key = STR("foo+1/"); /* a marker that is a common prefix leaves all of it out */
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 1);
    sample_close(&s);
}

static void a_page_of_none_is_empty_and_not_truncated(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op put = sample_put(B, STR("k"), STR("x"));
    sample_ok(&s, &put);
    struct meta_page page;
    struct meta_list_query q = {.bucket = B, .max = 0};
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 0);
    assert_false(page.truncated);
    q.bucket = STR("nothing");
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), -1);
    assert_int_equal(s.r.why, META_NO_BUCKET);
    sample_close(&s);
}

static void a_page_has_a_thousand_entries_at_most(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    AUTO_FREE char *longest = xmalloc(META_KEY_BYTES_MAX);
    memset(longest, 'k', META_KEY_BYTES_MAX);
    for (int i = 0; i < META_PAGE_MAX + 2; i++) {
        (void)snprintf(longest + META_KEY_BYTES_MAX - 8, 8, "%07d", i);
        struct meta_op put = sample_put(B, str_make(longest, META_KEY_BYTES_MAX), STR("x"));
        sample_ok(&s, &put);
    }
    AUTO(arena_done) struct arena a = ARENA(META_PAGE_ARENA_BYTES); /* as promised, enough */
    s.r.arena = &a;
    struct meta_page page;
    struct meta_list_query q = {.bucket = B, .max = 5000};
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, META_PAGE_MAX);
    assert_true(page.truncated);
    sample_close(&s);
}

static void a_list_of_versions_goes_on_behind_the_null_version(void **state) {
    (void)state;
    struct sample s;
    sample_open(&s);
    sample_bucket(&s, B, META_UNVERSIONED);
    struct meta_op put = sample_put(B, STR("k"), STR("null"));
    sample_ok(&s, &put);
    struct meta_op set = {.verb = META_BUCKET_SET,
                          .bucket = B,
                          .settings = {.which = META_SET_VERSIONING, .versioning = META_ENABLED}};
    sample_ok(&s, &set);
    struct meta_op newer = sample_put(B, STR("k"), STR("x")),
                   other = sample_put(B, STR("l"), STR("x"));
    sample_ok(&s, &newer);
    sample_ok(&s, &other);
    struct meta_page page;
    struct meta_list_query q = {.what = META_LIST_VERSIONS,
                                .bucket = B,
                                .after_key = STR("k"),
                                .after_id = META_NULL_VERSION,
                                .max = 10};
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 1);
    assert_true(str_eq(page.p[0].key, STR("l")));
    q.after_id = newer.new_version;
    assert_int_equal(meta_list(&s.r, &q, &page, &s.e), 0);
    assert_int_equal(page.count, 2);
    assert_true(page.p[0].is_null && !page.p[0].is_latest);
    assert_int_equal(page.p[0].since_ms, newer.now_ms);
    sample_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_objects_and_versions_together_are_the_models_list),
        cmocka_unit_test(pages_of_uploads_together_are_the_models_list),
        cmocka_unit_test(foo_plus_one_comes_before_foo_slash),
        cmocka_unit_test(a_page_of_none_is_empty_and_not_truncated),
        cmocka_unit_test(a_page_has_a_thousand_entries_at_most),
        cmocka_unit_test(a_list_of_versions_goes_on_behind_the_null_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
