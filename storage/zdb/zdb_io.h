/* SPDX-License-Identifier: Apache-2.0 — zdb_io.h: the system calls that change a namespace's files
 * and folders, so that tests can record them and make them fail.
 *
 * Tier (a): 0 or -errno. Any thread. Reads are direct; so are descriptor and settings
 * (file_write_durable), which nothing else depends on. */
#pragma once

#include "base/own.h"

#include <stdint.h>
#include <sys/uio.h>

struct zdb_io {
    /* All bytes at the offset, or an error; then any part may have been written. iov is used up. */
    int (*write)(struct zdb_io *io, int fd, struct iovec *iov, int count, uint64_t offset);
    int (*sync)(struct zdb_io *io, int fd); /* fdatasync */
    int (*truncate)(struct zdb_io *io, int fd, uint64_t bytes);
    /* Makes or empties a file; its descriptor, for reading and writing, is the caller's. */
    int (*create)(struct zdb_io *io, int dir, const char *name);
    int (*rename)(struct zdb_io *io, int dir, const char *from, const char *to);
    int (*unlink)(struct zdb_io *io, int dir, const char *name);
    int (*sync_dir)(struct zdb_io *io, int dir); /* fsync */
    /* Sets space aside for so many bytes from the offset on, whatever the file's size, which stays;
     * nothing in the file changes. NULL: nothing can be set aside. */
    int (*allocate)(struct zdb_io *io, int fd, uint64_t offset, uint64_t bytes);
};

/* The real calls; static. */
struct zdb_io *zdb_io_real(void);
