/* SPDX-License-Identifier: Apache-2.0 — err_test.c: texts, kinds and contexts of errors. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void an_error_has_kind_and_text(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(err_set(&e, ERR_LIMIT, "%d of %d", 3, 2), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(e.sys, 0);
    assert_string_equal(e.msg, "3 of 2");
    err_clear(&e);
    assert_int_equal(e.kind, ERR_NONE);
    assert_string_equal(e.msg, "");
}

static void a_system_error_names_its_cause_and_gets_its_kind(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(err_sys(&e, ENOENT, "open '%s'", "/x"), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(e.sys, ENOENT);
    assert_string_equal(e.msg, "open '/x': No such file or directory");
}

static void context_is_put_in_front(void **state) {
    (void)state;
    struct err e;
    (void)err_sys(&e, EACCES, "open '/x'");
    assert_int_equal(err_in(&e, "image '%s'", "i"), -1);
    assert_int_equal(e.kind, ERR_DENIED);
    assert_int_equal(e.sys, EACCES);
    assert_string_equal(e.msg, "image 'i': open '/x': Permission denied");
}

static void what_is_too_long_is_cut_and_ended(void **state) {
    (void)state;
    char text[2 * ERR_MSG_BYTES_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct err e;
    (void)err_set(&e, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES_MAX - 1);
    (void)err_in(&e, "context");
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES_MAX - 1);
    assert_memory_equal(e.msg, "context: xxx", 12);
    (void)err_in(&e, "%s", text);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES_MAX - 1);
    (void)err_sys(&e, EIO, "%s", text);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES_MAX - 1);
}

static void errno_values_have_kinds_and_kinds_have_names(void **state) {
    (void)state;
    const struct {
        int sys;
        enum err_kind kind;
    } table[] = {
        {0, ERR_NONE},
        {ESRCH, ERR_NOT_FOUND},
        {EEXIST, ERR_EXISTS},
        {EROFS, ERR_DENIED},
        {EAGAIN, ERR_BUSY},
        {ENOSPC, ERR_LIMIT},
        {ETIMEDOUT, ERR_TIMEOUT},
        {ECANCELED, ERR_CANCELLED},
        {ENOTDIR, ERR_INVALID},
        {ENOSYS, ERR_UNSUPPORTED},
        {EIO, ERR_IO},
        {ECONNRESET, ERR_IO},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(err_kind_of(table[i].sys), table[i].kind);
    for (int a = 0; a < ERR_KINDS; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(err_kind_name((enum err_kind)a),
                                    err_kind_name((enum err_kind)b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_kind_and_text),
        cmocka_unit_test(a_system_error_names_its_cause_and_gets_its_kind),
        cmocka_unit_test(context_is_put_in_front),
        cmocka_unit_test(what_is_too_long_is_cut_and_ended),
        cmocka_unit_test(errno_values_have_kinds_and_kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
