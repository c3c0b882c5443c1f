/* SPDX-License-Identifier: Apache-2.0 — zdb_out.c: small writes wait in memory and go to the files
 * together, since a call for each costs more than all the rest of a small write.
 *
 * Nobody can tell the difference:
 * - Nothing is acknowledged before it is in the files: zdb_commit() writes, and a server calls it
 *   once for all that it executed in a turn.
 * - Who reads a record that waits makes it be written first (zdb_read.c), or takes it from here.
 * - Its space is set aside before it is accepted, so the disk's end is met by the put that does not
 *   fit, as without. Where that is impossible, and for large records, everything is written at
 * once.
 * - The order is that of single writes: records, then (INTERVAL, NEVER) their entries, then what
 *   NEVER changes in place. With ALWAYS entries wait for the sync, as ever.
 * What cannot be written is repeated once, then undone: its tickets fail, exactly they. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define DATA_STEP_BYTES  ((uint32_t)1 << 20)
#define INDEX_STEP_BYTES ((uint32_t)128 << 10)
#define SHARE            4 /* a record of more than this part of the buffer does not wait */

struct span {
    uint32_t at;    /* end of the file */
    uint32_t bytes; /* that go there */
    uint32_t step;  /* more than that at once */
};

static bool set_aside(struct zdb_namespace *ns, int fd, struct span s, uint32_t *ahead) {
    uint64_t end = (uint64_t)s.at + s.bytes;
    if (end <= *ahead) return true;
    if (end + s.step > UINT32_MAX) return false;
    int r = ns->plain_io->allocate(ns->plain_io, fd, s.at, s.bytes + (uint64_t)s.step);
    if (r == -EOPNOTSUPP || r == -ENOSYS) ns->out.no_ahead = true;
    if (r < 0) return false;
    *ahead = (uint32_t)end + s.step;
    return true;
}

static bool has_space(struct zdb_namespace *ns, size_t bytes) {
    struct zdb_out *o = &ns->out;
    const struct zdb_pair *pair = zdb_current(ns);
    if (o->no_ahead) return false;
    struct span data = {pair->data_end, (uint32_t)bytes, DATA_STEP_BYTES};
    struct span index = {pair->index_end, ZDB_ENTRY_BYTES + ZDB_KEY_BYTES_MAX, INDEX_STEP_BYTES};
    if (!set_aside(ns, pair->data->fd, data, &o->data_ahead)) return false;
    return ns->options.durability == ZDB_ALWAYS ||
           set_aside(ns, pair->index_fd, index, &o->index_ahead);
}

bool zdb_out_take(struct zdb_namespace *ns, struct str head, struct str payload, int *out_error) {
    struct zdb_out *o = &ns->out;
    size_t n = head.n + payload.n;
    bool may_wait = n <= ns->options.buffer_bytes / SHARE && has_space(ns, n);
    *out_error = 0;
    if (!may_wait || o->bytes.n + n > ns->options.buffer_bytes) *out_error = zdb_out_write(ns);
    if (!may_wait || *out_error < 0) return false;
    if (o->bytes.n == 0) {
        o->bytes.bytes_max = ns->options.buffer_bytes;
        o->at = zdb_current(ns)->data_end;
        o->above = ns->ticket;
    }
    if (buf_str(&o->bytes, head) < 0 || buf_str(&o->bytes, payload) < 0) return false;
    if (ns->options.durability != ZDB_ALWAYS) atomic_store(&o->waits, true);
    return true;
}

bool zdb_out_drop(struct zdb_namespace *ns) {
    struct zdb_out *o = &ns->out;
    o->data_ahead = o->bytes.n > 0 ? o->data_ahead : 0; /* it will be cut off */
    if (o->bytes.n == 0) return false;
    o->bytes.n = zdb_current(ns)->data_end - o->at;
    return true;
}

int zdb_out_write(struct zdb_namespace *ns) {
    struct zdb_out *o = &ns->out;
    if (o->bytes.n == 0) return 0;
    if (o->is_lost) return -EIO;
    struct iovec iov = {o->bytes.p, o->bytes.n};
    int r = ns->io->write(ns->io, zdb_current(ns)->data->fd, &iov, 1, o->at);
    if (r < 0) return r;
    if (ns->options.durability != ZDB_ALWAYS) {
        r = zdb_tail_write(ns, ns->tail.n);
        if (r < 0) return r; /* the records are written once more */
        /* What fails here is tried again with the next sync. */
        if (ns->options.durability == ZDB_NEVER && ns->patch_count > 0)
            (void)!zdb_patches_apply(ns, UINT64_MAX);
    }
    buf_clear(&o->bytes);
    atomic_store(&o->waits, false);
    return 0;
}

static void note_loss(struct zdb_out *o, uint64_t to, int error) {
    size_t n = atomic_load(&o->loss_count);
    if (n == ZDB_FAILURES_MAX) {
        o->losses[1].above = o->losses[0].above; /* reports good ones as failed: safe */
        memmove(o->losses, o->losses + 1, --n * sizeof *o->losses);
    }
    o->losses[n++] = (struct zdb_failure){o->above, to};
    atomic_store(&o->loss_count, n);
    o->loss_error = error;
}

uint32_t zdb_out_give_up(struct zdb_namespace *ns) {
    struct zdb_out *o = &ns->out;
    if (ns->options.durability == ZDB_ALWAYS) return ns->durable.data_end;
    if (o->bytes.n == 0) return zdb_current(ns)->data_end;
    int r = zdb_out_write(ns);
    if (r == 0) return zdb_current(ns)->data_end;
    if (!o->is_lost) note_loss(o, ns->ticket, r);
    o->is_lost = true;
    return o->at;
}

bool zdb_out_has(const struct zdb_namespace *ns, uint32_t data_id, uint64_t end) {
    return ns->out.bytes.n > 0 && data_id + 1 == ns->pair_count && end > ns->out.at;
}

ssize_t zdb_data_read(const struct zdb_namespace *ns, uint32_t data_id, uint32_t offset,
                      struct str into) {
    const struct zdb_out *o = &ns->out;
    char *out = (char *)(uintptr_t)into.p;
    if (!zdb_out_has(ns, data_id, (uint64_t)offset + into.n))
        return file_pread_full(ns->pairs[data_id].data->fd, out, into.n, offset);
    if (offset < o->at || offset - o->at > o->bytes.n) return 0; /* no record is in both */
    size_t n = o->bytes.n - (offset - o->at);
    if (n > into.n) n = into.n;
    memcpy(out, o->bytes.p + (offset - o->at), n);
    return (ssize_t)n;
}

void zdb_out_trim(struct zdb_namespace *ns) {
    struct zdb_out *o = &ns->out;
    const struct zdb_pair *pair = zdb_current(ns);
    if (o->bytes.n > 0) return;
    /* Cutting to the size that it has frees what lies behind. */
    if (o->data_ahead > 0) (void)!ns->io->truncate(ns->io, pair->data->fd, pair->data_end);
    if (o->index_ahead > 0) (void)!ns->io->truncate(ns->io, pair->index_fd, zdb_tail_start(ns));
    o->data_ahead = o->index_ahead = 0;
}

int zdb_write_out(struct zdb_namespace *ns, struct err *e) {
    (void)pthread_rwlock_wrlock(&ns->lock);
    int r = zdb_out_write(ns);
    (void)pthread_rwlock_unlock(&ns->lock);
    return r < 0 ? err_sys(e, -r, "write to namespace '%.*s'", STR_ARG(ns->descriptor.name)) : 0;
}

int zdb_out_check(struct zdb_namespace *ns, uint64_t ticket, struct err *e) {
    bool is_lost = false;
    if (atomic_load(&ns->out.loss_count) == 0) return 0;
    (void)pthread_rwlock_rdlock(&ns->lock);
    for (size_t i = 0; i < atomic_load(&ns->out.loss_count); i++)
        is_lost |= ticket > ns->out.losses[i].above && ticket <= ns->out.losses[i].to;
    int error = ns->out.loss_error;
    (void)pthread_rwlock_unlock(&ns->lock);
    if (!is_lost) return 0;
    return err_sys(e, -error, "write to namespace '%.*s'", STR_ARG(ns->descriptor.name));
}
