/* SPDX-License-Identifier: Apache-2.0 — zdb_past.h: a model that remembers every write, for values,
 * versions and scans to be compared with. Only tests include it. */
#pragma once

#include "storage/zdb/zdb_sample.h"

#define PAST_KEYS    40
#define PAST_OPS_MAX 20000
#define PAST_VALUE   1400

struct past_op {
    size_t log; /* calls that a shim had recorded before it */
    unsigned key;
    bool is_deletion; /* else the version is the number of the op plus 1 */
};
struct past {
    struct sample s;
    bool is_seq;
    uint32_t versions_max;
    struct past_op *ops; /* owned */
    size_t count;
    uint64_t ids[PAST_KEYS]; /* seq: of the op that made the key */
    bool is_there[PAST_KEYS];
    const size_t *log; /* borrowed; NULL: no shim */
    uint64_t ticket;
};

static uint64_t past_seed = 1;
static inline uint32_t past_below(uint32_t n) {
    past_seed ^= past_seed << 13;
    past_seed ^= past_seed >> 7;
    past_seed ^= past_seed << 17;
    return (uint32_t)(past_seed >> 33) % n;
}

static inline void past_init(struct past *p, enum zdb_mode mode) {
    *p = (struct past){.is_seq = mode == ZDB_SEQ, .versions_max = ZDB_KEEP_ALL};
    p->ops = xmalloc(PAST_OPS_MAX * sizeof *p->ops);
    for (unsigned k = 0; k < PAST_KEYS; k++) p->ids[k] = UINT64_MAX;
    sample_init(&p->s, mode);
}

static inline void past_done(struct past *p) {
    sample_close(&p->s);
    assert_int_equal(file_remove_tree(AT_FDCWD, p->s.path), 0);
    free(p->ops);
}

/* Another sample for the same past. */
static inline void past_copy(const struct past *p, struct sample *out) {
    sample_init(out, p->is_seq ? ZDB_SEQ : ZDB_USER);
    out->options.data_file_bytes = p->s.options.data_file_bytes;
}

static inline void past_retain(struct past *p, uint32_t versions_max) {
    struct zdb_settings set;
    struct err e = {0};
    zdb_settings(p->s.ns, &set);
    set.versions_max = p->versions_max = versions_max;
    assert_int_equal(zdb_configure(p->s.ns, &set, &e), 0);
}

static inline struct str past_key(const struct past *p, unsigned k, char out[16]) {
    if (!p->is_seq) return str_make(out, (size_t)snprintf(out, 16, "key-%u", k));
    zdb_id_encode(p->ids[k], (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

static inline struct str past_value(unsigned version, char out[PAST_VALUE]) {
    size_t n = 8 + (version * 257u) % (version % 7 ? 100u : PAST_VALUE - 8u);
    for (size_t i = 0; i < n; i++) out[i] = (char)(version * 7 + i * i);
    memcpy(out, &version, sizeof version);
    return str_make(out, n);
}

/* -1 when it was refused; then nothing is remembered. */
static inline int past_write(struct past *p, unsigned k, bool is_deletion, struct err *e) {
    char name[16];
    char value[PAST_VALUE];
    struct zdb_put_result result;
    bool is_new = p->is_seq && !p->is_there[k];
    assert_true(p->count < PAST_OPS_MAX);
    size_t log = p->log ? *p->log : 0;
    struct zdb_put put = {is_new ? STR_NONE : past_key(p, k, name),
                          past_value((unsigned)p->count + 1, value), SAMPLE_TIME_S};
    int r = is_deletion ? zdb_delete(p->s.ns, put.key, SAMPLE_TIME_S, &p->ticket, e)
                        : zdb_put(p->s.ns, &put, &result, e);
    if (r < 0) return -1;
    p->ops[p->count++] = (struct past_op){log, k, is_deletion};
    p->is_there[k] = !is_deletion;
    if (is_deletion) return 0;
    p->ticket = result.ticket;
    if (is_new) p->ids[k] = result.id;
    return 0;
}

/* A random write of one key, deletions among them. */
static inline int past_step(struct past *p, struct err *e) {
    unsigned k = past_below(PAST_KEYS);
    return past_write(p, k, p->is_there[k] && past_below(6) == 0, e);
}

static inline void past_steps(struct past *p, unsigned n) {
    struct err e = {0};
    for (unsigned i = 0; i < n; i++)
        if (past_step(p, &e) < 0) fail_msg("write: %s", e.msg);
}

/* Versions of the key after the first `ops` writes, newest first; their count. */
static inline size_t past_versions(const struct past *p, unsigned k, size_t ops, unsigned *out,
                                   size_t max) {
    size_t n = 0;
    for (size_t i = ops; i-- > 0 && n < max;) {
        if (p->ops[i].key != k) continue;
        if (p->ops[i].is_deletion) break;
        out[n++] = (unsigned)i + 1;
    }
    return n;
}

#define PAST_VERSIONS_MAX 2000

/* What is there of the key: versions, newest first, each whole. */
static inline size_t past_found(const struct past *p, struct sample *s, unsigned k,
                                unsigned out[PAST_VERSIONS_MAX]) {
    char name[16];
    char want[PAST_VALUE];
    struct err e = {0};
    AUTO(buf_done) struct buf bytes = BUF(PAST_VALUE);
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct str key = past_key(p, k, name);
    size_t n = 0;
    int r = zdb_find(s->ns, key, &v, &e);
    if (r < 0) {
        if (e.kind != ERR_NOT_FOUND) fail_msg("key %u: %s", k, e.msg);
        return 0;
    }
    for (;;) {
        buf_clear(&bytes);
        assert_true(n < PAST_VERSIONS_MAX);
        if (zdb_read(s->ns, key, &v, &bytes, &e) < 0) fail_msg("key %u: %s", k, e.msg);
        assert_true(bytes.n >= 8);
        memcpy(&out[n], bytes.p, sizeof *out);
        assert_true(str_eq(buf_view(&bytes), past_value(out[n++], want)));
        if (v.parent_id == 0 && v.parent_offset == 0) return n;
        uint32_t id = v.parent_id;
        uint32_t at = v.parent_offset;
        zdb_value_done(&v);
        if (zdb_history(s->ns, key, id, at, &v, &e) < 0)
            fail_msg("key %u, version %zu at %u, %u: %s", k, n, id, at, e.msg);
    }
}

/* Whether this is the key after the first `ops` writes: retention may have taken the oldest. */
static inline bool past_is(const struct past *p, unsigned k, size_t ops, const unsigned *found,
                           size_t n) {
    unsigned want[PAST_VERSIONS_MAX];
    size_t all = past_versions(p, k, ops, want, PAST_VERSIONS_MAX);
    size_t least = p->versions_max < all ? (size_t)p->versions_max + 1 : all;
    if (least > all) least = all;
    return n <= all && n >= least && memcmp(found, want, n * sizeof *found) == 0;
}

static inline void past_check_scan(struct past *p, enum zdb_direction direction) {
    struct zdb_scanned found;
    struct err e = {0};
    char name[16];
    uint64_t before = 0;
    unsigned count = 0;
    unsigned want = 0;
    const struct zdb_cursor *cursor = NULL;
    for (; zdb_scan(p->s.ns, direction, cursor, &found, &e) == 0; cursor = &found.cursor) {
        struct str key = str_make((const char *)found.key, found.key_bytes);
        unsigned k = 0;
        unsigned newest;
        while (k < PAST_KEYS && !(p->is_there[k] && str_eq(past_key(p, k, name), key))) k++;
        assert_true(k < PAST_KEYS);
        assert_int_equal(past_versions(p, k, p->count, &newest, 1), 1);
        uint64_t rank = p->is_seq ? p->ids[k] : newest;
        if (count++ > 0) assert_true(direction == ZDB_FORWARD ? rank > before : rank < before);
        before = rank;
    }
    if (e.kind != ERR_NOT_FOUND) fail_msg("scan: %s", e.msg);
    for (unsigned k = 0; k < PAST_KEYS; k++) want += p->is_there[k];
    assert_int_equal(count, want);
}

static inline void past_check(struct past *p) {
    unsigned found[PAST_VERSIONS_MAX];
    struct zdb_info info;
    uint64_t live = 0;
    unsigned keys = 0;
    char value[PAST_VALUE];
    for (unsigned k = 0; k < PAST_KEYS; k++) {
        if (p->is_seq && p->ids[k] == UINT64_MAX) continue;
        size_t n = past_found(p, &p->s, k, found);
        if (!past_is(p, k, p->count, found, n))
            fail_msg("key %u has %zu versions, the newest is %u", k, n, n ? found[0] : 0);
        keys += n > 0;
        if (n > 0) live += past_value(found[0], value).n;
    }
    zdb_info(p->s.ns, &info);
    assert_int_equal(info.entries, keys);
    assert_int_equal(info.live_bytes, live);
    past_check_scan(p, ZDB_FORWARD);
    past_check_scan(p, ZDB_BACK);
}
