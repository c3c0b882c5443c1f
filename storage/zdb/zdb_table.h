/* SPDX-License-Identifier: Apache-2.0 — zdb_table.h: hash to place, 12 bytes per slot.
 *
 * Keys are not kept: what a slot points at has the key, and the caller compares. Open addressing
 * with linear probing, at most three quarters full, so a key costs 16 to 32 bytes. One thread at a
 * time. */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

struct zdb_slot {
    uint32_t hash;
    uint32_t a; /* UINT32_MAX: empty */
    uint32_t b;
};
struct zdb_table {
    struct zdb_slot *slots; /* owned; capacity of them, a power of two, or NULL */
    size_t capacity;
    size_t used;
};

/* The first slot with this hash, the next one after `slot`, or NULL. Valid until a change. */
struct zdb_slot *zdb_table_first(const struct zdb_table *t, uint32_t hash);
struct zdb_slot *zdb_table_next(const struct zdb_table *t, const struct zdb_slot *slot);
/* a is below UINT32_MAX. */
void zdb_table_add(struct zdb_table *t, struct zdb_slot slot);
void zdb_table_remove(struct zdb_table *t, struct zdb_slot *slot);
void zdb_table_done(struct zdb_table *t); /* empty again */
