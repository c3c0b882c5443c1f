/* SPDX-License-Identifier: Apache-2.0 — tree.c: from entries to inodes.
 *
 * The parent of the last entry stays open, because neighbours follow each other in an archive:
 * most entries cost one name lookup of one component. The cache is dropped whenever something is
 * replaced. Parents that no entry announced are made as 0755 root:root and reported, unless they
 * take the place of a whiteout: then they are new, and have nothing to do with those below.
 *
 * A folder that takes the place of something else of this layer (a whiteout, a file) is opaque:
 * played back one after the other, the layers below would have lost theirs before it came.
 *
 * Ownership is set before the mode (chown clears set-id bits) and before attributes (it clears
 * capabilities); times come last, those of folders at the very end. Things are made with the mode
 * that they shall have, and what a look at them finds right (it mostly is: nearly all of an image
 * is root's) is not set again: a look costs a tenth of a change, which goes through the journal. */
#include "storage/unpack/tree.h"

#include "base/file.h"
#include "storage/unpack/report.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define BLOCK_BYTES 4096u

struct tree {
    int root_fd;   /* borrowed */
    int parent_fd; /* owned; -1: nothing cached */
    size_t parent_n;
    char parent[ENTRY_PATH_BYTES_MAX + 1];
    uint64_t content_bytes, bytes_max;
    uint64_t blocks, inodes;
    uint64_t entries;
    struct buf dir_times; /* struct dir_time and path, again and again */
    struct buf opaques;   /* as report.h says */
    size_t opaque_count;
    struct buf made; /* unannounced folders, also those that were announced later */
    struct buf implied;
    size_t implied_count;
};

struct dir_time {
    struct timespec times[2];
    size_t n; /* of the path that follows, with its NUL */
};

struct tree *tree_new(int root_fd, uint64_t bytes_max) {
    struct tree *t = xnew(struct tree);
    t->root_fd = root_fd;
    t->parent_fd = -1;
    t->bytes_max = bytes_max;
    t->blocks = 1; /* the root */
    t->inodes = 1;
    t->dir_times = BUF(TREE_DIR_TIME_BYTES_MAX);
    t->opaques = BUF(REPORT_OPAQUE_BYTES_MAX);
    t->made = BUF(REPORT_IMPLIED_BYTES_MAX);
    t->implied = BUF(REPORT_IMPLIED_BYTES_MAX);
    return t;
}

void tree_free(struct tree *t) {
    if (!t) return;
    if (t->parent_fd >= 0) (void)close(t->parent_fd);
    buf_done(&t->dir_times);
    buf_done(&t->opaques);
    buf_done(&t->made);
    buf_done(&t->implied);
    free(t);
}

uint64_t tree_bytes(const struct tree *t) { return t->blocks * BLOCK_BYTES; }
uint64_t tree_inodes(const struct tree *t) { return t->inodes; }

struct str tree_opaques(const struct tree *t, size_t *out_count) {
    *out_count = t->opaque_count;
    return buf_view(&t->opaques);
}

struct str tree_implied(const struct tree *t, size_t *out_count) {
    *out_count = t->implied_count;
    return buf_view(&t->implied);
}

/* ---- finding the parent ---- */

static void forget_parent(struct tree *t) {
    if (t->parent_fd >= 0) (void)close(t->parent_fd);
    t->parent_fd = -1;
}

static void remember_parent(struct tree *t, const char *path, size_t n, int fd) {
    forget_parent(t);
    memcpy(t->parent, path, n);
    t->parent_n = n;
    t->parent_fd = fd;
}

/* Every object passes here, announced or not, so the limit holds for both. */
static int count_inode(struct tree *t, struct err *e) {
    if (t->inodes >= TREE_ENTRIES_MAX)
        return err_set(e, ERR_LIMIT, "the layer has more than %u files and folders",
                       TREE_ENTRIES_MAX);
    t->inodes++;
    return 0;
}

static int mark_opaque(struct tree *t, struct str path, struct err *e) {
    if (t->opaque_count >= REPORT_OPAQUES_MAX || report_add_opaque(&t->opaques, path) < 0)
        return err_set(e, ERR_LIMIT, "the layer has more than %u opaque folders",
                       REPORT_OPAQUES_MAX);
    t->opaque_count++;
    return 0;
}

static int remember_made(struct tree *t, struct str path, struct err *e) {
    if (report_add_implied(&t->made, path) == 0) return 0;
    return err_set(e, ERR_LIMIT, "the layer leaves out too many of its folders (%u bytes of names)",
                   REPORT_IMPLIED_BYTES_MAX);
}

static int open_folder(int root_fd, const char *path) {
    const char *name = path[0] ? path : ".";
    return file_open_in_root(root_fd, name, O_RDONLY | O_DIRECTORY, 0);
}

/* Makes one missing folder, `path` from the root, of which `base` is the last component in dir. A
 * whiteout of this layer in its place gives way: the new folder hides what the whiteout hid. */
static int make_parent(struct tree *t, int dir, struct str path, const char *base, struct err *e) {
    struct stat st;
    bool whiteout = fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
                    st.st_rdev == makedev(0, 0);
    if (whiteout) {
        if (unlinkat(dir, base, 0) < 0)
            return err_sys(e, errno, "replace the whiteout '%.200s' above it", path.p);
        t->inodes--;
        if (mark_opaque(t, path, e) < 0) return -1;
    } else if (remember_made(t, path, e) < 0) {
        return -1;
    }
    if (count_inode(t, e) < 0) return -1;
    if (mkdirat(dir, base, 0755) < 0)
        return err_sys(e, errno, "make the folder '%.200s' above it", path.p);
    t->blocks++;
    return 0;
}

/* Makes the folders of path that are missing, from the top, and returns the last one or -1. */
static int make_parents(struct tree *t, const char *path, size_t n, struct err *e) {
    char prefix[ENTRY_PATH_BYTES_MAX + 1];
    AUTO_CLOSE int fd = open_folder(t->root_fd, "");
    for (size_t start = 0; fd >= 0 && start < n;) {
        const char *slash = memchr(path + start, '/', n - start);
        size_t end = slash ? (size_t)(slash - path) : n;
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        int next = open_folder(t->root_fd, prefix);
        if (next == -ENOENT || next == -ENOTDIR) {
            if (make_parent(t, fd, str_make(prefix, end), prefix + start, e) < 0) return -1;
            next = open_folder(t->root_fd, prefix);
        }
        (void)close(fd);
        fd = next;
        start = end + 1;
    }
    if (fd < 0) return err_sys(e, -fd, "open the folder above it");
    return STEAL_FD(fd);
}

/* The folder that holds the path's last component; borrowed until the next call. -1 on failure. */
static int parent_of(struct tree *t, const struct entry_path *p, struct err *e) {
    size_t n = p->base > 0 ? p->base - 1 : 0;
    if (t->parent_fd >= 0 && t->parent_n == n && memcmp(t->parent, p->path, n) == 0)
        return t->parent_fd;
    char path[ENTRY_PATH_BYTES_MAX + 1];
    memcpy(path, p->path, n);
    path[n] = '\0';
    int fd = open_folder(t->root_fd, path);
    if (fd == -ENOENT || fd == -ENOTDIR)
        fd = make_parents(t, path, n, e);
    else if (fd < 0)
        return err_sys(e, -fd, "open the folder above it");
    if (fd < 0) return -1;
    remember_parent(t, path, n, fd);
    return fd;
}

/* Removes what has the name, so that something else can take it. The cached parent stays open for
 * the caller, but its path may have led through what is gone: nobody finds it by its path again. */
static int vacate(struct tree *t, int dir, const char *base, struct err *e) {
    t->parent_n = SIZE_MAX;
    if (unlinkat(dir, base, 0) == 0) {
        t->inodes--;
        return 0;
    }
    if (errno != EISDIR) return err_sys(e, errno, "replace the earlier entry of this name");
    int r = file_remove_tree(dir, base); /* what was below stays counted: usage errs upwards */
    if (r < 0) return err_sys(e, -r, "replace the earlier folder of this name");
    return 0;
}

static int count_entry(struct tree *t, struct err *e) {
    if (++t->entries > TREE_ENTRIES_MAX)
        return err_set(e, ERR_LIMIT, "the layer has more than %u entries", TREE_ENTRIES_MAX);
    return 0;
}

/* ---- metadata ---- */

static int set_xattrs(int fd, const char *name, const struct tree_meta *m, struct err *e) {
    for (size_t i = 0; i < m->xattr_count; i++) {
        const struct tree_xattr *x = &m->xattrs[i];
        int r = fd >= 0 ? fsetxattr(fd, x->name, x->value, x->n, 0)
                        : lsetxattr(name, x->name, x->value, x->n, 0);
        /* A file system without user attributes (tmpfs before 6.6) is no reason to refuse. */
        if (r < 0 && !(errno == ENOTSUP && strncmp(x->name, "user.", 5) == 0))
            return err_sys(e, errno, "set the attribute '%.100s' (%zu bytes)", x->name, x->n);
    }
    return 0;
}

static bool owner_is(const struct stat *st, const struct tree_meta *m) {
    return st->st_uid == m->uid && st->st_gid == m->gid;
}

static bool mode_is(const struct stat *st, const struct tree_meta *m) {
    return (st->st_mode & 07777) == (m->mode & 07777);
}

/* Owner, mode, attributes of an open file or folder that looks like this now. */
static int set_meta(int fd, const struct stat *st, const struct tree_meta *m, struct err *e) {
    bool owned = owner_is(st, m);
    if (!owned && fchown(fd, m->uid, m->gid) < 0)
        return err_sys(e, errno, "set the owner %u:%u", m->uid, m->gid);
    if (!(owned && mode_is(st, m)) && fchmod(fd, m->mode & 07777) < 0)
        return err_sys(e, errno, "set the mode %04o", m->mode & 07777);
    return set_xattrs(fd, NULL, m, e);
}

static int set_folder_meta(int fd, const struct tree_meta *m, struct err *e) {
    struct stat st;
    if (fstat(fd, &st) < 0) return err_sys(e, errno, "look at the folder");
    return set_meta(fd, &st, m, e);
}

/* The same for what cannot be opened. base is one component, so no link is followed to it. */
static int set_meta_at(int dir, const char *base, const struct tree_meta *m, struct err *e) {
    struct stat st;
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "look at what was made");
    bool owned = owner_is(&st, m);
    if (!owned && fchownat(dir, base, m->uid, m->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "set the owner %u:%u", m->uid, m->gid);
    if (!S_ISLNK(m->mode) && !(owned && mode_is(&st, m)) &&
        fchmodat(dir, base, m->mode & 07777, 0) < 0)
        return err_sys(e, errno, "set the mode %04o", m->mode & 07777);
    if (m->xattr_count > 0) {
        if (fchdir(dir) < 0) return err_sys(e, errno, "enter the folder above it");
        if (set_xattrs(-1, base, m, e) < 0) return -1;
    }
    struct timespec times[2] = {m->atime, m->mtime};
    if (utimensat(dir, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "set the times");
    return 0;
}

static int remember_times(struct tree *t, const struct entry_path *p, const struct tree_meta *m,
                          struct err *e) {
    struct dir_time d = {.times = {m->atime, m->mtime}, .n = p->n + 1};
    if (buf_append(&t->dir_times, &d, sizeof d) < 0 || buf_append(&t->dir_times, p->path, d.n) < 0)
        return err_set(e, ERR_LIMIT, "the layer has too many folders (%zu bytes of names)",
                       TREE_DIR_TIME_BYTES_MAX);
    return 0;
}

/* ---- entries ---- */

/* Makes the folder, or finds it there. */
static int place_folder(struct tree *t, const struct entry_path *p, int parent, mode_t mode,
                        struct err *e) {
    const char *base = p->path + p->base;
    if (mkdirat(parent, base, mode) == 0) {
        t->blocks++;
        return count_inode(t, e);
    }
    if (errno != EEXIST) return err_sys(e, errno, "make the folder");
    struct stat st;
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "look at the earlier entry of this name");
    if (S_ISDIR(st.st_mode)) return 0;
    if (vacate(t, parent, base, e) < 0 || mark_opaque(t, str_make(p->path, p->n), e) < 0) return -1;
    if (mkdirat(parent, base, mode) < 0) return err_sys(e, errno, "make the folder");
    t->blocks++;
    return count_inode(t, e);
}

static int add_folder(struct tree *t, const struct entry_path *p, const struct tree_meta *m,
                      struct err *e) {
    if (p->n == 0) {
        if (set_folder_meta(t->root_fd, m, e) < 0) return -1;
        return remember_times(t, p, m, e);
    }
    int parent = parent_of(t, p, e);
    if (parent < 0 || place_folder(t, p, parent, m->mode & 07777, e) < 0) return -1;
    AUTO_CLOSE int fd =
        openat(parent, p->path + p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return err_sys(e, errno, "open the folder");
    if (set_folder_meta(fd, m, e) < 0 || remember_times(t, p, m, e) < 0) return -1;
    remember_parent(t, p->path, p->n, STEAL_FD(fd)); /* what is in it comes next */
    return 0;
}

static int make_other(int dir, const char *base, const struct tree_meta *m, const char *target) {
    if (S_ISLNK(m->mode)) return symlinkat(target, dir, base);
    return mknodat(dir, base, m->mode & (S_IFMT | 07777), m->dev);
}

/* Everything that is neither folder nor regular file. */
static int add_other(struct tree *t, const struct entry_path *p, const struct tree_meta *m,
                     const char *target, struct err *e) {
    int parent = parent_of(t, p, e);
    if (parent < 0) return -1;
    const char *base = p->path + p->base;
    int r = make_other(parent, base, m, target);
    if (r < 0 && errno == EEXIST) {
        if (vacate(t, parent, base, e) < 0) return -1;
        r = make_other(parent, base, m, target);
    }
    if (r < 0) return err_sys(e, errno, "make the %s", S_ISLNK(m->mode) ? "link" : "special file");
    if (count_inode(t, e) < 0) return -1;
    return set_meta_at(parent, base, m, e);
}

static int refuse_root(const struct entry_path *p, struct err *e) {
    return p->n > 0 ? 0 : err_set(e, ERR_INVALID, "the root of a layer must be a folder");
}

int tree_add(struct tree *t, const struct entry_path *p, const struct tree_meta *meta,
             const char *target, struct err *e) {
    if (count_entry(t, e) < 0) return -1;
    if (S_ISDIR(meta->mode)) return add_folder(t, p, meta, e);
    if (refuse_root(p, e) < 0) return -1;
    if (S_ISCHR(meta->mode) && meta->dev == makedev(0, 0))
        return err_set(e, ERR_INVALID,
                       "a character device 0:0 is how overlayfs hides files; whiteouts are "
                       "written as '.wh.NAME'");
    return add_other(t, p, meta, target, e);
}

int tree_file_begin(struct tree *t, const struct entry_path *p, const struct tree_meta *meta,
                    int *out_fd, struct err *e) {
    if (count_entry(t, e) < 0 || refuse_root(p, e) < 0) return -1;
    int parent = parent_of(t, p, e);
    if (parent < 0) return -1;
    const char *base = p->path + p->base;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    AUTO_CLOSE int fd = openat(parent, base, flags, meta->mode & 07777);
    if (fd < 0 && errno == EEXIST) {
        if (vacate(t, parent, base, e) < 0) return -1;
        fd = openat(parent, base, flags, meta->mode & 07777);
    }
    if (fd < 0) return err_sys(e, errno, "make the file");
    if (count_inode(t, e) < 0) return -1;
    *out_fd = STEAL_FD(fd);
    return 0;
}

int tree_file_write(struct tree *t, int fd, struct str block, uint64_t offset, struct err *e) {
    if (block.n > t->bytes_max - t->content_bytes)
        return err_set(e, ERR_LIMIT, "the layer's files hold more than %llu bytes",
                       (unsigned long long)t->bytes_max);
    int r = file_pwrite_all(fd, block.p, block.n, offset);
    if (r < 0) return err_sys(e, -r, "write the file");
    t->content_bytes += block.n;
    t->blocks += (block.n + BLOCK_BYTES - 1) / BLOCK_BYTES;
    return 0;
}

int tree_file_end(struct tree *t, int fd, uint64_t size, const struct tree_meta *meta,
                  struct err *e) {
    (void)t;
    struct stat st;
    if (fstat(fd, &st) < 0) return err_sys(e, errno, "look at the file");
    if ((uint64_t)st.st_size != size) {
        if (size > INT64_MAX) return err_set(e, ERR_INVALID, "the file's size is absurd");
        if (ftruncate(fd, (off_t)size) < 0)
            return err_sys(e, errno, "make the file %llu bytes long", (unsigned long long)size);
    }
    if (set_meta(fd, &st, meta, e) < 0) return -1;
    struct timespec times[2] = {meta->atime, meta->mtime};
    if (futimens(fd, times) < 0) return err_sys(e, errno, "set the times");
    return 0;
}

/* 1 when both names are the same inode, so that linking has nothing to do. */
static int same_inode(int a_dir, const char *a, int b_dir, const char *b) {
    struct stat as, bs;
    if (fstatat(a_dir, a, &as, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    if (fstatat(b_dir, b, &bs, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    return as.st_dev == bs.st_dev && as.st_ino == bs.st_ino;
}

int tree_link(struct tree *t, const struct entry_path *p, const struct entry_path *target,
              struct err *e) {
    if (count_entry(t, e) < 0 || refuse_root(p, e) < 0 || refuse_root(target, e) < 0) return -1;
    char above[ENTRY_PATH_BYTES_MAX + 1];
    memcpy(above, target->path, target->base);
    above[target->base] = '\0';
    AUTO_CLOSE int from = open_folder(t->root_fd, above);
    if (from < 0)
        return err_sys(e, -from, "hard link to '%.200s', which is not in this layer", target->path);
    int parent = parent_of(t, p, e);
    if (parent < 0) return -1;
    const char *base = p->path + p->base;
    const char *old = target->path + target->base;
    int r = linkat(from, old, parent, base, 0);
    if (r < 0 && errno == EEXIST) {
        if (same_inode(from, old, parent, base)) return 0;
        if (vacate(t, parent, base, e) < 0) return -1;
        r = linkat(from, old, parent, base, 0);
    }
    if (r < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "hard link to '%.200s', which is not in this layer",
                       target->path);
    if (r < 0) return err_sys(e, errno, "hard link to '%.200s'", target->path);
    return 0;
}

/* Makes the folder when the layer names it by its opaque mark alone. */
static int opaque_folder(struct tree *t, const struct entry_path *p, struct err *e) {
    AUTO_CLOSE int fd = open_folder(t->root_fd, p->path);
    if (fd == -ENOENT || fd == -ENOTDIR)
        fd = make_parents(t, p->path, p->n, e);
    else if (fd < 0)
        return err_sys(e, -fd, "open the opaque folder");
    if (fd < 0) return -1;
    return mark_opaque(t, str_make(p->path, p->n), e);
}

int tree_whiteout(struct tree *t, const struct entry_path *p, struct err *e) {
    if (count_entry(t, e) < 0) return -1;
    if (p->kind == ENTRY_OPAQUE) return opaque_folder(t, p, e);
    int parent = parent_of(t, p, e);
    if (parent < 0) return -1;
    const char *base = p->path + p->base;
    if (mknodat(parent, base, S_IFCHR, makedev(0, 0)) == 0) return count_inode(t, e);
    if (errno != EEXIST) return err_sys(e, errno, "make the whiteout");
    /* What this layer put there itself stays and hides the lower one already; a folder must be told
     * to. */
    struct stat st;
    if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "look at the earlier entry of this name");
    return S_ISDIR(st.st_mode) ? mark_opaque(t, str_make(p->path, p->n), e) : 0;
}

static int compare_names(const void *a, const void *b) {
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

struct names {
    const char **items; /* owned */
    size_t count;
};

static void names_done(struct names *n) { free(n->items); }

/* The announced folders, sorted; borrows from dir_times. */
static struct names announced(const struct tree *t) {
    struct names n = {.items = NULL};
    struct dir_time d;
    for (size_t at = 0; at < t->dir_times.n; at += sizeof d + d.n, n.count++)
        memcpy(&d, t->dir_times.p + at, sizeof d);
    n.items = xmalloc((n.count + 1) * sizeof *n.items);
    size_t i = 0;
    for (size_t at = 0; at < t->dir_times.n; at += sizeof d + d.n, i++) {
        memcpy(&d, t->dir_times.p + at, sizeof d);
        n.items[i] = t->dir_times.p + at + sizeof d;
    }
    qsort(n.items, n.count, sizeof *n.items, compare_names);
    return n;
}

static int add_implied(struct tree *t, const struct names *known, struct str path, struct err *e) {
    char text[ENTRY_PATH_BYTES_MAX + 1];
    const char *key = text;
    if (path.n > 0) memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    if (bsearch(&key, known->items, known->count, sizeof *known->items, compare_names)) return 0;
    if (++t->implied_count > REPORT_IMPLIED_MAX || report_add_implied(&t->implied, path) < 0)
        return err_set(e, ERR_LIMIT, "the layer leaves out more than %u of its folders",
                       REPORT_IMPLIED_MAX);
    return 0;
}

/* The root, and what was made without an entry and got none later. */
static int collect_implied(struct tree *t, struct err *e) {
    AUTO(names_done) struct names known = announced(t);
    struct str rest = buf_view(&t->made);
    struct str path;
    if (add_implied(t, &known, STR(""), e) < 0) return -1;
    while (report_next_path(&rest, &path))
        if (add_implied(t, &known, path, e) < 0) return -1;
    return 0;
}

int tree_finish(struct tree *t, struct err *e) {
    forget_parent(t);
    if (collect_implied(t, e) < 0) return -1;
    for (size_t at = 0; at < t->dir_times.n;) {
        struct dir_time d;
        memcpy(&d, t->dir_times.p + at, sizeof d);
        const char *path = t->dir_times.p + at + sizeof d;
        at += sizeof d + d.n;
        AUTO_CLOSE int fd = open_folder(t->root_fd, path);
        if (fd == -ENOENT || fd == -ENOTDIR) continue; /* something else took its place */
        if (fd < 0) return err_sys(e, -fd, "open the folder '%.200s'", path);
        if (futimens(fd, d.times) < 0) return err_sys(e, errno, "set the times of '%.200s'", path);
    }
    return 0;
}
