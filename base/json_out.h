/* SPDX-License-Identifier: Apache-2.0 — json_out.h: writes one JSON document into a buffer.
 *
 * Wrong nesting is a bug of ours and asserted; a full buffer is remembered and told once by
 * json_out_end(). Bytes that are not UTF-8 become U+FFFD. One thread at a time.
 *
 *   struct json_out w = JSON_OUT(&buf);
 *   json_out_object(&w, NULL);
 *   json_out_str(&w, "name", name);
 *   json_out_array(&w, "ports");  json_out_u64(&w, NULL, 80);  json_out_close(&w);
 *   json_out_close(&w);
 *   int r = json_out_end(&w); */
#pragma once

#include "base/buf.h"

#define JSON_OUT_DEPTH_MAX 64

struct json_out {
    struct buf *to;   /* borrowed */
    unsigned indent;  /* spaces per level; 0: one line without blanks */
    unsigned depth;   /* containers that are open */
    uint64_t objects; /* bit d: container d is an object */
    bool not_empty;   /* the innermost container has a value already */
    bool key_written; /* json_out_key() came, its value not yet */
    bool full;        /* the buffer's maximum was reached */
    bool ended;       /* the outermost value is complete */
};
#define JSON_OUT(buffer)        ((struct json_out){.to = (buffer)})
#define JSON_OUT_PRETTY(buffer) ((struct json_out){.to = (buffer), .indent = 2})

/* In all of them key is a C string inside an object; NULL in an array, at the top, and after
 * json_out_key(). */
void json_out_object(struct json_out *w, const char *key);
void json_out_array(struct json_out *w, const char *key);
void json_out_close(struct json_out *w); /* the innermost container */
void json_out_str(struct json_out *w, const char *key, struct str value);
void json_out_c(struct json_out *w, const char *key, const char *value); /* NULL: null */
void json_out_u64(struct json_out *w, const char *key, uint64_t value);
void json_out_i64(struct json_out *w, const char *key, int64_t value);
void json_out_bool(struct json_out *w, const char *key, bool value);
void json_out_null(struct json_out *w, const char *key);
/* A key that is not a literal; the value follows with key NULL. */
void json_out_key(struct json_out *w, struct str key);
/* A whole document that is JSON already, taken as it is. */
void json_out_raw(struct json_out *w, const char *key, struct str json);
/* Asserts that everything is closed. 0, or -ENOSPC when the buffer was too small: its content is
 * not usable then. */
int json_out_end(const struct json_out *w) MUST_CHECK;
