/* SPDX-License-Identifier: Apache-2.0 — shim_wire_test.c: messages over a real socket pair. */
#include "cri/launch/shim_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FLOOD_MAX 100000

static int pair[2];
static struct shim_message sent, got;
static int fds[SHIM_FDS_MAX];

static int set_up(void **state) {
    (void)state;
    memset(&sent, 0, sizeof sent);
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state) {
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static void a_message_arrives_with_its_descriptors_and_roles(void **state) {
    (void)state;
    int given[SHIM_FDS_MAX];
    sent.op = SHIM_START;
    sent.fd_count = SHIM_FDS_MAX;
    memcpy(sent.container, "abc", 4);
    memcpy(sent.path, "/log", 5);
    for (int i = 0; i < SHIM_FDS_MAX; i++) {
        given[i] = pair[1];
        sent.roles[i] = i == 7 ? SHIM_ROLE_DIR : SHIM_ROLE_TASKS;
    }
    assert_int_equal(shim_send(pair[0], &sent, given), 0);
    assert_int_equal(shim_receive(pair[1], &got, fds), 1);
    assert_string_equal(got.container, "abc");
    assert_string_equal(got.path, "/log");
    assert_int_equal(shim_fd_of(&got, fds, SHIM_ROLE_DIR), fds[7]);
    assert_int_equal(shim_fd_of(&got, fds, SHIM_ROLE_TTY), -1);
    for (int i = 0; i < SHIM_FDS_MAX; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        (void)close(fds[i]);
    }
    sent.fd_count = SHIM_FDS_MAX + 1;
    assert_int_equal(shim_send(pair[0], &sent, given), -EINVAL);
}

static void a_malformed_message_is_refused_and_its_descriptors_closed(void **state) {
    (void)state;
    assert_int_equal(send(pair[0], &sent, 20, 0), 20);
    assert_int_equal(shim_receive(pair[1], &got, fds), -EBADMSG);
    memset(sent.container, 'x', sizeof sent.container);
    assert_int_equal(shim_send(pair[0], &sent, NULL), 0);
    assert_int_equal(shim_receive(pair[1], &got, fds), -EBADMSG);
    memset(sent.container, 0, sizeof sent.container);
    sent.fd_count = 1; /* announced, but not sent */
    assert_true(send(pair[0], &sent, sizeof sent, 0) > 0);
    assert_int_equal(shim_receive(pair[1], &got, fds), -EBADMSG);
    assert_int_equal(fds[0], -1);
}

static void a_full_queue_and_a_closed_peer_are_told_apart(void **state) {
    (void)state;
    int r = 0;
    int n = 0;
    for (; r == 0 && n < FLOOD_MAX; n++) r = shim_send(pair[0], &sent, NULL);
    assert_int_equal(r, -EAGAIN);
    while (shim_receive(pair[1], &got, fds) == 1) n--;
    assert_int_equal(n, 1);
    assert_int_equal(shim_receive(pair[1], &got, fds), -EAGAIN);
    (void)shutdown(pair[0], SHUT_RDWR);
    assert_int_equal(shim_receive(pair[1], &got, fds), 0);
    assert_int_equal(shim_send(pair[1], &sent, NULL), -EPIPE);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_message_arrives_with_its_descriptors_and_roles),
        T(a_malformed_message_is_refused_and_its_descriptors_closed),
        T(a_full_queue_and_a_closed_peer_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
