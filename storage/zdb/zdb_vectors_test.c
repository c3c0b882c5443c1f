/* SPDX-License-Identifier: Apache-2.0 — zdb_vectors_test.c: folders that 0-db 2.0.7 wrote and what
 * it answered (tests/zdb-vectors). Its commands are mapped to calls of the engine; those of the
 * server alone (NSLIST, NSINFO, refused SELECTs) are skipped. */
#include "storage/zdb/zdb_sample.h"

#include "base/json.h"

#define VECTORS      "tests/zdb-vectors"
#define ARGS_MAX     8
#define SPACES_MAX   4
#define TEXT_LIMITS  ((struct json_limits){.bytes_max = 1 << 20, .values_max = 100000})
#define ARENA_BYTES  ((size_t)64 << 20)
#define ANSWER_BYTES ((size_t)1 << 20)

struct replay {
    struct arena arena;
    const struct json *commands;
    struct sample spaces[SPACES_MAX];
    char names[SPACES_MAX][32];
    size_t count, at; /* at: selected */
    struct zdb_cursor cursor;
    struct buf bytes; /* of the transcript */
};

struct args {
    struct str v[ARGS_MAX];
    size_t n;
};

static struct str unhex(struct arena *a, struct str hex) {
    char *out = arena_alloc(a, hex.n / 2 + 1);
    assert_non_null(out);
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        char digits[3] = {hex.p[i], hex.p[i + 1], 0};
        out[i / 2] = (char)strtoul(digits, NULL, 16);
    }
    return str_make(out, hex.n / 2);
}

static void replay_init(struct replay *r, const char *mode) {
    struct err e = {0};
    const struct json *doc;
    *r = (struct replay){.arena = ARENA(ARENA_BYTES)};
    r->bytes = sample_file(VECTORS, "transcript.json");
    assert_int_equal(json_parse(&r->arena, buf_view(&r->bytes), TEXT_LIMITS, &doc, &e), 0);
    r->commands = json_get(doc, mode);
    assert_non_null(r->commands);
}

static void replay_done(struct replay *r) {
    for (size_t i = 0; i < r->count; i++) sample_close(&r->spaces[i]);
    arena_done(&r->arena);
    buf_done(&r->bytes);
}

static struct sample *add_space(struct replay *r, struct str name, enum zdb_mode mode) {
    assert_true(r->count < SPACES_MAX);
    (void)snprintf(r->names[r->count], sizeof r->names[0], "%.*s", STR_ARG(name));
    struct sample *s = &r->spaces[r->count];
    sample_init(s, mode);
    s->options.name = str_of(r->names[r->count++]);
    s->options.durability = r->count % 2 ? ZDB_ALWAYS : ZDB_NEVER; /* the files are the same */
    return s;
}

static size_t space_of(const struct replay *r, struct str name) {
    for (size_t i = 0; i < r->count; i++)
        if (str_eq(str_of(r->names[i]), name)) return i;
    fail_msg("no namespace");
    return 0;
}

static void is_bulk(struct replay *r, const struct json *reply, struct str bytes) {
    struct str hex;
    assert_int_equal(json_str(json_get(reply, "bulk"), &hex), 0);
    struct str want = unhex(&r->arena, hex);
    assert_int_equal(want.n, bytes.n);
    if (bytes.n > 0) assert_memory_equal(want.p, bytes.p, bytes.n);
}

static void is_error(const struct json *reply, const struct err *e) {
    struct str text;
    assert_int_equal(json_str(json_get(reply, "error"), &text), 0);
    if (!str_eq(text, str_of(e->msg))) fail_msg("'%s' for '%.*s'", e->msg, STR_ARG(text));
}

static void is_number(const struct json *reply, uint64_t want) {
    uint64_t n;
    assert_int_equal(json_u64(reply, &n), 0);
    assert_int_equal(n, want);
}

static void do_set(struct replay *r, const struct args *a, const struct json *reply) {
    struct zdb_put put = {a->v[1], a->v[2], SAMPLE_TIME_S};
    struct zdb_put_result result;
    struct err e = {0};
    uint8_t id[ZDB_ID_BYTES];
    struct zdb_info info;
    struct zdb_namespace *ns = r->spaces[r->at].ns;
    if (zdb_put(ns, &put, &result, &e) < 0) {
        is_error(reply, &e);
        return;
    }
    assert_int_equal(zdb_commit(ns, result.ticket, &e), 0);
    assert_int_equal(reply->type == JSON_NULL, result.unchanged);
    if (result.unchanged) return;
    zdb_info(ns, &info);
    zdb_id_encode(result.id, id);
    is_bulk(r, reply, info.mode == ZDB_SEQ ? str_make((char *)id, sizeof id) : a->v[1]);
}

static void do_del(struct replay *r, const struct args *a, const struct json *reply) {
    struct err e = {0};
    uint64_t ticket;
    if (zdb_delete(r->spaces[r->at].ns, a->v[1], SAMPLE_TIME_S, &ticket, &e) < 0)
        is_error(reply, &e);
    else
        assert_non_null(json_get(reply, "simple"));
}

static void is_value(struct replay *r, struct str key, const struct json *reply) {
    AUTO(buf_done) struct buf out = BUF(ANSWER_BYTES);
    enum err_kind kind = sample_get(&r->spaces[r->at], key, &out);
    if (reply->type == JSON_NULL) {
        assert_int_equal(kind, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(kind, ERR_NONE);
    is_bulk(r, reply, buf_view(&out));
}

static void do_about(struct replay *r, const struct args *a, const struct json *reply) {
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct err e = {0};
    struct zdb_namespace *ns = r->spaces[r->at].ns;
    bool is_there = zdb_find(ns, a->v[1], &v, &e) == 0;
    if (str_eq(a->v[0], STR("EXISTS")))
        is_number(reply, is_there);
    else if (!is_there)
        assert_int_equal(reply->type, JSON_NULL);
    else if (str_eq(a->v[0], STR("LENGTH")))
        is_number(reply, v.payload_bytes);
    else
        is_number(reply, zdb_check(ns, a->v[1], &v, &e) == 0);
}

static void do_history(struct replay *r, const struct args *a, const struct json *reply) {
    AUTO(buf_done) struct buf out = BUF(ANSWER_BYTES);
    struct zdb_namespace *ns = r->spaces[r->at].ns;
    AUTO(zdb_value_done) struct zdb_value v = {0};
    struct err e = {0};
    uint32_t file;
    uint32_t offset;
    uint8_t next[ZDB_HISTORY_BYTES];
    if (a->n == 2) {
        assert_int_equal(zdb_find(ns, a->v[1], &v, &e), 0);
    } else {
        assert_int_equal(zdb_history_decode(a->v[2], &file, &offset), 0);
        assert_int_equal(zdb_history(ns, a->v[1], file, offset, &v, &e), 0);
    }
    const struct json *part = json_first(reply);
    zdb_history_encode(v.parent_id, v.parent_offset, next);
    if (v.parent_id == 0 && v.parent_offset == 0)
        assert_int_equal(part->type, JSON_NULL);
    else
        is_bulk(r, part, str_make((char *)next, sizeof next));
    assert_int_equal(zdb_read(ns, a->v[1], &v, &out, &e), 0);
    is_bulk(r, part->next->next, buf_view(&out));
}

static void do_scan(struct replay *r, const struct args *a, const struct json *reply) {
    enum zdb_direction direction = a->v[0].p[0] == 'R' ? ZDB_BACK : ZDB_FORWARD;
    struct zdb_scanned found;
    struct zdb_cursor cursor;
    struct err e = {0};
    uint8_t bytes[ZDB_CURSOR_BYTES];
    struct zdb_namespace *ns = r->spaces[r->at].ns;
    bool has_cursor = a->n > 1;
    if (has_cursor) assert_int_equal(zdb_cursor_decode(a->v[1], &cursor), 0);
    if (json_get(reply, "error")) {
        assert_int_equal(zdb_scan(ns, direction, &cursor, &found, &e), -1);
        is_error(reply, &e);
        return;
    }
    for (const struct json *k = json_first(json_first(reply)->next); k; k = k->next) {
        assert_int_equal(zdb_scan(ns, direction, has_cursor ? &cursor : NULL, &found, &e), 0);
        is_bulk(r, json_first(k), str_make((char *)found.key, found.key_bytes));
        is_number(json_first(k)->next, found.payload_bytes);
        is_number(json_first(k)->next->next, found.time_s);
        cursor = found.cursor;
        has_cursor = true;
    }
    zdb_cursor_encode(&cursor, bytes);
    is_bulk(r, json_first(reply), str_make((char *)bytes, sizeof bytes));
}

static void do_nsset(struct replay *r, const struct args *a) {
    struct sample *s = &r->spaces[space_of(r, a->v[1])];
    struct err e = {0};
    struct zdb_settings d = {.is_public = true, .versions_max = ZDB_KEEP_ALL};
    if (str_eq(a->v[2], STR("mode"))) { /* of an empty one: it is made again */
        sample_close(s);
        assert_int_equal(file_remove_tree(AT_FDCWD, s->path), 0);
        s->options.mode = ZDB_SEQ;
        sample_open(s);
        return;
    }
    if (str_eq(a->v[1], STR("photos"))) { /* its three commands together */
        d.max_bytes = 100000;
        d.password = STR("secret");
        d.is_public = false;
    }
    d.is_worm = str_eq(a->v[2], STR("worm"));
    d.durability = s->options.durability;
    assert_int_equal(zdb_configure(s->ns, &d, &e), 0);
}

static bool is_read(struct str c) {
    return str_eq(c, STR("GET")) || str_eq(c, STR("MGET")) || str_eq(c, STR("EXISTS")) ||
           str_eq(c, STR("LENGTH")) || str_eq(c, STR("CHECK")) || str_eq(c, STR("HISTORY")) ||
           str_eq(c, STR("SCAN")) || str_eq(c, STR("RSCAN")) || str_eq(c, STR("DBSIZE"));
}

static void do_mget(struct replay *r, const struct args *a, const struct json *reply) {
    const struct json *part = json_first(reply);
    for (size_t i = 1; i < a->n; i++, part = part->next) is_value(r, a->v[i], part);
}

static void do_read(struct replay *r, const struct args *a, const struct json *reply) {
    struct zdb_info info;
    if (str_eq(a->v[0], STR("GET"))) {
        is_value(r, a->v[1], reply);
    } else if (str_eq(a->v[0], STR("MGET"))) {
        do_mget(r, a, reply);
    } else if (str_eq(a->v[0], STR("HISTORY"))) {
        do_history(r, a, reply);
    } else if (str_ends(a->v[0], STR("SCAN"))) {
        do_scan(r, a, reply);
    } else if (str_eq(a->v[0], STR("DBSIZE"))) {
        zdb_info(r->spaces[r->at].ns, &info);
        is_number(reply, info.entries);
    } else {
        do_about(r, a, reply);
    }
}

static void do_write(struct replay *r, const struct args *a, const struct json *reply) {
    struct err e = {0};
    if (str_eq(a->v[0], STR("SET")))
        do_set(r, a, reply);
    else if (str_eq(a->v[0], STR("DEL")))
        do_del(r, a, reply);
    else if (str_eq(a->v[0], STR("NSJUMP")))
        assert_int_equal(zdb_jump(r->spaces[r->at].ns, &e), 0);
    else if (str_eq(a->v[0], STR("NSNEW")))
        sample_open(add_space(r, a->v[1], ZDB_USER));
    else if (str_eq(a->v[0], STR("NSSET")))
        do_nsset(r, a);
    else if (str_eq(a->v[0], STR("SELECT")) && !json_get(reply, "error"))
        r->at = space_of(r, a->v[1]);
}

static struct args args_of(struct replay *r, const struct json *step) {
    struct args a = {.n = 0};
    for (const struct json *c = json_first(json_get(step, "cmd")); c; c = c->next) {
        struct str hex;
        assert_true(a.n < ARGS_MAX);
        assert_int_equal(json_str(c, &hex), 0);
        a.v[a.n++] = unhex(&r->arena, hex);
    }
    return a;
}

static const struct json *reply_of(const struct json *step) {
    return json_first(step)->next; /* json_get() has no null */
}

static void same_file(const char *folder, const char *other, const char *name) {
    AUTO(buf_done) struct buf ours = sample_file(folder, name);
    AUTO(buf_done) struct buf theirs = sample_file(other, name);
    assert_int_equal(ours.n, theirs.n);
    assert_memory_equal(ours.p, theirs.p, ours.n);
}

static void same_space(const struct sample *s, const char *mode, const char *name, int files) {
    char data[96];
    char index[96];
    (void)snprintf(data, sizeof data, VECTORS "/%s/data/%s", mode, name);
    (void)snprintf(index, sizeof index, VECTORS "/%s/index/%s", mode, name);
    same_file(s->index, index, "zdb-namespace");
    for (int f = 0; f < files; f++) {
        char file[8];
        (void)snprintf(file, sizeof file, "d%d", f);
        same_file(s->data, data, file);
        file[0] = 'i';
        same_file(s->index, index, file);
    }
}

static void replayed(const char *mode, enum zdb_mode keys, int files) {
    struct replay r;
    struct err e = {0};
    replay_init(&r, mode);
    sample_open(add_space(&r, STR("default"), keys));
    for (const struct json *step = json_first(r.commands); step; step = step->next) {
        struct args a = args_of(&r, step);
        if (is_read(a.v[0]))
            do_read(&r, &a, reply_of(step));
        else
            do_write(&r, &a, reply_of(step));
    }
    for (size_t i = 0; i < r.count; i++) {
        assert_int_equal(zdb_sync(r.spaces[i].ns, &e), 0);
        same_space(&r.spaces[i], mode, r.names[i], files);
    }
    replay_done(&r);
}

static void copy_in(struct sample *s, const char *mode, const char *name) {
    static const char *const files[] = {"d0", "d1", "i0", "i1", "zdb-namespace"};
    for (size_t i = 0; i < COUNT(files); i++) {
        bool is_data = files[i][0] == 'd';
        char path[128];
        AUTO(buf_done) struct buf bytes = BUF(1 << 20);
        AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, is_data ? s->data : s->index, 0700);
        (void)snprintf(path, sizeof path, VECTORS "/%s/%s/%s/%s", mode, is_data ? "data" : "index",
                       name, files[i]);
        if (file_read_all(AT_FDCWD, path, bytes.bytes_max, &bytes) < 0) continue;
        assert_int_equal(file_write_durable(dir, files[i], buf_view(&bytes), 0600), 0);
    }
}

static void opened(const char *mode) {
    struct replay r;
    replay_init(&r, mode);
    struct sample *s = add_space(&r, STR("default"), ZDB_USER); /* the file's own mode wins */
    copy_in(s, mode, "default");
    sample_open(s);
    assert_string_equal(s->report, "");
    const struct json *tail = NULL;
    for (const struct json *step = json_first(r.commands); step; step = step->next) {
        struct args a = args_of(&r, step);
        if (!is_read(a.v[0])) tail = NULL;
        if (is_read(a.v[0]) && !tail) tail = step;
    }
    assert_non_null(tail);
    for (; tail; tail = tail->next) {
        struct args a = args_of(&r, tail);
        do_read(&r, &a, reply_of(tail));
    }
    sample_reopen(s);
    same_space(s, mode, "default", 2); /* reading changed nothing */
    replay_done(&r);
}

static void a_user_folder_of_0_db_opens_and_answers_as_recorded(void **state) {
    (void)state;
    opened("user");
}

static void a_seq_folder_of_0_db_opens_and_answers_as_recorded(void **state) {
    (void)state;
    opened("seq");
}

static void the_commands_of_the_user_vector_give_its_replies_and_files(void **state) {
    (void)state;
    replayed("user", ZDB_USER, 2);
}

static void the_commands_of_the_seq_vector_give_its_replies_and_files(void **state) {
    (void)state;
    replayed("seq", ZDB_SEQ, 2);
}

static void the_commands_of_the_mixed_vector_give_its_replies_and_files(void **state) {
    (void)state;
    replayed("mixed", ZDB_USER, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_folder_of_0_db_opens_and_answers_as_recorded),
        cmocka_unit_test(a_seq_folder_of_0_db_opens_and_answers_as_recorded),
        cmocka_unit_test(the_commands_of_the_user_vector_give_its_replies_and_files),
        cmocka_unit_test(the_commands_of_the_seq_vector_give_its_replies_and_files),
        cmocka_unit_test(the_commands_of_the_mixed_vector_give_its_replies_and_files),
    };
    scratch_mount("64m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
