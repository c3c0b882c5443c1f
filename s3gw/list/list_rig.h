/* SPDX-License-Identifier: Apache-2.0 — list_rig.h: what the tests of the listings say again and
 * again: objects that are put straight into the metadata, and lists that are read from replies.
 *
 * For tests only, hence all static. */
#pragma once

#include "s3gw/gateway/gateway_rig.h"
#include "s3gw/uri.h"

#define LIST_ITEMS_MAX 4096

static UNUSED struct meta_op list_run(const struct gateway_rig *r, struct meta_op op) {
    struct err e = {0};
    op.now_ms = op.now_ms ? op.now_ms : UINT64_C(1767225600000); /* 2026-01-01 */
    if (meta_run(r->gw->meta, &op, &e) < 0) fail_msg("%s", e.msg);
    return op;
}

static UNUSED void list_bucket(const struct gateway_rig *r, struct str name,
                               enum meta_versioning versioning) {
    struct str owner = str_of(gateway_identities(r->gw)->root.canonical_id);
    (void)list_run(r, (struct meta_op){.verb = META_BUCKET_CREATE,
                                       .bucket = name,
                                       .create = {.owner = owner, .versioning = versioning}});
}

static UNUSED struct meta_op list_put(const struct gateway_rig *r, struct str bucket,
                                      struct str key) {
    return list_run(r, (struct meta_op){.verb = META_PUT,
                                        .bucket = bucket,
                                        .key = key,
                                        .put = {.data = STR("x"), .size_bytes = 1}});
}

static UNUSED struct meta_op list_begin_upload(const struct gateway_rig *r, struct str bucket,
                                               struct str key) {
    return list_run(
        r, (struct meta_op){.verb = META_UPLOAD_BEGIN, .bucket = bucket, .key = key, .begin = {}});
}

/* GET /bucket?query; 200 is expected. */
static UNUSED void list_get(const struct gateway_rig *r, const char *bucket, const char *query,
                            struct rig_reply *out) {
    AUTO_FREE char *path = xasprintf("/%s", bucket);
    rig_ask(r, &(struct rig_ask){.method = "GET", .path = path, .query = query}, out);
    if (out->status != 200) fail_msg("%s?%s: %.*s", bucket, query, STR_ARG(out->body));
}

/* The first text of an element from `from` on (a position in body, moved behind it). .p NULL: none.
 */
static UNUSED struct str list_element(struct str body, const char *name, size_t *from) {
    AUTO_FREE char *open = xasprintf("<%s>", name);
    struct str rest = str_sub(body, *from, body.n);
    const char *at = rest.n ? memmem(rest.p, rest.n, open, strlen(open)) : NULL;
    if (!at) return STR_NONE;
    const char *text = at + strlen(open);
    const char *end = memchr(text, '<', (size_t)(rest.p + rest.n - text));
    assert_non_null(end);
    *from = (size_t)(end - body.p);
    return str_make(text, (size_t)(end - text));
}

static UNUSED struct str list_first(struct str body, const char *name) {
    size_t from = 0;
    return list_element(body, name, &from);
}

/* What the "url" encoding stands for, in the arena. */
static UNUSED struct str list_decoded(struct arena *a, struct str text) {
    struct str out;
    assert_int_equal(uri_decode_path(a, text, &out), 0);
    return out;
}

static UNUSED void list_param(struct buf *query, const char *name, struct str value) {
    if (!value.p) return;
    assert_int_equal(buf_fmt(query, "%s%s=", query->n ? "&" : "", name), 0);
    assert_int_equal(uri_encode(query, value), 0);
}
static UNUSED void list_param_u64(struct buf *query, const char *name, uint64_t value) {
    assert_int_equal(
        buf_fmt(query, "%s%s=%llu", query->n ? "&" : "", name, (unsigned long long)value), 0);
}
