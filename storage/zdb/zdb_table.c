/* SPDX-License-Identifier: Apache-2.0 — zdb_table.c: linear probing with deletion by moving back.
 */
#include "storage/zdb/zdb_table.h"

#include <assert.h>

#define EMPTY        UINT32_MAX
#define CAPACITY_MIN 64

static size_t home(const struct zdb_table *t, uint32_t hash) { return hash & (t->capacity - 1); }

static struct zdb_slot *probe(const struct zdb_table *t, size_t at, uint32_t hash) {
    for (;; at++) {
        struct zdb_slot *s = &t->slots[at & (t->capacity - 1)];
        if (s->a == EMPTY) return NULL;
        if (s->hash == hash) return s;
    }
}

struct zdb_slot *zdb_table_first(const struct zdb_table *t, uint32_t hash) {
    return t->capacity ? probe(t, home(t, hash), hash) : NULL;
}

struct zdb_slot *zdb_table_next(const struct zdb_table *t, const struct zdb_slot *slot) {
    return probe(t, (size_t)(slot - t->slots) + 1, slot->hash);
}

static void put(struct zdb_table *t, struct zdb_slot slot) {
    size_t at = home(t, slot.hash);
    while (t->slots[at].a != EMPTY) at = (at + 1) & (t->capacity - 1);
    t->slots[at] = slot;
}

static void grow(struct zdb_table *t) {
    struct zdb_table bigger = {.capacity = t->capacity ? t->capacity * 2 : CAPACITY_MIN,
                               .used = t->used};
    bigger.slots = xmalloc(bigger.capacity * sizeof *bigger.slots);
    for (size_t i = 0; i < bigger.capacity; i++) bigger.slots[i].a = EMPTY;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].a != EMPTY) put(&bigger, t->slots[i]);
    free(t->slots);
    *t = bigger;
}

void zdb_table_add(struct zdb_table *t, struct zdb_slot slot) {
    assert(slot.a != EMPTY);
    if ((t->used + 1) * 4 > t->capacity * 3) grow(t);
    put(t, slot);
    t->used++;
}

void zdb_table_remove(struct zdb_table *t, struct zdb_slot *slot) {
    size_t mask = t->capacity - 1;
    size_t hole = (size_t)(slot - t->slots);
    for (size_t at = (hole + 1) & mask; t->slots[at].a != EMPTY; at = (at + 1) & mask) {
        size_t wish = home(t, t->slots[at].hash);
        if (((at - wish) & mask) < ((at - hole) & mask)) continue; /* it may not move that far */
        t->slots[hole] = t->slots[at];
        hole = at;
    }
    t->slots[hole].a = EMPTY;
    t->used--;
}

void zdb_table_done(struct zdb_table *t) {
    free(t->slots);
    *t = (struct zdb_table){0};
}
