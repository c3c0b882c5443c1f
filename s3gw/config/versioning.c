/* SPDX-License-Identifier: Apache-2.0 — versioning.c */
#include "s3gw/config/versioning.h"

#include "s3gw/xml_out.h"

static const char *const STATUS[] = {"Enabled", "Suspended", NULL};
static const char *const MFA[] = {"Disabled", "Enabled", NULL};
static const struct element_rule RULES[] = {
    {"Status", 0, 1, true}, {"MfaDelete", 0, 1, true}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "VersioningConfiguration", .rules = RULES};

int versioning_parse(struct arena *a, struct str document, enum versioning *out,
                     struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    if (element_child(root, "MfaDelete")) {
        int mfa = element_choice(root, "MfaDelete", MFA, x);
        if (mfa < 0) return -1;
        if (mfa == 1)
            return s3_fail_with(x, S3_NOT_IMPLEMENTED, "MFA delete is not offered by this server");
    }
    if (!element_child(root, "Status")) return s3_fail(x, S3_ILLEGAL_VERSIONING_CONFIGURATION);
    int status = element_choice(root, "Status", STATUS, x);
    if (status < 0) return -1;
    *out = status == 0 ? VERSIONING_ENABLED : VERSIONING_SUSPENDED;
    return 0;
}

int versioning_write(enum versioning v, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    if (v != VERSIONING_NEVER)
        xml_out_c(&w, "Status", v == VERSIONING_ENABLED ? STATUS[0] : STATUS[1]);
    xml_out_close(&w);
    return xml_out_end(&w);
}
