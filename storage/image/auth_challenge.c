/* SPDX-License-Identifier: Apache-2.0 — auth_challenge.c: a scanner for challenge lists.
 *
 *   header = challenge *( "," challenge ); challenge = scheme [ SP ( token68 / param *( "," param )
 * ) ] A comma separates parameters and challenges alike: a word followed by '=' and a value is a
 * parameter of the challenge before it, any other word begins a new challenge. A token68
 * ("Negotiate abc==") is a word of its own and skipped. */
#include "storage/image/auth_challenge.h"

struct scanner {
    struct arena *a;
    struct str rest;
    struct err *e;
};

static bool is_token(char c) {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static void skip(struct scanner *s, const char *set) {
    size_t n = 0;
    while (n < s->rest.n && s->rest.p[n] && strchr(set, s->rest.p[n])) n++;
    s->rest = str_sub(s->rest, n, s->rest.n);
}

static struct str take_token(struct scanner *s) {
    size_t n = 0;
    while (n < s->rest.n && is_token(s->rest.p[n])) n++;
    struct str token = str_sub(s->rest, 0, n);
    s->rest = str_sub(s->rest, n, s->rest.n);
    return token;
}

static int invalid(struct scanner *s, const char *what) {
    return err_set(s->e, ERR_INVALID, "the registry's WWW-Authenticate header is malformed: %s",
                   what);
}

static int take_quoted(struct scanner *s, struct str *out) {
    char *p = arena_alloc(s->a, s->rest.n);
    size_t n = 0;
    if (!p) return err_set(s->e, ERR_LIMIT, "the registry's WWW-Authenticate header is too long");
    for (size_t i = 1; i < s->rest.n; i++) {
        char c = s->rest.p[i];
        if (c == '"') {
            s->rest = str_sub(s->rest, i + 1, s->rest.n);
            *out = str_make(p, n);
            return 0;
        }
        if (c == '\\') {
            if (++i >= s->rest.n) break;
            c = s->rest.p[i];
        }
        if ((unsigned char)c < 0x20 || c == 0x7F) return invalid(s, "a control character");
        p[n++] = c;
    }
    return invalid(s, "a quoted string does not end");
}

static int take_value(struct scanner *s, struct str *out) {
    if (s->rest.n > 0 && s->rest.p[0] == '"') return take_quoted(s, out);
    *out = take_token(s);
    return 0;
}

/* Behind a scheme: a token68 that ends the challenge. */
static void skip_token68(struct scanner *s) {
    size_t n = 0;
    while (n < s->rest.n && (is_token(s->rest.p[n]) || s->rest.p[n] == '/')) n++;
    while (n < s->rest.n && s->rest.p[n] == '=') n++;
    struct scanner after = *s;
    after.rest = str_sub(s->rest, n, s->rest.n);
    skip(&after, " \t");
    if (n > 0 && (after.rest.n == 0 || after.rest.p[0] == ',')) s->rest = after.rest;
}

struct parse {
    struct scanner s;
    struct auth_challenge *out;
    bool in_bearer; /* parameters belong to the first Bearer challenge */
    bool bearer_seen;
};

static void param_set(struct parse *p, struct str name, struct str value) {
    const struct {
        struct str name;
        struct str *at;
    } known[] = {{STR("realm"), &p->out->realm},
                 {STR("service"), &p->out->service},
                 {STR("scope"), &p->out->scope},
                 {STR("error"), &p->out->error}};
    for (size_t i = 0; i < COUNT(known); i++)
        if (str_eq_nocase(name, known[i].name)) *known[i].at = value;
}

static void scheme_begin(struct parse *p, struct str scheme) {
    p->in_bearer = false;
    if (str_eq_nocase(scheme, STR("basic"))) p->out->basic = true;
    if (!str_eq_nocase(scheme, STR("bearer")) || p->bearer_seen) return;
    p->bearer_seen = p->in_bearer = true;
}

static int one_word(struct parse *p) {
    struct scanner *s = &p->s;
    struct str word = take_token(s);
    if (word.n == 0) return invalid(s, "an unexpected character");
    struct scanner at_word_end = *s;
    skip(s, " \t");
    if (s->rest.n > 0 && s->rest.p[0] == '=') {
        struct str value = STR_NONE;
        s->rest = str_sub(s->rest, 1, s->rest.n);
        skip(s, " \t");
        if (take_value(s, &value) < 0) return -1;
        if (p->in_bearer) param_set(p, word, value);
        return 0;
    }
    scheme_begin(p, word);
    if (at_word_end.rest.n > s->rest.n) skip_token68(s);
    return 0;
}

int auth_challenge_add(struct arena *a, struct str header, struct auth_challenge *c,
                       struct err *e) {
    struct auth_challenge found = *c;
    struct parse p = {
        .s = {.a = a, .rest = header, .e = e}, .out = &found, .bearer_seen = c->realm.n > 0};
    skip(&p.s, " \t,");
    for (unsigned words = 0; p.s.rest.n > 0; words++) {
        if (words >= AUTH_CHALLENGE_PARAMS_MAX)
            return err_set(e, ERR_LIMIT,
                           "the registry's WWW-Authenticate header has more than %d parts",
                           AUTH_CHALLENGE_PARAMS_MAX);
        if (one_word(&p) < 0) return -1;
        skip(&p.s, " \t,");
    }
    found.bearer = found.realm.n > 0;
    *c = found;
    return 0;
}
