/* SPDX-License-Identifier: Apache-2.0 — xml_in.c: expat under our own limits.
 *
 * expat calls back; the first error is remembered and stops it, callbacks that still come are
 * ignored. The text of an element is gathered in one buffer, since only elements without children
 * may have any: an element that opens throws away what stood in front of it, which must be white
 * space. The path grows and shrinks with the depth. expat's names are "URI|local": what stands in
 * front of the last '|' is dropped; local names cannot have one. */
#include "s3gw/xml_in.h"

#include "base/buf.h"

#include <assert.h>
#include <expat.h>
#include <limits.h>

#define NAMESPACE_END '|'

struct xml_in {
    XML_Parser parser; /* owned */
    struct xml_limits limits;
    struct xml_visitor visitor;
    struct err err; /* the first one */
    bool failed;
    size_t bytes, elements;
    struct buf text;
    char path[XML_PATH_MAX];
    size_t path_n[XML_DEPTH_MAX + 1]; /* length of the path at each depth */
    bool parent[XML_DEPTH_MAX + 1];   /* the element has children */
    unsigned depth;
};

bool xml_at_is(const struct xml_at *at, const char *path) { return str_eq(at->path, str_of(path)); }

static struct str local_name(const char *name) {
    struct str s = str_of(name);
    ptrdiff_t end = str_rfind(s, NAMESPACE_END);
    return end < 0 ? s : str_sub(s, (size_t)end + 1, s.n);
}

struct str xml_attribute(const struct xml_at *at, const char *name) {
    const char **pairs = at->attributes;
    for (size_t i = 0; pairs && pairs[i]; i += 2)
        if (str_eq(local_name(pairs[i]), str_of(name))) return str_of(pairs[i + 1]);
    return STR_NONE;
}

static void stop(struct xml_in *x) {
    x->failed = true;
    (void)XML_StopParser(x->parser, XML_FALSE);
}

static void refuse(struct xml_in *x, enum err_kind kind, const char *what) {
    (void)err_set(&x->err, kind, "line %lu, column %lu: %s",
                  (unsigned long)XML_GetCurrentLineNumber(x->parser),
                  (unsigned long)XML_GetCurrentColumnNumber(x->parser) + 1, what);
    stop(x);
}

static bool blank(struct str s) { return str_trim(s).n == 0; }

static struct xml_at at_now(struct xml_in *x, void *attributes) {
    size_t from = x->depth > 1 ? x->path_n[x->depth - 1] + 1 : 0;
    struct str path = str_make(x->path, x->path_n[x->depth]);
    return (struct xml_at){path, str_sub(path, from, path.n), x->depth, attributes};
}

static bool check_attributes(struct xml_in *x, const char **pairs) {
    size_t i = 0;
    for (; pairs[i]; i += 2)
        if (i / 2 >= XML_ATTRIBUTES_MAX || strlen(pairs[i + 1]) > XML_VALUE_MAX) {
            refuse(x, ERR_LIMIT, "too many attributes, or one that is too long");
            return false;
        }
    return true;
}

/* Adds the name to the path. */
static bool descend(struct xml_in *x, struct str name) {
    size_t n = x->path_n[x->depth];
    if (x->depth == XML_DEPTH_MAX || name.n > XML_NAME_MAX || n + 1 + name.n > XML_PATH_MAX) {
        refuse(x, ERR_LIMIT, "elements are nested too deep, or a name is too long");
        return false;
    }
    if (x->depth > 0) x->path[n++] = '/';
    memcpy(x->path + n, name.p, name.n);
    x->path_n[++x->depth] = n + name.n;
    x->parent[x->depth] = false;
    return true;
}

static void on_open(void *user, const char *name, const char **pairs) {
    struct xml_in *x = user;
    if (x->failed) return;
    if (++x->elements > x->limits.elements_max) {
        refuse(x, ERR_LIMIT, "too many elements");
        return;
    }
    if (!blank(buf_view(&x->text))) {
        refuse(x, ERR_INVALID, "text beside an element");
        return;
    }
    buf_clear(&x->text);
    x->parent[x->depth] = true;
    if (!check_attributes(x, pairs) || !descend(x, local_name(name)) || !x->visitor.open) return;
    struct xml_at at = at_now(x, (void *)pairs);
    if (x->visitor.open(x->visitor.user, &at, &x->err) < 0) stop(x);
}

static void on_close(void *user, const char *name) {
    (void)name;
    struct xml_in *x = user;
    if (x->failed) return;
    struct str text = buf_view(&x->text);
    if (x->parent[x->depth]) {
        if (!blank(text)) {
            refuse(x, ERR_INVALID, "text beside an element");
            return;
        }
        text = STR_NONE;
    }
    struct xml_at at = at_now(x, NULL);
    if (x->visitor.close && x->visitor.close(x->visitor.user, &at, text, &x->err) < 0) stop(x);
    buf_clear(&x->text);
    x->depth--;
}

static void on_text(void *user, const char *bytes, int n) {
    struct xml_in *x = user;
    if (!x->failed && buf_append(&x->text, bytes, (size_t)n) < 0)
        refuse(x, ERR_LIMIT, "the text of an element is too long");
}

static void on_doctype(void *user, const char *name, const char *system, const char *public,
                       int internal) {
    (void)name, (void)system, (void)public, (void)internal;
    refuse(user, ERR_INVALID, "a DOCTYPE is not accepted");
}

struct xml_in *xml_in_new(struct xml_limits limits, struct xml_visitor visitor) {
    struct xml_in *x = xnew(struct xml_in);
    *x = (struct xml_in){.limits = limits, .visitor = visitor, .text = BUF(limits.text_max)};
    x->parser = XML_ParserCreateNS("UTF-8", NAMESPACE_END);
    if (!x->parser) abort();
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, on_open, on_close);
    XML_SetCharacterDataHandler(x->parser, on_text);
    XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
    return x;
}

void xml_in_free(struct xml_in *x) {
    if (!x) return;
    XML_ParserFree(x->parser);
    buf_done(&x->text);
    free(x);
}

static int run(struct xml_in *x, struct str bytes, bool last, struct err *e) {
    assert(!x->failed && x->limits.bytes_max <= INT_MAX);
    if (bytes.n > x->limits.bytes_max - x->bytes) {
        x->failed = true;
        return err_set(e, ERR_LIMIT, "the XML document has more than %zu bytes",
                       x->limits.bytes_max);
    }
    x->bytes += bytes.n;
    enum XML_Status status = XML_Parse(x->parser, bytes.p, (int)bytes.n, last);
    if (status == XML_STATUS_OK) return 0;
    if (XML_GetErrorCode(x->parser) == XML_ERROR_NO_MEMORY) abort();
    if (!x->failed) refuse(x, ERR_INVALID, XML_ErrorString(XML_GetErrorCode(x->parser)));
    *e = x->err;
    return err_in(e, "the XML document");
}

int xml_in_feed(struct xml_in *x, struct str bytes, struct err *e) {
    return bytes.n ? run(x, bytes, false, e) : 0;
}

int xml_in_end(struct xml_in *x, struct err *e) { return run(x, STR(""), true, e); }

int xml_in_parse(struct str document, struct xml_limits limits, struct xml_visitor visitor,
                 struct err *e) {
    AUTO(xml_in_auto) struct xml_in *x = xml_in_new(limits, visitor);
    if (xml_in_feed(x, document, e) < 0) return -1;
    return xml_in_end(x, e);
}
