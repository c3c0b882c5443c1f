/* SPDX-License-Identifier: Apache-2.0 — lifecycle_parse.c: the document of lifecycle.h.
 *
 * Each element is read by one function into the rule; what AWS forbids in combination (a date that
 * is no midnight, delete markers or uploads with a filter on tags or size, two predicates outside
 * of And) is checked where the parts are together. A rule without an ID gets a digest of the whole
 * document and its number: unique in it, and the same each time. */
#include "s3gw/config/lifecycle.h"

#include "base/digest.h"
#include "s3gw/date.h"
#include "s3gw/xml_out.h"

static const struct xml_limits LIMITS = {
    .bytes_max = 1 << 20, .elements_max = 50000, .text_max = 4096};
static const struct element_rule RULES[] = {{"Rule", 1, LIFECYCLE_RULES_MAX, false},
                                            {NULL, 0, 0, false}};
static const struct element_schema ROOT = {
    .root = "LifecycleConfiguration", .rules = RULES, .limits = &LIMITS};
static const struct element_rule RULE_RULES[] = {
    {"ID", 0, 1, true},
    {"Status", 1, 1, true},
    {"Filter", 0, 1, false},
    {"Prefix", 0, 1, true},
    {"Expiration", 0, 1, false},
    {"NoncurrentVersionExpiration", 0, 1, false},
    {"AbortIncompleteMultipartUpload", 0, 1, false},
    {"Transition", 0, ELEMENT_ANY_COUNT, false},
    {"NoncurrentVersionTransition", 0, ELEMENT_ANY_COUNT, false},
    {NULL, 0, 0, false}};
static const struct element_rule FILTER_RULES[] = {{"Prefix", 0, 1, true},
                                                   {"Tag", 0, 1, false},
                                                   {"And", 0, 1, false},
                                                   {"ObjectSizeGreaterThan", 0, 1, true},
                                                   {"ObjectSizeLessThan", 0, 1, true},
                                                   {NULL, 0, 0, false}};
static const struct element_rule AND_RULES[] = {{"Prefix", 0, 1, true},
                                                {"Tag", 0, ELEMENT_ANY_COUNT, false},
                                                {"ObjectSizeGreaterThan", 0, 1, true},
                                                {"ObjectSizeLessThan", 0, 1, true},
                                                {NULL, 0, 0, false}};
static const struct element_rule EXPIRATION_RULES[] = {{"Days", 0, 1, true},
                                                       {"Date", 0, 1, true},
                                                       {"ExpiredObjectDeleteMarker", 0, 1, true},
                                                       {NULL, 0, 0, false}};
static const struct element_rule NONCURRENT_RULES[] = {
    {"NoncurrentDays", 1, 1, true}, {"NewerNoncurrentVersions", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule ABORT_RULES[] = {{"DaysAfterInitiation", 1, 1, true},
                                                  {NULL, 0, 0, false}};
static const char *const STATUS[] = {"Enabled", "Disabled", NULL};

/* A number from 1 to max. 1, 0 when absent, -1. */
static int positive(const struct element *e, const char *name, uint32_t max, uint32_t *out,
                    struct s3_error *x) {
    uint64_t n = 0;
    struct str text = element_text(e, name);
    bool is_negative = text.n > 1 && text.p[0] == '-' && str_u64(str_sub(text, 1, text.n), &n) == 0;
    int has = is_negative ? 1 : element_u64(e, name, &n, x);
    if (has <= 0) return has;
    if (is_negative || n == 0 || n > max)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "'%s' for %.*s action must be a positive integer of at most %u", name,
                            STR_ARG(e->name), max);
    *out = (uint32_t)n;
    return 1;
}

static int parse_predicates(struct arena *a, const struct element *e, struct lifecycle_filter *f,
                            struct s3_error *x) {
    struct str prefix = element_text(e, "Prefix");
    f->has_prefix = prefix.p != NULL;
    f->prefix = prefix;
    if (prefix.n > LIFECYCLE_PREFIX_MAX)
        return s3_fail_with(x, S3_INVALID_REQUEST, "The maximum size of a prefix is %d.",
                            LIFECYCLE_PREFIX_MAX);
    if (tagging_of_element(a, e, LIFECYCLE_TAGS_MAX, &f->tags, x) < 0) {
        if (x->code != S3_MALFORMED_XML) x->code = S3_INVALID_REQUEST; /* as AWS calls it here */
        return -1;
    }
    int greater = element_u64(e, "ObjectSizeGreaterThan", &f->greater_than, x);
    int less = element_u64(e, "ObjectSizeLessThan", &f->less_than, x);
    if (greater < 0 || less < 0) return -1;
    f->has_greater = greater;
    f->has_less = less;
    if (less && (f->less_than == 0 || (greater && f->less_than <= f->greater_than)))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "'ObjectSizeLessThan' has to be a value greater than "
                            "'ObjectSizeGreaterThan'.");
    return 0;
}

static int parse_filter(struct arena *a, const struct element *rule, struct lifecycle_filter *f,
                        struct s3_error *x) {
    const struct element *e = element_child(rule, "Filter");
    const struct element *old = element_child(rule, "Prefix");
    if (!e == !old)
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "a Rule has either a Filter or, as it was before, a Prefix");
    if (old) {
        f->is_old_style = f->has_prefix = true;
        f->prefix = old->text;
        return old->text.n <= LIFECYCLE_PREFIX_MAX
                   ? 0
                   : s3_fail_with(x, S3_INVALID_REQUEST, "The maximum size of a prefix is %d.",
                                  LIFECYCLE_PREFIX_MAX);
    }
    if (element_check(e, FILTER_RULES, x) < 0) return -1;
    if (e->first && e->first->next)
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "a Filter has one predicate; several stand together in And");
    const struct element *and = element_child(e, "And");
    if (and&&element_check(and, AND_RULES, x) < 0) return -1;
    return parse_predicates(a, and? and : e, f, x);
}

/* A midnight; "2030-01-01" alone is one too. */
static int parse_date(struct arena *a, struct str text, int64_t *out_s, struct s3_error *x) {
    int64_t at_s = 0;
    if (text.n == 10) {
        char *full = arena_fmt(a, "%.*sT00:00:00Z", STR_ARG(text));
        if (!full) return element_no_memory(x);
        text = str_of(full);
    }
    if (date_parse_iso(text, &at_s) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "'Date' is not a date in ISO 8601 format");
    if (at_s % LIFECYCLE_DAY_S)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "'Date' must be at midnight GMT");
    *out_s = at_s;
    return 0;
}

static int parse_expiration(struct arena *a, const struct element *e, struct lifecycle_rule *r,
                            struct s3_error *x) {
    if (!e) return 0;
    if (element_check(e, EXPIRATION_RULES, x) < 0) return -1;
    if (!e->first || e->first->next)
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "Expiration has one of Days, Date, ExpiredObjectDeleteMarker");
    if (positive(e, "Days", LIFECYCLE_DAYS_MAX, &r->days, x) < 0) return -1;
    if (element_bool(e, "ExpiredObjectDeleteMarker", &r->expires_delete_markers, x) < 0) return -1;
    struct str date = element_text(e, "Date");
    r->has_date = date.p != NULL;
    return date.p ? parse_date(a, date, &r->date_s, x) : 0;
}

static int parse_others(const struct element *e, struct lifecycle_rule *r, struct s3_error *x) {
    const struct element *past = element_child(e, "NoncurrentVersionExpiration");
    const struct element *abort = element_child(e, "AbortIncompleteMultipartUpload");
    if (past) {
        if (element_check(past, NONCURRENT_RULES, x) < 0) return -1;
        if (positive(past, "NoncurrentDays", LIFECYCLE_DAYS_MAX, &r->noncurrent_days, x) < 0)
            return -1;
        if (positive(past, "NewerNoncurrentVersions", LIFECYCLE_NEWER_MAX, &r->newer_noncurrent,
                     x) < 0)
            return -1;
    }
    if (!abort) return 0;
    if (element_check(abort, ABORT_RULES, x) < 0) return -1;
    return positive(abort, "DaysAfterInitiation", LIFECYCLE_DAYS_MAX, &r->abort_days, x) < 0 ? -1
                                                                                             : 0;
}

static int check_together(const struct element *e, const struct lifecycle_rule *r,
                          struct s3_error *x) {
    const struct lifecycle_filter *f = &r->filter;
    bool is_narrow = f->tags.count || f->has_greater || f->has_less;
    if (!element_child(e, "Expiration") && !r->noncurrent_days && !r->abort_days)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "At least one action needs to be specified in a rule");
    if (is_narrow && r->expires_delete_markers)
        return s3_fail_with(
            x, S3_INVALID_REQUEST,
            "ExpiredObjectDeleteMarker cannot be specified with Tags or ObjectSize");
    if (is_narrow && r->abort_days)
        return s3_fail_with(
            x, S3_INVALID_REQUEST,
            "AbortIncompleteMultipartUpload cannot be specified with Tags or ObjectSize");
    if (f->is_old_style && r->newer_noncurrent)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "NewerNoncurrentVersions needs a rule with a Filter");
    return 0;
}

static int parse_rule(struct arena *a, const struct element *e, struct lifecycle_rule *r,
                      struct s3_error *x) {
    if (element_check(e, RULE_RULES, x) < 0) return -1;
    if (element_child(e, "Transition") || element_child(e, "NoncurrentVersionTransition"))
        return s3_fail_with(x, S3_NOT_IMPLEMENTED,
                            "transitions to other storage classes are not offered");
    r->id = element_text(e, "ID");
    if (r->id.n > LIFECYCLE_ID_CHARS_MAX)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "ID length should not exceed allowed limit of %d",
                            LIFECYCLE_ID_CHARS_MAX);
    int status = element_choice(e, "Status", STATUS, x);
    if (status < 0) return -1;
    r->is_enabled = status == 0;
    if (parse_filter(a, e, &r->filter, x) < 0) return -1;
    if (parse_expiration(a, element_child(e, "Expiration"), r, x) < 0) return -1;
    if (parse_others(e, r, x) < 0) return -1;
    return check_together(e, r, x);
}

static int name_rule(struct arena *a, struct str document, size_t number, struct lifecycle_rule *r,
                     struct s3_error *x) {
    if (r->id.n) return 0;
    char hex[DIGEST_HEX_CHARS + 1];
    struct digest d = digest_of(document);
    char *id = arena_fmt(a, "%.32s-%zu", digest_hex(&d, hex), number);
    if (!id) return element_no_memory(x);
    r->id = str_of(id);
    return 0;
}

static int by_id(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int check_unique(struct arena *a, const struct lifecycle *l, struct s3_error *x) {
    struct str *ids = arena_array(a, l->count, sizeof *ids);
    if (!ids) return element_no_memory(x);
    for (size_t i = 0; i < l->count; i++) ids[i] = l->rules[i].id;
    qsort(ids, l->count, sizeof *ids, by_id);
    for (size_t i = 1; i < l->count; i++)
        if (str_eq(ids[i - 1], ids[i]))
            return s3_fail_with(x, S3_INVALID_ARGUMENT,
                                "Rule ID must be unique. Found same ID for more than one rule");
    return 0;
}

int lifecycle_parse(struct arena *a, struct str document, const struct lifecycle **out,
                    struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    struct lifecycle *l = arena_new(a, struct lifecycle);
    struct lifecycle_rule *rules = arena_array(a, element_count(root, "Rule"), sizeof *rules);
    if (!l || !rules) return element_no_memory(x);
    l->rules = rules;
    for (const struct element *e = root->first; e; e = e->next) {
        struct lifecycle_rule *r = &rules[l->count++];
        if (parse_rule(a, e, r, x) < 0 || name_rule(a, document, l->count, r, x) < 0) return -1;
    }
    if (check_unique(a, l, x) < 0) return -1;
    *out = l;
    return 0;
}

static void write_predicates(struct xml_out *w, const struct lifecycle_filter *f) {
    if (f->has_prefix) xml_out_str(w, "Prefix", f->prefix);
    for (size_t i = 0; i < f->tags.count; i++) {
        xml_out_open(w, "Tag");
        xml_out_str(w, "Key", f->tags.at[i].key);
        xml_out_str(w, "Value", f->tags.at[i].value);
        xml_out_close(w);
    }
    if (f->has_greater) xml_out_u64(w, "ObjectSizeGreaterThan", f->greater_than);
    if (f->has_less) xml_out_u64(w, "ObjectSizeLessThan", f->less_than);
}

static void write_filter(struct xml_out *w, const struct lifecycle_filter *f) {
    if (f->is_old_style) {
        xml_out_str(w, "Prefix", f->prefix);
        return;
    }
    size_t predicates = (size_t)f->has_prefix + f->tags.count + f->has_greater + f->has_less;
    xml_out_open(w, "Filter");
    if (predicates > 1) xml_out_open(w, "And");
    write_predicates(w, f);
    if (predicates > 1) xml_out_close(w);
    xml_out_close(w);
}

static void write_expiration(struct xml_out *w, const struct lifecycle_rule *r) {
    char date[DATE_ISO_CHARS + 1];
    xml_out_open(w, "Expiration");
    if (r->days)
        xml_out_u64(w, "Days", r->days);
    else if (r->has_date)
        xml_out_c(w, "Date", date_iso(r->date_s, date));
    else
        xml_out_bool(w, "ExpiredObjectDeleteMarker", r->expires_delete_markers);
    xml_out_close(w);
}

static void write_rule(struct xml_out *w, const struct lifecycle_rule *r) {
    xml_out_open(w, "Rule");
    xml_out_str(w, "ID", r->id);
    write_filter(w, &r->filter);
    xml_out_c(w, "Status", r->is_enabled ? STATUS[0] : STATUS[1]);
    if (r->days || r->has_date || r->expires_delete_markers ||
        (!r->noncurrent_days && !r->abort_days))
        write_expiration(w, r);
    if (r->noncurrent_days) {
        xml_out_open(w, "NoncurrentVersionExpiration");
        xml_out_u64(w, "NoncurrentDays", r->noncurrent_days);
        if (r->newer_noncurrent) xml_out_u64(w, "NewerNoncurrentVersions", r->newer_noncurrent);
        xml_out_close(w);
    }
    if (r->abort_days) {
        xml_out_open(w, "AbortIncompleteMultipartUpload");
        xml_out_u64(w, "DaysAfterInitiation", r->abort_days);
        xml_out_close(w);
    }
    xml_out_close(w);
}

int lifecycle_write(const struct lifecycle *l, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    for (size_t i = 0; i < l->count; i++) write_rule(&w, &l->rules[i]);
    xml_out_close(&w);
    return xml_out_end(&w);
}
