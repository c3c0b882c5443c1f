/* SPDX-License-Identifier: Apache-2.0 — auth_test.c: credentials and token answers; the exchange
 * with servers is in pull_test.c. */
#include "storage/image/auth.h"
#include "storage/image/docker_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void credentials_come_as_user_and_password_or_base64(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    struct auth_credential one, two, other;
    struct err e = {0};
    struct image_auth plain = {.username = STR("user"), .password = STR("pa:ss")};
    struct image_auth coded = {.auth = STR("dXNlcjpwYTpzcw==")};
    assert_int_equal(auth_credential_make(&a, &plain, &one, &e), 0);
    assert_int_equal(auth_credential_make(&a, &coded, &two, &e), 0);
    assert_true(str_eq(two.username, STR("user")) && str_eq(two.password, STR("pa:ss")));
    assert_string_equal(one.id, two.id);
    plain.password = STR("other");
    assert_int_equal(auth_credential_make(&a, &plain, &other, &e), 0);
    assert_string_not_equal(one.id, other.id);
    coded.auth = STR("%%%");
    assert_int_equal(auth_credential_make(&a, &coded, &two, &e), -1);
    coded.auth = STR("dXNlcg=="); /* "user" */
    assert_int_equal(auth_credential_make(&a, &coded, &two, &e), -1);
}

static void parts_of_a_credential_cannot_be_shifted(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    struct auth_credential one, two;
    struct err e = {0};
    struct image_auth x = {.username = STR("ab"), .password = STR("c")};
    struct image_auth y = {.username = STR("a"), .password = STR("bc")};
    assert_int_equal(auth_credential_make(&a, &x, &one, &e), 0);
    assert_int_equal(auth_credential_make(&a, &y, &two, &e), 0);
    assert_string_not_equal(one.id, two.id);
}

static void addresses_name_registries(void **state) {
    (void)state;
    assert_true(auth_address_is(STR("https://index.docker.io/v1/"), STR("docker.io")));
    assert_true(auth_address_is(STR("docker.io"), STR("registry-1.docker.io")));
    assert_true(auth_address_is(STR("http://R:5000/v2"), STR("r:5000")));
    assert_false(auth_address_is(STR("r"), STR("r:5000")));
    assert_false(auth_address_is(STR("docker.io.evil"), STR("docker.io")));
}

static void token_answers_are_checked(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    struct str token;
    uint64_t s;
    struct err e = {0};
    assert_int_equal(
        auth_token_parse(&a, STR("{\"token\":\"a\",\"expires_in\":9}"), &token, &s, &e), 0);
    assert_true(str_eq(token, STR("a")) && s == 9);
    assert_int_equal(auth_token_parse(&a, STR("{\"access_token\":\"b\"}"), &token, &s, &e), 0);
    assert_true(str_eq(token, STR("b")) && s == 60);
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"token\":1}",
                                      "{\"token\":\"\"}",
                                      "{\"token\":\"a\\r\\nX: y\"}",
                                      "{\"token\":\"a\",\"expires_in\":-1}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (auth_token_parse(&a, str_of(bad[i]), &token, &s, &e) == 0) fail_msg("%s", bad[i]);
    AUTO_FREE char *big = xmalloc(AUTH_TOKEN_BYTES_MAX + 32);
    (void)snprintf(big, AUTH_TOKEN_BYTES_MAX + 32, "{\"token\":\"%0*d\"}",
                   (int)AUTH_TOKEN_BYTES_MAX + 1, 0);
    assert_int_equal(auth_token_parse(&a, str_of(big), &token, &s, &e), -1);
}

static void dockers_config_is_searched_by_registry(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 20);
    struct auth_credential c;
    struct err e = {0};
    const struct str config =
        STR("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"},"
            "\"r:5000\":{\"username\":\"me\",\"password\":\"it\"},"
            "\"q.io\":{\"identitytoken\":\"idt\"},\"helped\":{}},\"credsStore\":\"desktop\"}");
    assert_int_equal(docker_config_find(&a, config, STR("docker.io"), &c, &e), 0);
    assert_true(str_eq(c.username, STR("user")));
    assert_int_equal(docker_config_find(&a, config, STR("r:5000"), &c, &e), 0);
    assert_true(str_eq(c.password, STR("it")));
    assert_int_equal(docker_config_find(&a, config, STR("q.io"), &c, &e), 0);
    assert_true(str_eq(c.identity_token, STR("idt")));
    assert_int_equal(docker_config_find(&a, config, STR("unknown"), &c, &e), 0);
    assert_int_equal(c.username.n, 0);
    assert_int_equal(docker_config_find(&a, config, STR("helped"), &c, &e), 0);
    assert_int_equal(c.username.n, 0);
    assert_int_equal(docker_config_find(&a, STR("{\"auths\":[]}"), STR("x"), &c, &e), -1);
    assert_int_equal(docker_config_find(&a, STR("{"), STR("x"), &c, &e), -1);
    assert_int_equal(
        docker_config_find(&a, STR("{\"auths\":{\"x\":{\"auth\":1}}}"), STR("x"), &c, &e), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_come_as_user_and_password_or_base64),
        cmocka_unit_test(parts_of_a_credential_cannot_be_shifted),
        cmocka_unit_test(addresses_name_registries),
        cmocka_unit_test(token_answers_are_checked),
        cmocka_unit_test(dockers_config_is_searched_by_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
