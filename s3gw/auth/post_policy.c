/* SPDX-License-Identifier: Apache-2.0 — post_policy.c: the policy document of a POST form, which is
 * what its signature covers.
 *
 * The form may hold only what the policy foresees: each condition must hold, and each field must be
 * named by one. The bucket of the URL counts as a field "bucket", so a policy without it authorises
 * nothing, and a form's own "bucket" must be the URL's: else one bucket would be checked and the
 * other written. Names of fields and operators have any case; the document's own keys do not.
 * Source: Amazon S3 API reference, "POST Policy"; cases of ceph/s3-tests (test_post_object_*). */
#include "s3gw/auth/auth_internal.h"

#include "base/base64.h"
#include "base/json.h"
#include "s3gw/date.h"

#define POLICY_BYTES_MAX     (20 << 10)
#define CONDITIONS_MAX       200
#define CONDITION_VALUES     (8 * CONDITIONS_MAX)
#define AUTH_FORM_FIELDS_MAX 100

struct check {
    struct auth_job *job;
    const struct s3_form *form;
    bool covered[AUTH_FORM_FIELDS_MAX]; /* by a condition */
    bool bucket_covered;
    struct s3_auth_result *out;
};

static int bad_document(struct check *c, const char *what) {
    return s3_fail_with(c->job->x, S3_INVALID_POLICY_DOCUMENT, "Invalid Policy: %s", what);
}

static int violated(struct check *c, const char *how, struct str field) {
    return s3_fail_with(c->job->x, S3_ACCESS_DENIED, "Invalid according to Policy: %s: %.*s", how,
                        STR_ARG(str_sub(field, 0, 100)));
}

/* The field that a condition names, marked as covered; .p NULL when the form has none. */
static struct str field_of(struct check *c, struct str name) {
    if (str_eq_nocase(name, STR("bucket"))) c->bucket_covered = true;
    for (size_t i = 0; i < c->form->count; i++) {
        if (!str_eq_nocase(c->form->fields[i].name, name)) continue;
        c->covered[i] = true;
        return c->form->fields[i].value.p ? c->form->fields[i].value : STR("");
    }
    return str_eq_nocase(name, STR("bucket")) ? c->form->bucket : STR_NONE;
}

static int must_equal(struct check *c, struct str name, struct str want) {
    struct str value = field_of(c, name);
    return value.p && str_eq(value, want) ? 0 : violated(c, "Policy Condition failed", name);
}

/* A list of values, as Content-Type may have, must start so in each of its members. */
static int must_start(struct check *c, struct str name, struct str prefix) {
    struct str value = field_of(c, name);
    struct str part;
    if (!value.p) return violated(c, "Policy Condition failed", name);
    if (!str_eq_nocase(name, STR("Content-Type")) || value.n == 0)
        return str_starts(value, prefix) ? 0 : violated(c, "Policy Condition failed", name);
    while (str_next(&value, ',', &part))
        if (!str_starts(str_trim(part), prefix))
            return violated(c, "Policy Condition failed", name);
    return 0;
}

static int length_range(struct check *c, const struct json *low, const struct json *high) {
    uint64_t min = 0;
    uint64_t max = 0;
    if (json_u64(low, &min) < 0 || json_u64(high, &max) < 0 || min > max)
        return bad_document(c, "Invalid content-length-range");
    if (min > c->out->file_min) c->out->file_min = min; /* several: all must hold */
    if (max < c->out->file_max) c->out->file_max = max;
    return 0;
}

/* ["eq", "$key", "value"] */
static int check_list(struct check *c, const struct json *condition) {
    const struct json *first = json_first(condition);
    struct str operator;
    struct str name;
    struct str value;
    if (condition->count != 3 || json_str(first, &operator) < 0)
        return bad_document(c, "a condition must have an operator and two operands");
    if (str_eq_nocase(operator, STR("content-length-range")))
        return length_range(c, first->next, first->next->next);
    if (json_str(first->next, &name) < 0 || json_str(first->next->next, &value) < 0 ||
        !str_starts(name, STR("$")) || name.n < 2)
        return bad_document(c, "a condition must be about \"$field\" and a text");
    name = str_sub(name, 1, name.n);
    if (str_eq_nocase(operator, STR("eq"))) return must_equal(c, name, value);
    if (str_eq_nocase(operator, STR("starts-with"))) return must_start(c, name, value);
    return bad_document(c, "unknown operator of a condition");
}

/* {"acl": "private"} */
static int check_object(struct check *c, const struct json *condition) {
    struct str value;
    if (condition->count == 0) return bad_document(c, "an empty condition");
    for (const struct json *m = json_first(condition); m; m = m->next) {
        if (json_str(m, &value) < 0) return bad_document(c, "a condition's value must be a text");
        if (must_equal(c, m->key, value) < 0) return -1;
    }
    return 0;
}

static int check_conditions(struct check *c, const struct json *conditions) {
    if (!conditions || conditions->type != JSON_ARRAY)
        return bad_document(c, "it needs a list \"conditions\"");
    if (conditions->count > CONDITIONS_MAX) return bad_document(c, "too many conditions");
    for (const struct json *m = json_first(conditions); m; m = m->next) {
        int r = m->type == JSON_ARRAY    ? check_list(c, m)
                : m->type == JSON_OBJECT ? check_object(c, m)
                                         : bad_document(c, "a condition of a wrong type");
        if (r < 0) return -1;
    }
    return 0;
}

static int check_expiry(struct check *c, const struct json *document) {
    struct str text;
    int64_t at = 0;
    if (json_str(json_get(document, "expiration"), &text) < 0 || date_parse_iso(text, &at) < 0)
        return bad_document(c, "Invalid 'expiration' value");
    if (c->job->r->now_s < at) return 0;
    return s3_fail_with(c->job->x, S3_ACCESS_DENIED,
                        "Invalid according to Policy: Policy expired.");
}

static bool needs_no_condition(const struct check *c, struct str name) {
    static const char *const v4[] = {"policy", "file", "x-amz-signature"};
    static const char *const v2[] = {"policy", "file", "signature", "AWSAccessKeyId"};
    bool is_v4 = c->out->kind == AUTH_V4_POST;
    const char *const *names = is_v4 ? v4 : v2;
    for (size_t i = 0; i < (is_v4 ? COUNT(v4) : COUNT(v2)); i++)
        if (str_eq_nocase(name, str_of(names[i]))) return true;
    return str_eq_nocase(str_sub(name, 0, 9), STR("x-ignore-"));
}

static int check_fields(struct check *c) {
    for (size_t i = 0; i < c->form->count; i++)
        if (!c->covered[i] && !needs_no_condition(c, c->form->fields[i].name))
            return violated(c, "Extra input fields", c->form->fields[i].name);
    return c->bucket_covered ? 0 : violated(c, "Extra input fields", STR("bucket"));
}

static int read_document(struct check *c, struct str base64, const struct json **out) {
    struct err e = {0};
    size_t n = 0;
    if (base64.n > BASE64_CHARS(POLICY_BYTES_MAX)) return bad_document(c, "it is too long");
    char *text = arena_alloc(c->job->a, BASE64_BYTES(base64.n) + 1);
    if (!text) return auth_no_memory(c->job);
    if (base64_decode(BASE64_STD, base64, text, &n) < 0) return bad_document(c, "Invalid base64");
    struct json_limits limits = {.bytes_max = POLICY_BYTES_MAX, .values_max = CONDITION_VALUES};
    if (json_parse(c->job->a, str_make(text, n), limits, out, &e) < 0)
        return bad_document(c, "Invalid JSON");
    return (*out)->type == JSON_OBJECT ? 0 : bad_document(c, "Invalid JSON");
}

int post_policy_check(struct auth_job *job, struct str policy_base64, struct s3_auth_result *out) {
    struct check c = {.job = job, .form = job->r->form, .out = out};
    const struct json *document = NULL;
    struct str bucket = auth_field(c.form, "bucket");
    if (bucket.p && !str_eq(bucket, c.form->bucket))
        return violated(&c, "the field is not the bucket of the URL", STR("bucket"));
    if (read_document(&c, policy_base64, &document) < 0 || check_expiry(&c, document) < 0 ||
        check_conditions(&c, json_get(document, "conditions")) < 0)
        return -1;
    return check_fields(&c);
}
