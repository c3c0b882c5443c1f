/* SPDX-License-Identifier: Apache-2.0 — route.h: the table of operations: what each request is
 * called, what permission it needs, what happens to its body, who serves it.
 *
 * A request that no entry matches does not exist: 501 when it names a sub-resource of S3, else 405.
 * Each group of operations has a table of its own in its folder; route.c lists the groups. Source:
 * Amazon S3 API reference, "Actions"; Service authorization reference, "Actions defined by Amazon
 * S3". */
#pragma once

#include "base/http_head.h"
#include "s3gw/data/data_put.h"
#include "s3gw/gateway/target.h"
#include "s3gw/uri.h"

struct call;

enum route_body {
    ROUTE_NO_BODY,  /* what comes is not looked at */
    ROUTE_DOCUMENT, /* call.document: whole and verified, at most body_max bytes */
    ROUTE_STREAM,   /* into the data layer: call.stored when it is complete and verified */
};

/* Handlers return 0 (a reply was made, or an op submitted by call_submit()) or -1 with *x filled.
 * They are called one after the other, never two at a time for one call. */
struct route {
    const char *name; /* "PutObject": of counters and the log */
    enum http_verb verb;
    enum target_place place;
    const char *sub;    /* the sub-resource of the query: "acl", or NULL: none */
    const char *header; /* a header that must be there: "x-amz-copy-source", or NULL */
    const char *action; /* "s3:PutObject"; NULL needs is_open */
    /* With versionId, when another action stands for it: "s3:GetObjectVersion"; or NULL */
    const char *version_action;
    bool is_open;   /* nobody is asked: the handler authorises by itself (ListBuckets, OPTIONS) */
    bool no_bucket; /* at a bucket that need not exist: CreateBucket */
    enum route_body body;
    uint64_t body_max;
    enum data_place place_of_bytes; /* of ROUTE_STREAM */
    /* On a worker; may block on the disk. Authorised; with ROUTE_DOCUMENT the document is there;
     * with ROUTE_STREAM not a byte of the body has been read. */
    int (*run)(struct call *c, struct s3_error *x);
    /* ROUTE_STREAM, on a worker: everything is stored, verified and durable; submits the op that
     * makes it visible. */
    int (*stored)(struct call *c, struct s3_error *x);
    /* On the loop, after call_submit()'s op succeeded; makes the reply. NULL: an empty 200. */
    int (*finish)(struct call *c, struct s3_error *x);
};

struct route_group {
    const struct route *routes;
    size_t count;
};
#define ROUTE_GROUP(table) ((const struct route_group){(table), COUNT(table)})

struct route_ask {
    enum http_verb verb;
    enum target_place place;
    const struct uri_query *query;
    bool (*has_header)(const struct call *c, const char *name);
    const struct call *call;
};
/* NULL with *x: NotImplemented, MethodNotAllowed, InvalidRequest (two sub-resources at once). */
const struct route *route_find(const struct route_ask *ask, struct s3_error *x);
/* Every entry, for counters and tests; NULL at the end. */
const struct route *route_at(size_t index);
size_t route_count(void);
