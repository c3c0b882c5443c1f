/* SPDX-License-Identifier: Apache-2.0 — group_sync_test.c */
#include "storage/image/group_sync.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { WAITERS = 6, WAIT_MS = 20000 };

static struct disk {
    int gate[2]; /* a byte for each sync that may end */
    int calls;
    int fail_at; /* the call that fails; 0: none */
} disk;

static int slow_sync(int fd) {
    char byte;
    struct pollfd gate = {.fd = disk.gate[0], .events = POLLIN};
    (void)fd;
    int call = __atomic_add_fetch(&disk.calls, 1, __ATOMIC_SEQ_CST);
    assert_int_equal(poll(&gate, 1, WAIT_MS), 1);
    assert_int_equal(read(disk.gate[0], &byte, 1), 1);
    if (call != disk.fail_at) return 0;
    errno = EIO;
    return -1;
}

struct waiter {
    struct group_sync *g;
    pthread_t thread;
    int result;
};

static void *wait_for_disk(void *arg) {
    struct waiter *w = arg;
    w->result = group_sync(w->g);
    return NULL;
}

static uint64_t asked(struct group_sync *g) {
    (void)pthread_mutex_lock(&g->lock);
    uint64_t n = g->asked;
    (void)pthread_mutex_unlock(&g->lock);
    return n;
}

static void start(struct waiter *w, struct group_sync *g) {
    uint64_t before = asked(g);
    w->g = g;
    assert_int_equal(pthread_create(&w->thread, NULL, wait_for_disk, w), 0);
    for (int i = 0; i < WAIT_MS && asked(g) == before; i++) (void)poll(NULL, 0, 1);
    assert_int_equal(asked(g), before + 1);
}

/* The first starts a sync; the others come while it runs. Returns how many of them failed. */
static int run_all(int fail_at, int syncs) {
    struct group_sync g;
    struct waiter waiters[WAITERS];
    int failed = 0;
    disk = (struct disk){.fail_at = fail_at};
    assert_int_equal(pipe(disk.gate), 0);
    group_sync_init(&g, -1);
    g.sync = slow_sync;
    for (int i = 0; i < WAITERS; i++) start(&waiters[i], &g);
    for (int i = 0; i < syncs; i++) assert_int_equal(write(disk.gate[1], "x", 1), 1);
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
        failed += waiters[i].result == -EIO;
    }
    assert_int_equal(disk.calls, syncs);
    group_sync_done(&g);
    (void)close(disk.gate[0]);
    (void)close(disk.gate[1]);
    return failed;
}

/* Not the one that ran when they came: it may have begun before they wrote. */
static void who_comes_during_a_sync_shares_the_next(void **state) {
    (void)state;
    assert_int_equal(run_all(0, 2), 0);
}

static void a_failure_is_told_to_all_who_wait(void **state) {
    (void)state;
    assert_int_equal(run_all(1, 1), WAITERS);
    assert_int_equal(run_all(2, 2), WAITERS - 1);
}

static void a_real_file_system_is_synced(void **state) {
    (void)state;
    struct group_sync g;
    AUTO_CLOSE int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    group_sync_init(&g, fd);
    assert_int_equal(group_sync(&g), 0);
    g.fd = -1;
    assert_int_equal(group_sync(&g), -EBADF);
    group_sync_done(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_during_a_sync_shares_the_next),
        cmocka_unit_test(a_failure_is_told_to_all_who_wait),
        cmocka_unit_test(a_real_file_system_is_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
