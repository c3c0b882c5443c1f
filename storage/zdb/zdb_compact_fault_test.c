/* SPDX-License-Identifier: Apache-2.0 — zdb_compact_fault_test.c: compaction and FLUSH, killed,
 * without power, and with a failing disk at every call. */
#include "storage/zdb/zdb_folder.h"
#include "storage/zdb/zdb_past.h"
#include "storage/zdb/zdb_shim.h"

#define FILE_BYTES  3000
#define STEPS       150
#define CALLS_MAX   80 /* that the writes between two pieces make */
#define COMMITS_MAX 2000
#define POWER_CUTS  1 /* with other luck, for each call */

struct commit {
    size_t log, ops; /* what the shim had recorded, and the writes that are durable */
};
struct scene {
    struct past p;
    struct shim *shim;
    struct commit commits[COMMITS_MAX];
    size_t commit_count;
    size_t began; /* calls before the compaction */
    bool has_failed;
};

static void scene_commit(struct scene *c) {
    struct err e = {0};
    assert_int_equal(zdb_commit(c->p.s.ns, c->p.ticket, &e), 0);
    assert_true(c->commit_count < COMMITS_MAX);
    c->commits[c->commit_count++] = (struct commit){c->shim->count, c->p.count};
}

static struct scene *scene_new(enum zdb_mode mode, uint32_t versions_max, uint64_t seed) {
    struct scene *c = xnew(struct scene);
    struct err e = {0};
    past_seed = seed;
    shim_seed = seed + 1;
    c->shim = shim_new();
    past_init(&c->p, mode);
    c->p.log = &c->shim->count;
    c->p.s.options.data_file_bytes = FILE_BYTES;
    c->p.s.options.io = &c->shim->io;
    sample_open(&c->p.s);
    past_retain(&c->p, versions_max);
    for (unsigned i = 0; i < STEPS; i++) {
        past_steps(&c->p, 1);
        if (past_below(5) == 0) scene_commit(c);
    }
    assert_int_equal(zdb_jump(c->p.s.ns, &e), 0);
    past_steps(&c->p, 4);
    scene_commit(c);
    c->began = c->shim->count;
    return c;
}

static void scene_free(struct scene *c) {
    past_done(&c->p);
    shim_free(c->shim);
    free(c);
}

/* Each key is what it was at some time between the last commit before the cut and the cut. */
static void check_key(const struct scene *c, struct sample *s, unsigned k, size_t cut) {
    unsigned found[PAST_VERSIONS_MAX];
    size_t ops = 0;
    for (size_t i = 0; i < c->commit_count; i++)
        if (c->commits[i].log <= cut) ops = c->commits[i].ops;
    if (c->p.is_seq && c->p.ids[k] == UINT64_MAX) return;
    size_t n = past_found(&c->p, s, k, found);
    for (; ops <= c->p.count; ops++) {
        if (past_is(&c->p, k, ops, found, n)) return;
        if (ops < c->p.count && c->p.ops[ops].log > cut) break;
    }
    fail_msg("cut %zu: key %u has %zu versions, the newest is %u\n%s", cut, k, n, n ? found[0] : 0,
             s->report);
}

static void check_all(const struct scene *c, struct sample *s, size_t cut) {
    for (unsigned k = 0; k < PAST_KEYS; k++) check_key(c, s, k, cut);
}

static void check_cut(const struct scene *c, size_t cut, enum shim_cut how) {
    struct zdb_compact_options o = {0};
    struct zdb_compact_result result;
    struct err e = {0};
    struct sample s;
    past_copy(&c->p, &s);
    shim_image(c->shim, cut, how, &s);
    if (zdb_open(&s.options, &s.ns, &e) < 0) fail_msg("cut %zu: open: %s", cut, e.msg);
    check_all(c, &s, cut);
    sample_close(&s);
    folder_check(&s);
    sample_open(&s);
    assert_string_equal(s.report, ""); /* the first opening repaired everything */
    check_all(c, &s, cut);
    if (c->p.versions_max == ZDB_KEEP_ALL) {
        if (zdb_compact(s.ns, &o, &result, &e) < 0) fail_msg("cut %zu: again: %s", cut, e.msg);
        check_all(c, &s, cut);
    }
    sample_close(&s);
    folder_check(&s);
    assert_int_equal(file_remove_tree(AT_FDCWD, s.path), 0);
}

static bool write_some(void *user, const struct zdb_progress *progress) {
    struct scene *c = user;
    struct err e = {0};
    (void)progress;
    for (uint32_t n = past_below(4); n > 0; n--) {
        unsigned k = past_below(PAST_KEYS);
        /* seq: an id that goes does not come back under the same number */
        bool is_deletion = !c->p.is_seq && c->p.is_there[k] && past_below(4) == 0;
        if (c->p.is_seq && !c->p.is_there[k]) continue;
        if (past_write(&c->p, k, is_deletion, &e) < 0) fail_msg("write: %s", e.msg);
    }
    if (past_below(2) == 0) scene_commit(c);
    return true;
}

static void cut_compaction(enum zdb_mode mode, uint32_t versions_max) {
    struct scene *c = scene_new(mode, versions_max, 11 + versions_max % 5);
    struct zdb_compact_options o = {0, 0, write_some, c};
    struct zdb_compact_result result;
    struct err e = {0};
    if (zdb_compact(c->p.s.ns, &o, &result, &e) < 0) fail_msg("compact: %s", e.msg);
    assert_true(result.files_rewritten >= 3);
    for (unsigned i = 0; i < 5; i++) (void)write_some(c, NULL);
    scene_commit(c);
    for (size_t cut = c->began; cut <= c->shim->count; cut += versions_max == 0 ? 3 : 1) {
        check_cut(c, cut, SHIM_KILL);
        for (unsigned i = 0; i < POWER_CUTS; i++) check_cut(c, cut, SHIM_POWER);
    }
    scene_free(c);
}

static void a_user_compaction_cut_anywhere_loses_nothing(void **state) {
    (void)state;
    cut_compaction(ZDB_USER, ZDB_KEEP_ALL);
    cut_compaction(ZDB_USER, 0);
    cut_compaction(ZDB_USER, 1);
}

static void a_seq_compaction_cut_anywhere_loses_nothing(void **state) {
    (void)state;
    cut_compaction(ZDB_SEQ, ZDB_KEEP_ALL);
    cut_compaction(ZDB_SEQ, 0);
    cut_compaction(ZDB_SEQ, 1);
}

/* The mark of a key's first entry is not synced by what supersedes it. When the entry of its
 * deletion goes and that mark is not on the disk, the first one would count again. */
static void a_deleted_key_does_not_come_back_without_power(void **state) {
    (void)state;
    struct past p;
    struct shim *shim = shim_new();
    struct zdb_compact_options o = {.dead_percent_min = 50};
    struct zdb_compact_result result;
    struct err e = {0};
    const char big[2000] = {0};
    past_init(&p, ZDB_USER);
    p.s.options.io = &shim->io;
    sample_open(&p.s);
    (void)sample_put(&p.s, STR("stays"), str_make(big, sizeof big)); /* file 0 is not worth it */
    (void)sample_put(&p.s, STR("k"), STR("1"));
    assert_int_equal(zdb_jump(p.s.ns, &e), 0);
    (void)sample_put(&p.s, STR("k"), STR("2"));
    (void)sample_put(&p.s, STR("gone"), str_make(big, sizeof big));
    sample_delete(&p.s, STR("gone"));
    sample_delete(&p.s, STR("k"));
    assert_int_equal(zdb_sync(p.s.ns, &e), 0);
    assert_int_equal(zdb_jump(p.s.ns, &e), 0);
    size_t began = shim->count;
    assert_int_equal(zdb_compact(p.s.ns, &o, &result, &e), 0);
    assert_int_equal(result.files_rewritten, 1);
    for (size_t i = 0; i < 10 * (shim->count - began + 1); i++) {
        struct sample s;
        past_copy(&p, &s);
        shim_image(shim, began + i / 10, SHIM_POWER, &s);
        sample_open(&s);
        sample_expect_error(&s, STR("k"), ERR_NOT_FOUND);
        sample_expect(&s, STR("stays"), str_make(big, sizeof big));
        sample_close(&s);
        assert_int_equal(file_remove_tree(AT_FDCWD, s.path), 0);
    }
    past_done(&p);
    shim_free(shim);
}

/* ---- failing calls ---- */

static bool write_carefully(void *user, const struct zdb_progress *progress) {
    struct scene *c = user;
    struct err e = {0};
    (void)progress;
    if (c->shim->made + CALLS_MAX >= c->shim->fail_at) return true; /* compaction shall meet it */
    past_steps(&c->p, past_below(3));
    assert_int_equal(zdb_commit(c->p.s.ns, c->p.ticket, &e), 0);
    return true;
}

/* One failing call, or all from one on. False: there are not so many calls. */
static bool fail_at(enum zdb_mode mode, size_t at, int with, bool goes_on) {
    struct scene *c = scene_new(mode, at % 2 ? ZDB_KEEP_ALL : 1, 5);
    struct zdb_compact_options o = {0, 0, goes_on ? NULL : write_carefully, c};
    struct zdb_compact_result result;
    struct err e = {0};
    c->shim->fail_with = with;
    c->shim->fails_on = goes_on;
    c->shim->fail_at = c->shim->made + at;
    bool failed = zdb_compact(c->p.s.ns, &o, &result, &e) < 0;
    if (failed && e.kind != ERR_LIMIT && e.kind != ERR_IO && e.kind != ERR_BUSY)
        fail_msg("call %zu: %s", at, e.msg);
    if (failed && with == ENOSPC && e.kind == ERR_IO && !strstr(e.msg, "open the"))
        fail_msg("call %zu: %s", at, e.msg);
    bool was_met = c->shim->made >= c->shim->fail_at;
    if (goes_on && was_met && at % 3 == 0) { /* closed while it cannot be finished */
        (void)!zdb_close(c->p.s.ns, &e);
        c->p.s.ns = NULL;
        c->shim->fail_at = 0;
        sample_open(&c->p.s);
    }
    c->shim->fail_at = 0;
    /* The next write finishes what is unfinished; an undone group is only what was not
     * acknowledged, and everything was. */
    past_steps(&c->p, 5);
    scene_commit(c);
    past_check(&c->p);
    o.go_on = NULL;
    if (zdb_compact(c->p.s.ns, &o, &result, &e) < 0 && e.sys == 0 && !strstr(e.msg, "open the"))
        fail_msg("call %zu: again: %s", at, e.msg);
    past_check(&c->p);
    c->p.s.options.io = NULL;
    sample_close(&c->p.s);
    folder_check(&c->p.s);
    sample_open(&c->p.s);
    folder_has_no_leftovers(&c->p.s);
    assert_string_equal(c->p.s.report, "");
    past_check(&c->p);
    scene_free(c);
    return was_met;
}

static void fail_each(int with, bool goes_on) {
    for (int mode = ZDB_USER; mode <= ZDB_SEQ; mode++) {
        size_t at = 1;
        while (fail_at((enum zdb_mode)mode, at, with, goes_on)) at++;
        assert_true(at > 50);
    }
}

static void a_full_disk_in_a_compaction_loses_nothing(void **state) {
    (void)state;
    fail_each(ENOSPC, false);
    fail_each(ENOSPC, true);
}

static void an_io_error_in_a_compaction_loses_nothing(void **state) {
    (void)state;
    fail_each(EIO, false);
    fail_each(EIO, true);
}

/* ---- FLUSH ---- */

static bool is_empty(struct sample *s) {
    struct zdb_info info;
    zdb_info(s->ns, &info);
    return info.entries == 0 && info.file_id == 0 && info.data_bytes == ZDB_DATA_HEADER_BYTES &&
           info.index_bytes == ZDB_INDEX_HEADER_BYTES;
}

static void a_flush_cut_anywhere_is_whole_or_not_begun(void **state) {
    (void)state;
    for (int mode = ZDB_USER; mode <= ZDB_SEQ; mode++) {
        struct scene *c = scene_new((enum zdb_mode)mode, ZDB_KEEP_ALL, 3);
        struct err e = {0};
        assert_int_equal(zdb_flush(c->p.s.ns, ZDB_USER, &e), 0);
        size_t ended = c->shim->count;
        (void)sample_put(&c->p.s, STR("new"), STR("value"));
        assert_int_equal(zdb_sync(c->p.s.ns, &e), 0);
        for (size_t cut = c->began; cut <= c->shim->count; cut++) {
            struct sample s;
            struct zdb_info info;
            past_copy(&c->p, &s);
            shim_image(c->shim, cut, cut % 2 ? SHIM_KILL : SHIM_POWER, &s);
            sample_open(&s);
            AUTO(buf_done) struct buf value = BUF(9);
            bool is_new = cut > ended && sample_get(&s, STR("new"), &value) == ERR_NONE;
            if (cut == c->shim->count) assert_true(is_new);
            zdb_info(s.ns, &info);
            if (cut >= ended && !is_new) assert_int_equal(info.entries, 0);
            if (cut < ended && !is_empty(&s)) check_all(c, &s, c->began);
            sample_close(&s);
            folder_check(&s);
            folder_has_no_leftovers(&s);
            assert_int_equal(file_remove_tree(AT_FDCWD, s.path), 0);
        }
        scene_free(c);
    }
}

static void a_failing_flush_is_finished_by_the_next_write(void **state) {
    (void)state;
    bool was_met = true;
    for (size_t at = 1; was_met; at++) {
        struct scene *c = scene_new(at % 2 ? ZDB_USER : ZDB_SEQ, ZDB_KEEP_ALL, 9);
        struct zdb_settings set;
        struct err e = {0};
        c->shim->fail_with = at % 3 ? EIO : ENOSPC;
        c->shim->fails_on = at % 5 == 0;
        c->shim->fail_at = c->shim->made + at;
        int r = zdb_flush(c->p.s.ns, ZDB_USER, &e);
        was_met = c->shim->made >= c->shim->fail_at;
        assert_int_equal(r, was_met ? -1 : 0);
        c->shim->fail_at = 0;
        zdb_settings(c->p.s.ns, &set); /* reads and settings work in between */
        assert_int_equal(zdb_configure(c->p.s.ns, &set, &e), 0);
        (void)sample_put(&c->p.s, c->p.is_seq && !is_empty(&c->p.s) ? STR_NONE : STR("new"),
                         STR("v"));
        c->p.s.options.io = NULL;
        sample_close(&c->p.s);
        folder_check(&c->p.s);
        sample_open(&c->p.s);
        folder_has_no_leftovers(&c->p.s);
        assert_string_equal(c->p.s.report, "");
        scene_free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_compaction_cut_anywhere_loses_nothing),
        cmocka_unit_test(a_seq_compaction_cut_anywhere_loses_nothing),
        cmocka_unit_test(a_deleted_key_does_not_come_back_without_power),
        cmocka_unit_test(a_full_disk_in_a_compaction_loses_nothing),
        cmocka_unit_test(an_io_error_in_a_compaction_loses_nothing),
        cmocka_unit_test(a_flush_cut_anywhere_is_whole_or_not_begun),
        cmocka_unit_test(a_failing_flush_is_finished_by_the_next_write),
    };
    scratch_mount("512m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
