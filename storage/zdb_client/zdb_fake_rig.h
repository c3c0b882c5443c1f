/* SPDX-License-Identifier: Apache-2.0 — zdb_fake_rig.h: for tests: a loop, a client, and a server
 * in a thread that does what a script says. */
#pragma once

#include "base/file.h"
#include "storage/zdb_client/zdb_verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define RIG_WAIT_MS 20000 /* no script waits longer: a test that hangs is a failure */

struct rig {
    char dir[64];
    char address[128];
    int listener;
    void (*script)(struct rig *r); /* the server's side, in its thread */
    pthread_t server;
    struct loop *loop;
    struct zdb_client *client;
    size_t waiting; /* answers that are due */
    bool each;      /* stop the loop at each of them, not only at the last */
    int value;      /* of the script */
    /* the last answer */
    struct err error;
    size_t errors, answers;
    char text[4096];
    char cursor[ZDB_CURSOR_BYTES_MAX + 1];
    uint64_t number, keys;
};

/* ---- the server's side ---- */

static inline int rig_accept(struct rig *r) {
    struct pollfd p = {.fd = r->listener, .events = POLLIN};
    if (poll(&p, 1, RIG_WAIT_MS) <= 0) return -1;
    return accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
}

static inline void rig_say(int fd, const char *text) {
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Reads one byte; false at the end of the stream. */
static inline bool rig_byte(int fd, char *out) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, RIG_WAIT_MS) > 0 && recv(fd, out, 1, 0) == 1;
}

static inline long rig_header(int fd) {
    char line[64];
    size_t n = 0;
    while (n < sizeof line - 1 && rig_byte(fd, &line[n]) && line[n] != '\n') n++;
    line[n] = '\0';
    return n > 1 ? strtol(line + 1, NULL, 10) : -1;
}

/* The next command, its arguments joined by blanks; false at the end of the stream. */
static inline bool rig_hear(int fd, char *out, size_t room) {
    long count = rig_header(fd);
    size_t n = 0;
    for (long i = 0; i < count; i++) {
        long bytes = rig_header(fd);
        char c;
        if (i && n < room - 1) out[n++] = ' ';
        for (long k = 0; k < bytes + 2; k++) {
            if (!rig_byte(fd, &c)) return false;
            if (k < bytes && n < room - 1) out[n++] = c;
        }
    }
    out[n] = '\0';
    return count > 0;
}

/* Hears commands and answers each with the text, until the client goes. */
static inline void rig_answer_all(int fd, const char *text) {
    char command[512];
    while (rig_hear(fd, command, sizeof command)) rig_say(fd, text);
}

static inline void *rig_thread(void *user) {
    struct rig *r = user;
    r->script(r);
    return NULL;
}

/* ---- the client's side ---- */

static inline void rig_answered(struct rig *r, const struct err *e) {
    assert_true(r->waiting > 0); /* exactly once */
    r->error = e ? *e : (struct err){.kind = ERR_NONE};
    r->errors += e != NULL;
    r->answers += e == NULL;
    if (--r->waiting == 0 || r->each) loop_stop(r->loop);
}

static inline void rig_got(void *user, const struct zdb_answer *a, const struct err *e) {
    struct rig *r = user;
    r->text[0] = r->cursor[0] = '\0';
    if (a) {
        struct str text = a->value.n ? a->value : a->key;
        (void)snprintf(r->text, sizeof r->text, "%.*s", STR_ARG(text));
        (void)snprintf(r->cursor, sizeof r->cursor, "%.*s", STR_ARG(a->cursor));
        r->number = a->number;
        r->keys = zdb_answer_keys(a);
    }
    rig_answered(r, e);
}

static inline void rig_got_raw(void *user, const struct zdb_reply *reply, const struct err *e) {
    struct rig *r = user;
    r->text[0] = '\0';
    if (reply) (void)snprintf(r->text, sizeof r->text, "%.*s", STR_ARG(reply->text));
    rig_answered(r, e);
}

static inline struct zdb_how rig_how(struct rig *r) {
    r->waiting++;
    return (struct zdb_how){.client = r->client, .done = rig_got, .user = r};
}

static inline void rig_send(struct rig *r, const char *word, bool idempotent, uint64_t timeout_ms) {
    struct str args[] = {str_of(word)};
    struct zdb_request q = {.args = args,
                            .count = 1,
                            .idempotent = idempotent,
                            .timeout_ms = timeout_ms,
                            .done = rig_got_raw,
                            .user = r};
    r->waiting++;
    zdb_client_send(r->client, &q);
}

/* Until everything that was sent is answered. */
static inline void rig_wait(struct rig *r) {
    if (r->waiting) loop_run(r->loop);
}

static inline void rig_closed(void *user) { loop_stop(((struct rig *)user)->loop); }

static inline void rig_listen(struct rig *r) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/gridlet-zdb-client-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->address, sizeof r->address, "%s/zdb.sock", r->dir);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", r->address);
    r->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->listener >= 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(r->listener, 16), 0);
}

/* options->address empty: the fake's. */
static inline void rig_begin(struct rig *r, void (*script)(struct rig *r),
                             struct zdb_client_options o) {
    struct err e = {0};
    *r = (struct rig){.script = script, .listener = -1};
    rig_listen(r);
    r->loop = loop_new(1);
    if (script) assert_int_equal(pthread_create(&r->server, NULL, rig_thread, r), 0);
    if (!o.address.n) o.address = str_of(r->address);
    if (!o.connections) o.connections = 1;
    if (!o.backoff_ms) o.backoff_ms = 1;
    if (zdb_client_new(r->loop, &o, &r->client, &e) < 0) fail_msg("%s", e.msg);
}

static inline void rig_end(struct rig *r) {
    zdb_client_close(STEAL(r->client), rig_closed, r);
    loop_run(r->loop);
    (void)shutdown(r->listener, SHUT_RDWR);
    if (r->script) (void)pthread_join(r->server, NULL);
    (void)close(r->listener);
    loop_free(r->loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, r->dir), 0);
}
