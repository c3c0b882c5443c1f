/* SPDX-License-Identifier: Apache-2.0 — zdbd_dirty.c: INDEX DIRTY by the files' own times.
 *
 * An index file is dirty when its time of change is not the one that was remembered. Times have
 * the grain of the kernel's tick, so a file that was changed just now gets a time in the past
 * first: whatever changes it afterwards shows. Rejected: noting the file of every entry that a
 * write touches, which costs every write a look-up for what replication asks once an hour. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define NS_PER_S     INT64_C(1000000000)
#define RECENT_NS    NS_PER_S
#define SET_BACK_NS  (2 * NS_PER_S)
#define HEADER_BYTES ZDB_INDEX_HEADER_BYTES

struct zdbd_dirty {
    size_t count;
    int64_t changed_ns[]; /* of file i0, i1, ... */
};

void zdbd_dirty_free(struct zdbd_dirty *d) { free(d); }

static int64_t ns_of(struct timespec t) { return t.tv_sec * NS_PER_S + t.tv_nsec; }

/* 1 and the file; 0: there is none of that number. */
static int look(const char *folder, size_t number, char path[ZDBD_PATH_BYTES], struct stat *st) {
    (void)snprintf(path, ZDBD_PATH_BYTES, "%s/i%zu", folder, number);
    if (stat(path, st) == 0) return 1;
    return errno == ENOENT ? 0 : -errno;
}

static int64_t set_back(const char *path, int64_t changed_ns) {
    int64_t now = clock_wall_ns();
    if (changed_ns < now - RECENT_NS) return changed_ns;
    int64_t back = now - SET_BACK_NS;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = back / NS_PER_S, .tv_nsec = back % NS_PER_S}};
    return utimensat(AT_FDCWD, path, times, 0) == 0 ? back : changed_ns;
}

int zdbd_dirty_reset(struct zdbd_space *p) {
    char folder[ZDBD_PATH_BYTES];
    char path[ZDBD_PATH_BYTES];
    struct stat st;
    size_t count = 0;
    int r = 0;
    zdbd_space_path(p->server, p, false, folder, sizeof folder);
    while (count < ZDB_FILES_MAX && (r = look(folder, count, path, &st)) > 0) count++;
    if (r < 0) return r;
    AUTO_FREE struct zdbd_dirty *d = xmalloc(sizeof *d + count * sizeof d->changed_ns[0]);
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        r = look(folder, i, path, &st);
        if (r < 0) return r;
        d->changed_ns[i] = set_back(path, ns_of(st.st_mtim));
    }
    (void)pthread_mutex_lock(&p->server->dirty_lock);
    zdbd_dirty_free(p->dirty);
    p->dirty = STEAL(d);
    (void)pthread_mutex_unlock(&p->server->dirty_lock);
    return 0;
}

static bool is_dirty(struct zdbd_space *p, size_t number, const struct stat *st) {
    bool result = st->st_size > HEADER_BYTES; /* of a new file: it has entries */
    (void)pthread_mutex_lock(&p->server->dirty_lock);
    if (p->dirty && number < p->dirty->count)
        result = ns_of(st->st_mtim) != p->dirty->changed_ns[number];
    (void)pthread_mutex_unlock(&p->server->dirty_lock);
    return result;
}

ssize_t zdbd_dirty_list(struct zdbd_space *p, uint32_t **out) {
    char folder[ZDBD_PATH_BYTES];
    char path[ZDBD_PATH_BYTES];
    struct stat st;
    ssize_t found = 0;
    int r = 0;
    AUTO_FREE uint32_t *list = xmalloc(ZDB_FILES_MAX * sizeof *list);
    zdbd_space_path(p->server, p, false, folder, sizeof folder);
    for (size_t i = 0; i < ZDB_FILES_MAX && (r = look(folder, i, path, &st)) > 0; i++) {
        if (is_dirty(p, (size_t)i, &st)) list[found++] = (uint32_t)i;
    }
    if (r < 0) return r;
    *out = STEAL(list);
    return found;
}
