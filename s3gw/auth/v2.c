/* SPDX-License-Identifier: Apache-2.0 — v2.c: Signature Version 2: header, query, POST form.
 *
 * The text that is signed: method, Content-MD5, Content-Type, a date, the x-amz-* headers, and the
 * resource: bucket and path as they are on the wire, with those parameters that choose an
 * operation. libs3 and boto3's default presigning sign so.
 *
 * botocore puts x-amz-* headers, Content-MD5 and Content-Type of a presigned request into the query
 * and signs them as headers: they count as headers here, and one that comes both ways is refused.
 * Clients spell two things differently, so all spellings are tried; they say the same: "uploads="
 * is signed as it is written by botocore and without the "=" by others, and a bucket that is asked
 * for as "/bucket" is signed as "/bucket/" by botocore. What V2 does not sign (other parameters,
 * other headers, the body) stays open: it is a property of the protocol, and a key may refuse it
 * (s3_auth_key.sigv2_denied). Source: Amazon S3 user guide, "Signing and authenticating REST
 * requests". */
#include "s3gw/auth/auth_internal.h"
#include "s3gw/date.h"

#include "base/base64.h"

#define TEXT_BYTES_MAX (4 * AUTH_HEAD_BYTES_MAX)
#define SHA1_BASE64    28

/* How a client may have written the resource. */
enum { SPELLING_BARE = 1, SPELLING_SLASH = 2, SPELLINGS = 4 };

/* Parameters that are part of the resource, sorted. AWS's list, botocore's, and everything that
 * would turn a signed request into another operation. */
static const char *const sub_resources[] = {
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
};

/* A claim of V2, and the text that it signs. */
struct v2_claim {
    struct str access_key, signature, token;
    struct str date; /* the line of the text: Date, or what stands for it */
    bool query;      /* headers may be in the query */
};

static int ambiguous(struct auth_job *job, const char *name) {
    (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                       "A value cannot be signed with AWS Signature Version 2 because it could be "
                       "read in two ways");
    return s3_detail(job->x, "ArgumentName", str_of(name));
}

/* "a&acl": could be read as two parameters. */
static bool hides_parameter(struct str value) {
    struct str rest = value;
    struct str part;
    bool first = true;
    for (; str_next(&rest, '&', &part); first = false) {
        ptrdiff_t equals = str_find(part, '=');
        struct str name = equals < 0 ? part : str_sub(part, 0, (size_t)equals);
        for (size_t i = 0; !first && i < COUNT(sub_resources); i++)
            if (str_eq(name, str_of(sub_resources[i]))) return true;
    }
    return false;
}

/* A name that a header could have. */
static bool is_token(struct str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '_' && c != '.') return false;
    }
    return true;
}

/* The value of a header, or of the parameter that stands for it in a presigned URL. */
static int standard_header(struct auth_job *job, const struct v2_claim *claim, const char *name,
                           struct str *out) {
    struct str parameter = STR_NONE;
    if (auth_one_header(job, name, out) < 0) return -1;
    if (claim->query && auth_parameter(job, name, &parameter) < 0) return -1;
    if (parameter.p) *out = parameter; /* it was meant when the URL was signed */
    return auth_has_control(*out) ? ambiguous(job, name) : 0;
}

static struct str lower_case(struct arena *a, struct str name) {
    char *copy = arena_alloc(a, name.n + 1);
    for (size_t i = 0; copy && i < name.n; i++) {
        char c = name.p[i];
        copy[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    return str_make(copy, copy ? name.n : 0);
}

static bool is_amz(struct str name) { return str_eq_nocase(str_sub(name, 0, 6), STR("x-amz-")); }

/* All x-amz-* of headers and, in a URL, parameters; in the order of the request. */
static int gather_amz(struct auth_job *job, const struct v2_claim *claim, struct s3_pair *all,
                      size_t *n) {
    for (size_t i = 0; i < job->r->header_count; i++) {
        if (!is_amz(job->r->headers[i].name)) continue;
        all[*n].name = lower_case(job->a, job->r->headers[i].name);
        all[(*n)++].value = str_trim(job->r->headers[i].value);
    }
    size_t headers = *n;
    for (size_t i = 0; claim->query && i < job->query.count; i++) {
        if (!is_amz(job->query.at[i].name)) continue;
        if (auth_has_control(job->query.at[i].value)) return ambiguous(job, "x-amz-*");
        struct str name = lower_case(job->a, job->query.at[i].name);
        for (size_t k = 0; k < headers; k++)
            if (str_eq(all[k].name, name))
                return s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                                    "An x-amz-* header is in the query too");
        all[(*n)++] = (struct s3_pair){name, str_trim(job->query.at[i].value)};
    }
    for (size_t i = 0; i < *n; i++) {
        if (!all[i].name.p) return auth_no_memory(job);
        if (!is_token(all[i].name)) return ambiguous(job, "x-amz-*");
    }
    return 0;
}

/* Values of one name keep the order of the request. */
static int put_amz(struct auth_job *job, const struct v2_claim *claim, struct buf *to) {
    size_t n = 0;
    struct s3_pair *all =
        arena_array(job->a, job->r->header_count + job->query.count + 1, sizeof *all);
    if (!all) return auth_no_memory(job);
    if (gather_amz(job, claim, all, &n) < 0) return -1;
    for (size_t i = 1; i < n; i++) /* insertion: stable, and there are few */
        for (size_t k = i; k > 0 && str_cmp(all[k - 1].name, all[k].name) > 0; k--) {
            struct s3_pair swap = all[k];
            all[k] = all[k - 1];
            all[k - 1] = swap;
        }
    for (size_t i = 0; i < n; i++) {
        bool again = i > 0 && str_eq(all[i].name, all[i - 1].name);
        if (!again && (buf_str(to, all[i].name) < 0 || buf_str(to, STR(":")) < 0)) return -1;
        if ((again && buf_str(to, STR(",")) < 0) || buf_str(to, all[i].value) < 0) return -1;
        bool more = i + 1 < n && str_eq(all[i].name, all[i + 1].name);
        if (!more && buf_str(to, STR("\n")) < 0) return -1;
    }
    return 0;
}

/* Sub-resources of one name in the order of the query. */
static int put_parameter(struct auth_job *job, const char *name, unsigned spelling, bool *any,
                         struct buf *to) {
    for (size_t i = 0; i < job->query.count; i++) {
        const struct uri_parameter *p = &job->query.at[i];
        if (!str_eq(p->name, str_of(name))) continue;
        if (auth_has_control(p->value) || hides_parameter(p->value)) return ambiguous(job, name);
        if (buf_fmt(to, "%s%s", *any ? "&" : "?", name) < 0) return -1;
        *any = true;
        bool equals = p->value.n > 0 || (p->has_equals && !(spelling & SPELLING_BARE));
        if (equals && (buf_str(to, STR("=")) < 0 || buf_str(to, p->value) < 0)) return -1;
    }
    return 0;
}

static int put_resource(struct auth_job *job, unsigned spelling, struct buf *to) {
    bool any = false;
    if (job->r->vhost_bucket.n &&
        (buf_str(to, STR("/")) < 0 || buf_str(to, job->r->vhost_bucket) < 0))
        return -1;
    if (buf_str(to, job->r->path) < 0) return -1;
    bool only_bucket = str_rfind(job->r->path, '/') == 0 && job->r->path.n > 1;
    if (only_bucket && (spelling & SPELLING_SLASH) && buf_str(to, STR("/")) < 0) return -1;
    for (size_t i = 0; i < COUNT(sub_resources); i++)
        if (put_parameter(job, sub_resources[i], spelling, &any, to) < 0) return -1;
    return 0;
}

static int put_text(struct auth_job *job, const struct v2_claim *claim, unsigned spelling,
                    struct buf *to) {
    struct str md5;
    struct str type;
    if (standard_header(job, claim, "content-md5", &md5) < 0 ||
        standard_header(job, claim, "content-type", &type) < 0)
        return -1;
    struct str lines[] = {job->r->method, md5, type, claim->date};
    for (size_t i = 0; i < COUNT(lines); i++)
        if (buf_str(to, lines[i]) < 0 || buf_str(to, STR("\n")) < 0) return -1;
    if (put_amz(job, claim, to) < 0) return -1;
    return put_resource(job, spelling, to);
}

static bool signs(const struct s3_auth_key *key, struct str text, struct str signature) {
    uint8_t mac[HASH_BYTES_MAX];
    char want[SHA1_BASE64 + 1];
    struct str secret = str_make((const char *)key->secret, key->secret_bytes);
    size_t n = hmac(HASH_SHA1, secret, text, mac);
    size_t chars = base64_encode(BASE64_STD, str_make((const char *)mac, n), want);
    return digest_eq_secret(str_make(want, chars), signature);
}

static int find_key(struct auth_job *job, const struct v2_claim *claim, struct s3_auth_key *key,
                    struct s3_auth_result *out) {
    if (auth_find_key(job, claim->access_key, claim->token, key) < 0) return -1;
    if (key->sigv2_denied) {
        secret_wipe(key->secret, sizeof key->secret);
        return s3_fail_with(job->x, S3_INVALID_REQUEST,
                            "The authorization mechanism you have provided is not supported for "
                            "this key. Please use AWS4-HMAC-SHA256.");
    }
    out->access_key = claim->access_key;
    out->identity = key->identity;
    out->temporary = key->session_token.n > 0;
    return 0;
}

static int mismatch(struct auth_job *job, const struct v2_claim *claim) {
    (void)s3_fail(job->x, S3_SIGNATURE_DOES_NOT_MATCH);
    return s3_detail(job->x, "AWSAccessKeyId", claim->access_key);
}

static int verify(struct auth_job *job, const struct v2_claim *claim, struct s3_auth_result *out) {
    AUTO(buf_done) struct buf text = BUF(TEXT_BYTES_MAX);
    struct s3_auth_key key = {0};
    bool good = false;
    if (find_key(job, claim, &key, out) < 0) return -1;
    job->x->code = S3_OK;
    for (unsigned spelling = 0; spelling < SPELLINGS && !good; spelling++) {
        buf_clear(&text);
        if (put_text(job, claim, spelling, &text) < 0) {
            secret_wipe(key.secret, sizeof key.secret);
            return job->x->code == S3_OK ? auth_no_memory(job) : -1;
        }
        good = signs(&key, buf_view(&text), claim->signature);
    }
    secret_wipe(key.secret, sizeof key.secret);
    return good ? 0 : mismatch(job, claim);
}

static int check_date(struct auth_job *job, struct str text) {
    int64_t at = 0;
    if (date_parse_http(text, &at) < 0 && date_parse_basic(text, &at) < 0 &&
        date_parse_iso(text, &at) < 0)
        return s3_fail_with(job->x, S3_ACCESS_DENIED,
                            "AWS authentication requires a valid Date or x-amz-date header");
    if (at >= job->r->now_s - AUTH_SKEW_S && at <= job->r->now_s + AUTH_SKEW_S) return 0;
    return s3_fail(job->x, S3_REQUEST_TIME_TOO_SKEWED);
}

int v2_header(struct auth_job *job, struct str authorization, struct s3_auth_result *out) {
    struct v2_claim claim = {0};
    struct str amz_date;
    struct str rest = str_trim(str_sub(authorization, 4, authorization.n));
    ptrdiff_t colon = str_rfind(rest, ':');
    if (colon <= 0) {
        (void)s3_fail_with(
            job->x, S3_INVALID_ARGUMENT,
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature");
        return s3_detail(job->x, "ArgumentName", STR("Authorization"));
    }
    claim.access_key = str_sub(rest, 0, (size_t)colon);
    claim.signature = str_sub(rest, (size_t)colon + 1, rest.n);
    if (auth_one_header(job, "x-amz-date", &amz_date) < 0 ||
        auth_one_header(job, "date", &claim.date) < 0 ||
        auth_one_header(job, "x-amz-security-token", &claim.token) < 0 ||
        check_date(job, amz_date.p ? amz_date : claim.date) < 0)
        return -1;
    if (amz_date.p) claim.date = STR(""); /* it is signed among the x-amz-* headers */
    out->kind = AUTH_V2_HEADER;
    return verify(job, &claim, out);
}

int v2_query(struct auth_job *job, struct s3_auth_result *out) {
    struct v2_claim claim = {.query = true};
    uint64_t expires = 0;
    char text[DATE_ISO_CHARS + 1];
    if (auth_parameter(job, "AWSAccessKeyId", &claim.access_key) < 0 ||
        auth_parameter(job, "Signature", &claim.signature) < 0 ||
        auth_parameter(job, "Expires", &claim.date) < 0)
        return -1;
    if (!claim.access_key.p || !claim.signature.p || !claim.date.p)
        return s3_fail_with(job->x, S3_ACCESS_DENIED,
                            "Query-string authentication requires the Signature, Expires and "
                            "AWSAccessKeyId parameters");
    if (str_u64(claim.date, &expires) < 0 || expires > INT64_MAX)
        return s3_fail_with(job->x, S3_ACCESS_DENIED,
                            "Invalid date (should be seconds since epoch)");
    if (job->r->now_s >= (int64_t)expires) {
        (void)s3_fail_with(job->x, S3_ACCESS_DENIED, "Request has expired");
        (void)s3_detail(job->x, "Expires", str_of(date_iso((int64_t)expires, text)));
        return s3_detail(job->x, "ServerTime", str_of(date_iso(job->r->now_s, text)));
    }
    struct str header;
    if (auth_one_header(job, "x-amz-security-token", &header) < 0 ||
        auth_parameter(job, "x-amz-security-token", &claim.token) < 0)
        return -1;
    if (!claim.token.p) claim.token = header; /* both: gather_amz() refuses */
    out->kind = AUTH_V2_QUERY;
    return verify(job, &claim, out);
}

int v2_post(struct auth_job *job, struct str policy, struct s3_auth_result *out) {
    const struct s3_form *form = job->r->form;
    struct s3_auth_key key = {0};
    struct v2_claim claim = {.access_key = auth_field(form, "AWSAccessKeyId"),
                             .signature = auth_field(form, "signature"),
                             .token = auth_field(form, "x-amz-security-token")};
    if (!claim.access_key.p || !claim.signature.p) {
        const char *missing = claim.signature.p ? "AWSAccessKeyId" : "signature";
        (void)s3_fail_with(job->x, S3_INVALID_ARGUMENT,
                           "Bucket POST must contain a field named '%s'.  If it is specified, "
                           "please check the order of the fields.",
                           missing);
        return s3_detail(job->x, "ArgumentName", str_of(missing));
    }
    if (find_key(job, &claim, &key, out) < 0) return -1;
    bool good = signs(&key, policy, claim.signature);
    secret_wipe(key.secret, sizeof key.secret);
    if (!good) return mismatch(job, &claim);
    out->kind = AUTH_V2_POST;
    return post_policy_check(job, policy, out);
}
