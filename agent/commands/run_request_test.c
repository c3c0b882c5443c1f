/* SPDX-License-Identifier: Apache-2.0 — run_request_test.c */
#include "agent/commands/run_request.h"

#include "agent/commands/auto_remove.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int parse(struct arena *a, const char *text, struct run_request *out, struct err *e) {
    const struct json *args = NULL;
    assert_int_equal(json_parse(a, str_of(text), JSON_LIMITS, &args, e), 0);
    return run_request_parse(a, args, "c0ffee", out, e);
}

static void expect_refused(const char *text, const char *msg) {
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct run_request r;
    struct err e = {0};
    assert_int_equal(parse(&a, text, &r, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    if (!strstr(e.msg, msg)) fail_msg("'%s' does not say '%s'", e.msg, msg);
}

static void everything_asked_for_is_in_the_messages(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct run_request r;
    struct err e = {0};
    assert_int_equal(
        parse(&a,
              "{\"image\":\"nginx\",\"name\":\"web\",\"argv\":[\"sh\",\"-c\",\"x\"],"
              "\"env\":[\"A=1=2\",\"B=\"],\"working_dir\":\"/srv\",\"memory_bytes\":1048576,"
              "\"cpu_milli\":500,\"remove\":true,"
              "\"mounts\":[{\"source\":\"/a\",\"target\":\"/b\",\"readonly\":true}],"
              "\"ports\":[{\"host_port\":8080,\"container_port\":80},"
              "{\"host_port\":53,\"container_port\":5353,\"protocol\":\"udp\","
              "\"host_ip\":\"127.0.0.1\"}]}",
              &r, &e),
        0);
    assert_string_equal(r.name, "web");
    assert_string_equal(r.pod->metadata->name, "web");
    assert_string_equal(r.pod->metadata->namespace_, "gridlet");
    assert_string_equal(r.pod->hostname, "web");
    assert_int_equal(r.pod->n_port_mappings, 2);
    assert_int_equal(r.pod->port_mappings[0]->host_port, 8080);
    assert_int_equal(r.pod->port_mappings[1]->protocol, RUNTIME__V1__PROTOCOL__UDP);
    assert_string_equal(r.pod->port_mappings[1]->host_ip, "127.0.0.1");
    const Runtime__V1__ContainerConfig *k = r.container;
    assert_string_equal(k->image->image, "nginx");
    assert_int_equal(k->n_args, 3);
    assert_int_equal(k->n_command, 0);
    assert_string_equal(k->envs[0]->key, "A");
    assert_string_equal(k->envs[0]->value, "1=2");
    assert_string_equal(k->envs[1]->value, "");
    assert_string_equal(k->working_dir, "/srv");
    assert_true(k->mounts[0]->readonly);
    assert_int_equal(k->linux->resources->memory_limit_in_bytes, 1048576);
    assert_int_equal(k->linux->resources->cpu_quota, 50000);
    assert_int_equal(k->linux->resources->cpu_shares, 512);
    assert_true(r.remove);
    assert_string_equal(k->labels[0]->key, AUTO_REMOVE_LABEL);
}

static void defaults_are_those_of_a_careful_client(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct run_request r;
    struct err e = {0};
    assert_int_equal(parse(&a, "{\"image\":\"docker.io/Team/My-App:1.2\"}", &r, &e), 0);
    assert_string_equal(r.name, "my-app-c0ffee");
    const Runtime__V1__LinuxContainerSecurityContext *s = r.container->linux->security_context;
    assert_int_equal(s->seccomp->profile_type,
                     RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault);
    assert_int_equal(s->namespace_options->pid, RUNTIME__V1__NAMESPACE_MODE__CONTAINER);
    assert_true(s->n_masked_paths > 5 && s->n_readonly_paths > 3);
    assert_false(s->privileged);
    assert_int_equal(r.container->linux->resources->cpu_quota, 0);
    assert_int_equal(r.container->n_labels, 0);
    assert_int_equal(parse(&a, "{\"image\":\"@x\"}", &r, &e), 0);
    assert_string_equal(r.name, "container-c0ffee");
}

static void mistakes_are_named(void **state) {
    (void)state;
    expect_refused("{}", "'image' is missing");
    expect_refused("{\"image\":\"\"}", "image's name");
    expect_refused("{\"image\":\"a\",\"name\":\"Web\"}", "the name 'Web'");
    expect_refused("{\"image\":\"a\",\"name\":\"-a\"}", "the name '-a'");
    expect_refused("{\"image\":\"a\",\"name\":\"a/b\"}", "the name");
    expect_refused("{\"image\":\"a\",\"argv\":[1]}", "'argv' must hold strings");
    expect_refused("{\"image\":\"a\",\"argv\":\"sh\"}", "'argv' must be an array");
    expect_refused("{\"image\":\"a\",\"env\":[\"A\"]}", "NAME=VALUE");
    expect_refused("{\"image\":\"a\",\"env\":[\"=x\"]}", "NAME=VALUE");
    expect_refused("{\"image\":\"a\",\"mounts\":[{\"source\":\"a\",\"target\":\"/b\"}]}", "begin");
    expect_refused("{\"image\":\"a\",\"mounts\":[{\"source\":\"/a\"}]}", "'target' is missing");
    expect_refused("{\"image\":\"a\",\"ports\":[{\"host_port\":0,\"container_port\":1}]}", "ports");
    expect_refused("{\"image\":\"a\",\"ports\":[{\"host_port\":1,\"container_port\":65536}]}",
                   "ports are 1 to 65535");
    expect_refused("{\"image\":\"a\",\"ports\":[{\"host_port\":1,\"container_port\":1,"
                   "\"protocol\":\"icmp\"}]}",
                   "protocol 'icmp'");
    expect_refused("{\"image\":\"a\",\"cpu_milli\":1000001}", "larger than any machine");
    expect_refused("{\"image\":\"a\",\"memory_bytes\":9223372036854775808}", "larger than any");
}

static void lists_and_memory_are_limited(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(4 << 20);
    AUTO(buf_done) struct buf b = BUF(1 << 20);
    struct run_request r;
    struct err e = {0};
    struct json_out w = JSON_OUT(&b);
    json_out_object(&w, NULL);
    json_out_c(&w, "image", "a");
    json_out_array(&w, "argv");
    for (int i = 0; i <= RUN_LIST_MAX; i++) json_out_c(&w, NULL, "x");
    json_out_close(&w);
    json_out_close(&w);
    assert_int_equal(json_out_end(&w), 0);
    assert_int_equal(parse(&a, buf_c(&b), &r, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    for (size_t bytes = 600; bytes < 4000; bytes += 200) {
        AUTO(arena_done) struct arena tiny = ARENA(bytes);
        const struct json *args = NULL;
        assert_int_equal(json_parse(&tiny, STR("{\"image\":\"a\"}"), JSON_LIMITS, &args, &e), 0);
        if (run_request_parse(&tiny, args, "x", &r, &e) < 0) assert_int_equal(e.kind, ERR_LIMIT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_asked_for_is_in_the_messages),
        cmocka_unit_test(defaults_are_those_of_a_careful_client),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(lists_and_memory_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
