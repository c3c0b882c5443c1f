/* SPDX-License-Identifier: Apache-2.0 — zdb_io.c: the real calls. */
#include "storage/zdb/zdb_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static void advance(struct iovec **iov, int *count, size_t n) {
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count == 0) return;
    (*iov)->iov_base = (char *)(*iov)->iov_base + n;
    (*iov)->iov_len -= n;
}

static int io_write(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset) {
    (void)io;
    advance(&iov, &count, 0);
    while (count > 0) {
        ssize_t n = pwritev(fd, iov, count, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? -errno : -EIO;
        offset += (uint64_t)n;
        advance(&iov, &count, (size_t)n);
    }
    return 0;
}

static int io_sync(struct zdb_io *io, int fd) {
    (void)io;
    return fdatasync(fd) < 0 ? -errno : 0; /* not again on failure: pages may be lost by then */
}

static int io_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    (void)io;
    return ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
}

static int io_create(struct zdb_io *io, int dir, const char *name) {
    (void)io;
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

static int io_rename(struct zdb_io *io, int dir, const char *from, const char *to) {
    (void)io;
    return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

static int io_unlink(struct zdb_io *io, int dir, const char *name) {
    (void)io;
    return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

static int io_sync_dir(struct zdb_io *io, int dir) {
    (void)io;
    return fsync(dir) < 0 ? -errno : 0;
}

static int io_allocate(struct zdb_io *io, int fd, uint64_t offset, uint64_t bytes) {
    (void)io;
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) < 0 ? -errno : 0;
}

struct zdb_io *zdb_io_real(void) {
    static struct zdb_io real = {.write = io_write,
                                 .sync = io_sync,
                                 .truncate = io_truncate,
                                 .create = io_create,
                                 .rename = io_rename,
                                 .unlink = io_unlink,
                                 .sync_dir = io_sync_dir,
                                 .allocate = io_allocate};
    return &real;
}
