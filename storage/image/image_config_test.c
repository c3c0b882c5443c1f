/* SPDX-License-Identifier: Apache-2.0 — image_config_test.c */
#include "storage/image/image_config.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum err_kind refusal(struct str json) {
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    struct image_config c;
    struct err e = {0};
    return image_config_parse(&a, json, &c, &e) < 0 ? e.kind : ERR_NONE;
}

static void every_member_is_read(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(8 << 20);
    struct image_config c;
    struct err e = {0};
    int r = image_config_parse(
        &a,
        STR("{\"architecture\":\"amd64\",\"config\":{\"User\":\"www-data:users\","
            "\"Env\":[\"PATH=/bin\",\"E=\"],\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b c\"],"
            "\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGQUIT\",\"Volumes\":{\"/v1\":{},\"/v2\":{}},"
            "\"Labels\":{\"x\":\"y\"},\"ExposedPorts\":{\"80/tcp\":{}}},\"rootfs\":{}}"),
        &c, &e);
    if (r < 0) fail_msg("%s", e.msg);
    assert_true(str_eq(c.user, STR("www-data:users")));
    assert_true(str_eq(c.working_dir, STR("/w")));
    assert_true(str_eq(c.stop_signal, STR("SIGQUIT")));
    assert_int_equal(c.env_count, 2);
    assert_true(str_eq(c.env[1], STR("E=")));
    assert_int_equal(c.entrypoint_count, 1);
    assert_int_equal(c.cmd_count, 2);
    assert_true(str_eq(c.cmd[1], STR("b c")));
    assert_int_equal(c.volume_count, 2);
    assert_true(str_eq(c.volumes[0], STR("/v1")));
}

static void absent_and_null_members_are_empty(void **state) {
    (void)state;
    static const char *const documents[] = {
        "{}", "{\"config\":null}", "{\"config\":{}}",
        "{\"config\":{\"Env\":null,\"Cmd\":null,\"Volumes\":null,\"User\":\"\"}}"};
    for (size_t i = 0; i < COUNT(documents); i++) {
        AUTO(arena_done) struct arena a = ARENA(8 << 20);
        struct image_config c;
        struct err e = {0};
        assert_int_equal(image_config_parse(&a, str_of(documents[i]), &c, &e), 0);
        assert_int_equal(c.env_count + c.cmd_count + c.entrypoint_count + c.volume_count, 0);
        assert_int_equal(c.user.n, 0);
        assert_non_null(c.user.p);
    }
}

static void members_of_a_wrong_type_are_refused(void **state) {
    (void)state;
    assert_int_equal(refusal(STR("[]")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":[]}")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":{\"Env\":\"A=1\"}}")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":{\"Env\":[1]}}")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":{\"User\":0}}")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":{\"Volumes\":[\"/v\"]}}")), ERR_INVALID);
    assert_int_equal(refusal(STR("{\"config\":")), ERR_INVALID);
    assert_int_equal(refusal(STR("")), ERR_INVALID);
}

static void lists_have_a_limit(void **state) {
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        AUTO(buf_done) struct buf b = BUF(IMAGE_CONFIG_BYTES_MAX);
        assert_int_equal(buf_str(&b, STR("{\"config\":{\"Cmd\":[\"x\"")), 0);
        for (unsigned i = 1; i < IMAGE_CONFIG_ITEMS_MAX + extra; i++)
            assert_int_equal(buf_str(&b, STR(",\"x\"")), 0);
        assert_int_equal(buf_str(&b, STR("]}}")), 0);
        assert_int_equal(refusal(buf_view(&b)), extra ? ERR_LIMIT : ERR_NONE);
    }
}

static void a_document_over_the_limit_is_refused(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(2 * IMAGE_CONFIG_BYTES_MAX);
    assert_int_equal(buf_str(&b, STR("{")), 0);
    for (unsigned i = 0; i < IMAGE_CONFIG_BYTES_MAX; i++)
        assert_int_equal(buf_str(&b, STR(" ")), 0);
    assert_int_equal(buf_str(&b, STR("}")), 0);
    assert_int_equal(refusal(buf_view(&b)), ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_is_read),
        cmocka_unit_test(absent_and_null_members_are_empty),
        cmocka_unit_test(members_of_a_wrong_type_are_refused),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(a_document_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
