/* SPDX-License-Identifier: Apache-2.0 — limits.c */
#include "agent/limits.h"

#include "base/log.h"

#include <malloc.h>
#include <sys/resource.h>

#define ALLOC_ARENAS     2            /* more arenas keep more memory that is free */
#define ALLOC_MMAP_BYTES (128 * 1024) /* larger blocks go back to the kernel when freed */

void limits_set(void) {
    struct rlimit files;
    (void)mallopt(M_ARENA_MAX, ALLOC_ARENAS);
    (void)mallopt(M_MMAP_THRESHOLD, ALLOC_MMAP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, ALLOC_MMAP_BYTES);
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == files.rlim_max) return;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        LOG_WARN("the limit of open files stays low", F_U64("limit", files.rlim_cur));
}
