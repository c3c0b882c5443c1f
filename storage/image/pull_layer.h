/* SPDX-License-Identifier: Apache-2.0 — pull_layer.h: one layer, from the registry into the store.
 *
 * Loop thread. */
#pragma once

#include "storage/image/layer.h"
#include "storage/image/manifest.h"
#include "storage/image/registry.h"

struct pull_layer;

struct pull_layer_want { /* what is pointed to lives until on_done */
    struct loop *loop;
    struct image_store *store;
    struct registry *registry;
    const struct registry_source *source;
    const struct manifest_blob *blob;
    struct str diff_id;
    void *user;
    /* Bytes came in, or the download is complete and only unpacking is left. */
    void (*on_progress)(void *user, uint64_t bytes, bool unpacking);
    /* Exactly once, last; dir is held for the caller, NULL on failure. */
    void (*on_done)(void *user, const char *dir, const struct err *e);
};

struct pull_layer *pull_layer_start(const struct pull_layer_want *w);
/* on_done follows, with CANCELLED unless it was complete already. */
void pull_layer_cancel(struct pull_layer *l);
