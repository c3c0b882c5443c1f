/* SPDX-License-Identifier: Apache-2.0 — http_uri.c: one table of bytes and a few small scanners.
 *
 * The target is checked whole before it is cut, so whatever comes out of here consists of bytes
 * that a URI may hold, with well-formed escapes. Cutting never changes a byte. */
#include "base/http_uri.h"

#include <errno.h>

enum { TARGET = 1, HOST = 2, PLAIN = 4 };

/* TARGET: may stand in a target. HOST: in a registered name (RFC 3986 section 3.2.2, without
 * escapes). PLAIN: unreserved, never encoded. */
static const uint8_t kinds[256] = {
    ['!'] = TARGET | HOST,
    ['$' ... '%'] = TARGET,
    ['&' ... ','] = TARGET,
    ['-' ... '.'] = TARGET | HOST | PLAIN,
    ['/'] = TARGET,
    ['0' ... '9'] = TARGET | HOST | PLAIN,
    [':' ... ';'] = TARGET,
    ['='] = TARGET,
    ['?' ... '@'] = TARGET,
    ['A' ... 'Z'] = TARGET | HOST | PLAIN,
    ['['] = TARGET,
    [']' ... '^'] = TARGET,
    ['_'] = TARGET | HOST | PLAIN,
    ['`'] = TARGET,
    ['a' ... 'z'] = TARGET | HOST | PLAIN,
    ['{' ... '}'] = TARGET,
    ['~'] = TARGET | HOST | PLAIN,
};

static bool all_are(struct str s, uint8_t kind) {
    uint8_t all = kind;
    for (size_t i = 0; i < s.n; i++) all &= kinds[(uint8_t)s.p[i]];
    return all == kind;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that the escape at s.p[i] stands for, or -1. */
static int escape_value(struct str s, size_t i) {
    if (s.n - i < 3) return -1;
    int high = hex_value(s.p[i + 1]);
    int low = hex_value(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool escapes_are_whole(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        const char *at = memchr(s.p + i, '%', s.n - i);
        if (!at) return true;
        i = (size_t)(at - s.p);
        if (escape_value(s, i) < 0) return false;
    }
    return true;
}

/* ---- hosts ---- */

/* Whether the text in the brackets can be an address is left to whoever connects to it. */
static bool is_v6(struct str s) {
    size_t colons = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ':')
            colons++;
        else if (hex_value(s.p[i]) < 0 && s.p[i] != '.')
            return false;
    }
    return colons >= 2;
}

static int parse_port(struct str text, int *out) {
    uint64_t port = 0;
    if (text.n > 5 || str_u64(text, &port) < 0 || port > UINT16_MAX) return -EINVAL;
    *out = (int)port;
    return 0;
}

int http_host_parse(struct str text, struct http_host *out) {
    struct http_host h = {.name = text, .port = -1};
    struct str rest = {"", 0};
    if (text.n && text.p[0] == '[') {
        ptrdiff_t end = str_find(text, ']');
        if (end < 0 || !is_v6(str_sub(text, 1, (size_t)end))) return -EINVAL;
        h.name = str_sub(text, 0, (size_t)end + 1);
        rest = str_sub(text, (size_t)end + 1, text.n);
    } else {
        ptrdiff_t colon = str_find(text, ':');
        if (colon >= 0) {
            h.name = str_sub(text, 0, (size_t)colon);
            rest = str_sub(text, (size_t)colon, text.n);
        }
        if (h.name.n == 0 || !all_are(h.name, HOST)) return -EINVAL;
    }
    if (rest.n && (rest.p[0] != ':' || parse_port(str_sub(rest, 1, rest.n), &h.port) < 0))
        return -EINVAL;
    *out = h;
    return 0;
}

/* ---- targets ---- */

static void cut_query(struct str s, struct http_uri *u) {
    ptrdiff_t mark = str_find(s, '?');
    u->has_query = mark >= 0;
    u->path = mark < 0 ? s : str_sub(s, 0, (size_t)mark);
    u->query = mark < 0 ? STR("") : str_sub(s, (size_t)mark + 1, s.n);
}

/* After "http://": authority, then an origin form that may be empty (RFC 3986 section 6.2.3). */
static int parse_absolute(struct str s, struct http_uri *u) {
    size_t end = 0;
    while (end < s.n && s.p[end] != '/' && s.p[end] != '?') end++;
    struct http_host host;
    u->form = HTTP_ABSOLUTE_FORM;
    u->authority = str_sub(s, 0, end);
    if (http_host_parse(u->authority, &host) < 0) return -EINVAL;
    cut_query(str_sub(s, end, s.n), u);
    if (u->path.n == 0) u->path = STR("/");
    return 0;
}

static int parse_form(struct str target, struct http_uri *u) {
    static const struct str schemes[] = {STR("http://"), STR("https://")};
    if (target.p[0] == '/') {
        cut_query(target, u);
        return 0;
    }
    if (str_eq(target, STR("*"))) {
        *u = (struct http_uri){.form = HTTP_ASTERISK_FORM, .path = target};
        return 0;
    }
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (str_eq_nocase(str_sub(target, 0, schemes[i].n), schemes[i]))
            return parse_absolute(str_sub(target, schemes[i].n, target.n), u);
    struct http_host host;
    *u = (struct http_uri){.form = HTTP_AUTHORITY_FORM, .authority = target};
    return http_host_parse(target, &host);
}

int http_uri_parse(struct str target, struct http_uri *out) {
    if (target.n == 0 || !all_are(target, TARGET) || !escapes_are_whole(target)) return -EINVAL;
    struct http_uri u = {.form = HTTP_ORIGIN_FORM};
    if (parse_form(target, &u) < 0) return -EINVAL;
    *out = u;
    return 0;
}

/* ---- percent-encoding ---- */

ssize_t http_uri_decode(struct str in, enum http_plus plus, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        int c = (unsigned char)in.p[i];
        if (c == '%') {
            c = escape_value(in, i);
            if (c < 0) return -EINVAL;
            i += 2;
        } else if (c == '+' && plus == HTTP_PLUS_IS_BLANK) {
            c = ' ';
        }
        out[n++] = (char)c;
    }
    return (ssize_t)n;
}

int http_uri_encode(struct buf *b, struct str in, enum http_slash slash) {
    static const char digits[] = "0123456789ABCDEF";
    if (in.n > SIZE_MAX / 3 || buf_reserve(b, 3 * in.n) < 0) return -ENOSPC;
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = (uint8_t)in.p[i];
        if (kinds[c] & PLAIN || (c == '/' && slash == HTTP_SLASH_KEPT)) {
            b->p[b->n++] = (char)c;
            continue;
        }
        b->p[b->n++] = '%';
        b->p[b->n++] = digits[c >> 4];
        b->p[b->n++] = digits[c & 15];
    }
    return 0;
}

bool http_query_next(struct str *query, struct http_param *out) {
    struct str part;
    while (str_next(query, '&', &part)) {
        if (part.n == 0) continue;
        ptrdiff_t mark = str_find(part, '=');
        out->has_value = mark >= 0;
        out->name = mark < 0 ? part : str_sub(part, 0, (size_t)mark);
        out->value = mark < 0 ? STR("") : str_sub(part, (size_t)mark + 1, part.n);
        return true;
    }
    return false;
}
