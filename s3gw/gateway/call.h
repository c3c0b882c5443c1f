/* SPDX-License-Identifier: Apache-2.0 — call.h: one request of S3 on its way through the gateway,
 * and what handlers do with it.
 *
 * A call goes: loop (parse, authenticate, route) -> worker (bucket, authorisation, route.run) ->
 * loop (body, the op of metadata) -> ... -> reply. One step at a time: a handler owns its call
 * while it runs and needs no lock. Everything lives in call.arena unless said otherwise. */
#pragma once

#include "base/http_server.h"
#include "s3gw/body/body.h"
#include "s3gw/gateway/documents.h"
#include "s3gw/gateway/identity.h"
#include "s3gw/gateway/route.h"
#include "s3gw/meta/meta.h"
#include "s3gw/xml_out.h"

#define CALL_ARENA_BYTES     (4 << 20)
#define CALL_REPLY_FIELDS    160
#define CALL_REPLY_BYTES_MAX (8 << 20) /* of a document */

struct gateway;
struct data_get;
struct data_put;

struct call_reply {
    unsigned status; /* 0: 200 */
    struct http_field fields[CALL_REPLY_FIELDS];
    size_t field_count;
    struct buf document;     /* owned; what reply_xml() writes */
    struct str body;         /* else: in the arena, or the object's inline bytes */
    struct data_get *source; /* else: owned; bytes from the engine */
};

struct call {
    struct gateway *gw;
    struct http_call *http;
    const struct route *route; /* NULL: none was found */
    struct arena arena;
    struct s3_request request;
    struct target target;
    struct uri_query query;
    struct s3_auth_result auth;
    const struct identity *who; /* NULL: anonymous */
    struct meta_bucket bucket;  /* at and below a bucket, unless route->no_bucket */
    struct str document;        /* of ROUTE_DOCUMENT */
    struct data_put *put;       /* of ROUTE_STREAM; owned */
    bool has_also;              /* set by run: the stream is hashed with `also`, too */
    enum checksum_kind also;
    struct meta_op op; /* for call_submit() */
    void *own;         /* the handler's, in the arena */
    struct call_reply reply;
    struct s3_error error;
    /* The gateway's own. */
    struct job job;
    struct task task;
    int result;
    int (*step)(struct call *c, struct s3_error *x);
    void (*next)(struct call *c);
    bool submitted, replied;
    struct body body;
    bool has_body;
    struct buf in;
    char id[HTTP_CALL_ID_CHARS + 1];
};

/* ---- what came ---- */

struct str call_header(const struct call *c, const char *name); /* the first; .p NULL: none */
bool call_has_header(const struct call *c, const char *name);
struct str call_param(const struct call *c, const char *name); /* decoded; .p NULL: none */
/* A parameter that is a number of 0 to most; keeps *out when absent. InvalidArgument. */
struct call_range {
    uint64_t least, most;
};
int call_param_u64(const struct call *c, const char *name, struct call_range range, uint64_t *out,
                   struct s3_error *x) MUST_CHECK;
/* versionId as a version: META_LATEST when absent, META_NULL_VERSION for "null". InvalidArgument.
 */
int call_version(const struct call *c, uint64_t *out, struct s3_error *x) MUST_CHECK;
#define CALL_VERSION_CHARS 16
/* Its text, as x-amz-version-id and lists show it: 16 hex digits, or "null"; returns out
 * (CALL_VERSION_CHARS + 1 bytes). */
char *call_version_text(uint64_t version, bool is_null, char *out);
int call_version_parse(struct str text, uint64_t *out) MUST_CHECK; /* 0 or -EINVAL */
struct str call_owner(const struct call *c); /* canonical id of who asks; empty: anonymous */
uint64_t call_now_ms(void);
struct meta *call_meta(const struct call *c);
struct meta_read call_read(struct call *c); /* for reads, with the call's arena */
struct str call_region(const struct call *c);

/* ---- changes ---- */

/* Has c->op (verb and what it needs; bucket, key and time are filled in when they are empty)
 * carried out after the handler returns; then route->finish. Returns 0. */
int call_submit(struct call *c);
/* The same in place, on a worker: for several ops, or what is rare. 0, or -1 with *x. */
int call_run(struct call *c, struct meta_op *op, struct s3_error *x) MUST_CHECK;
/* The error of S3 for a refusal of the metadata. Returns -1. */
int call_fail_meta(const struct call *c, enum meta_why why, const struct err *e,
                   struct s3_error *x);

/* ---- replies ---- */

/* name: static; value: copied. More than CALL_REPLY_FIELDS is a bug of ours (asserted). */
void reply_header(struct call *c, const char *name, struct str value);
void reply_headerf(struct call *c, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A writer for the reply's document; it is application/xml with the declaration written. */
struct xml_out reply_xml(struct call *c);
int reply_xml_end(struct call *c, const struct xml_out *w, struct s3_error *x) MUST_CHECK;
static inline int reply_status(struct call *c, unsigned status) {
    c->reply.status = status;
    return 0;
}

/* ---- the gateway's own: call.c, authorize.c ---- */

void call_begin(struct gateway *g, struct http_call *http);
/* May who do this? On a worker, with c->bucket read. One function for every request. 0, or -1
 * (AccessDenied). */
int call_authorize(struct call *c, const char *action, struct s3_error *x) MUST_CHECK;
/* The same for another object of this or another bucket: the source of a copy, each key of
 * DeleteObjects. */
struct call_asked {
    const char *action;
    const struct meta_bucket *bucket; /* NULL: none */
    struct str key;
    uint64_t version;
    const struct meta_object *object; /* when it is known: its owner and ACL; or NULL */
};
int call_authorize_other(struct call *c, const struct call_asked *asked,
                         struct s3_error *x) MUST_CHECK;
/* Runs step on a worker, then next on the loop. */
void call_work(struct call *c, int (*step)(struct call *c, struct s3_error *x),
               void (*next)(struct call *c));
void call_answer(struct call *c); /* on the loop: c->reply, or c->error when c->result < 0 */
/* call_body.c: reading bodies. */
void call_body_document(struct call *c);
void call_body_stream(struct call *c);
void call_body_on(struct call *c, size_t n, bool end);
void call_after_run(struct call *c); /* on the loop: submits, finishes, replies */
