/* SPDX-License-Identifier: Apache-2.0 — launch_spec_test.c: specs that are whole, and every way to
 * damage one. */
#include "cri/launch_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A spec with something in every field; the caller frees it. */
static struct launch_spec *sample(void) {
    AUTO(launch_build_done) struct launch_builder b;
    launch_build_init(&b, LAUNCH_CONTAINER);
    const struct str args[] = {STR("sh"), STR("-c"), STR(""), STR("exit")};
    const uint32_t groups[] = {1, 2, 3};
    const uint64_t program[] = {1, 2};
    b.spec.argv = launch_build_strs(&b, args, COUNT(args));
    b.spec.envp = launch_build_strs(&b, args, 2);
    b.spec.masked = b.spec.readonly = b.spec.envp;
    b.spec.cwd = b.spec.lowers = b.spec.hostname = b.spec.apparmor =
        launch_build_str(&b, STR("/x"));
    b.spec.groups = launch_build_table(&b, groups, sizeof *groups, COUNT(groups));
    b.spec.seccomp = launch_build_table(&b, program, sizeof *program, COUNT(program));
    b.spec.flags = LAUNCH_SECCOMP;
    struct launch_mount m = {.target = launch_build_str(&b, STR("/proc"))};
    struct launch_device d = {.path = m.target};
    struct launch_pair p = {m.target, m.target};
    struct launch_rlimit l = {.resource = 7};
    b.spec.mounts = launch_build_table(&b, &m, sizeof m, 1);
    b.spec.devices = launch_build_table(&b, &d, sizeof d, 1);
    b.spec.sysctls = launch_build_table(&b, &p, sizeof p, 1);
    b.spec.rlimits = launch_build_table(&b, &l, sizeof l, 1);
    struct err e = {0};
    AUTO_CLOSE int fd = -1;
    struct stat st;
    assert_int_equal(launch_build_seal(&b, &fd, &e), 0);
    assert_int_equal(fcntl(fd, F_GET_SEALS),
                     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(fstat(fd, &st), 0);
    struct launch_spec *s = xmalloc((size_t)st.st_size);
    assert_int_equal(pread(fd, s, (size_t)st.st_size, 0), st.st_size);
    return s;
}

static void assert_bad(const struct launch_spec *s, const char *expected) {
    const char *field = NULL;
    assert_int_equal(launch_spec_check(s, s->bytes, &field), -EINVAL);
    assert_string_equal(field, expected);
}

static void what_the_builder_makes_can_be_read(void **state) {
    (void)state;
    AUTO_FREE struct launch_spec *s = sample();
    const char *field = "";
    assert_int_equal(launch_spec_check(s, s->bytes, &field), 0);
    const struct launch_ref *argv = launch_table(s, s->argv);
    assert_string_equal(launch_str(s, argv[0]), "sh");
    assert_string_equal(launch_str(s, argv[2]), "");
    assert_string_equal(launch_str(s, argv[3]), "exit");
    const uint32_t *groups = launch_table(s, s->groups);
    assert_int_equal(groups[2], 3);
    assert_int_equal(launch_spec_check(s, s->bytes - 1, &field), -EINVAL);
    assert_string_equal(field, "bytes");
    assert_int_equal(launch_spec_check(s, 3, &field), -EINVAL);
}

/* Each reference in turn: at the end, past it, inside of the header, overflowing, unaligned. */
static void a_reference_out_of_the_block_is_refused(void **state) {
    (void)state;
    static const struct {
        size_t at;
        const char *name;
        bool table;
    } refs[] = {{offsetof(struct launch_spec, hostname), "hostname", false},
                {offsetof(struct launch_spec, sysctls), "sysctls", true},
                {offsetof(struct launch_spec, lowers), "lowers", false},
                {offsetof(struct launch_spec, mounts), "mounts", true},
                {offsetof(struct launch_spec, devices), "devices", true},
                {offsetof(struct launch_spec, masked), "masked", true},
                {offsetof(struct launch_spec, readonly), "readonly", true},
                {offsetof(struct launch_spec, argv), "argv", true},
                {offsetof(struct launch_spec, envp), "envp", true},
                {offsetof(struct launch_spec, cwd), "cwd", false},
                {offsetof(struct launch_spec, groups), "groups", true},
                {offsetof(struct launch_spec, rlimits), "rlimits", true},
                {offsetof(struct launch_spec, seccomp), "seccomp", true},
                {offsetof(struct launch_spec, apparmor), "apparmor", false}};
    AUTO_FREE struct launch_spec *s = sample();
    for (size_t i = 0; i < COUNT(refs); i++) {
        struct launch_ref *r = (struct launch_ref *)(void *)((char *)s + refs[i].at);
        const struct launch_ref good = *r;
        const struct launch_ref bad[] = {{s->bytes & ~7u, 9},
                                         {s->bytes + 8, 1},
                                         {0, 1},
                                         {good.at, UINT32_MAX},
                                         {UINT32_MAX - 7, 1}};
        for (size_t j = 0; j < COUNT(bad); j++) {
            *r = bad[j];
            assert_bad(s, refs[i].name);
        }
        if (refs[i].table) {
            *r = (struct launch_ref){good.at + 1, 1};
            assert_bad(s, refs[i].name);
        }
        *r = good;
    }
    const char *field = NULL;
    assert_int_equal(launch_spec_check(s, s->bytes, &field), 0);
}

static void a_string_without_its_end_or_with_a_nul_is_refused(void **state) {
    (void)state;
    AUTO_FREE struct launch_spec *s = sample();
    char *cwd = (char *)s + s->cwd.at;
    cwd[2] = 'y';
    assert_bad(s, "hostname");
    cwd[2] = '\0';
    cwd[0] = '\0';
    assert_bad(s, "hostname");
}

static void wrong_headers_are_refused(void **state) {
    (void)state;
    AUTO_FREE struct launch_spec *s = sample();
    s->magic++;
    assert_bad(s, "magic");
    s->magic--;
    s->mode = LAUNCH_EXEC + 1;
    assert_bad(s, "mode");
    s->mode = LAUNCH_EXEC;
    s->argv.n = 0;
    assert_bad(s, "argv");
}

static void the_builder_refuses_nul_bytes_and_what_is_over_a_limit(void **state) {
    (void)state;
    struct err e = {0};
    int fd = -1;
    AUTO(launch_build_done) struct launch_builder nul;
    launch_build_init(&nul, LAUNCH_REAPER);
    (void)launch_build_str(&nul, STR("a\0b"));
    assert_int_equal(launch_build_seal(&nul, &fd, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    AUTO(launch_build_done) struct launch_builder big;
    launch_build_init(&big, LAUNCH_REAPER);
    AUTO_FREE char *bytes = xmalloc(LAUNCH_SPEC_BYTES_MAX);
    memset(bytes, 'x', LAUNCH_SPEC_BYTES_MAX);
    (void)launch_build_str(&big, str_make(bytes, LAUNCH_SPEC_BYTES_MAX));
    assert_int_equal(launch_build_seal(&big, &fd, &e), -1);
    AUTO(launch_build_done) struct launch_builder many;
    launch_build_init(&many, LAUNCH_SANDBOX);
    const uint32_t group = 0;
    many.spec.groups = launch_build_table(&many, &group, sizeof group, 1);
    many.spec.groups.n = LAUNCH_GROUPS_MAX + 1;
    assert_int_equal(launch_build_seal(&many, &fd, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_int_equal(fd, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_builder_makes_can_be_read),
        cmocka_unit_test(a_reference_out_of_the_block_is_refused),
        cmocka_unit_test(a_string_without_its_end_or_with_a_nul_is_refused),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(the_builder_refuses_nul_bytes_and_what_is_over_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
