/* SPDX-License-Identifier: Apache-2.0 — delete_objects.c */
#include "s3gw/config/delete_objects.h"

#include "s3gw/date.h"

static const struct xml_limits LIMITS = {.bytes_max = DELETE_BYTES_MAX,
                                         .elements_max = 2 + 6 * DELETE_OBJECTS_MAX,
                                         .text_max = DELETE_KEY_BYTES_MAX};
static const struct element_rule RULES[] = {
    {"Object", 1, DELETE_OBJECTS_MAX, false}, {"Quiet", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "Delete", .rules = RULES, .limits = &LIMITS};
static const struct element_rule OBJECT_RULES[] = {
    {"Key", 1, 1, true},  {"VersionId", 0, 1, true},        {"ETag", 0, 1, true},
    {"Size", 0, 1, true}, {"LastModifiedTime", 0, 1, true}, {NULL, 0, 0, false}};

static struct str unquoted(struct str s) {
    bool is_quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return is_quoted ? str_sub(s, 1, s.n - 1) : s;
}

static int parse_object(const struct element *e, struct delete_object *o, struct s3_error *x) {
    if (element_check(e, OBJECT_RULES, x) < 0) return -1;
    o->key = element_text(e, "Key");
    if (o->key.n == 0) return s3_fail_with(x, S3_MALFORMED_XML, "the Key of an Object is empty");
    o->version = element_text(e, "VersionId");
    o->etag = unquoted(element_text(e, "ETag"));
    int has_size = element_u64(e, "Size", &o->size_bytes, x);
    if (has_size < 0) return -1;
    o->has_size = has_size;
    struct str modified = element_text(e, "LastModifiedTime");
    o->has_modified = modified.p;
    if (modified.p && date_parse_http(modified, &o->modified_s) < 0 &&
        date_parse_iso(modified, &o->modified_s) < 0)
        return s3_fail_with(x, S3_MALFORMED_XML, "the LastModifiedTime of an Object is no date");
    return 0;
}

int delete_objects_parse(struct arena *a, struct str document, struct delete_objects *out,
                         struct s3_error *x) {
    const struct element *root = NULL;
    struct delete_objects d = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    if (element_bool(root, "Quiet", &d.is_quiet, x) < 0) return -1;
    struct delete_object *objects = arena_array(a, element_count(root, "Object"), sizeof *objects);
    if (!objects) return element_no_memory(x);
    d.at = objects;
    for (const struct element *e = element_child(root, "Object"); e; e = element_after(e, "Object"))
        if (parse_object(e, &objects[d.count++], x) < 0) return -1;
    *out = d;
    return 0;
}
