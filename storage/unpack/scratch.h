/* SPDX-License-Identifier: Apache-2.0 — scratch.h: a tmpfs of a test's own, in a mount namespace of
 * its own, so that nothing is left whatever happens. Only tests include it; they run as root. */
#pragma once

#include "base/err.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define SCRATCH "/mnt" /* hidden by the tmpfs, for this process and its children */

/* Call once per test program. size: as tmpfs takes it ("64m"). */
static inline void scratch_mount(const char *size) {
    char options[64];
    (void)snprintf(options, sizeof options, "size=%s,mode=0755", size);
    int r = unshare(CLONE_NEWNS);
    if (r == 0) r = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (r == 0) r = mount("tmpfs", SCRATCH, "tmpfs", 0, options);
    if (r < 0) perror("a test needs root to mount a tmpfs");
    assert(r == 0);
}

/* A fresh folder below it; its path in static storage per call site's buffer. */
static inline int scratch_dir(char path[64]) {
    static unsigned number;
    (void)snprintf(path, 64, SCRATCH "/d%u", number++);
    int r = mkdir(path, 0755);
    assert(r == 0);
    (void)r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(fd >= 0);
    return fd;
}
