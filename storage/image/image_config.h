/* SPDX-License-Identifier: Apache-2.0 — image_config.h: the part of an image's config that starts
 * processes.
 *
 * Bytes in, an arena's strings out. Unknown members are ignored. Any thread. Source: OCI image-spec
 * v1.1, config.md, "config"; Docker's image specification v1.2 has the same members. */
#pragma once

#include "storage/image/image.h"

#define IMAGE_CONFIG_BYTES_MAX (1u << 20)
#define IMAGE_CONFIG_ITEMS_MAX 4096u /* of each list */

/* INVALID: no config, or a member of another type than it must have; LIMIT. */
int image_config_parse(struct arena *a, struct str json, struct image_config *out,
                       struct err *e) MUST_CHECK;
