/* SPDX-License-Identifier: Apache-2.0 — object_get.c: GetObject, HeadObject.
 *
 * Source: Amazon S3 API reference, GetObject, HeadObject. Bytes of the engine are read chunk by
 * chunk as the client takes them; inline ones are in the arena. */
#include "s3gw/data/data_get.h"
#include "s3gw/gateway/gateway_internal.h"
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"
#include "s3gw/object/object_read.h"

/* The range that partNumber stands for. */
static int part_range(struct call *c, const struct meta_object *o, struct object_range *out,
                      struct s3_error *x) {
    uint64_t number = 0;
    struct meta_read read = call_read(c);
    struct meta_parts parts;
    struct err e = {0};
    if (call_param_u64(c, "partNumber", (struct call_range){1, META_PARTS_MAX}, &number, x) < 0)
        return -1;
    if (call_has_header(c, "Range"))
        return s3_fail_with(x, S3_INVALID_REQUEST,
                            "Cannot specify both Range header and partNumber query parameter");
    *out = (struct object_range){0, o->size_bytes, o->size_bytes > 0};
    if (o->parts == 0)
        return number == 1 ? 0
                           : s3_fail_with(x, S3_INVALID_RANGE,
                                          "The requested partnumber is not satisfiable");
    const struct meta_parts_query q = {.id = o->body, .after = (uint32_t)number - 1, .max = 1};
    if (meta_parts(&read, &q, &parts, &e) < 0) return call_fail_meta(c, read.why, &e, x);
    if (parts.count == 0 || parts.p[0].number != number)
        return s3_fail_with(x, S3_INVALID_RANGE, "The requested partnumber is not satisfiable");
    *out =
        (struct object_range){parts.p[0].offset, parts.p[0].size_bytes, parts.p[0].size_bytes > 0};
    reply_headerf(c, "x-amz-mp-parts-count", "%u", o->parts);
    return 0;
}

static int find_range(struct call *c, const struct meta_object *o, struct object_range *out,
                      struct s3_error *x) {
    if (call_param(c, "partNumber").p) return part_range(c, o, out, x);
    if (object_range_parse(call_header(c, "Range"), o->size_bytes, out, x) == 0) return 0;
    if (x->code == S3_INVALID_RANGE)
        reply_headerf(c, "Content-Range", "bytes */%llu", (unsigned long long)o->size_bytes);
    return -1;
}

static int check_overrides(const struct call *c, struct s3_error *x) {
    for (size_t i = 0; !c->who && i < c->query.count; i++)
        if (str_starts(c->query.at[i].name, STR("response-")))
            return s3_fail_with(x, S3_INVALID_REQUEST,
                                "Request specific response headers cannot be used for anonymous "
                                "GET requests.");
    return 0;
}

static void reply_bytes(struct call *c, const struct meta_object *o,
                        const struct object_range *range) {
    if (range->is_part) {
        reply_headerf(c, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)range->from,
                      (unsigned long long)(range->from + range->bytes - 1),
                      (unsigned long long)o->size_bytes);
        (void)reply_status(c, 206);
    }
    if (o->body == 0 || range->bytes == 0) {
        c->reply.body = str_sub(o->data, (size_t)range->from, (size_t)(range->from + range->bytes));
        return;
    }
    const struct data_range r = {o->body, range->from, range->bytes};
    c->reply.source = data_get_new(c->gw->data, &r);
}

static int get_run(struct call *c, struct s3_error *x) {
    struct meta_object o;
    struct object_range range;
    bool unmodified = false;
    if (check_overrides(c, x) < 0 || object_find(c, &o, x) < 0) return -1;
    if (object_read_conditions(c, "", &o, &unmodified, x) < 0) return -1;
    if (unmodified) {
        (void)reply_status(c, 304);
        object_reply_state(c, &o);
        return 0;
    }
    if (find_range(c, &o, &range, x) < 0) return -1;
    reply_bytes(c, &o, &range); /* first: its status decides whether there is a checksum */
    object_reply_headers(c, &o);
    return 0;
}

static const struct route ROUTES[] = {
    {.name = "GetObject",
     .verb = HTTP_VERB_GET,
     .place = TARGET_OBJECT,
     .action = "s3:GetObject",
     .version_action = "s3:GetObjectVersion",
     .run = get_run},
    {.name = "HeadObject",
     .verb = HTTP_VERB_HEAD,
     .place = TARGET_OBJECT,
     .action = "s3:GetObject",
     .version_action = "s3:GetObjectVersion",
     .run = get_run},
};

struct route_group object_get_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
