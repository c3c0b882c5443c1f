/* SPDX-License-Identifier: Apache-2.0 — groups.h: the tables of the groups of operations. One
 * function for each, defined beside the table. */
#pragma once

#include "s3gw/gateway/route.h"

struct route_group bucket_routes(void);          /* bucket/bucket_ops.c */
struct route_group object_put_routes(void);      /* object/object_put.c */
struct route_group object_get_routes(void);      /* object/object_get.c */
struct route_group object_delete_routes(void);   /* object/object_delete.c */
struct route_group list_routes(void);            /* list/list_ops.c */
struct route_group upload_routes(void);          /* upload/upload_ops.c */
struct route_group upload_complete_routes(void); /* upload/upload_complete.c */
struct route_group object_tagging_routes(void);  /* object/object_tagging.c */
struct route_group object_describe_routes(void); /* object/object_describe.c */
