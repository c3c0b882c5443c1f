/* SPDX-License-Identifier: Apache-2.0 — proc_test.c */
#include "base/proc.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <cmocka.h>

#define OUTPUT_BYTES_MAX 8192

/* Runs sh -c script with stdout into *out; returns the shell's idea of the exit code. */
static int run_shell(const char *script, struct proc_spec spec, struct buf *out) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct err e = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct proc_fd fds[] = {{.ours = ends[1], .child = 1}};
    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = 1;
    struct proc p = PROC_NONE;
    int r = proc_spawn(&spec, &p, &e);
    if (r < 0) fail_msg("%s", e.msg);
    (void)close(ends[1]);
    assert_int_equal(file_read_fd(ends[0], OUTPUT_BYTES_MAX, out), 0);
    (void)close(ends[0]);
    struct proc_exit ended;
    assert_int_equal(proc_wait(&p, &ended), 0);
    proc_done(&p);
    return proc_exit_code(ended);
}

static void output_status_and_environment_pass(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(0);
    const char *const envp[] = {"COLOUR=green", NULL};
    struct proc_spec spec = PROC_SPEC;
    spec.envp = envp;
    assert_int_equal(run_shell("echo $COLOUR$HOME; exit 7", spec, &out), 7);
    assert_string_equal(buf_c(&out), "green\n");
}

static void a_killing_signal_is_told_apart_from_a_status(void **state) {
    (void)state;
    const char *const argv[] = {"sleep", "1000", NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct proc_exit ended;
    struct err e = {0};
    spec.path = "/bin/sleep";
    spec.argv = argv;
    assert_int_equal(proc_spawn(&spec, &p, &e), 0);
    assert_int_equal(proc_try_wait(&p, &ended), -EAGAIN);
    assert_int_equal(proc_kill(&p, SIGTERM), 0);
    assert_int_equal(proc_wait(&p, &ended), 0);
    assert_int_equal(ended.signal, SIGTERM);
    assert_int_equal(proc_exit_code(ended), 128 + SIGTERM);
    assert_int_equal(proc_wait(&p, &ended), -ECHILD);
    assert_int_equal(proc_kill(&p, SIGTERM), -ESRCH);
    proc_done(&p);
    proc_done(&p);
}

/* waitid(2) does not wait on a pidfd that is non-blocking, and watch_start() makes it so. */
static void a_watched_process_is_waited_for_like_any_other(void **state) {
    (void)state;
    const char *argv[] = {"sh", "-c", "sleep 0.1; exit 4", NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p;
    struct proc_exit x;
    struct err e = {0};
    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.envp = (const char *[]){"PATH=/usr/bin:/bin", NULL};
    assert_int_equal(proc_spawn(&spec, &p, &e), 0);
    assert_int_equal(fcntl(p.pidfd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(proc_try_wait(&p, &x), -EAGAIN);
    assert_int_equal(proc_wait(&p, &x), 0);
    assert_int_equal(x.status, 4);
    proc_done(&p);
}

static void a_program_that_cannot_be_executed_is_named(void **state) {
    (void)state;
    const char *const argv[] = {"x", NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct err e = {0};
    spec.path = "/nonexistent/program";
    spec.argv = argv;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "execute '/nonexistent/program': No such file or directory");
    assert_int_equal(p.pidfd, -1);
    spec.path = "/etc/passwd";
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.kind, ERR_DENIED);
}

static void a_bad_descriptor_or_folder_is_an_error_of_spawn(void **state) {
    (void)state;
    const char *const argv[] = {"true", NULL};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct err e = {0};
    struct proc_fd closed[] = {{.ours = 9999, .child = 3}};
    spec.path = "/bin/true";
    spec.argv = argv;
    spec.fds = closed;
    spec.fd_count = 1;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.sys, EBADF);
    spec.fd_count = 0;
    AUTO_CLOSE int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    spec.cwd_fd = file;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.sys, ENOTDIR);
    spec.cwd_fd = -1;
    spec.cgroup_fd = file;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_non_null(strstr(e.msg, "cgroup"));
}

static void limits_of_the_descriptor_table_are_enforced(void **state) {
    (void)state;
    const char *const argv[] = {"true", NULL};
    struct proc_fd fds[PROC_FDS_MAX + 1];
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct proc_exit ended;
    struct err e = {0};
    for (int i = 0; i <= PROC_FDS_MAX; i++) fds[i] = (struct proc_fd){.ours = 0, .child = i};
    spec.path = "/bin/true";
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = PROC_FDS_MAX + 1;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    spec.fd_count = PROC_FDS_MAX;
    fds[4].child = PROC_CHILD_FD_MAX - 1;
    assert_int_equal(proc_spawn(&spec, &p, &e), 0);
    assert_int_equal(proc_wait(&p, &ended), 0);
    proc_done(&p);
    fds[4].child = PROC_CHILD_FD_MAX;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    fds[4].child = 3;
    assert_int_equal(proc_spawn(&spec, &p, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void descriptors_can_be_swapped(void **state) {
    (void)state;
    /* Put two pipes on descriptors that are each other's target in the child. */
    int a[2];
    int b[2];
    struct err e = {0};
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    int low = fcntl(a[1], F_DUPFD_CLOEXEC, 10);
    int high = fcntl(b[1], F_DUPFD_CLOEXEC, low + 1);
    char script[64];
    (void)snprintf(script, sizeof script, "echo one >&%d; echo two >&%d", low, high);
    const char *const argv[] = {"bash", "-c", script, NULL};
    struct proc_fd fds[] = {{.ours = high, .child = low}, {.ours = low, .child = high}};
    struct proc_spec spec = PROC_SPEC;
    struct proc p = PROC_NONE;
    struct proc_exit ended;
    spec.path = "/bin/bash";
    spec.argv = argv;
    spec.fds = fds;
    spec.fd_count = 2;
    assert_int_equal(proc_spawn(&spec, &p, &e), 0);
    assert_int_equal(proc_wait(&p, &ended), 0);
    assert_int_equal(proc_exit_code(ended), 0);
    proc_done(&p);
    char got[8] = {0};
    assert_int_equal(read(a[0], got, sizeof got), 4);
    assert_string_equal(got, "two\n");
    assert_int_equal(read(b[0], got, sizeof got), 4);
    assert_string_equal(got, "one\n");
    int all[] = {a[0], a[1], b[0], b[1], low, high};
    for (size_t i = 0; i < COUNT(all); i++) (void)close(all[i]);
}

static void no_descriptor_leaks_and_missing_stdio_is_dev_null(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(0);
    AUTO_CLOSE int leak = open("/etc/hostname", O_RDONLY); /* not close-on-exec */
    AUTO_CLOSE int high = fcntl(leak, F_DUPFD, PROC_CHILD_FD_MAX + 20);
    assert_true(leak >= 0 && high >= 0);
    assert_int_equal(
        run_shell("for f in /proc/$$/fd/*; do echo ${f##*/} $(readlink $f); done", PROC_SPEC, &out),
        0);
    assert_non_null(strstr(buf_c(&out), "0 /dev/null"));
    assert_non_null(strstr(buf_c(&out), "2 /dev/null"));
    assert_null(strstr(buf_c(&out), "hostname"));
    assert_non_null(strstr(buf_c(&out), "1 pipe:"));
}

static void on_usr1(int signum) { (void)signum; }

static void signals_are_at_their_defaults_in_the_child(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(0);
    sigset_t set;
    sigset_t before;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, on_usr1);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    assert_int_equal(run_shell("sed -n '/^Sig[BIC]/p' /proc/self/status", PROC_SPEC, &out), 0);
    (void)sigprocmask(SIG_SETMASK, &before, &set);
    assert_true(sigismember(&set, SIGTERM)); /* the parent's own mask is what it was */
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGUSR1, SIG_DFL);
    assert_string_equal(buf_c(&out), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                     "SigCgt:\t0000000000000000\n");
}

static void folder_session_and_death_signal_are_set(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(0);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, "/usr/bin");
    struct proc_spec spec = PROC_SPEC;
    spec.cwd_fd = dir;
    spec.flags = PROC_NEW_SESSION | PROC_DIE_WITH_PARENT;
    assert_int_equal(
        run_shell("pwd -P; set -- $(cat /proc/$$/stat); test $6 = $$ && echo leader", spec, &out),
        0);
    assert_string_equal(buf_c(&out), "/usr/bin\nleader\n");
}

static void a_child_can_be_born_in_a_cgroup(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(0);
    static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    char name[64];
    (void)snprintf(name, sizeof name, "gridlet-proc-test-%d", (int)getpid());
    for (size_t i = 0; i < COUNT(roots); i++) {
        AUTO_CLOSE int root = file_open_dir(AT_FDCWD, roots[i]);
        if (root < 0 || file_exists(root, "cgroup.procs") != 1) continue;
        if (mkdirat(root, name, 0755) < 0) break;
        AUTO_CLOSE int group = file_open_dir(root, name);
        struct proc_spec spec = PROC_SPEC;
        spec.cgroup_fd = group;
        int code = run_shell("grep ^0:: /proc/self/cgroup", spec, &out);
        (void)unlinkat(root, name, AT_REMOVEDIR);
        assert_int_equal(code, 0);
        assert_non_null(strstr(buf_c(&out), name));
        return;
    }
    skip(); /* no writable cgroup v2 here */
}

enum { THREADS = 4, SPAWNS = 50 };

static void *spawn_many(void *failures) {
    const char *const good[] = {"true", NULL};
    struct err e = {0};
    for (int i = 0; i < SPAWNS; i++) {
        bool bad = i % 5 == 4;
        struct proc_spec spec = PROC_SPEC;
        struct proc p = PROC_NONE;
        struct proc_exit ended = {.status = 1};
        spec.path = bad ? "/nonexistent" : "/bin/true";
        spec.argv = good;
        int r = proc_spawn(&spec, &p, &e);
        bool as_expected = bad ? r < 0 && e.sys == ENOENT
                               : r == 0 && proc_wait(&p, &ended) == 0 && proc_exit_code(ended) == 0;
        if (!as_expected) __atomic_add_fetch((int *)failures, 1, __ATOMIC_RELAXED);
        proc_done(&p);
    }
    return NULL;
}

static void many_threads_can_spawn_at_once(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    int failures = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, &failures), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_status_and_environment_pass),
        cmocka_unit_test(a_killing_signal_is_told_apart_from_a_status),
        cmocka_unit_test(a_program_that_cannot_be_executed_is_named),
        cmocka_unit_test(a_bad_descriptor_or_folder_is_an_error_of_spawn),
        cmocka_unit_test(limits_of_the_descriptor_table_are_enforced),
        cmocka_unit_test(descriptors_can_be_swapped),
        cmocka_unit_test(no_descriptor_leaks_and_missing_stdio_is_dev_null),
        cmocka_unit_test(signals_are_at_their_defaults_in_the_child),
        cmocka_unit_test(folder_session_and_death_signal_are_set),
        cmocka_unit_test(a_child_can_be_born_in_a_cgroup),
        cmocka_unit_test(a_watched_process_is_waited_for_like_any_other),
        cmocka_unit_test(many_threads_can_spawn_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
