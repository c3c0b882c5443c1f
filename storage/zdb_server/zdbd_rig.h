/* SPDX-License-Identifier: Apache-2.0 — zdbd_rig.h: a whole server on a thread of its own, with a
 * disk whose syncs wait and fail on demand, and blocking clients. Only tests include it. */
#pragma once

#include "storage/zdb_server/zdbd_listen.h"
#include "storage/zdb_server/zdbd_server.h"

#include "storage/unpack/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cmocka.h>

#define RIG_WAIT_S 60 /* then a test has failed */

struct rig {
    struct zdb_io io; /* first: the server's */
    struct zdbd_options options;
    struct loop *loop;
    struct zdbd_server *server;
    pthread_t thread;
    struct task stopping;
    char data[80], index[80], path[80];
    pthread_mutex_t lock; /* of the three below */
    pthread_cond_t changed;
    bool holds_syncs; /* they wait */
    int fails;        /* so many of the next syncs fail */
    unsigned waiting; /* syncs that wait */
    atomic_uint syncs;
};

static inline int rig_sync(struct zdb_io *io, int fd) {
    struct rig *r = CONTAINER_OF(io, struct rig, io);
    (void)pthread_mutex_lock(&r->lock);
    r->waiting++;
    (void)pthread_cond_broadcast(&r->changed);
    while (r->holds_syncs) (void)pthread_cond_wait(&r->changed, &r->lock);
    r->waiting--;
    bool fails = r->fails > 0;
    if (fails) r->fails--;
    (void)pthread_mutex_unlock(&r->lock);
    atomic_fetch_add(&r->syncs, 1);
    return fails ? -EIO : zdb_io_real()->sync(zdb_io_real(), fd);
}

/* From now on syncs wait (or go on), and so many fail first. */
static inline void rig_syncs(struct rig *r, bool hold, int fails) {
    (void)pthread_mutex_lock(&r->lock);
    r->holds_syncs = hold;
    r->fails = fails;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
}
/* Until a sync waits. */
static inline void rig_await_sync(struct rig *r) {
    (void)pthread_mutex_lock(&r->lock);
    while (r->waiting == 0) (void)pthread_cond_wait(&r->changed, &r->lock);
    (void)pthread_mutex_unlock(&r->lock);
}

static inline void *rig_run(void *arg) {
    loop_run(((struct rig *)arg)->loop);
    return NULL;
}

static inline void rig_init(struct rig *r) {
    char path[64];
    *r = (struct rig){.io = *zdb_io_real()};
    r->io.sync = rig_sync;
    (void)close(scratch_dir(path));
    (void)snprintf(r->data, sizeof r->data, "%s/data", path);
    (void)snprintf(r->index, sizeof r->index, "%s/index", path);
    (void)snprintf(r->path, sizeof r->path, "%s/s", path);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    r->options = (struct zdbd_options){.data_path = r->data, .index_path = r->index, .io = &r->io};
}

static inline void rig_start(struct rig *r) {
    struct err e = {0};
    struct zdbd_sockets s = {.count = 0};
    r->loop = loop_new(4);
    if (zdbd_server_open(r->loop, &r->options, &r->server, &e) < 0) fail_msg("open: %s", e.msg);
    assert_int_equal(zdbd_listen_unix(r->path, &s, &e), 0);
    assert_int_equal(zdbd_server_listen(r->server, s.fds[0], &e), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, rig_run, r), 0);
}

static inline void rig_stopped(void *user) { loop_stop(((struct rig *)user)->loop); }
static inline void rig_stop_task(struct task *t) {
    struct rig *r = CONTAINER_OF(t, struct rig, stopping);
    zdbd_server_stop(r->server, RIG_WAIT_S * 1000, rig_stopped, r);
}

/* Orderly; returns what zdbd_server_free() says. */
static inline int rig_stop(struct rig *r) {
    struct err e = {0};
    r->stopping.run = rig_stop_task;
    loop_post(r->loop, &r->stopping);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    int result = zdbd_server_free(r->server, &e);
    loop_free(r->loop);
    return result;
}

static inline int rig_connect(const struct rig *r) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = RIG_WAIT_S};
    memcpy(a.sun_path, r->path, strlen(r->path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* words: separated by single spaces. */
static inline void rig_send(int fd, const char *words) {
    char bytes[4096];
    int args = 1;
    for (const char *p = words; *p; p++) args += *p == ' ';
    int n = snprintf(bytes, sizeof bytes, "*%d\r\n", args);
    struct str rest = str_of(words);
    struct str word;
    while (str_next(&rest, ' ', &word))
        n += snprintf(bytes + n, sizeof bytes - (size_t)n, "$%zu\r\n%.*s\r\n", word.n,
                      STR_ARG(word));
    assert_int_equal(write(fd, bytes, (size_t)n), n);
}

/* The next bytes are exactly these. */
static inline void rig_expect(int fd, const char *want) {
    char got[4096];
    size_t n = 0;
    size_t all = strlen(want);
    while (n < all) {
        ssize_t part = recv(fd, got + n, all - n, 0);
        if (part <= 0) fail_msg("wanted '%s', got '%.*s' and no more", want, (int)n, got);
        n += (size_t)part;
    }
    got[n] = '\0';
    assert_string_equal(got, want);
}

/* Nothing has come; only after something else has proved that the server had its turn. */
static inline void rig_expect_nothing(int fd) {
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}
