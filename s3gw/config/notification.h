/* SPDX-License-Identifier: Apache-2.0 — notification.h: the NotificationConfiguration of a bucket:
 * only the empty one, which turns notifications off.
 *
 * Any thread. Source: Amazon S3 API reference, PutBucketNotificationConfiguration. */
#pragma once

#include "s3gw/config/element.h"

/* Errors: MalformedXML; NotImplemented when it asks for notifications. */
int notification_parse(struct arena *a, struct str document, struct s3_error *x) MUST_CHECK;
int notification_write(struct buf *to) MUST_CHECK; /* 0 or -ENOSPC */
