/* SPDX-License-Identifier: Apache-2.0 — tar.c: libarchive's entries become calls of tree.h.
 *
 * The archive is hostile until proven otherwise. A header that libarchive only warns about is
 * refused: a file under a mangled name would be a silent difference from the image. Attributes are
 * taken by a list of names: `user.*`, file capabilities and POSIX ACLs; what would be overlayfs's
 * own (`trusted.*`) or belongs to a security module of the host is dropped. */
#include "storage/unpack/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <sys/stat.h>

#define TAR_NAME_SHOWN 200 /* bytes of an entry's name in a message */

struct reader {
    const struct tar_source *source;
    struct tree *tree;
    struct archive *archive;
    struct err source_failure;
    bool source_failed, source_ended;
    struct entry_path path, target; /* of the present entry */
    struct tree_xattr xattrs[TREE_XATTRS_MAX];
};

static la_ssize_t on_read(struct archive *archive, void *user, const void **out) {
    struct reader *r = user;
    ssize_t n = r->source_failed ? -1 : r->source->next(r->source->user, out, &r->source_failure);
    if (n < 0) {
        r->source_failed = true;
        archive_set_error(archive, EIO, "the stream failed");
    }
    if (n == 0) r->source_ended = true;
    return n;
}

/* The source's own failure is the cause of whatever libarchive says about it. */
static int reader_failed(const struct reader *r, struct err *e) {
    if (r->source_failed) {
        *e = r->source_failure;
        return -1;
    }
    const char *text = archive_error_string(r->archive);
    return err_set(e, ERR_CORRUPT, "not a well-formed tar archive: %s", text ? text : "damaged");
}

static bool xattr_wanted(const char *name) {
    struct str s = str_of(name);
    return str_starts(s, STR("user.")) || str_eq(s, STR("security.capability")) ||
           str_eq(s, STR("system.posix_acl_access")) || str_eq(s, STR("system.posix_acl_default"));
}

static int collect_xattrs(struct reader *r, struct archive_entry *entry, struct tree_meta *meta,
                          struct err *e) {
    const char *name;
    const void *value;
    size_t n;
    meta->xattrs = r->xattrs;
    (void)archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &n) == ARCHIVE_OK) {
        if (!name || !xattr_wanted(name)) continue;
        if (n > TREE_XATTR_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "the attribute '%.100s' has more than %u bytes", name,
                           TREE_XATTR_BYTES_MAX);
        if (meta->xattr_count == TREE_XATTRS_MAX)
            return err_set(e, ERR_LIMIT, "more than %u attributes", TREE_XATTRS_MAX);
        r->xattrs[meta->xattr_count++] = (struct tree_xattr){name, value, n};
    }
    return 0;
}

static int collect_meta(struct reader *r, struct archive_entry *entry, struct tree_meta *out,
                        struct err *e) {
    int64_t uid = archive_entry_uid(entry);
    int64_t gid = archive_entry_gid(entry);
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return err_set(e, ERR_INVALID, "the owner %lld:%lld cannot exist", (long long)uid,
                       (long long)gid);
    struct tree_meta m = {
        .mode = archive_entry_filetype(entry) | (archive_entry_perm(entry) & 07777),
        .uid = (uid_t)uid,
        .gid = (gid_t)gid,
        .mtime = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)},
    };
    m.atime = m.mtime;
    if (archive_entry_atime_is_set(entry))
        m.atime = (struct timespec){archive_entry_atime(entry), archive_entry_atime_nsec(entry)};
    if (S_ISCHR(m.mode) || S_ISBLK(m.mode)) m.dev = archive_entry_rdev(entry);
    *out = m;
    return collect_xattrs(r, entry, out, e);
}

static int copy_content(struct reader *r, int fd, struct err *e) {
    for (;;) {
        const void *block;
        size_t n;
        la_int64_t offset;
        int code = archive_read_data_block(r->archive, &block, &n, &offset);
        if (code == ARCHIVE_EOF) return 0;
        if (code != ARCHIVE_OK) return reader_failed(r, e);
        if (offset < 0) return err_set(e, ERR_INVALID, "a hole at a negative offset");
        if (n > 0 && tree_file_write(r->tree, fd, str_make(block, n), (uint64_t)offset, e) < 0)
            return -1;
    }
}

static int add_file(struct reader *r, const struct tree_meta *meta, int64_t size, struct err *e) {
    if (size < 0) return err_set(e, ERR_INVALID, "the size is negative");
    AUTO_CLOSE int fd = -1;
    if (tree_file_begin(r->tree, &r->path, meta, &fd, e) < 0) return -1;
    if (copy_content(r, fd, e) < 0) return -1;
    return tree_file_end(r->tree, fd, (uint64_t)size, meta, e);
}

static int add_link(struct reader *r, const char *target, struct err *e) {
    if (entry_path_parse(str_of(target), &r->target, e) < 0)
        return err_in(e, "hard link to '%.*s'", TAR_NAME_SHOWN, target);
    if (r->target.kind != ENTRY_PLAIN)
        return err_set(e, ERR_INVALID, "hard link to the whiteout '%.*s'", TAR_NAME_SHOWN, target);
    return tree_link(r->tree, &r->path, &r->target, e);
}

static int add_entry(struct reader *r, struct archive_entry *entry, struct err *e) {
    if (r->path.kind == ENTRY_IGNORED) return 0;
    if (r->path.kind != ENTRY_PLAIN) return tree_whiteout(r->tree, &r->path, e);
    const char *link = archive_entry_hardlink(entry);
    if (link) return add_link(r, link, e);
    struct tree_meta meta;
    if (collect_meta(r, entry, &meta, e) < 0) return -1;
    switch (meta.mode & S_IFMT) {
    case S_IFREG: return add_file(r, &meta, archive_entry_size(entry), e);
    case S_IFLNK: {
        const char *target = archive_entry_symlink(entry);
        if (!target) return err_set(e, ERR_INVALID, "a symbolic link without a target");
        return tree_add(r->tree, &r->path, &meta, target, e);
    }
    case S_IFDIR:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO: return tree_add(r->tree, &r->path, &meta, NULL, e);
    default: return err_set(e, ERR_UNSUPPORTED, "a kind of file that no layer can hold");
    }
}

/* 1: an entry was handled, 0: the archive ended. */
static int next_entry(struct reader *r, struct err *e) {
    struct archive_entry *entry;
    int code = archive_read_next_header(r->archive, &entry);
    if (code == ARCHIVE_EOF) return 0;
    if (code != ARCHIVE_OK) return reader_failed(r, e);
    const char *name = archive_entry_pathname(entry);
    if (!name) return err_set(e, ERR_INVALID, "an entry whose name cannot be read");
    if (entry_path_parse(str_of(name), &r->path, e) < 0 || add_entry(r, entry, e) < 0)
        return r->source_failed ? -1 : err_in(e, "entry '%.*s'", TAR_NAME_SHOWN, name);
    return 1;
}

/* What lies behind the archive's end belongs to the stream's digest. */
static int drain(struct reader *r, struct err *e) {
    const void *ignored;
    while (!r->source_ended) {
        ssize_t n = r->source->next(r->source->user, &ignored, e);
        if (n < 0) return -1;
        if (n == 0) return 0;
    }
    return 0;
}

static int unpack(struct reader *r, struct err *e) {
    if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
        archive_read_open(r->archive, r, NULL, on_read, NULL) != ARCHIVE_OK)
        return reader_failed(r, e);
    int more;
    while ((more = next_entry(r, e)) > 0) {
    }
    if (more < 0 || drain(r, e) < 0) return -1;
    return tree_finish(r->tree, e);
}

int tar_setup(struct err *e) {
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return err_set(e, ERR_INTERNAL, "load the locale C.UTF-8 (of Debian's libc-bin)");
    return 0;
}

int tar_unpack(const struct tar_source *source, struct tree *t, struct err *e) {
    struct reader *r = xnew(struct reader);
    r->source = source;
    r->tree = t;
    r->archive = archive_read_new();
    if (!r->archive) abort();
    int result = unpack(r, e);
    (void)archive_read_free(r->archive);
    free(r);
    return result;
}
