/* SPDX-License-Identifier: Apache-2.0 — v4_canonical.c: the canonical request of Signature
 * Version 4.
 *
 * Path and query are decoded and encoded again, once, so that a client's spelling of an escape does
 * not matter; nothing of a path is normalised, since "//" and ".." are bytes of keys. Parameters
 * are sorted by encoded name, then value. Of the headers, those in SignedHeaders count; that list
 * must be lower case and ascending, so that a header is named once. Values of a repeated header are
 * joined with commas; runs of blanks become one.
 *
 * Every x-amz-* header and Host must be in the list: an unsigned one could be added by whoever
 * holds a URL. x-amz-content-sha256 alone may be missing there, because its value is the last line
 * of the canonical request anyway. Content-Type may be unsigned: minio-go, restic and mc send it
 * so. Source: Amazon S3 API reference, "Task 1: Create a Canonical Request". */
#include "s3gw/auth/auth_internal.h"

#define CANONICAL_BYTES_MAX (4 * AUTH_HEAD_BYTES_MAX) /* an escape makes three bytes of one */

struct encoded {
    struct str name, value;
};

static bool is_listed(struct str list, struct str name) {
    struct str part;
    while (str_next(&list, ';', &part))
        if (str_eq_nocase(part, name)) return true;
    return false;
}

static bool name_is_canonical(struct str name) {
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || (name.p[i] >= 'A' && name.p[i] <= 'Z')) return false;
    return name.n > 0;
}

static int check_list(struct auth_job *job, const struct v4_claim *claim) {
    struct str list = claim->signed_headers;
    struct str before = STR_NONE;
    struct str part;
    while (str_next(&list, ';', &part)) {
        if (!name_is_canonical(part) || (before.p && str_cmp(before, part) >= 0))
            return v4_malformed(job, claim->place,
                                "SignedHeaders must be lower case names in ascending order.");
        before = part;
    }
    return 0;
}

static int not_signed(struct auth_job *job, struct str name) {
    (void)s3_fail_with(job->x, S3_ACCESS_DENIED,
                       "There were headers present in the request which were not signed");
    return s3_detail(job->x, "HeadersNotSigned", name);
}

int v4_check_headers(struct auth_job *job, const struct v4_claim *claim) {
    struct str host;
    if (check_list(job, claim) < 0 || auth_one_header(job, "host", &host) < 0) return -1;
    if (!is_listed(claim->signed_headers, STR("host"))) return not_signed(job, STR("host"));
    for (size_t i = 0; i < job->r->header_count; i++) {
        struct str name = job->r->headers[i].name;
        if (str_eq_nocase(str_sub(name, 0, 6), STR("x-amz-")) &&
            !str_eq_nocase(name, STR("x-amz-content-sha256")) &&
            !is_listed(claim->signed_headers, name))
            return not_signed(job, name);
    }
    return 0;
}

static int encode_into(struct auth_job *job, struct str plain, struct str *out) {
    AUTO(buf_done) struct buf b = BUF(3 * AUTH_HEAD_BYTES_MAX);
    if (uri_encode(&b, plain) < 0) return -1;
    *out = arena_str(job->a, buf_view(&b));
    return out->p ? 0 : -1;
}

static int by_name_and_value(const void *a, const void *b) {
    const struct encoded *x = a;
    const struct encoded *y = b;
    int order = str_cmp(x->name, y->name);
    return order ? order : str_cmp(x->value, y->value);
}

static int put_query(struct auth_job *job, const struct v4_claim *claim, struct buf *to) {
    size_t n = 0;
    struct encoded *all = arena_array(job->a, job->query.count + 1, sizeof *all);
    if (!all) return -1;
    for (size_t i = 0; i < job->query.count; i++) {
        const struct uri_parameter *p = &job->query.at[i];
        if (claim->place == PLACE_QUERY && str_eq(p->name, STR("X-Amz-Signature"))) continue;
        if (encode_into(job, p->name, &all[n].name) < 0 ||
            encode_into(job, p->value, &all[n].value) < 0)
            return -1;
        n++;
    }
    qsort(all, n, sizeof *all, by_name_and_value);
    for (size_t i = 0; i < n; i++)
        if (buf_fmt(to, "%s%.*s=%.*s", i ? "&" : "", STR_ARG(all[i].name), STR_ARG(all[i].value)) <
            0)
            return -1;
    return buf_str(to, STR("\n"));
}

/* Trimmed, runs of blanks as one. */
static int put_value(struct buf *to, struct str value) {
    struct str v = str_trim(value);
    for (size_t i = 0; i < v.n; i++) {
        bool blank = v.p[i] == ' ' || v.p[i] == '\t';
        if (blank && (v.p[i - 1] == ' ' || v.p[i - 1] == '\t')) continue;
        if (buf_append(to, blank ? " " : v.p + i, 1) < 0) return -1;
    }
    return 0;
}

/* "name:value,value\n"; a header that is listed and did not come is an error. */
static int put_header(struct auth_job *job, struct str name, struct buf *to) {
    size_t found = 0;
    if (buf_str(to, name) < 0) return -1;
    for (size_t i = 0; i < job->r->header_count; i++) {
        if (!str_eq_nocase(job->r->headers[i].name, name)) continue;
        if (buf_str(to, found++ ? STR(",") : STR(":")) < 0 ||
            put_value(to, job->r->headers[i].value) < 0)
            return -1;
    }
    if (found == 0) {
        (void)s3_fail(job->x, S3_SIGNATURE_DOES_NOT_MATCH);
        return s3_detail(job->x, "HeaderMissing", name);
    }
    return buf_str(to, STR("\n"));
}

static int put_path(struct auth_job *job, struct buf *to) {
    struct str plain;
    if (job->r->path.n == 0 || uri_decode_path(job->a, job->r->path, &plain) < 0)
        return s3_fail(job->x, S3_INVALID_URI);
    if (uri_encode_path(to, plain) < 0) return -1;
    return buf_str(to, STR("\n"));
}

static int put_all(struct auth_job *job, const struct v4_claim *claim, struct buf *to) {
    struct str list = claim->signed_headers;
    struct str name;
    if (buf_str(to, job->r->method) < 0 || buf_str(to, STR("\n")) < 0 || put_path(job, to) < 0 ||
        put_query(job, claim, to) < 0)
        return -1;
    while (str_next(&list, ';', &name))
        if (put_header(job, name, to) < 0) return -1;
    return buf_fmt(to, "\n%.*s\n%.*s", STR_ARG(claim->signed_headers), STR_ARG(claim->payload));
}

int v4_canonical_hash(struct auth_job *job, const struct v4_claim *claim, struct digest *out) {
    AUTO(buf_done) struct buf b = BUF(CANONICAL_BYTES_MAX);
    job->x->code = S3_OK;
    if (put_all(job, claim, &b) < 0) return job->x->code == S3_OK ? auth_no_memory(job) : -1;
    *out = digest_of(buf_view(&b));
    return 0;
}
