/* SPDX-License-Identifier: Apache-2.0 — unpack_test.c: the program itself, confined as gridletd
 * starts it, against what tar makes of the same archive. */
#include "base/digest.h"
#include "base/file.h"
#include "base/proc.h"
#include "storage/unpack/scratch.h"
#include "storage/unpack/tar_sample.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs a shell script with $U (the unpacker) and $D (a fresh folder of the scratch). Its exit code;
 * what it printed in out. */
static int shell(const char *script, char *out, size_t out_n) {
    char dir[64], unpacker[512], folder[80], output[96];
    const char *bin = getenv("GRIDLET_BIN"); /* set by ctest */
    (void)close(scratch_dir(dir));
    (void)snprintf(output, sizeof output, "%s/output", dir);
    (void)snprintf(folder, sizeof folder, "D=%s", dir);
    (void)snprintf(unpacker, sizeof unpacker, "U=%s/gridlet-unpack", bin ? bin : "build/dev/bin");
    AUTO_CLOSE int fd = open(output, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const char *const argv[] = {"sh", "-c", script, NULL};
    const char *const envp[] = {"PATH=/usr/bin:/bin", unpacker, folder, NULL};
    const struct proc_fd fds[] = {{fd, 1}, {fd, 2}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = "/bin/sh";
    spec.argv = argv;
    spec.envp = envp;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    AUTO(proc_done) struct proc p = PROC_NONE;
    struct proc_exit x;
    struct err e = {0};
    if (proc_spawn(&spec, &p, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(proc_wait(&p, &x), 0);
    ssize_t n = file_pread_full(fd, out, out_n - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    assert_int_equal(file_remove_tree(AT_FDCWD, dir), 0);
    return proc_exit_code(x);
}

static void passes(const char *script) {
    char out[4096];
    int code = shell(script, out, sizeof out);
    if (code != 0) fail_msg("exit %d: %s", code, out);
}

static void a_real_tree_comes_out_as_tar_makes_it(void **state) {
    (void)state;
    static const char *const how[][2] = {{"cat", "--plain"}, {"gzip", "--gzip"}};
    for (size_t i = 0; i < COUNT(how); i++) {
        char script[2048];
        (void)snprintf(
            script, sizeof script,
            "set -e; cd $D; mkdir src want got; cp -a /etc/. src/; echo x >src/f; ln src/f src/g; "
            "mknod src/dev c 1 3; mkfifo src/p; chown 7:8 src/g; chmod 6755 src/g; "
            "truncate -s 3M src/hole; touch -d @5 src; "
            "tar --xattrs -S -C src -cf a.tar .; tar -C want -xpf a.tar; "
            "%s <a.tar >a.z; $U %s got <a.z >said; "
            "grep -q \"$(sha256sum a.tar | cut -d' ' -f1)\" said; "
            "for t in want got; do (cd $t; find . -printf '%%p %%y %%m %%U:%%G %%T@ %%n %%l ' "
            "\\( -type d -printf '\\n' -o -printf '%%s\\n' \\) | sort >../$t.list; "
            "find . -type f -print0 | sort -z | xargs -0 sha256sum >../$t.sums); done; "
            "cmp want.list got.list; cmp want.sums got.sums",
            how[i][0], how[i][1]);
        passes(script);
    }
}

static void wrong_arguments_show_the_usage(void **state) {
    (void)state;
    char out[4096];
    assert_int_equal(shell("$U", out, sizeof out), 2);
    assert_non_null(strstr(out, "usage: gridlet-unpack"));
    assert_int_equal(shell("$U --nonsense x", out, sizeof out), 2);
    assert_int_equal(shell("$U --bytes-max many x", out, sizeof out), 2);
    assert_int_equal(shell("$U --help", out, sizeof out), 0);
    assert_non_null(strstr(out, "--report"));
    assert_int_equal(shell("$U --version", out, sizeof out), 0);
    assert_non_null(strstr(out, "gridlet-unpack " GRIDLET_VERSION));
}

static void a_folder_with_something_in_it_is_refused(void **state) {
    (void)state;
    char out[4096];
    assert_int_equal(shell("mkdir $D/o; touch $D/o/x; $U $D/o </dev/null", out, sizeof out), 1);
    assert_non_null(strstr(out, "is not empty"));
    assert_int_equal(shell("ln -s /etc $D/o; $U $D/o </dev/null", out, sizeof out), 1);
    assert_int_equal(shell("$U $D/missing </dev/null", out, sizeof out), 1);
    assert_non_null(strstr(out, "open the folder"));
}

static void the_limit_of_bytes_can_be_chosen(void **state) {
    (void)state;
    char out[4096];
    assert_int_equal(shell("cd $D; mkdir o s; head -c 5000 /dev/zero >s/f; tar -C s -c f | "
                           "$U --bytes-max 4999 o",
                           out, sizeof out),
                     1);
    assert_non_null(strstr(out, "entry 'f': the layer's files hold more than 4999 bytes"));
}

static void without_root_it_says_what_is_missing(void **state) {
    (void)state;
    char out[4096];
    assert_int_equal(shell("mkdir -m 777 $D/o; cp $U $D/u; chmod 755 $D/u; cd $D; "
                           "setpriv --reuid 65534 --clear-groups ./u o </dev/null",
                           out, sizeof out),
                     1);
    assert_non_null(strstr(out, "start it as root"));
}

static int setup(void **state) {
    (void)state;
    scratch_mount("256m");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_tree_comes_out_as_tar_makes_it),
        cmocka_unit_test(wrong_arguments_show_the_usage),
        cmocka_unit_test(a_folder_with_something_in_it_is_refused),
        cmocka_unit_test(the_limit_of_bytes_can_be_chosen),
        cmocka_unit_test(without_root_it_says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
