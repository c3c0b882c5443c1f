/* SPDX-License-Identifier: Apache-2.0 — group_sync.c */
#include "storage/image/group_sync.h"

#include <errno.h>
#include <unistd.h>

void group_sync_init(struct group_sync *g, int fd) {
    *g = (struct group_sync){.fd = fd, .sync = syncfs};
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->moved, NULL);
}

void group_sync_done(struct group_sync *g) {
    (void)pthread_cond_destroy(&g->moved);
    (void)pthread_mutex_destroy(&g->lock);
}

/* With the lock, which is given up for the time of the call. */
static void run(struct group_sync *g) {
    uint64_t covered = g->asked;
    g->running = true;
    (void)pthread_mutex_unlock(&g->lock);
    int r = g->sync(g->fd) < 0 ? -errno : 0;
    (void)pthread_mutex_lock(&g->lock);
    g->running = false;
    if (r == 0)
        g->done = covered;
    else
        g->failures++;
    g->error = r;
    (void)pthread_cond_broadcast(&g->moved);
}

int group_sync(struct group_sync *g) {
    (void)pthread_mutex_lock(&g->lock);
    uint64_t mine = ++g->asked;
    uint64_t failures = g->failures;
    while (g->done < mine && g->failures == failures) {
        if (g->running)
            (void)pthread_cond_wait(&g->moved, &g->lock);
        else
            run(g);
    }
    int r = g->failures == failures ? 0 : g->error;
    (void)pthread_mutex_unlock(&g->lock);
    return r;
}
