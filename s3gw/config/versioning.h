/* SPDX-License-Identifier: Apache-2.0 — versioning.h: the VersioningConfiguration of a bucket.
 *
 * MfaDelete may be there as Disabled; Enabled is NotImplemented. Any thread. Source: Amazon S3 API
 * reference, PutBucketVersioning, GetBucketVersioning. */
#pragma once

#include "s3gw/config/element.h"

enum versioning { VERSIONING_NEVER, VERSIONING_ENABLED, VERSIONING_SUSPENDED };

/* Errors: MalformedXML, IllegalVersioningConfigurationException (no Status), NotImplemented. */
int versioning_parse(struct arena *a, struct str document, enum versioning *out,
                     struct s3_error *x) MUST_CHECK;
/* VERSIONING_NEVER is an empty document. 0 or -ENOSPC. */
int versioning_write(enum versioning v, struct buf *to) MUST_CHECK;
