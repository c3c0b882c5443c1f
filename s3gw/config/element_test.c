/* SPDX-License-Identifier: Apache-2.0 — element_test.c */
#include "s3gw/config/element.h"

#include "s3gw/config/config_expect_rig.h"

static const struct element_rule RULES[] = {{"One", 1, 1, true},
                                            {"Many", 0, ELEMENT_ANY_COUNT, false},
                                            {"Two", 0, 2, true},
                                            {NULL, 0, 0, false}};
static const struct xml_limits LIMITS = {.bytes_max = 200, .elements_max = 6, .text_max = 10};
static const struct element_schema ROOT = {"Root", RULES, &LIMITS};

static int parse(struct arena *a, const char *in, const struct element **out) {
    struct s3_error x = {0};
    int r = element_parse(a, str_of(in), &ROOT, out, &x);
    if (r < 0) {
        assert_int_equal(x.code, S3_MALFORMED_XML);
        assert_true(x.message[0] != '\0');
    }
    return r;
}

static void a_document_becomes_a_tree(void **state) {
    (void)state;
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    const struct element *root = NULL;
    assert_int_equal(parse(&a,
                           "<Root xmlns='urn:x'> <Two>b</Two><Many x:type='T' xmlns:x='urn:y'/>"
                           "<One>7</One><Two/></Root>",
                           &root),
                     0);
    assert_true(str_eq(element_text(root, "One"), STR("7")));
    assert_int_equal(element_count(root, "Two"), 2);
    assert_true(element_text(root, "Two").n == 1);
    const struct element *second = element_after(element_child(root, "Two"), "Two");
    assert_true(second && second->text.p && second->text.n == 0);
    assert_true(str_eq(element_child(root, "Many")->type, STR("T")));
    assert_null(element_child(root, "Many")->first);
    assert_null(element_text(root, "Three").p);
}

static void what_no_rule_allows_is_malformed(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "<Other><One/></Other>",
        "<Root/>",
        "<Root><One/><One/></Root>",
        "<Root><One><X/></One></Root>",
        "<Root><One/><Many>text</Many></Root>",
        "<Root><One/><Three/></Root>",
        "<Root><One/><Two/><Two/><Two/></Root>",
        "<Root>text</Root>",
        "<!DOCTYPE Root><Root><One/></Root>",
        "<Root><One>12345678901</One></Root>",
        "<Root><One/><Many/><Many/><Many/><Many/><Many/></Root>",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
        const struct element *root = NULL;
        assert_int_equal(parse(&a, rows[i], &root), -1);
        assert_null(root);
    }
}

static void values_are_numbers_flags_and_words(void **state) {
    (void)state;
    static const char *const WORDS[] = {"a", "TRUE", NULL};
    AUTO(arena_done) struct arena a = ARENA(CONFIG_ARENA_BYTES);
    struct s3_error x = {0};
    const struct element *root = NULL;
    uint64_t n = 5;
    bool flag = false;
    assert_int_equal(parse(&a, "<Root><One>TRUE</One></Root>", &root), 0);
    assert_int_equal(element_u64(root, "Two", &n, &x), 0);
    assert_int_equal(element_u64(root, "One", &n, &x), -1);
    assert_int_equal(n, 5);
    assert_int_equal(element_bool(root, "One", &flag, &x), 1);
    assert_true(flag);
    assert_int_equal(element_choice(root, "One", WORDS, &x), 1);
    assert_int_equal(element_choice(root, "Two", WORDS, &x), -1);
    assert_int_equal(parse(&a, "<Root><One>7</One></Root>", &root), 0);
    assert_int_equal(element_u64(root, "One", &n, &x), 1);
    assert_int_equal(n, 7);
    assert_int_equal(element_bool(root, "One", &flag, &x), -1);
    assert_int_equal(element_choice(root, "One", WORDS, &x), -1);
}

static void an_arena_that_is_too_small_is_an_error(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 200; bytes += 16) {
        AUTO(arena_done) struct arena a = ARENA(bytes);
        const struct element *root = NULL;
        assert_int_equal(parse(&a, "<Root><One>7</One><Two>8</Two></Root>", &root), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree),
        cmocka_unit_test(what_no_rule_allows_is_malformed),
        cmocka_unit_test(values_are_numbers_flags_and_words),
        cmocka_unit_test(an_arena_that_is_too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
