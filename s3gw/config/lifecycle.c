/* SPDX-License-Identifier: Apache-2.0 — lifecycle.c: when what is due.
 *
 * Of all enabled rules that fit, the earliest wins, as on AWS: rules never lengthen a life. A rule
 * that filters by tags or size says nothing about delete markers and uploads, which have neither.
 * Days of a real length end at midnight UTC: AWS adds the days and rounds up to the next one. */
#include "s3gw/config/lifecycle.h"

#include "base/http_date.h"
#include "s3gw/uri.h"

#include <assert.h>
#include <errno.h>

#define YEAR_9999_S INT64_C(253402214400) /* its last midnight: what a date of HTTP can say */

static bool fits(const struct lifecycle_filter *f, const struct lifecycle_object *o) {
    static const struct tagging NO_TAGS = {NULL, 0};
    const struct tagging *tags = o->tags ? o->tags : &NO_TAGS;
    if (!str_starts(o->key, f->prefix)) return false;
    if (o->is_delete_marker) return !f->tags.count && !f->has_greater && !f->has_less;
    if (f->has_greater && o->size_bytes <= f->greater_than) return false;
    if (f->has_less && o->size_bytes >= f->less_than) return false;
    for (size_t i = 0; i < f->tags.count; i++) {
        struct str value = tagging_get(tags, f->tags.at[i].key);
        if (!value.p || !str_eq(value, f->tags.at[i].value)) return false;
    }
    return true;
}

static int64_t days_after(int64_t from_s, uint32_t days, int64_t day_s) {
    assert(day_s > 0 && day_s <= LIFECYCLE_DAY_S);
    int64_t at_s = from_s + (int64_t)days * day_s;
    if (day_s < LIFECYCLE_DAY_S) return at_s;
    int64_t into_day = at_s % LIFECYCLE_DAY_S;
    return into_day ? at_s - into_day + LIFECYCLE_DAY_S : at_s;
}

/* Keeps the earlier one. */
static void consider(struct lifecycle_due *due, const struct lifecycle_rule *r, int64_t at_s) {
    if (!due->rule || at_s < due->at_s) *due = (struct lifecycle_due){at_s, r};
}

static bool give(struct lifecycle_due due, struct lifecycle_due *out) {
    if (due.rule) *out = due;
    return due.rule != NULL;
}

bool lifecycle_current(const struct lifecycle *l, const struct lifecycle_object *o,
                       int64_t modified_s, int64_t day_s, struct lifecycle_due *out) {
    struct lifecycle_due due = {0};
    for (size_t i = 0; i < l->count; i++) {
        const struct lifecycle_rule *r = &l->rules[i];
        if (!r->is_enabled || o->is_delete_marker || !fits(&r->filter, o)) continue;
        if (r->days) consider(&due, r, days_after(modified_s, r->days, day_s));
        if (r->has_date) consider(&due, r, r->date_s);
    }
    return give(due, out);
}

bool lifecycle_noncurrent(const struct lifecycle *l, const struct lifecycle_object *o,
                          const struct lifecycle_past *past, int64_t day_s,
                          struct lifecycle_due *out) {
    struct lifecycle_due due = {0};
    for (size_t i = 0; i < l->count; i++) {
        const struct lifecycle_rule *r = &l->rules[i];
        if (!r->is_enabled || !r->noncurrent_days || !fits(&r->filter, o)) continue;
        if (past->newer < r->newer_noncurrent) continue;
        consider(&due, r, days_after(past->since_s, r->noncurrent_days, day_s));
    }
    return give(due, out);
}

bool lifecycle_lone_marker(const struct lifecycle *l, struct str key, int64_t modified_s,
                           int64_t day_s, struct lifecycle_due *out) {
    struct lifecycle_due due = {0};
    const struct lifecycle_object marker = {.key = key, .is_delete_marker = true};
    for (size_t i = 0; i < l->count; i++) {
        const struct lifecycle_rule *r = &l->rules[i];
        if (!r->is_enabled || !fits(&r->filter, &marker)) continue;
        if (r->expires_delete_markers) consider(&due, r, modified_s);
        if (r->days) consider(&due, r, days_after(modified_s, r->days, day_s));
    }
    return give(due, out);
}

bool lifecycle_upload(const struct lifecycle *l, struct str key, int64_t initiated_s, int64_t day_s,
                      struct lifecycle_due *out) {
    struct lifecycle_due due = {0};
    for (size_t i = 0; i < l->count; i++) {
        const struct lifecycle_rule *r = &l->rules[i];
        if (!r->is_enabled || !r->abort_days || !str_starts(key, r->filter.prefix)) continue;
        consider(&due, r, days_after(initiated_s, r->abort_days, day_s));
    }
    return give(due, out);
}

int lifecycle_header(const struct lifecycle_due *due, struct buf *to) {
    char date[HTTP_DATE_CHARS + 1];
    struct str text = http_date(due->at_s < YEAR_9999_S ? due->at_s : YEAR_9999_S, date);
    if (buf_fmt(to, "expiry-date=\"%.*s\", rule-id=\"", STR_ARG(text)) < 0) return -ENOSPC;
    if (uri_encode(to, due->rule->id) < 0 || buf_str(to, STR("\"")) < 0) return -ENOSPC;
    return 0;
}
