/* SPDX-License-Identifier: Apache-2.0 — policy_parse.c: a document becomes a policy, or an error
 * that names the statement.
 *
 * Members that AWS does not know are errors, and so is everything that could not be evaluated
 * later: a misspelt operator, a key nobody fills in, a date that is none. Where AWS takes a value
 * or a list, both are taken. */
#include "base/json.h"
#include "s3gw/policy/policy_internal.h"

#define VALUES_MAX 8000

/* Where we are, for errors, and what is allowed there. */
struct reader {
    struct arena *a;
    struct str bucket; /* empty: a user's policy */
    size_t statement;  /* from 1 */
};

static int bad(const struct reader *r, struct err *e, const char *what) {
    return err_set(e, ERR_INVALID, "statement %zu of the policy: %s", r->statement, what);
}

static int full(struct err *e) { return err_set(e, ERR_LIMIT, "the policy has too many parts"); }

/* A scalar as text: conditions may hold numbers and booleans. */
static bool scalar(const struct json *v, bool only_text, struct str *out) {
    if (v->type == JSON_STRING)
        *out = v->text;
    else if (v->type == JSON_NUMBER && !only_text)
        *out = v->text;
    else if (v->type == JSON_BOOL && !only_text)
        *out = v->boolean ? STR("true") : STR("false");
    else
        return false;
    return out->n <= POLICY_TEXT_MAX;
}

/* A text or a list of them, at least one. */
static int read_texts(const struct reader *r, const struct json *v, bool only_text,
                      struct texts *out, struct err *e) {
    bool list = v->type == JSON_ARRAY;
    size_t count = list ? v->count : 1;
    if (count == 0) return bad(r, e, "an empty list");
    out->at = arena_array(r->a, count, sizeof *out->at);
    if (!out->at) return full(e);
    for (const struct json *m = list ? v->first : v; m; m = list ? m->next : NULL)
        if (!scalar(m, only_text, &out->at[out->count++]))
            return bad(r, e, "a value is no text, or too long");
    return 0;
}

static bool letters(struct str s, const char *more) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && !strchr(more, c)) return false;
        if (c == '\0') return false;
    }
    return s.n > 0;
}

static bool action_valid(const struct reader *r, struct str action) {
    if (str_eq(action, STR("*"))) return true;
    ptrdiff_t colon = str_find(action, ':');
    if (colon <= 0) return false;
    struct str service = str_sub(action, 0, (size_t)colon);
    if (r->bucket.n && !str_eq_nocase(service, STR("s3"))) return false;
    return letters(service, "-") && letters(str_sub(action, (size_t)colon + 1, action.n), "*?-");
}

static int read_actions(const struct reader *r, const struct json *v, struct statement *s,
                        struct err *e) {
    if (s->actions.count) return bad(r, e, "it has both Action and NotAction");
    if (read_texts(r, v, true, &s->actions, e) < 0) return -1;
    for (size_t i = 0; i < s->actions.count; i++)
        if (!action_valid(r, s->actions.at[i])) return bad(r, e, "it has an invalid action");
    return 0;
}

static bool resource_valid(const struct reader *r, struct str resource) {
    struct str prefix = STR("arn:aws:s3:::");
    if (!r->bucket.n)
        return str_eq(resource, STR("*")) || (str_starts(resource, STR("arn:")) && resource.n > 4);
    if (!str_starts(resource, prefix)) return false;
    struct str rest = str_sub(resource, prefix.n, resource.n);
    if (!str_starts(rest, r->bucket)) return false;
    return rest.n == r->bucket.n || strchr("/*?", rest.p[r->bucket.n]);
}

static int read_resources(const struct reader *r, const struct json *v, struct statement *s,
                          struct err *e) {
    if (s->resources.count) return bad(r, e, "it has both Resource and NotResource");
    if (read_texts(r, v, true, &s->resources, e) < 0) return -1;
    for (size_t i = 0; i < s->resources.count; i++)
        if (!resource_valid(r, s->resources.at[i]))
            return bad(r, e, "it has an invalid resource, or one outside of the bucket");
    return 0;
}

static int principal_kind(struct str name, enum principal_kind *out) {
    if (str_eq(name, STR("AWS")))
        *out = PRINCIPAL_AWS;
    else if (str_eq(name, STR("CanonicalUser")))
        *out = PRINCIPAL_CANONICAL;
    else if (str_eq(name, STR("Service")) || str_eq(name, STR("Federated")))
        *out = PRINCIPAL_OTHER;
    else
        return -1;
    return 0;
}

/* "*", an account, or an ARN without wildcards. */
static bool principal_valid(enum principal_kind kind, struct str value) {
    if (kind != PRINCIPAL_AWS) return value.n > 0 && str_find(value, '*') < 0;
    if (str_eq(value, STR("*"))) return true;
    if (str_find(value, '*') >= 0 || str_find(value, '?') >= 0) return false;
    return str_starts(value, STR("arn:aws:iam::")) || str_starts(value, STR("arn:aws:sts::")) ||
           letters(value, "-");
}

static int add_principals(const struct reader *r, const struct json *v, struct statement *s,
                          struct err *e) {
    enum principal_kind kind = PRINCIPAL_OTHER;
    struct texts values = {0};
    if (principal_kind(v->key, &kind) < 0) return bad(r, e, "unknown kind of principal");
    if (read_texts(r, v, true, &values, e) < 0) return -1;
    struct principal *all =
        arena_array(r->a, s->principal_count + values.count, sizeof *s->principals);
    if (!all) return full(e);
    for (size_t i = 0; i < s->principal_count; i++) all[i] = s->principals[i];
    for (size_t i = 0; i < values.count; i++) {
        if (!principal_valid(kind, values.at[i])) return bad(r, e, "it has an invalid principal");
        bool everybody = kind == PRINCIPAL_AWS && str_eq(values.at[i], STR("*"));
        all[s->principal_count + i] =
            (struct principal){everybody ? PRINCIPAL_EVERYBODY : kind, values.at[i]};
    }
    s->principals = all;
    s->principal_count += values.count;
    return 0;
}

static int read_principals(const struct reader *r, const struct json *v, struct statement *s,
                           struct err *e) {
    struct str text;
    if (!r->bucket.n) return bad(r, e, "a user's policy must not name principals");
    if (s->principal_count) return bad(r, e, "it has both Principal and NotPrincipal");
    if (json_str(v, &text) == 0) {
        if (!str_eq(text, STR("*"))) return bad(r, e, "it has an invalid principal");
        s->principals = arena_new(r->a, struct principal);
        if (!s->principals) return full(e);
        s->principals[0] = (struct principal){PRINCIPAL_EVERYBODY, text};
        s->principal_count = 1;
        return 0;
    }
    if (v->type != JSON_OBJECT || v->count == 0) return bad(r, e, "it has an invalid principal");
    for (const struct json *m = v->first; m; m = m->next)
        if (add_principals(r, m, s, e) < 0) return -1;
    return 0;
}

static int read_condition(const struct reader *r, const struct json *v, struct condition *c,
                          struct err *e) {
    c->key = v->key;
    if (!condition_key_known(v->key))
        return err_set(e, ERR_INVALID,
                       "statement %zu of the policy: the condition key '%.*s' is not known here",
                       r->statement, STR_ARG(str_sub(v->key, 0, 100)));
    if (read_texts(r, v, false, &c->values, e) < 0) return -1;
    for (size_t i = 0; i < c->values.count; i++)
        if (!condition_value_valid(c, c->values.at[i]))
            return bad(r, e, "a condition's value is none for its operator");
    return 0;
}

static int read_conditions(const struct reader *r, const struct json *v, struct statement *s,
                           struct err *e) {
    size_t count = 0;
    if (v->type != JSON_OBJECT) return bad(r, e, "Condition must be an object");
    for (const struct json *o = v->first; o; o = o->next) {
        if (o->type != JSON_OBJECT) return bad(r, e, "an operator must hold an object");
        count += o->count;
    }
    s->conditions = arena_array(r->a, count + 1, sizeof *s->conditions);
    if (!s->conditions) return full(e);
    for (const struct json *o = v->first; o; o = o->next) {
        struct condition c;
        if (condition_operator(o->key, &c) < 0)
            return err_set(e, ERR_INVALID,
                           "statement %zu of the policy: there is no condition operator '%.*s'",
                           r->statement, STR_ARG(str_sub(o->key, 0, 100)));
        for (const struct json *k = o->first; k; k = k->next) {
            s->conditions[s->condition_count] = c;
            if (read_condition(r, k, &s->conditions[s->condition_count++], e) < 0) return -1;
        }
    }
    return 0;
}

static int read_effect(const struct reader *r, const struct json *v, struct statement *s,
                       struct err *e) {
    struct str text;
    if (json_str(v, &text) < 0) return bad(r, e, "Effect must be Allow or Deny");
    s->allow = str_eq(text, STR("Allow"));
    return s->allow || str_eq(text, STR("Deny")) ? 0 : bad(r, e, "Effect must be Allow or Deny");
}

static int read_member(const struct reader *r, const struct json *m, struct statement *s,
                       struct err *e) {
    s->not_principal |= str_eq(m->key, STR("NotPrincipal"));
    s->not_action |= str_eq(m->key, STR("NotAction"));
    s->not_resource |= str_eq(m->key, STR("NotResource"));
    if (str_eq(m->key, STR("Effect"))) return read_effect(r, m, s, e);
    if (str_eq(m->key, STR("Action")) || str_eq(m->key, STR("NotAction")))
        return read_actions(r, m, s, e);
    if (str_eq(m->key, STR("Resource")) || str_eq(m->key, STR("NotResource")))
        return read_resources(r, m, s, e);
    if (str_eq(m->key, STR("Principal")) || str_eq(m->key, STR("NotPrincipal")))
        return read_principals(r, m, s, e);
    if (str_eq(m->key, STR("Condition"))) return read_conditions(r, m, s, e);
    if (str_eq(m->key, STR("Sid")))
        return json_str(m, &s->sid) < 0 ? bad(r, e, "Sid must be a text") : 0;
    return err_set(e, ERR_INVALID, "statement %zu of the policy: unknown member '%.*s'",
                   r->statement, STR_ARG(str_sub(m->key, 0, 100)));
}

static int read_statement(const struct reader *r, const struct json *v, struct statement *s,
                          struct err *e) {
    if (v->type != JSON_OBJECT) return bad(r, e, "it is no object");
    for (const struct json *m = v->first; m; m = m->next)
        if (read_member(r, m, s, e) < 0) return -1;
    if (!json_get(v, "Effect")) return bad(r, e, "Effect is missing");
    if (!s->actions.count) return bad(r, e, "Action is missing");
    if (!s->resources.count) return bad(r, e, "Resource is missing");
    if (r->bucket.n && !s->principal_count) return bad(r, e, "Principal is missing");
    if (s->not_principal && s->allow)
        return bad(r, e, "NotPrincipal with Allow would let everybody else in");
    return 0;
}

static int read_statements(struct reader *r, const struct json *v, struct policy *p,
                           struct err *e) {
    bool list = v->type == JSON_ARRAY;
    size_t count = list ? v->count : 1;
    if (count == 0) return err_set(e, ERR_INVALID, "the policy has no statement");
    if (count > POLICY_STATEMENTS_MAX)
        return err_set(e, ERR_LIMIT, "the policy has more than %d statements",
                       POLICY_STATEMENTS_MAX);
    p->statements = arena_array(r->a, count, sizeof *p->statements);
    if (!p->statements) return full(e);
    for (const struct json *m = list ? v->first : v; m; m = list ? m->next : NULL) {
        struct statement *s = &p->statements[p->count];
        r->statement = ++p->count;
        if (read_statement(r, m, s, e) < 0) return -1;
        for (size_t i = 0; s->sid.n && i + 1 < p->count; i++)
            if (str_eq(p->statements[i].sid, s->sid)) return bad(r, e, "its Sid is another's");
    }
    return 0;
}

static int read_top(struct reader *r, const struct json *m, struct policy *p, struct err *e) {
    struct str text = STR_NONE;
    if (str_eq(m->key, STR("Statement"))) return read_statements(r, m, p, e);
    bool is_version = str_eq(m->key, STR("Version"));
    if (!is_version && !str_eq(m->key, STR("Id")))
        return err_set(e, ERR_INVALID, "the policy has an unknown member '%.*s'",
                       STR_ARG(str_sub(m->key, 0, 100)));
    if (json_str(m, &text) < 0)
        return err_set(e, ERR_INVALID, "Version and Id of the policy must be texts");
    if (!is_version) return 0;
    p->variables = str_eq(text, STR("2012-10-17"));
    if (p->variables || str_eq(text, STR("2008-10-17"))) return 0;
    return err_set(e, ERR_INVALID, "the policy's Version must be 2012-10-17 or 2008-10-17");
}

int policy_parse(struct arena *a, struct str document, struct str bucket, const struct policy **out,
                 struct err *e) {
    struct reader r = {a, bucket, 0};
    const struct json *root = NULL;
    struct json_limits limits = {.bytes_max = POLICY_BYTES_MAX, .values_max = VALUES_MAX};
    if (json_parse(a, document, limits, &root, e) < 0) return err_in(e, "the policy");
    if (root->type != JSON_OBJECT) return err_set(e, ERR_INVALID, "the policy is no JSON object");
    struct policy *p = arena_new(a, struct policy);
    if (!p) return full(e);
    p->of_bucket = bucket.n > 0;
    for (const struct json *m = root->first; m; m = m->next)
        if (read_top(&r, m, p, e) < 0) return -1;
    if (p->count == 0) return err_set(e, ERR_INVALID, "the policy has no Statement");
    *out = p;
    return 0;
}
