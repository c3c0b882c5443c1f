/* SPDX-License-Identifier: Apache-2.0 — xml_out.c: elements, escaped text. */
#include "s3gw/xml_out.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static void put(struct xml_out *w, struct str s) {
    if (!w->full && buf_str(w->to, s) < 0) w->full = true;
}

static void put_c(struct xml_out *w, const char *s) { put(w, str_of(s)); }

/* What stands for one character of n bytes at p; p NULL: itself. Source: XML 1.0 section 2.2,
 * Char. A CR must be a reference, since parsers turn a plain one into LF. */
static struct str escaped(const char *p, size_t n) {
    unsigned char c = (unsigned char)p[0];
    if (n == 0) return STR(REPLACEMENT);
    if (n == 3 && c == 0xEF && (unsigned char)p[1] == 0xBF && (unsigned char)p[2] >= 0xBE)
        return STR(REPLACEMENT); /* U+FFFE, U+FFFF */
    if (n > 1) return STR_NONE;
    switch (c) {
    case '&': return STR("&amp;");
    case '<': return STR("&lt;");
    case '>': return STR("&gt;");
    case '"': return STR("&quot;");
    case '\r': return STR("&#13;");
    case '\t': return STR("&#9;"); /* attributes would turn these two into blanks */
    case '\n': return STR("&#10;");
    default: return c < ' ' ? STR(REPLACEMENT) : STR_NONE;
    }
}

void xml_out_text(struct xml_out *w, struct str text) {
    size_t plain = 0; /* start of what needs no escape and is not written yet */
    for (size_t i = 0; i < text.n;) {
        size_t n = utf8_next(str_sub(text, i, text.n));
        struct str instead = escaped(text.p + i, n);
        size_t next = i + (n ? n : 1);
        if (instead.p) {
            put(w, str_sub(text, plain, i));
            put(w, instead);
            plain = next;
        }
        i = next;
    }
    put(w, str_sub(text, plain, text.n));
}

void xml_out_declaration(struct xml_out *w) {
    assert(w->depth == 0);
    put_c(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

static void push(struct xml_out *w, const char *name) {
    assert(w->depth < XML_OUT_DEPTH_MAX);
    w->open[w->depth++] = name;
    put_c(w, "<");
    put_c(w, name);
}

void xml_out_open(struct xml_out *w, const char *name) {
    push(w, name);
    put_c(w, ">");
}

void xml_out_open_with(struct xml_out *w, const char *name, const char *attribute,
                       struct str value) {
    push(w, name);
    put_c(w, " ");
    put_c(w, attribute);
    put_c(w, "=\"");
    xml_out_text(w, value);
    put_c(w, "\">");
}

void xml_out_open_ns(struct xml_out *w, const char *name, const char *xmlns) {
    xml_out_open_with(w, name, "xmlns", str_of(xmlns));
}

void xml_out_close(struct xml_out *w) {
    assert(w->depth > 0);
    put_c(w, "</");
    put_c(w, w->open[--w->depth]);
    put_c(w, ">");
}

void xml_out_str(struct xml_out *w, const char *name, struct str text) {
    xml_out_open(w, name);
    xml_out_text(w, text);
    xml_out_close(w);
}

void xml_out_c(struct xml_out *w, const char *name, const char *text) {
    xml_out_str(w, name, str_of(text));
}

void xml_out_u64(struct xml_out *w, const char *name, uint64_t value) {
    xml_out_open(w, name);
    if (!w->full && buf_fmt(w->to, "%llu", (unsigned long long)value) < 0) w->full = true;
    xml_out_close(w);
}

void xml_out_bool(struct xml_out *w, const char *name, bool value) {
    xml_out_c(w, name, value ? "true" : "false");
}

int xml_out_end(const struct xml_out *w) {
    assert(w->depth == 0);
    return w->full ? -ENOSPC : 0;
}
