/* SPDX-License-Identifier: Apache-2.0 — capability_test.c: sets from names. */
#include "cri/capability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char net_admin[] = "net_admin", cap_net_raw[] = "CAP_NET_RAW", all[] = "all",
            nonsense[] = "CAP_NONSENSE", number[] = "12", kill_name[] = "KILL";

static uint64_t bit(const char *name) {
    uint64_t b = capability_bit(str_of(name));
    assert_true(b != 0);
    return b;
}

static struct capability_sets resolve(const struct capability_request *r) {
    struct capability_sets s;
    struct err e = {0};
    if (capability_resolve(r, &s, &e) < 0) fail_msg("%s", e.msg);
    return s;
}

static void the_default_set_has_fourteen(void **state) {
    (void)state;
    struct capability_sets s = resolve(&(struct capability_request){0});
    if (capability_own() == UINT64_MAX >> 23)
        assert_int_equal(__builtin_popcountll(s.bounding), 14);
    assert_true((s.bounding & ~capability_own()) == 0);
    assert_true(s.effective == s.bounding && s.permitted == s.bounding);
    assert_true(s.inheritable == 0 && s.ambient == 0);
    assert_true((s.bounding & bit("SYS_ADMIN")) == 0);
}

static void names_are_added_and_dropped_in_any_spelling(void **state) {
    (void)state;
    char *add[] = {net_admin}, *drop[] = {cap_net_raw};
    struct capability_request r = {.add = add, .add_count = 1, .drop = drop, .drop_count = 1};
    struct capability_sets s = resolve(&r);
    assert_true((s.bounding & bit("NET_RAW")) == 0);
    assert_true((s.bounding & bit("NET_ADMIN")) == (bit("NET_ADMIN") & capability_own()));
}

static void all_comes_before_single_names(void **state) {
    (void)state;
    char *every[] = {all}, *one[] = {kill_name};
    struct capability_request add_all = {
        .add = every, .add_count = 1, .drop = one, .drop_count = 1};
    assert_true(resolve(&add_all).bounding == (capability_own() & ~bit("KILL")));
    struct capability_request drop_all = {
        .add = one, .add_count = 1, .drop = every, .drop_count = 1};
    assert_true(resolve(&drop_all).bounding == (bit("KILL") & capability_own()));
}

static void privileged_is_what_the_daemon_has(void **state) {
    (void)state;
    struct capability_request r = {.privileged = true};
    struct capability_sets s = resolve(&r);
    assert_true(s.bounding == capability_own() && s.effective == s.bounding);
}

static void ambient_ones_are_inheritable_too(void **state) {
    (void)state;
    char *names[] = {net_admin};
    struct capability_request r = {.ambient = names, .ambient_count = 1};
    struct capability_sets s = resolve(&r);
    uint64_t wanted = bit("NET_ADMIN") & capability_own();
    assert_true(s.ambient == wanted && s.inheritable == wanted);
    assert_true((s.permitted & wanted) == wanted);
}

static void unknown_names_are_named(void **state) {
    (void)state;
    char *lists[][1] = {{nonsense}, {number}};
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct capability_sets s;
        struct err e = {0};
        struct capability_request r = {.drop = lists[i], .drop_count = 1};
        assert_int_equal(capability_resolve(&r, &s, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, lists[i][0]));
        r = (struct capability_request){.add = lists[i], .add_count = CAPABILITY_NAMES_MAX + 1};
        assert_int_equal(capability_resolve(&r, &s, &e), -1);
        assert_int_equal(e.kind, ERR_LIMIT);
    }
    assert_true(capability_bit(STR("")) == 0 && capability_bit(STR("CAP_")) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_set_has_fourteen),
        cmocka_unit_test(names_are_added_and_dropped_in_any_spelling),
        cmocka_unit_test(all_comes_before_single_names),
        cmocka_unit_test(privileged_is_what_the_daemon_has),
        cmocka_unit_test(ambient_ones_are_inheritable_too),
        cmocka_unit_test(unknown_names_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
