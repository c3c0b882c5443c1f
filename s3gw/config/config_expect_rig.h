/* SPDX-License-Identifier: Apache-2.0 — config_expect_rig.h: what the tests of documents say. */
#pragma once

#include "s3gw/config/config_rig.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RIG_BYTES_MAX ((size_t)4 << 20)

/* body: what stands between the tags of the root; the result is that, with S3's namespace, and
 * read again it gives itself. */
UNUSED static void gives(const struct rig_round *r, const char *in, const char *body) {
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    AUTO(buf_done) struct buf out = BUF(RIG_BYTES_MAX), again = BUF(RIG_BYTES_MAX);
    struct s3_error x = {0};
    if (r->run(&a, str_of(in), &out, &x) < 0) {
        print_error("%.300s: %s\n", in, x.message);
        assert_true(false);
    }
    AUTO_FREE char *want =
        xasprintf(RIG_DECLARATION "<%s" RIG_NS ">%s</%s>", r->root, body, r->root);
    assert_string_equal(buf_c(&out), want);
    assert_int_equal(r->run(&a, buf_view(&out), &again, &x), 0);
    assert_string_equal(buf_c(&again), want);
}

UNUSED static void refuses(const struct rig_round *r, const char *in, enum s3_code code) {
    AUTO(arena_done) struct arena a = ARENA(LIFECYCLE_ARENA_BYTES);
    AUTO(buf_done) struct buf out = BUF(RIG_BYTES_MAX);
    struct s3_error x = {0};
    if (r->run(&a, str_of(in), &out, &x) == 0 || x.code != code) {
        print_error("%.300s: %s instead of %s\n", in, s3_code_name(x.code), s3_code_name(code));
        assert_true(false);
    }
    assert_true(x.message[0] != '\0');
    assert_int_equal(out.n, 0);
}

/* The document <root>body</root>. */
UNUSED static void gives_body(const struct rig_round *r, const char *body) {
    AUTO_FREE char *in = xasprintf("<%s>%s</%s>", r->root, body, r->root);
    gives(r, in, body);
}
UNUSED static void refuses_body(const struct rig_round *r, const char *body, enum s3_code code) {
    AUTO_FREE char *in = xasprintf("<%s>%s</%s>", r->root, body, r->root);
    refuses(r, in, code);
}

/* `text` n times. */
UNUSED static char *times(size_t n, const char *text) {
    size_t one = strlen(text);
    char *all = xmalloc(n * one + 1);
    for (size_t i = 0; i < n; i++) memcpy(all + i * one, text, one);
    return all;
}
