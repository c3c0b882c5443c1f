/* SPDX-License-Identifier: Apache-2.0 — init_target.c: finding and making mount points inside a
 * root that a stranger filled.
 *
 * What exists is found by one openat2(RESOLVE_IN_ROOT). What is missing is made by walking: each
 * component is opened below the one before without following links, a link is read and walked like
 * the rest of the path (absolute ones from the root), ".." goes back along the real names walked so
 * far. So even a link that is swapped meanwhile cannot lead out of the root, and a dangling link in
 * an image (/etc/resolv.conf -> /run/...) gets its target made inside of the container. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX   40
#define FOLDER_MODE 0755
#define FILE_MODE   0644

int init_target_find(int root, const char *path) {
    return kernel_openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

struct walk {
    int root;
    int at;              /* O_PATH of the folder reached; owned */
    char done[PATH_MAX]; /* its real path below root, "/a/b", "" for root */
    char rest[PATH_MAX]; /* what is still to be walked */
    bool links;          /* may symbolic links be followed? */
    int links_left;
    enum target_kind kind;
};

static int move_to(struct walk *w, int fd) {
    if (fd < 0) return fd;
    (void)close(w->at);
    w->at = fd;
    return 0;
}

/* Back to the folder that `done` names. */
static int reopen(struct walk *w) {
    return move_to(w, kernel_openat2(w->root, w->done[0] ? w->done : "/", O_PATH | O_DIRECTORY,
                                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
}

static int go_up(struct walk *w) {
    char *slash = strrchr(w->done, '/');
    if (!slash) return 0;
    *slash = '\0';
    return reopen(w);
}

/* The link `name` takes the place of its name in the rest of the path. */
static int follow(struct walk *w, const char *name) {
    char path[PATH_MAX];
    if (!w->links || w->links_left-- == 0) return -ELOOP;
    ssize_t n = readlinkat(w->at, name, path, sizeof path - 1);
    if (n < 0) return -errno;
    path[n] = '\0';
    size_t used = (size_t)n;
    size_t more = strlen(w->rest);
    if (used + 1 + more >= sizeof path) return -ENAMETOOLONG;
    path[used] = '/';
    memcpy(path + used + 1, w->rest, more + 1);
    memcpy(w->rest, path, used + 1 + more + 1);
    if (path[0] != '/') return 0;
    w->done[0] = '\0';
    return reopen(w);
}

static int make(struct walk *w, const char *name, bool last) {
    if (last && w->kind == TARGET_FILE) {
        int fd =
            openat(w->at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (fd < 0 && errno != EEXIST) return -errno;
        if (fd >= 0) (void)close(fd);
        return 0;
    }
    return mkdirat(w->at, name, FOLDER_MODE) < 0 && errno != EEXIST ? -errno : 0;
}

/* One component that is neither "." nor "..". */
static int step(struct walk *w, const char *name, bool last) {
    int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int r = make(w, name, last);
        if (r < 0) return r;
        fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode)) {
        (void)close(fd);
        return follow(w, name);
    }
    size_t used = strlen(w->done);
    int n = snprintf(w->done + used, sizeof w->done - used, "/%s", name);
    if (n < 0 || (size_t)n >= sizeof w->done - used) {
        (void)close(fd);
        return -ENAMETOOLONG;
    }
    return move_to(w, fd);
}

/* Takes the first component off the rest; false at the end. */
static bool next_name(struct walk *w, char *name, bool *out_last) {
    char *p = w->rest;
    while (*p == '/') p++;
    size_t n = strcspn(p, "/");
    if (n == 0 || n > NAME_MAX) return false;
    memcpy(name, p, n);
    name[n] = '\0';
    p += n;
    while (*p == '/') p++;
    *out_last = *p == '\0';
    memmove(w->rest, p, strlen(p) + 1);
    return true;
}

static int walk_all(struct walk *w) {
    char name[NAME_MAX + 1];
    bool last = false;
    while (next_name(w, name, &last)) {
        int r = 0;
        if (strcmp(name, "..") == 0)
            r = go_up(w);
        else if (strcmp(name, ".") != 0)
            r = step(w, name, last);
        if (r < 0) return r;
    }
    return w->rest[strspn(w->rest, "/")] ? -ENAMETOOLONG : 0;
}

static int walk_path(int root, const char *path, enum target_kind kind, bool links) {
    struct walk w = {.root = root, .links = links, .links_left = LINKS_MAX, .kind = kind};
    size_t n = strlen(path);
    if (n >= sizeof w.rest) return -ENAMETOOLONG;
    memcpy(w.rest, path, n + 1);
    w.at = kernel_openat2(root, "/", O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
    if (w.at < 0) return w.at;
    int r = walk_all(&w);
    if (r == 0) return w.at;
    (void)close(w.at);
    return r;
}

int init_target(int root, const char *path, enum target_kind kind) {
    int fd = init_target_find(root, path);
    return fd == -ENOENT ? walk_path(root, path, kind, true) : fd;
}

int init_target_strict(int root, const char *path, enum target_kind kind) {
    return walk_path(root, path, kind, false);
}
