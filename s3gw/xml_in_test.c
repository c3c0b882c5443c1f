/* SPDX-License-Identifier: Apache-2.0 — xml_in_test.c */
#include "s3gw/xml_in.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LOG_MAX (1 << 20)

static int log_open(void *user, const struct xml_at *at, struct err *e) {
    (void)e;
    struct str type = xml_attribute(at, "type");
    assert_int_equal(
        buf_fmt(user, "(%.*s%s%.*s", STR_ARG(at->path), type.p ? "@" : "", STR_ARG(type)), 0);
    return 0;
}

static int log_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
    assert_true(str_ends(at->path, at->name));
    if (xml_at_is(at, "A/Stop")) return err_set(e, ERR_DENIED, "stopped");
    assert_int_equal(buf_fmt(user, "=%.*s)", STR_ARG(text)), 0);
    return 0;
}

/* Whole, and byte by byte: the same events, the same result. */
static int parse(struct str document, struct xml_limits limits, struct buf *log, struct err *e) {
    AUTO(buf_done) struct buf bytewise = BUF(LOG_MAX);
    struct xml_visitor v = {log_open, log_close, log};
    int r = xml_in_parse(document, limits, v, e);
    v.user = &bytewise;
    AUTO(xml_in_auto) struct xml_in *x = xml_in_new(limits, v);
    struct err e2 = {0};
    int r2 = 0;
    for (size_t i = 0; r2 == 0 && i < document.n; i++)
        r2 = xml_in_feed(x, str_sub(document, i, i + 1), &e2);
    if (r2 == 0) r2 = xml_in_end(x, &e2);
    assert_int_equal(r, r2);
    if (r == 0) assert_true(str_eq(buf_view(log), buf_view(&bytewise)));
    if (r < 0) assert_int_equal(e->kind, e2.kind);
    return r;
}

static void elements_come_with_their_path_and_text(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"<A/>", "(A=)"},
        {"<?xml version='1.0' encoding='UTF-8'?>\n<A xmlns='http://s3.amazonaws.com/doc/'>"
         "\n <B>x &amp; <![CDATA[<y>]]></B><!-- c -->\r\n<B> z </B>\n</A>\n",
         "(A(A/B=x & <y>)(A/B= z )=)"},
        {"<s:A xmlns:s='urn:x'><s:B s:type='T'>&#233;</s:B></s:A>", "(A(A/B@T=\xC3\xA9)=)"},
        {"<?xml version='1.0' encoding='ISO-8859-1'?><A>\xC3\xA9</A>", "(A=\xC3\xA9)"},
        {"<A><B><C>1</C></B><B/></A>", "(A(A/B(A/B/C=1)=)(A/B=)=)"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(buf_done) struct buf log = BUF(LOG_MAX);
        struct err e = {0};
        assert_int_equal(parse(str_of(rows[i].in), XML_LIMITS, &log, &e), 0);
        assert_string_equal(buf_c(&log), rows[i].out);
    }
}

static void what_is_not_a_plain_document_is_invalid(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "<A>",
        "<A></B>",
        "<A/><B/>",
        "x",
        "<A>&unknown;</A>",
        "<A>\xFF</A>",
        "<A>text<B/></A>",
        "<A><B/>text</A>",
        "<A a='1' a='2'/>",
        "<s:A/>",
        "<A>&#0;</A>",
        "<!DOCTYPE A><A/>",
        "<!DOCTYPE A SYSTEM 'file:///etc/passwd'><A/>",
        "<!DOCTYPE A [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><A>&x;</A>",
        "<!DOCTYPE A [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><A>&b;&b;</A>",
        "\xFF\xFE<\0A\0/\0>\0",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO(buf_done) struct buf log = BUF(LOG_MAX);
        struct err e = {0};
        assert_int_equal(parse(str_of(rows[i]), XML_LIMITS, &log, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_true(str_contains(str_of(e.msg), STR("line ")));
    }
    struct err e = {0};
    AUTO(buf_done) struct buf log = BUF(LOG_MAX);
    assert_int_equal(parse(STR("<!DOCTYPE A><A/>"), XML_LIMITS, &log, &e), -1);
    assert_true(str_contains(str_of(e.msg), STR("DOCTYPE")));
}

static int with(struct xml_limits limits, const char *document) {
    AUTO(buf_done) struct buf log = BUF(LOG_MAX);
    struct err e = {0};
    int r = parse(str_of(document), limits, &log, &e);
    if (r < 0) assert_int_equal(e.kind, ERR_LIMIT);
    return r;
}

static void each_limit_is_reached_and_not_passed(void **state) {
    (void)state;
    struct xml_limits limits = {.bytes_max = 24, .elements_max = 3, .text_max = 5};
    assert_int_equal(with(limits, "<A><B>12345</B></A>     "), 0);
    assert_int_equal(with(limits, "<A><B>12345</B></A>      "), -1);
    assert_int_equal(with(limits, "<A><B>123456</B></A>"), -1);
    assert_int_equal(with(limits, "<A><B/><B/></A>"), 0);
    assert_int_equal(with(limits, "<A><B/><B/><B/></A>"), -1);
    AUTO(buf_done) struct buf deep = BUF(LOG_MAX);
    for (int depth = 0; depth < XML_DEPTH_MAX; depth++)
        assert_int_equal(buf_str(&deep, STR("<A>")), 0);
    size_t ok = deep.n;
    assert_int_equal(buf_str(&deep, STR("<A>")), 0);
    assert_int_equal(with(XML_LIMITS, buf_c(&deep)), -1);
    deep.n = ok;
    for (int depth = 0; depth < XML_DEPTH_MAX; depth++)
        assert_int_equal(buf_str(&deep, STR("</A>")), 0);
    assert_int_equal(with(XML_LIMITS, buf_c(&deep)), 0);
    AUTO_FREE char *name = xmalloc(XML_NAME_MAX + 2);
    memset(name, 'n', XML_NAME_MAX + 1);
    AUTO_FREE char *long_name = xasprintf("<%s/>", name);
    assert_int_equal(with(XML_LIMITS, long_name), -1);
    assert_int_equal(with(XML_LIMITS, "<A a='' b='' c='' d='' e='' f='' g='' h=''/>"), 0);
    assert_int_equal(with(XML_LIMITS, "<A a='' b='' c='' d='' e='' f='' g='' h='' i=''/>"), -1);
    AUTO_FREE char *value = xmalloc(XML_VALUE_MAX + 2);
    memset(value, 'v', XML_VALUE_MAX + 1);
    AUTO_FREE char *long_value = xasprintf("<A a='%s'/>", value);
    assert_int_equal(with(XML_LIMITS, long_value), -1);
}

static void an_error_of_the_visitor_ends_the_parse(void **state) {
    (void)state;
    AUTO(buf_done) struct buf log = BUF(LOG_MAX);
    struct err e = {0};
    assert_int_equal(parse(STR("<A><Stop/><B/></A>"), XML_LIMITS, &log, &e), -1);
    assert_int_equal(e.kind, ERR_DENIED);
    assert_string_equal(e.msg, "the XML document: stopped");
    assert_null(strstr(buf_c(&log), "A/B"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_with_their_path_and_text),
        cmocka_unit_test(what_is_not_a_plain_document_is_invalid),
        cmocka_unit_test(each_limit_is_reached_and_not_passed),
        cmocka_unit_test(an_error_of_the_visitor_ends_the_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
