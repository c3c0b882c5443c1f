/* SPDX-License-Identifier: Apache-2.0 — listing_test.c: what a name stands for. */
#include "agent/commands/listing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RUNNING RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING
#define EXITED  RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED

enum { THINGS_MAX = 8 };

struct fixture {
    struct listing l;
    Runtime__V1__ListPodSandboxResponse pods;
    Runtime__V1__ListContainersResponse containers;
    Runtime__V1__PodSandbox pod[THINGS_MAX], *pod_list[THINGS_MAX];
    Runtime__V1__PodSandboxMetadata pod_meta[THINGS_MAX];
    Runtime__V1__Container container[THINGS_MAX], *container_list[THINGS_MAX];
    Runtime__V1__ContainerMetadata container_meta[THINGS_MAX];
};

static void add_pod(struct fixture *f, const char *id, const char *name) {
    size_t i = f->pods.n_items++;
    runtime__v1__pod_sandbox__init(&f->pod[i]);
    runtime__v1__pod_sandbox_metadata__init(&f->pod_meta[i]);
    f->pod_meta[i].name = (char *)(uintptr_t)name;
    f->pod[i].id = (char *)(uintptr_t)id;
    f->pod[i].metadata = &f->pod_meta[i];
    f->pod_list[i] = &f->pod[i];
}

static void add_container(struct fixture *f, const char *id, const char *pod, const char *name,
                          Runtime__V1__ContainerState state) {
    size_t i = f->containers.n_containers++;
    runtime__v1__container__init(&f->container[i]);
    runtime__v1__container_metadata__init(&f->container_meta[i]);
    f->container_meta[i].name = (char *)(uintptr_t)name;
    f->container[i].id = (char *)(uintptr_t)id;
    f->container[i].pod_sandbox_id = (char *)(uintptr_t)pod;
    f->container[i].metadata = &f->container_meta[i];
    f->container[i].state = state;
    f->container_list[i] = &f->container[i];
}

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    runtime__v1__list_pod_sandbox_response__init(&f->pods);
    runtime__v1__list_containers_response__init(&f->containers);
    f->pods.items = f->pod_list;
    f->containers.containers = f->container_list;
    f->l.pods = &f->pods;
    f->l.containers = &f->containers;
    add_pod(f, "aaaa1111", "web");
    add_pod(f, "bbbb1111", "multi");
    add_pod(f, "cccc1111", "empty");
    add_container(f, "aaaa2222", "aaaa1111", "web", RUNNING);
    add_container(f, "bbbb2222", "bbbb1111", "one", RUNNING);
    add_container(f, "bbbb3333", "bbbb1111", "two", EXITED);
    add_container(f, "dddd2222", "cccc1111", "twin", EXITED);
    add_container(f, "dddd3333", "bbbb1111", "twin", RUNNING);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

static const char *found(struct fixture *f, const char *ref) {
    static struct err e;
    struct target t;
    if (listing_find(&f->l, str_of(ref), &t, &e) < 0) return err_kind_name(e.kind);
    return t.container ? t.container->id : t.pod->id;
}

static void ids_names_and_prefixes_are_found(void **state) {
    struct fixture *f = *state;
    assert_string_equal(found(f, "aaaa2222"), "aaaa2222");
    assert_string_equal(found(f, "aaaa1111"), "aaaa1111");
    assert_string_equal(found(f, "web"), "aaaa2222"); /* the container rather than its pod */
    assert_string_equal(found(f, "multi"), "bbbb1111");
    assert_string_equal(found(f, "bbbb1"), "bbbb1111");
    assert_string_equal(found(f, "bbbb3"), "bbbb3333");
    assert_string_equal(found(f, "nothing"), err_kind_name(ERR_NOT_FOUND));
    assert_string_equal(found(f, ""), err_kind_name(ERR_NOT_FOUND));
    assert_string_equal(found(f, "aa"), err_kind_name(ERR_NOT_FOUND)); /* too short a prefix */
}

static void of_several_with_one_name_the_running_one_is_meant(void **state) {
    struct fixture *f = *state;
    assert_string_equal(found(f, "twin"), "dddd3333");
    f->container[4].state = EXITED;
    assert_string_equal(found(f, "twin"), err_kind_name(ERR_INVALID));
    f->container[3].state = f->container[4].state = RUNNING;
    assert_string_equal(found(f, "twin"), err_kind_name(ERR_INVALID));
}

static void a_pod_stands_for_its_only_container(void **state) {
    struct fixture *f = *state;
    struct target t;
    struct err e = {0};
    assert_int_equal(listing_find_container(&f->l, STR("aaaa1111"), &t, &e), 0);
    assert_string_equal(t.container->id, "aaaa2222");
    assert_string_equal(t.pod->id, "aaaa1111");
    assert_int_equal(listing_find_container(&f->l, STR("empty"), &t, &e), 0);
    assert_string_equal(t.container->id, "dddd2222");
    assert_int_equal(listing_find_container(&f->l, STR("multi"), &t, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "3 containers"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(ids_names_and_prefixes_are_found),
        T(of_several_with_one_name_the_running_one_is_meant),
        T(a_pod_stands_for_its_only_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
