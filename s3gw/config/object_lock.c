/* SPDX-License-Identifier: Apache-2.0 — object_lock.c: three documents and three headers.
 *
 * Documents say MalformedXML for a word that does not exist, headers InvalidArgument. Dates are
 * whole seconds; fractions are dropped, which can only shorten a retention by less than one. */
#include "s3gw/config/object_lock.h"

#include "s3gw/date.h"
#include "s3gw/xml_out.h"

#include <time.h>

static const char *const MODES[] = {"GOVERNANCE", "COMPLIANCE", NULL}; /* LOCK_MODE_... less one */
static const char *const ENABLED[] = {"Enabled", NULL};
static const char *const HOLD[] = {"OFF", "ON", NULL};
static const struct element_rule RULES[] = {
    {"ObjectLockEnabled", 1, 1, true}, {"Rule", 0, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "ObjectLockConfiguration", .rules = RULES};
static const struct element_rule RULE_RULES[] = {{"DefaultRetention", 1, 1, false},
                                                 {NULL, 0, 0, false}};
static const struct element_rule DEFAULT_RULES[] = {
    {"Mode", 1, 1, true}, {"Days", 0, 1, true}, {"Years", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_rule RETENTION_RULES[] = {
    {"Mode", 0, 1, true}, {"RetainUntilDate", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_schema RETENTION = {.root = "Retention", .rules = RETENTION_RULES};
static const struct element_rule HOLD_RULES[] = {{"Status", 1, 1, true}, {NULL, 0, 0, false}};
static const struct element_schema LEGAL_HOLD = {.root = "LegalHold", .rules = HOLD_RULES};

const char *object_lock_mode_name(enum object_lock_mode m) {
    return m == LOCK_MODE_NONE ? "" : MODES[m - 1];
}

static int parse_period(const struct element *e, const char *name, uint32_t max, uint32_t *out,
                        struct s3_error *x) {
    uint64_t n = 0;
    int64_t below = 0;
    struct str text = element_text(e, name);
    bool is_negative = str_i64(text, &below) == 0 && below < 0;
    if (!is_negative && element_u64(e, name, &n, x) < 0) return -1;
    if (is_negative || n == 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "Default retention period must be a positive integer value.");
    if (n > max)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "Default retention period too large: at most %u %s", max, name);
    *out = (uint32_t)n;
    return 0;
}

int object_lock_parse(struct arena *a, struct str document, struct object_lock *out,
                      struct s3_error *x) {
    const struct element *root = NULL;
    struct object_lock l = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    if (element_choice(root, "ObjectLockEnabled", ENABLED, x) < 0) return -1;
    const struct element *rule = element_child(root, "Rule");
    if (!rule) {
        *out = l;
        return 0;
    }
    if (element_check(rule, RULE_RULES, x) < 0) return -1;
    const struct element *by_default = element_child(rule, "DefaultRetention");
    if (element_check(by_default, DEFAULT_RULES, x) < 0) return -1;
    int mode = element_choice(by_default, "Mode", MODES, x);
    if (mode < 0) return -1;
    l.mode = (enum object_lock_mode)(mode + 1);
    bool has_days = element_child(by_default, "Days"),
         has_years = element_child(by_default, "Years");
    if (has_days == has_years)
        return s3_fail_with(x, S3_MALFORMED_XML, "DefaultRetention has either Days or Years");
    int r = has_days ? parse_period(by_default, "Days", OBJECT_LOCK_DAYS_MAX, &l.days, x)
                     : parse_period(by_default, "Years", OBJECT_LOCK_YEARS_MAX, &l.years, x);
    if (r == 0) *out = l;
    return r;
}

int object_lock_write(const struct object_lock *l, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_c(&w, "ObjectLockEnabled", ENABLED[0]);
    if (l->mode != LOCK_MODE_NONE) {
        xml_out_open(&w, "Rule");
        xml_out_open(&w, "DefaultRetention");
        xml_out_c(&w, "Mode", object_lock_mode_name(l->mode));
        if (l->days)
            xml_out_u64(&w, "Days", l->days);
        else
            xml_out_u64(&w, "Years", l->years);
        xml_out_close(&w);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    return xml_out_end(&w);
}

struct object_retention object_lock_default(const struct object_lock *l, int64_t now_s) {
    struct object_retention r = {l->mode, 0};
    time_t now = now_s;
    struct tm t = {0};
    if (l->mode == LOCK_MODE_NONE || !gmtime_r(&now, &t))
        return (struct object_retention){LOCK_MODE_NONE, 0};
    t.tm_mday += (int)l->days;
    t.tm_year += (int)l->years;
    r.until_s = timegm(&t);
    return r;
}

static int check_future(int64_t until_s, int64_t now_s, struct s3_error *x) {
    if (until_s > now_s) return 0;
    return s3_fail_with(x, S3_INVALID_ARGUMENT, "The retain until date must be in the future!");
}

int object_retention_parse(struct arena *a, struct str document, int64_t now_s,
                           struct object_retention *out, struct s3_error *x) {
    const struct element *root = NULL;
    struct object_retention r = {LOCK_MODE_NONE, 0};
    if (element_parse(a, document, &RETENTION, &root, x) < 0) return -1;
    if (root->first) {
        int mode = element_choice(root, "Mode", MODES, x);
        if (mode < 0) return -1;
        r.mode = (enum object_lock_mode)(mode + 1);
        if (date_parse_iso(element_text(root, "RetainUntilDate"), &r.until_s) < 0)
            return s3_fail_with(x, S3_MALFORMED_XML,
                                "RetainUntilDate must be a date in ISO 8601 format");
        if (check_future(r.until_s, now_s, x) < 0) return -1;
    }
    *out = r;
    return 0;
}

int object_retention_write(const struct object_retention *r, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    char date[DATE_ISO_CHARS + 1];
    xml_out_declaration(&w);
    xml_out_open_ns(&w, RETENTION.root, XML_OUT_S3);
    if (r->mode != LOCK_MODE_NONE) {
        xml_out_c(&w, "Mode", object_lock_mode_name(r->mode));
        xml_out_c(&w, "RetainUntilDate", date_iso(r->until_s, date));
    }
    xml_out_close(&w);
    return xml_out_end(&w);
}

int legal_hold_parse(struct arena *a, struct str document, bool *out, struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &LEGAL_HOLD, &root, x) < 0) return -1;
    int status = element_choice(root, "Status", HOLD, x);
    if (status < 0) return -1;
    *out = status == 1;
    return 0;
}

int legal_hold_write(bool is_on, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, LEGAL_HOLD.root, XML_OUT_S3);
    xml_out_c(&w, "Status", HOLD[is_on]);
    xml_out_close(&w);
    return xml_out_end(&w);
}

/* ---- headers ---- */

static int bad_header(struct s3_error *x, const char *text, const char *name, struct str value) {
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "%s", text);
    (void)s3_detail(x, "ArgumentName", str_of(name));
    return s3_detail(x, "ArgumentValue", value);
}

/* The one of that name: 0, also when there is none (.p NULL); -1 when there are more. */
static int one_header(const struct s3_request *rq, const char *name, struct str *out,
                      struct s3_error *x) {
    *out = STR_NONE;
    for (size_t i = 0; i < rq->header_count; i++) {
        if (!str_eq_nocase(rq->headers[i].name, str_of(name))) continue;
        if (out->p) return bad_header(x, "The header came twice", name, rq->headers[i].value);
        *out = rq->headers[i].value.p ? rq->headers[i].value : STR("");
    }
    return 0;
}

static int retention_of_headers(struct str mode, struct str until, int64_t now_s,
                                struct object_retention *out, struct s3_error *x) {
    if (!mode.p && !until.p) return 0;
    if (!mode.p || !until.p)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must "
                            "both be supplied");
    int at = str_eq(mode, str_of(MODES[0])) ? 0 : str_eq(mode, str_of(MODES[1])) ? 1 : -1;
    if (at < 0) return bad_header(x, "Unknown wormMode directive.", "x-amz-object-lock-mode", mode);
    if (date_parse_iso(until, &out->until_s) < 0)
        return bad_header(x, "The retain until date must be provided in ISO 8601 format",
                          "x-amz-object-lock-retain-until-date", until);
    out->mode = (enum object_lock_mode)(at + 1);
    return check_future(out->until_s, now_s, x);
}

int object_lock_of_headers(const struct s3_request *rq, struct object_lock_asked *out,
                           struct s3_error *x) {
    struct str mode = STR_NONE, until = STR_NONE, hold = STR_NONE;
    struct object_lock_asked asked = {0};
    if (one_header(rq, "x-amz-object-lock-mode", &mode, x) < 0 ||
        one_header(rq, "x-amz-object-lock-retain-until-date", &until, x) < 0 ||
        one_header(rq, "x-amz-object-lock-legal-hold", &hold, x) < 0)
        return -1;
    if (retention_of_headers(mode, until, rq->now_s, &asked.retention, x) < 0) return -1;
    asked.has_hold = hold.p != NULL;
    asked.hold = str_eq(hold, STR("ON"));
    if (hold.p && !asked.hold && !str_eq(hold, STR("OFF")))
        return bad_header(x, "Legal Hold must be either of 'ON' or 'OFF'",
                          "x-amz-object-lock-legal-hold", hold);
    *out = asked;
    return 0;
}
