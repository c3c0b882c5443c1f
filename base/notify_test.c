/* SPDX-License-Identifier: Apache-2.0 — notify_test.c */
#include "base/notify.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static void expect_datagram(const char *name, const char *abstract_or_path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char got[64] = {0};
    memcpy(at.sun_path, name, strlen(abstract_or_path));
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(abstract_or_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", abstract_or_path, 1), 0);
    assert_int_equal(notify_systemd("READY=1"), 0);
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), 7);
    assert_string_equal(got, "READY=1");
    (void)unsetenv("NOTIFY_SOCKET");
}

static void systemd_is_told_on_a_path_and_on_an_abstract_name(void **state) {
    (void)state;
    char path[64];
    char abstract[64];
    (void)snprintf(path, sizeof path, "/tmp/gridlet-notify-%d", (int)getpid());
    expect_datagram(path, path);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "@gridlet-notify-%d", (int)getpid());
    memcpy(abstract, path, sizeof abstract);
    abstract[0] = '\0';
    expect_datagram(abstract, path);
}

static void nothing_happens_without_a_socket_and_nonsense_is_told(void **state) {
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_systemd("READY=1"), 0);
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(notify_systemd("READY=1"), -EINVAL);
    (void)setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    assert_int_equal(notify_systemd("READY=1"), -ENOENT);
    (void)unsetenv("NOTIFY_SOCKET");
}

static void a_descriptor_gets_one_line_and_is_closed(void **state) {
    (void)state;
    char got[16] = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(notify_fd(ends[1]), 0);
    assert_int_equal(file_read_full(ends[0], got, sizeof got), 8);
    assert_string_equal(got, "READY=1\n");
    (void)close(ends[0]);
    assert_int_equal(notify_fd(-1), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systemd_is_told_on_a_path_and_on_an_abstract_name),
        cmocka_unit_test(nothing_happens_without_a_socket_and_nonsense_is_told),
        cmocka_unit_test(a_descriptor_gets_one_line_and_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
