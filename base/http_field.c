/* SPDX-License-Identifier: Apache-2.0 — http_field.c: a table of bytes, and the line grammar. */
#include "base/http_field.h"

enum { TOKEN = 1, VALUE = 2 };

/* What each byte may be. The ranges are those of RFC 9110: tchar, and VCHAR, SP, HTAB, obs-text. */
static const uint8_t kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = VALUE | TOKEN,
    ['"'] = VALUE,
    ['#' ... '\''] = VALUE | TOKEN,
    ['(' ... ')'] = VALUE,
    ['*' ... '+'] = VALUE | TOKEN,
    [','] = VALUE,
    ['-' ... '.'] = VALUE | TOKEN,
    ['/'] = VALUE,
    ['0' ... '9'] = VALUE | TOKEN,
    [':' ... '@'] = VALUE,
    ['A' ... 'Z'] = VALUE | TOKEN,
    ['[' ... ']'] = VALUE,
    ['^' ... 'z'] = VALUE | TOKEN,
    ['{'] = VALUE,
    ['|'] = VALUE | TOKEN,
    ['}'] = VALUE,
    ['~'] = VALUE | TOKEN,
    [0x80 ... 0xff] = VALUE,
};

static bool all_are(struct str s, uint8_t kind) {
    uint8_t all = kind;
    for (size_t i = 0; i < s.n; i++) all &= kinds[(uint8_t)s.p[i]];
    return all == kind;
}

bool http_is_token(struct str s) { return s.n > 0 && all_are(s, TOKEN); }

bool http_is_value(struct str s) { return all_are(s, VALUE); }

/* Optional white space of RFC 9110 section 5.6.3, which str_trim() takes too widely. */
static struct str trim_blanks(struct str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = (struct str){s.p + 1, s.n - 1};
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

const char *http_field_parse(struct str line, struct http_field *out) {
    if (line.n && (line.p[0] == ' ' || line.p[0] == '\t')) return "a folded header line";
    ptrdiff_t colon = str_find(line, ':');
    if (colon < 0) return "a header line without a colon";
    struct str name = str_sub(line, 0, (size_t)colon);
    if (!http_is_token(name)) return "a header name that is no token";
    struct str value = trim_blanks(str_sub(line, (size_t)colon + 1, line.n));
    if (!http_is_value(value)) return "a control byte in a header";
    *out = (struct http_field){.name = name, .value = value};
    return NULL;
}

bool http_list_has(struct str value, struct str element) {
    struct str part;
    while (str_next(&value, ',', &part))
        if (str_eq_nocase(trim_blanks(part), element)) return true;
    return false;
}
