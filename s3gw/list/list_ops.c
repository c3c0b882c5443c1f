/* SPDX-License-Identifier: Apache-2.0 — list_ops.c: the table of the listings. */
#include "s3gw/gateway/groups.h"
#include "s3gw/list/list.h"

static const struct route ROUTES[] = {
    {.name = "ListObjects",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .action = "s3:ListBucket",
     .run = list_objects},
    {.name = "ListObjectsV2",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "list-type",
     .action = "s3:ListBucket",
     .run = list_objects_v2},
    {.name = "ListObjectVersions",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "versions",
     .action = "s3:ListBucketVersions",
     .run = list_versions},
    {.name = "ListMultipartUploads",
     .verb = HTTP_VERB_GET,
     .place = TARGET_BUCKET,
     .sub = "uploads",
     .action = "s3:ListBucketMultipartUploads",
     .run = list_uploads},
};

struct route_group list_routes(void) {
    return ROUTE_GROUP(ROUTES);
}
