/* SPDX-License-Identifier: Apache-2.0 — reserve.c: see reserve.h. */
#include "s3gw/meta/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct reserve {
    int fd;
    uint64_t bytes;
};

int reserve_open(const char *folder, uint64_t bytes, struct reserve **out, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/reserve", folder);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, errno, "open the reserve '%s'", path);
    struct reserve *r = xnew(struct reserve);
    *r = (struct reserve){STEAL_FD(fd), bytes};
    (void)reserve_fill(r);
    *out = r;
    return 0;
}

/* fallocate alone keeps blocks, without writing them. Step by step, so that what there is of space
 * is kept even when it is not enough. */
bool reserve_fill(struct reserve *r) {
    struct stat st;
    if (fstat(r->fd, &st) < 0) return false;
    for (uint64_t at = (uint64_t)st.st_size; at < r->bytes;) {
        uint64_t step = r->bytes - at < RESERVE_STEP_BYTES ? r->bytes - at : RESERVE_STEP_BYTES;
        if (fallocate(r->fd, 0, (off_t)at, (off_t)step) == 0) {
            at += step;
            continue;
        }
        (void)!ftruncate(r->fd, (off_t)at); /* what a failed step got is no step */
        return false;
    }
    return true;
}

bool reserve_spend(struct reserve *r) {
    struct stat st;
    if (fstat(r->fd, &st) < 0 || st.st_size == 0) return false;
    uint64_t size = (uint64_t)st.st_size;
    size = size > RESERVE_STEP_BYTES ? size - RESERVE_STEP_BYTES : 0;
    return ftruncate(r->fd, (off_t)size) == 0;
}

void reserve_close(struct reserve *r) {
    if (!r) return;
    (void)close(r->fd);
    free(r);
}
