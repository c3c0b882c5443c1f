/* SPDX-License-Identifier: Apache-2.0 — object_describe.c: GetObjectAttributes.
 *
 * Source: Amazon S3 API reference, GetObjectAttributes. */
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"
#include "s3gw/object/object_read.h"

/* All headers of the name together: botocore sends one for each attribute. */
static bool is_asked(const struct call *c, const char *attribute) {
    for (size_t i = 0;; i++) {
        const struct http_field *f =
            http_head_nth(http_call_head(c->http), STR("x-amz-object-attributes"), i);
        if (!f) return false;
        if (http_list_has(f->value, str_of(attribute))) return true;
    }
}

static void write_checksum(struct xml_out *w, const struct meta_object *o) {
    enum checksum_kind kind;
    enum checksum_type type;
    if (!object_checksum_kind(&o->attributes, &kind, &type)) return;
    xml_out_open(w, "Checksum");
    xml_out_str(w, checksum_element(kind), object_checksum_text(&o->attributes));
    xml_out_c(w, "ChecksumType", checksum_type_name(type));
    xml_out_close(w);
}

static int write_parts(struct call *c, struct xml_out *w, const struct meta_object *o,
                       struct s3_error *x) {
    uint64_t max = META_PAGE_MAX;
    uint64_t after = 0;
    struct meta_read read = call_read(c);
    struct meta_parts parts = {.count = 0};
    struct err e = {0};
    struct str max_text = call_header(c, "x-amz-max-parts");
    struct str after_text = call_header(c, "x-amz-part-number-marker");
    if ((max_text.p && str_u64(max_text, &max) < 0) ||
        (after_text.p && (str_u64(after_text, &after) < 0 || after > META_PARTS_MAX)))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "x-amz-max-parts must be a number");
    if (max > META_PAGE_MAX) max = META_PAGE_MAX;
    const struct meta_parts_query q = {
        .id = o->body, .after = (uint32_t)after, .max = (uint32_t)max};
    if (max > 0 && meta_parts(&read, &q, &parts, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    xml_out_open(w, "ObjectParts");
    xml_out_u64(w, "TotalPartsCount", o->parts);
    xml_out_u64(w, "PartNumberMarker", after);
    if (parts.count > 0) xml_out_u64(w, "NextPartNumberMarker", parts.p[parts.count - 1].number);
    xml_out_u64(w, "MaxParts", max);
    xml_out_bool(w, "IsTruncated", parts.truncated);
    enum checksum_kind kind;
    enum checksum_type type;
    bool has_kind = object_checksum_kind(&o->attributes, &kind, &type);
    for (size_t i = 0; has_kind && i < parts.count; i++) {
        const struct meta_attributes a = {.checksums = parts.p[i].checksums};
        xml_out_open(w, "Part");
        xml_out_u64(w, "PartNumber", parts.p[i].number);
        xml_out_u64(w, "Size", parts.p[i].size_bytes);
        xml_out_str(w, checksum_element(kind), object_checksum_text(&a));
        xml_out_close(w);
    }
    xml_out_close(w);
    return 0;
}

static int run(struct call *c, struct s3_error *x) {
    struct meta_object o;
    char etag[OBJECT_ETAG_CHARS];
    if (!call_has_header(c, "x-amz-object-attributes"))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "x-amz-object-attributes is missing");
    if (object_find(c, &o, x) < 0) return -1;
    object_reply_state(c, &o);
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "GetObjectAttributesResponse", XML_OUT_S3);
    if (is_asked(c, "ETag")) xml_out_c(&w, "ETag", object_etag_text(&o.etag, etag));
    if (is_asked(c, "Checksum")) write_checksum(&w, &o);
    if (is_asked(c, "ObjectParts") && o.parts > 0 && write_parts(c, &w, &o, x) < 0) return -1;
    if (is_asked(c, "StorageClass")) xml_out_c(&w, "StorageClass", "STANDARD");
    if (is_asked(c, "ObjectSize")) xml_out_u64(&w, "ObjectSize", o.size_bytes);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

static const struct route ROUTES[] = {
    {.name = "GetObjectAttributes",
     .verb = HTTP_VERB_GET,
     .place = TARGET_OBJECT,
     .sub = "attributes",
     .action = "s3:GetObjectAttributes",
     .version_action = "s3:GetObjectVersionAttributes",
     .run = run},
};

struct route_group object_describe_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
