/* SPDX-License-Identifier: Apache-2.0 — element.c: builds the tree, looks into it. */
#include "s3gw/config/element.h"

struct builder {
    struct arena *a;
    struct element *open[XML_DEPTH_MAX + 1]; /* by depth; the root is at 1 */
    struct element *last[XML_DEPTH_MAX + 1]; /* newest child of open[depth] */
    struct element *root;
};

static int no_memory(struct err *e) {
    return err_set(e, ERR_LIMIT, "the document needs more memory than a request has");
}

int element_no_memory(struct s3_error *x) {
    return s3_fail_with(x, S3_MALFORMED_XML, "the document needs more memory than a request has");
}

static int on_open(void *user, const struct xml_at *at, struct err *e) {
    struct builder *b = user;
    struct element *new = arena_new(b->a, struct element);
    if (!new) return no_memory(e);
    new->name = arena_str(b->a, at->name);
    new->text = STR("");
    if (!new->name.p) return no_memory(e);
    struct str type = xml_attribute(at, "type");
    if (type.p) {
        new->type = arena_str(b->a, type);
        if (!new->type.p) return no_memory(e);
    }
    b->open[at->depth] = new;
    b->last[at->depth] = NULL;
    if (at->depth == 1) {
        b->root = new;
        return 0;
    }
    struct element *before = b->last[at->depth - 1];
    if (before)
        before->next = new;
    else
        b->open[at->depth - 1]->first = new;
    b->last[at->depth - 1] = new;
    return 0;
}

static int on_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct builder *b = user;
    if (text.n == 0) return 0;
    b->open[at->depth]->text = arena_str(b->a, text);
    return b->open[at->depth]->text.p ? 0 : no_memory(e);
}

static int check_form(const struct element *e, const struct element_rule *rule,
                      struct s3_error *x) {
    if (rule->is_leaf && e->first)
        return s3_fail_with(x, S3_MALFORMED_XML, "the element %s has no elements in it",
                            rule->name);
    if (!rule->is_leaf && !e->first && str_trim(e->text).n)
        return s3_fail_with(x, S3_MALFORMED_XML, "the element %s has no text in it", rule->name);
    return 0;
}

int element_check(const struct element *e, const struct element_rule *rules, struct s3_error *x) {
    for (const struct element *c = e->first; c; c = c->next) {
        const struct element_rule *rule = rules;
        while (rule->name && !str_eq(c->name, str_of(rule->name))) rule++;
        if (!rule->name)
            return s3_fail_with(x, S3_MALFORMED_XML, "the element %.*s may not be in %.*s",
                                STR_ARG(c->name), STR_ARG(e->name));
        if (check_form(c, rule, x) < 0) return -1;
    }
    for (const struct element_rule *rule = rules; rule->name; rule++) {
        size_t n =
            rule->min == 0 && rule->max == ELEMENT_ANY_COUNT ? 0 : element_count(e, rule->name);
        if (n < rule->min)
            return s3_fail_with(x, S3_MALFORMED_XML, "the element %.*s must have %u of %s",
                                STR_ARG(e->name), rule->min, rule->name);
        if (n > rule->max)
            return s3_fail_with(x, S3_MALFORMED_XML, "the element %.*s may have at most %u of %s",
                                STR_ARG(e->name), rule->max, rule->name);
    }
    return 0;
}

int element_parse(struct arena *a, struct str document, const struct element_schema *schema,
                  const struct element **out, struct s3_error *x) {
    struct builder b = {.a = a};
    struct xml_visitor visitor = {on_open, on_close, &b};
    struct err e = {0};
    if (xml_in_parse(document, schema->limits ? *schema->limits : XML_LIMITS, visitor, &e) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    const struct element_rule root = {schema->root, 1, 1, false};
    if (!str_eq(b.root->name, str_of(root.name)))
        return s3_fail_with(x, S3_MALFORMED_XML, "the document must be a %s", root.name);
    if (check_form(b.root, &root, x) < 0 || element_check(b.root, schema->rules, x) < 0) return -1;
    *out = b.root;
    return 0;
}

static const struct element *find(const struct element *from, const char *name) {
    while (from && !str_eq(from->name, str_of(name))) from = from->next;
    return from;
}

const struct element *element_child(const struct element *e, const char *name) {
    return find(e->first, name);
}

const struct element *element_after(const struct element *e, const char *name) {
    return find(e->next, name);
}

size_t element_count(const struct element *e, const char *name) {
    size_t n = 0;
    for (const struct element *c = element_child(e, name); c; c = element_after(c, name)) n++;
    return n;
}

struct str element_text(const struct element *e, const char *name) {
    const struct element *c = element_child(e, name);
    return c ? c->text : STR_NONE;
}

static int bad_value(const struct element *e, const char *name, struct s3_error *x) {
    return s3_fail_with(x, S3_MALFORMED_XML, "the element %s in %.*s has no valid value", name,
                        STR_ARG(e->name));
}

int element_u64(const struct element *e, const char *name, uint64_t *out, struct s3_error *x) {
    const struct element *c = element_child(e, name);
    if (!c) return 0;
    uint64_t value = 0;
    if (str_u64(c->text, &value) < 0) return bad_value(e, name, x);
    *out = value;
    return 1;
}

int element_bool(const struct element *e, const char *name, bool *out, struct s3_error *x) {
    const struct element *c = element_child(e, name);
    if (!c) return 0;
    bool yes = str_eq(c->text, STR("true")) || str_eq(c->text, STR("TRUE"));
    if (!yes && !str_eq(c->text, STR("false")) && !str_eq(c->text, STR("FALSE")))
        return bad_value(e, name, x);
    *out = yes;
    return 1;
}

int element_choice(const struct element *e, const char *name, const char *const *choices,
                   struct s3_error *x) {
    struct str text = element_text(e, name);
    for (int i = 0; text.p && choices[i]; i++)
        if (str_eq(text, str_of(choices[i]))) return i;
    return bad_value(e, name, x);
}
