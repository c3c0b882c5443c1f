/* SPDX-License-Identifier: Apache-2.0 — xml_out_test.c */
#include "s3gw/xml_out.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_document_is_written_as_nested(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(4096);
    struct xml_out w = XML_OUT(&b);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, "List", XML_OUT_S3);
    xml_out_u64(&w, "Size", UINT64_MAX);
    xml_out_bool(&w, "Truncated", false);
    xml_out_c(&w, "Empty", NULL);
    xml_out_open_with(&w, "Grantee", "type", STR("a\"b\n"));
    xml_out_text(&w, STR("x"));
    xml_out_close(&w);
    xml_out_close(&w);
    assert_int_equal(xml_out_end(&w), 0);
    assert_string_equal(buf_c(&b),
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<List xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                        "<Size>18446744073709551615</Size><Truncated>false</Truncated>"
                        "<Empty></Empty><Grantee type=\"a&quot;b&#10;\">x</Grantee></List>");
}

static void any_bytes_become_text_that_parsers_read(void **state) {
    (void)state;
    static const struct {
        struct str in;
        const char *out;
    } rows[] = {
        {{"a<b>&\"'", 7}, "a&lt;b&gt;&amp;&quot;'"},
        {{"\r\n\t", 3}, "&#13;&#10;&#9;"},
        {{"\0\1\x1f\x7f", 4}, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\x7f"},
        {{"\xC3\xA9 \xF0\x9F\x98\x80", 7}, "\xC3\xA9 \xF0\x9F\x98\x80"},
        {{"a\xC3", 2}, "a\xEF\xBF\xBD"},
        {{"\xED\xA0\x80z", 4}, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"},
        {{"\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBF\xBD", 9}, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {{"", 0}, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(buf_done) struct buf b = BUF(4096);
        struct xml_out w = XML_OUT(&b);
        xml_out_open(&w, "K");
        xml_out_text(&w, rows[i].in);
        xml_out_close(&w);
        assert_int_equal(xml_out_end(&w), 0);
        AUTO_FREE char *want = xasprintf("<K>%s</K>", rows[i].out);
        assert_string_equal(buf_c(&b), want);
    }
}

static void a_buffer_that_is_too_small_is_told_at_the_end(void **state) {
    (void)state;
    AUTO(buf_done) struct buf b = BUF(20);
    struct xml_out w = XML_OUT(&b);
    xml_out_open(&w, "Root");
    xml_out_str(&w, "Key", STR("0123456789"));
    xml_out_close(&w);
    assert_int_equal(xml_out_end(&w), -ENOSPC);
    assert_true(b.n <= 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_written_as_nested),
        cmocka_unit_test(any_bytes_become_text_that_parsers_read),
        cmocka_unit_test(a_buffer_that_is_too_small_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
