/* SPDX-License-Identifier: Apache-2.0 — list_objects.c: ListObjects and ListObjectsV2.
 *
 * Source: Amazon S3 API reference, ListObjects: NextMarker comes only with a delimiter, since
 * without one the last key is the marker; ListObjectsV2: a token wins over start-after. */
#include "s3gw/list/list.h"
#include "s3gw/list/list_token.h"

#include <errno.h>

static void write_contents(struct call *c, struct xml_out *w, const struct list_ask *ask,
                           const struct meta_entry *o, bool with_owner) {
    xml_out_open(w, "Contents");
    list_text(w, ask, "Key", o->key);
    list_date(w, "LastModified", o->modified_ms);
    list_etag(w, &o->etag);
    list_checksum_kind(w, o->checksum_kind);
    xml_out_u64(w, "Size", o->size_bytes);
    if (with_owner) list_user(c, w, "Owner", o->owner);
    list_storage_class(w, o->storage_class);
    xml_out_close(w);
}

static void write_page(struct call *c, struct xml_out *w, const struct list_ask *ask,
                       const struct meta_page *page, bool with_owner) {
    for (size_t i = 0; i < page->count; i++)
        if (!page->p[i].is_prefix) write_contents(c, w, ask, &page->p[i], with_owner);
    list_prefixes(w, ask, page);
    xml_out_close(w);
}

int list_objects(struct call *c, struct s3_error *x) {
    struct list_ask ask;
    struct meta_list_query q = {.what = META_LIST_OBJECTS};
    struct meta_page page;
    if (list_ask_read(c, "max-keys", &ask, x) < 0 ||
        list_ask_key(c, "marker", &q.after_key, x) < 0 || list_page(c, &ask, &q, &page, x) < 0)
        return -1;
    const struct meta_entry *last = list_last(&page);
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListBucketResult", XML_OUT_S3);
    xml_out_str(&w, "Name", c->target.bucket);
    list_text(&w, &ask, "Prefix", ask.prefix);
    list_text(&w, &ask, "Marker", q.after_key);
    if (last && ask.delimiter.n > 0) list_text(&w, &ask, "NextMarker", last->key);
    xml_out_u64(&w, "MaxKeys", ask.max);
    list_echo(&w, &ask);
    xml_out_bool(&w, "IsTruncated", page.truncated);
    write_page(c, &w, &ask, &page, true);
    return reply_xml_end(c, &w, x);
}

/* ---- version 2 ---- */

struct ask_v2 {
    struct str token, start_after;
    struct str next; /* the token of the next page */
    bool with_owner;
};

static int read_v2(struct call *c, struct ask_v2 *v2, struct meta_list_query *q,
                   struct s3_error *x) {
    struct str type = call_param(c, "list-type");
    v2->token = call_param(c, "continuation-token");
    v2->with_owner = str_eq(call_param(c, "fetch-owner"), STR("true"));
    if (!str_eq(type, STR("2")))
        return list_refuse(x, "list-type", type, "'list-type' must be 2, or not be there");
    if (list_ask_key(c, "start-after", &v2->start_after, x) < 0) return -1;
    q->after_key = v2->start_after;
    if (v2->token.n == 0) return 0;
    int r = list_token_read(&c->arena, c->target.bucket, v2->token, &q->after_key);
    if (r == -ENOSPC) return s3_fail(x, S3_INTERNAL_ERROR);
    return r < 0 ? list_refuse(x, "continuation-token", v2->token,
                               "The continuation token provided is incorrect")
                 : 0;
}

static void write_v2_head(struct call *c, struct xml_out *w, const struct list_ask *ask,
                          const struct ask_v2 *v2) {
    xml_out_str(w, "Name", c->target.bucket);
    list_text(w, ask, "Prefix", ask->prefix);
    if (v2->token.p) xml_out_str(w, "ContinuationToken", v2->token);
    if (v2->next.p) xml_out_str(w, "NextContinuationToken", v2->next);
    if (v2->start_after.n > 0) list_text(w, ask, "StartAfter", v2->start_after);
    xml_out_u64(w, "MaxKeys", ask->max);
    list_echo(w, ask);
}

int list_objects_v2(struct call *c, struct s3_error *x) {
    struct list_ask ask;
    struct ask_v2 v2 = {.with_owner = false};
    struct meta_list_query q = {.what = META_LIST_OBJECTS};
    struct meta_page page;
    if (list_ask_read(c, "max-keys", &ask, x) < 0 || read_v2(c, &v2, &q, x) < 0 ||
        list_page(c, &ask, &q, &page, x) < 0)
        return -1;
    const struct meta_entry *last = list_last(&page);
    if (last && list_token_write(&c->arena, c->target.bucket, last->key, &v2.next) < 0)
        return s3_fail(x, S3_INTERNAL_ERROR);
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListBucketResult", XML_OUT_S3);
    write_v2_head(c, &w, &ask, &v2);
    xml_out_u64(&w, "KeyCount", page.count);
    xml_out_bool(&w, "IsTruncated", page.truncated);
    write_page(c, &w, &ask, &page, v2.with_owner);
    return reply_xml_end(c, &w, x);
}
