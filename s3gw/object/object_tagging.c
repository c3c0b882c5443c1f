/* SPDX-License-Identifier: Apache-2.0 — object_tagging.c: the tags of an object: get, put, remove.
 *
 * Kept as a query string, as x-amz-tagging brings them. Source: Amazon S3 API reference,
 * PutObjectTagging, GetObjectTagging, DeleteObjectTagging; user guide, "Categorizing your objects
 * using tags". */
#include "s3gw/gateway/groups.h"
#include "s3gw/object/object_attributes.h"
#include "s3gw/object/object_read.h"
#include "s3gw/xml_in.h"

#define DOCUMENT_MAX (64 << 10)
#define PATH         "Tagging/TagSet/Tag"

static int get_run(struct call *c, struct s3_error *x) {
    struct meta_object o;
    struct uri_query q;
    if (object_find(c, &o, x) < 0) return -1;
    if (uri_query_parse(&c->arena, o.attributes.tags, &q) < 0) return s3_fail(x, S3_INTERNAL_ERROR);
    object_reply_version(c, o.version, o.is_null);
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "Tagging", XML_OUT_S3);
    xml_out_open(&w, "TagSet");
    for (size_t i = 0; i < q.count; i++) {
        xml_out_open(&w, "Tag");
        xml_out_str(&w, "Key", q.at[i].name);
        xml_out_str(&w, "Value", q.at[i].value);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}

/* ---- put ---- */

struct tags {
    struct call *call;
    struct buf out; /* the query string */
    struct str key, value;
    size_t count;
    bool has_set;
};

static int keep(struct tags *t, struct str *field, struct str text, struct err *e) {
    *field = arena_str(&t->call->arena, text);
    return field->p ? 0 : err_set(e, ERR_LIMIT, "too much text");
}

static int end_tag(struct tags *t, struct err *e) {
    if (!t->key.p || !t->value.p) return err_set(e, ERR_INVALID, "a Tag needs a Key and a Value");
    if (buf_str(&t->out, t->count ? STR("&") : STR("")) < 0 || uri_encode(&t->out, t->key) < 0 ||
        buf_str(&t->out, STR("=")) < 0 || uri_encode(&t->out, t->value) < 0)
        return err_set(e, ERR_LIMIT, "the tags are too long");
    t->count++;
    t->key = t->value = STR_NONE;
    return 0;
}

static int on_close(void *user, const struct xml_at *at, struct str text, struct err *e) {
    struct tags *t = user;
    if (xml_at_is(at, PATH "/Key")) return keep(t, &t->key, text, e);
    if (xml_at_is(at, PATH "/Value")) return keep(t, &t->value, text, e);
    if (xml_at_is(at, PATH)) return end_tag(t, e);
    if (xml_at_is(at, "Tagging/TagSet")) {
        t->has_set = true;
        return 0;
    }
    if (xml_at_is(at, "Tagging") && t->has_set) return 0;
    return err_set(e, ERR_INVALID, "<%.*s> is not expected here", STR_ARG(at->path));
}

static int update(struct call *c, struct str tags, struct s3_error *x) {
    c->op = (struct meta_op){.verb = META_UPDATE, .update = {.which = META_SET_TAGS, .tags = tags}};
    return call_version(c, &c->op.version, x) < 0 ? -1 : call_submit(c);
}

static int put_run(struct call *c, struct s3_error *x) {
    struct tags t = {.call = c, .out = BUF(META_FIELD_BYTES_MAX)};
    const struct xml_visitor v = {.close = on_close, .user = &t};
    struct err e = {0};
    int r = xml_in_parse(c->document, XML_LIMITS, v, &e);
    if (r < 0) (void)s3_fail_with(x, S3_MALFORMED_XML, "%s", e.msg);
    struct str tags = arena_str(&c->arena, buf_view(&t.out));
    buf_done(&t.out);
    if (r < 0 || object_tags_check(c, tags, x) < 0) return -1;
    return update(c, tags, x);
}

static int delete_run(struct call *c, struct s3_error *x) { return update(c, STR(""), x); }

static int finish(struct call *c, struct s3_error *x) {
    (void)x;
    object_reply_version(c, c->op.new_version, c->op.is_null);
    return reply_status(c, http_call_head(c->http)->verb == HTTP_VERB_DELETE ? 204 : 200);
}

static const struct route ROUTES[] = {
    {.name = "GetObjectTagging",
     .verb = HTTP_VERB_GET,
     .place = TARGET_OBJECT,
     .sub = "tagging",
     .action = "s3:GetObjectTagging",
     .version_action = "s3:GetObjectVersionTagging",
     .run = get_run},
    {.name = "PutObjectTagging",
     .verb = HTTP_VERB_PUT,
     .place = TARGET_OBJECT,
     .sub = "tagging",
     .action = "s3:PutObjectTagging",
     .version_action = "s3:PutObjectVersionTagging",
     .body = ROUTE_DOCUMENT,
     .body_max = DOCUMENT_MAX,
     .run = put_run,
     .finish = finish},
    {.name = "DeleteObjectTagging",
     .verb = HTTP_VERB_DELETE,
     .place = TARGET_OBJECT,
     .sub = "tagging",
     .action = "s3:DeleteObjectTagging",
     .version_action = "s3:DeleteObjectVersionTagging",
     .run = delete_run,
     .finish = finish},
};

struct route_group object_tagging_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
