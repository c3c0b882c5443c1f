/* SPDX-License-Identifier: Apache-2.0 — zdb_shim.h: between engine and kernel: records every call
 * that changes files or folders, lets one fail, and makes the folders that a kill or a power cut
 * after any call leaves. Only tests include it.
 *
 * A file is what its inode is, under whatever name. A power cut keeps what was synced before it; of
 * the other writes each piece of 512 bytes is there or not, of the other names of a folder the
 * first few are (a journalling file system keeps their order). */
#pragma once

#include "storage/zdb/zdb_sample.h"

#define SHIM_CALLS_MAX 60000
#define SHIM_FILES_MAX 4096
#define SHIM_NAMES_MAX 512
#define SHIM_PIECE     512

enum shim_kind {
    SHIM_WRITE,
    SHIM_SYNC,
    SHIM_TRUNCATE,
    SHIM_CREATE,
    SHIM_RENAME,
    SHIM_UNLINK,
    SHIM_SYNC_DIR
};
struct shim_call {
    enum shim_kind kind;
    bool is_index; /* the folder */
    size_t file;   /* number of the inode; of the folder's calls only CREATE */
    char name[40], to[40];
    uint64_t offset;
    size_t n;
    char *bytes; /* owned */
};
struct shim {
    struct zdb_io io;
    struct shim_call *calls; /* owned */
    size_t count;
    ino_t inodes[SHIM_FILES_MAX];
    size_t file_count;
    size_t fail_at; /* this call fails, counted by `made`; 0: none */
    bool fails_on;  /* and all after it */
    int fail_with;
    size_t made;
};

static uint64_t shim_seed = 1;
static inline uint32_t shim_below(uint32_t n) {
    shim_seed ^= shim_seed << 13;
    shim_seed ^= shim_seed >> 7;
    shim_seed ^= shim_seed << 17;
    return (uint32_t)(shim_seed >> 33) % n;
}

static inline bool shim_fails(struct shim *s) {
    s->made++;
    return s->fail_at > 0 && (s->made == s->fail_at || (s->fails_on && s->made > s->fail_at));
}

static inline struct shim_call *shim_record(struct shim *s, enum shim_kind kind) {
    assert_true(s->count < SHIM_CALLS_MAX);
    struct shim_call *c = &s->calls[s->count++];
    *c = (struct shim_call){.kind = kind};
    return c;
}

static inline size_t shim_file(struct shim *s, int fd, bool is_new) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (size_t i = s->file_count; i-- > 0 && !is_new;)
        if (s->inodes[i] == st.st_ino) return i;
    assert_true(s->file_count < SHIM_FILES_MAX);
    s->inodes[s->file_count] = st.st_ino;
    return s->file_count++;
}

static inline bool shim_is_index(int dir) {
    char link[64];
    char path[256];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, path, sizeof path - 1);
    assert_true(n > 0);
    path[n] = 0;
    return strcmp(strrchr(path, '/'), "/index") == 0;
}

static inline int shim_write(struct zdb_io *io, int fd, struct iovec *iov, int count,
                             uint64_t offset) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    size_t n = 0;
    if (shim_fails(s)) { /* a part got there */
        struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
        (void)!zdb_io_real()->write(io, fd, &half, 1, offset);
        return -s->fail_with;
    }
    struct shim_call *c = shim_record(s, SHIM_WRITE);
    for (int i = 0; i < count; i++) n += iov[i].iov_len;
    c->file = shim_file(s, fd, false);
    c->offset = offset;
    c->n = n;
    c->bytes = xmalloc(n + 1);
    size_t at = 0;
    for (int i = 0; i < count; at += iov[i].iov_len, i++)
        memcpy(c->bytes + at, iov[i].iov_base, iov[i].iov_len);
    return zdb_io_real()->write(io, fd, iov, count, offset);
}

static inline int shim_sync(struct zdb_io *io, int fd) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    shim_record(s, SHIM_SYNC)->file = shim_file(s, fd, false);
    return 0;
}

static inline int shim_truncate(struct zdb_io *io, int fd, uint64_t bytes) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    struct shim_call *c = shim_record(s, SHIM_TRUNCATE);
    c->file = shim_file(s, fd, false);
    c->offset = bytes;
    return zdb_io_real()->truncate(io, fd, bytes);
}

static inline struct shim_call *shim_name(struct shim *s, enum shim_kind kind, int dir,
                                          const char *name) {
    struct shim_call *c = shim_record(s, kind);
    c->is_index = shim_is_index(dir);
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

static inline int shim_create(struct zdb_io *io, int dir, const char *name) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    int there = file_exists(dir, name);
    int fd = zdb_io_real()->create(io, dir, name);
    if (fd < 0) return fd;
    struct shim_call *c = shim_name(s, SHIM_CREATE, dir, name);
    c->file = shim_file(s, fd, there == 0);
    return fd;
}

static inline int shim_rename(struct zdb_io *io, int dir, const char *from, const char *to) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    struct shim_call *c = shim_name(s, SHIM_RENAME, dir, from);
    (void)snprintf(c->to, sizeof c->to, "%s", to);
    return zdb_io_real()->rename(io, dir, from, to);
}

static inline int shim_unlink(struct zdb_io *io, int dir, const char *name) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    (void)shim_name(s, SHIM_UNLINK, dir, name);
    return zdb_io_real()->unlink(io, dir, name);
}

static inline int shim_sync_dir(struct zdb_io *io, int dir) {
    struct shim *s = CONTAINER_OF(io, struct shim, io);
    if (shim_fails(s)) return -s->fail_with;
    (void)shim_name(s, SHIM_SYNC_DIR, dir, "");
    return 0;
}

/* Changes no byte: not recorded. */
static inline int shim_allocate(struct zdb_io *io, int fd, uint64_t offset, uint64_t bytes) {
    return zdb_io_real()->allocate(io, fd, offset, bytes);
}

static inline struct shim *shim_new(void) {
    struct shim *s = xnew(struct shim);
    s->calls = xmalloc(SHIM_CALLS_MAX * sizeof *s->calls);
    s->io = (struct zdb_io){shim_write,  shim_sync,   shim_truncate, shim_create,
                            shim_rename, shim_unlink, shim_sync_dir, shim_allocate};
    return s;
}

static inline void shim_free(struct shim *s) {
    for (size_t i = 0; i < s->count; i++) free(s->calls[i].bytes);
    free(s->calls);
    free(s);
}

/* ---- the image of a cut ---- */

enum shim_cut { SHIM_KILL, SHIM_POWER };

struct shim_image {
    struct buf *files; /* owned */
    size_t *synced;    /* owned: calls up to here are on the disk, by file */
    struct {
        char name[40];
        size_t file;
    } names[2][SHIM_NAMES_MAX];
    size_t name_count[2];
};

static inline void shim_apply(struct buf *b, const struct shim_call *c, size_t from, size_t n) {
    size_t end = c->offset + from + n;
    if (end > b->n) {
        assert_int_equal(buf_reserve(b, end - b->n), 0);
        memset(b->p + b->n, 0, end - b->n);
        b->n = end;
    }
    memcpy(b->p + c->offset + from, c->bytes + from, n);
}

static inline void shim_apply_torn(struct buf *b, const struct shim_call *c) {
    unsigned fate = shim_below(3);
    if (fate == 0) return;
    for (size_t at = 0; at < c->n;) {
        size_t n = SHIM_PIECE - (c->offset + at) % SHIM_PIECE;
        if (n > c->n - at) n = c->n - at;
        if (fate == 1 || shim_below(2)) shim_apply(b, c, at, n);
        at += n;
    }
}

static inline size_t shim_find_name(const struct shim_image *m, int d, const char *name) {
    size_t i = 0;
    while (i < m->name_count[d] && strcmp(m->names[d][i].name, name) != 0) i++;
    return i;
}

static inline void shim_remove_name(struct shim_image *m, int d, const char *name) {
    size_t i = shim_find_name(m, d, name);
    if (i < m->name_count[d]) m->names[d][i] = m->names[d][--m->name_count[d]];
}

static inline void shim_add_name(struct shim_image *m, int d, const char *name, size_t file) {
    shim_remove_name(m, d, name);
    assert_true(m->name_count[d] < SHIM_NAMES_MAX);
    size_t i = m->name_count[d]++;
    (void)snprintf(m->names[d][i].name, sizeof m->names[d][i].name, "%s", name);
    m->names[d][i].file = file;
}

static inline void shim_apply_name(struct shim_image *m, const struct shim_call *c) {
    size_t i = shim_find_name(m, c->is_index, c->name);
    if (c->kind == SHIM_CREATE) shim_add_name(m, c->is_index, c->name, c->file);
    if (c->kind == SHIM_UNLINK) shim_remove_name(m, c->is_index, c->name);
    if (c->kind != SHIM_RENAME || i == m->name_count[c->is_index]) return;
    size_t file = m->names[c->is_index][i].file;
    shim_remove_name(m, c->is_index, c->name);
    shim_add_name(m, c->is_index, c->to, file);
}

static inline void shim_apply_bytes(struct shim_image *m, const struct shim_call *c, bool is_safe) {
    struct buf *b = &m->files[c->file];
    if (c->kind == SHIM_CREATE && b->n > 0 && (is_safe || shim_below(2))) buf_clear(b);
    if (c->kind == SHIM_WRITE && is_safe) shim_apply(b, c, 0, c->n);
    if (c->kind == SHIM_WRITE && !is_safe) shim_apply_torn(b, c);
    if (c->kind == SHIM_TRUNCATE && c->offset < b->n && (is_safe || shim_below(2)))
        b->n = c->offset;
}

static inline bool shim_is_name(const struct shim_call *c) {
    return c->kind == SHIM_CREATE || c->kind == SHIM_RENAME || c->kind == SHIM_UNLINK;
}

/* How many calls with names of the folder count: all up to the last sync, and some behind it. */
static inline size_t shim_names_until(const struct shim *s, size_t cut, int d, enum shim_cut how) {
    size_t synced = 0;
    size_t open = 0;
    if (how == SHIM_KILL) return cut;
    for (size_t i = 0; i < cut; i++) {
        const struct shim_call *c = &s->calls[i];
        if (c->kind == SHIM_SYNC_DIR && c->is_index == d) synced = i;
        if (c->kind == SHIM_SYNC_DIR && c->is_index == d) open = 0;
        if (shim_is_name(c) && c->is_index == d) open++;
    }
    size_t taken = shim_below((uint32_t)open + 1);
    for (; taken > 0; synced++)
        taken -= shim_is_name(&s->calls[synced]) && s->calls[synced].is_index == d;
    return synced;
}

static inline void shim_image_write(struct shim_image *m, const struct sample *to) {
    for (int d = 0; d < 2; d++) {
        AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, d ? to->index : to->data, 0700);
        for (size_t i = 0; i < m->name_count[d]; i++) {
            const struct buf *b = &m->files[m->names[d][i].file];
            AUTO_CLOSE int fd =
                openat(dir, m->names[d][i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            assert_int_equal(file_write_all(fd, b->p, b->n), 0);
        }
    }
}

/* The folders after the first `cut` calls, for a sample that was initialized and not opened. */
static inline void shim_image(const struct shim *s, size_t cut, enum shim_cut how,
                              const struct sample *to) {
    struct shim_image *m = xnew(struct shim_image);
    m->files = xmalloc((s->file_count + 1) * sizeof *m->files);
    m->synced = xmalloc((s->file_count + 1) * sizeof *m->synced);
    for (size_t i = 0; i < s->file_count; i++) m->files[i] = BUF(8 << 20);
    for (size_t i = 0; i < cut; i++)
        if (s->calls[i].kind == SHIM_SYNC) m->synced[s->calls[i].file] = i;
    size_t until[2];
    for (int d = 0; d < 2; d++) until[d] = shim_names_until(s, cut, d, how);
    for (size_t i = 0; i < cut; i++) {
        const struct shim_call *c = &s->calls[i];
        if (shim_is_name(c) && i < until[c->is_index]) shim_apply_name(m, c);
        if (c->kind == SHIM_RENAME || c->kind == SHIM_UNLINK || c->kind == SHIM_SYNC_DIR) continue;
        shim_apply_bytes(m, c, how == SHIM_KILL || i < m->synced[c->file]);
    }
    shim_image_write(m, to);
    for (size_t i = 0; i < s->file_count; i++) buf_done(&m->files[i]);
    free(m->files);
    free(m->synced);
    free(m);
}
