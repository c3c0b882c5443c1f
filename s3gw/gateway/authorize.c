/* SPDX-License-Identifier: Apache-2.0 — authorize.c: may this request do what it asks for?
 *
 * Order: the root user may everything; an explicit Deny of the bucket's policy wins over all else;
 * then an Allow of the policy, the owner of the bucket, the ACL of the object (owner included) or
 * of the bucket. What says nothing denies, and what cannot be read denies. Source: Amazon S3 user
 * guide, "How Amazon S3 authorizes a request"; "Mapping of ACL permissions and access policy
 * permissions". */
#include "s3gw/date.h"
#include "s3gw/gateway/acl.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/gateway_internal.h"
#include "s3gw/policy/policy.h"

#include <stdio.h>

#define CONTEXT_MAX 16

/* Which permission of an ACL gives an action, on the bucket or on the object. */
static const struct {
    const char *action;
    enum acl_permission bucket, object;
} ACTIONS[] = {
    {"s3:ListBucket", ACL_READ, ACL_NONE},
    {"s3:ListBucketVersions", ACL_READ, ACL_NONE},
    {"s3:ListBucketMultipartUploads", ACL_READ, ACL_NONE},
    {"s3:GetBucketAcl", ACL_READ_ACP, ACL_NONE},
    {"s3:PutBucketAcl", ACL_WRITE_ACP, ACL_NONE},
    {"s3:PutObject", ACL_WRITE, ACL_NONE},
    {"s3:DeleteObject", ACL_WRITE, ACL_NONE},
    {"s3:GetObject", ACL_NONE, ACL_READ},
    {"s3:GetObjectVersion", ACL_NONE, ACL_READ},
    {"s3:GetObjectAcl", ACL_NONE, ACL_READ_ACP},
    {"s3:GetObjectVersionAcl", ACL_NONE, ACL_READ_ACP},
    {"s3:PutObjectAcl", ACL_NONE, ACL_WRITE_ACP},
    {"s3:PutObjectVersionAcl", ACL_NONE, ACL_WRITE_ACP},
};

static bool is_action_known(const struct call_asked *q, enum acl_permission *bucket,
                            enum acl_permission *object) {
    for (size_t i = 0; i < COUNT(ACTIONS); i++)
        if (strcmp(ACTIONS[i].action, q->action) == 0) {
            *bucket = ACTIONS[i].bucket;
            *object = ACTIONS[i].object;
            return true;
        }
    return false;
}

/* ---- the bucket's policy ---- */

struct context {
    struct s3_pair at[CONTEXT_MAX];
    size_t n;
};

static void add(struct context *k, const char *name, struct str value) {
    if (value.p && k->n < CONTEXT_MAX) k->at[k->n++] = (struct s3_pair){str_of(name), value};
}

static struct str peer_address(struct call *c) {
    struct str peer = str_of(http_call_peer(c->http));
    ptrdiff_t colon = str_rfind(peer, ':');
    if (colon <= 0) return STR_NONE; /* a unix socket has none */
    struct str host = str_sub(peer, 0, (size_t)colon);
    if (host.n > 2 && host.p[0] == '[') host = str_sub(host, 1, host.n - 1);
    return host;
}

static void fill_context(struct call *c, struct context *k) {
    char *now = arena_alloc(&c->arena, DATE_ISO_CHARS + 1);
    add(k, "aws:SourceIp", peer_address(c));
    add(k, "aws:SecureTransport", http_call_encrypted(c->http) ? STR("true") : STR("false"));
    if (now) add(k, "aws:CurrentTime", str_of(date_iso(c->request.now_s, now)));
    add(k, "aws:UserAgent", call_header(c, "User-Agent"));
    add(k, "aws:Referer", call_header(c, "Referer"));
    add(k, "s3:prefix", call_param(c, "prefix"));
    add(k, "s3:delimiter", call_param(c, "delimiter"));
    add(k, "s3:max-keys", call_param(c, "max-keys"));
    add(k, "s3:VersionId", call_param(c, "versionId"));
    add(k, "s3:x-amz-acl", call_header(c, "x-amz-acl"));
    add(k, "s3:x-amz-copy-source", call_header(c, "x-amz-copy-source"));
    add(k, "s3:x-amz-server-side-encryption", call_header(c, "x-amz-server-side-encryption"));
    add(k, "s3:x-amz-storage-class", call_header(c, "x-amz-storage-class"));
    if (c->who) add(k, "aws:username", str_of(c->who->display_name));
}

static int ask_policy(struct call *c, const struct call_asked *q, enum policy_verdict *out,
                      struct s3_error *x) {
    struct meta_read read = call_read(c);
    struct str document = STR_NONE;
    struct err e = {0};
    *out = POLICY_SILENT;
    if (meta_document(&read, q->bucket->name, DOCUMENT_POLICY, &document, &e) < 0)
        return read.why == META_NO_DOCUMENT ? 0 : call_fail_meta(c, read.why, &e, x);
    const struct policy *policy = NULL;
    AUTO(arena_done) struct arena a = ARENA(POLICY_ARENA_BYTES);
    if (policy_parse(&a, document, q->bucket->name, &policy, &e) < 0) {
        *out = POLICY_DENY; /* it was accepted once: not to understand it now must not allow */
        return 0;
    }
    struct context k = {.n = 0};
    fill_context(c, &k);
    const char *resource = arena_fmt(&a, "arn:aws:s3:::%.*s%s%.*s", STR_ARG(q->bucket->name),
                                     q->key.n > 0 ? "/" : "", STR_ARG(q->key));
    if (!resource) return s3_fail(x, S3_INTERNAL_ERROR);
    const struct policy_question question = {
        .action = str_of(q->action),
        .resource = str_of(resource),
        .principal_arn = str_of(c->who ? c->who->arn : ""),
        .account = c->who ? STR(IDENTITY_ACCOUNT) : STR(""),
        .canonical_id = call_owner(c),
        .context = k.at,
        .context_count = k.n,
    };
    *out = policy_evaluate(policy, &question);
    return 0;
}

/* ---- ACLs ---- */

static int bucket_acl_allows(struct call *c, const struct call_asked *q, enum acl_permission p,
                             bool *out, struct s3_error *x) {
    struct meta_read read = call_read(c);
    struct str lines = STR_NONE;
    struct err e = {0};
    *out = false;
    if (p == ACL_NONE) return 0;
    if (meta_document(&read, q->bucket->name, DOCUMENT_ACL, &lines, &e) < 0)
        return read.why == META_NO_DOCUMENT ? 0 : call_fail_meta(c, read.why, &e, x);
    *out = acl_allows(lines, p, c->who);
    return 0;
}

/* The object's own list. An object that is not there gives nothing: who may not list the bucket
 * does not learn that it is missing. */
static int object_acl_allows(struct call *c, const struct call_asked *q, enum acl_permission p,
                             bool *out, struct s3_error *x) {
    struct meta_object object = {.version = 0};
    struct err e = {0};
    AUTO(arena_done) struct arena a = ARENA(1 << 20);
    struct meta_read read = {.m = c->gw->meta, .arena = &a};
    const struct meta_name name = {q->bucket->name, q->key, q->version};
    *out = false;
    if (p == ACL_NONE || q->key.n == 0) return 0;
    if (q->object)
        object = *q->object;
    else if (meta_object(&read, &name, &object, &e) < 0)
        return read.why == META_FAILED ? s3_error_of_err(x, &e) : 0;
    bool mine = c->who && str_eq(object.attributes.owner, call_owner(c));
    *out = mine || acl_allows(object.attributes.acl, p, c->who);
    return 0;
}

int call_authorize_other(struct call *c, const struct call_asked *q, struct s3_error *x) {
    enum policy_verdict verdict = POLICY_SILENT;
    enum acl_permission on_bucket = ACL_NONE;
    enum acl_permission on_object = ACL_NONE;
    bool allowed = false;
    if (c->who && c->who->is_root) return 0;
    if (!q->bucket) return c->who ? 0 : s3_fail(x, S3_ACCESS_DENIED);
    if (ask_policy(c, q, &verdict, x) < 0) return -1;
    if (verdict == POLICY_DENY) return s3_fail(x, S3_ACCESS_DENIED);
    if (verdict == POLICY_ALLOW) return 0;
    if (c->who && str_eq(q->bucket->owner, call_owner(c))) return 0;
    if (is_action_known(q, &on_bucket, &on_object)) {
        if (bucket_acl_allows(c, q, on_bucket, &allowed, x) < 0) return -1;
        if (!allowed && object_acl_allows(c, q, on_object, &allowed, x) < 0) return -1;
    }
    return allowed ? 0 : s3_fail(x, S3_ACCESS_DENIED);
}

int call_authorize(struct call *c, const char *action, struct s3_error *x) {
    bool at_bucket = c->target.place != TARGET_SERVICE && !c->route->no_bucket;
    struct call_asked q = {
        .action = action, .bucket = at_bucket ? &c->bucket : NULL, .key = c->target.key};
    if (call_version(c, &q.version, x) < 0) return -1;
    return call_authorize_other(c, &q, x);
}
