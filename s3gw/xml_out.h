/* SPDX-License-Identifier: Apache-2.0 — xml_out.h: writes one XML document into a buffer.
 *
 * Wrong nesting is a bug of ours and asserted; a full buffer is remembered and told once by
 * xml_out_end(). Text may be any bytes: what is not UTF-8, and the characters that XML 1.0 cannot
 * express, become U+FFFD, so that every parser reads every document. Names are ours: literals
 * without markup. One thread at a time.
 *
 *   struct xml_out w = XML_OUT(&buf);
 *   xml_out_declaration(&w);
 *   xml_out_open(&w, "Owner");  xml_out_str(&w, "ID", id);  xml_out_close(&w);
 *   int r = xml_out_end(&w); */
#pragma once

#include "base/buf.h"

#define XML_OUT_DEPTH_MAX 16
#define XML_OUT_S3        "http://s3.amazonaws.com/doc/2006-03-01/"

struct xml_out {
    struct buf *to; /* borrowed */
    unsigned depth;
    const char *open[XML_OUT_DEPTH_MAX]; /* names; static */
    bool full;                           /* the buffer's maximum was reached */
};
#define XML_OUT(buffer) ((struct xml_out){.to = (buffer)})

void xml_out_declaration(struct xml_out *w); /* <?xml version="1.0" encoding="UTF-8"?> and a LF */
void xml_out_open(struct xml_out *w, const char *name);
void xml_out_open_ns(struct xml_out *w, const char *name, const char *xmlns);
/* With one attribute; its value is escaped. */
void xml_out_open_with(struct xml_out *w, const char *name, const char *attribute,
                       struct str value);
void xml_out_close(struct xml_out *w); /* the innermost element */
/* Whole elements. */
void xml_out_str(struct xml_out *w, const char *name, struct str text);
void xml_out_c(struct xml_out *w, const char *name, const char *text); /* NULL: empty */
void xml_out_u64(struct xml_out *w, const char *name, uint64_t value);
void xml_out_bool(struct xml_out *w, const char *name, bool value); /* true, false */
/* Text within the element that is open. */
void xml_out_text(struct xml_out *w, struct str text);
/* Asserts that everything is closed. 0, or -ENOSPC: the buffer's content is not usable then. */
int xml_out_end(const struct xml_out *w) MUST_CHECK;
