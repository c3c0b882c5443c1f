/* SPDX-License-Identifier: Apache-2.0 — pattern.c: '*' and '?', and variables that become literal
 * text.
 *
 * A pattern is turned into symbols first: bytes, ANY_ONE, ANY_RUN. What a variable stands for gives
 * bytes only: a user called "*" must not match everything. Matching goes back to the last '*'
 * alone, which is enough, so it takes pattern times text steps at most, never exponentially many;
 * the steps of an evaluation are counted. */
#include "s3gw/policy/policy_internal.h"

#define SYMBOLS_MAX 4096
enum { ANY_ONE = 256, ANY_RUN = 257 };

struct symbols {
    uint16_t at[SYMBOLS_MAX];
    size_t n;
    bool full;
};

struct str context_value(const struct policy_question *q, struct str key) {
    for (size_t i = 0; i < q->context_count; i++)
        if (str_eq_nocase(q->context[i].name, key)) return q->context[i].value;
    return STR_NONE;
}

static void add(struct symbols *s, uint16_t symbol) {
    if (s->n == SYMBOLS_MAX)
        s->full = true;
    else
        s->at[s->n++] = symbol;
}

static void add_text(struct symbols *s, struct str text) {
    for (size_t i = 0; i < text.n; i++) add(s, (unsigned char)text.p[i]);
}

/* "aws:username" or "aws:username, 'default'", or one of the three escapes. False: no value. */
static bool add_variable(const struct evaluation *ev, struct symbols *s, struct str inside) {
    if (str_eq(inside, STR("*")) || str_eq(inside, STR("?")) || str_eq(inside, STR("$"))) {
        add_text(s, inside);
        return true;
    }
    ptrdiff_t comma = str_find(inside, ',');
    struct str key = comma < 0 ? inside : str_sub(inside, 0, (size_t)comma);
    struct str value = context_value(ev->q, str_trim(key));
    if (!value.p && comma >= 0) {
        struct str text = str_trim(str_sub(inside, (size_t)comma + 1, inside.n));
        if (text.n >= 2 && text.p[0] == '\'' && text.p[text.n - 1] == '\'')
            value = str_sub(text, 1, text.n - 1);
    }
    if (!value.p) return false;
    add_text(s, value);
    return true;
}

static bool to_symbols(const struct evaluation *ev, bool wild, struct str pattern,
                       struct symbols *s) {
    s->n = 0;
    s->full = false;
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        struct str rest = str_sub(pattern, i, pattern.n);
        ptrdiff_t end = str_find(rest, '}');
        if (ev->policy->variables && str_starts(rest, STR("${")) && end > 0) {
            if (!add_variable(ev, s, str_sub(rest, 2, (size_t)end))) return false;
            i += (size_t)end;
        } else if (wild && c == '*') {
            if (s->n == 0 || s->at[s->n - 1] != ANY_RUN) add(s, ANY_RUN);
        } else {
            add(s, wild && c == '?' ? ANY_ONE : (unsigned char)c);
        }
    }
    return true;
}

static uint16_t lower(uint16_t c) { return c >= 'A' && c <= 'Z' ? (uint16_t)(c + 32) : c; }

static bool same(uint16_t symbol, char c, bool nocase) {
    uint16_t byte = (unsigned char)c;
    if (symbol == ANY_ONE || symbol == byte) return true;
    return nocase && lower(symbol) == lower(byte);
}

static bool match(struct evaluation *ev, const struct symbols *s, struct str text, bool nocase) {
    size_t at = 0;
    size_t i = 0;
    size_t star = SIZE_MAX; /* the last '*', and how far it reached */
    size_t star_text = 0;
    while (i < text.n) {
        if (ev->steps_left == 0) {
            ev->failed = true;
            return false;
        }
        ev->steps_left--;
        if (at < s->n && s->at[at] == ANY_RUN) {
            star = at++;
            star_text = i;
        } else if (at < s->n && same(s->at[at], text.p[i], nocase)) {
            at++;
            i++;
        } else if (star != SIZE_MAX) {
            at = star + 1;
            i = ++star_text;
        } else {
            return false;
        }
    }
    while (at < s->n && s->at[at] == ANY_RUN) at++;
    return at == s->n;
}

bool pattern_match(struct evaluation *ev, enum pattern_kind kind, struct str pattern,
                   struct str text) {
    struct symbols s;
    bool wild = kind == PATTERN_WILD || kind == PATTERN_WILD_NOCASE;
    bool nocase = kind == PATTERN_WILD_NOCASE || kind == PATTERN_LITERAL_NOCASE;
    if (!to_symbols(ev, wild, pattern, &s)) return false;
    if (s.full) {
        ev->failed = true;
        return false;
    }
    return match(ev, &s, text, nocase);
}
