/* SPDX-License-Identifier: Apache-2.0 — implied.c: a layer of empty folders that have the right
 * attributes.
 *
 * For each path that some layer implies: overlayfs shows the attributes of the topmost layer that
 * has it. If that one only implies it, those of the topmost layer below that lists it are meant,
 * unless something between hides them (a whiteout, another kind of file, an opaque folder above).
 * When they differ from what an implied folder has, the path is made in the extra layer, and with
 * it the folders above it and the root, each with the attributes that it should show.
 *
 * The extra layer is keyed by the diff_ids of the whole stack, so images with equal stacks share
 * it, and it is collected like any other. */
#include "storage/image/implied.h"

#include "base/digest.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>

#define XATTR_LIST_BYTES_MAX  65536u /* the kernel's XATTR_LIST_MAX */
#define XATTR_VALUE_BYTES_MAX 65536u
#define KEY_PREFIX            "folders:"
#define KEY_BYTES             (sizeof KEY_PREFIX + DIGEST_HEX_CHARS)

struct paths {
    struct str *items; /* sorted; NUL-terminated outside of the length */
    size_t count;
};

struct builder {
    struct image_store *store;
    const struct implied_stack *stack;
    struct paths *implied; /* of each layer of the stack */
    struct arena arena;
    char key[KEY_BYTES];
    char tmp[STORE_TMP_BYTES]; /* "" until a folder is needed */
    int root;                  /* of tmp; owned */
    uint64_t folders;          /* made in it */
};

int implied_record(struct image_store *s, uint64_t dir, const struct report *r, struct err *e) {
    for (size_t i = 0; i < r->implied_count; i++)
        if (SQL_RUN(s->db, e, "INSERT OR IGNORE INTO implied(dir, path) VALUES(?1, ?2)",
                    SQL_NUMBER(dir), SQL_TEXT(r->implied[i])) < 0)
            return -1;
    return 0;
}

/* ---- what the database knows; under the lock ---- */

static int make_key(struct builder *b, struct err *e) {
    AUTO(sha256_done) struct sha256 h = SHA256_NONE;
    sha256_init(&h);
    for (size_t i = 0; i < b->stack->count; i++) {
        AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
        if (SQL_SELECT(b->store->db, &rows, e, "SELECT diff_id FROM layers WHERE dir = ?1",
                       SQL_NUMBER(b->stack->dirs[i])) < 0)
            return -1;
        int r = sqlite_next(&rows, e);
        if (r == 0) return err_set(e, ERR_NOT_FOUND, "a layer of the image is gone");
        if (r < 0) return -1;
        struct str diff_id = sqlite_text(&rows, 0);
        sha256_update(&h, diff_id.p, diff_id.n);
        sha256_update(&h, "\n", 1);
    }
    struct digest d = sha256_final(&h);
    char hex[DIGEST_HEX_CHARS + 1];
    (void)snprintf(b->key, sizeof b->key, KEY_PREFIX "%s", digest_hex(&d, hex));
    return 0;
}

/* 1 when there is such a layer, now held. */
static int find_made(struct builder *b, uint64_t *out_dir, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(b->store->db, &rows, e, "SELECT dir FROM layers WHERE diff_id = ?1",
                   SQL_TEXT(str_of(b->key))) < 0)
        return -1;
    int r = sqlite_next(&rows, e);
    if (r <= 0) return r;
    *out_dir = sqlite_number(&rows, 0);
    store_hold(b->store, *out_dir);
    return 1;
}

static int count_paths(struct image_store *s, uint64_t dir, size_t *out, struct err *e) {
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(s->db, &rows, e, "SELECT count(*) FROM implied WHERE dir = ?1",
                   SQL_NUMBER(dir)) < 0 ||
        sqlite_next(&rows, e) < 0)
        return -1;
    *out = (size_t)sqlite_number(&rows, 0);
    return 0;
}

static int too_many(struct err *e) {
    return err_set(e, ERR_LIMIT, "the image's layers leave out too many of their folders");
}

static int load_paths(struct builder *b, size_t layer, struct err *e) {
    size_t count, n = 0;
    int r = 0;
    if (count_paths(b->store, b->stack->dirs[layer], &count, e) < 0) return -1;
    struct str *items = arena_array(&b->arena, count + 1, sizeof *items);
    if (!items) return too_many(e);
    AUTO(sqlite_rows_done) struct sqlite_rows rows = {NULL};
    if (SQL_SELECT(b->store->db, &rows, e, "SELECT path FROM implied WHERE dir = ?1 ORDER BY path",
                   SQL_NUMBER(b->stack->dirs[layer])) < 0)
        return -1;
    while (n < count && (r = sqlite_next(&rows, e)) > 0) {
        items[n] = arena_str(&b->arena, sqlite_text(&rows, 0));
        if (!items[n++].p) return too_many(e);
    }
    if (r < 0) return -1;
    b->implied[layer] = (struct paths){items, n};
    return 0;
}

static int load(struct builder *b, uint64_t *out_dir, struct err *e) {
    b->implied = arena_array(&b->arena, b->stack->count, sizeof *b->implied);
    if (!b->implied) return too_many(e);
    if (make_key(b, e) < 0) return -1;
    int found = find_made(b, out_dir, e);
    for (size_t i = 0; found == 0 && i < b->stack->count; i++) found = load_paths(b, i, e);
    return found;
}

/* ---- what a folder should look like ---- */

static int compare_paths(const void *a, const void *b) {
    const struct str *left = a;
    const struct str *right = b;
    return strcmp(left->p, right->p);
}

static bool is_implied(const struct builder *b, size_t layer, const char *path) {
    const struct paths *p = &b->implied[layer];
    struct str key = str_of(path);
    return p->count > 0 && bsearch(&key, p->items, p->count, sizeof *p->items, compare_paths);
}

static bool is_opaque(int fd) {
    char value[2];
    return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

/* Opens the folder `path` of one layer: a descriptor, -ENOENT, or -errno. *hides: what lower layers
 * have there is not seen through this one. */
static int open_in_layer(const struct builder *b, size_t layer, const char *path, bool *hides) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    char name[STORE_NAME_BYTES], part[256];
    store_name_of(b->stack->dirs[layer], name);
    AUTO_CLOSE int fd = openat(b->store->layers_fd, name, flags);
    if (fd < 0) return -errno;
    struct str rest = str_of(path);
    for (struct str next; rest.n > 0 && str_next(&rest, '/', &next);) {
        (void)snprintf(part, sizeof part, "%.*s", STR_ARG(next));
        int below = openat(fd, part, flags);
        if (below < 0 && (errno == ENOTDIR || errno == ELOOP)) *hides = true;
        if (below < 0) return *hides ? -ENOENT : -errno;
        (void)close(fd);
        fd = below;
        if (rest.n > 0 && is_opaque(fd)) *hides = true;
    }
    return STEAL_FD(fd);
}

struct source {
    int fd;       /* the folder that lists the attributes; owned; -1: none does */
    bool implied; /* the topmost folder of the path is only implied */
};

static void source_done(struct source *s) {
    if (s->fd >= 0) (void)close(s->fd);
}

static int find_source(const struct builder *b, const char *path, struct source *out,
                       struct err *e) {
    bool hides = false;
    bool seen = false;
    for (size_t i = b->stack->count; i-- > 0 && !hides;) {
        AUTO_CLOSE int fd = open_in_layer(b, i, path, &hides);
        if (fd == -ENOENT) continue;
        if (fd < 0) return err_sys(e, -fd, "look at the folder '%.200s' of a layer", path);
        bool implied = is_implied(b, i, path);
        if (!seen) out->implied = implied;
        seen = true;
        if (implied) continue;
        out->fd = STEAL_FD(fd);
        return 0;
    }
    return 0;
}

/* ---- making ---- */

static bool xattr_wanted(const char *name) {
    struct str s = str_of(name);
    return str_starts(s, STR("user.")) || str_starts(s, STR("system.posix_acl_"));
}

/* Copies the attributes that layers can bring, or only counts them when to is -1. */
static int copy_xattrs(int from, int to, size_t *out_count, struct err *e) {
    AUTO_FREE char *names = xmalloc(XATTR_LIST_BYTES_MAX);
    AUTO_FREE char *value = xmalloc(XATTR_VALUE_BYTES_MAX);
    ssize_t n = flistxattr(from, names, XATTR_LIST_BYTES_MAX);
    if (n < 0 && errno == ENOTSUP) n = 0;
    if (n < 0) return err_sys(e, errno, "list the attributes of a folder");
    *out_count = 0;
    for (const char *at = names; at < names + n; at += strlen(at) + 1) {
        if (!xattr_wanted(at)) continue;
        ++*out_count;
        ssize_t size = to >= 0 ? fgetxattr(from, at, value, XATTR_VALUE_BYTES_MAX) : 0;
        if (size < 0) return err_sys(e, errno, "read the attribute '%.100s' of a folder", at);
        if (to >= 0 && fsetxattr(to, at, value, (size_t)size, 0) < 0)
            return err_sys(e, errno, "set the attribute '%.100s' of a folder", at);
    }
    return 0;
}

static int copy_attributes(int from, int to, struct err *e) {
    struct stat st;
    size_t ignored;
    if (fstat(from, &st) < 0) return err_sys(e, errno, "look at a folder");
    if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
        return err_sys(e, errno, "set the attributes of a folder");
    if (copy_xattrs(from, to, &ignored, e) < 0) return -1;
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    return futimens(to, times) < 0 ? err_sys(e, errno, "set the times of a folder") : 0;
}

/* Gives what was just made for `path` the attributes that it should show. */
static int dress(const struct builder *b, const char *path, int fd, struct err *e) {
    AUTO(source_done) struct source s = {.fd = -1};
    if (find_source(b, path, &s, e) < 0) return -1;
    return s.fd < 0 ? 0 : copy_attributes(s.fd, fd, e);
}

/* Starts the layer with its root. */
static int begin(struct builder *b, struct err *e) {
    if (store_tmp_make(b->store, b->tmp, e) < 0) return -1;
    b->root = file_open_dir(b->store->layers_fd, b->tmp);
    if (b->root < 0) return err_sys(e, -b->root, "open the folder '%s'", b->tmp);
    b->folders = 1;
    return dress(b, "", b->root, e);
}

/* Makes the folder `part` in parent unless it is there: its descriptor, or -1. The parent keeps its
 * times. */
static int make_one(struct builder *b, int parent, const char *part, const char *path,
                    struct err *e) {
    struct stat st;
    if (fstat(parent, &st) < 0) return err_sys(e, errno, "look at a folder");
    bool made = mkdirat(parent, part, 0755) == 0;
    if (!made && errno != EEXIST) return err_sys(e, errno, "make the folder '%.200s'", path);
    AUTO_CLOSE int fd = file_open_dir(parent, part);
    if (fd < 0) return err_sys(e, -fd, "open the folder '%.200s'", path);
    if (!made) return STEAL_FD(fd);
    b->folders++;
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (futimens(parent, times) < 0) return err_sys(e, errno, "set the times of a folder");
    return dress(b, path, fd, e) < 0 ? -1 : STEAL_FD(fd);
}

/* Makes the path and the folders above it. */
static int make(struct builder *b, const char *path, struct err *e) {
    if (!b->tmp[0] && begin(b, e) < 0) return -1;
    char prefix[4096], part[256];
    AUTO_CLOSE int fd = file_open_dir(b->root, ".");
    struct str rest = str_of(path);
    if (fd < 0) return err_sys(e, -fd, "open the folder '%s'", b->tmp);
    for (struct str next; rest.n > 0 && str_next(&rest, '/', &next);) {
        (void)snprintf(part, sizeof part, "%.*s", STR_ARG(next));
        (void)snprintf(prefix, sizeof prefix, "%.*s", (int)(next.p + next.n - path), path);
        int below = make_one(b, fd, part, prefix, e);
        if (below < 0) return -1;
        (void)close(fd);
        fd = below;
    }
    return 0;
}

/* 1 when the merged view shows the path with other attributes than the image means. */
static int shows_wrongly(const struct builder *b, const char *path, struct err *e) {
    AUTO(source_done) struct source s = {.fd = -1};
    struct stat st;
    size_t xattrs = 0;
    if (find_source(b, path, &s, e) < 0) return -1;
    if (!s.implied || s.fd < 0) return 0;
    if (fstat(s.fd, &st) < 0) return err_sys(e, errno, "look at a folder");
    if (copy_xattrs(s.fd, -1, &xattrs, e) < 0) return -1;
    return (st.st_mode & 07777) != 0755 || st.st_uid != 0 || st.st_gid != 0 || xattrs > 0;
}

static int make_all(struct builder *b, struct err *e) {
    for (size_t i = b->stack->count; i-- > 1;) /* the lowest has nothing below it */
        for (size_t p = 0; p < b->implied[i].count; p++) {
            const char *path = b->implied[i].items[p].p;
            int wrong = shows_wrongly(b, path, e);
            if (wrong < 0 || (wrong > 0 && make(b, path, e) < 0)) return -1;
        }
    return 0;
}

/* Under the lock: 1 recorded, 0 somebody else was faster, -1. */
static int record(struct builder *b, uint64_t *dir, struct err *e) {
    uint64_t winner;
    int found = find_made(b, &winner, e);
    if (found < 0) return -1;
    if (found > 0) {
        *dir = winner;
        return 0;
    }
    const struct layer_row row = {str_of(b->key), *dir, b->folders * 4096, b->folders, false};
    if (store_layer_add(b->store, &row, e) < 0) return -1;
    b->store->usage.bytes += row.bytes;
    b->store->usage.inodes += row.inodes;
    store_hold(b->store, *dir);
    return 1;
}

static int build(struct builder *b, uint64_t *out_dir, struct err *e) {
    uint64_t dir;
    if (make_all(b, e) < 0) return -1;
    if (!b->tmp[0]) return 0;
    if (store_tmp_keep(b->store, b->tmp, &dir, e) < 0) return -1;
    store_lock(b->store);
    int r = record(b, &dir, e);
    store_unlock(b->store);
    if (r < 0) return -1;
    if (r > 0) b->tmp[0] = '\0'; /* the store's now */
    *out_dir = dir;
    return 1;
}

int implied_layer(struct image_store *s, const struct implied_stack *stack, uint64_t *out_dir,
                  struct err *e) {
    struct builder b = {
        .store = s, .stack = stack, .arena = ARENA(IMPLIED_ARENA_BYTES_MAX), .root = -1};
    if (stack->count < 2) return 0;
    store_lock(s);
    int r = load(&b, out_dir, e);
    store_unlock(s);
    if (r == 0) r = build(&b, out_dir, e);
    if (b.root >= 0) (void)close(b.root);
    if (b.tmp[0]) (void)!trash_put(s->trash, b.tmp);
    arena_done(&b.arena);
    return r < 0 ? err_in(e, "folders that layers imply") : r;
}
