/* SPDX-License-Identifier: Apache-2.0 — website.c: the document and its redirects.
 *
 * A rule applies when its prefix and its error both do; a rule with an error is asked only after
 * the object gave one, a rule without one only before. The first that applies is used. A Location
 * is always absolute, "scheme://host/key": hosts are checked to be names, keys are encoded, so
 * neither can begin another header or lead to another host. */
#include "s3gw/config/website.h"

#include "s3gw/uri.h"
#include "s3gw/xml_out.h"

#include <errno.h>

static const char *const PROTOCOLS[] = {"http", "https", NULL};
static const struct element_rule RULES[] = {{"RedirectAllRequestsTo", 0, 1, false},
                                            {"IndexDocument", 0, 1, false},
                                            {"ErrorDocument", 0, 1, false},
                                            {"RoutingRules", 0, 1, false},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "WebsiteConfiguration", .rules = RULES};
static const struct element_rule ALL_RULES[] = {
    {"HostName", 1, 1, true}, {"Protocol", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule INDEX_RULES[] = {{"Suffix", 1, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule ERROR_RULES[] = {{"Key", 1, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule ROUTING_RULES[] = {{"RoutingRule", 1, ELEMENT_ANY_COUNT, false},
                                                    {NULL, 0, 0, false}};
static const struct element_rule RULE_RULES[] = {
    {"Condition", 0, 1, false}, {"Redirect", 1, 1, false}, {NULL, 0, 0, false}};
static const struct element_rule CONDITION_RULES[] = {{"KeyPrefixEquals", 0, 1, true},
                                                      {"HttpErrorCodeReturnedEquals", 0, 1, true},
                                                      {NULL, 0, 0, false}};
static const struct element_rule REDIRECT_RULES[] = {{"HostName", 0, 1, true},
                                                     {"Protocol", 0, 1, true},
                                                     {"ReplaceKeyPrefixWith", 0, 1, true},
                                                     {"ReplaceKeyWith", 0, 1, true},
                                                     {"HttpRedirectCode", 0, 1, true},
                                                     {NULL, 0, 0, false}};

static bool is_host(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && (!c || !strchr(".-_:[]", c))) return false;
    }
    return s.n > 0 && s.n <= WEBSITE_HOST_MAX;
}

static int check_key(struct str key, const char *what, struct s3_error *x) {
    if (key.n <= WEBSITE_KEY_MAX) return 0;
    return s3_fail_with(x, S3_INVALID_ARGUMENT, "%s is longer than %d bytes", what,
                        WEBSITE_KEY_MAX);
}

/* HostName and Protocol, which both kinds of redirects have. */
static int parse_target(const struct element *e, struct website_redirect *r, struct s3_error *x) {
    r->host = element_text(e, "HostName");
    if (r->host.p && !is_host(r->host))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "HostName is not the name of a host");
    r->protocol = element_text(e, "Protocol");
    if (r->protocol.p && element_choice(e, "Protocol", PROTOCOLS, x) < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Invalid protocol, protocol can be http or https. If not defined the "
                            "protocol will be selected automatically.");
    return 0;
}

static int parse_redirect(const struct element *e, struct website_redirect *r, struct s3_error *x) {
    uint64_t code = 301;
    if (element_check(e, REDIRECT_RULES, x) < 0 || parse_target(e, r, x) < 0) return -1;
    if (!e->first) return s3_fail_with(x, S3_MALFORMED_XML, "a Redirect has at least one element");
    r->prefix = element_text(e, "ReplaceKeyPrefixWith");
    r->key = element_text(e, "ReplaceKeyWith");
    r->has_prefix = r->prefix.p;
    r->has_key = r->key.p;
    if (r->has_prefix && r->has_key)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.");
    if (check_key(r->prefix, "ReplaceKeyPrefixWith", x) < 0 ||
        check_key(r->key, "ReplaceKeyWith", x) < 0)
        return -1;
    if (element_u64(e, "HttpRedirectCode", &code, x) < 0) return -1;
    if (code <= 300 || code > 399)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The provided HTTP redirect code (%llu) is not valid. Valid codes are "
                            "3XX except 300.",
                            (unsigned long long)code);
    r->status = (unsigned)code;
    return 0;
}

static int parse_condition(const struct element *e, struct website_rule *r, struct s3_error *x) {
    uint64_t error = 0;
    if (!e) return 0;
    if (element_check(e, CONDITION_RULES, x) < 0) return -1;
    if (!e->first) return s3_fail_with(x, S3_MALFORMED_XML, "a Condition has at least one element");
    r->has_condition = true;
    r->prefix = element_text(e, "KeyPrefixEquals");
    r->has_prefix = r->prefix.p;
    if (check_key(r->prefix, "KeyPrefixEquals", x) < 0) return -1;
    int has = element_u64(e, "HttpErrorCodeReturnedEquals", &error, x);
    if (has < 0) return -1;
    if (has && (error < 400 || error > 599))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The provided HTTP error code (%llu) is not valid. Valid codes are 4XX "
                            "or 5XX.",
                            (unsigned long long)error);
    r->error = (unsigned)error;
    return 0;
}

static int parse_rules(struct arena *a, const struct element *e, struct website *s,
                       struct s3_error *x) {
    if (!e) return 0;
    if (element_check(e, ROUTING_RULES, x) < 0) return -1;
    size_t count = element_count(e, "RoutingRule");
    if (count > WEBSITE_RULES_MAX)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "%zu routing rules provided, the number of routing rules in a website "
                            "configuration is limited to %d.",
                            count, WEBSITE_RULES_MAX);
    struct website_rule *rules = arena_array(a, count, sizeof *rules);
    if (!rules) return element_no_memory(x);
    s->rules = rules;
    for (const struct element *c = e->first; c; c = c->next) {
        struct website_rule *r = &rules[s->count++];
        if (element_check(c, RULE_RULES, x) < 0) return -1;
        if (parse_condition(element_child(c, "Condition"), r, x) < 0) return -1;
        if (parse_redirect(element_child(c, "Redirect"), &r->to, x) < 0) return -1;
    }
    return 0;
}

static int parse_documents(const struct element *root, struct website *s, struct s3_error *x) {
    const struct element *index = element_child(root, "IndexDocument");
    const struct element *error = element_child(root, "ErrorDocument");
    if (!index)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "A value for IndexDocument Suffix must be provided if "
                            "RedirectAllRequestsTo is empty");
    if (element_check(index, INDEX_RULES, x) < 0) return -1;
    s->index = element_text(index, "Suffix");
    if (s->index.n == 0 || str_find(s->index, '/') >= 0 || s->index.n > WEBSITE_KEY_MAX)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "The IndexDocument Suffix is not well formed");
    if (!error) return 0;
    if (element_check(error, ERROR_RULES, x) < 0) return -1;
    s->error_key = element_text(error, "Key");
    if (s->error_key.n == 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "The ErrorDocument Key is not well formed");
    return check_key(s->error_key, "The ErrorDocument Key", x);
}

static int parse_all(const struct element *root, const struct element *all, struct website *s,
                     struct s3_error *x) {
    if (root->first->next)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "RedirectAllRequestsTo cannot be provided in conjunction with other "
                            "Routing Rules.");
    if (element_check(all, ALL_RULES, x) < 0 || parse_target(all, &s->all, x) < 0) return -1;
    s->redirects_all = true;
    s->all.status = 301;
    return 0;
}

int website_parse(struct arena *a, struct str document, const struct website **out,
                  struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    struct website *s = arena_new(a, struct website);
    if (!s) return element_no_memory(x);
    const struct element *all = element_child(root, "RedirectAllRequestsTo");
    if (all) {
        if (parse_all(root, all, s, x) < 0) return -1;
    } else if (parse_documents(root, s, x) < 0 ||
               parse_rules(a, element_child(root, "RoutingRules"), s, x) < 0) {
        return -1;
    }
    *out = s;
    return 0;
}

static void write_target(struct xml_out *w, const struct website_redirect *r) {
    if (r->host.n) xml_out_str(w, "HostName", r->host);
    if (r->protocol.n) xml_out_str(w, "Protocol", r->protocol);
}

static void write_rule(struct xml_out *w, const struct website_rule *r) {
    xml_out_open(w, "RoutingRule");
    if (r->has_condition) {
        xml_out_open(w, "Condition");
        if (r->has_prefix) xml_out_str(w, "KeyPrefixEquals", r->prefix);
        if (r->error) xml_out_u64(w, "HttpErrorCodeReturnedEquals", r->error);
        xml_out_close(w);
    }
    xml_out_open(w, "Redirect");
    write_target(w, &r->to);
    if (r->to.has_prefix) xml_out_str(w, "ReplaceKeyPrefixWith", r->to.prefix);
    if (r->to.has_key) xml_out_str(w, "ReplaceKeyWith", r->to.key);
    xml_out_u64(w, "HttpRedirectCode", r->to.status);
    xml_out_close(w);
    xml_out_close(w);
}

static void write_documents(struct xml_out *w, const struct website *s) {
    xml_out_open(w, "IndexDocument");
    xml_out_str(w, "Suffix", s->index);
    xml_out_close(w);
    if (s->error_key.n) {
        xml_out_open(w, "ErrorDocument");
        xml_out_str(w, "Key", s->error_key);
        xml_out_close(w);
    }
    if (s->count == 0) return;
    xml_out_open(w, "RoutingRules");
    for (size_t i = 0; i < s->count; i++) write_rule(w, &s->rules[i]);
    xml_out_close(w);
}

int website_write(const struct website *s, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    if (s->redirects_all) {
        xml_out_open(&w, "RedirectAllRequestsTo");
        write_target(&w, &s->all);
        xml_out_close(&w);
    } else {
        write_documents(&w, s);
    }
    xml_out_close(&w);
    return xml_out_end(&w);
}

/* ---- evaluation ---- */

/* replaced: how many bytes at the start of the key the new prefix takes the place of. */
static int locate(const struct website_redirect *to, const struct website_question *q,
                  size_t replaced, struct buf *location) {
    struct str host = to->host.n ? to->host : q->host;
    struct str protocol = to->protocol.n ? to->protocol : q->protocol;
    struct str head = to->has_key ? to->key : to->prefix;
    struct str tail = to->has_key ? STR_NONE : q->key;
    if (to->has_prefix) tail = str_sub(tail, replaced, tail.n);
    if (buf_fmt(location, "%.*s://%.*s/", STR_ARG(protocol), STR_ARG(host)) < 0 ||
        uri_encode_path(location, head) < 0 || uri_encode_path(location, tail) < 0)
        return -ENOSPC;
    return 1;
}

int website_redirects(const struct website *s, const struct website_question *q,
                      struct buf *location, unsigned *out_status) {
    const struct website_redirect *to = s->redirects_all ? &s->all : NULL;
    size_t replaced = 0;
    for (size_t i = 0; !to && i < s->count; i++) {
        const struct website_rule *r = &s->rules[i];
        if (r->error != q->error || !str_starts(q->key, r->prefix)) continue;
        to = &r->to;
        replaced = r->prefix.n;
    }
    if (!to) return 0;
    *out_status = to->status;
    return locate(to, q, replaced, location);
}

struct str website_key(struct arena *a, const struct website *s, struct str key) {
    if (key.n && key.p[key.n - 1] != '/') return key;
    char *full = arena_fmt(a, "%.*s%.*s", STR_ARG(key), STR_ARG(s->index));
    return full ? str_make(full, key.n + s->index.n) : STR_NONE;
}
