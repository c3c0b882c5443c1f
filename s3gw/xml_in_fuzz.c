/* SPDX-License-Identifier: Apache-2.0 — xml_in_fuzz.c: any bytes, in two pieces; what is accepted
 * is written by xml_out and read again with the same events. */
#include "s3gw/xml_in.h"
#include "s3gw/xml_out.h"

#define COPY_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

struct copy {
    struct xml_out out;
    struct buf names; /* of the open elements, NUL-terminated; never moves */
};

static int copy_open(void *user, const struct xml_at *at, struct err *e) {
    struct copy *c = user;
    (void)e;
    must(buf_reserve(&c->names, XML_NAME_MAX + 1) == 0);
    const char *name = c->names.p + c->names.n;
    must(buf_fmt(&c->names, "%.*s", STR_ARG(at->name)) == 0 && buf_append(&c->names, "", 1) == 0);
    xml_out_open(&c->out, name);
    return 0;
}

static int copy_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct copy *c = user;
    (void)at, (void)e;
    xml_out_text(&c->out, text);
    xml_out_close(&c->out);
    return 0;
}

static int copy_document(struct str in, size_t cut, struct buf *to) {
    struct copy c = {XML_OUT(to), BUF(COPY_MAX)};
    must(buf_reserve(&c.names, COPY_MAX - 1) == 0);
    struct xml_limits limits = {.bytes_max = COPY_MAX, .elements_max = 2000, .text_max = 4096};
    AUTO(xml_in_auto)
    struct xml_in *x = xml_in_new(limits, (struct xml_visitor){copy_open, copy_close, &c});
    struct err e = {0};
    int r = xml_in_feed(x, str_sub(in, 0, cut), &e);
    if (r == 0) r = xml_in_feed(x, str_sub(in, cut, in.n), &e);
    if (r == 0) r = xml_in_end(x, &e);
    must(r == 0 || e.kind == ERR_INVALID || e.kind == ERR_LIMIT);
    buf_done(&c.names);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > (32 << 10)) return 0;
    AUTO(buf_done) struct buf first = BUF(COPY_MAX);
    AUTO(buf_done) struct buf second = BUF(COPY_MAX);
    struct str in = str_make((const char *)data, size);
    if (copy_document(in, data[size / 2] % size, &first) < 0) return 0;
    must(copy_document(buf_view(&first), first.n, &second) == 0);
    must(str_eq(buf_view(&first), buf_view(&second)));
    return 0;
}
