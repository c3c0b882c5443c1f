/* SPDX-License-Identifier: Apache-2.0 — zdbd_session_test.c: what connections are promised, on a
 * disk that waits and fails. */
#include "storage/zdb_server/zdbd_internal.h"
#include "storage/zdb_server/zdbd_rig.h"

static void a_write_is_acknowledged_when_it_is_durable_and_not_before(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int writer = rig_connect(&r);
    AUTO_CLOSE int other = rig_connect(&r);
    rig_syncs(&r, true, 0);
    rig_send(writer, "SET k v");
    rig_await_sync(&r);
    rig_send(other, "GET k"); /* others are served meanwhile */
    rig_expect(other, "$1\r\nv\r\n");
    rig_expect_nothing(writer);
    rig_syncs(&r, false, 0);
    rig_expect(writer, "$1\r\nk\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

static void replies_keep_their_order_while_some_wait(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int fd = rig_connect(&r);
    AUTO_CLOSE int other = rig_connect(&r);
    rig_syncs(&r, true, 0);
    rig_send(fd, "PING");
    rig_expect(fd, "+PONG\r\n");
    rig_send(fd, "SET k v");
    rig_send(fd, "PING");
    rig_send(fd, "SCAN");
    rig_send(fd, "SET l w");
    rig_send(fd, "GET l");
    rig_await_sync(&r);
    rig_send(other, "PING");
    rig_expect(other, "+PONG\r\n");
    rig_expect_nothing(fd);
    rig_syncs(&r, false, 0);
    rig_expect(fd, "$1\r\nk\r\n+PONG\r\n*2\r\n$17\r\n");
    char cursor[17];
    assert_int_equal(recv(fd, cursor, sizeof cursor, MSG_WAITALL), (ssize_t)sizeof cursor);
    /* The scan was a worker's: it may have seen the second key. */
    char rest[256];
    size_t n = 0;
    while (n < 5 || memcmp(rest + n - 5, "\r\nw\r\n", 5) != 0) {
        ssize_t got = recv(fd, rest + n, 1, 0);
        assert_int_equal(got, 1);
        n++;
    }
    assert_int_equal(rig_stop(&r), 0);
}

static void a_failed_commit_turns_exactly_its_replies_into_errors(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int fd = rig_connect(&r);
    AUTO_CLOSE int other = rig_connect(&r);
    rig_send(fd, "SET before v");
    rig_expect(fd, "$6\r\nbefore\r\n");
    rig_syncs(&r, true, 0);
    rig_send(fd, "SET lost v");
    rig_await_sync(&r);
    rig_send(fd, "PING");
    rig_send(fd, "GET before");
    rig_syncs(&r, false, 1);
    rig_expect(fd, "-");
    char c = 0;
    char text[512];
    size_t n = 0;
    while (c != '\n') {
        assert_int_equal(recv(fd, &c, 1, 0), 1);
        text[n++] = c;
    }
    text[n] = '\0';
    assert_non_null(strstr(text, "sync namespace 'default'"));
    rig_expect(fd, "+PONG\r\n$1\r\nv\r\n");
    rig_send(other, "GET lost");
    rig_expect(other, "$-1\r\n");
    rig_send(other, "SET after v");
    rig_expect(other, "$5\r\nafter\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

static void what_many_wrote_while_a_sync_ran_shares_the_next_one(void **state) {
    enum { CLIENTS = 50 };
    struct rig r;
    int fds[CLIENTS];
    char words[32];
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int first = rig_connect(&r);
    AUTO_CLOSE int other = rig_connect(&r);
    rig_syncs(&r, true, 0);
    rig_send(first, "SET first v");
    rig_await_sync(&r);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = rig_connect(&r);
        (void)snprintf(words, sizeof words, "SET k%d v", i);
        rig_send(fds[i], words);
    }
    for (int i = 0; i < CLIENTS; i++) { /* all are executed */
        (void)snprintf(words, sizeof words, "EXISTS k%d", i);
        char got[4] = "";
        while (strcmp(got, ":1\r") != 0) {
            rig_send(other, words);
            assert_int_equal(recv(other, got, 3, MSG_WAITALL), 3);
            assert_int_equal(recv(other, got + 3, 1, MSG_WAITALL), 1);
            got[3] = '\0';
        }
    }
    unsigned before = atomic_load(&r.syncs);
    rig_syncs(&r, false, 0);
    rig_expect(first, "$5\r\nfirst\r\n");
    for (int i = 0; i < CLIENTS; i++) {
        (void)snprintf(words, sizeof words, "$%d\r\nk%d\r\n", i < 10 ? 2 : 3, i);
        rig_expect(fds[i], words);
        (void)close(fds[i]);
    }
    assert_true(atomic_load(&r.syncs) - before <= 8); /* two groups; a few descriptors each */
    assert_int_equal(rig_stop(&r), 0);
}

static void a_client_that_leaves_while_its_write_waits_hurts_nobody(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    int leaver = rig_connect(&r);
    AUTO_CLOSE int other = rig_connect(&r);
    rig_syncs(&r, true, 0);
    rig_send(leaver, "SET k v");
    rig_send(leaver, "SCAN");
    rig_await_sync(&r);
    (void)close(leaver);
    rig_send(other, "PING");
    rig_expect(other, "+PONG\r\n");
    rig_syncs(&r, false, 0);
    rig_send(other, "SET l w");
    rig_expect(other, "$1\r\nl\r\n");
    rig_send(other, "GET k");
    rig_expect(other, "$1\r\nv\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

static void a_stop_lets_replies_out_that_wait_for_the_disk(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int fd = rig_connect(&r);
    rig_syncs(&r, true, 0);
    rig_send(fd, "SET k v");
    rig_await_sync(&r);
    r.stopping.run = rig_stop_task;
    loop_post(r.loop, &r.stopping);
    rig_syncs(&r, false, 0);
    rig_expect(fd, "$1\r\nk\r\n");
    assert_int_equal(pthread_join(r.thread, NULL), 0);
    struct err e = {0};
    assert_int_equal(zdbd_server_free(r.server, &e), 0);
    loop_free(r.loop);
}

static void more_replies_than_may_wait_stop_the_reading_not_the_connection(void **state) {
    enum { COMMANDS = 3 * ZDBD_GATES_MAX };
    struct rig r;
    AUTO(buf_done) struct buf in = BUF(1 << 20);
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int fd = rig_connect(&r);
    rig_syncs(&r, true, 0);
    for (int i = 0; i < COMMANDS; i++)
        assert_int_equal(buf_fmt(&in, "*3\r\n$3\r\nSET\r\n$5\r\nk%04d\r\n$1\r\nv\r\n", i), 0);
    for (size_t at = 0; at < in.n;) {
        ssize_t n = write(fd, in.p + at, in.n - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    rig_await_sync(&r);
    rig_syncs(&r, false, 0);
    for (int i = 0; i < COMMANDS; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "$5\r\nk%04d\r\n", i);
        rig_expect(fd, want);
    }
    assert_int_equal(rig_stop(&r), 0);
}

static void a_namespace_is_removed_when_its_writes_are_settled(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int user = rig_connect(&r);
    AUTO_CLOSE int admin = rig_connect(&r);
    rig_send(admin, "NSNEW n");
    rig_expect(admin, "+OK\r\n");
    rig_send(user, "SELECT n");
    rig_expect(user, "+OK\r\n");
    rig_syncs(&r, true, 0);
    rig_send(user, "SET k v");
    rig_await_sync(&r);
    rig_send(admin, "NSDEL n");
    AUTO_CLOSE int third = rig_connect(&r);
    rig_send(third, "SELECT n");
    rig_expect(third, "-Namespace not found\r\n");
    rig_expect_nothing(admin);
    rig_syncs(&r, false, 0);
    rig_expect(user, "$1\r\nk\r\n");
    rig_expect(admin, "+OK\r\n");
    rig_send(user, "GET k");
    rig_expect(user, "-Your active namespace is not available anymore (probably removed).\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

static void a_removal_meets_a_reply_that_waits_behind_a_worker(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_start(&r);
    AUTO_CLOSE int user = rig_connect(&r);
    AUTO_CLOSE int admin = rig_connect(&r);
    rig_send(admin, "NSNEW n");
    rig_expect(admin, "+OK\r\n");
    rig_send(user, "SELECT n");
    rig_expect(user, "+OK\r\n");
    for (int i = 0; i < 50; i++) {
        rig_send(user, "SET k v");
        rig_send(user, "SCAN");
        rig_send(user, "CHECK k");
        rig_send(user, "SET l w");
    }
    rig_send(admin, "NSDEL n");
    rig_expect(admin, "+OK\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

static void a_password_that_was_never_set_protects_nothing(void **state) {
    struct rig r;
    (void)state;
    rig_init(&r);
    r.options.admin_password = STR("root");
    r.options.is_protected = true;
    rig_start(&r);
    AUTO_CLOSE int fd = rig_connect(&r);
    rig_send(fd, "SET k v");
    rig_expect(fd, "-Namespace is in read-only mode\r\n");
    rig_send(fd, "AUTH root");
    rig_expect(fd, "+OK\r\n");
    rig_send(fd, "NSNEW n");
    rig_expect(fd, "+OK\r\n");
    rig_send(fd, "SELECT n");
    rig_expect(fd, "+OK\r\n");
    rig_send(fd, "SET k v");
    rig_expect(fd, "$1\r\nk\r\n");
    assert_int_equal(rig_stop(&r), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_acknowledged_when_it_is_durable_and_not_before),
        cmocka_unit_test(replies_keep_their_order_while_some_wait),
        cmocka_unit_test(a_failed_commit_turns_exactly_its_replies_into_errors),
        cmocka_unit_test(what_many_wrote_while_a_sync_ran_shares_the_next_one),
        cmocka_unit_test(a_client_that_leaves_while_its_write_waits_hurts_nobody),
        cmocka_unit_test(a_stop_lets_replies_out_that_wait_for_the_disk),
        cmocka_unit_test(more_replies_than_may_wait_stop_the_reading_not_the_connection),
        cmocka_unit_test(a_namespace_is_removed_when_its_writes_are_settled),
        cmocka_unit_test(a_removal_meets_a_reply_that_waits_behind_a_worker),
        cmocka_unit_test(a_password_that_was_never_set_protects_nothing),
    };
    scratch_mount("64m");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
