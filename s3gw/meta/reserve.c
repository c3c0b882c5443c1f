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

/* fallocate alone keeps blocks, without writing them; what it got when the disk became full in the
 * middle is given back, so that a half is never taken for the whole. */
bool reserve_fill(struct reserve *r) {
    struct stat st;
    if (fstat(r->fd, &st) < 0) return false;
    if ((uint64_t)st.st_size >= r->bytes && (uint64_t)st.st_blocks * 512 >= r->bytes) return true;
    if (fallocate(r->fd, 0, 0, (off_t)r->bytes) == 0) return true;
    (void)!ftruncate(r->fd, st.st_size);
    return false;
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
