/* SPDX-License-Identifier: Apache-2.0 — idmap_test.c: finding by id and by what people type. */
#include "cri/idmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MANY 1000

static void things_are_found_by_id_and_by_a_unique_prefix(void **state) {
    (void)state;
    struct idmap m = {0};
    int first, second;
    idmap_add(&m, "abcd11", &first);
    idmap_add(&m, "abce22", &second);
    assert_ptr_equal(idmap_find(&m, STR("abcd11")), &first);
    assert_ptr_equal(idmap_find(&m, STR("abcd")), &first);
    assert_ptr_equal(idmap_find(&m, STR("abce2")), &second);
    idmap_done(&m);
}

static void an_ambiguous_prefix_finds_nothing(void **state) {
    (void)state;
    struct idmap m = {0};
    int thing;
    idmap_add(&m, "abcd11", &thing);
    idmap_add(&m, "abcd22", &thing);
    assert_null(idmap_find(&m, STR("abcd")));
    idmap_done(&m);
}

static void an_id_that_is_a_prefix_of_another_is_itself(void **state) {
    (void)state;
    struct idmap m = {0};
    int shorter, longer;
    idmap_add(&m, "abcd", &shorter);
    idmap_add(&m, "abcd22", &longer);
    assert_ptr_equal(idmap_find(&m, STR("abcd")), &shorter);
    assert_ptr_equal(idmap_find(&m, STR("abcd2")), &longer);
    idmap_done(&m);
}

static void short_empty_and_unknown_words_find_nothing(void **state) {
    (void)state;
    struct idmap m = {0};
    int thing;
    assert_null(idmap_find(&m, STR("abcd")));
    idmap_add(&m, "abcd11", &thing);
    assert_null(idmap_find(&m, STR("")));
    assert_null(idmap_find(&m, STR_NONE));
    assert_null(idmap_find(&m, STR("ab"))); /* below IDMAP_PREFIX_MIN */
    assert_null(idmap_find(&m, STR("abcd112")));
    assert_null(idmap_find(&m, STR("zzzz")));
    idmap_done(&m);
}

static void many_stay_sorted_through_additions_and_removals(void **state) {
    (void)state;
    static char ids[MANY][16];
    struct idmap m = {0};
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%08zx", i * 7919 % MANY);
        idmap_add(&m, ids[i], ids[i]);
    }
    assert_int_equal(m.count, MANY);
    for (size_t i = 0; i < MANY; i += 2) idmap_remove(&m, ids[i]);
    idmap_remove(&m, "absent");
    assert_int_equal(m.count, MANY / 2);
    for (size_t i = 1; i < m.count; i++)
        assert_true(strcmp(m.entries[i - 1].id, m.entries[i].id) < 0);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(idmap_find(&m, str_of(ids[i])), i % 2 ? ids[i] : NULL);
    idmap_done(&m);
    assert_int_equal(m.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_found_by_id_and_by_a_unique_prefix),
        cmocka_unit_test(an_ambiguous_prefix_finds_nothing),
        cmocka_unit_test(an_id_that_is_a_prefix_of_another_is_itself),
        cmocka_unit_test(short_empty_and_unknown_words_find_nothing),
        cmocka_unit_test(many_stay_sorted_through_additions_and_removals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
