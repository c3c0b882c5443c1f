/* SPDX-License-Identifier: Apache-2.0 — complete_upload.h: the CompleteMultipartUpload document:
 * the parts that make the object, in order.
 *
 * Any thread. Source: Amazon S3 API reference, CompleteMultipartUpload, CompletedPart. */
#pragma once

#include "s3gw/checksum/checksum.h"
#include "s3gw/config/element.h"

#define COMPLETE_PARTS_MAX   10000
#define COMPLETE_BYTES_MAX   (4 << 20)
#define COMPLETE_ARENA_BYTES ((size_t)24 << 20)

struct complete_part {
    uint32_t number; /* 1 to COMPLETE_PARTS_MAX, ascending */
    uint8_t md5[16]; /* of its ETag */
    bool has_checksum;
    struct checksum_value checksum;
};
struct complete_upload {
    const struct complete_part *parts;
    size_t count; /* 1 to COMPLETE_PARTS_MAX */
};
/* Errors: MalformedXML, InvalidArgument (a number), InvalidPart (an ETag that no part can have),
 * InvalidPartOrder, InvalidRequest (a checksum), NotImplemented (its algorithm). */
int complete_upload_parse(struct arena *a, struct str document, struct complete_upload *out,
                          struct s3_error *x) MUST_CHECK;
