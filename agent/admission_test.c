/* SPDX-License-Identifier: Apache-2.0 — admission_test.c */
#include "agent/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct admission_request container(const char *id, uint64_t memory, uint64_t cpu) {
    return (struct admission_request){
        .id = str_of(id), .pod_id = STR("pod"), .memory_bytes = memory, .cpu_milli = cpu};
}

static void grants_are_summed_replaced_and_given_back(void **state) {
    (void)state;
    struct node_contract *c = node_contract_new();
    struct admission a = node_contract_admission(c);
    struct admission_usage u;
    struct err e = {0};
    struct admission_request pod = {.id = STR("pod"), .pod_id = STR("pod"), .memory_bytes = 99};
    struct admission_request one = container("a", 100, 500);
    struct admission_request two = container("b", 0, 250);
    assert_int_equal(a.admit(a.self, &pod, &e), 0);
    assert_int_equal(a.admit(a.self, &one, &e), 0);
    assert_int_equal(a.admit(a.self, &one, &e), 0);
    assert_int_equal(a.admit(a.self, &two, &e), 0);
    node_contract_usage(c, &u);
    assert_int_equal(u.pods, 1);
    assert_int_equal(u.containers, 2);
    assert_int_equal(u.unlimited, 1);
    assert_int_equal(u.promised_memory_bytes, 100);
    assert_int_equal(u.promised_cpu_milli, 750);
    assert_true(u.memory_bytes > 0 && u.cpu_milli >= 1000);
    one.memory_bytes = 40;
    assert_int_equal(a.admit(a.self, &one, &e), 0);
    a.release(a.self, STR("b"));
    a.release(a.self, STR("b"));
    a.release(a.self, STR("unknown"));
    node_contract_usage(c, &u);
    assert_int_equal(u.containers, 1);
    assert_int_equal(u.promised_memory_bytes, 40);
    node_contract_free(c);
}

static void limits_larger_than_the_node_are_granted(void **state) {
    (void)state;
    struct node_contract *c = node_contract_new();
    struct admission a = node_contract_admission(c);
    struct admission_usage u;
    struct err e = {0};
    struct admission_request huge = container("a", UINT64_MAX, UINT64_MAX);
    struct admission_request more = container("b", 7, 7);
    assert_int_equal(a.admit(a.self, &huge, &e), 0);
    assert_int_equal(a.admit(a.self, &more, &e), 0);
    node_contract_usage(c, &u);
    assert_true(u.promised_memory_bytes == UINT64_MAX);
    node_contract_free(c);
}

static void an_unknown_contract_and_a_bad_id_are_refused(void **state) {
    (void)state;
    struct node_contract *c = node_contract_new();
    struct admission a = node_contract_admission(c);
    struct err e = {0};
    char id[130];
    struct admission_request r = container("a", 0, 0);
    r.contract = STR("gold");
    assert_int_equal(a.admit(a.self, &r, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    r.contract = STR("node");
    assert_int_equal(a.admit(a.self, &r, &e), 0);
    memset(id, 'x', sizeof id);
    r.id = str_make(id, 129);
    assert_int_equal(a.admit(a.self, &r, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    r.id = STR("");
    assert_int_equal(a.admit(a.self, &r, &e), -1);
    node_contract_free(c);
}

static void the_number_of_grants_is_limited(void **state) {
    (void)state;
    struct node_contract *c = node_contract_new();
    struct admission a = node_contract_admission(c);
    struct err e = {0};
    char id[16];
    struct admission_usage u = {0};
    for (int i = 0; i <= ADMISSION_GRANTS_MAX; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        struct admission_request r = container(id, 1, 1);
        assert_int_equal(a.admit(a.self, &r, &e), i < ADMISSION_GRANTS_MAX ? 0 : -1);
    }
    assert_int_equal(e.kind, ERR_LIMIT);
    node_contract_usage(c, &u);
    assert_int_equal(u.containers, ADMISSION_GRANTS_MAX);
    node_contract_free(c);
}

static void storage_is_promised_only_once(void **state) {
    (void)state;
    struct node_contract *c = node_contract_new();
    struct admission a = node_contract_admission(c);
    struct admission_usage u;
    struct err e = {0};
    struct admission_request one = {.id = STR("zdb/a"), .is_storage = true, .storage_bytes = 600};
    struct admission_request two = {.id = STR("zdb/b"), .is_storage = true, .storage_bytes = 401};
    struct admission_request any = {.id = STR("zdb/c"), .is_storage = true};
    node_contract_set_storage(c, 1000);
    assert_int_equal(a.admit(a.self, &one, &e), 0);
    assert_int_equal(a.admit(a.self, &two, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.msg, "has 400 bytes of storage left, 401 are asked for"));
    two.storage_bytes = 400;
    assert_int_equal(a.admit(a.self, &two, &e), 0);
    assert_int_equal(a.admit(a.self, &any, &e), 0);
    one.storage_bytes = 601; /* its own 600 count as free for it, and no more */
    assert_int_equal(a.admit(a.self, &one, &e), -1);
    node_contract_usage(c, &u);
    assert_int_equal(u.promised_storage_bytes, 1000);
    assert_int_equal(u.namespaces, 3);
    assert_int_equal(u.namespaces_unlimited, 1);
    assert_int_equal(u.containers + u.pods, 0);
    a.release(a.self, STR("zdb/b"));
    assert_int_equal(a.admit(a.self, &one, &e), 0);
    node_contract_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_summed_replaced_and_given_back),
        cmocka_unit_test(storage_is_promised_only_once),
        cmocka_unit_test(limits_larger_than_the_node_are_granted),
        cmocka_unit_test(an_unknown_contract_and_a_bad_id_are_refused),
        cmocka_unit_test(the_number_of_grants_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
