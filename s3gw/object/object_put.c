/* SPDX-License-Identifier: Apache-2.0 — object_put.c: PutObject and CopyObject.
 *
 * Source: Amazon S3 API reference, PutObject, CopyObject. A copy shares the source's body; nothing
 * is read or written in the engine. */
#include "s3gw/data/data_put.h"
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"
#include "s3gw/object/object_read.h"

#include <stdio.h>

#define PUT_BYTES_MAX ((uint64_t)5 << 30) /* AWS */

/* ---- PutObject ---- */

static int put_run(struct call *c, struct s3_error *x) {
    c->op = (struct meta_op){.verb = META_PUT};
    if (object_attributes_read(c, &c->op.put.attributes, x) < 0) return -1;
    return object_write_conditions(c, &c->op.put.conditions, x);
}

static int put_stored(struct call *c, struct s3_error *x) {
    const struct data_stored *s = data_put_stored(c->put);
    struct meta_put_in *put = &c->op.put;
    const struct object_checksum k = {s->result.checksum, CHECKSUM_FULL_OBJECT, 0};
    if (object_checksum_set(c, &k, &put->attributes, x) < 0) return -1;
    memcpy(put->etag.md5, s->result.md5, sizeof put->etag.md5);
    put->size_bytes = s->bytes;
    put->chunks = s->chunks;
    if (s->chunks.count == 0) put->data = s->data.p ? s->data : STR("");
    return call_submit(c);
}

static int put_finish(struct call *c, struct s3_error *x) {
    (void)x;
    char etag[OBJECT_ETAG_CHARS];
    const struct meta_attributes *a = &c->op.put.attributes;
    enum checksum_kind kind;
    enum checksum_type type;
    reply_headerf(c, "ETag", "\"%s\"", object_etag_text(&c->op.etag, etag));
    object_reply_version(c, c->op.new_version, c->op.is_null);
    if (object_checksum_kind(a, &kind, &type)) {
        reply_header(c, checksum_header(kind), object_checksum_text(a));
        reply_header(c, "x-amz-checksum-type", str_of(checksum_type_name(type)));
    }
    return 0;
}

/* ---- CopyObject ---- */

struct copying {
    struct object_source source;
    struct meta_object object; /* of the source */
    struct meta_etag etag;
};

static int copy_attributes(struct call *c, const struct copying *k, struct s3_error *x) {
    struct meta_attributes *a = &c->op.put.attributes;
    const struct meta_attributes *from = &k->object.attributes;
    struct str metadata = call_header(c, "x-amz-metadata-directive");
    struct str tagging = call_header(c, "x-amz-tagging-directive");
    if (metadata.p && !str_eq(metadata, STR("COPY")) && !str_eq(metadata, STR("REPLACE")))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Unknown metadata directive.");
    if (tagging.p && !str_eq(tagging, STR("COPY")) && !str_eq(tagging, STR("REPLACE")))
        return s3_fail_with(x, S3_INVALID_ARGUMENT, "Unknown tagging directive.");
    if (object_attributes_read(c, a, x) < 0) return -1;
    bool replaced = str_eq(metadata, STR("REPLACE"));
    if (!replaced) a->headers = from->headers;
    if (!str_eq(tagging, STR("REPLACE"))) a->tags = from->tags;
    a->checksums = from->checksums;
    a->checksum_kind = from->checksum_kind;
    bool same = str_eq(k->source.bucket, c->target.bucket) && str_eq(k->source.key, c->target.key);
    if (same && !replaced && k->source.version == META_LATEST)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "This copy request is illegal because it is trying to copy an object "
                            "to itself without changing the object's metadata.");
    return 0;
}

static int copy_run(struct call *c, struct s3_error *x) {
    struct copying *k = arena_new(&c->arena, struct copying);
    if (!k) return s3_fail(x, S3_INTERNAL_ERROR);
    c->own = k;
    c->op = (struct meta_op){.verb = META_PUT};
    if (object_source_read(c, &k->source, x) < 0) return -1;
    if (object_source_find(c, &k->source, &k->object, x) < 0) return -1;
    if (copy_attributes(c, k, x) < 0) return -1;
    if (object_write_conditions(c, &c->op.put.conditions, x) < 0) return -1;
    if (k->object.size_bytes > PUT_BYTES_MAX)
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "The specified copy source is larger than 5 GiB: copy it by parts");
    k->etag = k->object.etag;
    c->op.put.etag = k->object.etag;
    c->op.put.source =
        (struct meta_source){.bucket = k->source.bucket,
                             .key = k->source.key,
                             .version = k->object.is_null ? META_NULL_VERSION : k->object.version,
                             .match = &k->etag};
    return call_submit(c);
}

static int copy_finish(struct call *c, struct s3_error *x) {
    const struct copying *k = c->own;
    char text[CALL_VERSION_CHARS + 1];
    object_reply_version(c, c->op.new_version, c->op.is_null);
    if (k->source.versioned)
        reply_header(c, "x-amz-copy-source-version-id",
                     str_of(call_version_text(k->object.version, k->object.is_null, text)));
    return object_reply_copy(c, "CopyObjectResult",
                             &(struct object_copied){c->op.etag, c->op.modified_ms}, x);
}

static const struct route ROUTES[] = {
    {.name = "PutObject",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_OBJECT,
     .action = "s3:PutObject",
     .body = ROUTE_STREAM,
     .body_max = PUT_BYTES_MAX,
     .run = put_run,
     .stored = put_stored,
     .finish = put_finish},
    {.name = "CopyObject",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_OBJECT,
     .header = "x-amz-copy-source",
     .action = "s3:PutObject",
     .run = copy_run,
     .finish = copy_finish},
};

struct route_group object_put_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
