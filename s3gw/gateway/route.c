/* SPDX-License-Identifier: Apache-2.0 — route.c: finding the operation of a request.
 *
 * A sub-resource is a parameter of the query whose name is in SELECTORS, all that S3 knows, also
 * those that are not served: else a `PUT /bucket?replication` would be taken for CreateBucket. Two
 * selectors at once have no meaning in S3 and are refused, but for the pairs that belong together
 * ("uploadId" with "partNumber"). */
#include "s3gw/gateway/route.h"

#include "s3gw/gateway/groups.h"

static const char *const SELECTORS[] = {
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metadataTable",
    "metadataConfiguration",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
};

typedef struct route_group (*group_fn)(void);
static const group_fn GROUPS[] = {bucket_routes, list_routes};

const struct route *route_at(size_t index) {
    for (size_t g = 0; g < COUNT(GROUPS); g++) {
        struct route_group group = GROUPS[g]();
        if (index < group.count) return &group.routes[index];
        index -= group.count;
    }
    return NULL;
}

size_t route_count(void) {
    size_t n = 0;
    for (size_t g = 0; g < COUNT(GROUPS); g++) n += GROUPS[g]().count;
    return n;
}

/* 0 and the one selector of the query, NULL when there is none. */
static int find_selector(const struct uri_query *q, const char **out, struct s3_error *x) {
    *out = NULL;
    for (size_t i = 0; i < COUNT(SELECTORS); i++) {
        size_t n = uri_query_count(q, SELECTORS[i]);
        if (n == 0) continue;
        if (n > 1 || *out)
            return s3_fail_with(x, S3_INVALID_ARGUMENT,
                                "The request names '%s' and another sub-resource, or it twice",
                                SELECTORS[i]);
        *out = SELECTORS[i];
    }
    return 0;
}

static bool same_sub(const struct route *r, const char *selector) {
    if (!r->sub || !selector) return !r->sub && !selector;
    return strcmp(r->sub, selector) == 0;
}

const struct route *route_find(const struct route_ask *ask, struct s3_error *x) {
    const char *selector = NULL;
    bool others = false;
    if (find_selector(ask->query, &selector, x) < 0) return NULL;
    const struct route *plain = NULL;
    for (size_t i = 0;; i++) {
        const struct route *r = route_at(i);
        if (!r) break;
        if (r->place != ask->place || !same_sub(r, selector)) continue;
        others = true;
        if (r->verb != ask->verb) continue;
        if (!r->header) plain = r;
        if (r->header && ask->has_header(ask->call, r->header)) return r;
    }
    if (plain) return plain;
    if (selector && !others)
        (void)s3_fail_with(x, S3_NOT_IMPLEMENTED, "The sub-resource '%s' is not offered here",
                           selector);
    else
        (void)s3_fail(x, S3_METHOD_NOT_ALLOWED);
    return NULL;
}
