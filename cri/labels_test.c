/* SPDX-License-Identifier: Apache-2.0 — labels_test.c: selectors of list calls. */
#include "cri/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct label app = {.key = (char[]){"app"}, .value = (char[]){"x"}},
                    tier = {.key = (char[]){"tier"}, .value = (char[]){"front"}},
                    other = {.key = (char[]){"app"}, .value = (char[]){"y"}},
                    empty = {.key = (char[]){"app"}, .value = (char[]){""}};

static bool matches(struct label **have, size_t have_count, struct label **wanted,
                    size_t wanted_count) {
    struct labels h = {have, have_count};
    struct labels w = {wanted, wanted_count};
    return labels_match(&h, &w);
}

static void an_empty_selector_matches_everything(void **state) {
    (void)state;
    assert_true(matches(NULL, 0, NULL, 0));
    assert_true(matches((struct label *[]){&app}, 1, NULL, 0));
}

static void all_wanted_labels_must_be_there_with_their_values(void **state) {
    (void)state;
    struct label *both[] = {&app, &tier};
    assert_true(matches(both, 2, (struct label *[]){&tier}, 1));
    assert_true(matches(both, 2, (struct label *[]){&tier, &app}, 2));
    assert_false(matches(both, 2, (struct label *[]){&other}, 1));
    assert_false(matches(both, 2, (struct label *[]){&tier, &other}, 2));
    assert_false(matches((struct label *[]){&app}, 1, both, 2));
    assert_false(matches(NULL, 0, both, 2));
}

static void an_empty_value_is_a_value(void **state) {
    (void)state;
    assert_false(matches((struct label *[]){&app}, 1, (struct label *[]){&empty}, 1));
    assert_true(matches((struct label *[]){&empty}, 1, (struct label *[]){&empty}, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_selector_matches_everything),
        cmocka_unit_test(all_wanted_labels_must_be_there_with_their_values),
        cmocka_unit_test(an_empty_value_is_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
