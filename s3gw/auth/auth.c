/* SPDX-License-Identifier: Apache-2.0 — auth.c: which way a request is signed, and what all ways
 * share.
 *
 * A request may carry credentials at one place: the Authorization header, the query, or the fields
 * of a POST form. Two are refused, since two readers could believe different ones. What looks like
 * credentials and is not complete is an error too, never anonymous. A header or parameter that
 * decides something may come once.
 *
 * The order of checks: form, scope and time of the credential; the key; the signature. What a key
 * is or a secret never reaches an error's text. */
#include "s3gw/auth/auth_internal.h"

#include <assert.h>
#include <errno.h>

struct s3_auth *s3_auth_new(struct str region, struct s3_auth_keys keys) {
    assert(region.n > 0 && region.n <= AUTH_REGION_MAX);
    struct s3_auth *au = xnew(struct s3_auth);
    memcpy(au->region, region.p, region.n);
    au->keys = keys;
    au->cache = key_cache_new();
    return au;
}

void s3_auth_free(struct s3_auth *au) {
    if (au) key_cache_free(au->cache);
    free(au);
}

void s3_auth_result_done(struct s3_auth_result *out) { secret_wipe(&out->seed, sizeof out->seed); }

int auth_no_memory(struct auth_job *job) { return s3_fail(job->x, S3_REQUEST_HEADERS_TOO_LARGE); }

int auth_one_header(struct auth_job *job, const char *name, struct str *out) {
    struct str found = STR_NONE;
    for (size_t i = 0; i < job->r->header_count; i++) {
        if (!str_eq_nocase(job->r->headers[i].name, str_of(name))) continue;
        if (found.p) {
            (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT, "The header %s may come only once",
                               name);
            return s3_detail(job->x, "ArgumentName", str_of(name));
        }
        found = str_trim(job->r->headers[i].value);
        if (!found.p) found = STR(""); /* there, though empty */
    }
    *out = found;
    return 0;
}

int auth_parameter(struct auth_job *job, const char *name, struct str *out) {
    const struct uri_parameter *p = uri_query_get(&job->query, name);
    if (uri_query_count(&job->query, name) > 1) {
        (void)s3_fail_with(job->x, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR,
                           "The query parameter %s may come only once", name);
        return s3_detail(job->x, "ArgumentName", str_of(name));
    }
    *out = p ? p->value : STR_NONE;
    return 0;
}

struct str auth_field(const struct s3_form *form, const char *name) {
    for (size_t i = 0; i < form->count; i++)
        if (str_eq_nocase(form->fields[i].name, str_of(name)))
            return form->fields[i].value.p ? form->fields[i].value : STR("");
    return STR_NONE;
}

static int check_session(struct auth_job *job, const struct s3_auth_key *key, struct str token) {
    if (key->expires_s && job->r->now_s >= key->expires_s) return s3_fail(job->x, S3_EXPIRED_TOKEN);
    if (key->session_token.n && token.n == 0) return s3_fail(job->x, S3_INVALID_ACCESS_KEY_ID);
    if (!digest_eq_secret(key->session_token, token)) return s3_fail(job->x, S3_INVALID_TOKEN);
    return 0;
}

int auth_find_key(struct auth_job *job, struct str access_key, struct str token,
                  struct s3_auth_key *out) {
    struct err e = {0};
    struct s3_pair ask = {access_key, token};
    int found = 0;
    if (access_key.n > 0 && access_key.n <= AUTH_ACCESS_KEY_MAX)
        found = job->au->keys.find(job->au->keys.user, &ask, job->a, out, &e);
    if (found < 0) return s3_error_of_err(job->x, &e);
    assert(!found || out->secret_bytes <= AUTH_SECRET_MAX);
    if (!found || out->secret_bytes == 0) { /* an empty secret would let everybody sign */
        (void)s3_fail(job->x, S3_INVALID_ACCESS_KEY_ID);
        return s3_detail(job->x, "AWSAccessKeyId", access_key);
    }
    if (check_session(job, out, token) == 0) return 0;
    secret_wipe(out->secret, sizeof out->secret);
    return -1;
}

int auth_payload_of(struct auth_job *job, struct str value, struct s3_auth_result *out) {
    static const struct {
        const char *text;
        enum s3_auth_payload payload;
    } modes[] = {
        {"UNSIGNED-PAYLOAD", AUTH_PAYLOAD_UNSIGNED},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", AUTH_PAYLOAD_CHUNKS},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", AUTH_PAYLOAD_CHUNKS_TRAILER},
        {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", AUTH_PAYLOAD_UNSIGNED_CHUNKS_TRAILER},
    };
    for (size_t i = 0; i < COUNT(modes); i++) {
        if (!str_eq(value, str_of(modes[i].text))) continue;
        out->payload = modes[i].payload;
        return 0;
    }
    if (digest_parse_hex(value, &out->sha256) == 0) {
        out->payload = AUTH_PAYLOAD_SHA256;
        return 0;
    }
    if (str_starts(value, STR("STREAMING-AWS4-ECDSA-")))
        return s3_fail_with(job->x, S3_NOT_IMPLEMENTED,
                            "Signatures with ECDSA are not implemented");
    (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                       "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                       "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                       "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.");
    (void)s3_detail(job->x, "ArgumentName", STR("x-amz-content-sha256"));
    return s3_detail(job->x, "ArgumentValue", value);
}

/* Bytes that are not signed are announced all the same: modern clients that have no key, or sign
 * with V2, frame their bodies too. */
static int unsigned_payload(struct auth_job *job, struct s3_auth_result *out) {
    struct str value;
    if (auth_one_header(job, "x-amz-content-sha256", &value) < 0) return -1;
    if (!value.p) return 0;
    if (auth_payload_of(job, value, out) < 0) return -1;
    if (out->payload == AUTH_PAYLOAD_CHUNKS || out->payload == AUTH_PAYLOAD_CHUNKS_TRAILER)
        return s3_fail_with(job->x, S3_INVALID_REQUEST,
                            "Signed chunks need a request that is signed with AWS4-HMAC-SHA256");
    return 0;
}

bool auth_has_control(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

/* Sizes, and that no line of a signed text can be made of two: HTTP sees to that too, but here a
 * line end in a value would be a hole. */
static int check_head(struct auth_job *job) {
    size_t bytes = job->r->path.n + job->r->query.n;
    bool control = auth_has_control(job->r->path) || auth_has_control(job->r->method);
    if (job->r->header_count > AUTH_HEADERS_MAX) return auth_no_memory(job);
    for (size_t i = 0; i < job->r->header_count; i++) {
        bytes += job->r->headers[i].name.n + job->r->headers[i].value.n;
        control |=
            auth_has_control(job->r->headers[i].name) || auth_has_control(job->r->headers[i].value);
    }
    if (bytes > AUTH_HEAD_BYTES_MAX) return auth_no_memory(job);
    if (!control) return 0;
    return s3_fail_with(job->x, S3_INVALID_REQUEST,
                        "A control character is in the request line or in a header");
}

static int read_query(struct auth_job *job) {
    int r = uri_query_parse(job->a, job->r->query, &job->query);
    if (r == -EINVAL) return s3_fail(job->x, S3_INVALID_URI);
    return r < 0 ? auth_no_memory(job) : 0;
}

static bool has_any(const struct auth_job *job, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (uri_query_get(&job->query, names[i])) return true;
    return false;
}

static int by_form(struct auth_job *job, struct s3_auth_result *out) {
    const struct s3_form *form = job->r->form;
    if (form->count > AUTH_FORM_FIELDS_MAX)
        return s3_fail_with(job->x, S3_MALFORMED_POST_REQUEST, "The form has too many fields");
    struct str policy = auth_field(form, "policy");
    bool v4 = auth_field(form, "x-amz-signature").p || auth_field(form, "x-amz-algorithm").p ||
              auth_field(form, "x-amz-credential").p;
    bool v2 = auth_field(form, "signature").p || auth_field(form, "AWSAccessKeyId").p;
    if (v4 && v2)
        return s3_fail_with(job->x, S3_INVALID_ARGUMENT, "Only one auth mechanism allowed");
    for (size_t i = 0; i < form->count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq_nocase(form->fields[i].name, form->fields[k].name)) {
                (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT, "A form field comes twice");
                return s3_detail(job->x, "ArgumentName", form->fields[i].name);
            }
    if (!policy.p && !v4 && !v2) return 0;
    if (!policy.p || (!v4 && !v2)) {
        const char *missing = policy.p ? "AWSAccessKeyId" : "policy";
        (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                           "Bucket POST must contain a field named '%s'.  If it is specified, "
                           "please check the order of the fields.",
                           missing);
        return s3_detail(job->x, "ArgumentName", str_of(missing));
    }
    return v4 ? v4_post(job, policy, out) : v2_post(job, policy, out);
}

static int by_header(struct auth_job *job, struct str authorization, struct s3_auth_result *out) {
    if (str_starts(authorization, STR("AWS4-HMAC-SHA256")))
        return v4_header(job, authorization, out);
    if (str_starts(authorization, STR("AWS4-ECDSA-P256-SHA256")))
        return s3_fail_with(job->x, S3_NOT_IMPLEMENTED,
                            "Signatures with ECDSA are not implemented");
    if (str_starts(authorization, STR("AWS "))) return v2_header(job, authorization, out);
    (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT, "Unsupported Authorization Type");
    return s3_detail(job->x, "ArgumentName", STR("Authorization"));
}

static int dispatch(struct auth_job *job, struct s3_auth_result *out) {
    static const char *const v4_names[] = {"X-Amz-Algorithm", "X-Amz-Credential",
                                           "X-Amz-Signature"};
    static const char *const v2_names[] = {"AWSAccessKeyId", "Signature"};
    struct str authorization;
    if (check_head(job) < 0 || read_query(job) < 0 ||
        auth_one_header(job, "authorization", &authorization) < 0)
        return -1;
    bool v4 = has_any(job, v4_names, COUNT(v4_names));
    bool v2 = has_any(job, v2_names, COUNT(v2_names));
    if ((authorization.p != NULL) + v4 + v2 + (job->r->form != NULL) > 1) {
        (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                           "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
                           "parameter, Signature query string parameter or the Authorization "
                           "header should be specified");
        return s3_detail(job->x, "ArgumentName", STR("Authorization"));
    }
    if (v4) return v4_query(job, out);
    if (authorization.p && str_starts(authorization, STR("AWS4-"))) /* reads its own payload */
        return by_header(job, authorization, out);
    if (unsigned_payload(job, out) < 0) return -1;
    if ((v2 || authorization.p) && !str_eq(job->r->service, STR("s3")))
        return s3_fail_with(job->x, S3_INVALID_REQUEST,
                            "The authorization mechanism you have provided is not supported. "
                            "Please use AWS4-HMAC-SHA256.");
    if (v2) return v2_query(job, out);
    if (authorization.p) return by_header(job, authorization, out);
    return job->r->form ? by_form(job, out) : 0;
}

int s3_auth_request(struct s3_auth *au, struct arena *a, const struct s3_request *r,
                    struct s3_auth_result *out, struct s3_error *x) {
    struct auth_job job = {.au = au, .a = a, .r = r, .x = x};
    struct s3_auth_result result = {.kind = AUTH_ANONYMOUS, .file_max = UINT64_MAX};
    if (dispatch(&job, &result) < 0) {
        s3_auth_result_done(&result);
        return -1;
    }
    *out = result;
    s3_auth_result_done(&result);
    return 0;
}
