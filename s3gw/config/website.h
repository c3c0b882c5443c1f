/* SPDX-License-Identifier: Apache-2.0 — website.h: the WebsiteConfiguration of a bucket: index and
 * error documents, redirects, routing rules.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketWebsite; user guide, "Configuring an index
 * document", "Configuring advanced conditional redirects". */
#pragma once

#include "s3gw/config/element.h"

#define WEBSITE_RULES_MAX          50
#define WEBSITE_KEY_MAX            1024
#define WEBSITE_HOST_MAX           255
#define WEBSITE_LOCATION_BYTES_MAX (8 << 10) /* of a Location */

struct website_redirect {
    struct str host;     /* empty: that of the request */
    struct str protocol; /* "http", "https"; empty: that of the request */
    bool has_prefix, has_key;
    struct str prefix; /* instead of the prefix of the condition */
    struct str key;    /* instead of the whole key */
    unsigned status;   /* 301 unless it says another */
};
struct website_rule {
    bool has_condition, has_prefix;
    struct str prefix;
    unsigned error; /* 0: none */
    struct website_redirect to;
};
struct website {
    bool redirects_all;
    struct website_redirect all; /* host is never empty */
    struct str index;            /* suffix; never empty unless redirects_all */
    struct str error_key;        /* empty: none */
    const struct website_rule *rules;
    size_t count;
};

/* Errors: MalformedXML, InvalidArgument, InvalidRequest. */
int website_parse(struct arena *a, struct str document, const struct website **out,
                  struct s3_error *x) MUST_CHECK;
int website_write(const struct website *s, struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */

struct website_question {
    struct str key;      /* decoded */
    struct str protocol; /* "http" or "https" */
    struct str host;     /* with its port, as Host says */
    unsigned error;      /* status that the object gave; 0: it was not looked for yet */
};
/* Asked before the object is looked for, and again with its error: 1 with Location appended and the
 * status of the redirect; 0: none applies; -ENOSPC. */
int website_redirects(const struct website *s, const struct website_question *q,
                      struct buf *location, unsigned *out_status) MUST_CHECK;
/* The key whose object is shown: that of the index for "" and "folder/". A key that is not found
 * and whose "/" + index is gets a redirect 302 to key + "/" from the caller. In `a`; .p NULL: no
 * memory. */
struct str website_key(struct arena *a, const struct website *s, struct str key);
