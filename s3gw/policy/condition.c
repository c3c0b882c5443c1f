/* SPDX-License-Identifier: Apache-2.0 — condition.c: the operators of conditions.
 *
 * A value of the request passes when it matches one of the document's values; with a negated
 * operator, when it matches none. Over several values of one key: ForAnyValue wants one that
 * passes, ForAllValues all; the negation is inside. Without a quantifier one must pass, with a
 * negated operator all. A key that the request does not have fails, but passes with IfExists,
 * ForAllValues and the negated operators (not under ForAnyValue). Source: IAM user guide, "IAM JSON
 * policy elements: Condition operators". */
#include "s3gw/date.h"
#include "s3gw/policy/policy_internal.h"

#include <arpa/inet.h>

static const struct {
    const char *name;
    enum compare compare;
    enum order order;
    bool negated;
} operators[] = {
    {"StringEquals", COMPARE_STRING, ORDER_EQUAL, false},
    {"StringNotEquals", COMPARE_STRING, ORDER_EQUAL, true},
    {"StringEqualsIgnoreCase", COMPARE_STRING_NOCASE, ORDER_EQUAL, false},
    {"StringNotEqualsIgnoreCase", COMPARE_STRING_NOCASE, ORDER_EQUAL, true},
    {"StringLike", COMPARE_LIKE, ORDER_EQUAL, false},
    {"StringNotLike", COMPARE_LIKE, ORDER_EQUAL, true},
    {"ArnEquals", COMPARE_LIKE, ORDER_EQUAL, false},
    {"ArnNotEquals", COMPARE_LIKE, ORDER_EQUAL, true},
    {"ArnLike", COMPARE_LIKE, ORDER_EQUAL, false},
    {"ArnNotLike", COMPARE_LIKE, ORDER_EQUAL, true},
    {"NumericEquals", COMPARE_NUMBER, ORDER_EQUAL, false},
    {"NumericNotEquals", COMPARE_NUMBER, ORDER_EQUAL, true},
    {"NumericLessThan", COMPARE_NUMBER, ORDER_LESS, false},
    {"NumericLessThanEquals", COMPARE_NUMBER, ORDER_LESS_EQUAL, false},
    {"NumericGreaterThan", COMPARE_NUMBER, ORDER_GREATER, false},
    {"NumericGreaterThanEquals", COMPARE_NUMBER, ORDER_GREATER_EQUAL, false},
    {"DateEquals", COMPARE_DATE, ORDER_EQUAL, false},
    {"DateNotEquals", COMPARE_DATE, ORDER_EQUAL, true},
    {"DateLessThan", COMPARE_DATE, ORDER_LESS, false},
    {"DateLessThanEquals", COMPARE_DATE, ORDER_LESS_EQUAL, false},
    {"DateGreaterThan", COMPARE_DATE, ORDER_GREATER, false},
    {"DateGreaterThanEquals", COMPARE_DATE, ORDER_GREATER_EQUAL, false},
    {"Bool", COMPARE_BOOL, ORDER_EQUAL, false},
    {"IpAddress", COMPARE_IP, ORDER_EQUAL, false},
    {"NotIpAddress", COMPARE_IP, ORDER_EQUAL, true},
    {"Null", COMPARE_NULL, ORDER_EQUAL, false},
};

/* What the gateway knows about a request, or will: docs name who fills them in. */
static const char *const known_keys[] = {
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalType",
    "aws:Referer",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:userid",
    "aws:username",
    "s3:LocationConstraint",
    "s3:RequestObjectTagKeys",
    "s3:TlsVersion",
    "s3:VersionId",
    "s3:authType",
    "s3:delimiter",
    "s3:if-match",
    "s3:if-none-match",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:prefix",
    "s3:signatureAge",
    "s3:signatureversion",
    "s3:x-amz-acl",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-object-ownership",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
};
static const char *const known_prefixes[] = {"s3:ExistingObjectTag/", "s3:RequestObjectTag/"};

bool condition_key_known(struct str key) {
    for (size_t i = 0; i < COUNT(known_keys); i++)
        if (str_eq_nocase(key, str_of(known_keys[i]))) return true;
    for (size_t i = 0; i < COUNT(known_prefixes); i++) {
        struct str prefix = str_of(known_prefixes[i]);
        if (key.n > prefix.n && str_eq_nocase(str_sub(key, 0, prefix.n), prefix)) return true;
    }
    return false;
}

static bool strip_prefix(struct str *s, struct str prefix) {
    if (!str_starts(*s, prefix)) return false;
    *s = str_sub(*s, prefix.n, s->n);
    return true;
}

int condition_operator(struct str name, struct condition *out) {
    struct condition c = {0};
    if (strip_prefix(&name, STR("ForAnyValue:")))
        c.quantifier = QUANTIFIER_ANY;
    else if (strip_prefix(&name, STR("ForAllValues:")))
        c.quantifier = QUANTIFIER_ALL;
    c.if_exists = str_ends(name, STR("IfExists"));
    if (c.if_exists) name.n -= strlen("IfExists");
    for (size_t i = 0; i < COUNT(operators); i++) {
        if (!str_eq(name, str_of(operators[i].name))) continue;
        c.compare = operators[i].compare;
        c.order = operators[i].order;
        c.negated = operators[i].negated;
        if (c.compare == COMPARE_NULL && (c.if_exists || c.quantifier)) return -1;
        *out = c;
        return 0;
    }
    return -1;
}

/* An address as 16 bytes (IPv4 mapped) and how many of its bits count. */
struct net {
    uint8_t bytes[16];
    unsigned bits;
};

static int parse_net(struct str text, struct net *out) {
    char address[INET6_ADDRSTRLEN];
    struct net n = {.bits = 128};
    uint64_t bits = 0;
    ptrdiff_t slash = str_find(text, '/');
    struct str host = slash < 0 ? text : str_sub(text, 0, (size_t)slash);
    if (host.n >= sizeof address || memchr(host.p ? host.p : "", '\0', host.n)) return -1;
    if (host.n) memcpy(address, host.p, host.n);
    address[host.n] = '\0';
    bool v4 = inet_pton(AF_INET, address, n.bytes + 12) == 1;
    if (v4)
        n.bytes[10] = n.bytes[11] = 0xff;
    else if (inet_pton(AF_INET6, address, n.bytes) != 1)
        return -1;
    if (slash >= 0) {
        struct str length = str_sub(text, (size_t)slash + 1, text.n);
        if (str_u64(length, &bits) < 0 || bits > (v4 ? 32U : 128U)) return -1;
        n.bits = (unsigned)bits + (v4 ? 96 : 0);
    }
    *out = n;
    return 0;
}

static bool in_net(const struct net *net, const struct net *host) {
    unsigned whole = net->bits / 8;
    unsigned rest = net->bits % 8;
    if (memcmp(net->bytes, host->bytes, whole) != 0) return false;
    if (rest == 0) return true;
    return ((net->bytes[whole] ^ host->bytes[whole]) >> (8 - rest)) == 0;
}

static int parse_bool(struct str s, bool *out) {
    bool yes = str_eq_nocase(s, STR("true"));
    if (!yes && !str_eq_nocase(s, STR("false"))) return -1;
    *out = yes;
    return 0;
}

/* A date may be seconds since the epoch too. */
static int parse_date(struct str s, int64_t *out) {
    if (date_parse_iso(s, out) == 0) return 0;
    return str_i64(s, out) < 0 ? -1 : 0;
}

static bool ordered(enum order order, int64_t value, int64_t want) {
    switch (order) {
    case ORDER_EQUAL: return value == want;
    case ORDER_LESS: return value < want;
    case ORDER_LESS_EQUAL: return value <= want;
    case ORDER_GREATER: return value > want;
    case ORDER_GREATER_EQUAL: return value >= want;
    }
    return false;
}

bool condition_value_valid(const struct condition *c, struct str value) {
    struct net net;
    int64_t number = 0;
    bool yes = false;
    switch (c->compare) {
    case COMPARE_STRING:
    case COMPARE_STRING_NOCASE:
    case COMPARE_LIKE: return true;
    case COMPARE_NUMBER: return str_i64(value, &number) == 0;
    case COMPARE_DATE: return parse_date(value, &number) == 0;
    case COMPARE_BOOL:
    case COMPARE_NULL: return parse_bool(value, &yes) == 0;
    case COMPARE_IP: return parse_net(value, &net) == 0;
    }
    return false;
}

static bool matches(struct evaluation *ev, const struct condition *c, struct str want,
                    struct str value) {
    int64_t a = 0;
    int64_t b = 0;
    bool x = false;
    bool y = false;
    struct net net;
    struct net host;
    switch (c->compare) {
    case COMPARE_STRING: return pattern_match(ev, PATTERN_LITERAL, want, value);
    case COMPARE_STRING_NOCASE: return pattern_match(ev, PATTERN_LITERAL_NOCASE, want, value);
    case COMPARE_LIKE: return pattern_match(ev, PATTERN_WILD, want, value);
    case COMPARE_NUMBER:
        return str_i64(want, &a) == 0 && str_i64(value, &b) == 0 && ordered(c->order, b, a);
    case COMPARE_DATE:
        return parse_date(want, &a) == 0 && parse_date(value, &b) == 0 && ordered(c->order, b, a);
    case COMPARE_BOOL: return parse_bool(want, &x) == 0 && parse_bool(value, &y) == 0 && x == y;
    case COMPARE_IP:
        return parse_net(want, &net) == 0 && parse_net(value, &host) == 0 && in_net(&net, &host);
    case COMPARE_NULL: break;
    }
    return false;
}

static bool passes(struct evaluation *ev, const struct condition *c, struct str value) {
    if (value.n > POLICY_VALUE_MAX) {
        ev->failed = true;
        return false;
    }
    for (size_t i = 0; i < c->values.count; i++)
        if (matches(ev, c, c->values.at[i], value)) return !c->negated;
    return c->negated;
}

static bool null_holds(const struct condition *c, bool present) {
    for (size_t i = 0; i < c->values.count; i++) {
        bool want = false;
        if (parse_bool(c->values.at[i], &want) == 0 && want == !present) return true;
    }
    return false;
}

bool condition_holds(struct evaluation *ev, const struct condition *c) {
    const struct policy_question *q = ev->q;
    size_t values = 0;
    size_t passed = 0;
    for (size_t i = 0; i < q->context_count; i++) {
        if (!str_eq_nocase(q->context[i].name, c->key)) continue;
        values++;
        if (c->compare != COMPARE_NULL) passed += passes(ev, c, q->context[i].value);
    }
    if (c->compare == COMPARE_NULL) return null_holds(c, values > 0);
    if (values == 0)
        return c->if_exists || c->quantifier == QUANTIFIER_ALL ||
               (c->negated && c->quantifier == QUANTIFIER_NONE);
    bool all = c->quantifier == QUANTIFIER_ALL || (c->negated && c->quantifier == QUANTIFIER_NONE);
    return all ? passed == values : passed > 0;
}
