/* SPDX-License-Identifier: Apache-2.0 — list.c: parameters and elements of all listings. */
#include "s3gw/list/list.h"

#include "s3gw/checksum/checksum.h"
#include "s3gw/date.h"
#include "s3gw/gateway/gateway.h"

#include <stdio.h>

#define ETAG_CHARS 48 /* quotes, md5, "-10000" */

int list_refuse(struct s3_error *x, const char *name, struct str value, const char *message) {
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT, "%s", message);
    (void)s3_detail(x, "ArgumentName", str_of(name));
    return s3_detail(x, "ArgumentValue", value);
}

int list_ask_max(struct call *c, const char *name, uint32_t *out, struct s3_error *x) {
    uint64_t max = META_PAGE_MAX;
    if (call_param_u64(c, name, (struct call_range){0, INT32_MAX}, &max, x) < 0) return -1;
    *out = max < META_PAGE_MAX ? (uint32_t)max : META_PAGE_MAX;
    return 0;
}

int list_ask_key(struct call *c, const char *name, struct str *out, struct s3_error *x) {
    struct str key = call_param(c, name);
    *out = key.p ? key : STR("");
    if (key.n <= META_KEY_BYTES_MAX) return 0;
    (void)s3_fail_with(x, S3_KEY_TOO_LONG, "'%s' has more than %d bytes", name, META_KEY_BYTES_MAX);
    return s3_detail(x, "ArgumentName", str_of(name));
}

int list_ask_read(struct call *c, const char *max_name, struct list_ask *out, struct s3_error *x) {
    struct str encoding = call_param(c, "encoding-type");
    struct str delimiter = call_param(c, "delimiter");
    *out = (struct list_ask){.delimiter = delimiter.p ? delimiter : STR(""),
                             .is_encoded = encoding.n > 0};
    if (encoding.n > 0 && !str_eq(encoding, STR("url")))
        return list_refuse(x, "encoding-type", encoding,
                           "Invalid Encoding Method specified in Request");
    if (delimiter.n > META_KEY_BYTES_MAX)
        return list_refuse(x, "delimiter", delimiter, "The delimiter is longer than any key");
    if (list_ask_max(c, max_name, &out->max, x) < 0) return -1;
    return list_ask_key(c, "prefix", &out->prefix, x);
}

int list_page(struct call *c, const struct list_ask *ask, struct meta_list_query *q,
              struct meta_page *out, struct s3_error *x) {
    struct meta_read read = call_read(c);
    struct err e = {0};
    q->bucket = c->target.bucket;
    q->prefix = ask->prefix;
    q->delimiter = ask->delimiter;
    q->max = ask->max;
    return meta_list(&read, q, out, &e) < 0 ? call_fail_meta(c, read.why, &e, x) : 0;
}

/* ---- elements ---- */

/* What the escaping leaves has no markup, so it goes to the document as it is. Blanks become %20
 * and not AWS's '+': clients that undo '+' and those that do not both read that. */
void list_text(struct xml_out *w, const struct list_ask *ask, const char *name, struct str text) {
    xml_out_open(w, name);
    if (!ask->is_encoded)
        xml_out_text(w, text);
    else if (!w->full && uri_encode_path(w->to, text) < 0)
        w->full = true;
    xml_out_close(w);
}

void list_echo(struct xml_out *w, const struct list_ask *ask) {
    if (ask->delimiter.n > 0) list_text(w, ask, "Delimiter", ask->delimiter);
    if (ask->is_encoded) xml_out_c(w, "EncodingType", "url");
}

void list_prefixes(struct xml_out *w, const struct list_ask *ask, const struct meta_page *page) {
    for (size_t i = 0; i < page->count; i++) {
        if (!page->p[i].is_prefix) continue;
        xml_out_open(w, "CommonPrefixes");
        list_text(w, ask, "Prefix", page->p[i].key);
        xml_out_close(w);
    }
}

void list_date(struct xml_out *w, const char *name, uint64_t at_ms) {
    char text[DATE_ISO_CHARS + 1];
    xml_out_c(w, name, date_iso((int64_t)(at_ms / 1000), text));
}

void list_etag(struct xml_out *w, const struct meta_etag *etag) {
    char hex[2 * sizeof etag->md5 + 1];
    char text[ETAG_CHARS];
    (void)hex_encode(etag->md5, sizeof etag->md5, hex);
    if (etag->parts > 0)
        (void)snprintf(text, sizeof text, "\"%s-%u\"", hex, etag->parts);
    else
        (void)snprintf(text, sizeof text, "\"%s\"", hex);
    xml_out_c(w, "ETag", text);
}

void list_checksum_kind(struct xml_out *w, uint8_t kind) {
    unsigned algorithm = (kind & 15U) - 1U;
    if (algorithm >= CHECKSUM_KINDS) return; /* also the 0 of what has none */
    enum checksum_type type = kind & 16U ? CHECKSUM_FULL_OBJECT : CHECKSUM_COMPOSITE;
    xml_out_c(w, "ChecksumAlgorithm", checksum_name((enum checksum_kind)algorithm));
    xml_out_c(w, "ChecksumType", checksum_type_name(type));
}

/* The gateway takes no other class. */
void list_storage_class(struct xml_out *w, uint8_t storage_class) {
    (void)storage_class;
    xml_out_c(w, "StorageClass", "STANDARD");
}

void list_user(struct call *c, struct xml_out *w, const char *name, struct str id) {
    const struct identity *root = &gateway_identities(c->gw)->root;
    if (id.n == 0) id = c->bucket.owner;
    xml_out_open(w, name);
    xml_out_str(w, "ID", id);
    if (str_eq(id, str_of(root->canonical_id))) xml_out_c(w, "DisplayName", root->display_name);
    xml_out_close(w);
}
