/* SPDX-License-Identifier: Apache-2.0 — request_payment.c */
#include "s3gw/config/request_payment.h"

#include "s3gw/xml_out.h"

static const char *const NAMES[] = {"BucketOwner", "Requester", NULL};
static const struct element_rule RULES[] = {{"Payer", 1, 1, true}, {NULL, 0, 0, false}};
static const struct element_schema ROOT = {.root = "RequestPaymentConfiguration", .rules = RULES};

int request_payment_parse(struct arena *a, struct str document, enum request_payer *out,
                          struct s3_error *x) {
    const struct element *root = NULL;
    if (element_parse(a, document, &ROOT, &root, x) < 0) return -1;
    int payer = element_choice(root, "Payer", NAMES, x);
    if (payer < 0) return -1;
    *out = (enum request_payer)payer;
    return 0;
}

int request_payment_write(enum request_payer payer, struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open_ns(&w, ROOT.root, XML_OUT_S3);
    xml_out_c(&w, "Payer", NAMES[payer]);
    xml_out_close(&w);
    return xml_out_end(&w);
}
