/* SPDX-License-Identifier: Apache-2.0 — grpc_status_test.c: error texts on the wire, kinds as
 * codes. */
#include "base/grpc_status.h"

#include "base/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_not_plain_ascii_is_percent_encoded(void **state) {
    (void)state;
    char out[GRPC_STATUS_WIRE_BYTES];
    size_t n = grpc_status_encode(STR("image 'x': 100%\n\xc3\xa9\x7f~"), out);
    assert_string_equal(out, "image 'x': 100%25%0A%C3%A9%7F~");
    assert_int_equal(n, strlen(out));
    assert_int_equal(grpc_status_encode(STR_NONE, out), 0);
    assert_string_equal(out, "");
}

static void a_long_text_is_cut_between_characters(void **state) {
    (void)state;
    char text[GRPC_STATUS_TEXT_BYTES_MAX + 8];
    char out[GRPC_STATUS_WIRE_BYTES];
    memset(text, '\n', sizeof text);
    assert_int_equal(grpc_status_encode(str_make(text, sizeof text), out),
                     3 * GRPC_STATUS_TEXT_BYTES_MAX);
    memset(text, 'a', sizeof text);
    /* A two-byte character across the limit is left out whole. */
    memcpy(text + GRPC_STATUS_TEXT_BYTES_MAX - 1, "\xc3\xa9", 2);
    assert_int_equal(grpc_status_encode(str_make(text, sizeof text), out),
                     GRPC_STATUS_TEXT_BYTES_MAX - 1);
    memset(text, 0x80, sizeof text); /* not UTF-8 at all */
    assert_int_equal(grpc_status_encode(str_make(text, sizeof text), out),
                     3 * (GRPC_STATUS_TEXT_BYTES_MAX - 3));
}

static void every_kind_has_its_code(void **state) {
    (void)state;
    assert_int_equal(grpc_code_of(ERR_NONE), GRPC_OK);
    assert_int_equal(grpc_code_of(ERR_INVALID), GRPC_INVALID_ARGUMENT);
    assert_int_equal(grpc_code_of(ERR_NOT_FOUND), GRPC_NOT_FOUND);
    assert_int_equal(grpc_code_of(ERR_EXISTS), GRPC_ALREADY_EXISTS);
    assert_int_equal(grpc_code_of(ERR_DENIED), GRPC_PERMISSION_DENIED);
    assert_int_equal(grpc_code_of(ERR_BUSY), GRPC_FAILED_PRECONDITION);
    assert_int_equal(grpc_code_of(ERR_LIMIT), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_code_of(ERR_TIMEOUT), GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(grpc_code_of(ERR_CANCELLED), GRPC_CANCELLED);
    assert_int_equal(grpc_code_of(ERR_CORRUPT), GRPC_DATA_LOSS);
    assert_int_equal(grpc_code_of(ERR_UNSUPPORTED), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_code_of(ERR_IO), GRPC_UNKNOWN);
    assert_int_equal(grpc_code_of(ERR_INTERNAL), GRPC_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_plain_ascii_is_percent_encoded),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(every_kind_has_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
