/* SPDX-License-Identifier: Apache-2.0 — object_delete.c: DeleteObject, DeleteObjects.
 *
 * Source: Amazon S3 API reference, DeleteObject, DeleteObjects. Deleting what is not there is a
 * success. */
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"
#include "s3gw/xml_in.h"

#define KEYS_MAX     1000
#define DOCUMENT_MAX (2 << 20)

/* ---- one ---- */

static int delete_run(struct call *c, struct s3_error *x) {
    c->op = (struct meta_op){.verb = META_DELETE};
    if (call_version(c, &c->op.version, x) < 0) return -1;
    struct str match = call_header(c, "If-Match");
    if (match.p) {
        if (c->op.version != META_LATEST)
            return s3_fail_with(x, S3_NOT_IMPLEMENTED, "If-Match with a version");
        if (object_write_conditions(c, &c->op.remove.conditions, x) < 0) return -1;
    }
    return call_submit(c);
}

static int delete_finish(struct call *c, struct s3_error *x) {
    (void)x;
    if (c->op.is_marker) reply_header(c, "x-amz-delete-marker", STR("true"));
    if (c->op.version != META_LATEST || c->op.is_marker)
        object_reply_version(c, c->op.new_version, c->op.is_null);
    return reply_status(c, 204);
}

/* ---- many ---- */

struct removal {
    struct str key, version, etag;
    struct meta_op op;
    struct s3_error *error; /* in the arena; NULL: it is gone */
};
struct removals {
    struct call *call;
    struct removal *at;
    size_t count;
    bool quiet;
};

static int keep(struct removals *r, struct str *field, struct str text, struct err *e) {
    if (r->count == KEYS_MAX) return err_set(e, ERR_LIMIT, "more than %d keys", KEYS_MAX);
    *field = arena_str(&r->call->arena, text);
    return field->p ? 0 : err_set(e, ERR_LIMIT, "too much text");
}

static int on_delete(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct removals *r = user;
    struct removal *now = &r->at[r->count];
    if (xml_at_is(at, "Delete/Object/Key")) return keep(r, &now->key, text, e);
    if (xml_at_is(at, "Delete/Object/VersionId")) return keep(r, &now->version, text, e);
    if (xml_at_is(at, "Delete/Object/ETag")) return keep(r, &now->etag, text, e);
    if (xml_at_is(at, "Delete/Quiet")) {
        r->quiet = str_eq(text, STR("true"));
        return 0;
    }
    if (xml_at_is(at, "Delete/Object")) {
        if (now->key.n == 0) return err_set(e, ERR_INVALID, "an Object without a Key");
        r->count++;
        return 0;
    }
    if (xml_at_is(at, "Delete")) return 0;
    return err_set(e, ERR_INVALID, "<%.*s> is not expected here", STR_ARG(at->path));
}

static int remove_one(struct removals *r, struct removal *one, struct s3_error *x) {
    struct call *c = r->call;
    struct meta_etag *etag = arena_new(&c->arena, struct meta_etag);
    one->op = (struct meta_op){.verb = META_DELETE, .key = one->key};
    if (!etag || one->key.n > META_KEY_BYTES_MAX) return s3_fail(x, S3_KEY_TOO_LONG);
    if (one->version.n > 0 && call_version_parse(one->version, &one->op.version) < 0)
        return s3_fail(x, S3_NO_SUCH_VERSION);
    struct call_asked asked = {.action = "s3:DeleteObject", .bucket = &c->bucket, .key = one->key};
    if (one->version.n > 0) asked.action = "s3:DeleteObjectVersion";
    if (call_authorize_other(c, &asked, x) < 0) return -1;
    if (one->etag.n > 0) {
        if (object_etag_parse(one->etag, etag) < 0) return s3_fail(x, S3_PRECONDITION_FAILED);
        one->op.remove.conditions.match = etag;
    }
    return call_run(c, &one->op, x);
}

static void write_removed(struct xml_out *w, const struct removal *one) {
    char text[CALL_VERSION_CHARS + 1];
    const struct meta_op *op = &one->op;
    xml_out_open(w, "Deleted");
    xml_out_str(w, "Key", one->key);
    if (one->version.n > 0) xml_out_str(w, "VersionId", one->version);
    if (op->is_marker) {
        xml_out_bool(w, "DeleteMarker", true);
        xml_out_c(w, "DeleteMarkerVersionId",
                  call_version_text(op->new_version, op->is_null, text));
    }
    xml_out_close(w);
}

static void write_failed(struct xml_out *w, const struct removal *one) {
    xml_out_open(w, "Error");
    xml_out_str(w, "Key", one->key);
    if (one->version.n > 0) xml_out_str(w, "VersionId", one->version);
    xml_out_c(w, "Code", s3_code_name(one->error->code));
    xml_out_c(w, "Message", one->error->message);
    xml_out_close(w);
}

static int delete_many(struct call *c, struct s3_error *x) {
    struct removals r = {.call = c};
    const struct xml_visitor v = {.close = on_delete, .user = &r};
    const struct xml_limits limits = {
        .bytes_max = DOCUMENT_MAX, .elements_max = 5 * KEYS_MAX + 3, .text_max = 4096};
    struct err e = {0};
    r.at = arena_array(&c->arena, KEYS_MAX + 1, sizeof *r.at);
    if (!r.at) return s3_fail(x, S3_INTERNAL_ERROR);
    if (xml_in_parse(c->document, limits, v, &e) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    if (r.count == 0) return s3_fail_with(x, S3_MALFORMED_XML, "The list of keys is empty");
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "DeleteResult", XML_OUT_S3);
    for (size_t i = 0; i < r.count; i++) {
        struct s3_error failed = {.details = 0};
        if (remove_one(&r, &r.at[i], &failed) < 0) {
            r.at[i].error = &failed;
            write_failed(&w, &r.at[i]);
        } else if (!r.quiet) {
            write_removed(&w, &r.at[i]);
        }
        r.at[i].error = NULL;
    }
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

static const struct route ROUTES[] = {
    {.name = "DeleteObject",
     .verb = HTTP_VERB_DELETE,
     .place = TARGET_OBJECT,
     .action = "s3:DeleteObject",
     .version_action = "s3:DeleteObjectVersion",
     .run = delete_run,
     .finish = delete_finish},
    {.name = "DeleteObjects",
     .verb = HTTP_VERB_POST,
     .place = TARGET_BUCKET,
     .sub = "delete",
     .is_open = true, /* each key is authorised by itself */
     .body = ROUTE_DOCUMENT,
     .body_max = DOCUMENT_MAX,
     .run = delete_many},
};

struct route_group object_delete_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
