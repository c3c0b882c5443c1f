/* SPDX-License-Identifier: Apache-2.0 — confine_test.c: each wall in a child of its own, since none
 * can be taken down again. */
#include "base/confine.h"

#include "base/file.h"

#include <errno.h>
#include <linux/landlock.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* What a child that does this ends with. */
static int in_child(int (*act)(void)) {
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(act());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static char folder[] = "/tmp/gridlet-confine-XXXXXX";

static int open_outside(void) {
    struct err e = {0};
    AUTO_CLOSE int fd = open(folder, O_PATH | O_CLOEXEC);
    AUTO_CLOSE int tmp = open("/tmp", O_PATH | O_CLOEXEC);
    if (fd < 0 || confine_no_new_privileges(&e) < 0 || confine_fence(&fd, 1, &e) < 0) return 11;
    int inside = openat(fd, "a", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int outside = openat(tmp, "gridlet-confine-b", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int why = errno;
    (void)unlinkat(fd, "a", 0);
    if (inside < 0) return 12;
    return outside < 0 && why == EACCES ? 0 : 13;
}

static void a_fence_leaves_only_what_is_named(void **state) {
    (void)state;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 2) skip();
    assert_non_null(mkdtemp(folder));
    assert_int_equal(in_child(open_outside), 0);
    assert_int_equal(rmdir(folder), 0);
}

static int drop_all(void) {
    struct err e = {0};
    AUTO(buf_done) struct buf status = BUF(8192);
    if (confine_capabilities(NULL, 0, &e) < 0) return 10;
    if (file_read_all(AT_FDCWD, "/proc/self/status", 8192, &status) < 0) return 11;
    return str_contains(buf_view(&status), STR("CapEff:\t0000000000000000")) ? 0 : 12;
}

static void capabilities_that_are_not_kept_are_gone(void **state) {
    (void)state;
    assert_int_equal(in_child(drop_all), 0);
}

static int filter(void) {
    static const struct confine_call calls[] = {
        {.number = SYS_write},
        {.number = SYS_close},
        {.number = SYS_getppid, .error = ENOSYS},
        {.number = SYS_socket, .arg = 0, .mask = UINT32_MAX, .value = AF_UNIX},
    };
    struct err e = {0};
    if (confine_no_new_privileges(&e) < 0) return -1;
    return confine_syscalls(calls, COUNT(calls), &e);
}

static int call_what_is_listed(void) {
    if (filter() < 0) return 10;
    if (syscall(SYS_getppid) != -1 || errno != ENOSYS) return 11;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd >= 0 && close(fd) == 0 ? 0 : 12;
}

static int call_what_is_not(void) {
    if (filter() < 0) return 10;
    (void)chroot("/");
    return 11;
}

static int call_with_another_argument(void) {
    if (filter() < 0) return 10;
    (void)!socket(AF_INET, SOCK_STREAM, 0);
    return 11;
}

static void a_call_that_is_not_listed_ends_the_process(void **state) {
    (void)state;
    assert_int_equal(in_child(call_what_is_listed), 0);
    int status = in_child(call_what_is_not);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = in_child(call_with_another_argument);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static int raise_a_limit(void) {
    struct err e = {0};
    struct rlimit l = {0, 0};
    if (confine_limit(RLIMIT_NOFILE, 16, &e) < 0 || confine_limit(RLIMIT_NOFILE, 99, &e) < 0)
        return 10;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0) return 11;
    return l.rlim_cur == 16 && l.rlim_max == 16 ? 0 : 12;
}

static void a_limit_only_goes_down(void **state) {
    (void)state;
    assert_int_equal(in_child(raise_a_limit), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fence_leaves_only_what_is_named),
        cmocka_unit_test(capabilities_that_are_not_kept_are_gone),
        cmocka_unit_test(a_call_that_is_not_listed_ends_the_process),
        cmocka_unit_test(a_limit_only_goes_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
