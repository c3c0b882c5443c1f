/* SPDX-License-Identifier: Apache-2.0 — object_attributes.c: headers in, metadata, headers out.
 *
 * Lines end with LF, which no header's value can hold (http_field.h), and a name holds no blank.
 * Source: Amazon S3 API reference, PutObject; user guide, "Working with object metadata". */
#include "s3gw/object/object_attributes.h"

#include "base/http_date.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define META_PREFIX STR("x-amz-meta-")

static const char *const CONTENT[] = {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
};
/* Promises that are not kept yet: refused rather than passed over. */
static const char *const REFUSED[] = {
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-retain-until-date",
    "x-amz-grant-read",
    "x-amz-grant-full-control",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-write-offset-bytes",
};

/* ---- in ---- */

/* "aws-chunked" is of the transfer, not of the object. */
static struct str without_chunked(struct call *c, struct str value) {
    struct buf out = BUF(META_FIELD_BYTES_MAX);
    struct str rest = value;
    struct str part = STR_NONE;
    while (str_next(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n == 0 || str_eq_nocase(part, STR("aws-chunked"))) continue;
        if (buf_fmt(&out, "%s%.*s", out.n ? "," : "", STR_ARG(part)) < 0) break;
    }
    struct str copy = arena_str(&c->arena, buf_view(&out));
    buf_done(&out);
    return copy;
}

static int add_line(struct buf *out, struct str name, struct str value) {
    size_t at = out->n;
    if (buf_str(out, name) < 0) return -1;
    for (size_t i = at; i < out->n; i++)
        if (out->p[i] >= 'A' && out->p[i] <= 'Z') out->p[i] = (char)(out->p[i] | 0x20);
    return buf_fmt(out, " %.*s\n", STR_ARG(value)) < 0 ? -1 : 0;
}

static int read_lines(struct call *c, struct buf *out, struct s3_error *x) {
    size_t user_bytes = 0;
    for (size_t i = 0; i < COUNT(CONTENT); i++) {
        struct str v = call_header(c, CONTENT[i]);
        if (v.p && strcmp(CONTENT[i], "content-encoding") == 0) v = without_chunked(c, v);
        if (v.n > 0 && add_line(out, str_of(CONTENT[i]), v) < 0)
            return s3_fail(x, S3_METADATA_TOO_LARGE);
    }
    for (size_t i = 0; i < c->request.header_count; i++) {
        const struct s3_pair *h = &c->request.headers[i];
        if (!str_eq_nocase(str_sub(h->name, 0, META_PREFIX.n), META_PREFIX)) continue;
        user_bytes += h->name.n - META_PREFIX.n + h->value.n;
        if (user_bytes > OBJECT_USER_METADATA_MAX || add_line(out, h->name, h->value) < 0)
            return s3_fail(x, S3_METADATA_TOO_LARGE);
    }
    return 0;
}

int object_tags_check(struct call *c, struct str tags, struct s3_error *x) {
    struct uri_query q;
    if (uri_query_parse(&c->arena, tags, &q) < 0 || q.count > OBJECT_TAGS_MAX)
        return s3_fail_with(x, S3_INVALID_TAG, "An object has at most %d tags", OBJECT_TAGS_MAX);
    for (size_t i = 0; i < q.count; i++) {
        if (q.at[i].name.n == 0 || q.at[i].name.n > OBJECT_TAG_NAME_MAX ||
            q.at[i].value.n > OBJECT_TAG_VALUE_MAX)
            return s3_fail(x, S3_INVALID_TAG);
        for (size_t j = 0; j < i; j++)
            if (str_eq(q.at[i].name, q.at[j].name))
                return s3_fail_with(x, S3_INVALID_TAG, "Two tags have the same key");
    }
    return 0;
}

size_t object_tags_count(struct str tags) {
    size_t n = 0;
    struct str part = STR_NONE;
    while (str_next(&tags, '&', &part)) n += part.n > 0;
    return n;
}

static int read_acl(struct call *c, struct meta_attributes *out, struct s3_error *x) {
    struct str name = call_header(c, "x-amz-acl");
    struct buf lines = BUF(ACL_BYTES_MAX);
    const struct acl_owners owners = {call_owner(c), c->bucket.owner};
    if (!name.p) return 0;
    int r = acl_canned(name, &owners, &lines);
    out->acl = arena_str(&c->arena, buf_view(&lines));
    buf_done(&lines);
    if (r == 0) return 0;
    return s3_fail_with(x, S3_INVALID_ARGUMENT, "There is no canned ACL of this name");
}

int object_attributes_read(struct call *c, struct meta_attributes *out, struct s3_error *x) {
    struct str storage = call_header(c, "x-amz-storage-class");
    *out = (struct meta_attributes){.owner = call_owner(c)};
    for (size_t i = 0; i < COUNT(REFUSED); i++)
        if (call_has_header(c, REFUSED[i]))
            return s3_fail_with(x, S3_NOT_IMPLEMENTED, "The header %s is not offered here",
                                REFUSED[i]);
    if (storage.p && !str_eq(storage, STR("STANDARD"))) return s3_fail(x, S3_INVALID_STORAGE_CLASS);
    struct buf lines = BUF(OBJECT_HEADERS_MAX);
    int r = read_lines(c, &lines, x);
    out->headers = arena_str(&c->arena, buf_view(&lines));
    buf_done(&lines);
    if (r < 0 || read_acl(c, out, x) < 0) return -1;
    out->tags = call_header(c, "x-amz-tagging");
    return out->tags.n > 0 ? object_tags_check(c, out->tags, x) : 0;
}

/* ---- checksums ---- */

int object_checksum_set(struct call *c, const struct object_checksum *k,
                        struct meta_attributes *out, struct s3_error *x) {
    char text[CHECKSUM_TEXT_MAX + 1];
    (void)checksum_text(&k->value, text);
    char *p = k->parts > 0
                  ? arena_fmt(&c->arena, "%s %s-%u", checksum_name(k->value.kind), text, k->parts)
                  : arena_fmt(&c->arena, "%s %s", checksum_name(k->value.kind), text);
    if (!p) return s3_fail(x, S3_INTERNAL_ERROR);
    out->checksums = str_of(p);
    out->checksum_kind = (uint8_t)(1 + (unsigned)k->value.kind + 16 * (unsigned)k->type);
    return 0;
}

bool object_checksum_kind(const struct meta_attributes *a, enum checksum_kind *out_kind,
                          enum checksum_type *out_type) {
    unsigned kind = (a->checksum_kind & 15U) - 1U;
    if (a->checksum_kind == 0 || kind >= CHECKSUM_KINDS) return false;
    *out_kind = (enum checksum_kind)kind;
    *out_type = a->checksum_kind & 16 ? CHECKSUM_FULL_OBJECT : CHECKSUM_COMPOSITE;
    return true;
}

struct str object_checksum_text(const struct meta_attributes *a) {
    ptrdiff_t blank = str_find(a->checksums, ' ');
    return blank < 0 ? STR_NONE : str_sub(a->checksums, (size_t)blank + 1, a->checksums.n);
}

/* ---- entity tags ---- */

char *object_etag_text(const struct meta_etag *etag, char *out) {
    (void)hex_encode(etag->md5, sizeof etag->md5, out);
    if (etag->parts > 0) (void)snprintf(out + 32, OBJECT_ETAG_CHARS - 32, "-%u", etag->parts);
    return out;
}

static int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int object_etag_parse(struct str text, struct meta_etag *out) {
    struct meta_etag tag = {.parts = 0};
    uint64_t parts = 0;
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = str_sub(text, 1, text.n - 1);
    if (text.n < 32) return -EINVAL;
    for (size_t i = 0; i < 16; i++) {
        int high = nibble(text.p[2 * i]);
        int low = nibble(text.p[2 * i + 1]);
        if (high < 0 || low < 0) return -EINVAL;
        tag.md5[i] = (uint8_t)(high << 4 | low);
    }
    if (text.n > 32) {
        if (text.p[32] != '-' || str_u64(str_sub(text, 33, text.n), &parts) < 0 || parts == 0 ||
            parts > META_PARTS_MAX)
            return -EINVAL;
        tag.parts = (uint32_t)parts;
    }
    *out = tag;
    return 0;
}

int object_write_conditions(struct call *c, struct meta_conditions *out, struct s3_error *x) {
    struct str match = call_header(c, "If-Match");
    struct str none = call_header(c, "If-None-Match");
    struct meta_etag *tags = arena_array(&c->arena, 2, sizeof *tags);
    *out = (struct meta_conditions){.none_may_exist = str_eq(none, STR("*")),
                                    .one_must_exist = str_eq(match, STR("*"))};
    if (!tags) return s3_fail(x, S3_INTERNAL_ERROR);
    if (match.p && !out->one_must_exist) {
        if (object_etag_parse(match, &tags[0]) < 0) return s3_fail(x, S3_PRECONDITION_FAILED);
        out->match = &tags[0];
    }
    if (none.p && !out->none_may_exist) {
        if (object_etag_parse(none, &tags[1]) < 0) return 0; /* no object has this tag */
        out->none_match = &tags[1];
    }
    return 0;
}

/* ---- out ---- */

void object_reply_version(struct call *c, uint64_t version, bool is_null) {
    char text[CALL_VERSION_CHARS + 1];
    if (c->bucket.versioning == META_UNVERSIONED) return;
    reply_header(c, "x-amz-version-id", str_of(call_version_text(version, is_null, text)));
}

/* Of the whole object: a part of its bytes has another one, so AWS gives none there. */
static void reply_checksum(struct call *c, const struct meta_object *o) {
    enum checksum_kind kind;
    enum checksum_type type;
    if (!str_eq_nocase(call_header(c, "x-amz-checksum-mode"), STR("ENABLED"))) return;
    if (c->reply.status == 206) return;
    if (!object_checksum_kind(&o->attributes, &kind, &type)) return;
    reply_header(c, checksum_header(kind), object_checksum_text(&o->attributes));
    reply_header(c, "x-amz-checksum-type", str_of(checksum_type_name(type)));
}

/* GetObject's response-* parameters, which only signed requests may have. */
static struct str override(const struct call *c, struct str name) {
    static const char *const CAN[] = {"cache-control",    "content-disposition", "content-encoding",
                                      "content-language", "content-type",        "expires"};
    for (size_t i = 0; i < COUNT(CAN); i++) {
        if (!str_eq(name, str_of(CAN[i]))) continue;
        AUTO_FREE char *parameter = xasprintf("response-%s", CAN[i]);
        return call_param(c, parameter);
    }
    return STR_NONE;
}

static void reply_lines(struct call *c, struct str lines) {
    static const char *const CAN[] = {"cache-control",    "content-disposition", "content-encoding",
                                      "content-language", "content-type",        "expires"};
    struct str line = STR_NONE;
    bool has_type = false;
    for (size_t i = 0; i < COUNT(CAN); i++) {
        struct str v = override(c, str_of(CAN[i]));
        if (!v.p || !http_is_value(v)) continue;
        reply_header(c, CAN[i], v);
        has_type |= strcmp(CAN[i], "content-type") == 0;
    }
    while (str_next(&lines, '\n', &line)) {
        struct str name = STR_NONE;
        if (!str_next(&line, ' ', &name) || name.n == 0) continue;
        struct str copy = arena_str(&c->arena, name);
        if (!copy.p || override(c, name).p) continue;
        reply_header(c, copy.p, line);
        has_type |= str_eq(name, STR("content-type"));
    }
    if (!has_type) reply_header(c, "Content-Type", STR("binary/octet-stream"));
}

void object_reply_state(struct call *c, const struct meta_object *o) {
    char etag[OBJECT_ETAG_CHARS];
    char date[HTTP_DATE_CHARS + 1];
    reply_header(c, "Last-Modified", http_date((int64_t)(o->modified_ms / 1000), date));
    reply_headerf(c, "ETag", "\"%s\"", object_etag_text(&o->etag, etag));
    object_reply_version(c, o->version, o->is_null);
}

void object_reply_headers(struct call *c, const struct meta_object *o) {
    object_reply_state(c, o);
    reply_header(c, "Accept-Ranges", STR("bytes"));
    if (object_tags_count(o->attributes.tags) > 0)
        reply_headerf(c, "x-amz-tagging-count", "%zu", object_tags_count(o->attributes.tags));
    reply_checksum(c, o);
    reply_lines(c, o->attributes.headers);
}
