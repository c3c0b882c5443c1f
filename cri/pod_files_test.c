/* SPDX-License-Identifier: Apache-2.0 — pod_files_test.c: the three files, and words that do not
 * belong in them. */
#include "cri/pod_files.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char server[] = "10.0.0.10", search1[] = "default.svc", search2[] = "svc",
            option[] = "ndots:5";

static char root[64];
static int dir = -1;

static int set_up(void **state) {
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/pod_files_test.XXXXXX");
    if (!mkdtemp(root)) return -1;
    dir = file_open_dir(AT_FDCWD, root);
    return dir < 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)close(dir);
    return file_remove_tree(AT_FDCWD, root);
}

static void assert_file(const char *name, const char *wanted) {
    AUTO(buf_done) struct buf text = BUF(0);
    assert_int_equal(file_read_all(dir, name, POD_FILES_BYTES_MAX, &text), 0);
    assert_string_equal(buf_c(&text), wanted);
}

static void the_pods_own_names_are_written(void **state) {
    (void)state;
    struct err e = {0};
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    char *servers[] = {server}, *searches[] = {search1, search2}, *options[] = {option};
    dns.servers = servers;
    dns.n_servers = 1;
    dns.searches = searches;
    dns.n_searches = 2;
    dns.options = options;
    dns.n_options = 1;
    struct pod_files f = {
        .dns = &dns, .hostname = STR("web-0"), .ip4 = STR("10.88.0.2"), .ip6 = STR("fd00::2")};
    if (pod_files_write(dir, &f, &e) < 0) fail_msg("%s", e.msg);
    assert_file("resolv.conf", "search default.svc svc\nnameserver 10.0.0.10\noptions ndots:5\n");
    assert_file("hostname", "web-0\n");
    AUTO(buf_done) struct buf hosts = BUF(0);
    assert_int_equal(file_read_all(dir, "hosts", 4096, &hosts), 0);
    assert_true(str_contains(buf_view(&hosts), STR("127.0.0.1\tlocalhost\n")));
    assert_true(str_contains(buf_view(&hosts), STR("\n10.88.0.2\tweb-0\n")));
    assert_true(str_contains(buf_view(&hosts), STR("\nfd00::2\tweb-0\n")));
}

static void without_a_config_the_nodes_resolver_is_copied(void **state) {
    (void)state;
    struct err e = {0};
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    struct pod_files f = {.dns = &dns, .hostname = STR("x"), .host_network = true};
    if (pod_files_write(dir, &f, &e) < 0) fail_msg("%s", e.msg);
    AUTO(buf_done) struct buf host = BUF(0);
    AUTO(buf_done) struct buf host_hosts = BUF(0);
    if (file_read_all(AT_FDCWD, "/etc/resolv.conf", POD_FILES_BYTES_MAX, &host) == 0)
        assert_file("resolv.conf", buf_c(&host));
    if (file_read_all(AT_FDCWD, "/etc/hosts", POD_FILES_BYTES_MAX, &host_hosts) == 0)
        assert_file("hosts", buf_c(&host_hosts));
}

static void words_that_would_make_new_lines_are_refused(void **state) {
    (void)state;
    char bad1[] = "1.1.1.1\nnameserver 2.2.2.2", bad2[] = "a b", bad3[] = "";
    char long_word[POD_FILES_NAME_BYTES_MAX + 2];
    memset(long_word, 'x', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    char *bad[] = {bad1, bad2, bad3, long_word};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(buf_done) struct buf out = BUF(POD_FILES_BYTES_MAX);
        struct err e = {0};
        Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
        dns.servers = &bad[i];
        dns.n_servers = 1;
        assert_int_equal(pod_files_resolv_conf(&dns, &out, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, "servers"));
    }
}

static void limits_are_kept(void **state) {
    (void)state;
    AUTO(buf_done) struct buf out = BUF(POD_FILES_BYTES_MAX);
    struct err e = {0};
    char *many[POD_FILES_DNS_OPTIONS_MAX + 1];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = option;
    Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
    dns.options = many;
    dns.n_options = COUNT(many);
    assert_int_equal(pod_files_resolv_conf(&dns, &out, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    char name[POD_HOSTNAME_BYTES_MAX + 1];
    memset(name, 'x', sizeof name);
    struct pod_files f = {.hostname = str_make(name, sizeof name)};
    assert_int_equal(pod_files_write(dir, &f, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    f.hostname = STR("a\nb");
    assert_int_equal(pod_files_write(dir, &f, &e), -1);
    assert_int_equal(file_exists(dir, "hosts"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_pods_own_names_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_config_the_nodes_resolver_is_copied, set_up,
                                        tear_down),
        cmocka_unit_test(words_that_would_make_new_lines_are_refused),
        cmocka_unit_test_setup_teardown(limits_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
