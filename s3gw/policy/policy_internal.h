/* SPDX-License-Identifier: Apache-2.0 — policy_internal.h: a policy in memory, and matching. */
#pragma once

#include "s3gw/policy/policy.h"

struct texts {
    struct str *at;
    size_t count;
};

enum principal_kind { PRINCIPAL_EVERYBODY, PRINCIPAL_AWS, PRINCIPAL_CANONICAL, PRINCIPAL_OTHER };
struct principal {
    enum principal_kind kind;
    struct str value;
};

enum compare {
    COMPARE_STRING,
    COMPARE_STRING_NOCASE,
    COMPARE_LIKE,
    COMPARE_NUMBER,
    COMPARE_DATE,
    COMPARE_BOOL,
    COMPARE_IP,
    COMPARE_NULL,
};
enum order { ORDER_EQUAL, ORDER_LESS, ORDER_LESS_EQUAL, ORDER_GREATER, ORDER_GREATER_EQUAL };
enum quantifier { QUANTIFIER_NONE, QUANTIFIER_ANY, QUANTIFIER_ALL };

struct condition {
    enum compare compare;
    enum order order;
    enum quantifier quantifier;
    bool negated, if_exists;
    struct str key;
    struct texts values;
};

struct statement {
    bool allow;
    bool not_principal, not_action, not_resource;
    struct principal *principals;
    size_t principal_count;
    struct texts actions, resources;
    struct condition *conditions;
    size_t condition_count;
    struct str sid;
};

struct policy {
    bool variables; /* version 2012-10-17: "${aws:username}" is one */
    bool of_bucket;
    struct statement *statements;
    size_t count;
};

/* One evaluation: the question and how much may still be spent on it. */
struct evaluation {
    const struct policy *policy;
    const struct policy_question *q;
    uint64_t steps_left;
    bool failed; /* a limit was reached: the verdict is POLICY_DENY */
};

/* pattern.c */
enum pattern_kind { PATTERN_LITERAL, PATTERN_WILD, PATTERN_WILD_NOCASE, PATTERN_LITERAL_NOCASE };
/* Replaces variables, then matches the whole text. A variable without a value matches nothing. */
bool pattern_match(struct evaluation *ev, enum pattern_kind kind, struct str pattern,
                   struct str text);
/* The first value of a context key, or .p NULL. */
struct str context_value(const struct policy_question *q, struct str key);

/* condition.c */
/* Splits "ForAnyValue:StringLikeIfExists". 0, or -1 when there is no such operator. */
int condition_operator(struct str name, struct condition *out) MUST_CHECK;
bool condition_key_known(struct str key);
/* A value that the operator could never compare with is an error of the document. */
bool condition_value_valid(const struct condition *c, struct str value);
bool condition_holds(struct evaluation *ev, const struct condition *c);
