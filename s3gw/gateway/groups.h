/* SPDX-License-Identifier: Apache-2.0 — groups.h: the tables of the groups of operations. One
 * function for each, defined beside the table. */
#pragma once

#include "s3gw/gateway/route.h"

struct route_group bucket_routes(void); /* bucket/bucket_ops.c */
struct route_group list_routes(void);   /* list/list_ops.c */
