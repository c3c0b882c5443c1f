/* SPDX-License-Identifier: Apache-2.0 — zdb_files.c: the files dN and iN.
 *
 * iN exists only when dN does: the data file is made first, and both are durable, names and
 * headers, before anything is written to them. An index file that ends within its header is what a
 * crash left of that, and is taken away; so is a data file without an index file, when its number
 * comes up again. */
#include "storage/zdb/zdb_internal.h"

#include "base/file.h"

#include <errno.h>

#define REWRITE_BYTES ((size_t)256 << 10)

void zdb_file_name(char kind, uint32_t id, char out[ZDB_FILE_NAME_BYTES]) {
    (void)snprintf(out, ZDB_FILE_NAME_BYTES, "%c%u", kind, id);
}

static void add_pair(struct zdb_namespace *ns, struct zdb_pair *pair) {
    ns->pairs = xrealloc(ns->pairs, (ns->pair_count + 1) * sizeof *ns->pairs);
    ns->pairs[ns->pair_count++] = *pair;
    *pair = ZDB_PAIR_NONE;
}

void zdb_pair_close(struct zdb_pair *pair) {
    zdb_data_file_drop(STEAL(pair->data));
    if (pair->index_fd >= 0) (void)close(STEAL_FD(pair->index_fd));
}

void zdb_pair_shut_empty(struct zdb_pair *pair) {
    if (pair->data_end > ZDB_DATA_HEADER_BYTES) return;
    zdb_data_file_drop(STEAL(pair->data));
    if (pair->index_end > ZDB_INDEX_HEADER_BYTES || pair->index_fd < 0) return;
    (void)close(STEAL_FD(pair->index_fd));
}

static int make(struct zdb_namespace *ns, int dir, const char *name, struct str header) {
    AUTO_CLOSE int fd = ns->io->create(ns->io, dir, name);
    if (fd < 0) return fd;
    struct iovec iov = {(void *)(uintptr_t)header.p, header.n};
    int r = ns->io->write(ns->io, fd, &iov, 1, 0);
    if (r == 0) r = ns->io->sync(ns->io, fd);
    if (r == 0) r = ns->io->sync_dir(ns->io, dir);
    if (r < 0) {
        (void)!ns->io->unlink(ns->io, dir, name);
        return r;
    }
    return STEAL_FD(fd);
}

int zdb_pair_make(struct zdb_namespace *ns, uint32_t id, enum zdb_mode mode, struct zdb_pair *out,
                  struct err *e) {
    struct zdb_file_header h = {.file_id = id, .mode = mode};
    uint8_t bytes[ZDB_INDEX_HEADER_BYTES];
    char name[ZDB_FILE_NAME_BYTES];
    if (id >= ZDB_FILES_MAX)
        return err_set(e, ERR_LIMIT, "namespace '%.*s' has %u data files, which is the limit",
                       STR_ARG(ns->descriptor.name), id);
    zdb_file_name('d', id, name);
    zdb_data_header_encode(&h, bytes);
    AUTO_CLOSE int data =
        make(ns, ns->data_dir, name, str_make((char *)bytes, ZDB_DATA_HEADER_BYTES));
    if (data < 0) return err_sys(e, -data, "make data file '%s'", name);
    zdb_file_name('i', id, name);
    zdb_index_header_encode(&h, bytes);
    AUTO_CLOSE int index = make(ns, ns->index_dir, name, str_make((char *)bytes, sizeof bytes));
    if (index < 0) return err_sys(e, -index, "make index file '%s'", name);
    *out = (struct zdb_pair){.data = zdb_data_file_new(&data),
                             .index_fd = STEAL_FD(index),
                             .data_end = ZDB_DATA_HEADER_BYTES,
                             .index_end = ZDB_INDEX_HEADER_BYTES};
    return 0;
}

static int next_pair(struct zdb_namespace *ns, struct err *e) {
    AUTO(zdb_pair_close) struct zdb_pair pair = ZDB_PAIR_NONE;
    if (zdb_pair_make(ns, ns->pair_count, ns->mode, &pair, e) < 0) return -1;
    add_pair(ns, &pair);
    return 0;
}

int zdb_file_remove(struct zdb_namespace *ns, int dir, const char *name) {
    int r = ns->io->unlink(ns->io, dir, name);
    return r == 0 || r == -ENOENT ? ns->io->sync_dir(ns->io, dir) : r;
}

int zdb_file_put(struct zdb_namespace *ns, const char *name, struct str bytes, bool *out_undone) {
    char draft[ZDB_FILE_NAME_BYTES];
    struct zdb_io *io = ns->io;
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    (void)snprintf(draft, sizeof draft, "%s.tmp", name);
    AUTO_CLOSE int fd = io->create(io, ns->index_dir, draft);
    int r = fd < 0 ? fd : io->write(io, fd, &iov, 1, 0);
    if (r == 0) r = io->sync(io, fd);
    *out_undone = r < 0;
    if (r < 0) {
        (void)!io->unlink(io, ns->index_dir, draft);
        return r;
    }
    r = io->rename(io, ns->index_dir, draft, name);
    if (r == 0) r = io->sync_dir(io, ns->index_dir);
    if (r == 0) return 0;
    (void)!io->unlink(io, ns->index_dir, draft);
    *out_undone = zdb_file_remove(ns, ns->index_dir, name) == 0;
    return r;
}

/* The file has a good header: its size goes to *out. */
static int check_header(struct zdb_namespace *ns, int fd, char kind, struct zdb_pair *out,
                        struct err *e) {
    char bytes[ZDB_INDEX_HEADER_BYTES];
    struct zdb_file_header h;
    struct stat st;
    ssize_t n = file_pread_full(fd, bytes, sizeof bytes, 0);
    if (n < 0) return err_sys(e, (int)-n, "read the header");
    if (fstat(fd, &st) < 0) return err_sys(e, errno, "ask for the size");
    if (st.st_size > UINT32_MAX) return err_set(e, ERR_CORRUPT, "it is larger than 4 GiB");
    struct str in = str_make(bytes, (size_t)n);
    if (kind == 'd' && zdb_data_header_decode(in, &h, e) < 0) return -1;
    if (kind == 'i' && zdb_index_header_decode(in, &h, e) < 0) return -1;
    if (h.file_id != ns->pair_count)
        return err_set(e, ERR_CORRUPT, "its header says that it is number %u", h.file_id);
    if (kind == 'i' && h.file_id == 0) ns->mode = h.mode;
    if (kind == 'i' && h.mode != ns->mode)
        return err_set(e, ERR_CORRUPT, "its key mode is not that of file 0");
    *(kind == 'd' ? &out->data_end : &out->index_end) = (uint32_t)st.st_size;
    if (kind == 'i') out->rewrites = (uint32_t)h.created_s;
    return 0;
}

/* 1: opened, 0: there is no index file of the number. */
static int open_pair(struct zdb_namespace *ns, struct err *e) {
    AUTO(zdb_pair_close) struct zdb_pair pair = ZDB_PAIR_NONE;
    char name[ZDB_FILE_NAME_BYTES];
    struct stat st;
    zdb_file_name('i', ns->pair_count, name);
    AUTO_CLOSE int index = openat(ns->index_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (index < 0 && errno == ENOENT) return 0;
    if (index < 0 || fstat(index, &st) < 0) return err_sys(e, errno, "open index file '%s'", name);
    if (st.st_size < ZDB_INDEX_HEADER_BYTES) {
        zdb_report(ns, "index file '%s' ends within its header: removed", name);
        if (unlinkat(ns->index_dir, name, 0) < 0) return err_sys(e, errno, "remove '%s'", name);
        return 0;
    }
    if (check_header(ns, index, 'i', &pair, e) < 0) return err_in(e, "index file '%s'", name);
    zdb_file_name('d', ns->pair_count, name);
    AUTO_CLOSE int data = openat(ns->data_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (data < 0) return err_sys(e, errno, "open data file '%s'", name);
    if (check_header(ns, data, 'd', &pair, e) < 0) return err_in(e, "data file '%s'", name);
    pair.data = zdb_data_file_new(&data);
    pair.index_fd = STEAL_FD(index);
    add_pair(ns, &pair);
    if (ns->pair_count > 1) zdb_pair_shut_empty(&ns->pairs[ns->pair_count - 2]);
    return 1;
}

int zdb_files_open(struct zdb_namespace *ns, struct err *e) {
    int r = 1;
    while (r > 0 && ns->pair_count < ZDB_FILES_MAX) r = open_pair(ns, e);
    if (r < 0 && e->sys == EMFILE)
        return err_in(e, "raise the limit of open files, which each number takes two of");
    if (r < 0) return -1;
    return ns->pair_count > 0 ? 0 : next_pair(ns, e);
}

void zdb_files_close(struct zdb_namespace *ns) {
    for (uint32_t i = 0; i < ns->pair_count; i++) zdb_pair_close(&ns->pairs[i]);
    free(ns->pairs);
    ns->pairs = NULL;
    ns->pair_count = 0;
}

int zdb_tail_write(struct zdb_namespace *ns, size_t n) {
    struct iovec iov = {ns->tail.p, n};
    if (n == 0) return 0;
    int r = ns->io->write(ns->io, zdb_current(ns)->index_fd, &iov, 1, zdb_tail_start(ns));
    if (r < 0) return r;
    buf_consume(&ns->tail, n);
    zdb_current(ns)->is_dirty = true;
    return 0;
}

static int write_again(struct zdb_io *io, int fd) {
    AUTO_FREE char *piece = xmalloc(REWRITE_BYTES);
    for (uint64_t at = 0;;) {
        ssize_t n = file_pread_full(fd, piece, REWRITE_BYTES, at);
        if (n <= 0) return (int)n;
        struct iovec iov = {piece, (size_t)n};
        int r = io->write(io, fd, &iov, 1, at);
        if (r < 0) return r;
        at += (uint64_t)n;
    }
}

int zdb_index_sync(struct zdb_io *io, const struct zdb_pair *pair) {
    int r = pair->is_suspect ? write_again(io, pair->index_fd) : 0;
    return r < 0 ? r : io->sync(io, pair->index_fd);
}

int zdb_indexes_sync(struct zdb_namespace *ns) {
    for (uint32_t f = 0; f < ns->pair_count; f++) {
        struct zdb_pair *pair = &ns->pairs[f];
        if (!pair->is_dirty) continue;
        int r = zdb_index_sync(ns->io, pair);
        pair->is_dirty = pair->is_suspect = r < 0;
        if (r < 0) return r;
    }
    return 0;
}

/* Everything of the current pair is made durable, marks and changes in older index files included:
 * recovery looks for what the index lacks in the last data file only. */
static int end_pair(struct zdb_namespace *ns) {
    struct zdb_pair *old = zdb_current(ns);
    int r = zdb_out_write(ns);
    if (r < 0) return r;
    r = ns->io->sync(ns->io, old->data->fd);
    if (r < 0) {
        /* Its pages may be lost: with ALWAYS only what was durable before counts. */
        ns->is_broken = ns->options.durability == ZDB_ALWAYS;
        return r;
    }
    ns->durable.data_end = old->data_end;
    r = zdb_tail_write(ns, ns->tail.n);
    if (r == 0) r = zdb_indexes_sync(ns); /* before changes in place: a copy is in front of them */
    if (r == 0) r = zdb_patches_apply(ns, UINT64_MAX);
    if (r == 0) r = zdb_indexes_sync(ns);
    if (r == 0) ns->durable.index_end = old->index_end; /* it may stay the current one */
    for (uint32_t f = 0; f < ns->pair_count; f++) ns->is_broken |= ns->pairs[f].is_suspect;
    if (r == 0) zdb_out_trim(ns);
    return r;
}

int zdb_files_next(struct zdb_namespace *ns, struct err *e) {
    int r = end_pair(ns);
    if (r < 0)
        return err_sys(e, -r, "sync the files of number %u before the next", ns->pair_count - 1);
    const struct zdb_pair *old = zdb_current(ns);
    uint64_t first_id = old->first_id;
    if (ns->mode == ZDB_SEQ)
        first_id += (old->index_end - ZDB_INDEX_HEADER_BYTES) / ZDB_SEQ_ENTRY_BYTES;
    if (next_pair(ns, e) < 0) return -1; /* from here on `old` is stale */
    zdb_current(ns)->first_id = first_id;
    ns->durable = (struct zdb_durable){ZDB_DATA_HEADER_BYTES, ZDB_INDEX_HEADER_BYTES};
    return 0;
}
