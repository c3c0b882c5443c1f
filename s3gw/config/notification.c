/* SPDX-License-Identifier: Apache-2.0 — notification.c */
#include "s3gw/config/notification.h"

#include "s3gw/xml_out.h"

static const struct element_rule RULES[] = {
    {"TopicConfiguration", 0, ELEMENT_ANY_COUNT, false},
    {"QueueConfiguration", 0, ELEMENT_ANY_COUNT, false},
    {"CloudFunctionConfiguration", 0, ELEMENT_ANY_COUNT, false},
    {"EventBridgeConfiguration", 0, 1, false},
    {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "NotificationConfiguration", .rules = RULES};

int notification_parse(struct arena *a, struct str document, struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    if (!root->first) return 0;
    return s3_fail_with(x, S3_NOT_IMPLEMENTED, "%.*s: event notifications are not offered",
                        STR_ARG(root->first->name));
}

int notification_write(struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_close(&w);
    return xml_out_end(&w);
}
