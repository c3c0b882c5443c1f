/* SPDX-License-Identifier: Apache-2.0 — admin_test.c: server on a loop, client in a thread. */
#include "agent/admin.h"

#include "agent/admin_client.h"
#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    struct loop *loop;
    struct admin *admin;
    struct admin_call *held; /* by the command "hold" */
    int gone;
    void (*client)(struct fixture *f);
    struct task stop;
};

/* ---- commands ---- */

static void echo(struct admin_call *c, void *user) {
    struct str text = STR_NONE;
    struct err e;
    (void)user;
    if (json_need_str(admin_args(c), "text", &text, &e) < 0) {
        admin_fail(c, &e);
        return;
    }
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX * 2);
    struct json_out w = JSON_OUT(&b);
    json_out_str(&w, NULL, text);
    assert_int_equal(json_out_end(&w), 0);
    admin_event(c, STR("1"), NULL, 0);
    admin_event(c, STR("2"), NULL, 0);
    admin_result(c, buf_view(&b));
}

static void on_gone(void *user) {
    struct fixture *f = user;
    struct err e;
    f->gone++;
    (void)err_set(&e, ERR_CANCELLED, "nobody listens");
    admin_event(f->held, STR("1"), NULL, 0);
    assert_true(admin_gone(f->held));
    admin_fail(f->held, &e);
    f->held = NULL;
}

static void hold(struct admin_call *c, void *user) {
    struct fixture *f = user;
    f->held = c;
    admin_on_gone(c, on_gone, f);
    admin_event(c, STR("\"held\""), NULL, 0);
}

/* Writes into the descriptor that came, and sends it back. */
static void pipes(struct admin_call *c, void *user) {
    AUTO_CLOSE int fd = admin_take_fd(c, 0);
    (void)user;
    assert_true(fd >= 0);
    assert_int_equal(admin_take_fd(c, 0), -1);
    assert_int_equal(file_write_all(fd, "hi", 2), 0);
    admin_event(c, STR("{}"), &fd, 1);
    admin_result(c, STR(""));
}

static void flood(struct admin_call *c, void *user) {
    static char text[1 << 20];
    (void)user;
    memset(text, ' ', sizeof text);
    text[0] = '7';
    for (int i = 0; i < 40; i++) admin_event(c, str_make(text, sizeof text), NULL, 0);
    admin_result(c, STR("8"));
}

static void *client_thread(void *user) {
    struct fixture *f = user;
    f->client(f);
    loop_post(f->loop, &f->stop);
    return NULL;
}

static void stop(struct task *t) { loop_stop(CONTAINER_OF(t, struct fixture, stop)->loop); }

static void run(void (*client)(struct fixture *f)) {
    static const struct admin_command commands[] = {
        {"echo", echo}, {"hold", hold}, {"pipes", pipes}, {"flood", flood}};
    struct fixture f = {.client = client, .stop = {.run = stop}};
    struct admin_options o = {.commands = commands, .count = COUNT(commands), .user = &f};
    struct err e = {0};
    pthread_t thread;
    (void)snprintf(f.dir, sizeof f.dir, "/tmp/gridlet-admin-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    AUTO_FREE char *path = xasprintf("%s/admin.sock", f.dir);
    f.loop = loop_new(1);
    f.admin = admin_listen(f.loop, path, &o, &e);
    assert_non_null(f.admin);
    assert_int_equal(pthread_create(&thread, NULL, client_thread, &f), 0);
    loop_run(f.loop);
    (void)pthread_join(thread, NULL);
    admin_close(f.admin);
    assert_null(f.held);
    loop_free(f.loop);
    assert_int_equal(file_exists(AT_FDCWD, path), 0);
    assert_int_equal(file_remove_tree(AT_FDCWD, f.dir), 0);
}

/* ---- clients ---- */

static void must_open(struct fixture *f, struct admin_client *c) {
    struct err e = {0};
    if (admin_client_open(c, f->dir, &e) < 0) fail_msg("%s", e.msg);
}

static void must_send(struct admin_client *c, const char *request) {
    struct err e = {0};
    if (admin_client_send(c, str_of(request), NULL, 0, &e) < 0) fail_msg("%s", e.msg);
}

static void events_then_a_result(struct fixture *f) {
    AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
    AUTO(arena_done) struct arena a = ARENA(64 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    must_open(f, &c);
    for (int round = 0; round < 3; round++) {
        must_send(&c, "{\"command\":\"echo\",\"text\":\"t\"}");
        assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), 1);
        assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), 1);
        assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), 0);
        assert_string_equal(v->text.p, "t");
    }
    must_send(&c, "{\"command\":\"echo\"}");
    assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_string_equal(e.msg, "'text' is missing");
    must_send(&c, "{\"command\":\"fly\"}");
    assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    must_send(&c, "{\"command\":}");
    assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void a_long_text(struct fixture *f) {
    AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
    AUTO(arena_done) struct arena a = ARENA(64 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    enum { LONG = 3 << 20 };
    AUTO_FREE char *text = xmalloc(LONG + 1);
    memset(text, 'x', LONG);
    AUTO_FREE char *request = xasprintf("{\"command\":\"echo\",\"text\":\"%s\"}", text);
    must_open(f, &c);
    must_send(&c, request);
    while (admin_client_next(&c, &a, &v, NULL, &e) > 0) {
    }
    assert_int_equal(v->text.n, LONG);
}

static void descriptors_both_ways(struct fixture *f) {
    AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    int ends[2];
    int got[ADMIN_FRAME_FDS_MAX];
    char text[4] = {0};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    must_open(f, &c);
    assert_int_equal(
        admin_client_send(&c, STR("{\"command\":\"pipes\",\"fds\":1}"), &ends[1], 1, &e), 0);
    assert_int_equal(admin_client_next(&c, &a, &v, got, &e), 1);
    assert_true(got[0] >= 0);
    assert_int_equal(got[1], -1);
    assert_int_equal(file_write_all(got[0], "!", 1), 0);
    (void)close(got[0]);
    assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), 0);
    (void)close(ends[1]);
    assert_int_equal(file_read_full(ends[0], text, 3), 3);
    assert_string_equal(text, "hi!");
    assert_int_equal(file_read_full(ends[0], text, 1), 0); /* the daemon kept no copy */
    (void)close(ends[0]);
    must_send(&c, "{\"command\":\"pipes\",\"fds\":1}");
    assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void leaving_during_a_call(struct fixture *f) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    for (int round = 0; round < 2; round++) {
        AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
        must_open(f, &c);
        must_send(&c, "{\"command\":\"hold\"}");
        assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), 1);
        if (round) must_send(&c, "{\"command\":\"echo\"}"); /* out of turn */
        if (round) assert_int_equal(admin_client_next(&c, &a, &v, NULL, &e), -1);
    }
    /* The second goodbye is seen before this answer is given. */
    AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
    must_open(f, &c);
    must_send(&c, "{\"command\":\"echo\",\"text\":\"\"}");
    while (admin_client_next(&c, &a, &v, NULL, &e) > 0) {
    }
    assert_int_equal(__atomic_load_n(&f->gone, __ATOMIC_SEQ_CST), 2);
}

static void garbage(struct fixture *f) {
    static const struct str inputs[] = {{"\0\0\0\0", 4}, {"\xff\xff\xff\xff", 4}};
    for (size_t i = 0; i < COUNT(inputs); i++) {
        AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
        char byte;
        must_open(f, &c);
        assert_int_equal(file_write_all(c.fd, inputs[i].p, inputs[i].n), 0);
        ssize_t n = recv(c.fd, &byte, 1, 0);
        assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    }
}

static void a_flood_loses_events_or_the_connection(struct fixture *f) {
    AUTO(admin_client_close) struct admin_client c = ADMIN_CLIENT_NONE;
    AUTO(arena_done) struct arena a = ARENA(256 << 20);
    const struct json *v = NULL;
    struct err e = {0};
    int events = 0;
    must_open(f, &c);
    must_send(&c, "{\"command\":\"flood\"}");
    int r;
    while ((r = admin_client_next(&c, &a, &v, NULL, &e)) > 0) events++;
    assert_true(events <= 40);
    assert_true(r == 0 ? str_eq(v->text, STR("8")) : e.kind == ERR_IO);
}

static void more_connections_than_allowed(struct fixture *f) {
    struct admin_client c[ADMIN_CONNECTIONS_MAX];
    struct admin_client over = ADMIN_CLIENT_NONE;
    struct err e = {0};
    char byte;
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) must_open(f, &c[i]);
    must_open(f, &over);
    assert_int_equal(recv(over.fd, &byte, 1, 0), 0);
    admin_client_close(&over);
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) admin_client_close(&c[i]);
    (void)e;
}

/* ---- tests ---- */

static void commands_answer_with_events_and_one_result(void **state) {
    (void)state;
    run(events_then_a_result);
}
static void frames_of_megabytes_pass(void **state) {
    (void)state;
    run(a_long_text);
}
static void descriptors_pass_in_both_directions_and_are_closed(void **state) {
    (void)state;
    run(descriptors_both_ways);
}
static void a_call_hears_that_its_peer_has_gone(void **state) {
    (void)state;
    run(leaving_during_a_call);
}
static void garbage_ends_the_connection_and_nothing_else(void **state) {
    (void)state;
    run(garbage);
}
static void the_queue_to_a_slow_peer_is_bounded(void **state) {
    (void)state;
    run(a_flood_loses_events_or_the_connection);
}
static void the_number_of_connections_is_limited(void **state) {
    (void)state;
    run(more_connections_than_allowed);
}

static void a_missing_daemon_is_explained(void **state) {
    (void)state;
    struct admin_client c = ADMIN_CLIENT_NONE;
    struct err e = {0};
    assert_int_equal(admin_client_open(&c, "/nonexistent", &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "systemctl start gridlet"));
}

static void a_socket_path_that_is_too_long_is_refused(void **state) {
    (void)state;
    struct admin_client c = ADMIN_CLIENT_NONE;
    struct admin_options o = {.commands = NULL};
    struct err e = {0};
    char dir[200];
    memset(dir, 'd', sizeof dir - 1);
    dir[sizeof dir - 1] = '\0';
    assert_int_equal(admin_client_open(&c, dir, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    struct loop *l = loop_new(1);
    assert_null(admin_listen(l, dir, &o, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    loop_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_answer_with_events_and_one_result),
        cmocka_unit_test(frames_of_megabytes_pass),
        cmocka_unit_test(descriptors_pass_in_both_directions_and_are_closed),
        cmocka_unit_test(a_call_hears_that_its_peer_has_gone),
        cmocka_unit_test(garbage_ends_the_connection_and_nothing_else),
        cmocka_unit_test(the_queue_to_a_slow_peer_is_bounded),
        cmocka_unit_test(the_number_of_connections_is_limited),
        cmocka_unit_test(a_missing_daemon_is_explained),
        cmocka_unit_test(a_socket_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
