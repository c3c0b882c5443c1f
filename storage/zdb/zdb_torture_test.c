/* SPDX-License-Identifier: Apache-2.0 — zdb_torture_test.c: each write and each sync of data and of
 * index fails in turn, once or until the disk is exchanged: refused, reported, reads go on, and
 * afterwards everything does, without a restart. */
#include "storage/zdb/zdb_reserve.h"
#include "storage/zdb/zdb_sample.h"

#define KEYS       6
#define STEPS      26
#define VALUE_MAX  400
#define FILE_BYTES 1500 /* a few files each run */
#define AT_MAX     2000 /* calls of a kind that a run makes, at most */
#define FOREVER    UINT32_MAX
#define RESERVE    ((uint64_t)4 << 20)

enum call { WRITE, SYNC };
struct fault {
    enum call call;
    char file; /* 'd' or 'i' */
    int error;
    unsigned at, times; /* the call that fails, and how many in all */
};

struct disk {
    struct zdb_io io;
    struct fault fault;
    unsigned seen, failed;
    bool may_tear;
};

static bool fails(struct disk *d, enum call call, int fd) {
    char link[64];
    char path[256];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    assert_true(n > 0);
    path[n] = 0;
    if (call != d->fault.call || strrchr(path, '/')[1] != d->fault.file) return false;
    if (++d->seen < d->fault.at || d->failed >= d->fault.times) return false;
    d->failed++;
    return true;
}

static int disk_write(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset) {
    struct disk *d = CONTAINER_OF(io, struct disk, io);
    if (!fails(d, WRITE, fd)) return zdb_io_real()->write(io, fd, iov, count, offset);
    struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2}; /* a part got there */
    bool is_append = lseek(fd, 0, SEEK_END) <= (off_t)offset;
    /* In place only where it can be undone: not without syncs, nor on a disk that stays broken. */
    if (is_append || d->may_tear) (void)!zdb_io_real()->write(io, fd, &half, 1, offset);
    return -d->fault.error;
}

static int disk_sync(struct zdb_io *io, int fd) {
    struct disk *d = CONTAINER_OF(io, struct disk, io);
    return fails(d, SYNC, fd) ? -d->fault.error : 0;
}

/* A disk that stays broken does not even let undo, as one that went read-only. */
static int disk_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    struct disk *d = CONTAINER_OF(io, struct disk, io);
    if (d->failed > 0 && d->fault.times == FOREVER) return -d->fault.error;
    return zdb_io_real()->truncate(io, fd, bytes);
}

/* ---- a run ---- */

struct run {
    struct sample s;
    struct disk disk;
    struct zdb_reserve *reserve;
    uint64_t ids[KEYS];     /* seq; UINT64_MAX: none */
    unsigned is[KEYS];      /* version that counts, 0: none */
    uint64_t tried[KEYS];   /* and those that were refused since (a bit each), which may be there */
    unsigned refused, done; /* steps */
};

static struct str value_of(unsigned key, unsigned version, char out[VALUE_MAX]) {
    size_t n = 8 + (key * 131 + version * 57) % (VALUE_MAX - 8);
    for (size_t i = 0; i < n; i++) out[i] = (char)(key + version * 7 + i * i);
    memcpy(out, &key, sizeof key);
    memcpy(out + 4, &version, sizeof version);
    return str_make(out, n);
}

static struct str key_of(const struct run *r, unsigned key, char out[16]) {
    if (r->s.options.mode == ZDB_USER)
        return str_make(out, (size_t)snprintf(out, 16, "key-%u", key));
    zdb_id_encode(r->ids[key], (uint8_t *)out);
    return str_make(out, ZDB_ID_BYTES);
}

static unsigned version_there(struct run *r, unsigned key) {
    AUTO(buf_done) struct buf out = BUF(VALUE_MAX);
    char name[16];
    char value[VALUE_MAX];
    unsigned version;
    if (r->s.options.mode == ZDB_SEQ && r->ids[key] == UINT64_MAX) return 0;
    enum err_kind kind = sample_get(&r->s, key_of(r, key, name), &out);
    if (kind == ERR_NOT_FOUND) return 0;
    assert_int_equal(kind, ERR_NONE);
    assert_true(out.n >= 8);
    memcpy(&version, out.p + 4, sizeof version);
    assert_true(str_eq(buf_view(&out), value_of(key, version, value)));
    return version;
}

static void expect_all(struct run *r, const char *when) {
    const struct fault *f = &r->disk.fault;
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned found = version_there(r, k);
        if (found == r->is[k] || r->tried[k] >> found & 1) continue;
        fail_msg("%s: key %u has version %u, not %u (%s of %c, number %u, %u times: %s)\n%s", when,
                 k, found, r->is[k], f->call == SYNC ? "sync" : "write", f->file, f->at, f->times,
                 strerror(f->error), r->s.report);
    }
}

static int write_one(struct run *r, unsigned k, unsigned version, struct err *e) {
    char name[16];
    char value[VALUE_MAX];
    uint64_t ticket;
    struct zdb_put_result result;
    bool is_new = r->s.options.mode == ZDB_SEQ && r->ids[k] == UINT64_MAX;
    struct str key = is_new ? STR_NONE : key_of(r, k, name);
    struct zdb_put p = {key, value_of(k, version, value), SAMPLE_TIME_S};
    if (version == 0) {
        if (zdb_delete(r->s.ns, key, SAMPLE_TIME_S, &ticket, e) < 0) return -1;
    } else {
        if (zdb_put(r->s.ns, &p, &result, e) < 0) return -1;
        ticket = result.ticket;
    }
    if (zdb_commit(r->s.ns, ticket, e) < 0) return -1;
    if (is_new) r->ids[k] = result.id;
    return 0;
}

static void step(struct run *r, unsigned i) {
    struct err e = {0};
    unsigned k = i % KEYS;
    unsigned version = i % 4 == 3 && r->is[k] > 0 ? 0 : i + 1;
    if (version == 0 && r->is[k] == 0) return;
    if (write_one(r, k, version, &e) == 0) {
        r->is[k] = version;
        r->tried[k] = 0;
        if (version == 0 && r->s.options.mode == ZDB_SEQ) r->ids[k] = UINT64_MAX;
        r->done++;
        return;
    }
    if (e.kind == ERR_NOT_FOUND) { /* a deletion that was refused was done */
        assert_true(r->tried[k] & 1);
        r->is[k] = 0;
        r->tried[k] = 0;
        r->ids[k] = UINT64_MAX;
        return;
    }
    r->refused++;
    if (r->disk.fault.times == 1 || e.kind != ERR_IO) { /* then what could not be undone is told */
        assert_int_equal(e.kind, r->disk.fault.error == EIO ? ERR_IO : ERR_LIMIT);
        if (e.sys != ENOSPC) /* says the reserve, when the quota was it */
            assert_int_equal(e.sys, r->disk.fault.error);
    }
    r->tried[k] |= (uint64_t)1 << version;
    expect_all(r, "while it fails");
}

static void open_run(struct run *r, enum zdb_mode mode, enum zdb_durability durability) {
    struct err e = {0};
    sample_init(&r->s, mode);
    if (zdb_reserve_open(r->s.path, RESERVE, &r->reserve, &e) < 0) fail_msg("reserve: %s", e.msg);
    r->disk.io = *zdb_io_real();
    r->disk.io.write = disk_write;
    r->disk.io.sync = disk_sync;
    r->disk.io.truncate = disk_truncate;
    r->s.options.io = &r->disk.io;
    r->s.options.reserve = r->reserve;
    r->s.options.durability = durability;
    r->s.options.interval_ms = 3600u * 1000;
    r->s.options.data_file_bytes = FILE_BYTES;
    for (unsigned k = 0; k < KEYS; k++) r->ids[k] = UINT64_MAX;
    sample_open(&r->s);
}

/* False when the fault came never: there are no more such calls. */
static bool torture(enum zdb_mode mode, enum zdb_durability durability, struct fault fault) {
    struct run *r = xnew(struct run);
    struct err e = {0};
    unsigned i = 0;
    open_run(r, mode, durability);
    r->disk.fault = fault;
    r->disk.may_tear = durability == ZDB_ALWAYS && fault.times == 1;
    for (; i < STEPS; i++) {
        step(r, i);
        if (durability == ZDB_INTERVAL && i % 5 == 4) (void)!zdb_sync(r->s.ns, &e);
    }
    bool was_hit = r->disk.failed > 0;
    r->disk.fault.times = 0; /* a new disk */
    assert_true(zdb_reserve_refill(r->reserve));
    (void)!zdb_commit(r->s.ns, 0, &e); /* takes what an interval's sync still has to tell */
    unsigned refused = r->refused;
    for (; i < STEPS + 2 * KEYS; i++) step(r, i);
    assert_int_equal(r->refused, refused);
    expect_all(r, "afterwards");
    if (zdb_sync(r->s.ns, &e) < 0) fail_msg("sync afterwards: %s", e.msg);
    sample_close(&r->s);
    r->s.options.io = NULL;
    sample_open(&r->s);
    expect_all(r, "after a restart");
    sample_close(&r->s);
    zdb_reserve_close(r->reserve);
    assert_int_equal(file_remove_tree(AT_FDCWD, r->s.path), 0);
    free(r);
    return was_hit;
}

static void torture_each(enum zdb_durability durability, enum call call, int error) {
    unsigned hits = 0;
    for (unsigned n = 0; n < 8; n++) {
        enum zdb_mode mode = n & 1 ? ZDB_SEQ : ZDB_USER;
        struct fault f = {call, n & 2 ? 'i' : 'd', error, 1, n & 4 ? FOREVER : 1};
        while (f.at < AT_MAX && torture(mode, durability, f)) {
            hits++;
            f.at += durability == ZDB_ALWAYS ? 1 : 3;
        }
        assert_true(f.at < AT_MAX);
    }
    assert_true(hits > 4);
}

static void a_write_that_fails_is_refused_and_the_rest_goes_on(void **state) {
    (void)state;
    torture_each(ZDB_ALWAYS, WRITE, EIO);
    torture_each(ZDB_INTERVAL, WRITE, EIO);
    torture_each(ZDB_NEVER, WRITE, EIO);
}

static void a_write_without_room_is_refused_and_the_rest_goes_on(void **state) {
    (void)state;
    torture_each(ZDB_ALWAYS, WRITE, ENOSPC);
    torture_each(ZDB_INTERVAL, WRITE, ENOSPC);
    torture_each(ZDB_NEVER, WRITE, ENOSPC);
    torture_each(ZDB_ALWAYS, WRITE, EDQUOT);
}

static void a_write_past_the_largest_file_is_refused_and_the_rest_goes_on(void **state) {
    (void)state;
    torture_each(ZDB_ALWAYS, WRITE, EFBIG);
}

static void a_sync_that_fails_is_reported_and_the_rest_goes_on(void **state) {
    (void)state;
    torture_each(ZDB_ALWAYS, SYNC, EIO);
    torture_each(ZDB_INTERVAL, SYNC, EIO);
}

static void a_sync_without_room_is_reported_and_the_rest_goes_on(void **state) {
    (void)state;
    torture_each(ZDB_ALWAYS, SYNC, ENOSPC);
    torture_each(ZDB_INTERVAL, SYNC, ENOSPC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(a_write_without_room_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(a_write_past_the_largest_file_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(a_sync_that_fails_is_reported_and_the_rest_goes_on),
        cmocka_unit_test(a_sync_without_room_is_reported_and_the_rest_goes_on),
    };
    scratch_mount("256m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
