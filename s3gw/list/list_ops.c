/* SPDX-License-Identifier: Apache-2.0 — list_ops.c: ListObjects, ListObjectsV2, ListObjectVersions,
 * ListMultipartUploads.
 *
 * All are one walk of meta_list(); what differs is how a request says where to begin and what an
 * entry looks like. Source: Amazon S3 API reference, ListObjects, ListObjectsV2,
 * ListObjectVersions, ListMultipartUploads. A continuation token is the last key in base64: it
 * tells nothing that the list has not told, and any text that is none is refused. */
#include "base/base64.h"
#include "s3gw/date.h"
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"

#include <stdio.h>

#define TOKEN_CHARS_MAX BASE64_CHARS(META_KEY_BYTES_MAX)

struct listing {
    struct call *call;
    struct xml_out w;
    bool encoded; /* encoding-type=url */
    bool owners;
    uint64_t max;
    struct meta_list_query q;
    struct meta_page page;
};

/* ---- what they share ---- */

static struct str param(const struct call *c, const char *name) {
    struct str v = call_param(c, name);
    return v.p ? v : STR("");
}

static int begin(struct call *c, enum meta_listed what, const char *max_name, struct listing *l,
                 struct s3_error *x) {
    struct str encoding = param(c, "encoding-type");
    *l = (struct listing){.call = c, .max = META_PAGE_MAX};
    if (encoding.n > 0 && !str_eq_nocase(encoding, STR("url")))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid Encoding Method specified in Request");
    l->encoded = encoding.n > 0;
    if (call_param_u64(c, max_name, (struct call_range){0, INT32_MAX}, &l->max, x) < 0) return -1;
    if (l->max > META_PAGE_MAX) l->max = META_PAGE_MAX;
    l->q = (struct meta_list_query){.what = what,
                                    .bucket = c->target.bucket,
                                    .prefix = param(c, "prefix"),
                                    .delimiter = param(c, "delimiter"),
                                    .max = (uint32_t)l->max};
    return 0;
}

/* max-keys=0 is legal, and then nothing is looked at. */
static int walk(struct listing *l, struct s3_error *x) {
    struct meta_read read = call_read(l->call);
    struct err e = {0};
    if (l->max == 0) return 0;
    if (meta_list(&read, &l->q, &l->page, &e) < 0) return call_fail_meta(l->call, read.why, &e, x);
    return 0;
}

static void text(struct listing *l, const char *name, struct str value) {
    struct buf out = BUF(3 * META_KEY_BYTES_MAX + 64);
    if (l->encoded && uri_encode_path(&out, value) == 0)
        xml_out_str(&l->w, name, buf_view(&out));
    else
        xml_out_str(&l->w, name, value);
    buf_done(&out);
}

static void text_if(struct listing *l, const char *name, struct str value) {
    if (value.n > 0) text(l, name, value);
}

static void head(struct listing *l, const char *root, const char *max_name) {
    l->w = reply_xml(l->call);
    xml_out_open_ns(&l->w, root, XML_OUT_S3);
    xml_out_str(&l->w, l->q.what == META_LIST_UPLOADS ? "Bucket" : "Name", l->call->target.bucket);
    text(l, "Prefix", l->q.prefix);
    text_if(l, "Delimiter", l->q.delimiter);
    xml_out_u64(&l->w, max_name, l->max);
    xml_out_bool(&l->w, "IsTruncated", l->page.truncated);
    if (l->encoded) xml_out_c(&l->w, "EncodingType", "url");
}

static void person(struct listing *l, const char *name, struct str id) {
    if (id.n == 0) id = l->call->bucket.owner;
    xml_out_open(&l->w, name);
    xml_out_str(&l->w, "ID", id);
    if (l->call->who && str_eq(id, call_owner(l->call)))
        xml_out_c(&l->w, "DisplayName", l->call->who->display_name);
    xml_out_close(&l->w);
}

static void date(struct listing *l, const char *name, uint64_t at_ms) {
    char out[DATE_ISO_CHARS + 1];
    xml_out_c(&l->w, name, date_iso((int64_t)(at_ms / 1000), out));
}

static void bytes_of(struct listing *l, const struct meta_entry *m) {
    char etag[OBJECT_ETAG_CHARS];
    char quoted[OBJECT_ETAG_CHARS + 2];
    const struct meta_attributes a = {.checksum_kind = m->checksum_kind};
    enum checksum_kind kind;
    enum checksum_type type;
    date(l, "LastModified", m->modified_ms);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", object_etag_text(&m->etag, etag));
    xml_out_c(&l->w, "ETag", quoted);
    if (object_checksum_kind(&a, &kind, &type)) {
        xml_out_c(&l->w, "ChecksumAlgorithm", checksum_name(kind));
        xml_out_c(&l->w, "ChecksumType", checksum_type_name(type));
    }
    xml_out_u64(&l->w, "Size", m->size_bytes);
    if (l->owners) person(l, "Owner", m->owner);
    xml_out_c(&l->w, "StorageClass", "STANDARD");
}

static void prefixes(struct listing *l) {
    for (size_t i = 0; i < l->page.count; i++) {
        if (!l->page.p[i].is_prefix) continue;
        xml_out_open(&l->w, "CommonPrefixes");
        text(l, "Prefix", l->page.p[i].key);
        xml_out_close(&l->w);
    }
}

static const struct meta_entry *last(const struct listing *l) {
    return l->page.truncated && l->page.count > 0 ? &l->page.p[l->page.count - 1] : NULL;
}

static int end(struct listing *l, struct s3_error *x) {
    prefixes(l);
    xml_out_close(&l->w);
    return reply_xml_end(l->call, &l->w, x);
}

/* ---- objects ---- */

static void contents(struct listing *l) {
    for (size_t i = 0; i < l->page.count; i++) {
        const struct meta_entry *m = &l->page.p[i];
        if (m->is_prefix) continue;
        xml_out_open(&l->w, "Contents");
        text(l, "Key", m->key);
        bytes_of(l, m);
        xml_out_close(&l->w);
    }
}

static int list_v1(struct call *c, struct s3_error *x) {
    struct listing l;
    if (begin(c, META_LIST_OBJECTS, "max-keys", &l, x) < 0) return -1;
    l.owners = true;
    l.q.after_key = param(c, "marker");
    if (walk(&l, x) < 0) return -1;
    head(&l, "ListBucketResult", "MaxKeys");
    text(&l, "Marker", l.q.after_key);
    if (last(&l)) text(&l, "NextMarker", last(&l)->key);
    contents(&l);
    return end(&l, x);
}

static int read_token(struct listing *l, struct str token, struct s3_error *x) {
    char *out = arena_alloc(&l->call->arena, BASE64_BYTES(TOKEN_CHARS_MAX));
    size_t n = 0;
    if (!out || token.n == 0 || token.n > TOKEN_CHARS_MAX ||
        base64_decode(BASE64_URL, token, out, &n) < 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "The continuation token provided is incorrect");
    l->q.after_key = str_make(out, n);
    return 0;
}

static int list_v2(struct call *c, struct s3_error *x) {
    struct listing l;
    struct str token = call_param(c, "continuation-token");
    struct str start = param(c, "start-after");
    char next[TOKEN_CHARS_MAX + 1];
    if (!str_eq(param(c, "list-type"), STR("2")))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "list-type must be 2");
    if (begin(c, META_LIST_OBJECTS, "max-keys", &l, x) < 0) return -1;
    l.owners = str_eq(param(c, "fetch-owner"), STR("true"));
    l.q.after_key = start;
    if (token.p && read_token(&l, token, x) < 0) return -1;
    if (walk(&l, x) < 0) return -1;
    head(&l, "ListBucketResult", "MaxKeys");
    xml_out_u64(&l.w, "KeyCount", l.page.count);
    text_if(&l, "StartAfter", start);
    if (token.p) xml_out_str(&l.w, "ContinuationToken", token);
    if (last(&l)) {
        size_t n = base64_encode(BASE64_URL, last(&l)->key, next);
        xml_out_str(&l.w, "NextContinuationToken", str_make(next, n));
    }
    contents(&l);
    return end(&l, x);
}

/* ---- versions ---- */

static void versions(struct listing *l) {
    char id[CALL_VERSION_CHARS + 1];
    for (size_t i = 0; i < l->page.count; i++) {
        const struct meta_entry *m = &l->page.p[i];
        if (m->is_prefix) continue;
        xml_out_open(&l->w, m->is_marker ? "DeleteMarker" : "Version");
        text(l, "Key", m->key);
        xml_out_c(&l->w, "VersionId", call_version_text(m->id, m->is_null, id));
        xml_out_bool(&l->w, "IsLatest", m->is_latest);
        if (m->is_marker) {
            date(l, "LastModified", m->modified_ms);
            person(l, "Owner", m->owner);
        } else {
            bytes_of(l, m);
        }
        xml_out_close(&l->w);
    }
}

static int list_versions(struct call *c, struct s3_error *x) {
    struct listing l;
    char id[CALL_VERSION_CHARS + 1];
    struct str marker = param(c, "version-id-marker");
    if (begin(c, META_LIST_VERSIONS, "max-keys", &l, x) < 0) return -1;
    l.owners = true;
    l.q.after_key = param(c, "key-marker");
    if (marker.n > 0) {
        if (l.q.after_key.n == 0)
            return s3_fail_with(x, S3_INVALID_ARGUMENT,
                                "A version-id marker cannot be specified without a key marker.");
        if (call_version_parse(marker, &l.q.after_id) < 0)
            return s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid version id specified");
    }
    if (walk(&l, x) < 0) return -1;
    head(&l, "ListVersionsResult", "MaxKeys");
    text(&l, "KeyMarker", l.q.after_key);
    xml_out_str(&l.w, "VersionIdMarker", marker);
    if (last(&l)) {
        text(&l, "NextKeyMarker", last(&l)->key);
        if (!last(&l)->is_prefix)
            xml_out_c(&l.w, "NextVersionIdMarker",
                      call_version_text(last(&l)->id, last(&l)->is_null, id));
    }
    versions(&l);
    return end(&l, x);
}

/* ---- uploads ---- */

static int list_uploads(struct call *c, struct s3_error *x) {
    struct listing l;
    char id[CALL_VERSION_CHARS + 1];
    struct str marker = param(c, "upload-id-marker");
    if (begin(c, META_LIST_UPLOADS, "max-uploads", &l, x) < 0) return -1;
    l.q.after_key = param(c, "key-marker");
    if (marker.n > 0 && l.q.after_key.n > 0 && call_version_parse(marker, &l.q.after_id) < 0)
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Invalid uploadId marker");
    if (walk(&l, x) < 0) return -1;
    head(&l, "ListMultipartUploadsResult", "MaxUploads");
    text(&l, "KeyMarker", l.q.after_key);
    xml_out_str(&l.w, "UploadIdMarker", marker);
    if (last(&l)) {
        text(&l, "NextKeyMarker", last(&l)->key);
        if (!last(&l)->is_prefix)
            xml_out_c(&l.w, "NextUploadIdMarker", call_version_text(last(&l)->id, false, id));
    }
    for (size_t i = 0; i < l.page.count; i++) {
        const struct meta_entry *m = &l.page.p[i];
        if (m->is_prefix) continue;
        xml_out_open(&l.w, "Upload");
        text(&l, "Key", m->key);
        xml_out_c(&l.w, "UploadId", call_version_text(m->id, false, id));
        person(&l, "Initiator", m->initiator);
        person(&l, "Owner", m->owner);
        xml_out_c(&l.w, "StorageClass", "STANDARD");
        date(&l, "Initiated", m->modified_ms);
        xml_out_close(&l.w);
    }
    return end(&l, x);
}

static const struct route ROUTES[] = {
    {.name = "ListObjects",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .action = "s3:ListBucket",
     .run = list_v1},
    {.name = "ListObjectsV2",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "list-type",
     .action = "s3:ListBucket",
     .run = list_v2},
    {.name = "ListObjectVersions",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "versions",
     .action = "s3:ListBucketVersions",
     .run = list_versions},
    {.name = "ListMultipartUploads",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "uploads",
     .action = "s3:ListBucketMultipartUploads",
     .run = list_uploads},
};

struct route_group list_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
