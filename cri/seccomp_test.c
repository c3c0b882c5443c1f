/* SPDX-License-Identifier: Apache-2.0 — seccomp_test.c: profiles are compiled, loaded into a child
 * and tried. */
#include "cri/seccomp.h"

#include "base/file.h"
#include "cri/capability.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs `work` behind the program; its exit code, or 128 + signal. */
static int behind(const struct buf *program, uint32_t flags, int (*work)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sock_fprog p = {.len = (unsigned short)(program->n / sizeof(struct sock_filter)),
                               .filter = (struct sock_filter *)(void *)program->p};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) _exit(98);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p) < 0) _exit(99);
        _exit(work());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void compile_default(uint64_t capabilities, struct buf *out, uint32_t *flags) {
    struct err e = {0};
    struct seccomp_request r = {.kind = SECCOMP_RUNTIME_DEFAULT, .capabilities = capabilities};
    if (seccomp_program(&r, out, flags, &e) < 0) fail_msg("%s", e.msg);
    assert_true(out->n > 0 && out->n % sizeof(struct sock_filter) == 0);
}

static int errno_of(long r) { return r < 0 ? errno : 0; }

static int try_ordinary(void) {
    if (errno_of(syscall(SYS_getpid))) return 1;
    AUTO_CLOSE int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0) return 2;
    if (syscall(SYS_personality, 0xffffffffL) < 0) return 3;
    pid_t pid = fork();
    if (pid < 0) return 4;
    if (pid == 0) _exit(0);
    return waitpid(pid, NULL, 0) == pid ? 0 : 5;
}

static int try_forbidden(void) {
    if (errno_of(syscall(SYS_unshare, CLONE_NEWUTS)) != EPERM) return 1;
    if (errno_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) != EPERM) return 2;
    if (errno_of(syscall(SYS_clone3, NULL, 0)) != ENOSYS) return 3;
    if (errno_of(syscall(SYS_socket, 38, SOCK_SEQPACKET, 0)) != EPERM) return 4;
    if (errno_of(syscall(SYS_socket, 40, SOCK_STREAM, 0)) != EPERM) return 5;
    if (errno_of(syscall(SYS_socket, 0x100000026L, SOCK_SEQPACKET, 0)) != EPERM) return 6;
    if (errno_of(syscall(SYS_io_uring_setup, 1, NULL)) != EPERM) return 7;
    if (errno_of(syscall(SYS_personality, 0x0040000L)) != EPERM) return 8;
    if (errno_of(syscall(SYS_bpf, 0, NULL, 0)) != EPERM) return 9;
    if (errno_of(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL)) != EPERM) return 10;
    if (errno_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) != EPERM) return 11;
    if (errno_of(syscall(9999)) != ENOSYS) return 12;
    if (errno_of(syscall(457, NULL, NULL, 0, 0)) != ENOSYS) return 13;
    if (errno_of(syscall(SYS_chroot, "/")) != EPERM) return 14;
    return 0;
}

static int try_newer(void) { /* fchmodat2 of a bad descriptor: the kernel answers, not the filter */
    int code = errno_of(syscall(452, -1, "x", 0644, 0));
    return code == EBADF || code == ENOSYS ? 0 : code;
}

static void the_default_profile_lets_ordinary_programs_run(void **state) {
    (void)state;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags;
    compile_default(0, &program, &flags);
    assert_int_equal(behind(&program, flags, try_ordinary), 0);
    assert_int_equal(behind(&program, flags, try_newer), 0);
}

static void the_default_profile_keeps_the_kernels_dark_corners_shut(void **state) {
    (void)state;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags;
    compile_default(0, &program, &flags);
    assert_int_equal(behind(&program, flags, try_forbidden), 0);
}

static int try_admin(void) {
    if (errno_of(syscall(SYS_clone3, NULL, 0)) == ENOSYS) return 1;
    if (errno_of(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL)) == EPERM) return 2;
    return errno_of(syscall(SYS_chroot, "/nosuchfolder")) == ENOENT ? 0 : 3;
}

static void capabilities_open_what_belongs_to_them(void **state) {
    (void)state;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags;
    compile_default(capability_bit(STR("SYS_ADMIN")) | capability_bit(STR("SYS_CHROOT")), &program,
                    &flags);
    if (geteuid() != 0) skip();
    assert_int_equal(behind(&program, flags, try_admin), 0);
}

static void a_program_is_compiled_once(void **state) {
    (void)state;
    AUTO(buf_done) struct buf first = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    AUTO(buf_done) struct buf second = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    uint32_t flags;
    seccomp_cache_clear();
    compile_default(0, &first, &flags);
    compile_default(1, &second, &flags); /* CAP_CHOWN makes no difference */
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.p, second.p, first.n);
    for (unsigned i = 0; i < SECCOMP_CACHE_MAX + 8; i++) { /* profiles push each other out */
        char path[64];
        AUTO(buf_done) struct buf out = BUF(SECCOMP_PROGRAM_BYTES_MAX);
        struct err e = {0};
        struct seccomp_request r = {.kind = SECCOMP_LOCALHOST, .path = path};
        (void)snprintf(path, sizeof path, "/tmp/seccomp_test.%d.%u", (int)getpid(), i);
        struct str text = STR("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");
        AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(file_write_all(fd, text.p, text.n), 0);
        int code = seccomp_program(&r, &out, &flags, &e);
        (void)unlink(path);
        if (code < 0) fail_msg("%s", e.msg);
    }
}

static int try_local(void) {
    if (errno_of(syscall(SYS_mkdir, "/nosuchfolder/x", 0755)) != ENOANO) return 1;
    if (errno_of(syscall(SYS_getpriority, 0, 0)) != 0) return 2;
    if (errno_of(syscall(SYS_getpriority, 1, 0)) != EPERM) return 3;
    return errno_of(syscall(SYS_getpriority, 2, 0)) == EPERM ? 0 : 4;
}

static void a_json_profile_does_what_it_says(void **state) {
    (void)state;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    struct err e = {0};
    uint32_t flags = 0;
    struct str json = STR("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_"
                          "X86_64\",\"SCMP_ARCH_X86\"],"
                          "\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"syscalls\":["
                          "{\"names\":[\"mkdir\",\"mkdirat\",\"nosuchcall\"],\"action\":\"SCMP_ACT_"
                          "ERRNO\",\"errnoRet\":55},"
                          "{\"names\":[\"getpriority\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
                          "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":"
                          "2,\"op\":\"SCMP_CMP_EQ\"}]}]}");
    if (seccomp_compile_json(json, &program, &flags, &e) < 0) fail_msg("%s", e.msg);
    assert_int_equal(flags, SECCOMP_FILTER_FLAG_LOG);
    assert_int_equal(behind(&program, flags, try_local), 0);
}

static void wrong_profiles_are_refused_with_a_place(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum err_kind kind;
        const char *place;
    } cases[] = {
        {"", ERR_INVALID, ""},
        {"[]", ERR_INVALID, "object"},
        {"{}", ERR_INVALID, "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_MAYBE\"}", ERR_INVALID, "SCMP_ACT_MAYBE"},
        {"{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", ERR_UNSUPPORTED, "NOTIFY"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}", ERR_UNSUPPORTED,
         "listenerPath"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", ERR_UNSUPPORTED, "'X'"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}", ERR_INVALID, "4096"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]}]}",
         ERR_INVALID, "syscalls[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
         "\"SCMP_ACT_"
         "LOG\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
         ERR_INVALID, "index 6"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
         "\"SCMP_ACT_"
         "LOG\",\"args\":[{\"index\":1,\"value\":1,\"op\":\"==\"}]}]}",
         ERR_INVALID, "=="}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
        struct err e = {0};
        uint32_t flags = 0;
        assert_int_equal(seccomp_compile_json(str_of(cases[i].json), &program, &flags, &e), -1);
        assert_int_equal(e.kind, cases[i].kind);
        assert_non_null(strstr(e.msg, cases[i].place));
        assert_int_equal(program.n, 0);
    }
}

static void limits_of_profiles_are_kept(void **state) {
    (void)state;
    AUTO(buf_done) struct buf json = BUF(SECCOMP_PROFILE_BYTES_MAX);
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    struct err e = {0};
    uint32_t flags = 0;
    int r = buf_str(&json, STR("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{}"));
    for (size_t i = 0; i < SECCOMP_RULES_MAX && r == 0; i++) r = buf_str(&json, STR(",{}"));
    if (r == 0) r = buf_str(&json, STR("]}"));
    assert_int_equal(r, 0);
    assert_int_equal(seccomp_compile_json(buf_view(&json), &program, &flags, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    buf_clear(&json);
    r = buf_str(&json, STR("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":"
                           "\"SCMP_ACT_LOG\",\"names\":[\"x\""));
    for (size_t i = 0; i < SECCOMP_NAMES_MAX && r == 0; i++) r = buf_str(&json, STR(",\"x\""));
    if (r == 0) r = buf_str(&json, STR("]}]}"));
    assert_int_equal(r, 0);
    assert_int_equal(seccomp_compile_json(buf_view(&json), &program, &flags, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void a_missing_profile_is_not_found(void **state) {
    (void)state;
    AUTO(buf_done) struct buf program = BUF(SECCOMP_PROGRAM_BYTES_MAX);
    struct err e = {0};
    uint32_t flags = 0;
    struct seccomp_request r = {.kind = SECCOMP_LOCALHOST, .path = "/nosuchfolder/profile.json"};
    assert_int_equal(seccomp_program(&r, &program, &flags, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    r.path = "/dev/null";
    assert_int_equal(seccomp_program(&r, &program, &flags, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    r.kind = SECCOMP_UNCONFINED;
    assert_int_equal(seccomp_program(&r, &program, &flags, &e), 0);
    assert_int_equal(program.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_profile_lets_ordinary_programs_run),
        cmocka_unit_test(the_default_profile_keeps_the_kernels_dark_corners_shut),
        cmocka_unit_test(capabilities_open_what_belongs_to_them),
        cmocka_unit_test(a_program_is_compiled_once),
        cmocka_unit_test(a_json_profile_does_what_it_says),
        cmocka_unit_test(wrong_profiles_are_refused_with_a_place),
        cmocka_unit_test(limits_of_profiles_are_kept),
        cmocka_unit_test(a_missing_profile_is_not_found),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    seccomp_cache_clear();
    return failed;
}
