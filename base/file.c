/* SPDX-License-Identifier: Apache-2.0 — file.c: whole reads and writes, safe opening, folders.
 *
 * Replacing a file is: write ".NAME.tmp" whole, put its data on the disk, rename over NAME, fsync
 * the file, fsync the folder. With its data allocated and written before the rename, no journal
 * commit can hold the new name without it, and one commit, the file's, carries all metadata: fsync
 * before the rename would make two, each some milliseconds. The temporary name is fixed, so a crash
 * leaves at most one per file, and the next write removes it.
 *
 * Removing a tree walks depth first with one descriptor per level. Instead of recursing without
 * end, a folder found at the deepest level is renamed up into the tree's own root and met again by
 * the next pass over the root: any depth needs FILE_REMOVE_FDS_MAX descriptors and no memory.
 * Children are opened by openat2 with NO_SYMLINKS and NO_XDEV, so a link that is swapped in while
 * the walk runs is never followed. */
#include "base/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

#define READ_CHUNK_BYTES 4096
#define READ_CHUNK_MAX   (1024 * 1024)
#define REMOVE_PASSES_MAX                                                                          \
    (1 << 20) /* passes over the root of a tree: depth / FILE_REMOVE_FDS_MAX */
#define REMOVE_RENAMES_MAX (1U << 31) /* names tried for folders that move up */

int file_write_all(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

int file_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t written = pwrite(fd, p, n, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        p += written;
        n -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

ssize_t file_read_full(int fd, void *out, size_t n) {
    char *p = out;
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, p + got, n - got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -errno;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

ssize_t file_pread_full(int fd, void *out, size_t n, uint64_t offset) {
    char *p = out;
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(fd, p + got, n - got, (off_t)(offset + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -errno;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

int file_read_fd(int fd, size_t bytes_max, struct buf *out) {
    if (bytes_max > SSIZE_MAX - 2) return -EINVAL;
    AUTO(buf_done)
    struct buf b = BUF(bytes_max + 1); /* one more tells "too long" from "just fits" */
    size_t chunk = READ_CHUNK_BYTES;
    for (;;) {
        if (b.n > bytes_max) return -EFBIG;
        size_t room = bytes_max + 1 - b.n;
        if (room > chunk) room = chunk;
        int r = buf_reserve(&b, room);
        if (r < 0) return r;
        ssize_t n = read(fd, b.p + b.n, room);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) break;
        b.n += (size_t)n;
        if (chunk < READ_CHUNK_MAX) chunk *= 2;
    }
    *out = b;
    b = BUF(0);
    return 0;
}

int file_read_all(int dir, const char *name, size_t bytes_max, struct buf *out) {
    AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return -errno;
    return file_read_fd(fd, bytes_max, out);
}

int file_read_arena(struct arena *a, int dir, const char *name, size_t bytes_max, struct str *out) {
    AUTO(buf_done) struct buf b = BUF(0);
    int r = file_read_all(dir, name, bytes_max, &b);
    if (r < 0) return r;
    struct str copy = arena_str(a, buf_view(&b));
    if (!copy.p) return -ENOSPC;
    *out = copy;
    return 0;
}

#define WRITTEN (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

static int tmp_name(const char *name, char tmp[NAME_MAX + 1]) {
    if (!*name || strchr(name, '/')) return -EINVAL;
    int n = snprintf(tmp, NAME_MAX + 1, ".%s.tmp", name);
    return n < 0 || n > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* What file_reserve() made, or a crash left, is written over: giving it back first would be giving
 * its room away. Anything that is no plain file of one name is replaced. */
static int open_tmp(int dir, const char *tmp, mode_t mode) {
    struct stat st;
    AUTO_CLOSE int fd = openat(dir, tmp, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
        return STEAL_FD(fd);
    if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT) return -errno;
    int made = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return made < 0 ? -errno : made;
}

static int write_whole(int fd, struct str bytes) {
    int r = file_write_all(fd, bytes.p, bytes.n);
    struct stat st;
    if (r < 0) return r;
    if (fstat(fd, &st) < 0) return -errno;
    if ((uint64_t)st.st_size == bytes.n) return 0;
    return ftruncate(fd, (off_t)bytes.n) < 0 ? -errno : 0;
}

static int write_renamed(int dir, const char *name, struct str bytes, mode_t mode, bool durable) {
    char tmp[NAME_MAX + 1];
    int r = tmp_name(name, tmp);
    if (r < 0) return r;
    AUTO_CLOSE int fd = open_tmp(dir, tmp, mode);
    if (fd < 0) return fd;
    r = fchmod(fd, mode) < 0 ? -errno : 0; /* whatever the umask */
    if (r == 0) r = write_whole(fd, bytes);
    if (r == 0 && durable && sync_file_range(fd, 0, 0, WRITTEN) < 0) r = -errno;
    if (r == 0 && renameat(dir, tmp, dir, name) < 0) r = -errno;
    if (r < 0) {
        (void)unlinkat(dir, tmp, 0);
        return r;
    }
    if (!durable) return 0;
    return fsync(fd) < 0 ? -errno : file_sync_dir(dir, ".");
}

int file_write_durable(int dir, const char *name, struct str bytes, mode_t mode) {
    return write_renamed(dir, name, bytes, mode, true);
}

int file_write_atomic(int dir, const char *name, struct str bytes, mode_t mode) {
    return write_renamed(dir, name, bytes, mode, false);
}

int file_reserve(int dir, const char *name, size_t bytes) {
    char tmp[NAME_MAX + 1];
    int r = tmp_name(name, tmp);
    if (r < 0) return r;
    AUTO_CLOSE int fd = open_tmp(dir, tmp, 0600);
    if (fd < 0) return fd;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0) return 0;
    r = -errno;
    (void)unlinkat(dir, tmp, 0);
    return r;
}

int file_put(int dir, const char *name, struct str bytes) {
    AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -errno;
    ssize_t n;
    do n = write(fd, bytes.p, bytes.n);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    return (size_t)n == bytes.n ? 0 : -EIO;
}

int file_sync_dir(int dir, const char *name) {
    AUTO_CLOSE int fd = file_open_dir(dir, name);
    if (fd < 0) return fd;
    return fsync(fd) < 0 ? -errno : 0;
}

static int open_how(int dir, const char *path, const struct open_how *how) {
    long fd;
    do fd = syscall(SYS_openat2, dir, path, how, sizeof *how);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : (int)fd;
}

static struct open_how how_of(int flags, mode_t mode, uint64_t resolve) {
    bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return (struct open_how){.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                             .mode = makes ? mode & 07777 : 0,
                             .resolve = resolve};
}

int file_open_beneath(int dir, const char *path, int flags, mode_t mode) {
    struct open_how how = how_of(flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    return open_how(dir, path, &how);
}

int file_open_in_root(int dir, const char *path, int flags, mode_t mode) {
    struct open_how how = how_of(flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    return open_how(dir, path, &how);
}

int file_open_dir(int dir, const char *path) {
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int file_set_cloexec(int fd, bool on) {
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int file_exists(int dir, const char *name) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) return 1;
    return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static int mkdir_one(int dir, const char *path, mode_t mode) {
    if (mkdirat(dir, path, mode) == 0) return 0;
    if (errno != EEXIST) return -errno;
    struct stat st;
    if (fstatat(dir, path, &st, 0) < 0) return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdirs(int dir, const char *path, mode_t mode) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0) return -EINVAL;
    if (n >= sizeof part) return -ENAMETOOLONG;
    for (size_t i = 1; i <= n; i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int r = mkdir_one(dir, part, mode);
        if (r < 0) return r;
    }
    return 0;
}

int file_mkdirs_open(int dir, const char *path, mode_t mode) {
    int r = file_mkdirs(dir, path, mode);
    return r < 0 ? r : file_open_dir(dir, path);
}

/* ---- removal ---- */

struct removal {
    DIR *levels[FILE_REMOVE_FDS_MAX]; /* owned; [0] is the root of the tree */
    char names[FILE_REMOVE_FDS_MAX][NAME_MAX + 1];
    size_t depth;     /* levels that are open */
    unsigned renames; /* names given out so far for folders moved up */
    bool moved;       /* this pass moved something up: the root needs another */
};

static int removal_enter(struct removal *w, int dir, const char *name) {
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    AUTO_CLOSE int fd = open_how(dir, name, &how);
    if (fd < 0) return fd == -EXDEV ? -EBUSY : fd;
    size_t n = strlen(name);
    assert(n <= NAME_MAX && w->depth < FILE_REMOVE_FDS_MAX);
    DIR *d = fdopendir(fd);
    if (!d) return -errno;
    (void)STEAL_FD(fd);
    memcpy(w->names[w->depth], name, n + 1);
    w->levels[w->depth++] = d;
    return 0;
}

/* Moves the folder `name` of the deepest level up into the root of the tree. */
static int removal_move_up(struct removal *w, const char *name) {
    int from = dirfd(w->levels[w->depth - 1]);
    int root = dirfd(w->levels[0]);
    while (w->renames < REMOVE_RENAMES_MAX) {
        char up[32];
        (void)snprintf(up, sizeof up, ".removing-%u", w->renames++);
        if (renameat2(from, name, root, up, RENAME_NOREPLACE) == 0) {
            w->moved = true;
            return 0;
        }
        if (errno != EEXIST) return -errno;
    }
    return -ENOTEMPTY;
}

static int removal_entry(struct removal *w, const struct dirent *entry) {
    int dir = dirfd(w->levels[w->depth - 1]);
    if (entry->d_type != DT_DIR) {
        if (unlinkat(dir, entry->d_name, 0) == 0 || errno == ENOENT) return 0;
        if (errno != EISDIR) return -errno;
    }
    if (unlinkat(dir, entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST) return -errno;
    if (w->depth == FILE_REMOVE_FDS_MAX) return removal_move_up(w, entry->d_name);
    return removal_enter(w, dir, entry->d_name);
}

/* The deepest level has no more entries: its folder goes, the walk continues above. */
static int removal_leave(struct removal *w) {
    (void)closedir(w->levels[--w->depth]);
    int dir = dirfd(w->levels[w->depth - 1]);
    if (unlinkat(dir, w->names[w->depth], AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    return -errno;
}

/* One walk over everything below the root, which stays open. */
static int removal_pass(struct removal *w) {
    w->moved = false;
    rewinddir(w->levels[0]);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(w->levels[w->depth - 1]);
        int r;
        if (entry) {
            const char *name = entry->d_name;
            bool dots = name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
            r = dots ? 0 : removal_entry(w, entry);
        } else if (errno) {
            r = -errno;
        } else if (w->depth > 1) {
            r = removal_leave(w);
        } else {
            return 0;
        }
        if (r < 0) return r;
    }
}

static int removal_run(struct removal *w, int dir, const char *name) {
    for (unsigned pass = 0; pass < REMOVE_PASSES_MAX; pass++) {
        int r = removal_pass(w);
        if (r < 0) return r;
        if (w->moved) continue;
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
        if (errno != ENOTEMPTY && errno != EEXIST) return -errno; /* else: somebody still adds */
    }
    return -ENOTEMPTY;
}

int file_remove_tree(int dir, const char *name) {
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR) return -errno;
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST) return -errno;
    int root = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) return -errno;
    AUTO_FREE struct removal *w = xnew(struct removal);
    w->levels[0] = fdopendir(root);
    if (!w->levels[0]) {
        int r = -errno;
        (void)close(root);
        return r;
    }
    w->depth = 1;
    int r = removal_run(w, dir, name);
    while (w->depth > 0) (void)closedir(w->levels[--w->depth]);
    return r;
}

/* ---- entries ---- */

int file_dir_open(struct file_dir *d, int dir, const char *path) {
    AUTO_CLOSE int fd = file_open_dir(dir, path);
    if (fd < 0) return fd;
    d->impl = fdopendir(fd);
    if (!d->impl) return -errno;
    (void)STEAL_FD(fd);
    return 0;
}

int file_dir_next(struct file_dir *d, struct file_entry *out) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d->impl);
        if (!entry) return -errno;
        const char *name = entry->d_name;
        if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
        *out = (struct file_entry){.name = name, .type = entry->d_type, .inode = entry->d_ino};
        return 1;
    }
}

void file_dir_close(struct file_dir *d) {
    if (d->impl) (void)closedir(d->impl);
    d->impl = NULL;
}
