/* SPDX-License-Identifier: Apache-2.0 — bucket_ops.c: buckets: list, make, ask for, remove. */
#include "s3gw/date.h"
#include "s3gw/gateway/call.h"
#include "s3gw/gateway/groups.h"

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

static const struct route ROUTES[] = {
    {.name = "ListBuckets",
     .verb = HTTP_VERB_GET,
     .place = TARGET_SERVICE,
     .is_open = true,
     .run = list_buckets},
};

struct route_group bucket_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
