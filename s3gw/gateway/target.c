/* SPDX-License-Identifier: Apache-2.0 — target.c: bucket and key of a request. */
#include "s3gw/gateway/target.h"

#include "base/utf8.h"
#include "s3gw/meta/meta.h"
#include "s3gw/uri.h"

#include <errno.h>

#define NAME_MIN 3

static bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_ipv4(struct str name) {
    unsigned parts = 0;
    struct str rest = name;
    struct str part = STR_NONE;
    while (str_next(&rest, '.', &part)) {
        uint64_t n = 0;
        if (part.n == 0 || part.n > 3 || str_u64(part, &n) < 0) return false;
        parts++;
    }
    return parts == 4;
}

bool target_bucket_name_ok(struct str name) {
    static const struct str prefixes[] = {STR("xn--"), STR("sthree-"), STR("amzn-s3-demo-")};
    static const struct str suffixes[] = {STR("-s3alias"), STR("--ol-s3"), STR(".mrap"),
                                          STR("--x-s3"), STR("--table-s3")};
    if (name.n < NAME_MIN || name.n > META_BUCKET_BYTES_MAX) return false;
    if (!is_lower_or_digit(name.p[0]) || !is_lower_or_digit(name.p[name.n - 1])) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_lower_or_digit(c) && c != '-' && c != '.') return false;
        if (c == '.' && name.p[i + 1] == '.') return false; /* the last one is no dot */
    }
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (str_starts(name, prefixes[i])) return false;
    for (size_t i = 0; i < COUNT(suffixes); i++)
        if (str_ends(name, suffixes[i])) return false;
    return !is_ipv4(name);
}

/* What may stand for a bucket in a request at all: nothing else can be looked up. */
static bool is_plausible(struct str name) {
    if (name.n < NAME_MIN || name.n > META_BUCKET_BYTES_MAX) return false;
    for (size_t i = 0; i < name.n; i++)
        if (!is_lower_or_digit(name.p[i]) && name.p[i] != '-' && name.p[i] != '.') return false;
    return true;
}

/* The bucket in front of ".domain", or empty. Host names have no case. */
static struct str vhost_bucket(struct arena *a, struct str domain, struct str host) {
    if (domain.n == 0 || host.n < domain.n + 2) return STR_NONE;
    struct str tail = str_sub(host, host.n - domain.n, host.n);
    if (!str_eq_nocase(tail, domain) || host.p[host.n - domain.n - 1] != '.') return STR_NONE;
    struct str name = arena_str(a, str_sub(host, 0, host.n - domain.n - 1));
    for (size_t i = 0; name.p && i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z') ((char *)name.p)[i] = (char)(name.p[i] | 0x20);
    return name;
}

static int set_key(struct arena *a, struct str raw, struct target *t, struct s3_error *x) {
    if (raw.n == 0) {
        t->place = TARGET_BUCKET;
        return 0;
    }
    int r = uri_decode_path(a, raw, &t->key);
    if (r == -ENOSPC) return s3_fail(x, S3_REQUEST_HEADERS_TOO_LARGE);
    if (r < 0) return s3_fail(x, S3_INVALID_URI);
    if (t->key.n > META_KEY_BYTES_MAX) {
        s3_fail(x, S3_KEY_TOO_LONG);
        return -1;
    }
    if (utf8_valid_prefix(t->key) != t->key.n || memchr(t->key.p, '\0', t->key.n))
        return s3_fail_with(x, S3_INVALID_URI, "The key is not UTF-8, or holds a NUL byte");
    t->place = TARGET_OBJECT;
    return 0;
}

int target_parse(struct arena *a, const struct target_ask *ask, struct target *out,
                 struct s3_error *x) {
    struct str path = ask->path;
    *out = (struct target){.place = TARGET_SERVICE};
    if (path.n == 0 || path.p[0] != '/') return s3_fail(x, S3_INVALID_URI);
    struct str rest = str_sub(path, 1, path.n);
    out->vhost_bucket = vhost_bucket(a, ask->domain, ask->host.name);
    if (out->vhost_bucket.n > 0) {
        out->bucket = out->vhost_bucket;
    } else {
        if (rest.n == 0) return 0;
        ptrdiff_t slash = str_find(rest, '/');
        size_t n = slash < 0 ? rest.n : (size_t)slash;
        if (uri_decode_path(a, str_sub(rest, 0, n), &out->bucket) < 0)
            return s3_fail(x, S3_INVALID_URI);
        rest = str_sub(rest, slash < 0 ? n : n + 1, rest.n);
    }
    if (!is_plausible(out->bucket)) {
        (void)s3_fail(x, S3_INVALID_BUCKET_NAME);
        return s3_detail(x, "BucketName", out->bucket);
    }
    return set_key(a, rest, out, x);
}
