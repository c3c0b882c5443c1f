/* SPDX-License-Identifier: Apache-2.0 — init_copy.c: fills a volume with what the image has in its
 * place. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define COPY_DEPTH_MAX   64
#define COPY_CHUNK_BYTES (1u << 20)
#define XATTR_LIST_BYTES 2048
#define XATTR_BYTES      1024

static int copy_folder(int from, int to, int depth);

static void copy_xattrs(int from, int to) {
    char names[XATTR_LIST_BYTES];
    char value[XATTR_BYTES];
    ssize_t n = flistxattr(from, names, sizeof names);
    for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
        ssize_t bytes = fgetxattr(from, name, value, sizeof value);
        if (bytes >= 0) (void)fsetxattr(to, name, value, (size_t)bytes, 0); /* as far as it can */
    }
}

/* Owner, mode, xattrs, times, in this order: chown clears set-id bits and capabilities. */
static int copy_attributes(int from, int to, const struct stat *st) {
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
        return -errno;
    copy_xattrs(from, to);
    return futimens(to, times) < 0 ? -errno : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name) {
    AUTO_CLOSE int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0) return -errno;
    AUTO_CLOSE int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;
    if (to < 0 || fstat(from, &st) < 0) return -errno;
    ssize_t n = 0;
    do n = sendfile(to, from, NULL, COPY_CHUNK_BYTES);
    while (n > 0);
    return n < 0 ? -errno : copy_attributes(from, to, &st);
}

static int copy_other(int from_dir, int to_dir, const char *name, const struct stat *st) {
    if (S_ISLNK(st->st_mode)) {
        char path[PATH_MAX];
        ssize_t n = readlinkat(from_dir, name, path, sizeof path - 1);
        if (n < 0) return -errno;
        path[n] = '\0';
        if (symlinkat(path, to_dir, name) < 0) return -errno;
    } else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0) {
        return -errno;
    }
    return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_entry(int from, int to, const char *name, int depth) {
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    if (S_ISREG(st.st_mode)) return copy_file(from, to, name);
    if (!S_ISDIR(st.st_mode)) return copy_other(from, to, name, &st);
    if (mkdirat(to, name, 0700) < 0) return -errno;
    AUTO_CLOSE int from_sub = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    AUTO_CLOSE int to_sub = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from_sub < 0 || to_sub < 0) return -errno;
    return copy_folder(from_sub, to_sub, depth + 1);
}

static int copy_folder(int from, int to, int depth) {
    struct stat st;
    if (depth > COPY_DEPTH_MAX) return -ELOOP;
    if (fstat(from, &st) < 0) return -errno;
    int list_fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list_fd < 0) return -errno;
    DIR *list = fdopendir(list_fd);
    if (!list) {
        (void)close(list_fd);
        return -ENOMEM;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(list));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = copy_entry(from, to, entry->d_name, depth);
    (void)closedir(list);
    return r < 0 ? r : copy_attributes(from, to, &st);
}

int init_copy(int from, int to) { return copy_folder(from, to, 0); }
