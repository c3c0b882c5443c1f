/* SPDX-License-Identifier: Apache-2.0 — zdb_patch.c: changes in place that wait for a sync. */
#include "storage/zdb/zdb_internal.h"

#include <assert.h>

static uint32_t place_hash(uint32_t file_id, uint32_t offset) {
    uint64_t h = ((uint64_t)file_id << 32 | offset) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static struct zdb_patch *find(const struct zdb_namespace *ns, uint32_t file_id, uint32_t offset) {
    struct zdb_slot *s = zdb_table_first(&ns->patched, place_hash(file_id, offset));
    for (; s; s = zdb_table_next(&ns->patched, s)) {
        struct zdb_patch *p = &ns->patches[s->a];
        if (p->file_id == file_id && p->offset == offset) return p;
    }
    return NULL;
}

const struct zdb_patch *zdb_patch_get(const struct zdb_namespace *ns, uint32_t file_id,
                                      uint32_t offset) {
    return ns->patch_count > 0 ? find(ns, file_id, offset) : NULL;
}

int zdb_patch_write(struct zdb_namespace *ns, const struct zdb_patch *p) {
    uint8_t bytes[ZDB_ENTRY_BYTES];
    zdb_entry_encode(&p->entry, bytes);
    struct iovec iov = {bytes, sizeof bytes};
    ns->pairs[p->file_id].is_dirty = true;
    return ns->io->write(ns->io, ns->pairs[p->file_id].index_fd, &iov, 1, p->offset);
}

static void keep(struct zdb_namespace *ns, const struct zdb_patch *patch) {
    assert(ns->patch_count < ZDB_PATCHES_MAX);
    if (ns->patch_count == ns->patch_capacity) {
        ns->patch_capacity = ns->patch_capacity ? ns->patch_capacity * 2 : 64;
        ns->patches = xrealloc(ns->patches, ns->patch_capacity * sizeof *ns->patches);
    }
    zdb_table_add(&ns->patched, (struct zdb_slot){place_hash(patch->file_id, patch->offset),
                                                  (uint32_t)ns->patch_count, 0});
    ns->patches[ns->patch_count++] = *patch;
}

int zdb_patch_put(struct zdb_namespace *ns, const struct zdb_patch *patch) {
    /* What cannot be written now is tried again with the next sync. */
    bool is_now = ns->options.durability == ZDB_NEVER && ns->out.bytes.n == 0;
    if (is_now && zdb_patch_write(ns, patch) == 0) return 0;
    struct zdb_patch *there = find(ns, patch->file_id, patch->offset);
    if (!there) {
        keep(ns, patch);
        return 0;
    }
    *there = *patch; /* the later ticket: it waits for the later write, too */
    return 0;
}

int zdb_patches_apply(struct zdb_namespace *ns, uint64_t ticket) {
    for (size_t i = 0; i < ns->patch_count; i++) {
        const struct zdb_patch *p = &ns->patches[i];
        if (p->ticket > ticket) continue;
        int r = zdb_patch_write(ns, p);
        if (r < 0) return r;
    }
    size_t kept = 0;
    zdb_table_done(&ns->patched);
    for (size_t i = 0; i < ns->patch_count; i++) {
        if (ns->patches[i].ticket <= ticket) continue;
        struct zdb_patch *p = &ns->patches[kept];
        *p = ns->patches[i];
        zdb_table_add(&ns->patched,
                      (struct zdb_slot){place_hash(p->file_id, p->offset), (uint32_t)kept++, 0});
    }
    ns->patch_count = kept;
    return 0;
}

void zdb_patches_drop(struct zdb_namespace *ns) {
    zdb_table_done(&ns->patched);
    free(ns->patches);
    ns->patches = NULL;
    ns->patch_count = ns->patch_capacity = 0;
}
