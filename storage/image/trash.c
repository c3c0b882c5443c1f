/* SPDX-License-Identifier: Apache-2.0 — trash.c: the deleting thread.
 *
 * `put` and `seen` count wishes: the thread sleeps while they are equal, and after waking takes
 * everything that is in the folder at that time. A folder that cannot be deleted (an I/O error) is
 * left for the next process: trying again at once would spin. */
#include "storage/image/trash.h"

#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define TRASH_PREFIX      "trash-"
#define TRASH_STACK_BYTES ((size_t)256 << 10)
#define TRASH_NICE        19

struct trash {
    int dir_fd; /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock; /* leaf lock of what follows */
    pthread_cond_t changed;
    uint64_t number_last; /* of the names given out */
    uint64_t put, seen;
    atomic_bool stopped;
};

bool trash_has(const char *name) { return str_starts(str_of(name), STR(TRASH_PREFIX)); }

/* Deletes a folder's entries one by one, so that a stop comes between them, then itself. */
static void empty_and_remove(struct trash *t, const char *name) {
    AUTO_CLOSE int fd = file_open_dir(t->dir_fd, name);
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = fd < 0 ? fd : file_dir_open(&d, fd, ".");
    while (r >= 0 && !atomic_load(&t->stopped) && (r = file_dir_next(&d, &entry)) > 0)
        r = file_remove_tree(fd, entry.name);
    if (!atomic_load(&t->stopped)) (void)!file_remove_tree(t->dir_fd, name);
}

static void empty_all(struct trash *t) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    if (file_dir_open(&d, t->dir_fd, ".") < 0) return;
    while (!atomic_load(&t->stopped) && file_dir_next(&d, &entry) > 0)
        if (trash_has(entry.name)) empty_and_remove(t, entry.name);
}

static void *trash_run(void *arg) {
    struct trash *t = arg;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), TRASH_NICE); /* of this thread */
    (void)pthread_mutex_lock(&t->lock);
    while (!atomic_load(&t->stopped)) {
        if (t->seen == t->put) {
            (void)pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        uint64_t until = t->put;
        (void)pthread_mutex_unlock(&t->lock);
        empty_all(t);
        (void)pthread_mutex_lock(&t->lock);
        t->seen = until;
        (void)pthread_cond_broadcast(&t->changed);
    }
    (void)pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* Names of an earlier process are not given out again. */
static int find_last_number(struct trash *t, struct err *e) {
    AUTO(file_dir_close) struct file_dir d = FILE_DIR_NONE;
    struct file_entry entry;
    int r = file_dir_open(&d, t->dir_fd, ".");
    while (r >= 0 && (r = file_dir_next(&d, &entry)) > 0) {
        uint64_t number;
        if (!trash_has(entry.name)) continue;
        t->put = 1;
        struct str name = str_of(entry.name);
        if (str_u64(str_sub(name, strlen(TRASH_PREFIX), name.n), &number) == 0 &&
            number > t->number_last)
            t->number_last = number;
    }
    return r < 0 ? err_sys(e, -r, "read the folder of layers") : 0;
}

static int start(struct trash *t, struct err *e) {
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) abort();
    (void)pthread_attr_setstacksize(&attr, TRASH_STACK_BYTES);
    int r = pthread_create(&t->thread, &attr, trash_run, t);
    (void)pthread_attr_destroy(&attr);
    return r != 0 ? err_sys(e, r, "start the deleting thread") : 0;
}

static void release(struct trash *t) {
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

struct trash *trash_open(int dir_fd, struct err *e) {
    struct trash *t = xnew(struct trash);
    t->dir_fd = dir_fd;
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->changed, NULL);
    if (find_last_number(t, e) == 0 && start(t, e) == 0) return t;
    release(t);
    return NULL;
}

void trash_close(struct trash *t) {
    if (!t) return;
    (void)pthread_mutex_lock(&t->lock);
    atomic_store(&t->stopped, true);
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    (void)pthread_join(t->thread, NULL);
    release(t);
}

int trash_put(struct trash *t, const char *name) {
    char to[sizeof TRASH_PREFIX + 20];
    (void)pthread_mutex_lock(&t->lock);
    (void)snprintf(to, sizeof to, TRASH_PREFIX "%llu", (unsigned long long)++t->number_last);
    (void)pthread_mutex_unlock(&t->lock);
    if (renameat(t->dir_fd, name, t->dir_fd, to) < 0) return -errno;
    (void)pthread_mutex_lock(&t->lock);
    t->put++;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    return 0;
}

void trash_drain(struct trash *t) {
    (void)pthread_mutex_lock(&t->lock);
    uint64_t until = t->put;
    while (t->seen < until) (void)pthread_cond_wait(&t->changed, &t->lock);
    (void)pthread_mutex_unlock(&t->lock);
}
