/* SPDX-License-Identifier: Apache-2.0 — image_file.c: one file of a stack of layers, without a
 * mount.
 *
 * The rules are overlayfs's (Documentation/filesystems/overlayfs.rst): the uppermost layer that has
 * a name decides; a character device 0:0 hides it; a folder goes on in the layers below until one
 * of them is opaque or has something else there. Each name is looked up in the whole stack before
 * the next, so a symbolic link in any layer is followed in the merged view, and ".." stops at the
 * root. Folders are opened one component at a time without following links: nothing outside of the
 * layers can be reached. */
#include "storage/image/image.h"

#include "base/file.h"
#include "storage/image/store.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define IMAGE_FILE_BYTES_MAX ((size_t)1 << 20)
#define FOLLOWED_LINKS_MAX   40 /* the kernel's limit */
#define PARTS_MAX            256

/* Where the walk is: names from the root, every one a folder of the merged view. */
struct walk {
    const struct image_store *store;
    const struct str *layers; /* lowest first */
    size_t count;
    struct arena *a;
    const char *parts[PARTS_MAX];
    size_t part_count;
    unsigned links;
};

enum found { FOUND_NOTHING, FOUND_FOLDER, FOUND_FILE, FOUND_LINK, FOUND_OTHER };

/* What one layer says about a name. */
enum verdict { VERDICT_ABSENT, VERDICT_HIDDEN, VERDICT_THERE };

static bool is_opaque(int fd) {
    char value[2];
    return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

/* Opens the walk's folder in one layer. *last: layers below are hidden by this one. >= 0 a
 * descriptor, -ENOENT when the layer has no such folder, or -errno. */
static int open_in_layer(const struct walk *w, int layer, bool *last) {
    AUTO_CLOSE int fd = fcntl(layer, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return -errno;
    for (size_t i = 0; i < w->part_count; i++) {
        int next = openat(fd, w->parts[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int failed = errno;
        if (next < 0 && (failed == ENOTDIR || failed == ELOOP)) *last = true;
        if (next < 0) return failed == ENOENT || *last ? -ENOENT : -failed;
        (void)close(fd);
        fd = next;
        if (is_opaque(fd)) *last = true;
    }
    return STEAL_FD(fd);
}

/* Looks for base in the walk's folder of one layer. */
static int look_in_layer(const struct walk *w, int layer, const char *base, bool *last,
                         struct stat *out) {
    AUTO_CLOSE int folder = open_in_layer(w, layer, last);
    if (folder == -ENOENT) return VERDICT_ABSENT;
    if (folder < 0) return folder;
    if (fstatat(folder, base, out, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? VERDICT_ABSENT : -errno;
    if (S_ISCHR(out->st_mode) && out->st_rdev == makedev(0, 0)) return VERDICT_HIDDEN;
    return VERDICT_THERE;
}

static int open_layer(const struct walk *w, size_t i) {
    char name[STORE_NAME_BYTES];
    uint64_t dir;
    if (store_dir_of(w->layers[i], &dir) < 0) return -EINVAL;
    store_name_of(dir, name);
    return file_open_dir(w->store->layers_fd, name);
}

/* The uppermost layer that has base decides; *layer is its index. enum found or -errno. */
static int look(const struct walk *w, const char *base, size_t *layer) {
    bool last = false;
    for (size_t i = w->count; i-- > 0 && !last;) {
        struct stat st;
        AUTO_CLOSE int fd = open_layer(w, i);
        if (fd < 0) return fd;
        int verdict = look_in_layer(w, fd, base, &last, &st);
        if (verdict < 0) return verdict;
        if (verdict == VERDICT_HIDDEN) return FOUND_NOTHING;
        if (verdict == VERDICT_ABSENT) continue;
        *layer = i;
        if (S_ISDIR(st.st_mode)) return FOUND_FOLDER;
        if (S_ISREG(st.st_mode)) return FOUND_FILE;
        return S_ISLNK(st.st_mode) ? FOUND_LINK : FOUND_OTHER;
    }
    return FOUND_NOTHING;
}

/* Puts the link's target in front of what is left of the path. 0 or -errno. */
static int follow(struct walk *w, const char *base, size_t layer, struct str *rest) {
    char target[4096];
    bool ignored = false;
    if (++w->links > FOLLOWED_LINKS_MAX) return -ELOOP;
    AUTO_CLOSE int fd = open_layer(w, layer);
    if (fd < 0) return fd;
    AUTO_CLOSE int folder = open_in_layer(w, fd, &ignored);
    if (folder < 0) return folder;
    ssize_t n = readlinkat(folder, base, target, sizeof target);
    if (n < 0) return -errno;
    if ((size_t)n == sizeof target) return -ENAMETOOLONG;
    if (n > 0 && target[0] == '/') w->part_count = 0;
    char *joined = arena_fmt(w->a, "%.*s/%.*s", (int)n, target, STR_ARG(*rest));
    if (!joined) return -ENOSPC;
    *rest = str_of(joined);
    return 0;
}

static int read_found(const struct walk *w, const char *base, size_t layer, struct str *out) {
    bool ignored = false;
    AUTO_CLOSE int fd = open_layer(w, layer);
    if (fd < 0) return fd;
    AUTO_CLOSE int folder = open_in_layer(w, fd, &ignored);
    if (folder < 0) return folder;
    return file_read_arena(w->a, folder, base, IMAGE_FILE_BYTES_MAX, out);
}

/* One component. 1: go on, 0: *out holds the file, or -errno. */
static int step(struct walk *w, struct str part, struct str *rest, struct str *out) {
    size_t layer = 0;
    if (part.n == 0 || str_eq(part, STR("."))) return 1;
    if (str_eq(part, STR(".."))) {
        if (w->part_count > 0) w->part_count--;
        return 1;
    }
    char *base = str_to_c(w->a, part);
    if (!base) return -EINVAL;
    int found = look(w, base, &layer);
    if (found < 0) return found;
    switch ((enum found)found) {
    case FOUND_FOLDER:
        if (w->part_count == PARTS_MAX) return -ENAMETOOLONG;
        w->parts[w->part_count++] = base;
        return 1;
    case FOUND_LINK: {
        int r = follow(w, base, layer, rest);
        return r < 0 ? r : 1;
    }
    case FOUND_FILE: return rest->n > 0 ? -ENOTDIR : read_found(w, base, layer, out);
    case FOUND_OTHER: return -EINVAL;
    case FOUND_NOTHING: break;
    }
    return -ENOENT;
}

static int walk_path(struct walk *w, struct str path, struct str *out) {
    struct str rest = path;
    struct str part;
    while (str_next(&rest, '/', &part)) {
        int r = step(w, part, &rest, out);
        if (r <= 0) return r;
    }
    return -EISDIR;
}

int image_read_file(struct image_store *s, const struct image *im, struct str path, struct arena *a,
                    struct str *out, struct err *e) {
    struct walk w = {.store = s, .layers = im->layers, .count = im->layer_count, .a = a};
    int r = walk_path(&w, path, out);
    struct str shown = str_sub(path, 0, 200);
    if (r == 0) return 0;
    if (r == -EFBIG || r == -ENOSPC)
        return err_set(e, ERR_LIMIT, "the image's file '%.*s' is larger than %zu bytes",
                       STR_ARG(shown), IMAGE_FILE_BYTES_MAX);
    if (r == -EINVAL)
        return err_set(e, ERR_INVALID, "the image's '%.*s' is no regular file", STR_ARG(shown));
    return err_sys(e, -r, "read the image's file '%.*s'", STR_ARG(shown));
}
