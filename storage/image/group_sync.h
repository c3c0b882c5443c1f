/* SPDX-License-Identifier: Apache-2.0 — group_sync.h: one syncfs(2) for all who wait for one.
 *
 * A layer's record may be written when everything of the layer is on the disk. Layers of one pull
 * end side by side, and a syncfs writes out what all of them have written: who comes while one runs
 * shares the next one with everybody else who came meanwhile. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct group_sync {
    int fd;               /* borrowed: a descriptor on the file system */
    int (*sync)(int fd);  /* syncfs(2), but for tests */
    pthread_mutex_t lock; /* leaf lock of what follows; not held while the disk works */
    pthread_cond_t moved;
    uint64_t asked, done; /* requests so far; all up to `done` are on the disk */
    uint64_t failures;
    int error; /* of the last one */
    bool running;
};

void group_sync_init(struct group_sync *g, int fd);
void group_sync_done(struct group_sync *g);
/* Returns when a syncfs that began after the call was made has ended. 0 or -errno: a failure is
 * told to all who wait at that time, since the kernel reports an error of writing back once and
 * does not say whose data it was. Any thread; blocks on the disk. */
int group_sync(struct group_sync *g);
