/* SPDX-License-Identifier: Apache-2.0 — settings_test.c */
#include "agent/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int load(struct settings *s, char *a, char *b, struct err *e) {
    enum config_result result;
    char *argv[] = {"gridletd", a, b, NULL};
    return settings_load(a ? 3 : 1, argv, s, &result, e);
}

static void the_standard_node_has_plain_names(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    assert_int_equal(load(&s, NULL, NULL, &e), 0);
    assert_string_equal(s.cri_socket, "/run/gridlet/cri.sock");
    assert_string_equal(s.bridge, "gridlet0");
    assert_string_equal(s.nft_table, "gridlet");
    assert_string_equal(s.cgroup_root, "gridlet");
    assert_string_equal(s.pod_cidr, "10.88.0.0/16");
    assert_int_equal(s.ready_fd, SETTINGS_NO_FD);
    assert_int_equal(s.program_dir[0], '/');
    settings_done(&s);
}

static void nodes_with_other_roots_do_not_meet(void **state) {
    (void)state;
    struct settings a = {0};
    struct settings b = {0};
    struct err e = {0};
    assert_int_equal(load(&a, "--root=/srv/a", "--pod-cidr6=", &e), 0);
    assert_int_equal(load(&b, "--root=/srv/b", "--bridge=mine", &e), 0);
    assert_string_not_equal(a.bridge, b.bridge);
    assert_string_not_equal(a.nft_table, b.nft_table);
    assert_string_not_equal(a.cgroup_root, b.cgroup_root);
    assert_true(strlen(a.bridge) <= 15);
    assert_string_equal(a.pod_cidr6, "");
    assert_string_equal(b.bridge, "mine");
    settings_done(&a);
    settings_done(&b);
}

static void relative_folders_become_absolute(void **state) {
    (void)state;
    struct settings s = {0};
    struct err e = {0};
    assert_int_equal(load(&s, "--root=r", "--run=n", &e), 0);
    assert_int_equal(s.root[0], '/');
    assert_int_equal(s.cri_socket[0], '/');
    settings_done(&s);
}

static void values_out_of_range_are_named(void **state) {
    (void)state;
    static const struct {
        char *option;
        const char *msg;
    } cases[] = {{"--cgroup-driver=runc", "'cgroup-driver' must be"},
                 {"--bridge=averyverylongname", "'bridge' must"},
                 {"--workers=0", "'workers' must"},
                 {"--workers=65", "'workers' must"},
                 {"--mtu=100", "'mtu' must"},
                 {"--run=/0123456789012345678901234567890123456789012345678901234567890123456789"
                  "01234567890123456789",
                  "'run' must"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct settings s = {0};
        struct err e = {0};
        assert_int_equal(load(&s, cases[i].option, "--log-level=info", &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        if (!strstr(e.msg, cases[i].msg)) fail_msg("'%s' lacks '%s'", e.msg, cases[i].msg);
        settings_done(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standard_node_has_plain_names),
        cmocka_unit_test(nodes_with_other_roots_do_not_meet),
        cmocka_unit_test(relative_folders_become_absolute),
        cmocka_unit_test(values_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
