/* SPDX-License-Identifier: Apache-2.0 — v4.c: Signature Version 4: reading the claim, checking its
 * scope and time, comparing.
 *
 * Three places carry a claim: the Authorization header, the query of a presigned URL, the fields of
 * a POST form. All end in v4_verify(), which alone touches the secret. The signed text is the
 * canonical request's (v4_canonical.c), or of a form the policy's.
 * Source: Amazon S3 API reference, "Signature Calculations for the Authorization Header",
 * "Authenticating Requests: Using Query Parameters", "Browser-Based Uploads Using POST". */
#include "s3gw/auth/auth_internal.h"
#include "s3gw/date.h"

#include <inttypes.h>

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define DATE_CHARS 8

int v4_malformed(struct auth_job *job, enum auth_place place, const char *what) {
    switch (place) {
    case PLACE_HEADER:
        return s3_fail_with(job->x, S3_AUTHORIZATION_HEADER_MALFORMED,
                            "The authorization header is malformed; %s", what);
    case PLACE_QUERY:
        return s3_fail_with(job->x, S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR, "%s", what);
    case PLACE_POST: break;
    }
    return s3_fail_with(job->x, S3_INVALID_ARGUMENT, "The form's credential is malformed; %s",
                        what);
}

/* Takes the part behind the last '/' off; false when there is none. */
static bool take_last(struct str *rest, struct str *out) {
    ptrdiff_t at = str_rfind(*rest, '/');
    if (at < 0) return false;
    *out = str_sub(*rest, (size_t)at + 1, rest->n);
    *rest = str_sub(*rest, 0, (size_t)at);
    return true;
}

static int wrong_region(struct auth_job *job, const struct v4_claim *claim) {
    char what[2 * AUTH_REGION_MAX + 64];
    struct str region = str_sub(claim->region, 0, AUTH_REGION_MAX);
    (void)snprintf(what, sizeof what, "the region '%.*s' is wrong; expecting '%s'", STR_ARG(region),
                   job->au->region);
    (void)v4_malformed(job, claim->place, what);
    return s3_detail(job->x, "Region", str_of(job->au->region)); /* SDKs retry with it */
}

int v4_credential(struct auth_job *job, struct str text, struct v4_claim *claim) {
    struct str rest = text;
    struct str terminal;
    if (!take_last(&rest, &terminal) || !take_last(&rest, &claim->service) ||
        !take_last(&rest, &claim->region) || !take_last(&rest, &claim->date) || rest.n == 0)
        return v4_malformed(job, claim->place,
                            "the Credential is mal-formed; expecting "
                            "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    claim->access_key = rest;
    claim->scope = str_sub(text, rest.n + 1, text.n);
    if (!str_eq(terminal, STR("aws4_request")))
        return v4_malformed(job, claim->place,
                            "incorrect terminal. This endpoint uses \"aws4_request\".");
    struct str day = str_make(claim->timestamp, DATE_CHARS);
    if (!str_eq(claim->date, day))
        return v4_malformed(job, claim->place,
                            "Invalid credential date. This date is not the same as X-Amz-Date.");
    if (!str_eq(claim->region, STR("us-east-1")) && !str_eq(claim->region, str_of(job->au->region)))
        return wrong_region(job, claim);
    if (!str_eq(claim->service, job->r->service))
        return v4_malformed(job, claim->place,
                            "incorrect service. This endpoint belongs to another one.");
    return 0;
}

static int check_skew(struct auth_job *job, int64_t at_s) {
    int64_t now = job->r->now_s;
    if (at_s >= now - AUTH_SKEW_S && at_s <= now + AUTH_SKEW_S) return 0;
    char text[DATE_ISO_CHARS + 1];
    (void)s3_fail(job->x, S3_REQUEST_TIME_TOO_SKEWED);
    (void)s3_detail(job->x, "RequestTime", str_of(date_iso(at_s, text)));
    (void)s3_detail(job->x, "ServerTime", str_of(date_iso(now, text)));
    return s3_detail(job->x, "MaxAllowedSkewMilliseconds", STR("900000"));
}

int v4_verify(struct auth_job *job, const struct v4_claim *claim, struct str text,
              struct s3_auth_result *out) {
    struct s3_auth_key key = {0};
    if (auth_find_key(job, claim->access_key, claim->token, &key) < 0) return -1;
    struct str secret = str_make((const char *)key.secret, key.secret_bytes);
    struct signing_scope scope = {secret, claim->date, claim->region, claim->service};
    struct s3_auth_seed *seed = &out->seed;
    uint8_t mac[HASH_BYTES_MAX];
    bool cached = key_cache_get(job->au->cache, &scope, seed->signing_key);
    struct str signing_key = str_make((const char *)seed->signing_key, DIGEST_BYTES);
    (void)hmac(HASH_SHA256, signing_key, text, mac);
    (void)hex_encode(mac, DIGEST_BYTES, seed->signature);
    bool good = digest_eq_secret(str_of(seed->signature), claim->signature);
    if (good && !cached) key_cache_put(job->au->cache, &scope, seed->signing_key);
    secret_wipe(&key.secret, sizeof key.secret);
    if (!good) {
        (void)s3_fail(job->x, S3_SIGNATURE_DOES_NOT_MATCH); /* without what we computed */
        return s3_detail(job->x, "AWSAccessKeyId", claim->access_key);
    }
    out->access_key = claim->access_key;
    out->identity = key.identity;
    out->temporary = key.session_token.n > 0;
    memcpy(seed->timestamp, claim->timestamp, sizeof seed->timestamp);
    memcpy(seed->scope, claim->scope.p, claim->scope.n); /* its parts were compared: it fits */
    seed->scope[claim->scope.n] = '\0';
    return 0;
}

/* The string to sign of a request, signed. */
static int verify_request(struct auth_job *job, const struct v4_claim *claim,
                          struct s3_auth_result *out) {
    struct digest canonical;
    char hex[DIGEST_HEX_CHARS + 1];
    if (v4_check_headers(job, claim) < 0 || v4_canonical_hash(job, claim, &canonical) < 0)
        return -1;
    const char *text = arena_fmt(job->a, ALGORITHM "\n%s\n%.*s\n%s", claim->timestamp,
                                 STR_ARG(claim->scope), digest_hex(&canonical, hex));
    return text ? v4_verify(job, claim, str_of(text), out) : auth_no_memory(job);
}

/* "name=value" of the Authorization header into its place; each once. */
static int header_component(struct auth_job *job, struct str piece, struct str out[3]) {
    static const char *const names[] = {"Credential", "SignedHeaders", "Signature"};
    ptrdiff_t equals = str_find(piece, '=');
    struct str name = str_sub(piece, 0, equals < 0 ? 0 : (size_t)equals);
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!str_eq(name, str_of(names[i])) || out[i].p) continue;
        out[i] = str_sub(piece, (size_t)equals + 1, piece.n);
        return 0;
    }
    return v4_malformed(job, PLACE_HEADER,
                        "it must have Credential, SignedHeaders and Signature, each once.");
}

/* x-amz-date, or Date when that is absent. */
static int header_date(struct auth_job *job, struct v4_claim *claim) {
    struct str amz;
    struct str date;
    if (auth_one_header(job, "x-amz-date", &amz) < 0 || auth_one_header(job, "date", &date) < 0)
        return -1;
    struct str text = amz.p ? amz : date;
    if (date_parse_basic(text, &claim->at_s) < 0 &&
        (amz.p || date_parse_http(text, &claim->at_s) < 0))
        return s3_fail_with(job->x, S3_ACCESS_DENIED,
                            "AWS authentication requires a valid Date or x-amz-date header");
    (void)date_basic(claim->at_s, claim->timestamp);
    return check_skew(job, claim->at_s);
}

/* STS and IAM: the hash of the body, which is there; what the client says must be the same. */
static int service_payload(struct auth_job *job, struct v4_claim *claim,
                           struct s3_auth_result *out) {
    struct str header;
    char *hex = arena_alloc(job->a, DIGEST_HEX_CHARS + 1);
    if (!hex) return auth_no_memory(job);
    if (auth_one_header(job, "x-amz-content-sha256", &header) < 0) return -1;
    out->sha256 = job->r->body ? *job->r->body : digest_of(STR(""));
    out->payload = AUTH_PAYLOAD_SHA256;
    claim->payload = str_of(digest_hex(&out->sha256, hex));
    if (header.p && !str_eq(header, claim->payload))
        return s3_fail(job->x, S3_XAMZ_CONTENT_SHA256_MISMATCH);
    return 0;
}

static int header_payload(struct auth_job *job, struct v4_claim *claim,
                          struct s3_auth_result *out) {
    if (!str_eq(job->r->service, STR("s3"))) return service_payload(job, claim, out);
    if (auth_one_header(job, "x-amz-content-sha256", &claim->payload) < 0) return -1;
    if (!claim->payload.p)
        return s3_fail_with(job->x, S3_INVALID_REQUEST,
                            "Missing required header for this request: x-amz-content-sha256");
    return auth_payload_of(job, claim->payload, out);
}

int v4_header(struct auth_job *job, struct str authorization, struct s3_auth_result *out) {
    struct v4_claim claim = {.place = PLACE_HEADER};
    struct str parts[3] = {STR_NONE, STR_NONE, STR_NONE};
    struct str rest = str_sub(authorization, strlen(ALGORITHM), authorization.n);
    struct str piece;
    if (rest.n == 0 || rest.p[0] != ' ')
        return v4_malformed(job, PLACE_HEADER, "a blank must follow the algorithm.");
    while (str_next(&rest, ',', &piece))
        if (header_component(job, str_trim(piece), parts) < 0) return -1;
    if (!parts[0].p || !parts[1].p || !parts[2].p) return header_component(job, STR_NONE, parts);
    claim.signed_headers = parts[1];
    claim.signature = parts[2];
    if (header_date(job, &claim) < 0 || v4_credential(job, parts[0], &claim) < 0 ||
        header_payload(job, &claim, out) < 0 ||
        auth_one_header(job, "x-amz-security-token", &claim.token) < 0)
        return -1;
    out->kind = AUTH_V4_HEADER;
    return verify_request(job, &claim, out);
}

static int query_time(struct auth_job *job, struct str expires, struct v4_claim *claim) {
    uint64_t seconds = 0;
    if (str_starts(expires, STR("-")))
        return v4_malformed(job, PLACE_QUERY, "X-Amz-Expires must be non-negative");
    if (str_u64(expires, &seconds) < 0)
        return v4_malformed(job, PLACE_QUERY, "X-Amz-Expires should be a number");
    if (seconds > AUTH_EXPIRES_MAX_S)
        return v4_malformed(job, PLACE_QUERY,
                            "X-Amz-Expires must be less than a week (in seconds); that is, the "
                            "given X-Amz-Expires must be less than 604800 seconds");
    if (seconds == 0) return v4_malformed(job, PLACE_QUERY, "X-Amz-Expires must be at least 1");
    int64_t now = job->r->now_s;
    if (claim->at_s > now + AUTH_SKEW_S)
        return s3_fail_with(job->x, S3_ACCESS_DENIED, "Request is not valid yet");
    if (now < claim->at_s + (int64_t)seconds) return 0;
    char text[DATE_ISO_CHARS + 1];
    (void)s3_fail_with(job->x, S3_ACCESS_DENIED, "Request has expired");
    (void)s3_detail(job->x, "X-Amz-Expires", expires);
    (void)s3_detail(job->x, "Expires", str_of(date_iso(claim->at_s + (int64_t)seconds, text)));
    return s3_detail(job->x, "ServerTime", str_of(date_iso(now, text)));
}

/* The header, the parameter that some SDKs presign, or what a URL means that says nothing. */
static int query_payload(struct auth_job *job, struct v4_claim *claim, struct s3_auth_result *out) {
    struct str header;
    struct str parameter;
    if (!str_eq(job->r->service, STR("s3"))) return service_payload(job, claim, out);
    if (auth_one_header(job, "x-amz-content-sha256", &header) < 0 ||
        auth_parameter(job, "X-Amz-Content-Sha256", &parameter) < 0)
        return -1;
    claim->payload = header.p ? header : parameter.p ? parameter : STR("UNSIGNED-PAYLOAD");
    return auth_payload_of(job, claim->payload, out);
}

static int query_token(struct auth_job *job, struct v4_claim *claim) {
    struct str header;
    if (auth_one_header(job, "x-amz-security-token", &header) < 0 ||
        auth_parameter(job, "X-Amz-Security-Token", &claim->token) < 0)
        return -1;
    if (header.p && claim->token.p)
        return v4_malformed(job, PLACE_QUERY, "X-Amz-Security-Token may come only once");
    if (header.p) claim->token = header;
    return 0;
}

int v4_query(struct auth_job *job, struct s3_auth_result *out) {
    static const char *const names[] = {"X-Amz-Algorithm",     "X-Amz-Credential",
                                        "X-Amz-Date",          "X-Amz-Expires",
                                        "X-Amz-SignedHeaders", "X-Amz-Signature"};
    struct str v[COUNT(names)];
    for (size_t i = 0; i < COUNT(names); i++) {
        if (auth_parameter(job, names[i], &v[i]) < 0) return -1;
        if (!v[i].p || v[i].n == 0)
            return v4_malformed(job, PLACE_QUERY,
                                "Query-string authentication version 4 requires the "
                                "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                                "X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
    }
    if (str_eq(v[0], STR("AWS4-ECDSA-P256-SHA256")))
        return s3_fail_with(job->x, S3_NOT_IMPLEMENTED,
                            "Signatures with ECDSA are not implemented");
    if (!str_eq(v[0], STR(ALGORITHM)))
        return v4_malformed(job, PLACE_QUERY, "X-Amz-Algorithm only supports \"" ALGORITHM "\"");
    struct v4_claim claim = {.place = PLACE_QUERY, .signed_headers = v[4], .signature = v[5]};
    if (date_parse_basic(v[2], &claim.at_s) < 0)
        return v4_malformed(job, PLACE_QUERY,
                            "X-Amz-Date must be in the ISO8601 Long Format "
                            "\"yyyyMMdd'T'HHmmss'Z'\"");
    (void)date_basic(claim.at_s, claim.timestamp);
    if (v4_credential(job, v[1], &claim) < 0 || query_time(job, v[3], &claim) < 0 ||
        query_payload(job, &claim, out) < 0 || query_token(job, &claim) < 0)
        return -1;
    out->kind = AUTH_V4_QUERY;
    return verify_request(job, &claim, out);
}

int v4_post(struct auth_job *job, struct str policy, struct s3_auth_result *out) {
    const struct s3_form *form = job->r->form;
    struct v4_claim claim = {.place = PLACE_POST};
    struct str date = auth_field(form, "x-amz-date");
    struct str credential = auth_field(form, "x-amz-credential");
    claim.signature = auth_field(form, "x-amz-signature");
    claim.token = auth_field(form, "x-amz-security-token");
    if (!str_eq(auth_field(form, "x-amz-algorithm"), STR(ALGORITHM)))
        return v4_malformed(job, PLACE_POST, "x-amz-algorithm must be \"" ALGORITHM "\"");
    if (!credential.p || !claim.signature.p)
        return v4_malformed(job, PLACE_POST,
                            "x-amz-credential, x-amz-date and x-amz-signature are needed");
    if (date_parse_basic(date, &claim.at_s) < 0)
        return v4_malformed(job, PLACE_POST, "x-amz-date must be yyyyMMdd'T'HHmmss'Z'");
    (void)date_basic(claim.at_s, claim.timestamp);
    out->kind = AUTH_V4_POST;
    if (v4_credential(job, credential, &claim) < 0 || v4_verify(job, &claim, policy, out) < 0)
        return -1;
    return post_policy_check(job, policy, out);
}
