/* SPDX-License-Identifier: Apache-2.0 — idmap.c: binary search over sorted ids. */
#include "cri/idmap.h"

#include <assert.h>

#define IDMAP_FIRST 16

/* Index of the first entry that is not before id. */
static size_t lower_bound(const struct idmap *m, struct str id) {
    size_t from = 0;
    size_t to = m->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (str_cmp(str_of(m->entries[middle].id), id) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

void idmap_add(struct idmap *m, const char *id, void *thing) {
    size_t at = lower_bound(m, str_of(id));
    assert(at == m->count || strcmp(m->entries[at].id, id) != 0);
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : IDMAP_FIRST;
        m->entries = xrealloc(m->entries, m->capacity * sizeof *m->entries);
    }
    memmove(m->entries + at + 1, m->entries + at, (m->count - at) * sizeof *m->entries);
    m->entries[at] = (struct idmap_entry){id, thing};
    m->count++;
}

void idmap_remove(struct idmap *m, const char *id) {
    size_t at = lower_bound(m, str_of(id));
    if (at == m->count || strcmp(m->entries[at].id, id) != 0) return;
    m->count--;
    memmove(m->entries + at, m->entries + at + 1, (m->count - at) * sizeof *m->entries);
}

void *idmap_find(const struct idmap *m, struct str id) {
    size_t at = lower_bound(m, id);
    if (at == m->count || id.n < IDMAP_PREFIX_MIN) return NULL;
    struct str found = str_of(m->entries[at].id);
    if (str_eq(found, id)) return m->entries[at].thing;
    if (!str_starts(found, id)) return NULL;
    bool ambiguous = at + 1 < m->count && str_starts(str_of(m->entries[at + 1].id), id);
    return ambiguous ? NULL : m->entries[at].thing;
}

void idmap_done(struct idmap *m) {
    free(m->entries);
    *m = (struct idmap){0};
}
