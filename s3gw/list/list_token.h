/* SPDX-License-Identifier: Apache-2.0 — list_token.h: the continuation token of ListObjectsV2.
 *
 * The URL-safe base64 of a version byte, 8 bytes of a digest over bucket and key, and the key
 * behind which the list goes on. It holds no secret and gives no right (start-after can name any
 * key as well), so every gateway over the same metadata understands it, also after a restart; the
 * digest finds tokens that were cut, altered or taken from another bucket. Any thread. */
#pragma once

#include "base/arena.h"

/* Into the arena. 0 or -ENOSPC. */
int list_token_write(struct arena *a, struct str bucket, struct str key,
                     struct str *out) MUST_CHECK;
/* 0, -EINVAL (no token of this bucket) or -ENOSPC. */
int list_token_read(struct arena *a, struct str bucket, struct str token,
                    struct str *out_key) MUST_CHECK;
