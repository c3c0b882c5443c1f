/* SPDX-License-Identifier: Apache-2.0 — logging.c */
#include "s3gw/config/logging.h"

static const struct element_rule RULES[] = {{"LoggingEnabled", 0, 1, false}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "BucketLoggingStatus", .rules = RULES};
static const struct element_rule ENABLED_RULES[] = {{"TargetBucket", 1, 1, true},
                                                    {"TargetPrefix", 0, 1, true},
                                                    {"TargetGrants", 0, 1, false},
                                                    {"TargetObjectKeyFormat", 0, 1, false},
                                                    {NULL, 0, 0, false}};
static const struct element_rule GRANTS_RULES[] = {{"Grant", 0, ACL_GRANTS_MAX, false},
                                                   {NULL, 0, 0, false}};
static const struct element_rule FORMAT_RULES[] = {
    {"SimplePrefix", 0, 1, false}, {"PartitionedPrefix", 0, 1, false}, {NULL, 0, 0, false}};
static const struct element_rule PARTITIONED_RULES[] = {{"PartitionDateSource", 1, 1, true},
                                                        {NULL, 0, 0, false}};
static const char *const SOURCES[] = {"EventTime", "DeliveryTime", NULL};

static int parse_grants(struct arena *a, const struct element *e, struct logging *l,
                        struct s3_error *x) {
    if (!e) return 0;
    if (element_check(e, GRANTS_RULES, x) < 0) return -1;
    struct acl_grant *grants = arena_array(a, element_count(e, "Grant"), sizeof *grants);
    if (!grants) return element_no_memory(x);
    l->grants = grants;
    for (const struct element *c = e->first; c; c = c->next) {
        if (acl_grant_of_element(c, &grants[l->count], x) < 0) return -1;
        unsigned rights = grants[l->count++].rights;
        if (rights == ACL_MAY_READ_ACP || rights == ACL_MAY_WRITE_ACP)
            return s3_fail_with(x, S3_MALFORMED_XML,
                                "a target grant is READ, WRITE or FULL_CONTROL");
    }
    return 0;
}

static int parse_format(const struct element *e, enum logging_format *out, struct s3_error *x) {
    if (!e) return 0;
    if (element_check(e, FORMAT_RULES, x) < 0) return -1;
    if (!e->first || e->first->next)
        return s3_fail_with(x, S3_MALFORMED_XML,
                            "TargetObjectKeyFormat is either SimplePrefix or PartitionedPrefix");
    const struct element *parted = element_child(e, "PartitionedPrefix");
    *out = LOGGING_SIMPLE;
    if (!parted) return 0;
    if (element_check(parted, PARTITIONED_RULES, x) < 0) return -1;
    int source = element_choice(parted, "PartitionDateSource", SOURCES, x);
    if (source < 0) return -1;
    *out = source == 0 ? LOGGING_BY_EVENT : LOGGING_BY_DELIVERY;
    return 0;
}

int logging_parse(struct arena *a, struct str document, struct logging *out, struct s3_error *x) {
    const struct element *root = NULL;
    struct logging l = {0};
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    const struct element *e = element_child(root, "LoggingEnabled");
    if (e) {
        if (element_check(e, ENABLED_RULES, x) < 0) return -1;
        l.is_enabled = true;
        l.bucket = element_text(e, "TargetBucket");
        l.prefix = element_text(e, "TargetPrefix");
        if (l.bucket.n < 3 || l.bucket.n > 63 || l.prefix.n > LOGGING_PREFIX_MAX)
            return s3_fail_with(x, S3_MALFORMED_XML,
                                "TargetBucket is no name of a bucket, or TargetPrefix is longer "
                                "than %d bytes",
                                LOGGING_PREFIX_MAX);
        if (parse_grants(a, element_child(e, "TargetGrants"), &l, x) < 0) return -1;
        if (parse_format(element_child(e, "TargetObjectKeyFormat"), &l.format, x) < 0) return -1;
    }
    *out = l;
    return 0;
}

static void write_format(struct xml_out *w, enum logging_format format) {
    if (format == LOGGING_FORMAT_NONE) return;
    xml_out_open(w, "TargetObjectKeyFormat");
    if (format == LOGGING_SIMPLE) {
        xml_out_c(w, "SimplePrefix", "");
    } else {
        xml_out_open(w, "PartitionedPrefix");
        xml_out_c(w, "PartitionDateSource", SOURCES[format == LOGGING_BY_DELIVERY]);
        xml_out_close(w);
    }
    xml_out_close(w);
}

int logging_write(const struct logging *l, const struct acl_names *names, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    if (l->is_enabled) {
        xml_out_open(&w, "LoggingEnabled");
        xml_out_str(&w, "TargetBucket", l->bucket);
        if (l->count) {
            xml_out_open(&w, "TargetGrants");
            for (size_t i = 0; i < l->count; i++) acl_write_grant(&l->grants[i], names, &w);
            xml_out_close(&w);
        }
        write_format(&w, l->format);
        xml_out_str(&w, "TargetPrefix", l->prefix);
        xml_out_close(&w);
    }
    xml_out_close(&w);
    return xml_out_end(&w);
}
