/* SPDX-License-Identifier: Apache-2.0 — zdb_item.c: index entries by place and by key. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>
#include <stdarg.h>

void zdb_report(struct zdb_namespace *ns, const char *fmt, ...) {
    char text[ERR_MSG_BYTES_MAX];
    va_list args;
    if (!ns->options.report) return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ns->options.report(ns->options.user, text);
}

const char *zdb_key_text(struct str key, char *out) {
    bool is_plain = key.n > 0;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] > '~' || key.p[i] == '\'') is_plain = false;
    size_t shown = key.n < 40 ? key.n : 40;
    const char *cut = shown < key.n ? "..." : "";
    if (is_plain) {
        (void)snprintf(out, ZDB_KEY_TEXT_BYTES, "'%.*s%s'", (int)shown, key.p, cut);
        return out;
    }
    size_t n = (size_t)snprintf(out, ZDB_KEY_TEXT_BYTES, "0x");
    for (size_t i = 0; i < shown; i++)
        n += (size_t)snprintf(out + n, ZDB_KEY_TEXT_BYTES - n, "%02x", (uint8_t)key.p[i]);
    (void)snprintf(out + n, ZDB_KEY_TEXT_BYTES - n, "%s", cut);
    return out;
}

/* From the file or, at the end of the last one, from memory. into: space, filled. */
static ssize_t read_entry(struct zdb_namespace *ns, uint32_t file_id, uint32_t offset,
                          struct str into) {
    char *out = (char *)(uintptr_t)into.p;
    bool is_last = file_id + 1 == ns->pair_count && ns->tail.n > 0;
    if (!is_last || offset < zdb_tail_start(ns)) {
        if (is_last && offset + into.n > zdb_tail_start(ns)) into.n = zdb_tail_start(ns) - offset;
        return file_pread_full(ns->pairs[file_id].index_fd, out, into.n, offset);
    }
    memcpy(out, ns->tail.p + (offset - zdb_tail_start(ns)), into.n);
    return (ssize_t)into.n;
}

/* key_bytes: more of the key is not read; an entry with a longer one is -EBADMSG. */
static int item_at(struct zdb_namespace *ns, uint32_t file_id, uint32_t offset, size_t key_bytes,
                   struct zdb_item *out) {
    char bytes[ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX] = {0};
    if (file_id >= ns->pair_count) return -EINVAL;
    const struct zdb_pair *pair = &ns->pairs[file_id];
    if (offset < ZDB_INDEX_HEADER_BYTES || offset >= pair->index_end) return -EINVAL;
    size_t want = pair->index_end - offset;
    if (want > ZDB_ENTRY_BYTES + key_bytes) want = ZDB_ENTRY_BYTES + key_bytes;
    ssize_t n = read_entry(ns, file_id, offset, str_make(bytes, want));
    if (n < 0) return (int)n;
    int r = zdb_entry_decode(str_make(bytes, (size_t)n), &out->entry);
    if (r < 0) return -EBADMSG;
    if (ZDB_ENTRY_BYTES + (size_t)out->entry.key_bytes > (size_t)n) return -EBADMSG;
    if (ns->mode == ZDB_SEQ && out->entry.key_bytes != ZDB_ID_BYTES) return -EBADMSG;
    memcpy(out->key, bytes + ZDB_ENTRY_BYTES, out->entry.key_bytes);
    const struct zdb_patch *patch = zdb_patch_get(ns, file_id, offset);
    if (patch) out->entry = patch->entry;
    out->file_id = file_id;
    out->offset = offset;
    return 0;
}

int zdb_item_at(struct zdb_namespace *ns, uint32_t file_id, uint32_t offset, struct zdb_item *out) {
    size_t most = ns->mode == ZDB_SEQ ? ZDB_ID_BYTES : ZDB_KEY_BYTES_MAX;
    return item_at(ns, file_id, offset, most, out);
}

uint32_t zdb_key_hash(const struct zdb_namespace *ns, struct str key) {
    uint64_t h = ns->hash_seed ^ key.n;
    while (key.n > 0) {
        uint64_t word = 0;
        size_t n = key.n < sizeof word ? key.n : sizeof word;
        memcpy(&word, key.p, n);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
        key = str_sub(key, n, key.n);
    }
    h *= ns->hash_seed | 1;
    return (uint32_t)(h >> 32);
}

/* -ENOENT, or the slot's item. */
static int find_slot(struct zdb_namespace *ns, struct str key, struct zdb_item *out,
                     struct zdb_slot **out_slot) {
    struct zdb_slot *s = zdb_table_first(&ns->keys, zdb_key_hash(ns, key));
    for (; s; s = zdb_table_next(&ns->keys, s)) {
        int r = item_at(ns, s->a, s->b, key.n, out);
        if (r == -EBADMSG || r == -EINVAL) continue; /* another key's: recovery reads all of them */
        if (r < 0) return r;
        if (str_eq(zdb_item_key(out), key)) {
            *out_slot = s;
            return 0;
        }
    }
    return -ENOENT;
}

struct zdb_slot *zdb_key_slot(struct zdb_namespace *ns, struct str key, uint32_t *out_hash) {
    struct zdb_item item;
    struct zdb_slot *slot = NULL;
    *out_hash = zdb_key_hash(ns, key);
    return find_slot(ns, key, &item, &slot) == 0 ? slot : NULL;
}

void zdb_key_move(struct zdb_namespace *ns, struct str key, uint32_t file_id, uint32_t from,
                  uint32_t to) {
    struct zdb_slot *s = zdb_table_first(&ns->keys, zdb_key_hash(ns, key));
    while (s && (s->a != file_id || s->b != from)) s = zdb_table_next(&ns->keys, s);
    if (s) s->b = to;
}

uint32_t zdb_cursor_crc(const struct zdb_namespace *ns, const struct zdb_item *i) {
    return i->entry.crc ^ ns->pairs[i->file_id].rewrites * 0x9e3779b1u;
}

static int find_id(struct zdb_namespace *ns, struct str key, struct zdb_item *out) {
    uint64_t id;
    if (zdb_id_decode(key, &id) < 0) return -ENOENT;
    uint32_t low = 0;
    uint32_t high = ns->pair_count; /* the last file whose first id is not above */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (ns->pairs[middle].first_id <= id)
            low = middle;
        else
            high = middle;
    }
    uint64_t relative = id - ns->pairs[low].first_id;
    if (relative > UINT32_MAX / ZDB_SEQ_ENTRY_BYTES) return -ENOENT;
    uint64_t offset = ZDB_INDEX_HEADER_BYTES + relative * ZDB_SEQ_ENTRY_BYTES;
    if (offset >= ns->pairs[low].index_end) return -ENOENT;
    int r = zdb_item_at(ns, low, (uint32_t)offset, out);
    if (r < 0) return r;
    return str_eq(zdb_item_key(out), key) ? 0 : -ENOENT; /* a superseded version has its place */
}

int zdb_item_find(struct zdb_namespace *ns, struct str key, struct zdb_item *out) {
    struct zdb_slot *slot;
    int r = ns->mode == ZDB_SEQ ? find_id(ns, key, out) : find_slot(ns, key, out, &slot);
    if (r < 0) return r;
    return out->entry.flags & ZDB_DELETED ? -ENOENT : 0;
}

bool zdb_item_has_record(struct zdb_namespace *ns, const struct zdb_item *i) {
    char bytes[ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX];
    struct zdb_record r;
    uint32_t data_id = zdb_data_id(ns, i);
    size_t n = ZDB_RECORD_BYTES + (size_t)i->entry.key_bytes;
    if (data_id >= ns->pair_count) return false;
    const struct zdb_pair *pair = &ns->pairs[data_id];
    if (!pair->data) return false;
    if ((uint64_t)i->entry.offset + n + i->entry.payload_bytes > pair->data_end) return false;
    if (zdb_data_read(ns, data_id, i->entry.offset, str_make(bytes, n)) != (ssize_t)n) return false;
    if (zdb_record_decode(str_make(bytes, n), &r) < 0) return false;
    return r.key_bytes == i->entry.key_bytes && r.payload_bytes == i->entry.payload_bytes &&
           r.crc == i->entry.crc && !(r.flags & ZDB_DELETED) &&
           memcmp(bytes + ZDB_RECORD_BYTES, i->key, i->entry.key_bytes) == 0;
}

static uint64_t record_bytes(const struct zdb_item *i) {
    return (uint64_t)ZDB_RECORD_BYTES + i->entry.key_bytes + i->entry.payload_bytes;
}

void zdb_live_add(struct zdb_namespace *ns, const struct zdb_item *i) {
    uint32_t data_id = zdb_data_id(ns, i);
    ns->entries++;
    ns->live_bytes += i->entry.payload_bytes;
    if (data_id < ns->pair_count) ns->pairs[data_id].live_bytes += record_bytes(i);
}

/* A key that goes takes its versions along; one that gets another value pushes the oldest out, when
 * their number is limited. Where those lie would take reading to know; the value that was there
 * stands for them, in the file of the one before. */
void zdb_live_remove(struct zdb_namespace *ns, const struct zdb_item *i, bool is_deletion) {
    uint32_t data_id = zdb_data_id(ns, i);
    uint32_t parent_id = i->entry.parent_id;
    bool has_parent = parent_id != 0 || i->entry.parent_offset != 0;
    ns->entries--;
    ns->live_bytes -= i->entry.payload_bytes;
    if (data_id < ns->pair_count) ns->pairs[data_id].live_bytes -= record_bytes(i);
    if (!has_parent || parent_id >= ns->pair_count) return;
    if (is_deletion || ns->lasting.versions_max != ZDB_KEEP_ALL)
        ns->pairs[parent_id].doubt_bytes += record_bytes(i);
    if (!is_deletion) return;
    ns->chain_deletions++;
    if (parent_id > ns->chain_deletion_id) ns->chain_deletion_id = parent_id;
}

uint64_t zdb_dead_bytes(const struct zdb_namespace *ns, uint32_t file_id) {
    const struct zdb_pair *pair = &ns->pairs[file_id];
    uint64_t kept = pair->kept_bytes;
    /* A version of a deleted key may be among those that were kept. */
    bool is_doubtful =
        kept > 0 && file_id <= ns->chain_deletion_id && pair->look != ns->chain_deletions;
    kept -= pair->doubt_bytes < kept ? pair->doubt_bytes : kept;
    uint64_t needed = ZDB_DATA_HEADER_BYTES + pair->live_bytes + kept + pair->deletion_bytes;
    uint64_t dead = pair->data_end > needed ? pair->data_end - needed : 0;
    return dead > 0 || !is_doubtful ? dead : 1;
}

uint64_t zdb_reclaimable(const struct zdb_namespace *ns, uint32_t file_id, bool *is_clean_below) {
    uint64_t dead = zdb_dead_bytes(ns, file_id);
    uint64_t deletions = *is_clean_below ? ns->pairs[file_id].deletion_bytes : 0;
    *is_clean_below &= dead == 0;
    return dead + deletions;
}

void zdb_forget_kept(struct zdb_pair *pair) {
    pair->kept_bytes = pair->deletion_bytes = pair->doubt_bytes = 0;
}

struct zdb_data_file *zdb_data_file_new(int *fd) {
    struct zdb_data_file *f = xnew(struct zdb_data_file);
    f->fd = steal_fd(fd);
    atomic_init(&f->refs, 1);
    return f;
}

struct zdb_data_file *zdb_data_file_hold(struct zdb_data_file *f) {
    (void)atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void zdb_data_file_drop(struct zdb_data_file *f) {
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1) return;
    (void)close(f->fd);
    free(f);
}

void zdb_value_of(const struct zdb_namespace *ns, const struct zdb_item *i, struct zdb_value *out) {
    uint32_t data_id = zdb_data_id(ns, i);
    struct zdb_data_file *file = data_id < ns->pair_count ? ns->pairs[data_id].data : NULL;
    *out = (struct zdb_value){.file = file ? zdb_data_file_hold(file) : NULL,
                              .data_id = data_id,
                              .offset = i->entry.offset + ZDB_RECORD_BYTES + i->entry.key_bytes,
                              .payload_bytes = i->entry.payload_bytes,
                              .crc = i->entry.crc,
                              .cursor_crc = zdb_cursor_crc(ns, i),
                              .time_s = i->entry.time_s,
                              .index_id = i->file_id,
                              .index_offset = i->offset,
                              .parent_id = i->entry.parent_id,
                              .parent_offset = i->entry.parent_offset};
}

void zdb_value_done(struct zdb_value *v) {
    zdb_data_file_drop(STEAL(v->file));
    free(STEAL(v->copy));
}
