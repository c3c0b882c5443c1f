/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image/hosts.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    char root[32];
    struct arena a;
};

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    (void)snprintf(f->root, sizeof(f->root), "/tmp/hosts_test.XXXXXX");
    f->a = ARENA(4U << 20);
    *state = f;
    return mkdtemp(f->root) ? 0 : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    int r = file_remove_tree(AT_FDCWD, f->root);
    arena_done(&f->a);
    free(f);
    return r;
}

static void put(struct fixture *f, const char *folder, const char *name, const char *text) {
    AUTO_FREE char *path = xasprintf("%s/%s", f->root, folder);
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, path, 0755);
    assert_true(dir >= 0);
    assert_int_equal(file_write_atomic(dir, name, str_of(text), 0644), 0);
}

static size_t load(struct fixture *f, const char *registry, const struct registry_host **out) {
    struct err e = {0};
    size_t count = 0;
    if (hosts_load(&f->a, f->root, str_of(registry), out, &count, &e) < 0) fail_msg("%s", e.msg);
    return count;
}

static void load_fails(struct fixture *f, const char *text, const char *why) {
    struct err e = {0};
    size_t count;
    const struct registry_host *h;
    put(f, "bad", "hosts.toml", text);
    assert_int_equal(hosts_load(&f->a, f->root, STR("bad"), &h, &count, &e), -1);
    if (!strstr(e.msg, why)) fail_msg("'%s' lacks '%s'", e.msg, why);
}

static void without_files_a_registry_answers_for_itself(void **state) {
    static const char *const expected[][2] = {
        {"docker.io", "https://registry-1.docker.io/v2"},
        {"quay.io", "https://quay.io/v2"},
        {"r:5000", "https://r:5000/v2"},
        {"localhost:5000", "http://localhost:5000/v2"},
        {"localhost:443", "https://localhost:443/v2"},
        {"127.9.8.7", "http://127.9.8.7/v2"},
        {"[::1]:5000", "http://[::1]:5000/v2"},
        {"127.0.0.1.example.com", "https://127.0.0.1.example.com/v2"},
    };
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct registry_host *h;
        assert_int_equal(load(*state, expected[i][0], &h), 1);
        assert_true(str_eq(h->base, str_of(expected[i][1])));
        assert_true(h->is_upstream && h->can_pull && h->can_resolve && h->ns.n == 0);
    }
}

static void mirrors_keep_their_order_and_the_registry_comes_last(void **state) {
    put(*state, "docker.io", "hosts.toml",
        "[host.\"http://b:1\"]\ncapabilities = [\"pull\"]\n"
        "[host.\"https://a/some/path/\"]\nskip_verify = true\ndial_timeout = \"1m500ms\"\n"
        "[host.\"https://c/x\"]\noverride_path = true\n"
        "[host.\"https://c/x\".header]\nx-key = [\"1\", \"2\"]\ny = \"3\"\n"
        "[host.\"127.0.0.1:9\"]\n");
    const struct registry_host *h;
    assert_int_equal(load(*state, "docker.io", &h), 5);
    assert_true(str_eq(h[0].base, STR("http://b:1/v2")));
    assert_true(h[0].can_pull && !h[0].can_resolve && !h[0].is_upstream);
    assert_true(str_eq(h[0].ns, STR("docker.io")));
    assert_true(str_eq(h[1].base, STR("https://a/some/path/v2")));
    assert_true(h[1].tls.skip_verify && h[1].dial_ms == 60500);
    assert_true(str_eq(h[2].base, STR("https://c/x")));
    assert_int_equal(h[2].header_count, 3);
    assert_true(str_eq(h[2].headers[1].value, STR("2")));
    assert_true(str_eq(h[3].base, STR("http://127.0.0.1:9/v2")));
    assert_true(str_eq(h[4].base, STR("https://registry-1.docker.io/v2")));
    assert_true(h[4].ns.n == 0 && h[4].is_upstream);
}

static void folders_are_named_by_host_and_port_or_default(void **state) {
    const struct registry_host *h;
    put(*state, "_default", "hosts.toml", "server = \"https://default\"\n");
    assert_int_equal(load(*state, "r:5000", &h), 1);
    assert_true(str_eq(h->base, STR("https://default/v2")));
    assert_true(str_eq(h->ns, STR("r:5000")));
    put(*state, "r:5000", "hosts.toml", "server = \"https://colon\"\n");
    assert_int_equal(load(*state, "r:5000", &h), 1);
    assert_true(str_eq(h->base, STR("https://colon/v2")));
    put(*state, "r_5000_", "hosts.toml", "server = \"https://under\"\n");
    assert_int_equal(load(*state, "r:5000", &h), 1);
    assert_true(str_eq(h->base, STR("https://under/v2")));
}

static void certificates_are_read_and_named(void **state) {
    struct fixture *f = *state;
    const struct registry_host *h;
    put(f, "r", "ca1.pem", "ONE\n");
    put(f, "r", "ca2.pem", "TWO\n");
    put(f, "r", "hosts.toml",
        "ca = [\"ca1.pem\", \"ca2.pem\"]\nclient = [[\"/c.pem\", \"k.pem\"]]\n");
    assert_int_equal(load(f, "r", &h), 1);
    assert_true(str_contains(h->tls.ca_pem, STR("ONE\n\nTWO\n")));
    assert_string_equal(h->tls.client_cert, "/c.pem");
    AUTO_FREE char *key = xasprintf("%s/r/k.pem", f->root);
    assert_string_equal(h->tls.client_key, key);
}

static void dockers_certificate_files_do_without_a_hosts_file(void **state) {
    struct fixture *f = *state;
    const struct registry_host *h;
    put(f, "d", "my.crt", "CA\n");
    put(f, "d", "me.cert", "CERT\n");
    put(f, "d", "me.key", "KEY\n");
    assert_int_equal(load(f, "d", &h), 1);
    assert_true(str_contains(h->tls.ca_pem, STR("CA\n")));
    assert_true(str_ends(str_of(h->tls.client_cert), STR("/d/me.cert")));
    assert_true(str_ends(str_of(h->tls.client_key), STR("/d/me.key")));
}

static void mistakes_are_named(void **state) {
    load_fails(*state, "server = 1\n", "line 1: 'server' must be a URL");
    load_fails(*state, "server = \"ftp://x\"\n", "not the URL");
    load_fails(*state, "server = \"https://u:p@x\"\n", "not the URL");
    load_fails(*state, "x\n", "line 1: '='");
    load_fails(*state, "host = 1\n", "must be a table");
    load_fails(*state, "[host]\na = 1\n", "must be a table");
    load_fails(*state, "[host.x]\nskip_verify = 1\n", "must be true or false");
    load_fails(*state, "[host.x]\ncapabilities = [\"fly\"]\n", "unknown capability 'fly'");
    load_fails(*state, "[host.x]\ncapabilities = [1]\n", "must be a string or");
    load_fails(*state, "[host.x]\ndial_timeout = \"1 parsec\"\n", "must be a duration");
    load_fails(*state, "[host.x]\nca = \"absent.pem\"\n", "absent.pem");
    load_fails(*state, "[host.x]\nclient = [\"a\", \"b\"]\n", "more than one client");
    load_fails(*state, "[host.x]\nclient = [[\"a\"]]\n", "must be one certificate");
    load_fails(*state, "[host.x]\nheader = 1\n", "must be a table");
    load_fails(*state, "[host.x.header]\na = 1\n", "must be a string or");
    struct buf many = BUF(1U << 16);
    for (int i = 0; i < HOSTS_MAX; i++) assert_int_equal(buf_fmt(&many, "[host.\"h%d\"]\n", i), 0);
    load_fails(*state, buf_c(&many), "more than 16 hosts");
    buf_clear(&many);
    assert_int_equal(buf_fmt(&many, "[host.x.header]\n"), 0);
    for (int i = 0; i <= HOSTS_HEADERS_MAX; i++)
        assert_int_equal(buf_fmt(&many, "h%d = \"v\"\n", i), 0);
    load_fails(*state, buf_c(&many), "more than 32 headers");
    buf_done(&many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_files_a_registry_answers_for_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mirrors_keep_their_order_and_the_registry_comes_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(folders_are_named_by_host_and_port_or_default, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(certificates_are_read_and_named, setup, teardown),
        cmocka_unit_test_setup_teardown(dockers_certificate_files_do_without_a_hosts_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
