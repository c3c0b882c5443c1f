/* SPDX-License-Identifier: Apache-2.0 — xml_in.h: reads the small XML documents of S3, strictly.
 *
 * Bytes in, elements out: a visitor is told each element's end with the text in it and the path to
 * it, "Delete/Object/Key", which is all that S3's schemas need. Namespaces are dropped: clients
 * send S3's, none, or an older one. UTF-8 only, whatever the declaration says. A DOCTYPE is an
 * error, so there are no entities but XML's own five. Text beside child elements may only be white
 * space. Depth, size, number of elements, attributes and text are limited. One thread at a time.
 * Wraps expat. Source: XML 1.0, Namespaces in XML 1.0.
 *
 *   static int on_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
 *       if (xml_at_is(at, "Delete/Object/Key")) return keep_key(user, text, e);
 *       if (xml_at_is(at, "Delete/Object")) return end_object(user, e); */
#pragma once

#include "base/err.h"

#define XML_DEPTH_MAX      16
#define XML_NAME_MAX       128
#define XML_PATH_MAX       512
#define XML_ATTRIBUTES_MAX 8
#define XML_VALUE_MAX      1024 /* of an attribute */

struct xml_limits {
    size_t bytes_max;    /* of the document */
    size_t elements_max; /* of all levels together */
    size_t text_max;     /* in one element */
};
/* For configurations; CompleteMultipartUpload and Delete have their own. */
#define XML_LIMITS                                                                                 \
    ((struct xml_limits){.bytes_max = 1 << 20, .elements_max = 20000, .text_max = 4096})

struct xml_at {
    struct str path;  /* "Delete/Object/Key"; names without prefix */
    struct str name;  /* "Key": the end of path */
    unsigned depth;   /* of the root: 1 */
    void *attributes; /* for xml_attribute(); NULL at the end of an element */
};
bool xml_at_is(const struct xml_at *at, const char *path);
/* An attribute of the element that opens, by its local name; .p NULL when it is absent. Valid
 * within the call. */
struct str xml_attribute(const struct xml_at *at, const char *local_name);

/* Either may be NULL. A result of -1 (with e filled) ends the parse. All strs are valid within the
 * call only. */
struct xml_visitor {
    int (*open)(void *user, const struct xml_at *at, struct err *e);
    /* text: all of the element's own text; empty when it has children. */
    int (*close)(void *user, const struct xml_at *at, struct str text, struct err *e);
    void *user;
};

struct xml_in;
struct xml_in *xml_in_new(struct xml_limits limits, struct xml_visitor visitor); /* never NULL */
/* Errors: INVALID (not well-formed, DOCTYPE; with line and column), LIMIT, or the visitor's. After
 * an error only xml_in_free() may follow. */
int xml_in_feed(struct xml_in *x, struct str bytes, struct err *e) MUST_CHECK;
int xml_in_end(struct xml_in *x, struct err *e) MUST_CHECK; /* nothing may be missing */
void xml_in_free(struct xml_in *x);                         /* NULL-safe */
static inline void xml_in_auto(struct xml_in **x) { xml_in_free(*x); }

/* new, feed, end, free for a document that is there as a whole. */
int xml_in_parse(struct str document, struct xml_limits limits, struct xml_visitor visitor,
                 struct err *e) MUST_CHECK;
