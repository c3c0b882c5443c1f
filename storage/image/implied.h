/* SPDX-License-Identifier: Apache-2.0 — implied.h: folders of which a layer lists only the content.
 *
 * Such a folder is 0755 root:root in its layer, but the image means the folder of the layers below:
 * /tmp stays 1777 when a layer brings tmp/x alone. Which attributes are right depends on the layers
 * below, and layers are shared between images; so the folders whose attributes would show wrongly
 * are made once more, empty, in a layer of their own on top of the stack. Most images need none.
 * Any thread. */
#pragma once

#include "storage/image/store.h"
#include "storage/unpack/report.h"

#define IMPLIED_ARENA_BYTES_MAX ((size_t)64 << 20) /* names of one image */

/* Remembers what layer dir implies. Under the lock, in the transaction that records the layer. */
int implied_record(struct image_store *s, uint64_t dir, const struct report *r,
                   struct err *e) MUST_CHECK;

struct implied_stack {
    const uint64_t *dirs; /* recorded layers, lowest first, held by the caller */
    size_t count;
};
/* 1: the layer *out_dir belongs on top of the stack; it is held. 0: the stack is right as it is.
 * Not under the lock; blocks on the disk. LIMIT: too many names. */
int implied_layer(struct image_store *s, const struct implied_stack *stack, uint64_t *out_dir,
                  struct err *e) MUST_CHECK;
