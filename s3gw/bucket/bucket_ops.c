/* SPDX-License-Identifier: Apache-2.0 — bucket_ops.c: buckets: list, make, ask for, remove. */
#include "s3gw/date.h"
#include "s3gw/gateway/acl.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/groups.h"
#include "s3gw/xml_in.h"

#include <stdio.h>

#define MAX_BUCKETS 1000

/* An ISO date with milliseconds, as S3's documents have them. */
static void xml_date(struct xml_out *w, const char *name, uint64_t at_ms) {
    char text[DATE_ISO_CHARS + 1];
    xml_out_c(w, name, date_iso((int64_t)(at_ms / 1000), text));
}

static void xml_owner(struct call *c, struct xml_out *w, struct str id) {
    xml_out_open(w, "Owner");
    xml_out_str(w, "ID", id);
    if (c->who && str_eq(id, call_owner(c))) xml_out_c(w, "DisplayName", c->who->display_name);
    xml_out_close(w);
}

/* Source: Amazon S3 API reference, ListBuckets. */
static int list_buckets(struct call *c, struct s3_error *x) {
    uint64_t max = MAX_BUCKETS;
    struct meta_read read = call_read(c);
    struct meta_buckets found;
    struct err e = {0};
    if (!c->who) return s3_fail(x, S3_ACCESS_DENIED);
    if (call_param_u64(c, "max-buckets", (struct call_range){1, 10000}, &max, x) < 0) return -1;
    const struct meta_buckets_query q = {.owner = call_owner(c),
                                         .prefix = call_param(c, "prefix"),
                                         .after = call_param(c, "continuation-token"),
                                         .max = max < MAX_BUCKETS ? (uint32_t)max : MAX_BUCKETS};
    if (meta_buckets(&read, &q, &found, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListAllMyBucketsResult", XML_OUT_S3);
    xml_owner(c, &w, call_owner(c));
    xml_out_open(&w, "Buckets");
    for (size_t i = 0; i < found.count; i++) {
        xml_out_open(&w, "Bucket");
        xml_out_str(&w, "Name", found.p[i].name);
        xml_date(&w, "CreationDate", found.p[i].created_ms);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    if (found.truncated && found.count > 0)
        xml_out_str(&w, "ContinuationToken", found.p[found.count - 1].name);
    if (q.prefix.n > 0) xml_out_str(&w, "Prefix", q.prefix);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

/* ---- one bucket ---- */

struct location {
    struct str region;
    char text[AUTH_REGION_MAX + 1];
};

static int on_location(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct location *l = user;
    if (at->depth == 1 && xml_at_is(at, "CreateBucketConfiguration")) return 0;
    if (at->depth == 1) return err_set(e, ERR_INVALID, "not a CreateBucketConfiguration");
    if (!xml_at_is(at, "CreateBucketConfiguration/LocationConstraint")) return 0;
    if (text.n > AUTH_REGION_MAX) return err_set(e, ERR_INVALID, "a region that is too long");
    memcpy(l->text, text.p, text.n);
    l->region = str_make(l->text, text.n);
    return 0;
}

static int check_location(struct call *c, struct s3_error *x) {
    struct location l = {.region = STR_NONE};
    struct err e = {0};
    if (c->document.n == 0) return 0;
    const struct xml_visitor v = {.close = on_location, .user = &l};
    if (xml_in_parse(c->document, XML_LIMITS, v, &e) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    if (l.region.n == 0 || str_eq(l.region, call_region(c)) || str_eq(l.region, STR("us-east-1")))
        return 0;
    return s3_fail(x, S3_ILLEGAL_LOCATION_CONSTRAINT);
}

static int create_bucket(struct call *c, struct s3_error *x) {
    struct str acl = call_header(c, "x-amz-acl");
    struct str lock = call_header(c, "x-amz-bucket-object-lock-enabled");
    struct buf lines = BUF(ACL_BYTES_MAX);
    const struct acl_owners owners = {call_owner(c), call_owner(c)};
    if (!c->who) return s3_fail(x, S3_ACCESS_DENIED);
    if (!target_bucket_name_ok(c->target.bucket)) return s3_fail(x, S3_INVALID_BUCKET_NAME);
    if (check_location(c, x) < 0) return -1;
    if (acl.p && acl_canned(acl, &owners, &lines) < 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "There is no canned ACL of this name");
    bool locked = str_eq_nocase(lock, STR("true"));
    struct meta_op op = {.verb = META_BUCKET_CREATE,
                         .key = STR(""),
                         .create = {.owner = call_owner(c),
                                    .versioning = locked ? META_ENABLED : META_UNVERSIONED,
                                    .lock_enabled = locked}};
    int r = call_run(c, &op, x);
    if (r < 0 && op.why == META_BUCKET_EXISTS && op.is_own)
        r = s3_fail(x, S3_BUCKET_ALREADY_OWNED_BY_YOU);
    struct meta_op set = {
        .verb = META_DOCUMENT_SET, .key = STR(""), .document = {DOCUMENT_ACL, buf_view(&lines)}};
    if (r == 0 && lines.n > 0) r = call_run(c, &set, x);
    buf_done(&lines);
    if (r == 0) reply_headerf(c, "Location", "/%.*s", STR_ARG(c->target.bucket));
    return r;
}

static int head_bucket(struct call *c, struct s3_error *x) {
    (void)x;
    reply_header(c, "x-amz-bucket-region", call_region(c));
    return 0;
}

static int delete_bucket(struct call *c, struct s3_error *x) {
    (void)x;
    c->op = (struct meta_op){.verb = META_BUCKET_DELETE, .key = STR("")};
    return call_submit(c);
}

static int no_content(struct call *c, struct s3_error *x) {
    (void)x;
    return reply_status(c, 204);
}

/* us-east-1 is the region without a name. */
static int get_location(struct call *c, struct s3_error *x) {
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "LocationConstraint", XML_OUT_S3);
    if (!str_eq(call_region(c), STR("us-east-1"))) xml_out_text(&w, call_region(c));
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

/* ---- versioning ---- */

static int get_versioning(struct call *c, struct s3_error *x) {
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "VersioningConfiguration", XML_OUT_S3);
    if (c->bucket.versioning != META_UNVERSIONED)
        xml_out_c(&w, "Status", c->bucket.versioning == META_ENABLED ? "Enabled" : "Suspended");
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

struct versioning {
    enum meta_versioning status;
    bool has_status, has_mfa;
};

static int on_versioning(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct versioning *v = user;
    if (xml_at_is(at, "VersioningConfiguration")) return 0;
    if (xml_at_is(at, "VersioningConfiguration/MfaDelete")) {
        v->has_mfa = !str_eq(text, STR("Disabled"));
        return 0;
    }
    if (!xml_at_is(at, "VersioningConfiguration/Status"))
        return err_set(e, ERR_INVALID, "an element that is not expected");
    if (!str_eq(text, STR("Enabled")) && !str_eq(text, STR("Suspended")))
        return err_set(e, ERR_INVALID, "Status must be Enabled or Suspended");
    v->status = str_eq(text, STR("Enabled")) ? META_ENABLED : META_SUSPENDED;
    v->has_status = true;
    return 0;
}

static int put_versioning(struct call *c, struct s3_error *x) {
    struct versioning v = {.has_status = false};
    struct err e = {0};
    const struct xml_visitor visitor = {.close = on_versioning, .user = &v};
    if (xml_in_parse(c->document, XML_LIMITS, visitor, &e) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    if (v.has_mfa) return s3_fail_with(x, S3_NOT_IMPLEMENTED, "MFA Delete is not offered here");
    if (!v.has_status) return s3_fail(x, S3_MALFORMED_XML);
    if (c->bucket.lock_enabled && v.status != META_ENABLED)
        return s3_fail_with(x, S3_INVALID_BUCKET_STATE,
                            "Versioning cannot be suspended where object lock is enabled");
    c->op = (struct meta_op){.verb = META_BUCKET_SET,
                             .key = STR(""),
                             .settings = {.which = META_SET_VERSIONING, .versioning = v.status}};
    return call_submit(c);
}

static const struct route ROUTES[] = {
    {.name = "ListBuckets",
     .verb = HTTP_VERB_GET,
     .place = TARGET_SERVICE,
     .is_open = true,
     .run = list_buckets},
    {.name = "CreateBucket",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_BUCKET,
     .action = "s3:CreateBucket",
     .no_bucket = true,
     .body = ROUTE_DOCUMENT,
     .body_max = 64 << 10,
     .run = create_bucket},
    {.name = "HeadBucket",
     .verb = HTTP_VERB_HEAD,
     .place = TARGET_BUCKET,
     .action = "s3:ListBucket",
     .run = head_bucket},
    {.name = "DeleteBucket",
     .verb = HTTP_VERB_DELETE,
     .place = TARGET_BUCKET,
     .action = "s3:DeleteBucket",
     .run = delete_bucket,
     .finish = no_content},
    {.name = "GetBucketLocation",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "location",
     .action = "s3:GetBucketLocation",
     .run = get_location},
    {.name = "GetBucketVersioning",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "versioning",
     .action = "s3:GetBucketVersioning",
     .run = get_versioning},
    {.name = "PutBucketVersioning",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_BUCKET,
     .sub = "versioning",
     .action = "s3:PutBucketVersioning",
     .body = ROUTE_DOCUMENT,
     .body_max = 64 << 10,
     .run = put_versioning},
};

struct route_group bucket_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
