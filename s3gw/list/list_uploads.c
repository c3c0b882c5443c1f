/* SPDX-License-Identifier: Apache-2.0 — list_uploads.c: ListMultipartUploads.
 *
 * An upload's id is written as a version's is: 16 hex digits. Source: Amazon S3 API reference,
 * ListMultipartUploads: without a key marker, the marker of an upload means nothing. */
#include "s3gw/list/list.h"

struct markers {
    struct str key, upload;
};

static int read_markers(struct call *c, struct markers *m, struct meta_list_query *q,
                        struct s3_error *x) {
    struct str upload = call_param(c, "upload-id-marker");
    m->upload = upload.p ? upload : STR("");
    if (list_ask_key(c, "key-marker", &m->key, x) < 0) return -1;
    q->after_key = m->key;
    if (upload.n == 0 || m->key.n == 0) return 0;
    if (call_version_parse(upload, &q->after_id) < 0 || q->after_id == META_NULL_VERSION)
        return list_refuse(x, "upload-id-marker", upload, "Invalid uploadId marker");
    return 0;
}

static void write_upload(struct call *c, struct xml_out *w, const struct list_ask *ask,
                         const struct meta_entry *u) {
    char id[CALL_VERSION_CHARS + 1];
    xml_out_open(w, "Upload");
    list_text(w, ask, "Key", u->key);
    xml_out_c(w, "UploadId", call_version_text(u->id, false, id));
    list_user(c, w, "Initiator", u->initiator);
    list_user(c, w, "Owner", u->owner);
    list_storage_class(w, u->storage_class);
    list_date(w, "Initiated", u->modified_ms);
    list_checksum_kind(w, u->checksum_kind);
    xml_out_close(w);
}

static void write_next(struct xml_out *w, const struct list_ask *ask,
                       const struct meta_entry *last) {
    char id[CALL_VERSION_CHARS + 1];
    list_text(w, ask, "NextKeyMarker", last->key);
    if (!last->is_prefix)
        xml_out_c(w, "NextUploadIdMarker", call_version_text(last->id, false, id));
}

int list_uploads(struct call *c, struct s3_error *x) {
    struct list_ask ask;
    struct markers m;
    struct meta_list_query q = {.what = META_LIST_UPLOADS};
    struct meta_page page;
    if (list_ask_read(c, "max-uploads", &ask, x) < 0 || read_markers(c, &m, &q, x) < 0 ||
        list_page(c, &ask, &q, &page, x) < 0)
        return -1;
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListMultipartUploadsResult", XML_OUT_S3);
    xml_out_str(&w, "Bucket", c->target.bucket);
    list_text(&w, &ask, "KeyMarker", m.key);
    xml_out_str(&w, "UploadIdMarker", m.upload);
    if (list_last(&page)) write_next(&w, &ask, list_last(&page));
    list_text(&w, &ask, "Prefix", ask.prefix);
    list_echo(&w, &ask);
    xml_out_u64(&w, "MaxUploads", ask.max);
    xml_out_bool(&w, "IsTruncated", page.truncated);
    for (size_t i = 0; i < page.count; i++)
        if (!page.p[i].is_prefix) write_upload(c, &w, &ask, &page.p[i]);
    list_prefixes(&w, &ask, &page);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}
