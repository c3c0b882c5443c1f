/* SPDX-License-Identifier: Apache-2.0 — json_out.c: nesting is a bit per level. */
#include "base/json_out.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>

static void put(struct json_out *w, struct str s) {
    if (!w->full && buf_str(w->to, s) < 0) w->full = true;
}

static void put_line(struct json_out *w) {
    if (!w->indent) return;
    put(w, STR("\n"));
    for (unsigned i = 0; i < w->indent * w->depth; i++) put(w, STR(" "));
}

static bool in_object(const struct json_out *w) {
    return w->depth > 0 && (w->objects >> (w->depth - 1) & 1);
}

static void put_escaped(struct json_out *w, unsigned char c) {
    static const char short_of[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                    ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    char shorter = c < sizeof short_of ? short_of[c] : '\0';
    if (shorter) {
        put(w, str_make((char[]){'\\', shorter}, 2));
    } else {
        put(w, str_make((char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
    }
}

static void put_string(struct json_out *w, struct str s) {
    put(w, STR("\""));
    size_t from = 0;
    for (size_t at = 0; at < s.n;) {
        size_t n = utf8_next(str_sub(s, at, s.n));
        unsigned char c = (unsigned char)s.p[at];
        bool plain = n > 1 || (n == 1 && c >= 0x20 && c != '"' && c != '\\');
        if (plain) {
            at += n;
            continue;
        }
        put(w, str_sub(s, from, at));
        if (n == 0)
            put(w, STR("\xef\xbf\xbd"));
        else
            put_escaped(w, c);
        from = ++at;
    }
    put(w, str_sub(s, from, s.n));
    put(w, STR("\""));
}

/* What comes in front of every value. */
static void start(struct json_out *w, const char *key) {
    assert(!w->ended);
    if (key) json_out_key(w, str_of(key));
    assert(w->key_written == in_object(w));
    if (w->depth > 0 && !in_object(w)) {
        if (w->not_empty) put(w, STR(","));
        put_line(w);
    }
    w->key_written = false;
    w->not_empty = true;
    if (w->depth == 0) w->ended = true;
}

void json_out_key(struct json_out *w, struct str key) {
    assert(in_object(w) && !w->key_written);
    if (w->not_empty) put(w, STR(","));
    put_line(w);
    put_string(w, key);
    put(w, w->indent ? STR(": ") : STR(":"));
    w->key_written = true;
}

static void open_container(struct json_out *w, const char *key, bool object) {
    start(w, key);
    assert(w->depth < JSON_OUT_DEPTH_MAX);
    uint64_t bit = (uint64_t)1 << w->depth++;
    w->objects = object ? w->objects | bit : w->objects & ~bit;
    w->not_empty = false;
    w->ended = false;
    put(w, object ? STR("{") : STR("["));
}

void json_out_object(struct json_out *w, const char *key) { open_container(w, key, true); }
void json_out_array(struct json_out *w, const char *key) { open_container(w, key, false); }

void json_out_close(struct json_out *w) {
    assert(w->depth > 0 && !w->key_written);
    bool object = in_object(w);
    w->depth--;
    if (w->not_empty) put_line(w);
    put(w, object ? STR("}") : STR("]"));
    w->not_empty = true;
    if (w->depth == 0) w->ended = true;
}

void json_out_str(struct json_out *w, const char *key, struct str value) {
    start(w, key);
    put_string(w, value);
}

void json_out_c(struct json_out *w, const char *key, const char *value) {
    if (value)
        json_out_str(w, key, str_of(value));
    else
        json_out_null(w, key);
}

void json_out_u64(struct json_out *w, const char *key, uint64_t value) {
    start(w, key);
    if (!w->full && buf_fmt(w->to, "%llu", (unsigned long long)value) < 0) w->full = true;
}

void json_out_i64(struct json_out *w, const char *key, int64_t value) {
    start(w, key);
    if (!w->full && buf_fmt(w->to, "%lld", (long long)value) < 0) w->full = true;
}

void json_out_bool(struct json_out *w, const char *key, bool value) {
    start(w, key);
    put(w, value ? STR("true") : STR("false"));
}

void json_out_null(struct json_out *w, const char *key) {
    start(w, key);
    put(w, STR("null"));
}

void json_out_raw(struct json_out *w, const char *key, struct str json) {
    start(w, key);
    put(w, json);
}

int json_out_end(const struct json_out *w) {
    assert(w->ended && w->depth == 0);
    return w->full ? -ENOSPC : 0;
}
