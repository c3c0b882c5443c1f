/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEX64 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void full_form_is(const char *given, const char *expected) {
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct reference r;
    struct err e = {0};
    int rc = reference_parse(&a, str_of(given), &r, &e);
    if (rc < 0) print_message("%s\n", e.msg);
    assert_int_equal(rc, 0);
    AUTO_FREE char *full = xasprintf("%.*s", STR_ARG(r.full));
    assert_string_equal(full, expected);
}

static void short_names_are_completed(void **state) {
    (void)state;
    full_form_is("nginx", "docker.io/library/nginx:latest");
    full_form_is("nginx:1.25", "docker.io/library/nginx:1.25");
    full_form_is("user/app", "docker.io/user/app:latest");
    full_form_is("docker.io/nginx", "docker.io/library/nginx:latest");
    full_form_is("index.docker.io/nginx", "docker.io/library/nginx:latest");
    full_form_is("localhost/app", "localhost/app:latest");
    full_form_is("localhost:5000/app", "localhost:5000/app:latest");
    full_form_is("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x");
    full_form_is("[::1]:5000/app:1", "[::1]:5000/app:1");
    full_form_is("[fd00::2]/app", "[fd00::2]/app:latest");
    full_form_is("Registry/app", "Registry/app:latest");
    full_form_is("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9");
    full_form_is("a/b__c-d---e.f_g", "docker.io/a/b__c-d---e.f_g:latest");
}

static void a_digest_wins_over_a_tag(void **state) {
    (void)state;
    full_form_is("nginx@sha256:" HEX64, "docker.io/library/nginx@sha256:" HEX64);
    full_form_is("nginx:1.25@sha256:" HEX64, "docker.io/library/nginx@sha256:" HEX64);
    full_form_is("h:1/app:1@sha256:" HEX64, "h:1/app@sha256:" HEX64);
}

static void malformed_references_are_invalid(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      ":",
                                      "/",
                                      "@",
                                      "nginx:",
                                      "nginx@",
                                      "Nginx",
                                      "docker.io/Nginx",
                                      "a//b",
                                      "a/",
                                      "/a",
                                      "a b",
                                      "a:-b",
                                      "a:.b",
                                      "a..b",
                                      "a___b",
                                      "-a",
                                      "a-",
                                      "../../etc",
                                      "host:0/a",
                                      "host:99999/a",
                                      "host:x/a",
                                      "[::1/a",
                                      "[]:1/a",
                                      "-h.io/a",
                                      "h..io/a",
                                      "http://h/a",
                                      "a@sha256:abc",
                                      "a@md5:" HEX64,
                                      "a@sha512:" HEX64,
                                      HEX64,
                                      "a\n",
                                      "a?b=c",
                                      "[",
                                      "[::1]"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(arena_done) struct arena a = ARENA(1U << 16);
        struct reference r;
        struct err e = {0};
        if (reference_parse(&a, str_of(bad[i]), &r, &e) == 0) fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, "image reference"));
    }
}

static void limits_are_exact(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1U << 16);
    struct reference r;
    struct err e = {0};
    char name[REFERENCE_BYTES_MAX + 2];
    (void)memset(name, 'a', sizeof(name));
    (void)memcpy(name, "h:1/", 4);
    assert_int_equal(reference_parse(&a, str_make(name, 255), &r, &e), 0);
    assert_int_equal(reference_parse(&a, str_make(name, 256), &r, &e), -1);
    assert_int_equal(reference_parse(&a, str_make(name, sizeof(name)), &r, &e), -1);
    (void)memset(name, 'a', sizeof(name));
    name[1] = ':';
    assert_int_equal(reference_parse(&a, str_make(name, 2 + 128), &r, &e), 0);
    assert_int_equal(reference_parse(&a, str_make(name, 2 + 129), &r, &e), -1);
    assert_int_equal(reference_parse(&a, str_make("a\0b", 3), &r, &e), -1);
    AUTO(arena_done) struct arena tiny = ARENA(4);
    assert_int_equal(reference_parse(&tiny, STR("nginx"), &r, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void image_ids_are_recognised(void **state) {
    (void)state;
    struct str hex;
    assert_true(reference_is_id(STR("sha256:" HEX64), &hex));
    assert_int_equal(hex.n, 64);
    assert_true(reference_is_id(STR("e3b0c44298fc"), &hex));
    assert_false(reference_is_id(STR("e3b0c44298f"), &hex));
    assert_false(reference_is_id(STR("E3B0C44298FC"), &hex));
    assert_false(reference_is_id(STR("nginx"), &hex));
    assert_false(reference_is_digest(STR("sha256:e3")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_names_are_completed),
        cmocka_unit_test(a_digest_wins_over_a_tag),
        cmocka_unit_test(malformed_references_are_invalid),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(image_ids_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
