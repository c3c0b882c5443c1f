/* SPDX-License-Identifier: Apache-2.0 — policy_evaluate.c: what a policy says about a request. */
#include "s3gw/policy/policy_internal.h"

/* "arn:aws:iam::ACCOUNT:root" stands for the account. */
static bool is_account_root(struct str arn, struct str account) {
    struct str prefix = STR("arn:aws:iam::");
    struct str suffix = STR(":root");
    if (!str_starts(arn, prefix) || !str_ends(arn, suffix)) return false;
    return arn.n >= prefix.n + suffix.n &&
           str_eq(str_sub(arn, prefix.n, arn.n - suffix.n), account);
}

static bool is_principal(const struct policy_question *q, const struct principal *p) {
    switch (p->kind) {
    case PRINCIPAL_EVERYBODY: return true;
    case PRINCIPAL_AWS:
        if (q->principal_arn.n && str_eq(p->value, q->principal_arn)) return true;
        return q->account.n &&
               (str_eq(p->value, q->account) || is_account_root(p->value, q->account));
    case PRINCIPAL_CANONICAL: return q->canonical_id.n && str_eq(p->value, q->canonical_id);
    case PRINCIPAL_OTHER: break; /* no request here comes from a service of AWS */
    }
    return false;
}

static bool names_principal(const struct evaluation *ev, const struct statement *s) {
    bool named = false;
    if (!ev->policy->of_bucket) return true;
    for (size_t i = 0; i < s->principal_count && !named; i++)
        named = is_principal(ev->q, &s->principals[i]);
    return named != s->not_principal;
}

static bool any_matches(struct evaluation *ev, const struct texts *patterns, enum pattern_kind kind,
                        struct str text) {
    for (size_t i = 0; i < patterns->count; i++)
        if (pattern_match(ev, kind, patterns->at[i], text)) return true;
    return false;
}

static bool applies(struct evaluation *ev, const struct statement *s) {
    if (!names_principal(ev, s)) return false;
    if (any_matches(ev, &s->actions, PATTERN_WILD_NOCASE, ev->q->action) == s->not_action)
        return false;
    if (any_matches(ev, &s->resources, PATTERN_WILD, ev->q->resource) == s->not_resource)
        return false;
    for (size_t i = 0; i < s->condition_count; i++)
        if (!condition_holds(ev, &s->conditions[i])) return false;
    return true;
}

enum policy_verdict policy_evaluate(const struct policy *p, const struct policy_question *q) {
    struct evaluation ev = {.policy = p, .q = q, .steps_left = POLICY_STEPS_MAX};
    bool allowed = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct statement *s = &p->statements[i];
        if (allowed && s->allow) continue;
        bool yes = applies(&ev, s);
        if (ev.failed || (yes && !s->allow)) return POLICY_DENY;
        allowed |= yes;
    }
    return allowed ? POLICY_ALLOW : POLICY_SILENT;
}

/* Conditions that hold for a fixed set of addresses or principals only. Source: Amazon S3 user
 * guide, "The meaning of 'public'". */
static bool narrows(const struct condition *c) {
    static const char *const keys[] = {"aws:SourceIp", "aws:PrincipalArn", "aws:PrincipalAccount",
                                       "aws:userid", "aws:username"};
    bool known = false;
    if (c->negated || c->if_exists || c->quantifier == QUANTIFIER_ALL || c->compare == COMPARE_NULL)
        return false;
    for (size_t i = 0; i < COUNT(keys); i++) known |= str_eq_nocase(c->key, str_of(keys[i]));
    for (size_t i = 0; known && i < c->values.count; i++) {
        struct str v = c->values.at[i];
        if (str_find(v, '*') >= 0 || str_find(v, '?') >= 0 || str_find(v, '$') >= 0 ||
            str_ends(v, STR("/0")))
            return false;
    }
    return known;
}

bool policy_is_public(const struct policy *p) {
    for (size_t i = 0; i < p->count; i++) {
        const struct statement *s = &p->statements[i];
        bool everybody = false;
        bool narrowed = false;
        for (size_t k = 0; k < s->principal_count; k++)
            everybody |= s->principals[k].kind == PRINCIPAL_EVERYBODY;
        for (size_t k = 0; k < s->condition_count; k++) narrowed |= narrows(&s->conditions[k]);
        if (s->allow && everybody && !narrowed) return true;
    }
    return false;
}
