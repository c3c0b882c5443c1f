/* SPDX-License-Identifier: Apache-2.0 — upload_complete.c: CompleteMultipartUpload.
 *
 * The list of parts is compared by the metadata in the transaction that makes the object; here it
 * is read, and the object's ETag (MD5 of the parts' MD5s) and checksum (FULL_OBJECT joined from the
 * parts' CRCs, or COMPOSITE) are computed from what the parts have. A part that is replaced in
 * between has another ETag and is refused there. Source: Amazon S3 API reference,
 * CompleteMultipartUpload; user guide, "Checking object integrity". */
#include "s3gw/gateway/groups.h"
#include "s3gw/upload/upload.h"
#include "s3gw/xml_in.h"

#define DOCUMENT_MAX (4 << 20)
#define ROOT         "CompleteMultipartUpload"

struct completing {
    struct call *call;
    struct upload upload;
    struct meta_part_named *parts;
    size_t count, room;
    /* Of the part that is being read: */
    struct str value;
    uint64_t number;
    struct meta_etag etag;
    bool has_number, has_etag;
    uint64_t size_announced;
    struct checksum_value sum;
    struct meta_attributes attributes; /* of the object: its checksum */
};

/* ---- the document ---- */

static int end_part(struct completing *k, struct err *e) {
    if (!k->has_number || !k->has_etag)
        return err_set(e, ERR_INVALID, "a Part needs a PartNumber and an ETag");
    if (k->count == META_PARTS_MAX) return err_set(e, ERR_LIMIT, "more than 10000 parts");
    if (k->count == k->room) {
        size_t room = k->room ? 2 * k->room : 64;
        struct meta_part_named *p = arena_array(&k->call->arena, room, sizeof *p);
        if (!p) return err_set(e, ERR_LIMIT, "too many parts");
        if (k->count > 0) memcpy(p, k->parts, k->count * sizeof *p);
        k->parts = p;
        k->room = room;
    }
    k->parts[k->count++] = (struct meta_part_named){
        .number = (uint32_t)k->number, .etag = k->etag, .checksums = k->value};
    k->has_number = k->has_etag = false;
    k->value = STR_NONE;
    return 0;
}

/* A checksum that the list repeats must be the part's. */
static int read_checksum(struct completing *k, struct str name, struct str text, struct err *e) {
    for (unsigned i = 0; i < CHECKSUM_KINDS; i++) {
        enum checksum_kind kind = (enum checksum_kind)i;
        if (!str_eq(name, str_of(checksum_element(kind)))) continue;
        char *p = arena_fmt(&k->call->arena, "%s %.*s", checksum_name(kind), STR_ARG(text));
        if (!p) return err_set(e, ERR_LIMIT, "too much text");
        k->value = str_of(p);
        return 0;
    }
    return err_set(e, ERR_INVALID, "<%.*s> is not expected here", STR_ARG(name));
}

static int on_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct completing *k = user;
    if (xml_at_is(at, ROOT)) return 0;
    if (xml_at_is(at, ROOT "/Part")) return end_part(k, e);
    if (xml_at_is(at, ROOT "/Part/PartNumber")) {
        k->has_number = str_u64(str_trim(text), &k->number) == 0 && k->number > 0 &&
                        k->number <= META_PARTS_MAX;
        return k->has_number ? 0 : err_set(e, ERR_INVALID, "PartNumber must be 1 to 10000");
    }
    if (xml_at_is(at, ROOT "/Part/ETag")) {
        k->has_etag = true;
        /* What is no tag is no part's: InvalidPart, which comparing says. */
        if (object_etag_parse(str_trim(text), &k->etag) < 0)
            k->etag = (struct meta_etag){.parts = 1};
        return 0;
    }
    if (at->depth == 3) return read_checksum(k, at->name, text, e);
    return err_set(e, ERR_INVALID, "<%.*s> is not expected here", STR_ARG(at->path));
}

static int read_list(struct completing *k, struct s3_error *x) {
    const struct xml_visitor v = {.close = on_close, .user = k};
    const struct xml_limits limits = {
        .bytes_max = DOCUMENT_MAX, .elements_max = 8 * META_PARTS_MAX + 1, .text_max = 256};
    struct err e = {0};
    if (xml_in_parse(k->call->document, limits, v, &e) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    return k->count > 0 ? 0 : s3_fail_with(x, S3_MALFORMED_XML, "The list of parts is empty");
}

/* ---- the object's tag and checksum ---- */

static const struct meta_part *find_part(const struct meta_parts *all, uint32_t number) {
    size_t low = 0;
    size_t high = all->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (all->p[mid].number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low < all->count && all->p[low].number == number ? &all->p[low] : NULL;
}

static int part_value(const struct completing *k, const struct meta_part *p,
                      struct checksum_value *out, struct s3_error *x) {
    const struct meta_attributes a = {.checksums = p->checksums};
    if (checksum_parse(k->upload.kind, object_checksum_text(&a), out) == 0) return 0;
    return s3_fail(x, S3_INVALID_PART);
}

/* Parts that are missing or out of order are told by the metadata: here they are left out. */
static int compute(struct completing *k, const struct meta_parts *all, struct meta_etag *out_etag,
                   struct s3_error *x) {
    struct hash md5 = HASH_NONE;
    uint8_t digest[HASH_BYTES_MAX];
    struct checksum empty = CHECKSUM_NONE;
    struct checksum_value *values = arena_array(&k->call->arena, k->count, sizeof *values);
    size_t n = 0;
    int r = values ? 0 : s3_fail(x, S3_INTERNAL_ERROR);
    hash_init(&md5, HASH_MD5);
    checksum_init(&empty, k->upload.kind);
    k->sum = checksum_final(&empty);
    for (size_t i = 0; r == 0 && i < k->count; i++) {
        const struct meta_part *p = find_part(all, k->parts[i].number);
        if (!p) continue;
        hash_update(&md5, p->etag.md5, sizeof p->etag.md5);
        r = part_value(k, p, &values[n], x);
        if (r == 0 && k->upload.type == CHECKSUM_FULL_OBJECT)
            checksum_join(&k->sum, &values[n], p->size_bytes);
        n++;
    }
    (void)hash_final(&md5, digest);
    hash_done(&md5);
    checksum_done(&empty);
    if (r == 0 && n > 0 && k->upload.type == CHECKSUM_COMPOSITE)
        k->sum = checksum_composite(values, n);
    memcpy(out_etag->md5, digest, sizeof out_etag->md5);
    out_etag->parts = (uint32_t)k->count;
    return r;
}

/* A checksum of the whole object that the client sent must be what was computed. */
static int compare(struct completing *k, struct s3_error *x) {
    struct str given = call_header(k->call, checksum_header(k->upload.kind));
    struct str type = call_header(k->call, "x-amz-checksum-type");
    uint32_t parts = k->upload.type == CHECKSUM_COMPOSITE ? (uint32_t)k->count : 0;
    const struct object_checksum sum = {k->sum, k->upload.type, parts};
    if (object_checksum_set(k->call, &sum, &k->attributes, x) < 0) return -1;
    if (type.p && !str_eq(type, str_of(checksum_type_name(k->upload.type))))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The upload was created using the %s checksum mode.",
                            checksum_type_name(k->upload.type));
    if (!given.p) return 0;
    struct str want = object_checksum_text(&k->attributes);
    ptrdiff_t dash = str_find(want, '-');
    if (str_eq(given, want) || (dash > 0 && str_eq(given, str_sub(want, 0, (size_t)dash))))
        return 0;
    return s3_fail(x, S3_BAD_DIGEST);
}

static int complete_run(struct call *c, struct s3_error *x) {
    struct completing *k = arena_new(&c->arena, struct completing);
    struct meta_read read = call_read(c);
    struct meta_parts all;
    struct err e = {0};
    if (!k) return s3_fail(x, S3_INTERNAL_ERROR);
    c->own = k;
    k->call = c;
    if (read_list(k, x) < 0 || upload_read(c, &k->upload, x) < 0) return -1;
    const struct meta_parts_query q = {c->target.bucket, c->target.key, k->upload.id, 0,
                                       META_PARTS_MAX};
    if (meta_parts(&read, &q, &all, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    c->op = (struct meta_op){.verb = META_UPLOAD_COMPLETE};
    struct meta_complete_in *in = &c->op.complete;
    if (compute(k, &all, &in->etag, x) < 0 || compare(k, x) < 0) return -1;
    if (object_write_conditions(c, &in->conditions, x) < 0) return -1;
    in->upload = k->upload.id;
    in->parts = k->parts;
    in->parts_count = k->count;
    in->part_bytes_min = UPLOAD_PART_BYTES_MIN;
    in->checksums = k->attributes.checksums;
    in->checksum_kind = k->attributes.checksum_kind;
    struct str size = call_header(c, "x-amz-mp-object-size");
    if (size.p && str_u64(size, &k->size_announced) < 0)
        return s3_fail_with(x, S3_INVALID_REQUEST, "x-amz-mp-object-size must be a number");
    if (size.p) in->size_announced = &k->size_announced;
    return call_submit(c);
}

static int complete_finish(struct call *c, struct s3_error *x) {
    const struct completing *k = c->own;
    char etag[OBJECT_ETAG_CHARS];
    struct xml_out w = reply_xml(c);
    object_reply_version(c, c->op.new_version, c->op.is_null);
    xml_out_open_ns(&w, "CompleteMultipartUploadResult", XML_OUT_S3);
    char *location =
        arena_fmt(&c->arena, "/%.*s/%.*s", STR_ARG(c->target.bucket), STR_ARG(c->target.key));
    xml_out_c(&w, "Location", location);
    xml_out_str(&w, "Bucket", c->target.bucket);
    xml_out_str(&w, "Key", c->target.key);
    xml_out_c(&w, "ETag",
              arena_fmt(&c->arena, "\"%s\"", object_etag_text(&c->op.complete.etag, etag)));
    xml_out_str(&w, checksum_element(k->upload.kind), object_checksum_text(&k->attributes));
    xml_out_c(&w, "ChecksumType", checksum_type_name(k->upload.type));
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

static const struct route ROUTES[] = {
    {.name = "CompleteMultipartUpload",
     .verb = HTTP_VERB_POST,
     .place = TARGET_OBJECT,
     .sub = "uploadId",
     .action = "s3:PutObject",
     .body = ROUTE_DOCUMENT,
     .body_max = DOCUMENT_MAX,
     .run = complete_run,
     .finish = complete_finish},
};

struct route_group upload_complete_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
