/* SPDX-License-Identifier: Apache-2.0 — idmap.h: things by their 64-digit id, found by a unique
 * prefix too.
 *
 * A sorted array: listing is in id order, prefixes are neighbours, and a node's few thousand
 * entries make insertion a short memmove. Loop thread only; ids are borrowed from the things. */
#pragma once

#include "base/err.h"

struct idmap_entry {
    const char *id;
    void *thing;
};

struct idmap {
    struct idmap_entry *entries; /* owned, sorted by id */
    size_t count, capacity;
};

/* id must not be there yet and stay valid until idmap_remove(). */
void idmap_add(struct idmap *m, const char *id, void *thing);
void idmap_remove(struct idmap *m, const char *id); /* absent: nothing */
/* The thing with this id, or with a unique prefix of >= IDMAP_PREFIX_MIN digits; NULL. */
void *idmap_find(const struct idmap *m, struct str id);
void idmap_done(struct idmap *m);

#define IDMAP_PREFIX_MIN 3
