/* SPDX-License-Identifier: Apache-2.0 — upload_ops.c: multipart uploads: create, part, part copy,
 * abort, list parts. (Completing one is upload_complete.c.)
 *
 * Source: Amazon S3 user guide, "Uploading and copying objects using multipart upload". A part's
 * checksum is always kept with the algorithm of the upload, CRC64NVME when it names none, so that
 * the object's can be put together from them. A copied part's bytes are read, verified and written
 * again. */
#include "s3gw/upload/upload.h"

#include "s3gw/data/data_get.h"
#include "s3gw/data/data_put.h"
#include "s3gw/date.h"
#include "s3gw/gateway/gateway_internal.h"
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_read.h"

#include <stdio.h>

#define PART_BYTES_MAX ((uint64_t)5 << 30) /* AWS */

/* ---- the upload ---- */

int upload_id(const struct call *c, uint64_t *out, struct s3_error *x) {
    if (call_version_parse(call_param(c, "uploadId"), out) == 0 && *out != META_NULL_VERSION)
        return 0;
    return s3_fail(x, S3_NO_SUCH_UPLOAD);
}

int upload_read(struct call *c, struct upload *out, struct s3_error *x) {
    struct meta_read read = call_read(c);
    struct err e = {0};
    if (upload_id(c, &out->id, x) < 0) return -1;
    const struct meta_name name = {c->target.bucket, c->target.key, out->id};
    if (meta_upload(&read, &name, &out->meta, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    if (!object_checksum_kind(&out->meta.attributes, &out->kind, &out->type)) {
        out->kind = CHECKSUM_CRC64NVME;
        out->type = CHECKSUM_FULL_OBJECT;
    }
    return 0;
}

static int read_algorithm(struct call *c, struct upload *u, struct s3_error *x) {
    struct str name = call_header(c, "x-amz-checksum-algorithm");
    struct str type = call_header(c, "x-amz-checksum-type");
    int r = name.p ? checksum_kind_of_name(name, &u->kind) : 0;
    if (!name.p) u->kind = CHECKSUM_CRC64NVME;
    if (r < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Checksum algorithm provided is unsupported. Please try again with "
                            "any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    u->type = checksum_type_default(u->kind);
    if (type.p && checksum_type_of_name(type, &u->type) < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST, "Value for x-amz-checksum-type is invalid");
    if (!checksum_type_allowed(u->kind, u->type))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The %s checksum type cannot be used with the %s checksum algorithm",
                            checksum_type_name(u->type), checksum_name(u->kind));
    return 0;
}

static int create_run(struct call *c, struct s3_error *x) {
    struct upload u;
    c->op = (struct meta_op){.verb = META_UPLOAD_BEGIN, .begin = {.initiator = call_owner(c)}};
    struct meta_attributes *a = &c->op.begin.attributes;
    if (object_attributes_read(c, a, x) < 0 || read_algorithm(c, &u, x) < 0) return -1;
    a->checksum_kind = (uint8_t)(1 + (unsigned)u.kind + 16 * (unsigned)u.type);
    if (call_header(c, "x-amz-checksum-algorithm").p) {
        reply_header(c, "x-amz-checksum-algorithm", str_of(checksum_name(u.kind)));
        reply_header(c, "x-amz-checksum-type", str_of(checksum_type_name(u.type)));
    }
    return call_submit(c);
}

static int create_finish(struct call *c, struct s3_error *x) {
    char id[CALL_VERSION_CHARS + 1];
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "InitiateMultipartUploadResult", XML_OUT_S3);
    xml_out_str(&w, "Bucket", c->target.bucket);
    xml_out_str(&w, "Key", c->target.key);
    xml_out_c(&w, "UploadId", call_version_text(c->op.upload, false, id));
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

static int abort_run(struct call *c, struct s3_error *x) {
    c->op = (struct meta_op){.verb = META_UPLOAD_ABORT};
    return upload_id(c, &c->op.abort, x) < 0 ? -1 : call_submit(c);
}

static int abort_finish(struct call *c, struct s3_error *x) {
    (void)x;
    return reply_status(c, 204);
}

/* ---- a part ---- */

static int part_run(struct call *c, struct s3_error *x) {
    struct upload *u = arena_new(&c->arena, struct upload);
    uint64_t number = 0;
    if (!u) return s3_fail(x, S3_INTERNAL_ERROR);
    c->own = u;
    if (upload_read(c, u, x) < 0) return -1;
    if (call_param_u64(c, "partNumber", (struct call_range){1, META_PARTS_MAX}, &number, x) < 0)
        return -1;
    if (number == 0) return s3_fail_with(x, S3_INVALID_ARGUMENT, "partNumber is missing");
    c->has_also = true;
    c->also = u->kind;
    c->op = (struct meta_op){.verb = META_PART_PUT,
                             .part_put = {.upload = u->id, .number = (uint32_t)number}};
    return 0;
}

/* The part's checksum has the upload's algorithm: when the client sent another one, or none, its
 * own was verified and this one computed beside it. */
static int part_checksum(struct call *c, const struct data_stored *s, struct s3_error *x) {
    const struct upload *u = c->own;
    struct meta_attributes a = {.checksum_kind = 0};
    bool same = s->result.checksum.kind == u->kind;
    const struct object_checksum k = {same ? s->result.checksum : s->also, CHECKSUM_FULL_OBJECT, 0};
    if (object_checksum_set(c, &k, &a, x) < 0) return -1;
    c->op.part_put.checksums = a.checksums;
    return 0;
}

static int part_stored(struct call *c, struct s3_error *x) {
    const struct data_stored *s = data_put_stored(c->put);
    struct meta_part_in *p = &c->op.part_put;
    if (part_checksum(c, s, x) < 0) return -1;
    memcpy(p->etag.md5, s->result.md5, sizeof p->etag.md5);
    p->size_bytes = s->bytes;
    p->chunks = s->chunks;
    return call_submit(c);
}

static int part_finish(struct call *c, struct s3_error *x) {
    (void)x;
    char etag[OBJECT_ETAG_CHARS];
    const struct upload *u = c->own;
    const struct meta_attributes a = {.checksums = c->op.part_put.checksums};
    reply_headerf(c, "ETag", "\"%s\"", object_etag_text(&c->op.part_put.etag, etag));
    reply_header(c, checksum_header(u->kind), object_checksum_text(&a));
    return 0;
}

/* ---- a part out of an object ---- */

static int copy_range(struct call *c, const struct meta_object *o, struct object_range *out,
                      struct s3_error *x) {
    struct str text = call_header(c, "x-amz-copy-source-range");
    if (object_range_parse(text.p ? text : STR(""), o->size_bytes, out, x) < 0) return -1;
    if (text.p && !out->is_part)
        return s3_fail_with(
            x, S3_INVALID_ARGUMENT,
            "The x-amz-copy-source-range value must be of the form bytes=first-last "
            "where first and last are the zero-based offsets of the first and last "
            "bytes to copy");
    if (out->bytes > PART_BYTES_MAX) return s3_fail(x, S3_ENTITY_TOO_LARGE);
    return 0;
}

static int copy_bytes(struct call *c, const struct meta_object *o, const struct object_range *range,
                      struct s3_error *x) {
    const struct upload *u = c->own;
    struct err e = {0};
    struct str piece = STR_NONE;
    bool is_last = range->bytes == 0;
    c->put = data_put_new_raw(c->gw->data, range->bytes, u->kind);
    if (o->body == 0) {
        piece = str_sub(o->data, (size_t)range->from, (size_t)(range->from + range->bytes));
        return data_put_raw(c->put, piece, x);
    }
    if (is_last) return 0;
    const struct data_range r = {o->body, range->from, range->bytes};
    struct data_get *get = data_get_new(c->gw->data, &r);
    int result = 0;
    while (result == 0 && !is_last) {
        data_get_next(get);
        if (data_get_result(get, &piece, &is_last, &e) < 0)
            result = s3_error_of_err(x, &e);
        else
            result = data_put_raw(c->put, piece, x);
    }
    data_get_free(get);
    return result;
}

static int copy_run(struct call *c, struct s3_error *x) {
    struct object_source source;
    struct meta_object o;
    struct object_range range;
    if (part_run(c, x) < 0 || object_source_read(c, &source, x) < 0 ||
        object_source_find(c, &source, &o, x) < 0 || copy_range(c, &o, &range, x) < 0)
        return -1;
    if (copy_bytes(c, &o, &range, x) < 0 || data_put_raw_end(c->put, x) < 0) return -1;
    return part_stored(c, x);
}

static int copy_finish(struct call *c, struct s3_error *x) {
    const struct object_copied k = {c->op.part_put.etag, c->op.now_ms};
    return object_reply_copy(c, "CopyPartResult", &k, x);
}

/* ---- listing parts ---- */

static void write_part(struct xml_out *w, const struct meta_part *p, enum checksum_kind kind) {
    char etag[OBJECT_ETAG_CHARS];
    char text[OBJECT_ETAG_CHARS + 2];
    char date[DATE_ISO_CHARS + 1];
    const struct meta_attributes a = {.checksums = p->checksums};
    (void)snprintf(text, sizeof text, "\"%s\"", object_etag_text(&p->etag, etag));
    xml_out_open(w, "Part");
    xml_out_u64(w, "PartNumber", p->number);
    xml_out_c(w, "LastModified", date_iso((int64_t)(p->modified_ms / 1000), date));
    xml_out_c(w, "ETag", text);
    xml_out_u64(w, "Size", p->size_bytes);
    if (object_checksum_text(&a).n > 0)
        xml_out_str(w, checksum_element(kind), object_checksum_text(&a));
    xml_out_close(w);
}

static int list_parts(struct call *c, struct s3_error *x) {
    struct upload u;
    uint64_t max = META_PAGE_MAX;
    uint64_t after = 0;
    struct meta_read read = call_read(c);
    struct meta_parts parts = {.count = 0};
    struct err e = {0};
    if (call_param_u64(c, "max-parts", (struct call_range){0, INT32_MAX}, &max, x) < 0 ||
        call_param_u64(c, "part-number-marker", (struct call_range){0, INT32_MAX}, &after, x) < 0 ||
        upload_read(c, &u, x) < 0)
        return -1;
    if (max > META_PAGE_MAX) max = META_PAGE_MAX;
    const struct meta_parts_query q = {c->target.bucket, c->target.key, u.id, (uint32_t)after,
                                       (uint32_t)max};
    if (max > 0 && meta_parts(&read, &q, &parts, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    char id[CALL_VERSION_CHARS + 1];
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListPartsResult", XML_OUT_S3);
    xml_out_str(&w, "Bucket", c->target.bucket);
    xml_out_str(&w, "Key", c->target.key);
    xml_out_c(&w, "UploadId", call_version_text(u.id, false, id));
    xml_out_u64(&w, "PartNumberMarker", after);
    if (parts.count > 0) xml_out_u64(&w, "NextPartNumberMarker", parts.p[parts.count - 1].number);
    xml_out_u64(&w, "MaxParts", max);
    xml_out_bool(&w, "IsTruncated", parts.truncated);
    xml_out_c(&w, "StorageClass", "STANDARD");
    xml_out_c(&w, "ChecksumAlgorithm", checksum_name(u.kind));
    xml_out_c(&w, "ChecksumType", checksum_type_name(u.type));
    for (size_t i = 0; i < parts.count; i++) write_part(&w, &parts.p[i], u.kind);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

static const struct route ROUTES[] = {
    {.name = "CreateMultipartUpload",
     .verb = HTTP_VERB_POST,
     .place = TARGET_OBJECT,
     .sub = "uploads",
     .action = "s3:PutObject",
     .run = create_run,
     .finish = create_finish},
    {.name = "UploadPart",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_OBJECT,
     .sub = "uploadId",
     .action = "s3:PutObject",
     .body = ROUTE_STREAM,
     .body_max = PART_BYTES_MAX,
     .place_of_bytes = DATA_CHUNKS,
     .run = part_run,
     .stored = part_stored,
     .finish = part_finish},
    {.name = "UploadPartCopy",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_OBJECT,
     .sub = "uploadId",
     .header = "x-amz-copy-source",
     .action = "s3:PutObject",
     .run = copy_run,
     .finish = copy_finish},
    {.name = "AbortMultipartUpload",
     .verb = HTTP_VERB_DELETE,
     .place = TARGET_OBJECT,
     .sub = "uploadId",
     .action = "s3:AbortMultipartUpload",
     .run = abort_run,
     .finish = abort_finish},
    {.name = "ListParts",
     .verb = HTTP_VERB_GET,
     .place = TARGET_OBJECT,
     .sub = "uploadId",
     .action = "s3:ListMultipartUploadParts",
     .run = list_parts},
};

struct route_group upload_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
