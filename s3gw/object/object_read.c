/* SPDX-License-Identifier: Apache-2.0 — object_read.c: what is read of an object before its bytes.
 *
 * Source: Amazon S3 API reference, GetObject, CopyObject; RFC 9110 sections 13 and 14. */
#include "s3gw/object/object_read.h"

#include "s3gw/date.h"
#include "s3gw/object/object_attributes.h"

#include <stdio.h>

/* ---- the object ---- */

static int fail_marker(struct call *c, const struct meta_object *o, enum s3_code code,
                       struct s3_error *x) {
    char text[CALL_VERSION_CHARS + 1];
    reply_header(c, "x-amz-delete-marker", STR("true"));
    reply_header(c, "x-amz-version-id", str_of(call_version_text(o->version, o->is_null, text)));
    (void)s3_fail(x, code);
    return code == S3_NO_SUCH_KEY ? s3_detail(x, "Key", c->target.key) : -1;
}

int object_find(struct call *c, struct meta_object *out, struct s3_error *x) {
    struct meta_name name = {.bucket = c->target.bucket, .key = c->target.key};
    struct meta_read read = call_read(c);
    struct err e = {0};
    if (call_version(c, &name.version, x) < 0) return -1;
    *out = (struct meta_object){.version = 0};
    if (meta_object(&read, &name, out, &e) == 0) {
        if (!out->is_marker) return 0;
        return fail_marker(c, out, S3_METHOD_NOT_ALLOWED, x);
    }
    if (read.why == META_NO_KEY || read.why == META_NO_VERSION) {
        struct s3_error ignored;
        const struct call_asked list = {.action = "s3:ListBucket", .bucket = &c->bucket};
        if (call_authorize_other(c, &list, &ignored) < 0) return s3_fail(x, S3_ACCESS_DENIED);
        if (out->is_marker) return fail_marker(c, out, S3_NO_SUCH_KEY, x);
        (void)call_fail_meta(c, read.why, &e, x);
        return s3_detail(x, "Key", c->target.key);
    }
    return call_fail_meta(c, read.why, &e, x);
}

/* ---- conditions ---- */

static struct str condition(const struct call *c, const char *prefix, const char *name) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s%s", prefix, name);
    return call_header(c, text);
}

static bool any_etag(struct str list, const struct meta_etag *etag) {
    struct str part = STR_NONE;
    struct meta_etag t;
    if (str_eq(str_trim(list), STR("*"))) return true;
    while (str_next(&list, ',', &part)) {
        part = str_trim(part);
        if (str_starts(part, STR("W/"))) part = str_sub(part, 2, part.n);
        if (object_etag_parse(part, &t) == 0 && t.parts == etag->parts &&
            memcmp(t.md5, etag->md5, sizeof t.md5) == 0)
            return true;
    }
    return false;
}

int object_read_conditions(const struct call *c, const char *prefix, const struct meta_object *o,
                           bool *out_unmodified, struct s3_error *x) {
    struct str match = condition(c, prefix, "if-match");
    struct str none = condition(c, prefix, "if-none-match");
    struct str since = condition(c, prefix, "if-modified-since");
    struct str unmodified = condition(c, prefix, "if-unmodified-since");
    int64_t modified_s = (int64_t)(o->modified_ms / 1000);
    int64_t at = 0;
    *out_unmodified = false;
    if (match.p) {
        if (!any_etag(match, &o->etag)) return s3_fail(x, S3_PRECONDITION_FAILED);
    } else if (unmodified.p && date_parse_http(unmodified, &at) == 0 && modified_s > at) {
        return s3_fail(x, S3_PRECONDITION_FAILED);
    }
    if (none.p)
        *out_unmodified = any_etag(none, &o->etag);
    else if (since.p && date_parse_http(since, &at) == 0)
        *out_unmodified = modified_s <= at;
    return 0;
}

/* ---- ranges ---- */

static int fail_range(uint64_t size, struct str text, struct s3_error *x) {
    char number[24];
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)size);
    (void)s3_fail(x, S3_INVALID_RANGE);
    (void)s3_detail(x, "RangeRequested", text);
    return s3_detail(x, "ActualObjectSize", str_of(number));
}

int object_range_parse(struct str text, uint64_t size, struct object_range *out,
                       struct s3_error *x) {
    struct str spec = str_sub(text, 6, text.n);
    ptrdiff_t dash = str_find(spec, '-');
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;
    *out = (struct object_range){.bytes = size};
    if (!str_starts(text, STR("bytes=")) || dash < 0 || str_find(spec, ',') >= 0) return 0;
    struct str first = str_sub(spec, 0, (size_t)dash);
    struct str last = str_sub(spec, (size_t)dash + 1, spec.n);
    if (first.n == 0) { /* the last n bytes */
        if (str_u64(last, &to) < 0) return 0;
        if (to == 0 || size == 0) return fail_range(size, text, x);
        from = to < size ? size - to : 0;
        to = size - 1;
    } else {
        if (str_u64(first, &from) < 0 || (last.n > 0 && str_u64(last, &to) < 0) || to < from)
            return 0;
        if (from >= size) return fail_range(size, text, x);
        if (to >= size) to = size - 1;
    }
    *out = (struct object_range){from, to - from + 1, true};
    return 0;
}

/* ---- the source of a copy ---- */

int object_source_read(struct call *c, struct object_source *out, struct s3_error *x) {
    struct str text = call_header(c, "x-amz-copy-source");
    struct str version = STR_NONE;
    *out = (struct object_source){.version = META_LATEST};
    for (size_t i = 0; i + 11 <= text.n; i++)
        if (str_starts(str_sub(text, i, text.n), STR("?versionId="))) {
            version = str_sub(text, i + 11, text.n);
            text = str_sub(text, 0, i);
        }
    if (uri_decode_path(&c->arena, text, &text) < 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Copy Source must be percent-encoded");
    if (text.n > 0 && text.p[0] == '/') text = str_sub(text, 1, text.n);
    ptrdiff_t slash = str_find(text, '/');
    if (slash <= 0 || (size_t)slash + 1 == text.n)
        return s3_fail_with(x, S3_INVALID_ARGUMENT,
                            "Copy Source must mention the source bucket and key: "
                            "sourcebucket/sourcekey");
    out->bucket = str_sub(text, 0, (size_t)slash);
    out->key = str_sub(text, (size_t)slash + 1, text.n);
    if (out->bucket.n > META_BUCKET_BYTES_MAX) return s3_fail(x, S3_INVALID_BUCKET_NAME);
    if (out->key.n > META_KEY_BYTES_MAX) return s3_fail(x, S3_KEY_TOO_LONG);
    if (version.p && call_version_parse(version, &out->version) < 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid version id specified");
    return 0;
}

int object_source_find(struct call *c, struct object_source *s, struct meta_object *out,
                       struct s3_error *x) {
    struct meta_read read = call_read(c);
    struct meta_bucket bucket;
    struct err e = {0};
    bool unmodified = false;
    if (meta_bucket(&read, s->bucket, &bucket, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    s->versioned = bucket.versioning != META_UNVERSIONED;
    const struct meta_name name = {s->bucket, s->key, s->version};
    struct call_asked asked = {.action = s->version == META_LATEST ? "s3:GetObject"
                                                                   : "s3:GetObjectVersion",
                               .bucket = &bucket,
                               .key = s->key,
                               .version = s->version};
    if (call_authorize_other(c, &asked, x) < 0) return -1;
    if (meta_object(&read, &name, out, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    if (out->is_marker)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The source of a copy request may not specifically refer to a delete "
                            "marker by version id.");
    if (object_read_conditions(c, "x-amz-copy-source-", out, &unmodified, x) < 0) return -1;
    return unmodified ? s3_fail(x, S3_PRECONDITION_FAILED) : 0;
}

int object_reply_copy(struct call *c, const char *root, const struct object_copied *k,
                      struct s3_error *x) {
    char etag[OBJECT_ETAG_CHARS];
    char date[DATE_ISO_CHARS + 1];
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, root, XML_OUT_S3);
    xml_out_c(&w, "LastModified", date_iso((int64_t)(k->modified_ms / 1000), date));
    char *quoted = arena_fmt(&c->arena, "\"%s\"", object_etag_text(&k->etag, etag));
    xml_out_c(&w, "ETag", quoted);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}
