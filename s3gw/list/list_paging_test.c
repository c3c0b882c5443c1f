/* SPDX-License-Identifier: Apache-2.0 — list_paging_test.c: lists of odd keys in pages of all
 * sizes, against a model that looks at every key.
 *
 * The model knows what was put, sorts it, and folds it by prefix and delimiter; the pages of a list
 * together must be that, each page but the last full. The keys are drawn from pieces that are hard
 * for one layer or another: markup, escapes, control characters, bytes above 0x7f. */
#include "s3gw/list/list_rig.h"

#define KEYS          48
#define VERSIONS      40
#define KEY_PIECES    5
#define PAGE_ARENA    ((size_t)16 << 20)
#define VERSION_CHARS CALL_VERSION_CHARS

static const struct str PIECES[] = {
    STR("a"),           STR("b"),        STR("/"),   STR("/"),     STR(" "),
    STR("+"),           STR("%"),        STR("%2F"), STR("<&>\""), STR("\x01"),
    STR("\r\n"),        STR("\xC3\xA9"), STR("~"),   STR("\x7f"),  STR("\xF0\x9F\x98\x80"),
    STR("\xEF\xBF\xBF")};
static const struct str PREFIXES[] = {STR(""), STR("a"), STR("a/"), STR("/"), STR("\xC3\xA9")};
static const struct str DELIMITERS[] = {STR(""), STR("/"), STR("%2F"), STR("a/"), STR("\x01")};
static const unsigned MAXES[] = {1, 2, 7, 1000};

/* One entry of a list: a common prefix (no id) or a key with the text of its version or upload. */
struct item {
    struct str key;
    char id[VERSION_CHARS + 1];
    uint64_t rank; /* of one key: the lower comes first */
    bool is_prefix;
};
struct items {
    struct item p[LIST_ITEMS_MAX];
    size_t n;
};

struct kind {
    const char *sub, *entry, *id, *max;
    const char *key_marker, *id_marker, *next_key, *next_id;
};
static const struct kind V1 = {.max = "max-keys", .entry = "Contents", .key_marker = "marker"};
static const struct kind V2 = {.sub = "list-type=2", .max = "max-keys", .entry = "Contents"};
static const struct kind VERSION = {.sub = "versions=",
                                    .entry = "Version",
                                    .id = "VersionId",
                                    .max = "max-keys",
                                    .key_marker = "key-marker",
                                    .id_marker = "version-id-marker",
                                    .next_key = "NextKeyMarker",
                                    .next_id = "NextVersionIdMarker"};
static const struct kind UPLOAD = {.sub = "uploads=",
                                   .entry = "Upload",
                                   .id = "UploadId",
                                   .max = "max-uploads",
                                   .key_marker = "key-marker",
                                   .id_marker = "upload-id-marker",
                                   .next_key = "NextKeyMarker",
                                   .next_id = "NextUploadIdMarker"};

struct look {
    const struct gateway_rig *rig;
    const char *bucket;
    const struct kind *kind;
    struct str prefix, delimiter;
    unsigned max;
    struct arena *a;
};
struct where {
    struct str key, id, token;
};

/* ---- the model ---- */

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct str random_key(struct arena *a, uint64_t *state) {
    struct buf b = BUF(META_KEY_BYTES_MAX);
    for (size_t n = 1 + random_next(state) % KEY_PIECES; n > 0; n--)
        assert_int_equal(buf_str(&b, PIECES[random_next(state) % COUNT(PIECES)]), 0);
    struct str key = arena_str(a, buf_view(&b));
    buf_done(&b);
    return key;
}

static int by_key_and_rank(const void *x, const void *y) {
    const struct item *a = x;
    const struct item *b = y;
    int order = str_cmp(a->key, b->key);
    if (order) return order;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

static void fold(const struct items *all, const struct look *l, struct items *out) {
    out->n = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct item it = all->p[i];
        if (!str_starts(it.key, l->prefix)) continue;
        const char *at = l->delimiter.n ? memmem(it.key.p + l->prefix.n, it.key.n - l->prefix.n,
                                                 l->delimiter.p, l->delimiter.n)
                                        : NULL;
        if (at) {
            it = (struct item){.is_prefix = true};
            it.key = str_make(all->p[i].key.p, (size_t)(at - all->p[i].key.p) + l->delimiter.n);
            if (out->n && out->p[out->n - 1].is_prefix && str_eq(out->p[out->n - 1].key, it.key))
                continue;
        }
        out->p[out->n++] = it;
    }
}

/* ---- what the gateway says ---- */

/* Parameters stand in the order of their names, as the signature wants them. */
static struct buf query_of(const struct look *l, const struct where *at) {
    const struct kind *k = l->kind;
    struct buf q = BUF(16 << 10);
    list_param(&q, "continuation-token", at->token);
    if (l->delimiter.n) list_param(&q, "delimiter", l->delimiter);
    list_param(&q, "encoding-type", STR("url"));
    if (k->id) list_param(&q, k->key_marker, at->key);
    if (k == &V2) assert_int_equal(buf_fmt(&q, "&%s", k->sub), 0);
    if (k == &V1) list_param(&q, k->key_marker, at->key);
    list_param_u64(&q, k->max, l->max);
    list_param(&q, "prefix", l->prefix);
    if (k == &UPLOAD) list_param(&q, k->id_marker, at->id);
    if (k == &UPLOAD) assert_int_equal(buf_fmt(&q, "&%s", k->sub), 0);
    if (k == &VERSION) list_param(&q, k->id_marker, at->id);
    if (k == &VERSION) assert_int_equal(buf_fmt(&q, "&%s", k->sub), 0);
    return q;
}

static void add_keys(const struct look *l, struct str body, struct items *out) {
    size_t from = 0;
    for (;;) {
        struct item it = {.is_prefix = false};
        struct str key = list_element(body, "Key", &from);
        if (!key.p) return;
        it.key = list_decoded(l->a, key);
        if (l->kind->id) {
            struct str id = list_element(body, l->kind->id, &from);
            assert_true(id.n <= VERSION_CHARS);
            memcpy(it.id, id.p, id.n);
        }
        assert_true(out->n < LIST_ITEMS_MAX);
        out->p[out->n++] = it;
    }
}

static void add_prefixes(const struct look *l, struct str body, struct items *out) {
    size_t from = 0;
    while (list_element(body, "CommonPrefixes", &from).p) {
        struct str text = list_element(body, "Prefix", &from);
        assert_true(out->n < LIST_ITEMS_MAX);
        out->p[out->n++] = (struct item){.key = list_decoded(l->a, text), .is_prefix = true};
    }
}

/* Documents have all keys before all prefixes. They are merged here and not sorted, so that a wrong
 * order of either stays wrong. */
static void merge(const struct items *keys, const struct items *prefixes, struct items *out) {
    size_t k = 0;
    size_t p = 0;
    out->n = 0;
    while (k < keys->n || p < prefixes->n) {
        bool is_key =
            p == prefixes->n || (k < keys->n && str_cmp(keys->p[k].key, prefixes->p[p].key) < 0);
        out->p[out->n++] = is_key ? keys->p[k++] : prefixes->p[p++];
    }
}

/* Where the next page begins, by the rules that clients follow. */
static void move_on(const struct look *l, struct str body, const struct items *page,
                    struct where *at) {
    const struct kind *k = l->kind;
    *at = (struct where){.key = STR_NONE};
    if (k == &V2) {
        at->token = arena_str(l->a, list_first(body, "NextContinuationToken"));
        assert_true(at->token.n > 0);
        return;
    }
    struct str next = list_first(body, k == &V1 ? "NextMarker" : k->next_key);
    assert_true((next.p != NULL) == (k != &V1 || l->delimiter.n > 0));
    at->key = next.p ? list_decoded(l->a, next) : page->p[page->n - 1].key;
    if (k != &V1) at->id = list_first(body, k->next_id);
    if (at->id.p) at->id = arena_str(l->a, at->id);
}

/* One page; true when there are more. */
static bool take_page(const struct look *l, struct where *at, struct items *page) {
    AUTO(rig_reply_done) struct rig_reply reply;
    AUTO(buf_done) struct buf q = query_of(l, at);
    list_get(l->rig, l->bucket, buf_c(&q), &reply);
    AUTO_FREE struct items *keys = xnew(struct items);
    AUTO_FREE struct items *prefixes = xnew(struct items);
    add_keys(l, reply.body, keys);
    add_prefixes(l, reply.body, prefixes);
    merge(keys, prefixes, page);
    bool more = str_eq(list_first(reply.body, "IsTruncated"), STR("true"));
    assert_true(more ? page->n == l->max : page->n <= l->max);
    if (l->kind == &V2) {
        uint64_t count = 0;
        assert_int_equal(str_u64(list_first(reply.body, "KeyCount"), &count), 0);
        assert_int_equal(count, page->n);
    }
    if (more) move_on(l, reply.body, page, at);
    return more;
}

static void compare(const struct look *l, const struct items *all) {
    AUTO_FREE struct items *expected = xnew(struct items);
    AUTO_FREE struct items *page = xnew(struct items);
    struct where at = {.key = STR_NONE};
    size_t seen = 0;
    fold(all, l, expected);
    for (bool more = true; more;) {
        more = take_page(l, &at, page);
        assert_true(seen + page->n <= expected->n);
        for (size_t i = 0; i < page->n; i++) {
            const struct item *is = &page->p[i];
            const struct item *must = &expected->p[seen + i];
            assert_true(str_eq(is->key, must->key));
            assert_true(is->is_prefix == must->is_prefix);
            assert_string_equal(is->id, l->kind->id ? must->id : "");
        }
        seen += page->n;
    }
    assert_int_equal(seen, expected->n);
}

static void compare_all(struct look l, const struct items *all) {
    for (size_t p = 0; p < COUNT(PREFIXES); p++)
        for (size_t d = 0; d < COUNT(DELIMITERS); d++)
            for (size_t m = p % 2; m < COUNT(MAXES); m++) {
                AUTO(arena_done) struct arena a = ARENA(PAGE_ARENA);
                l.prefix = PREFIXES[p];
                l.delimiter = DELIMITERS[d];
                l.max = MAXES[m];
                l.a = &a;
                compare(&l, all);
            }
}

/* ---- the tests ---- */

static void add(struct items *all, struct str key, const char *id, uint64_t rank) {
    struct item *it = &all->p[all->n++];
    *it = (struct item){.key = key, .rank = rank};
    (void)snprintf(it->id, sizeof it->id, "%s", id);
}

static bool has_key(const struct items *all, struct str key) {
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->p[i].key, key)) return true;
    return false;
}

static void pages_of_objects_are_the_whole_list(void **state) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    AUTO_FREE struct items *all = xnew(struct items);
    uint64_t seed = 1;
    list_bucket(*state, STR("objects"), META_UNVERSIONED);
    while (all->n < KEYS) {
        struct str key = random_key(&a, &seed);
        if (has_key(all, key)) continue;
        (void)list_put(*state, STR("objects"), key);
        add(all, key, "", 0);
    }
    qsort(all->p, all->n, sizeof *all->p, by_key_and_rank);
    compare_all((struct look){.rig = *state, .bucket = "objects", .kind = &V1}, all);
    compare_all((struct look){.rig = *state, .bucket = "objects", .kind = &V2}, all);
}

/* Every fourth change is a delete, whose marker stands in the list like a version. */
static void pages_of_versions_are_the_whole_list(void **state) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    AUTO_FREE struct items *all = xnew(struct items);
    char id[VERSION_CHARS + 1];
    uint64_t seed = 2;
    list_bucket(*state, STR("versions"), META_ENABLED);
    for (uint64_t i = 0; i < VERSIONS; i++) {
        struct str key = all->n > 8 && i % 3 ? all->p[i % 7].key : random_key(&a, &seed);
        struct meta_op op = i % 4 == 3
                                ? list_run(*state, (struct meta_op){.verb = META_DELETE,
                                                                    .bucket = STR("versions"),
                                                                    .key = key})
                                : list_put(*state, STR("versions"), key);
        add(all, key, call_version_text(op.new_version, op.is_null, id), VERSIONS - i);
    }
    qsort(all->p, all->n, sizeof *all->p, by_key_and_rank);
    compare_all((struct look){.rig = *state, .bucket = "versions", .kind = &VERSION}, all);
}

static void pages_of_uploads_are_the_whole_list(void **state) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    AUTO_FREE struct items *all = xnew(struct items);
    char id[VERSION_CHARS + 1];
    uint64_t seed = 3;
    list_bucket(*state, STR("uploads"), META_UNVERSIONED);
    for (uint64_t i = 0; i < VERSIONS; i++) {
        struct str key = all->n > 8 && i % 3 ? all->p[i % 7].key : random_key(&a, &seed);
        struct meta_op op = list_begin_upload(*state, STR("uploads"), key);
        add(all, key, call_version_text(op.upload, false, id), op.upload);
    }
    qsort(all->p, all->n, sizeof *all->p, by_key_and_rank);
    compare_all((struct look){.rig = *state, .bucket = "uploads", .kind = &UPLOAD}, all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_objects_are_the_whole_list),
        cmocka_unit_test(pages_of_versions_are_the_whole_list),
        cmocka_unit_test(pages_of_uploads_are_the_whole_list),
    };
    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
