/* SPDX-License-Identifier: Apache-2.0 — delete_objects.h: the Delete document of DeleteObjects.
 *
 * Any thread. Source: Amazon S3 API reference, DeleteObjects, ObjectIdentifier. */
#pragma once

#include "s3gw/config/element.h"

#define DELETE_OBJECTS_MAX   1000
#define DELETE_BYTES_MAX     (4 << 20) /* 1000 keys, many of their bytes escaped */
#define DELETE_ARENA_BYTES   ((size_t)8 << 20)
#define DELETE_KEY_BYTES_MAX 4096 /* what is read; longer than S3's keys, see below */

struct delete_object {
    struct str key;     /* not empty; longer than 1024: KeyTooLongError of this one alone */
    struct str version; /* empty: none */
    struct str etag;    /* condition, without quotes; "*" is any; empty: none */
    bool has_modified, has_size;
    int64_t modified_s; /* condition: last modified in this second */
    uint64_t size_bytes;
};
struct delete_objects {
    bool is_quiet;
    const struct delete_object *at;
    size_t count; /* 1 to DELETE_OBJECTS_MAX */
};
/* Errors: MalformedXML. */
int delete_objects_parse(struct arena *a, struct str document, struct delete_objects *out,
                         struct s3_error *x) MUST_CHECK;
