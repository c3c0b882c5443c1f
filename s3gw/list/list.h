/* SPDX-License-Identifier: Apache-2.0 — list.h: what the listings have in common: their parameters
 * and the elements of their documents.
 *
 * Everything runs on the worker that serves the call and lives in the call's arena. Source: Amazon
 * S3 API reference, ListObjects, ListObjectsV2, ListObjectVersions, ListMultipartUploads. */
#pragma once

#include "s3gw/gateway/call.h"

struct list_ask {
    struct str prefix, delimiter; /* empty: none */
    bool is_encoded;              /* encoding-type=url */
    uint32_t max;                 /* as asked for, at most META_PAGE_MAX */
};
/* max_name: "max-keys" or "max-uploads". 0, or -1: InvalidArgument, KeyTooLongError. */
int list_ask_read(struct call *c, const char *max_name, struct list_ask *out,
                  struct s3_error *x) MUST_CHECK;
/* A number of 0 to META_PAGE_MAX; a greater one counts as that. Absent: META_PAGE_MAX. */
int list_ask_max(struct call *c, const char *name, uint32_t *out, struct s3_error *x) MUST_CHECK;
/* A parameter that names a key; empty when absent. KeyTooLongError. */
int list_ask_key(struct call *c, const char *name, struct str *out, struct s3_error *x) MUST_CHECK;
/* InvalidArgument with the argument's name and value. Returns -1. */
int list_refuse(struct s3_error *x, const char *name, struct str value, const char *message);
/* Fills in the call's bucket, prefix, delimiter and count, and reads the page. */
int list_page(struct call *c, const struct list_ask *ask, struct meta_list_query *q,
              struct meta_page *out, struct s3_error *x) MUST_CHECK;
static inline const struct meta_entry *list_last(const struct meta_page *p) {
    return p->truncated && p->count > 0 ? &p->p[p->count - 1] : NULL;
}

/* ---- elements ---- */

/* A key, prefix, delimiter or marker: escaped for a URL when the request asked for that. */
void list_text(struct xml_out *w, const struct list_ask *ask, const char *name, struct str text);
/* Delimiter and EncodingType, where the request has them. */
void list_echo(struct xml_out *w, const struct list_ask *ask);
void list_prefixes(struct xml_out *w, const struct list_ask *ask, const struct meta_page *page);
void list_date(struct xml_out *w, const char *name, uint64_t at_ms);
void list_etag(struct xml_out *w, const struct meta_etag *etag); /* with the quotes */
/* ChecksumAlgorithm and ChecksumType; nothing for what has no checksum. kind: as kept, 1 + enum
 * checksum_kind, and 16 more when it is of the whole object. */
void list_checksum_kind(struct xml_out *w, uint8_t kind);
void list_storage_class(struct xml_out *w, uint8_t storage_class);
/* Owner or Initiator; an empty id is the owner of the bucket. */
void list_user(struct call *c, struct xml_out *w, const char *name, struct str id);

/* ---- the operations, for the table in list_ops.c ---- */

int list_objects(struct call *c, struct s3_error *x) MUST_CHECK;    /* list_objects.c */
int list_objects_v2(struct call *c, struct s3_error *x) MUST_CHECK; /* list_objects.c */
int list_versions(struct call *c, struct s3_error *x) MUST_CHECK;   /* list_versions.c */
int list_uploads(struct call *c, struct s3_error *x) MUST_CHECK;    /* list_uploads.c */
