/* SPDX-License-Identifier: Apache-2.0 — call_ask.c: what handlers ask of a call, and its reply. */
#include "base/clock.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/gateway_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct str call_header(const struct call *c, const char *name) {
    return http_head_value(http_call_head(c->http), str_of(name));
}

bool call_has_header(const struct call *c, const char *name) {
    return call_header(c, name).p != NULL;
}

struct str call_param(const struct call *c, const char *name) {
    const struct uri_parameter *p = uri_query_get(&c->query, name);
    if (!p) return STR_NONE;
    return p->value.p ? p->value : STR("");
}

int call_param_u64(const struct call *c, const char *name, struct call_range range, uint64_t *out,
                   struct s3_error *x) {
    struct str text = call_param(c, name);
    uint64_t n = 0;
    if (text.n == 0) return 0;
    if (str_u64(text, &n) == 0 && n >= range.least && n <= range.most) {
        *out = n;
        return 0;
    }
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "'%s' must be a number from %llu to %llu", name,
                       (unsigned long long)range.least, (unsigned long long)range.most);
    (void)s3_detail(x, "ArgumentName", str_of(name));
    return s3_detail(x, "ArgumentValue", text);
}

char *call_version_text(uint64_t version, bool is_null, char *out) {
    if (is_null)
        (void)snprintf(out, CALL_VERSION_CHARS + 1, "null");
    else
        (void)snprintf(out, CALL_VERSION_CHARS + 1, "%016llx", (unsigned long long)version);
    return out;
}

int call_version_parse(struct str text, uint64_t *out) {
    char digits[CALL_VERSION_CHARS + 1];
    if (str_eq(text, STR("null"))) {
        *out = META_NULL_VERSION;
        return 0;
    }
    if (text.n != CALL_VERSION_CHARS || !str_is_hex(text)) return -EINVAL;
    memcpy(digits, text.p, text.n);
    digits[text.n] = '\0';
    uint64_t n = strtoull(digits, NULL, 16);
    if (n == 0 || n >> 63) return -EINVAL;
    *out = n;
    return 0;
}

int call_version(const struct call *c, uint64_t *out, struct s3_error *x) {
    struct str text = call_param(c, "versionId");
    *out = META_LATEST;
    if (!text.p || call_version_parse(text, out) == 0) return 0;
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid version id specified");
    (void)s3_detail(x, "ArgumentName", STR("versionId"));
    return s3_detail(x, "ArgumentValue", text);
}

struct str call_owner(const struct call *c) {
    return c->who ? str_of(c->who->canonical_id) : STR("");
}

uint64_t call_now_ms(void) { return (uint64_t)(clock_wall_ns() / 1000000); }
struct meta *call_meta(const struct call *c) {
    return c->gw->meta;
}
struct str call_region(const struct call *c) {
    return c->gw->region;
}

struct meta_read call_read(struct call *c) {
    return (struct meta_read){.m = c->gw->meta, .arena = &c->arena};
}

int call_fail_meta(const struct call *c, enum meta_why why, const struct err *e,
                   struct s3_error *x) {
    (void)c;
    switch (why) {
    case META_NO_BUCKET: return s3_fail(x, S3_NO_SUCH_BUCKET);
    case META_BUCKET_EXISTS: return s3_fail(x, S3_BUCKET_ALREADY_EXISTS);
    case META_BUCKET_NOT_EMPTY: return s3_fail(x, S3_BUCKET_NOT_EMPTY);
    case META_NO_KEY: return s3_fail(x, S3_NO_SUCH_KEY);
    case META_NO_VERSION: return s3_fail(x, S3_NO_SUCH_VERSION);
    case META_NO_UPLOAD: return s3_fail(x, S3_NO_SUCH_UPLOAD);
    case META_PRECONDITION: return s3_fail(x, S3_PRECONDITION_FAILED);
    case META_LOCKED: return s3_fail_with(x, S3_ACCESS_DENIED, "The object is locked: %s", e->msg);
    case META_QUOTA: return s3_fail(x, S3_QUOTA_EXCEEDED);
    case META_PART_INVALID: return s3_fail(x, S3_INVALID_PART);
    case META_PART_ORDER: return s3_fail(x, S3_INVALID_PART_ORDER);
    case META_PART_SMALL: return s3_fail(x, S3_ENTITY_TOO_SMALL);
    case META_WRONG_SIZE: return s3_fail_with(x, S3_INVALID_REQUEST, "%s", e->msg);
    case META_INVALID: return s3_fail_with(x, S3_INVALID_ARGUMENT, "%s", e->msg);
    case META_OK:
    case META_FAILED:
    case META_NO_DOCUMENT:
    case META_NO_RECORD:
    case META_RECORD_EXISTS:
    case META_RECORD_IN_USE: break;
    }
    return s3_error_of_err(x, e);
}

/* ---- replies ---- */

void reply_header(struct call *c, const char *name, struct str value) {
    assert(c->reply.field_count < CALL_REPLY_FIELDS);
    struct str copy = arena_str(&c->arena, value);
    if (!copy.p) return; /* the arena's limit is far above all headers of a request */
    c->reply.fields[c->reply.field_count++] = (struct http_field){str_of(name), copy};
}

void reply_headerf(struct call *c, const char *name, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char text[512];
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    reply_header(c, name, str_of(text));
}

struct xml_out reply_xml(struct call *c) {
    buf_done(&c->reply.document);
    c->reply.document = BUF(CALL_REPLY_BYTES_MAX);
    reply_header(c, "Content-Type", STR("application/xml"));
    struct xml_out w = XML_OUT(&c->reply.document);
    xml_out_declaration(&w);
    return w;
}

int reply_xml_end(struct call *c, const struct xml_out *w, struct s3_error *x) {
    (void)c;
    return xml_out_end(w) < 0 ? s3_fail(x, S3_INTERNAL_ERROR) : 0;
}
