/* SPDX-License-Identifier: Apache-2.0 — manifest.h: manifests, indexes and image configs.
 *
 * OCI and Docker schema 2; bytes in, an arena's strings out, no I/O. Whether the bytes have the
 * promised digest is checked by the caller before. Any thread. Source: OCI image-spec v1.1
 * (image-index.md, manifest.md, config.md), distribution's "Image Manifest V 2, Schema 2". */
#pragma once

#include "storage/image/image.h"

#define MANIFEST_BYTES_MAX        (4U << 20)
#define MANIFEST_CONFIG_BYTES_MAX (1U << 20)
#define MANIFEST_PLATFORMS_MAX    1024 /* entries of an index */
#define MANIFEST_LAYER_BYTES_MAX  (256ULL << 30)

struct manifest_platform {
    struct str os, architecture, variant;
};

struct manifest_blob {
    struct str digest;
    uint64_t size_bytes;
};

struct manifest {
    bool is_index;
    struct manifest_blob chosen;        /* of an index: the manifest for our platform */
    struct manifest_blob config;        /* of a manifest */
    const struct manifest_blob *layers; /* lowest first */
    size_t layer_count;
};

/* The machine's own: linux, amd64 or arm64 (variant v8). */
struct manifest_platform manifest_platform_host(void);

/* media_type: the reply's Content-Type, used when the document does not name its own. CORRUPT: no
 * manifest; UNSUPPORTED: schema 1, a foreign media type; NOT_FOUND: the index has nothing for the
 * platform; LIMIT. */
int manifest_parse(struct arena *a, struct str json, struct str media_type,
                   const struct manifest_platform *platform, struct manifest *out,
                   struct err *e) MUST_CHECK;

/* rootfs.diff_ids of an image config; as many as the manifest has layers. CORRUPT, LIMIT;
 * UNSUPPORTED: made for another platform. */
int manifest_config_parse(struct arena *a, struct str json,
                          const struct manifest_platform *platform, size_t layer_count,
                          const struct str **out_diff_ids, struct err *e) MUST_CHECK;
