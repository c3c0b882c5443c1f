/* SPDX-License-Identifier: Apache-2.0 — tree.h: writes the entries of one layer below a folder.
 *
 * Every path is resolved with openat2(RESOLVE_IN_ROOT), so no link of the layer leads out of the
 * folder. An entry replaces an earlier one of the same name, except that a folder stays when a
 * folder comes. Whiteouts become overlayfs's character devices 0:0; opaque folders are collected
 * for the report, because their mark needs a capability that is not here. Nothing is synced. One
 * thread. Errors do not name the entry: the caller knows it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "storage/unpack/entry_path.h"

#include <sys/types.h>
#include <time.h>

#define TREE_ENTRIES_MAX        (1u << 20)           /* objects of one layer, all kinds */
#define TREE_BYTES_DEFAULT_MAX  ((uint64_t)64 << 30) /* file content of one layer */
#define TREE_DIR_TIME_BYTES_MAX ((size_t)64 << 20)   /* remembered folders */
#define TREE_XATTR_BYTES_MAX    65536u               /* one value: the kernel's XATTR_SIZE_MAX */
#define TREE_XATTRS_MAX         256u                 /* of one entry */

struct tree;

struct tree_xattr {
    const char *name;
    const void *value;
    size_t n;
};

struct tree_meta {
    mode_t mode; /* type and permissions, set-id and sticky bits */
    uid_t uid;
    gid_t gid;
    dev_t dev; /* of a device */
    struct timespec mtime, atime;
    const struct tree_xattr *xattrs; /* borrowed for the call */
    size_t xattr_count;
};

/* root_fd: borrowed, an empty folder. bytes_max: content of all files together. */
struct tree *tree_new(int root_fd, uint64_t bytes_max);
void tree_free(struct tree *t);

/* A folder, symbolic link (target), device or fifo, by meta->mode. */
int tree_add(struct tree *t, const struct entry_path *p, const struct tree_meta *meta,
             const char *target, struct err *e) MUST_CHECK;
/* Another name for an earlier file of this layer. NOT_FOUND when target is not in it. */
int tree_link(struct tree *t, const struct entry_path *p, const struct entry_path *target,
              struct err *e) MUST_CHECK;
/* A regular file: begin gives a descriptor that the caller closes; write any number of blocks at
 * growing offsets (gaps stay holes); end sets size and metadata, the same as begin was told. */
int tree_file_begin(struct tree *t, const struct entry_path *p, const struct tree_meta *meta,
                    int *out_fd, struct err *e) MUST_CHECK;
int tree_file_write(struct tree *t, int fd, struct str block, uint64_t offset,
                    struct err *e) MUST_CHECK;
int tree_file_end(struct tree *t, int fd, uint64_t size, const struct tree_meta *meta,
                  struct err *e) MUST_CHECK;
/* ENTRY_WHITEOUT or ENTRY_OPAQUE. */
int tree_whiteout(struct tree *t, const struct entry_path *p, struct err *e) MUST_CHECK;
/* After the last entry: sets the times of the folders. */
int tree_finish(struct tree *t, struct err *e) MUST_CHECK;

uint64_t tree_bytes(const struct tree *t); /* in blocks of 4 KiB, folders included */
uint64_t tree_inodes(const struct tree *t);
/* The folders to mark, as report_encode() takes them. */
struct str tree_opaques(const struct tree *t, size_t *out_count);
/* After tree_finish(), the same of the folders that no entry announced and that were made for what
 * is in them, the root included: their attributes are those of the layers below. */
struct str tree_implied(const struct tree *t, size_t *out_count);
