/* SPDX-License-Identifier: Apache-2.0 — cors.c: rules, and the headers they give.
 *
 * A rule fits when the origin is one of its patterns, the method one of its methods, and, in a
 * preflight, each header that is asked for one of its patterns. The origin that is given back is
 * the request's own, unless the pattern is "*" alone: then no credentials are allowed with it.
 * What a document puts into a reply (ExposeHeader, AllowedHeader) is checked to be tokens, so that
 * it can add no header; what a request puts there (Origin, header names) is checked as well. */
#include "s3gw/config/cors.h"

#include "s3gw/xml_out.h"

#include <errno.h>

static const struct {
    const char *name;
    enum cors_method bit;
} METHODS[] = {{"GET", CORS_GET},
               {"PUT", CORS_PUT},
               {"POST", CORS_POST},
               {"DELETE", CORS_DELETE},
               {"HEAD", CORS_HEAD}};
static const struct xml_limits LIMITS = {
    .bytes_max = CORS_BYTES_MAX, .elements_max = 20000, .text_max = 4096};
static const struct element_rule RULES[] = {{"CORSRule", 1, CORS_RULES_MAX, false},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {
    .root = "CORSConfiguration", .rules = RULES, .limits = &LIMITS};
static const struct element_rule RULE_RULES[] = {{"ID", 0, 1, true},
                                                 {"AllowedOrigin", 1, ELEMENT_ANY_COUNT, true},
                                                 {"AllowedMethod", 1, ELEMENT_ANY_COUNT, true},
                                                 {"AllowedHeader", 0, ELEMENT_ANY_COUNT, true},
                                                 {"ExposeHeader", 0, ELEMENT_ANY_COUNT, true},
                                                 {"MaxAgeSeconds", 0, 1, true},
                                                 {NULL, 0, 0, false}};

static unsigned method_bit(struct str name) {
    for (size_t i = 0; i < COUNT(METHODS); i++)
        if (str_eq(name, str_of(METHODS[i].name))) return METHODS[i].bit;
    return 0;
}

/* A token of RFC 9110 section 5.6.2; '*' is one of its characters. */
static bool is_token(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", s.p[i])) return false;
    return s.n > 0;
}

static bool is_visible(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return s.n > 0;
}

/* ---- documents ---- */

enum text_kind { TEXT_ORIGIN, TEXT_HEADER, TEXT_EXPOSED };

static int check_text(enum text_kind kind, struct str s, struct s3_error *x) {
    static const char *const NAMES[] = {"AllowedOrigin", "AllowedHeader", "ExposeHeader"};
    ptrdiff_t star = str_find(s, '*');
    if (kind == TEXT_EXPOSED && star >= 0)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "ExposeHeader \"%.*s\" contains wildcard. We currently do not support "
                            "wildcard for ExposeHeader.",
                            STR_ARG(s));
    if (star >= 0 && str_rfind(s, '*') != star)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "%s \"%.*s\" can not have more than one wildcard.", NAMES[kind],
                            STR_ARG(s));
    if (kind == TEXT_ORIGIN ? !is_visible(s) : !is_token(s))
        return s3_fail_with(x, S3_INVALID_REQUEST, "%s \"%.*s\" contains invalid characters.",
                            NAMES[kind], STR_ARG(s));
    return 0;
}

static int parse_texts(struct arena *a, const struct element *e, enum text_kind kind,
                       struct cors_texts *out, struct s3_error *x) {
    static const char *const NAMES[] = {"AllowedOrigin", "AllowedHeader", "ExposeHeader"};
    struct str *at = arena_array(a, element_count(e, NAMES[kind]), sizeof *at);
    size_t n = 0;
    if (!at) return element_no_memory(x);
    for (const struct element *c = element_child(e, NAMES[kind]); c;
         c = element_after(c, NAMES[kind])) {
        if (check_text(kind, c->text, x) < 0) return -1;
        at[n++] = c->text;
    }
    *out = (struct cors_texts){at, n};
    return 0;
}

static int parse_methods(const struct element *e, unsigned *out, struct s3_error *x) {
    for (const struct element *c = element_child(e, "AllowedMethod"); c;
         c = element_after(c, "AllowedMethod")) {
        unsigned bit = method_bit(c->text);
        if (!bit)
            return s3_fail_with(
                x, S3_INVALID_REQUEST,
                "Found unsupported HTTP method in CORS config. Unsupported method is %.*s",
                STR_ARG(c->text));
        *out |= bit;
    }
    return 0;
}

static int parse_rule(struct arena *a, const struct element *e, struct cors_rule *r,
                      struct s3_error *x) {
    uint64_t max_age = 0;
    if (element_check(e, RULE_RULES, x) < 0) return -1;
    struct str id = element_text(e, "ID");
    if (id.n > CORS_ID_CHARS_MAX)
        return s3_fail_with(x, S3_INVALID_REQUEST, "the ID of a CORSRule has at most %d characters",
                            CORS_ID_CHARS_MAX);
    r->id = id;
    if (parse_texts(a, e, TEXT_ORIGIN, &r->origins, x) < 0 ||
        parse_texts(a, e, TEXT_HEADER, &r->headers, x) < 0 ||
        parse_texts(a, e, TEXT_EXPOSED, &r->exposed, x) < 0 || parse_methods(e, &r->methods, x) < 0)
        return -1;
    int has = element_u64(e, "MaxAgeSeconds", &max_age, x);
    if (has < 0) return -1;
    if (max_age > INT32_MAX)
        return s3_fail_with(x, S3_MALFORMED_XML, "MaxAgeSeconds is at most %d", INT32_MAX);
    r->has_max_age = has == 1;
    r->max_age_s = (uint32_t)max_age;
    return 0;
}

int cors_parse(struct arena *a, struct str document, const struct cors **out, struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    struct cors *c = arena_new(a, struct cors);
    struct cors_rule *rules = arena_array(a, element_count(root, "CORSRule"), sizeof *rules);
    if (!c || !rules) return element_no_memory(x);
    c->rules = rules;
    for (const struct element *e = root->first; e; e = e->next)
        if (parse_rule(a, e, &rules[c->count++], x) < 0) return -1;
    *out = c;
    return 0;
}

static void write_texts(struct xml_out *w, const char *name, const struct cors_texts *t) {
    for (size_t i = 0; i < t->count; i++) xml_out_str(w, name, t->at[i]);
}

int cors_write(const struct cors *c, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    for (size_t i = 0; i < c->count; i++) {
        const struct cors_rule *r = &c->rules[i];
        xml_out_open(&w, "CORSRule");
        if (r->id.n) xml_out_str(&w, "ID", r->id);
        write_texts(&w, "AllowedOrigin", &r->origins);
        for (size_t m = 0; m < COUNT(METHODS); m++)
            if (r->methods & METHODS[m].bit) xml_out_c(&w, "AllowedMethod", METHODS[m].name);
        write_texts(&w, "AllowedHeader", &r->headers);
        if (r->has_max_age) xml_out_u64(&w, "MaxAgeSeconds", r->max_age_s);
        write_texts(&w, "ExposeHeader", &r->exposed);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    return xml_out_end(&w);
}

/* ---- evaluation ---- */

/* Headers match in any case, origins do not. */
static bool fits(enum text_kind kind, struct str pattern, struct str s) {
    bool (*eq)(struct str, struct str) = kind == TEXT_HEADER ? str_eq_nocase : str_eq;
    ptrdiff_t star = str_find(pattern, '*');
    if (star < 0) return eq(pattern, s);
    struct str head = str_sub(pattern, 0, (size_t)star);
    struct str tail = str_sub(pattern, (size_t)star + 1, pattern.n);
    return s.n >= head.n + tail.n && eq(head, str_sub(s, 0, head.n)) &&
           eq(tail, str_sub(s, s.n - tail.n, s.n));
}

static const struct str *find(const struct cors_texts *t, enum text_kind kind, struct str s) {
    for (size_t i = 0; i < t->count; i++)
        if (fits(kind, t->at[i], s)) return &t->at[i];
    return NULL;
}

static bool allows_headers(const struct cors_rule *r, struct str list) {
    struct str name = STR_NONE;
    size_t n = 0;
    while (str_next(&list, ',', &name)) {
        name = str_trim(name);
        if (name.n == 0) continue;
        if (++n > CORS_ASKED_HEADERS_MAX || !is_token(name)) return false;
        if (!find(&r->headers, TEXT_HEADER, name)) return false;
    }
    return true;
}

/* The first rule that fits; *out_pattern is the origin of it that did. */
static const struct cors_rule *rule_of(const struct cors *c, const struct cors_question *q,
                                       struct str *out_pattern) {
    unsigned bit = method_bit(q->method);
    if (!is_visible(q->origin) || q->headers.n > CORS_TEXT_MAX || q->origin.n > CORS_TEXT_MAX)
        return NULL;
    for (size_t i = 0; c && i < c->count; i++) {
        const struct cors_rule *r = &c->rules[i];
        const struct str *pattern = find(&r->origins, TEXT_ORIGIN, q->origin);
        if (!pattern || !(r->methods & bit) || !allows_headers(r, q->headers)) continue;
        *out_pattern = *pattern;
        return r;
    }
    return NULL;
}

static void give(struct cors_reply *reply, const char *name, struct str value) {
    reply->at[reply->count++] = (struct s3_pair){str_of(name), value};
}

static int join(struct buf *b, struct str s) {
    return (b->n && buf_str(b, STR(", ")) < 0) || buf_str(b, s) < 0 ? -ENOSPC : 0;
}

/* Adds what is in b as a header, in the arena; nothing when it is empty. */
static int give_joined(struct arena *a, struct cors_reply *reply, const char *name, struct buf *b) {
    if (b->n == 0) return 0;
    struct str value = arena_str(a, buf_view(b));
    if (!value.p) return -ENOSPC;
    give(reply, name, value);
    buf_clear(b);
    return 0;
}

static int give_methods(struct arena *a, const struct cors_rule *r, struct cors_reply *reply) {
    AUTO(buf_done) struct buf b = BUF(CORS_TEXT_MAX);
    for (size_t m = 0; m < COUNT(METHODS); m++)
        if ((r->methods & METHODS[m].bit) && join(&b, str_of(METHODS[m].name)) < 0) return -ENOSPC;
    return give_joined(a, reply, "Access-Control-Allow-Methods", &b);
}

static int give_asked(struct arena *a, struct str list, struct cors_reply *reply) {
    AUTO(buf_done) struct buf b = BUF(2 * CORS_TEXT_MAX);
    struct str name = STR_NONE;
    while (str_next(&list, ',', &name))
        if (str_trim(name).n && join(&b, str_trim(name)) < 0) return -ENOSPC;
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] >= 'A' && b.p[i] <= 'Z') b.p[i] = (char)(b.p[i] - 'A' + 'a');
    return give_joined(a, reply, "Access-Control-Allow-Headers", &b);
}

static int give_exposed(struct arena *a, const struct cors_rule *r, struct cors_reply *reply) {
    AUTO(buf_done) struct buf b = BUF(CORS_BYTES_MAX);
    for (size_t i = 0; i < r->exposed.count; i++)
        if (join(&b, r->exposed.at[i]) < 0) return -ENOSPC;
    return give_joined(a, reply, "Access-Control-Expose-Headers", &b);
}

static int fill(struct arena *a, const struct cors_rule *r, const struct cors_question *q,
                struct str pattern, struct cors_reply *out) {
    struct cors_reply reply = {.count = 0};
    bool is_any = str_eq(pattern, STR("*"));
    struct str origin = is_any ? STR("*") : arena_str(a, q->origin);
    if (!origin.p) return -ENOSPC;
    give(&reply, "Access-Control-Allow-Origin", origin);
    if (give_methods(a, r, &reply) < 0 || give_asked(a, q->headers, &reply) < 0 ||
        give_exposed(a, r, &reply) < 0)
        return -ENOSPC;
    if (r->has_max_age) {
        char *text = arena_fmt(a, "%u", r->max_age_s);
        if (!text) return -ENOSPC;
        give(&reply, "Access-Control-Max-Age", str_of(text));
    }
    if (!is_any) give(&reply, "Access-Control-Allow-Credentials", STR("true"));
    give(&reply, "Vary",
         STR("Origin, Access-Control-Request-Headers, Access-Control-Request-Method"));
    *out = reply;
    return 0;
}

int cors_simple(struct arena *a, const struct cors *c, const struct cors_question *q,
                struct cors_reply *out) {
    struct str pattern = STR_NONE;
    const struct cors_question simple = {q->origin, q->method, STR_NONE};
    const struct cors_rule *r = rule_of(c, &simple, &pattern);
    if (r) return fill(a, r, &simple, pattern, out);
    out->count = 0;
    return 0;
}

int cors_preflight(struct arena *a, const struct cors *c, const struct cors_question *q,
                   struct cors_reply *out, struct s3_error *x) {
    struct str pattern = STR_NONE;
    if (q->origin.n == 0)
        return s3_fail_with(x, S3_BAD_REQUEST,
                            "Insufficient information. Origin request header needed.");
    if (!method_bit(q->method))
        return s3_fail_with(x, S3_BAD_REQUEST, "Invalid Access-Control-Request-Method: %.*s",
                            STR_ARG(q->method));
    if (!c)
        return s3_fail_with(x, S3_ACCESS_FORBIDDEN,
                            "CORSResponse: CORS is not enabled for this bucket.");
    const struct cors_rule *r = rule_of(c, q, &pattern);
    if (!r)
        return s3_fail_with(x, S3_ACCESS_FORBIDDEN,
                            "CORSResponse: This CORS request is not allowed. This is usually "
                            "because the evaluation of Origin, request method / "
                            "Access-Control-Request-Method or Access-Control-Request-Headers are "
                            "not whitelisted by the resource's CORS spec.");
    return fill(a, r, q, pattern, out) < 0 ? element_no_memory(x) : 0;
}
