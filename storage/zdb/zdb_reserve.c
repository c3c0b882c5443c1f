/* SPDX-License-Identifier: Apache-2.0 — zdb_reserve.c: space that is kept back for a full disk.
 *
 * The file's size is all of its state: releasing is ftruncate to less, refilling is fallocate, and
 * whatever a crash leaves between is a reserve of another size, which opening completes. Freed
 * blocks are usable when the journal has committed, so each change is synced.
 * Refilling asks for a margin beyond the size and gives it back: a disk that has just enough for
 * the reserve would otherwise go to and fro with each deletion.
 * The lock is a leaf, held over system calls on the reserve's file only. Writers of data look at
 * an atomic and do not take it. */
#include "storage/zdb/zdb_reserve.h"

#include "base/clock.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/statfs.h>

#define PIECES         16 /* so many deletions find room, even if another program takes the rest */
#define PIECE_BYTES    ((uint64_t)256 << 10)
#define ST_BLOCK_BYTES 512 /* stat(2) */

struct zdb_reserve {
    int dir, fd;     /* owned; fd carries the lock against another process, -1: not made yet */
    dev_t device;    /* of both: space is given back to no other */
    uint64_t bytes;  /* whole */
    uint64_t margin; /* that refilling wants to see beyond it */
    atomic_bool is_whole;
    atomic_uint_fast64_t retry_ms; /* when a put may try to refill */
    atomic_uint_fast64_t held;     /* written with the lock */
    atomic_uint_fast64_t releases;
    pthread_mutex_t lock; /* of the file's size */
};

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

int zdb_reserve_default(const char *folder, uint64_t data_file_bytes, uint64_t *out_bytes,
                        struct err *e) {
    struct statfs s;
    if (statfs(folder, &s) < 0) return err_sys(e, errno, "ask for the size of '%s'", folder);
    uint64_t most = (uint64_t)s.f_blocks * (uint64_t)s.f_bsize / 100 * ZDB_RESERVE_PERCENT;
    *out_bytes = data_file_bytes < most ? data_file_bytes : most;
    return 0;
}

/* Cuts the file to the size and waits until the space is usable; lock held. Tier (a). */
static int shorten(struct zdb_reserve *r, uint64_t bytes) {
    if (ftruncate(r->fd, (off_t)bytes) < 0) return -errno;
    (void)fdatasync(r->fd); /* if it fails the space comes later */
    atomic_store(&r->held, bytes);
    return 0;
}

static bool is_full(int error) { return error == -ENOSPC || error == -EDQUOT; }

/* What a run before left: its size, if all of it really has blocks (a copy may not). */
static int take_over(struct zdb_reserve *r) {
    struct stat st;
    if (fstat(r->fd, &st) < 0) return -errno;
    uint64_t held = (uint64_t)st.st_size;
    if ((uint64_t)st.st_blocks * ST_BLOCK_BYTES < held) held = 0;
    if (held > r->bytes) held = r->bytes;
    int n = held == (uint64_t)st.st_size ? 0 : shorten(r, held);
    atomic_store(&r->held, held);
    atomic_store(&r->is_whole, held == r->bytes);
    return n;
}

/* Lock held. Tier (a): -ENOSPC when there is no room even for the name, -EBUSY. */
static int make(struct zdb_reserve *r) {
    AUTO_CLOSE int fd =
        openat(r->dir, ZDB_RESERVE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return errno == EWOULDBLOCK ? -EBUSY : -errno;
    r->fd = STEAL_FD(fd);
    return take_over(r);
}

/* Makes it whole. Lock held. Tier (a): after -ENOSPC and -EDQUOT it has the size it had. */
static int grow(struct zdb_reserve *r, uint64_t margin) {
    struct statfs s;
    int n = r->fd < 0 ? make(r) : 0;
    if (n < 0 || atomic_load(&r->is_whole)) return n;
    uint64_t held = atomic_load(&r->held);
    if (fstatfs(r->fd, &s) < 0) return -errno;
    /* Only to spare a full disk the work: the truth is what fallocate says. */
    if (s.f_blocks > 0 && (uint64_t)s.f_bfree * (uint64_t)s.f_bsize < r->bytes - held + margin)
        return -ENOSPC;
    if (fallocate(r->fd, 0, (off_t)held, (off_t)(r->bytes - held + margin)) < 0) {
        n = -errno;
        (void)!shorten(r, held);
        return n;
    }
    n = shorten(r, r->bytes);
    if (n == 0) atomic_store(&r->is_whole, true);
    return n;
}

static int open_file(struct zdb_reserve *r, const char *folder, struct err *e) {
    struct stat st;
    r->dir = file_open_dir(AT_FDCWD, folder);
    if (r->dir < 0) return err_sys(e, -r->dir, "open folder '%s' for the reserve", folder);
    if (fstat(r->dir, &st) < 0) return err_sys(e, errno, "look at folder '%s'", folder);
    r->device = st.st_dev;
    if (r->bytes == 0) {
        if (unlinkat(r->dir, ZDB_RESERVE_NAME, 0) < 0 && errno != ENOENT)
            return err_sys(e, errno, "remove '%s/%s'", folder, ZDB_RESERVE_NAME);
        return 0;
    }
    int n = grow(r, 0);
    if (n == -EBUSY)
        return err_set(e, ERR_BUSY, "'%s/%s' is in use by another process", folder,
                       ZDB_RESERVE_NAME);
    if (n == -EOPNOTSUPP)
        return err_set(e, ERR_UNSUPPORTED,
                       "the file system of '%s' cannot set space aside (it has no fallocate): "
                       "run without a reserve, or move the data",
                       folder);
    if (n < 0 && !is_full(n))
        return err_sys(e, -n, "set aside %llu bytes in '%s/%s'", (unsigned long long)r->bytes,
                       folder, ZDB_RESERVE_NAME);
    return 0;
}

int zdb_reserve_open(const char *folder, uint64_t bytes, struct zdb_reserve **out, struct err *e) {
    struct zdb_reserve *r = xnew(struct zdb_reserve);
    r->dir = r->fd = -1;
    r->bytes = bytes;
    r->margin = larger(bytes / PIECES, PIECE_BYTES);
    atomic_store(&r->is_whole, bytes == 0);
    (void)pthread_mutex_init(&r->lock, NULL);
    if (open_file(r, folder, e) < 0) {
        zdb_reserve_close(r);
        return -1;
    }
    *out = r;
    return 0;
}

void zdb_reserve_close(struct zdb_reserve *r) {
    if (!r) return;
    if (r->fd >= 0) (void)close(r->fd);
    if (r->dir >= 0) (void)close(r->dir);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

bool zdb_reserve_refill(struct zdb_reserve *r) {
    if (!r || atomic_load(&r->is_whole)) return true;
    (void)pthread_mutex_lock(&r->lock);
    if (!atomic_load(&r->is_whole)) (void)!grow(r, r->margin);
    bool is_whole = atomic_load(&r->is_whole);
    (void)pthread_mutex_unlock(&r->lock);
    return is_whole;
}

bool zdb_reserve_allows_puts(struct zdb_reserve *r) {
    if (!r || atomic_load(&r->is_whole)) return true;
    uint64_t now = clock_ms();
    uint64_t due = atomic_load(&r->retry_ms);
    if (now < due) return false;
    /* One of those that are due tries; the others are refused. */
    if (!atomic_compare_exchange_strong(&r->retry_ms, &due, now + ZDB_RESERVE_RETRY_MS))
        return false;
    return zdb_reserve_refill(r);
}

bool zdb_reserve_release(struct zdb_reserve *r, int fd, int error, uint64_t bytes) {
    struct stat st;
    if (!r || !is_full(error)) return false;
    if (fstat(fd, &st) < 0 || st.st_dev != r->device) return false; /* it would help nobody */
    uint64_t piece = larger(larger(r->bytes / PIECES, PIECE_BYTES), 2 * bytes);
    (void)pthread_mutex_lock(&r->lock);
    uint64_t held = atomic_load(&r->held);
    bool is_released = held > 0;
    if (is_released) {
        atomic_store(&r->is_whole, false); /* first: no put may take what is released */
        is_released = shorten(r, held > piece ? held - piece : 0) == 0;
    }
    if (is_released) (void)atomic_fetch_add(&r->releases, 1);
    (void)pthread_mutex_unlock(&r->lock);
    return is_released;
}

void zdb_reserve_info(struct zdb_reserve *r, struct zdb_reserve_info *out) {
    *out = (struct zdb_reserve_info){r->bytes, atomic_load(&r->held), atomic_load(&r->releases)};
}

/* ---- the io ---- */

static int vital_write(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    struct iovec copy[ZDB_IO_PIECES_MAX];
    uint64_t bytes = 0;
    int r;
    assert(count > 0 && count <= ZDB_IO_PIECES_MAX);
    for (int i = 0; i < count; i++) bytes += iov[i].iov_len;
    do {
        memcpy(copy, iov, (size_t)count * sizeof *iov); /* each attempt uses its own up */
        r = v->below->write(v->below, fd, copy, count, offset);
    } while (r < 0 && zdb_reserve_release(v->reserve, fd, r, bytes));
    return r;
}

static int vital_sync(struct zdb_io *io, int fd) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    int r = v->below->sync(v->below, fd);
    if (r < 0) (void)zdb_reserve_release(v->reserve, fd, r, 0);
    return r;
}

static int vital_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    int r;
    do r = v->below->truncate(v->below, fd, bytes);
    while (r < 0 && zdb_reserve_release(v->reserve, fd, r, 0)); /* copy on write needs some */
    return r;
}

static int vital_create(struct zdb_io *io, int dir, const char *name) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    int r;
    do r = v->below->create(v->below, dir, name);
    while (r < 0 && zdb_reserve_release(v->reserve, dir, r, 0));
    return r;
}

static int vital_rename(struct zdb_io *io, int dir, const char *from, const char *to) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    int r;
    do r = v->below->rename(v->below, dir, from, to);
    while (r < 0 && zdb_reserve_release(v->reserve, dir, r, 0));
    return r;
}

static int vital_unlink(struct zdb_io *io, int dir, const char *name) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    return v->below->unlink(v->below, dir, name);
}

static int vital_sync_dir(struct zdb_io *io, int dir) {
    struct zdb_reserve_io *v = CONTAINER_OF(io, struct zdb_reserve_io, io);
    int r = v->below->sync_dir(v->below, dir);
    if (r < 0) (void)zdb_reserve_release(v->reserve, dir, r, 0);
    return r;
}

void zdb_reserve_io_init(struct zdb_reserve_io *v, struct zdb_reserve *r, struct zdb_io *below) {
    *v = (struct zdb_reserve_io){.io = {.write = vital_write,
                                        .sync = vital_sync,
                                        .truncate = vital_truncate,
                                        .create = vital_create,
                                        .rename = vital_rename,
                                        .unlink = vital_unlink,
                                        .sync_dir = vital_sync_dir},
                                 .below = below,
                                 .reserve = r};
}
