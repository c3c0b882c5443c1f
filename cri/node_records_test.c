/* SPDX-License-Identifier: Apache-2.0 — node_records_test.c: what is on disk of pods, containers
 * and their ends; also what is none of it. */
#include "cri/node_rig.h"

#include "cri/proto/record.pb-c.h"

static char *record_path(const char *folder, const char *id) {
    return xasprintf("%s/%s/%s", rig.root, folder, id);
}

/* ---- pods ---- */

static struct pod *load(const char *id, struct err *e) {
    bool ready;
    bool same_boot;
    return pod_load(rig.cri, rig.cri->root_fd, id, &ready, &same_boot, e);
}

static void a_pod_is_loaded_as_it_was_saved(void **state) {
    (void)state;
    struct err e = {0};
    bool ready = false;
    bool same_boot = false;
    struct pod *p = rig_pod("podaaa", POD_READY);
    (void)snprintf(p->addresses.ip4, sizeof p->addresses.ip4, "10.0.0.9");
    assert_int_equal(pod_save(p, POD_RECORD_READY, &e), 0);
    AUTO_FREE char *id = xstrdup(p->id);
    AUTO_FREE char *cgroup = xstrdup(p->cgroup);
    pod_free(p);
    p = pod_load(rig.cri, rig.cri->root_fd, id, &ready, &same_boot, &e);
    assert_non_null(p);
    assert_true(ready && same_boot && p->owns_cgroup);
    assert_string_equal(p->cgroup, cgroup);
    assert_string_equal(p->addresses.ip4, "10.0.0.9");
    assert_string_equal(p->config->metadata->name, "podaaa");
    assert_int_equal(p->created_at_ns, 42);
    assert_int_equal(pod_save(p, POD_RECORD_NOTREADY, &e), 0);
    pod_free(p);
    p = pod_load(rig.cri, rig.cri->root_fd, id, &ready, &same_boot, &e);
    assert_false(ready);
    pod_free(p);
}

static void a_missing_pod_record_is_not_found(void **state) {
    (void)state;
    struct err e = {0};
    assert_null(load("absent", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void save_raw(const Gridlet__Record__Pod *r, const char *folder) {
    char bytes[1024];
    size_t n = gridlet__record__pod__get_packed_size(r);
    assert_true(n <= sizeof bytes);
    (void)gridlet__record__pod__pack(r, (uint8_t *)bytes);
    AUTO_FREE char *path = record_path("pods", folder);
    rig_write(path, RECORD_FILE, str_make(bytes, n));
}

static void a_pod_record_of_another_version_name_or_without_metadata_is_corrupt(void **state) {
    (void)state;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Gridlet__Record__Pod good = GRIDLET__RECORD__POD__INIT;
    config.metadata = &metadata;
    good.version = 1;
    good.id = (char *)(uintptr_t) "x1";
    good.config = &config;
    Gridlet__Record__Pod bad[3] = {good, good, good};
    bad[0].version = 2;
    bad[1].id = (char *)(uintptr_t) "x2";
    bad[2].config = NULL;
    struct err e = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        save_raw(&bad[i], "x1");
        assert_null(load("x1", &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
    save_raw(&good, "x1");
    struct pod *p = load("x1", &e);
    assert_non_null(p);
    pod_free(p);
}

static void a_pod_record_cut_anywhere_is_corrupt_or_whole_never_more(void **state) {
    (void)state;
    struct err e = {0};
    struct pod *p = rig_pod("podcut", POD_READY);
    AUTO_FREE char *id = xstrdup(p->id);
    AUTO_FREE char *folder = record_path("pods", id);
    AUTO(buf_done) struct buf whole = BUF(RECORD_BYTES_MAX);
    AUTO_FREE char *file = xasprintf("%s/" RECORD_FILE, folder);
    pod_free(p);
    assert_int_equal(file_read_all(AT_FDCWD, file, RECORD_BYTES_MAX, &whole), 0);
    for (size_t n = 0; n < whole.n; n++) {
        rig_write(folder, RECORD_FILE, str_make(whole.p, n));
        p = load(id, &e);
        if (p)
            pod_free(p); /* a cut between two fields is a message */
        else
            assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

/* ---- containers ---- */

static void a_container_record_is_loaded_as_it_was_saved(void **state) {
    (void)state;
    struct err e = {0};
    const struct container *k = rig_container(rig_pod("podbbb", POD_READY), "conaaa");
    Gridlet__Record__Container *r = container_record_load(rig.cri, k->record->id, &e);
    assert_non_null(r);
    assert_string_equal(r->pod_id, k->pod->id);
    assert_string_equal(r->config->metadata->name, "conaaa");
    assert_int_equal(r->created_at_ns, 43);
    gridlet__record__container__free_unpacked(r, NULL);
}

static void a_bad_container_record_is_told_from_a_missing_one(void **state) {
    (void)state;
    struct err e = {0};
    AUTO_FREE char *folder = record_path("containers", "bad");
    assert_null(container_record_load(rig.cri, "bad", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    rig_write(folder, RECORD_FILE, STR("\x08\x01")); /* version 1 and nothing else */
    assert_null(container_record_load(rig.cri, "bad", &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    rig_write(folder, RECORD_FILE, STR("\xff"));
    assert_null(container_record_load(rig.cri, "bad", &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
}

/* ---- exit.json ---- */

static int load_exit(struct str text, struct container_exit *out, struct err *e) {
    rig_write("/tmp/exit", EXIT_FILE, text);
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, "/tmp/exit");
    return container_exit_load(dir, out, e);
}

static void an_end_is_loaded_as_it_was_saved(void **state) {
    (void)state;
    struct err e = {0};
    struct container_exit x = {.code = 137,
                               .started_at_ns = 5,
                               .finished_at_ns = INT64_MAX,
                               .reason = "OOMKilled",
                               .message = "say \"it\"\n\x01"};
    struct container_exit y;
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, "/tmp/exit", 0755);
    assert_int_equal(container_exit_save(dir, &x, &e), 0);
    assert_int_equal(container_exit_load(dir, &y, &e), 0);
    assert_int_equal(y.code, 137);
    assert_int_equal(y.started_at_ns, 5);
    assert_int_equal(y.finished_at_ns, INT64_MAX);
    assert_string_equal(y.reason, x.reason);
    assert_string_equal(y.message, x.message);
}

static void an_end_that_cannot_be_read_leaves_the_output_alone(void **state) {
    (void)state;
    static const struct str bad[] = {STR(""),
                                     STR("{"),
                                     STR("[]"),
                                     STR("{}"),
                                     STR("{\"exit_code\":-1}"),
                                     STR("{\"exit_code\":\"7\"}"),
                                     STR("{\"exit_code\":7,\"reason\":3}"),
                                     STR("{\"exit_code\":7,\"started_at_ns\":1e99}"),
                                     STR("{\"exit_code\":7} {}")};
    struct err e = {0};
    struct container_exit x = {.code = 99};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(load_exit(bad[i], &x, &e), -1);
        assert_int_equal(x.code, 99);
    }
    assert_int_equal(load_exit(STR("{\"exit_code\":7}"), &x, &e), 0);
    assert_int_equal(x.code, 7);
    assert_string_equal(x.reason, "");
}

static void a_missing_end_is_not_found_and_a_huge_one_is_refused(void **state) {
    (void)state;
    struct err e = {0};
    struct container_exit x;
    static char huge[64 << 10];
    memset(huge, ' ', sizeof huge);
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, "/tmp/none", 0755);
    assert_int_equal(container_exit_load(dir, &x, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(load_exit(str_make(huge, sizeof huge), &x, &e), -1);
}

static void a_long_reason_and_message_are_cut(void **state) {
    (void)state;
    struct err e = {0};
    struct container_exit x;
    char text[1600];
    (void)snprintf(text, sizeof text, "{\"exit_code\":1,\"reason\":\"%0*d\",\"message\":\"%0*d\"}",
                   500, 0, 1000, 0);
    assert_int_equal(load_exit(str_of(text), &x, &e), 0);
    assert_int_equal(strlen(x.reason), sizeof x.reason - 1);
    assert_int_equal(strlen(x.message), sizeof x.message - 1);
}

#define ON_NODE(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NODE(a_pod_is_loaded_as_it_was_saved),
        ON_NODE(a_missing_pod_record_is_not_found),
        ON_NODE(a_pod_record_of_another_version_name_or_without_metadata_is_corrupt),
        ON_NODE(a_pod_record_cut_anywhere_is_corrupt_or_whole_never_more),
        ON_NODE(a_container_record_is_loaded_as_it_was_saved),
        ON_NODE(a_bad_container_record_is_told_from_a_missing_one),
        cmocka_unit_test(an_end_is_loaded_as_it_was_saved),
        cmocka_unit_test(an_end_that_cannot_be_read_leaves_the_output_alone),
        cmocka_unit_test(a_missing_end_is_not_found_and_a_huge_one_is_refused),
        cmocka_unit_test(a_long_reason_and_message_are_cut),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
