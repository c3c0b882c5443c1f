/* SPDX-License-Identifier: Apache-2.0 — base64_test.c; vectors: RFC 4648 section 10. */
#include "base/base64.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(enum base64_kind kind, struct str bytes, const char *text) {
    char out[64];
    size_t n = 0;
    assert_int_equal(base64_encode(kind, bytes, out), strlen(text));
    assert_string_equal(out, text);
    assert_int_equal(base64_decode(kind, str_of(text), out, &n), 0);
    assert_int_equal(n, bytes.n);
    if (n) assert_memory_equal(out, bytes.p, n);
}

static void the_rfc_vectors_hold_both_ways(void **state) {
    (void)state;
    expect(BASE64_STD, STR(""), "");
    expect(BASE64_STD, STR("f"), "Zg==");
    expect(BASE64_STD, STR("fo"), "Zm8=");
    expect(BASE64_STD, STR("foo"), "Zm9v");
    expect(BASE64_STD, STR("foob"), "Zm9vYg==");
    expect(BASE64_STD, STR("fooba"), "Zm9vYmE=");
    expect(BASE64_STD, STR("foobar"), "Zm9vYmFy");
    expect(BASE64_STD, STR("\xfb\xff\x00"), "+/8A");
    expect(BASE64_URL, STR("\xfb\xff\x00"), "-_8A");
    expect(BASE64_URL, STR("fo"), "Zm8");
    expect(BASE64_URL, STR("f"), "Zg");
}

static void every_other_spelling_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg===", "Zh==", "Zm9=", "Zm9v\n",
                                      " Zg=", "Z===", "====", "=",     "Z=g=", "-_8A", "Zm9v===="};
    char out[16];
    size_t n = 77;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(base64_decode(BASE64_STD, str_of(bad[i]), out, &n), -EINVAL);
    assert_int_equal(base64_decode(BASE64_URL, STR("+/8A"), out, &n), -EINVAL);
    assert_int_equal(base64_decode(BASE64_URL, STR("Z"), out, &n), -EINVAL);
    assert_int_equal(n, 77);
    assert_int_equal(base64_decode(BASE64_URL, STR("Zg=="), out, &n), 0);
    assert_int_equal(n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_vectors_hold_both_ways),
        cmocka_unit_test(every_other_spelling_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
