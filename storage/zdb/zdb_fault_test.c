/* SPDX-License-Identifier: Apache-2.0 — zdb_fault_test.c: power cuts and failing disks.
 *
 * A layer between engine and kernel records every write, sync and truncation. A power cut is
 * replayed from the record: what was synced before it is there; of what was not, each piece of 512
 * bytes is there or not, by a seeded choice. */
#include "storage/zdb/zdb_sample.h"

#define LOG_MAX      20000
#define KEYS         12
#define STEPS        600
#define PIECE        512
#define CUTS         500
#define IMAGE_FILES  256
#define VALUE_MAX    1200
#define GROUP_MAX    6
#define FILE_BYTES   12000
#define FAILURES_MAX 400

enum kind { WRITE, SYNC, TRUNCATE };
struct call {
    enum kind kind;
    char file[16]; /* "data/d0" */
    uint64_t offset;
    size_t n;
    char *bytes; /* owned */
};

struct shim {
    struct zdb_io io;
    struct call calls[LOG_MAX];
    size_t count;
    size_t fail_at; /* this call fails (counted by `made`); 0: none */
    int fail_with;
    size_t made;
    int create_with;             /* making a file fails so; 0: it does not */
    void (*in_sync)(void *user); /* called once, in the next sync, as another thread would come */
    void *user;
};

static uint64_t seed;
static uint32_t below(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static struct call *record(struct shim *s, enum kind kind, int fd) {
    char link[64];
    char path[256];
    assert_true(s->count < LOG_MAX);
    struct call *c = &s->calls[s->count++];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    assert_true(n > 0);
    path[n] = 0;
    const char *name = strrchr(path, '/');
    *c = (struct call){.kind = kind};
    (void)snprintf(c->file, sizeof c->file, "%s%s", name[1] == 'd' ? "data" : "index", name);
    return c;
}

static bool fails(struct shim *s) { return ++s->made == s->fail_at; }

static int shim_write(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    size_t n = 0;
    if (fails(s)) { /* a part got there */
        struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
        (void)!zdb_io_real()->write(io, fd, &half, 1, offset);
        return -s->fail_with;
    }
    struct call *c = record(s, WRITE, fd);
    for (int i = 0; i < count; i++) n += iov[i].iov_len;
    c->offset = offset;
    c->n = n;
    c->bytes = xmalloc(n + 1);
    size_t at = 0;
    for (int i = 0; i < count; at += iov[i].iov_len, i++)
        memcpy(c->bytes + at, iov[i].iov_base, iov[i].iov_len);
    return zdb_io_real()->write(io, fd, iov, count, offset);
}

static int shim_sync(struct zdb_io *io, int fd) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    void (*in_sync)(void *) = STEAL(s->in_sync);
    if (in_sync) in_sync(s->user);
    if (fails(s)) return -s->fail_with;
    (void)record(s, SYNC, fd);
    return 0;
}

static int shim_create(struct zdb_io *io, int dir, const char *name) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    return s->create_with ? -s->create_with : zdb_io_real()->create(io, dir, name);
}

static int shim_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (fails(s)) return -s->fail_with;
    record(s, TRUNCATE, fd)->offset = bytes;
    return zdb_io_real()->truncate(io, fd, bytes);
}

static struct shim *shim_new(void) {
    struct shim *s = xnew(struct shim);
    s->io = *zdb_io_real();
    s->io.write = shim_write;
    s->io.sync = shim_sync;
    s->io.truncate = shim_truncate;
    s->io.create = shim_create;
    return s;
}

static void shim_clear(struct shim *s) {
    for (size_t i = 0; i < s->count; i++) free(s->calls[i].bytes);
    s->count = 0;
}

/* ---- a workload and what may be true after a cut ---- */

struct step {
    size_t log; /* calls before it */
    unsigned key;
    unsigned version; /* 0: deleted */
};
struct work {
    struct sample s;
    struct shim *shim;
    struct step steps[STEPS + KEYS];
    size_t step_count;
    struct {
        size_t log, steps;
    } commits[STEPS + KEYS];
    size_t commit_count;
    unsigned now[KEYS]; /* version; 0: not there */
    uint64_t ids[KEYS]; /* seq */
    uint64_t ticket;
};

/* Of every fourth key nothing but zeros: what a power cut loses reads as zeros, too. */
static bool is_zeros(unsigned key) { return key % 4 == 3; }

static struct str value_of(unsigned key, unsigned version, char out[VALUE_MAX]) {
    if (is_zeros(key)) {
        memset(out, 0, VALUE_MAX);
        return str_make(out, 8 + version);
    }
    size_t n = 8 + (key * 131 + version * 257) % (VALUE_MAX - 8);
    for (size_t i = 0; i < n; i++) out[i] = (char)(key + version * 7 + i * i);
    memcpy(out, &key, sizeof key);
    memcpy(out + 4, &version, sizeof version);
    return str_make(out, n);
}

static struct str key_of(const struct work *w, unsigned key, char out[16]) {
    if (w->s.options.mode == ZDB_SEQ) {
        zdb_id_encode(w->ids[key], (uint8_t *)out);
        return str_make(out, ZDB_ID_BYTES);
    }
    return str_make(out, (size_t)snprintf(out, 16, "key-%u", key));
}

/* One random write; -1 when it was refused. */
static int write_once(struct work *w, unsigned key, unsigned version, struct err *e) {
    char name[16];
    char value[VALUE_MAX];
    struct zdb_put_result result;
    struct str k = key_of(w, key, name);
    bool is_new = w->s.options.mode == ZDB_SEQ && w->ids[key] == UINT64_MAX;
    struct zdb_put put = {is_new ? STR_NONE : k, value_of(key, version, value), SAMPLE_TIME_S};
    if (version == 0) return zdb_delete(w->s.ns, k, SAMPLE_TIME_S, &w->ticket, e);
    if (zdb_put(w->s.ns, &put, &result, e) < 0) return -1;
    w->ticket = result.ticket;
    if (is_new) w->ids[key] = result.id;
    return 0;
}

static bool choose(struct work *w, unsigned step, unsigned *key, unsigned *version) {
    bool is_seq = w->s.options.mode == ZDB_SEQ;
    *key = step < KEYS ? step : below(KEYS);
    *version = step + 1;
    if (step >= KEYS && w->now[*key] == 0 && is_seq) return false; /* an id does not come back */
    if (step >= KEYS && w->now[*key] > 0 && below(is_seq ? 40 : 4) == 0) *version = 0;
    return true;
}

static void work_init(struct work *w, struct shim *shim, enum zdb_mode mode) {
    *w = (struct work){.shim = shim};
    sample_init(&w->s, mode);
    w->s.options.io = &shim->io;
    w->s.options.data_file_bytes = FILE_BYTES;
    for (unsigned k = 0; k < KEYS; k++) w->ids[k] = UINT64_MAX;
    sample_open(&w->s);
}

static void commit(struct work *w) {
    struct err e = {0};
    assert_int_equal(zdb_commit(w->s.ns, w->ticket, &e), 0);
    w->commits[w->commit_count].log = w->shim->count;
    w->commits[w->commit_count++].steps = w->step_count;
}

static void run(struct work *w, unsigned steps) {
    struct err e = {0};
    unsigned key;
    unsigned version;
    for (unsigned i = 0; i < steps; i++) {
        if (!choose(w, i, &key, &version)) continue;
        w->steps[w->step_count++] = (struct step){w->shim->count, key, version};
        assert_int_equal(write_once(w, key, version, &e), 0);
        w->now[key] = version;
        if (i == KEYS - 1 || below(GROUP_MAX) == 0) commit(w);
    }
    commit(w);
}

/* ---- the image of a cut ---- */

struct image {
    struct {
        char file[16];
        struct buf bytes;
        size_t synced; /* calls up to here are on the disk */
    } files[IMAGE_FILES];
    size_t count;
};

static size_t image_file(struct image *m, const char *file) {
    size_t i = 0;
    while (i < m->count && strcmp(m->files[i].file, file) != 0) i++;
    if (i < m->count) return i;
    assert_true(m->count < IMAGE_FILES);
    memcpy(m->files[i].file, file, sizeof m->files[i].file);
    m->files[i].bytes = BUF(1 << 20);
    m->count++;
    return i;
}

static void apply(struct buf *b, const struct call *c, size_t from, size_t n) {
    size_t end = c->offset + from + n;
    if (end > b->n) {
        assert_int_equal(buf_reserve(b, end - b->n), 0);
        memset(b->p + b->n, 0, end - b->n);
        b->n = end;
    }
    memcpy(b->p + c->offset + from, c->bytes + from, n);
}

static void apply_torn(struct buf *b, const struct call *c) {
    unsigned fate = below(3);
    if (fate == 0) return;
    for (size_t at = 0; at < c->n;) {
        size_t n = PIECE - (c->offset + at) % PIECE; /* tears are where sectors end */
        if (n > c->n - at) n = c->n - at;
        if (fate == 1 || below(2)) apply(b, c, at, n);
        at += n;
    }
}

static void image_make(struct image *m, const struct shim *s, size_t cut) {
    *m = (struct image){.count = 0};
    for (size_t i = 0; i < cut; i++) {
        size_t f = image_file(m, s->calls[i].file);
        if (s->calls[i].kind == SYNC) m->files[f].synced = i;
    }
    for (size_t i = 0; i < cut; i++) {
        const struct call *c = &s->calls[i];
        size_t f = image_file(m, c->file);
        struct buf *b = &m->files[f].bytes;
        bool is_safe = i < m->files[f].synced;
        if (c->kind == WRITE && is_safe) apply(b, c, 0, c->n);
        if (c->kind == WRITE && !is_safe) apply_torn(b, c);
        if (c->kind == TRUNCATE && c->offset < b->n && (is_safe || below(2))) b->n = c->offset;
    }
}

static void image_write(struct image *m, const struct sample *to) {
    (void)!file_mkdirs(AT_FDCWD, to->data, 0700);
    (void)!file_mkdirs(AT_FDCWD, to->index, 0700);
    for (size_t i = 0; i < m->count; i++) {
        AUTO_CLOSE int dir = open(to->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_CLOSE int fd = openat(dir, m->files[i].file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(file_write_all(fd, m->files[i].bytes.p, m->files[i].bytes.n), 0);
        buf_done(&m->files[i].bytes);
    }
}

/* Version of the key that is there, which must be whole; 0: none. */
static unsigned version_there(struct sample *s, const struct work *w, unsigned key) {
    AUTO(buf_done) struct buf out = BUF(VALUE_MAX);
    char name[16];
    char value[VALUE_MAX];
    unsigned version;
    enum err_kind kind = sample_get(s, key_of(w, key, name), &out);
    if (kind == ERR_NOT_FOUND) return 0;
    assert_int_equal(kind, ERR_NONE);
    assert_true(out.n >= 8);
    memcpy(&version, out.p + 4, sizeof version);
    if (is_zeros(key)) version = (unsigned)out.n - 8;
    struct str want = value_of(key, version, value);
    if (!str_eq(buf_view(&out), want))
        fail_msg("key %u: %zu bytes, of version %u are %zu\n%s", key, out.n, version, want.n,
                 s->report);
    return version;
}

/* Every version since the key was made is in its history, in order. */
static void check_history(struct sample *s, const struct work *w, unsigned key, unsigned found) {
    AUTO(buf_done) struct buf out = BUF(VALUE_MAX);
    char name[16];
    struct err e = {0};
    struct zdb_value v;
    struct str k = key_of(w, key, name);
    size_t i = w->step_count;
    while (i > 0 && (w->steps[i - 1].key != key || w->steps[i - 1].version != found)) i--;
    assert_int_equal(zdb_find(s->ns, k, &v, &e), 0);
    for (; i > 0; i--) {
        if (w->steps[i - 1].key != key) continue;
        if (w->steps[i - 1].version == 0) break;
        char value[VALUE_MAX];
        buf_clear(&out);
        assert_int_equal(zdb_read(s->ns, k, &v, &out, &e), 0);
        assert_true(str_eq(buf_view(&out), value_of(key, w->steps[i - 1].version, value)));
        zdb_value_done(&v);
        if (v.parent_id == 0 && v.parent_offset == 0) {
            while (--i > 0 && w->steps[i - 1].key != key) continue;
            assert_true(i == 0 || w->steps[i - 1].version == 0);
            return;
        }
        assert_int_equal(zdb_history(s->ns, k, v.parent_id, v.parent_offset, &v, &e), 0);
    }
    zdb_value_done(&v);
    fail_msg("key %u: its history goes on behind its first version", key);
}

static void check_key(struct sample *s, const struct work *w, unsigned key, size_t cut) {
    size_t acknowledged = 0;
    for (size_t i = 0; i < w->commit_count; i++)
        if (w->commits[i].log <= cut) acknowledged = w->commits[i].steps;
    unsigned must = 0;
    for (size_t i = 0; i < acknowledged; i++)
        if (w->steps[i].key == key) must = w->steps[i].version;
    unsigned found = version_there(s, w, key);
    bool is_allowed = found == must;
    for (size_t i = acknowledged; i < w->step_count && w->steps[i].log < cut; i++)
        is_allowed |= w->steps[i].key == key && w->steps[i].version == found;
    if (!is_allowed)
        fail_msg("cut %zu: key %u has version %u, acknowledged was %u\n%s", cut, key, found, must,
                 s->report);
    if (found > 0) check_history(s, w, key, found);
}

static void check_cut(const struct work *w, size_t cut) {
    struct sample s;
    struct image m;
    sample_init(&s, w->s.options.mode);
    image_make(&m, w->shim, cut);
    image_write(&m, &s);
    s.options.data_file_bytes = FILE_BYTES;
    sample_open(&s);
    for (unsigned k = 0; k < KEYS; k++) check_key(&s, w, k, cut);
    struct str key = w->s.options.mode == ZDB_SEQ ? STR_NONE : STR("after");
    struct zdb_put_result put = sample_put(&s, key, STR("the cut"));
    uint8_t id[ZDB_ID_BYTES];
    zdb_id_encode(put.id, id);
    sample_reopen(&s);
    assert_string_equal(s.report, ""); /* the first opening repaired everything */
    sample_expect(&s, key.n ? key : str_make((char *)id, sizeof id), STR("the cut"));
    for (unsigned k = 0; k < KEYS && key.n; k++) check_key(&s, w, k, cut);
    sample_close(&s);
    assert_int_equal(file_remove_tree(AT_FDCWD, s.path), 0);
}

static void cut_power(enum zdb_mode mode) {
    struct work *w = xnew(struct work);
    struct shim *shim = shim_new();
    seed = 20261121 + mode;
    work_init(w, shim, mode);
    size_t first = shim->count;
    run(w, STEPS);
    const char *cuts = getenv("ZDB_FAULT_CUTS"); /* for longer runs */
    for (unsigned n = cuts ? (unsigned)strtoul(cuts, NULL, 10) : CUTS; n > 0; n--)
        check_cut(w, first + below((uint32_t)(shim->count - first + 1)));
    sample_close(&w->s);
    shim_clear(shim);
    free(shim);
    free(w);
}

static void after_a_power_cut_what_was_acknowledged_is_there_and_nothing_is_half(void **state) {
    (void)state;
    cut_power(ZDB_USER);
}

static void after_a_power_cut_seq_ids_have_their_acknowledged_values(void **state) {
    (void)state;
    cut_power(ZDB_SEQ);
}

static void a_group_costs_one_sync_of_the_data_file(void **state) {
    (void)state;
    struct work *w = xnew(struct work);
    struct shim *shim = shim_new();
    struct err e = {0};
    seed = 1;
    work_init(w, shim, ZDB_USER);
    size_t before = shim->count;
    size_t syncs = 0;
    for (unsigned k = 0; k < 3; k++) assert_int_equal(write_once(w, k, 1, &e), 0);
    commit(w);
    for (size_t i = before; i < shim->count; i++) {
        if (shim->calls[i].kind != SYNC) continue;
        assert_string_equal(shim->calls[i].file, "data/d0");
        syncs++;
    }
    assert_int_equal(syncs, 1);
    sample_close(&w->s);
    shim_clear(shim);
    free(shim);
    free(w);
}

/* ---- failing calls ---- */

/* What a failed write or commit left is one of the states since the last commit. */
static void settle(struct work *w, const unsigned acknowledged[KEYS],
                   const bool touched[KEYS][STEPS + 1]) {
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned found = version_there(&w->s, w, k);
        if (found != acknowledged[k] && !touched[k][found])
            fail_msg("key %u has version %u, acknowledged was %u", k, found, acknowledged[k]);
        w->now[k] = found;
        /* An id that was undone is given to the next key. */
        if (w->s.options.mode == ZDB_SEQ && found == 0 && acknowledged[k] == 0)
            w->ids[k] = UINT64_MAX;
    }
}

static void fail_once(enum zdb_mode mode, size_t at, int with, size_t *out_refused) {
    static bool touched[KEYS][STEPS + 1]; /* versions since the last commit */
    unsigned acknowledged[KEYS] = {0};
    struct work *w = xnew(struct work);
    struct shim *shim = shim_new();
    struct err e = {0};
    unsigned key;
    unsigned version;
    memset(touched, 0, sizeof touched);
    seed = 7 + at;
    work_init(w, shim, mode);
    shim->fail_at = shim->made + at;
    shim->fail_with = with;
    for (unsigned i = 0; i < 80; i++) {
        if (!choose(w, i, &key, &version)) continue;
        touched[key][version] = true;
        bool failed = write_once(w, key, version, &e) < 0;
        if (!failed) w->now[key] = version;
        if (!failed && below(3) > 0) continue;
        if (!failed) failed = zdb_commit(w->s.ns, w->ticket, &e) < 0;
        if (failed) {
            (*out_refused)++;
            if (e.kind != ERR_NOT_FOUND) assert_int_equal(e.sys, with);
            (void)!zdb_sync(w->s.ns, &e); /* the rest of the group is settled, too */
            settle(w, acknowledged, touched);
        }
        memcpy(acknowledged, w->now, sizeof acknowledged);
        memset(touched, 0, sizeof touched);
    }
    shim->fail_at = 0;
    assert_int_equal(zdb_sync(w->s.ns, &e), 0);
    w->s.options.io = NULL;
    sample_reopen(&w->s);
    for (unsigned k = 0; k < KEYS; k++) assert_int_equal(version_there(&w->s, w, k), w->now[k]);
    sample_close(&w->s);
    assert_int_equal(file_remove_tree(AT_FDCWD, w->s.path), 0);
    shim_clear(shim);
    free(shim);
    free(w);
}

static void fail_each(enum zdb_mode mode, int with) {
    size_t refused = 0;
    for (size_t at = 1; at <= FAILURES_MAX; at += 3) fail_once(mode, at, with, &refused);
    assert_true(refused > 20);
}

static void a_full_disk_refuses_writes_and_goes_on_when_there_is_room(void **state) {
    (void)state;
    fail_each(ZDB_USER, ENOSPC);
    fail_each(ZDB_SEQ, ENOSPC);
}

static void an_io_error_refuses_writes_and_goes_on_without_restart(void **state) {
    (void)state;
    fail_each(ZDB_USER, EIO);
    fail_each(ZDB_SEQ, EIO);
}

/* While a group is synced another writer ends the file, but there is no room for the next one. */
static void fail_to_roll(void *user) {
    struct work *w = user;
    static char value[FILE_BYTES];
    struct zdb_put put = {STR("large"), str_make(value, sizeof value), SAMPLE_TIME_S};
    struct zdb_put_result result;
    struct err e = {0};
    w->shim->create_with = ENOSPC;
    assert_int_equal(zdb_put(w->s.ns, &put, &result, &e), -1);
    assert_int_equal(e.sys, ENOSPC);
    w->shim->create_with = 0;
    (void)sample_put(&w->s, STR("behind"), STR("it"));
}

static void a_file_that_could_not_be_followed_beside_a_sync_stays_whole(void **state) {
    (void)state;
    struct work *w = xnew(struct work);
    struct shim *shim = shim_new();
    struct err e = {0};
    seed = 5;
    work_init(w, shim, ZDB_USER);
    for (unsigned k = 0; k < KEYS; k++) assert_int_equal(write_once(w, k, k % 3 + 1, &e), 0);
    shim->in_sync = fail_to_roll;
    shim->user = w;
    commit(w);
    assert_int_equal(zdb_sync(w->s.ns, &e), 0);
    sample_reopen(&w->s);
    assert_string_equal(w->s.report, "");
    for (unsigned k = 0; k < KEYS; k++) assert_int_equal(version_there(&w->s, w, k), k % 3 + 1);
    sample_expect(&w->s, STR("behind"), STR("it"));
    sample_close(&w->s);
    shim_clear(shim);
    free(shim);
    free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_power_cut_what_was_acknowledged_is_there_and_nothing_is_half),
        cmocka_unit_test(after_a_power_cut_seq_ids_have_their_acknowledged_values),
        cmocka_unit_test(a_group_costs_one_sync_of_the_data_file),
        cmocka_unit_test(a_full_disk_refuses_writes_and_goes_on_when_there_is_room),
        cmocka_unit_test(an_io_error_refuses_writes_and_goes_on_without_restart),
        cmocka_unit_test(a_file_that_could_not_be_followed_beside_a_sync_stays_whole),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
