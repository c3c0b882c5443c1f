/* SPDX-License-Identifier: Apache-2.0 — file.h: files and folders, always relative to a directory
 * descriptor.
 *
 * Tier (a): every function returns 0, a descriptor or a count, else -errno; text is added by the
 * caller. `dir` is a directory descriptor or AT_FDCWD; descriptors handed out are close-on-exec and
 * owned by the caller. Any thread, one writer at a time for each name. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- whole reads and writes ---- */

/* Writes all n bytes, through short writes and EINTR. */
int file_write_all(int fd, const void *bytes, size_t n) MUST_CHECK;
int file_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset) MUST_CHECK;
/* Reads up to n bytes, less only at the end of the file; returns the count. */
ssize_t file_read_full(int fd, void *out, size_t n) MUST_CHECK;
ssize_t file_pread_full(int fd, void *out, size_t n, uint64_t offset) MUST_CHECK;

/* The rest of fd into *out (replaced by a fresh buffer that the caller owns); -EFBIG when there are
 * more than bytes_max bytes. Works for /proc and /sys files, whose size is not known. */
int file_read_fd(int fd, size_t bytes_max, struct buf *out) MUST_CHECK;
/* The same for a file by name; symbolic links are followed. */
int file_read_all(int dir, const char *name, size_t bytes_max, struct buf *out) MUST_CHECK;
/* The same into an arena, NUL-terminated outside of the length; -ENOSPC when the arena is full. */
int file_read_arena(struct arena *a, int dir, const char *name, size_t bytes_max,
                    struct str *out) MUST_CHECK;

/* Replaces (or makes) the file `name`, a plain name without '/': after a crash there is the old or
 * the new content, whole. When it returns 0, content and name are on stable storage. It goes
 * through ".NAME.tmp", which a crash may leave and the next write replaces. */
int file_write_durable(int dir, const char *name, struct str bytes, mode_t mode) MUST_CHECK;
/* The same for folders that do not outlive a reboot: whole for readers, not synced. */
int file_write_atomic(int dir, const char *name, struct str bytes, mode_t mode) MUST_CHECK;
/* Keeps room on the disk, so that the next file_write_durable() of up to `bytes` bytes to this name
 * does not fail for want of it. It lies in ".NAME.tmp". -EOPNOTSUPP: the file system cannot. */
int file_reserve(int dir, const char *name, size_t bytes) MUST_CHECK;
/* One write(2) to an existing file (cgroup and sysctl files want exactly that). */
int file_put(int dir, const char *name, struct str bytes) MUST_CHECK;
/* fsync of the directory `name` in dir ("." for dir itself). */
int file_sync_dir(int dir, const char *name) MUST_CHECK;

/* ---- opening ---- */

/* Opens path below dir and refuses (-EXDEV) whatever leads out of it: "..", absolute paths and
 * links, magic links. openat2(2) RESOLVE_BENEATH. O_CLOEXEC is added. */
int file_open_beneath(int dir, const char *path, int flags, mode_t mode) MUST_CHECK;
/* Opens path as if dir were "/": ".." stops there, absolute links start there. openat2(2)
 * RESOLVE_IN_ROOT without magic links. */
int file_open_in_root(int dir, const char *path, int flags, mode_t mode) MUST_CHECK;
/* Opens a folder for reading its entries and for use as `dir`. */
int file_open_dir(int dir, const char *path) MUST_CHECK;
/* Sets or clears close-on-exec. */
int file_set_cloexec(int fd, bool on) MUST_CHECK;
/* 1 when the name exists (a dangling link does), 0 when not, else -errno. */
int file_exists(int dir, const char *name) MUST_CHECK;

/* ---- folders ---- */

/* Makes path and the folders above it; those that are there keep their mode. -ENOTDIR when a part
 * is something else. Not synced. */
int file_mkdirs(int dir, const char *path, mode_t mode) MUST_CHECK;
/* file_mkdirs, then file_open_dir of it. */
int file_mkdirs_open(int dir, const char *path, mode_t mode) MUST_CHECK;
/* Removes the file or whole tree `name`; nothing there is 0. Symbolic links are removed, never
 * followed; a mount point inside gives -EBUSY and stops. Any depth with at most
 * FILE_REMOVE_FDS_MAX descriptors. On failure a part may be gone. */
#define FILE_REMOVE_FDS_MAX 32
int file_remove_tree(int dir, const char *name) MUST_CHECK;

/* Entries of a folder, without "." and "..", in no order. Usage:
 *   AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
 *   int r = file_dir_open(&d, dir, "pods");
 *   while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) ... */
struct file_dir {
    void *impl; /* owned */
};
struct file_entry {
    const char *name;   /* valid until the next call */
    unsigned char type; /* DT_DIR, ... of <dirent.h>; DT_UNKNOWN on some file systems */
    uint64_t inode;
};
#define FILE_DIR_NONE ((struct file_dir){NULL})
int file_dir_open(struct file_dir *d, int dir, const char *path) MUST_CHECK;
/* 1 and an entry, 0 at the end, or -errno. */
int file_dir_next(struct file_dir *d, struct file_entry *out) MUST_CHECK;
void file_dir_close(struct file_dir *d); /* NULL-safe, idempotent */
