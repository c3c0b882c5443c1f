/* SPDX-License-Identifier: Apache-2.0 — upload.h: what the operations of multipart uploads share.
 * An upload's id is written as a version is. On a worker. */
#pragma once

#include "s3gw/object/object_attributes.h"

#define UPLOAD_PART_BYTES_MIN ((uint64_t)5 << 20) /* AWS: of all parts but the last */

struct upload {
    uint64_t id;
    struct meta_upload meta;
    enum checksum_kind kind;
    enum checksum_type type;
};
/* uploadId of the query. NoSuchUpload. */
int upload_id(const struct call *c, uint64_t *out, struct s3_error *x) MUST_CHECK;
int upload_read(struct call *c, struct upload *out, struct s3_error *x) MUST_CHECK;
