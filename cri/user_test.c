/* SPDX-License-Identifier: Apache-2.0 — user_test.c: users and groups by passwd and group files. */
#include "cri/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct str passwd = STR("root:x:0:0:root:/root:/bin/sh\n"
                                     "# a comment\n"
                                     "broken line\n"
                                     "app:x:1000:1001:The App:/home/app:/bin/sh\n"
                                     "1234:x:77:78::/odd:\n");
static const struct str group = STR("root:x:0:\n"
                                    "users:x:100:app,other\n"
                                    "wheel:x:10:root\n"
                                    "extra:x:50000:app\n");

static struct user_request request(void) {
    return (struct user_request){.passwd = passwd, .group = group};
}

static int resolve(const struct user_request *r, struct arena *a, struct user *out,
                   enum err_kind wanted) {
    struct err e = {0};
    int code = user_resolve(r, a, out, &e);
    assert_int_equal(e.kind, wanted);
    return code;
}

static void nobody_says_who_is_root_with_roots_groups(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    struct user_request r = request();
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 0);
    assert_true(str_eq(u.home, STR("/root")));
    assert_int_equal(u.group_count, 2);
    assert_int_equal(u.groups[1], 10);
}

static void an_image_without_files_still_has_root(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    struct user_request r = {.image_user = STR("1000")};
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 0);
    assert_true(str_eq(u.home, STR("/")));
}

static void a_number_brings_its_entrys_group_and_memberships(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    int64_t uid = 1000, gid = 5;
    struct user_request r = request();
    r.run_as_user = &uid;
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.gid, 1001);
    assert_int_equal(u.group_count, 3);
    r.run_as_group = &gid;
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.gid, 5);
    assert_int_equal(u.groups[0], 5);
    assert_int_equal(u.groups[2], 50000);
}

static void strict_leaves_the_images_groups_out(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    int64_t uid = 1000, supplemental[] = {60000, 1001, 60000};
    struct user_request r = request();
    r.run_as_user = &uid;
    r.supplemental = supplemental;
    r.supplemental_count = 3;
    r.strict = true;
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.group_count, 2);
    assert_int_equal(u.groups[0], 1001);
    assert_int_equal(u.groups[1], 60000);
}

static void names_are_looked_up(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    struct user_request r = request();
    r.image_user = STR("app:users");
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 100);
    r.image_user = STR("7:8");
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.uid, 7);
    assert_int_equal(u.gid, 8);
    r.run_as_username = STR("1234"); /* a name that looks like a number is a name first */
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    assert_int_equal(u.uid, 77);
    assert_int_equal(u.gid, 78);
}

static void unknown_names_are_named(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    struct err e = {0};
    struct user_request r = request();
    r.run_as_username = STR("ghost");
    assert_int_equal(user_resolve(&r, &a, &u, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "'ghost'"));
    r = request();
    r.image_user = STR("app:ghosts");
    assert_int_equal(user_resolve(&r, &a, &u, &e), -1);
    assert_non_null(strstr(e.msg, "'ghosts'"));
}

static void a_group_needs_a_user(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    int64_t gid = 5;
    struct user_request r = request();
    r.image_user = STR("app");
    r.run_as_group = &gid;
    assert_int_equal(resolve(&r, &a, &u, ERR_INVALID), -1);
}

static void ids_out_of_range_are_invalid(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    int64_t bad[] = {-1, (int64_t)USER_ID_MAX + 1}, good = USER_ID_MAX;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct user_request r = request();
        r.run_as_user = &bad[i];
        assert_int_equal(resolve(&r, &a, &u, ERR_INVALID), -1);
        r.run_as_user = &good;
        r.run_as_group = &bad[i];
        assert_int_equal(resolve(&r, &a, &u, ERR_INVALID), -1);
        r.run_as_group = &good;
        r.supplemental = &bad[i];
        r.supplemental_count = 1;
        assert_int_equal(resolve(&r, &a, &u, ERR_INVALID), -1);
    }
    struct user_request r = request();
    r.image_user = STR("2147483648");
    assert_int_equal(resolve(&r, &a, &u, ERR_INVALID), -1);
}

static void limits_are_kept(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct user u;
    struct user_request r = request();
    AUTO_FREE int64_t *many = xmalloc((USER_GROUPS_MAX + 1) * sizeof *many);
    for (int64_t i = 0; i <= USER_GROUPS_MAX; i++) many[i] = i;
    r.supplemental = many;
    r.supplemental_count = USER_GROUPS_MAX + 1;
    assert_int_equal(resolve(&r, &a, &u, ERR_LIMIT), -1);
    r.supplemental_count = USER_GROUPS_MAX - 8;
    assert_int_equal(resolve(&r, &a, &u, ERR_NONE), 0);
    r = request();
    r.passwd.n = USER_FILE_BYTES_MAX + 1;
    assert_int_equal(resolve(&r, &a, &u, ERR_LIMIT), -1);
    char name[USER_NAME_BYTES_MAX + 1];
    memset(name, 'x', sizeof name);
    r = request();
    r.run_as_username = str_make(name, sizeof name);
    assert_int_equal(resolve(&r, &a, &u, ERR_LIMIT), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_says_who_is_root_with_roots_groups),
        cmocka_unit_test(an_image_without_files_still_has_root),
        cmocka_unit_test(a_number_brings_its_entrys_group_and_memberships),
        cmocka_unit_test(strict_leaves_the_images_groups_out),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(unknown_names_are_named),
        cmocka_unit_test(a_group_needs_a_user),
        cmocka_unit_test(ids_out_of_range_are_invalid),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
