/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image/auth_challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void docker_hubs_challenge_is_understood(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct auth_challenge c = {0};
    struct err e = {0};
    const char *header =
        "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\""
        ",scope=\"repository:library/nginx:pull\",error=\"invalid_token\"";
    assert_int_equal(auth_challenge_add(&a, str_of(header), &c, &e), 0);
    assert_true(c.bearer && !c.basic);
    assert_true(str_eq(c.realm, STR("https://auth.docker.io/token")));
    assert_true(str_eq(c.service, STR("registry.docker.io")));
    assert_true(str_eq(c.scope, STR("repository:library/nginx:pull")));
    assert_true(str_eq(c.error, STR("invalid_token")));
}

static void several_challenges_in_one_header_and_in_two(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct auth_challenge c = {0};
    struct err e = {0};
    assert_int_equal(
        auth_challenge_add(
            &a, STR("Negotiate abc==, Digest realm=\"d\", nonce=x, basic realm=\"b\""), &c, &e),
        0);
    assert_true(c.basic && !c.bearer && c.realm.n == 0);
    assert_int_equal(
        auth_challenge_add(&a,
                           STR("BEARER Realm = \"r\\\"1\" , scope=one, , Basic realm=\"z\", "
                               "bearer realm=\"second\""),
                           &c, &e),
        0);
    assert_true(c.basic && c.bearer);
    assert_true(str_eq(c.realm, STR("r\"1")));
    assert_true(str_eq(c.scope, STR("one")));
}

static void malformed_headers_change_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {
        "Bearer realm=\"x", "Bearer realm=\"x\\", "=",
        "Bearer \x01",      "Basic, \"",          "Bearer realm=\"a\nb\""};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(arena_done) struct arena a = ARENA(1U << 16);
        struct auth_challenge c = {0};
        struct err e = {0};
        if (auth_challenge_add(&a, str_of(bad[i]), &c, &e) == 0) fail_msg("%s", bad[i]);
        assert_false(c.basic || c.bearer);
    }
}

static void parts_are_limited(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct auth_challenge c = {0};
    struct err e = {0};
    char many[2 * AUTH_CHALLENGE_PARAMS_MAX + 8];
    for (size_t i = 0; i < sizeof(many); i++) many[i] = i % 2 ? ',' : 'a';
    assert_int_equal(auth_challenge_add(&a, str_make(many, sizeof(many)), &c, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_hubs_challenge_is_understood),
        cmocka_unit_test(several_challenges_in_one_header_and_in_two),
        cmocka_unit_test(malformed_headers_change_nothing),
        cmocka_unit_test(parts_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
