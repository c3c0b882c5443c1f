/* SPDX-License-Identifier: Apache-2.0 — config_rig.h: each document read and written again, for
 * tests and the fuzz target. */
#pragma once

#include "s3gw/config/cors.h"
#include "s3gw/config/encryption.h"
#include "s3gw/config/lifecycle.h"
#include "s3gw/config/logging.h"
#include "s3gw/config/notification.h"
#include "s3gw/config/object_lock.h"
#include "s3gw/config/public_access.h"
#include "s3gw/config/request_payment.h"
#include "s3gw/config/versioning.h"
#include "s3gw/config/website.h"

#define RIG_DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define RIG_NS          " xmlns=\"" XML_OUT_S3 "\""
#define RIG_NOW_S       INT64_C(1700000000)

/* Parses and writes: 0, or -1 with x filled. */
struct rig_round {
    const char *root;
    int (*run)(struct arena *a, struct str in, struct buf *out, struct s3_error *x);
};

#define RIG_ROUND(noun, type, parse, write)                                                        \
    UNUSED static int round_##noun(struct arena *a, struct str in, struct buf *out,                \
                                   struct s3_error *x) {                                           \
        type v = {0};                                                                              \
        if ((parse) < 0) return -1;                                                                \
        return (write) < 0 ? s3_fail(x, S3_INTERNAL_ERROR) : 0;                                    \
    }
RIG_ROUND(acl, struct acl, acl_parse(a, in, &v, x), acl_write(&v, NULL, out))
RIG_ROUND(
    cors, struct { const struct cors *p; }, cors_parse(a, in, &v.p, x), cors_write(v.p, out))
RIG_ROUND(
    lifecycle, struct { const struct lifecycle *p; }, lifecycle_parse(a, in, &v.p, x),
    lifecycle_write(v.p, out))
RIG_ROUND(
    website, struct { const struct website *p; }, website_parse(a, in, &v.p, x),
    website_write(v.p, out))
RIG_ROUND(tags_of_object, struct tagging, tagging_parse(a, in, TAGS_OF_OBJECT_MAX, &v, x),
          tagging_write(&v, out))
RIG_ROUND(tags_of_bucket, struct tagging, tagging_parse(a, in, TAGS_OF_BUCKET_MAX, &v, x),
          tagging_write(&v, out))
RIG_ROUND(
    versioning, struct { enum versioning e; }, versioning_parse(a, in, &v.e, x),
    versioning_write(v.e, out))
RIG_ROUND(
    ownership, struct { enum ownership e; }, ownership_parse(a, in, &v.e, x),
    ownership_write(v.e, out))
RIG_ROUND(public_access, struct public_access, public_access_parse(a, in, &v, x),
          public_access_write(&v, out))
RIG_ROUND(
    request_payment, struct { enum request_payer e; }, request_payment_parse(a, in, &v.e, x),
    request_payment_write(v.e, out))
RIG_ROUND(
    notification, struct { int none; }, notification_parse(a, in, ((void)v, x)),
    notification_write(out))
RIG_ROUND(encryption, struct encryption, encryption_parse(a, in, &v, x), encryption_write(&v, out))
RIG_ROUND(object_lock, struct object_lock, object_lock_parse(a, in, &v, x),
          object_lock_write(&v, out))
RIG_ROUND(retention, struct object_retention, object_retention_parse(a, in, RIG_NOW_S, &v, x),
          object_retention_write(&v, out))
RIG_ROUND(
    legal_hold, struct { bool on; }, legal_hold_parse(a, in, &v.on, x), legal_hold_write(v.on, out))
RIG_ROUND(logging, struct logging, logging_parse(a, in, &v, x), logging_write(&v, NULL, out))

static const struct rig_round RIG_ROUNDS[] = {
    {"AccessControlPolicy", round_acl},
    {"CORSConfiguration", round_cors},
    {"LifecycleConfiguration", round_lifecycle},
    {"WebsiteConfiguration", round_website},
    {"Tagging", round_tags_of_object},
    {"Tagging", round_tags_of_bucket},
    {"VersioningConfiguration", round_versioning},
    {"OwnershipControls", round_ownership},
    {"PublicAccessBlockConfiguration", round_public_access},
    {"RequestPaymentConfiguration", round_request_payment},
    {"NotificationConfiguration", round_notification},
    {"ServerSideEncryptionConfiguration", round_encryption},
    {"ObjectLockConfiguration", round_object_lock},
    {"Retention", round_retention},
    {"LegalHold", round_legal_hold},
    {"BucketLoggingStatus", round_logging},
};
