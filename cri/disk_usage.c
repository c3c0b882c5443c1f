/* SPDX-License-Identifier: Apache-2.0 — disk_usage.c: walking a tree. */
#include "cri/disk_usage.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>

#define BLOCK_BYTES 512 /* of st_blocks, whatever the file system's own are */

int disk_usage(int dir_fd, struct image_usage *out) {
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/.", dir_fd);
    char *roots[] = {path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    if (!walk) return -errno;
    struct image_usage found = {0};
    for (FTSENT *entry; (entry = fts_read(walk));) {
        if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
            continue;
        found.bytes += (uint64_t)entry->fts_statp->st_blocks * BLOCK_BYTES;
        found.inodes++;
    }
    (void)fts_close(walk);
    *out = found;
    return 0;
}
