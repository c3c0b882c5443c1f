/* SPDX-License-Identifier: Apache-2.0 — tagging.c */
#include "s3gw/config/tagging.h"

#include "base/utf8.h"
#include "s3gw/uri.h"
#include "s3gw/xml_out.h"

#include <errno.h>

static const struct element_rule RULES[] = {{"TagSet", 1, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "Tagging", .rules = RULES};
static const struct element_rule SET_RULES[] = {{"Tag", 0, ELEMENT_ANY_COUNT, false},
                                                {NULL, 0, 0, false}};
static const struct element_rule TAG_RULES[] = {
    {"Key", 1, 1, true}, {"Value", 1, 1, true}, {NULL, 0, 0, false}};

static bool is_allowed(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(" +-=._:/@", c)) || c >= 0x80;
}

/* At most chars_max characters, all of them allowed. */
static bool is_valid(struct str s, size_t chars_max) {
    size_t chars = 0;
    for (size_t i = 0; i < s.n; chars++) {
        size_t n = utf8_next(str_sub(s, i, s.n));
        if (n == 0 || !is_allowed((unsigned char)s.p[i])) return false;
        i += n;
    }
    return chars <= chars_max;
}

static int check_tag(const struct tag *t, struct s3_error *x) {
    if (t->key.n == 0 || !is_valid(t->key, TAG_KEY_CHARS_MAX)) {
        (void)s3_fail_with(x, S3_INVALID_TAG, "The TagKey you have provided is invalid");
        return s3_detail(x, "TagKey", t->key);
    }
    if (!is_valid(t->value, TAG_VALUE_CHARS_MAX)) {
        (void)s3_fail_with(x, S3_INVALID_TAG, "The TagValue you have provided is invalid");
        return s3_detail(x, "TagValue", t->value);
    }
    if (t->key.n >= 4 && str_eq_nocase(str_sub(t->key, 0, 4), STR("aws:")))
        return s3_fail_with(x, S3_INVALID_TAG, "System tags cannot be added/updated by requester");
    return 0;
}

static int check_count(size_t count, size_t tags_max, struct s3_error *x) {
    if (count <= tags_max) return 0;
    return s3_fail_with(x, S3_BAD_REQUEST,
                        tags_max == TAGS_OF_OBJECT_MAX
                            ? "Object tags cannot be greater than %zu"
                            : "Bucket tag count cannot be greater than %zu",
                        tags_max);
}

struct str tagging_get(const struct tagging *t, struct str key) {
    for (size_t i = 0; i < t->count; i++)
        if (str_eq(t->at[i].key, key)) return t->at[i].value;
    return STR_NONE;
}

int tagging_of_element(struct arena *a, const struct element *e, size_t tags_max,
                       struct tagging *out, struct s3_error *x) {
    size_t count = element_count(e, "Tag");
    if (check_count(count, tags_max, x) < 0) return -1;
    struct tag *tags = arena_array(a, count, sizeof *tags);
    if (!tags) return element_no_memory(x);
    struct tagging t = {tags, 0};
    for (const struct element *c = element_child(e, "Tag"); c; c = element_after(c, "Tag")) {
        if (element_check(c, TAG_RULES, x) < 0) return -1;
        struct tag new = {element_text(c, "Key"), element_text(c, "Value")};
        if (check_tag(&new, x) < 0) return -1;
        if (tagging_get(&t, new.key).p)
            return s3_fail_with(x, S3_INVALID_TAG,
                                "Cannot provide multiple Tags with the same key");
        tags[t.count++] = new;
    }
    *out = t;
    return 0;
}

int tagging_parse(struct arena *a, struct str document, size_t tags_max, struct tagging *out,
                  struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    const struct element *set = element_child(root, "TagSet");
    if (element_check(set, SET_RULES, x) < 0) return -1;
    return tagging_of_element(a, set, tags_max, out, x);
}

int tagging_write(const struct tagging *t, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_open(&w, "TagSet");
    for (size_t i = 0; i < t->count; i++) {
        xml_out_open(&w, "Tag");
        xml_out_str(&w, "Key", t->at[i].key);
        xml_out_str(&w, "Value", t->at[i].value);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    xml_out_close(&w);
    return xml_out_end(&w);
}

static int bad_header(struct s3_error *x) {
    (void)s3_fail_with(x, S3_INVALID_ARGUMENT,
                       "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL "
                       "query parameters without tag name duplicates.");
    return s3_detail(x, "ArgumentName", STR("x-amz-tagging"));
}

int tagging_of_header(struct arena *a, struct str value, struct tagging *out, struct s3_error *x) {
    struct uri_query q = {0};
    int r = uri_query_parse(a, value, &q);
    if (r == -ENOSPC) return element_no_memory(x);
    if (r == -E2BIG) return check_count(URI_PARAMETERS_MAX + 1, TAGS_OF_OBJECT_MAX, x);
    if (r < 0) return bad_header(x);
    if (check_count(q.count, TAGS_OF_OBJECT_MAX, x) < 0) return -1;
    struct tag *tags = arena_array(a, q.count, sizeof *tags);
    if (!tags) return element_no_memory(x);
    struct tagging t = {tags, 0};
    for (size_t i = 0; i < q.count; i++) {
        struct tag new = {q.at[i].name, q.at[i].value.p ? q.at[i].value : STR("")};
        if (utf8_valid_prefix(new.key) < new.key.n || utf8_valid_prefix(new.value) < new.value.n)
            return bad_header(x);
        if (check_tag(&new, x) < 0) return -1;
        if (tagging_get(&t, new.key).p) return bad_header(x);
        tags[t.count++] = new;
    }
    *out = t;
    return 0;
}

int tagging_header(const struct tagging *t, struct buf *to) {
    for (size_t i = 0; i < t->count; i++) {
        if (i && buf_str(to, STR("&")) < 0) return -ENOSPC;
        if (uri_encode(to, t->at[i].key) < 0 || buf_str(to, STR("=")) < 0 ||
            uri_encode(to, t->at[i].value) < 0)
            return -ENOSPC;
    }
    return 0;
}
