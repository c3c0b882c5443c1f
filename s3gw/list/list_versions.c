/* SPDX-License-Identifier: Apache-2.0 — list_versions.c: ListObjectVersions.
 *
 * Versions and delete markers stand between each other in the order of the list: by key, the newest
 * first. Source: Amazon S3 API reference, ListObjectVersions. */
#include "s3gw/list/list.h"

struct markers {
    struct str key, version;
};

/* Empty markers count as absent: some clients send them always. */
static int read_markers(struct call *c, struct markers *m, struct meta_list_query *q,
                        struct s3_error *x) {
    struct str version = call_param(c, "version-id-marker");
    m->version = version.p ? version : STR("");
    if (list_ask_key(c, "key-marker", &m->key, x) < 0) return -1;
    q->after_key = m->key;
    if (version.n == 0) return 0;
    if (m->key.n == 0)
        return list_refuse(x, "version-id-marker", version,
                           "A version-id marker cannot be specified without a key marker.");
    if (call_version_parse(version, &q->after_id) < 0)
        return list_refuse(x, "version-id-marker", version, "Invalid version id specified");
    return 0;
}

static void write_version(struct call *c, struct xml_out *w, const struct list_ask *ask,
                          const struct meta_entry *o) {
    char id[CALL_VERSION_CHARS + 1];
    xml_out_open(w, o->is_marker ? "DeleteMarker" : "Version");
    list_text(w, ask, "Key", o->key);
    xml_out_c(w, "VersionId", call_version_text(o->id, o->is_null, id));
    xml_out_bool(w, "IsLatest", o->is_latest);
    list_date(w, "LastModified", o->modified_ms);
    if (!o->is_marker) {
        list_etag(w, &o->etag);
        list_checksum_kind(w, o->checksum_kind);
        xml_out_u64(w, "Size", o->size_bytes);
        list_storage_class(w, o->storage_class);
    }
    list_user(c, w, "Owner", o->owner);
    xml_out_close(w);
}

/* Behind a common prefix there is no version to go on from: its key alone is the marker. */
static void write_next(struct xml_out *w, const struct list_ask *ask,
                       const struct meta_entry *last) {
    char id[CALL_VERSION_CHARS + 1];
    list_text(w, ask, "NextKeyMarker", last->key);
    if (!last->is_prefix)
        xml_out_c(w, "NextVersionIdMarker", call_version_text(last->id, last->is_null, id));
}

int list_versions(struct call *c, struct s3_error *x) {
    struct list_ask ask;
    struct markers m;
    struct meta_list_query q = {.what = META_LIST_VERSIONS};
    struct meta_page page;
    if (list_ask_read(c, "max-keys", &ask, x) < 0 || read_markers(c, &m, &q, x) < 0 ||
        list_page(c, &ask, &q, &page, x) < 0)
        return -1;
    struct xml_out w = reply_xml(c);
    xml_out_open_ns(&w, "ListVersionsResult", XML_OUT_S3);
    xml_out_str(&w, "Name", c->target.bucket);
    list_text(&w, &ask, "Prefix", ask.prefix);
    list_text(&w, &ask, "KeyMarker", m.key);
    xml_out_str(&w, "VersionIdMarker", m.version);
    if (list_last(&page)) write_next(&w, &ask, list_last(&page));
    xml_out_u64(&w, "MaxKeys", ask.max);
    list_echo(&w, &ask);
    xml_out_bool(&w, "IsTruncated", page.truncated);
    for (size_t i = 0; i < page.count; i++)
        if (!page.p[i].is_prefix) write_version(c, &w, &ask, &page.p[i]);
    list_prefixes(&w, &ask, &page);
    xml_out_close(&w);
    return reply_xml_end(c, &w, x);
}
