/* SPDX-License-Identifier: Apache-2.0 — zdb_compact_copy.c: the new files of a pair.
 *
 * dN.compact gets the records that stay, in their order, with `previous` counted anew; payloads are
 * compared with their checksums on the way: a wrong one is copied as it is, reported, and goes on
 * answering CORRUPT. In `user` mode iN.compact gets their entries: offset, `previous`, the parents
 * that are in this file, and the flag. The index file's field `created` counts how often it was
 * rewritten, which makes cursors of before wrong (zdb_read.c).
 * In `seq` mode positions are ids: the index file stays. */
#include "storage/zdb/zdb_compact.h"

#include "base/file.h"

#include <errno.h>

#define OUT_BYTES ((size_t)1 << 20)

/* A file written from its start. */
struct out {
    struct zdb_namespace *ns;
    int fd;
    uint64_t at; /* of the first byte in `waiting` */
    struct buf waiting;
};

static void out_done(struct out *o) { buf_done(&o->waiting); }

static int out_flush(struct out *o) {
    struct iovec iov = {o->waiting.p, o->waiting.n};
    if (o->waiting.n == 0) return 0;
    int r = o->ns->io->write(o->ns->io, o->fd, &iov, 1, o->at);
    o->at += o->waiting.n;
    buf_clear(&o->waiting);
    return r;
}

static int out_put(struct out *o, const void *bytes, size_t n) {
    int r = o->waiting.n + n > OUT_BYTES ? out_flush(o) : 0;
    return r == 0 ? buf_append(&o->waiting, bytes, n) : r;
}

static uint32_t out_end(const struct out *o) { return (uint32_t)(o->at + o->waiting.n); }

/* ---- records ---- */

static int copy_payload(struct zdb_compaction *c, struct zdb_window *from, const struct zdb_keep *k,
                        struct out *to, uint32_t *out_crc) {
    struct str in;
    int r = zdb_window_get(from, k->record, 1, &in);
    if (r < 0 || in.n < 1) return r < 0 ? r : -EBADMSG;
    uint32_t done = ZDB_RECORD_BYTES + (uint8_t)in.p[0];
    for (*out_crc = 0; done < k->bytes; done += (uint32_t)in.n) {
        size_t want = k->bytes - done;
        if (want > ZDB_WINDOW_BYTES) want = ZDB_WINDOW_BYTES;
        r = zdb_window_get(from, (uint64_t)k->record + done, want, &in);
        if (r == 0 && in.n != want) r = -EBADMSG;
        if (r == 0) r = out_put(to, in.p, in.n);
        if (r < 0) return r;
        *out_crc = zdb_crc(*out_crc, in.p, in.n);
    }
    (void)c;
    return 0;
}

static int copy_record(struct zdb_compaction *c, struct zdb_window *from, struct zdb_keep *k,
                       struct out *to) {
    uint8_t head[ZDB_RECORD_BYTES + ZDB_KEY_BYTES_MAX];
    char text[ZDB_KEY_TEXT_BYTES];
    struct zdb_record record;
    struct str in;
    uint32_t crc = 0;
    size_t want = k->bytes < sizeof head ? k->bytes : sizeof head;
    int r = zdb_window_get(from, k->record, want, &in);
    if (r == 0) r = zdb_record_decode(in, &record);
    if (r < 0) return r;
    size_t n = ZDB_RECORD_BYTES + (size_t)record.key_bytes;
    if (n > in.n || n + record.payload_bytes != k->bytes) return -EBADMSG;
    memcpy(head, in.p, n);
    record.previous = c->last_record;
    zdb_record_encode(&record, head);
    k->new_record = out_end(to);
    r = out_put(to, head, n);
    if (r == 0) r = copy_payload(c, from, k, to, &crc);
    if (r < 0) return r;
    if (crc != record.crc)
        zdb_report(c->ns, "data file %u: the payload of key %s does not have its checksum",
                   c->file_id,
                   zdb_key_text(str_make((char *)head + ZDB_RECORD_BYTES, record.key_bytes), text));
    c->last_record = k->new_record;
    return 0;
}

static int copy_header(int from, struct out *to, size_t n, bool counts) {
    char bytes[ZDB_INDEX_HEADER_BYTES];
    uint64_t times;
    if (file_pread_full(from, bytes, n, 0) != (ssize_t)n) return -EBADMSG;
    if (counts) { /* `created`: how often it was rewritten */
        memcpy(&times, bytes + ZDB_CREATED_AT, sizeof times);
        times++;
        memcpy(bytes + ZDB_CREATED_AT, &times, sizeof times);
    }
    return out_put(to, bytes, n);
}

/* `previous` of the first record (entry) of the file. */
static int read_previous(int fd, uint64_t at, uint32_t *out) {
    ssize_t n = file_pread_full(fd, out, sizeof *out, at);
    if (n < 0) return (int)n;
    return n == sizeof *out ? 0 : -EBADMSG;
}

static int copy_failed(struct zdb_compaction *c, int r, struct err *e) {
    if (r == -EBADMSG) return err_set(e, ERR_CORRUPT, "a record or an entry cannot be read");
    return err_sys(e, -r, "copy what stays of data file %u", c->file_id);
}

static int copy_data(struct zdb_compaction *c, struct err *e) {
    AUTO(out_done) struct out to = {c->ns, c->new_data_fd, 0, BUF(2 * OUT_BYTES)};
    AUTO(zdb_window_done) struct zdb_window from = {.fd = c->data->fd};
    uint64_t done = c->pace->progress.done_bytes;
    int r = copy_header(c->data->fd, &to, ZDB_DATA_HEADER_BYTES, false);
    if (r == 0) r = read_previous(c->data->fd, ZDB_DATA_HEADER_BYTES + 5, &c->last_record);
    for (size_t i = 0; r == 0 && i < c->keep_count; i++) {
        struct zdb_keep *k = &c->keeps[i];
        if ((r = copy_record(c, &from, k, &to)) < 0) break;
        c->pace->progress.done_bytes = done + k->record + k->bytes;
        if (zdb_pace_step(c->pace, 2 * (uint64_t)k->bytes, e) < 0) return -1;
    }
    if (r == 0) r = out_flush(&to);
    if (r < 0) return copy_failed(c, r, e);
    c->pace->progress.done_bytes = done;
    c->new_data_end = out_end(&to);
    return 0;
}

/* ---- entries ---- */

static void place_entry(struct zdb_compaction *c, const struct zdb_keep *k, struct zdb_entry *x) {
    x->offset = k->new_record;
    x->previous = c->last_entry;
    x->flags = k->flags & ZDB_KEEP_LIVE ? 0 : ZDB_DELETED;
    bool has_parent = x->parent_id != 0 || x->parent_offset != 0;
    if (!has_parent || (x->parent_id != c->file_id && !zdb_is_cut(c, c->file_id, k->entry_at)))
        return;
    const struct zdb_keep *parent = zdb_keep_of_entry(c, x->parent_offset);
    if (zdb_is_cut(c, c->file_id, k->entry_at) || !parent)
        x->parent_id = x->parent_offset = 0;
    else
        x->parent_offset = parent->new_entry;
}

static int copy_entry(struct zdb_compaction *c, struct zdb_window *from, struct zdb_keep *k,
                      struct out *to) {
    uint8_t bytes[ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX];
    struct zdb_entry entry;
    struct str in;
    size_t want = c->index_end - k->entry_at;
    if (want > sizeof bytes) want = sizeof bytes;
    int r = zdb_window_get(from, k->entry_at, want, &in);
    if (r == 0) r = zdb_entry_decode(in, &entry);
    if (r < 0) return r;
    size_t n = ZDB_ENTRY_BYTES + (size_t)entry.key_bytes;
    if (n > in.n || entry.offset != k->record) return -EBADMSG;
    memcpy(bytes, in.p, n);
    k->new_entry = out_end(to);
    place_entry(c, k, &entry);
    zdb_entry_encode(&entry, bytes);
    c->last_entry = k->new_entry;
    return out_put(to, bytes, n);
}

static int copy_index(struct zdb_compaction *c, struct err *e) {
    AUTO(out_done) struct out to = {c->ns, c->new_index_fd, 0, BUF(2 * OUT_BYTES)};
    AUTO(zdb_window_done) struct zdb_window from = {.fd = c->index_fd};
    int r = copy_header(c->index_fd, &to, ZDB_INDEX_HEADER_BYTES, true);
    c->last_entry = 0;
    if (r == 0 && c->index_end > ZDB_INDEX_HEADER_BYTES)
        r = read_previous(c->index_fd, ZDB_INDEX_HEADER_BYTES + 9, &c->last_entry);
    for (size_t i = 0; r == 0 && i < c->keep_count; i++) {
        struct zdb_keep *k = &c->keeps[i];
        if (k->flags & ZDB_KEEP_TOMBSTONE) continue;
        if ((r = copy_entry(c, &from, k, &to)) < 0) break;
        if (zdb_pace_step(c->pace, 2 * (uint64_t)ZDB_ENTRY_BYTES, e) < 0) return -1;
    }
    if (r == 0) r = out_flush(&to);
    if (r < 0) return copy_failed(c, r, e);
    c->new_index_end = out_end(&to);
    return 0;
}

/* ---- the files ---- */

static void compact_name(char kind, uint32_t file_id, char out[ZDB_FILE_NAME_BYTES]) {
    (void)snprintf(out, ZDB_FILE_NAME_BYTES, "%c%u.compact", kind, file_id);
}

void zdb_compact_unlink(struct zdb_namespace *ns, uint32_t file_id) {
    char name[ZDB_FILE_NAME_BYTES];
    compact_name('d', file_id, name);
    (void)!ns->io->unlink(ns->io, ns->data_dir, name);
    compact_name('i', file_id, name);
    (void)!ns->io->unlink(ns->io, ns->index_dir, name);
}

static int create(struct zdb_compaction *c, int dir, char kind, int *out_fd, struct err *e) {
    char name[ZDB_FILE_NAME_BYTES];
    compact_name(kind, c->file_id, name);
    *out_fd = c->ns->io->create(c->ns->io, dir, name);
    return *out_fd < 0 ? err_sys(e, -*out_fd, "make '%s'", name) : 0;
}

int zdb_compact_copy(struct zdb_compaction *c, struct err *e) {
    struct zdb_io *io = c->ns->io;
    if (create(c, c->ns->data_dir, 'd', &c->new_data_fd, e) < 0 || copy_data(c, e) < 0) return -1;
    int r = io->sync(io, c->new_data_fd);
    if (r == 0) r = io->sync_dir(io, c->ns->data_dir);
    if (r < 0) return err_sys(e, -r, "sync the new data file %u", c->file_id);
    if (!c->is_user) return 0;
    if (create(c, c->ns->index_dir, 'i', &c->new_index_fd, e) < 0 || copy_index(c, e) < 0)
        return -1;
    r = io->sync(io, c->new_index_fd);
    if (r == 0) r = io->sync_dir(io, c->ns->index_dir);
    return r < 0 ? err_sys(e, -r, "sync the new index file %u", c->file_id) : 0;
}

static int mark(struct zdb_compaction *c, const struct zdb_keep *k) {
    uint8_t bytes[ZDB_ENTRY_BYTES];
    struct zdb_entry entry;
    struct iovec iov = {bytes, sizeof bytes};
    ssize_t n = file_pread_full(c->new_index_fd, bytes, sizeof bytes, k->new_entry);
    if (n < 0) return (int)n;
    if (zdb_entry_decode(str_make((char *)bytes, (size_t)n), &entry) < 0) return -EBADMSG;
    entry.flags |= ZDB_DELETED;
    zdb_entry_encode(&entry, bytes);
    return c->ns->io->write(c->ns->io, c->new_index_fd, &iov, 1, k->new_entry);
}

int zdb_compact_mark(struct zdb_compaction *c, struct err *e) {
    const struct zdb_watch *watch = &c->ns->watch;
    int r = 0;
    for (size_t i = 0; r == 0 && i < watch->count; i++) {
        const struct zdb_keep *k = zdb_keep_of_record(c, watch->events[i].record);
        if (k) r = mark(c, k);
    }
    if (r == 0 && watch->count > 0) r = c->ns->io->sync(c->ns->io, c->new_index_fd);
    return r < 0 ? copy_failed(c, r, e) : 0;
}
