/* SPDX-License-Identifier: Apache-2.0 — log_reader.c
 *
 * Draining is: read the file to its end; if NAME is another file by now, find where ours went among
 * the rotated names and go on with the one before it (NAME.2 -> NAME.1 -> NAME), else with NAME;
 * repeat until ours is NAME and at its end. A rotation between two of these steps is found by the
 * next round, because files are told apart by inode and an open file keeps its content. */
#include "agent/cli/log_reader.h"

#include "agent/cli/log_decode.h"
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>

#define READ_BYTES (64 * 1024)

static int open_log(const struct log_reader *r, unsigned rotation) {
    char name[NAME_MAX + 16];
    int n = rotation ? snprintf(name, sizeof name, "%s.%u", r->name, rotation)
                     : snprintf(name, sizeof name, "%s", r->name);
    if (n < 0 || (size_t)n >= sizeof name) return -ENAMETOOLONG;
    int fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static bool same_file(int a, int b) {
    struct stat one;
    struct stat two;
    return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_ino == two.st_ino &&
           one.st_dev == two.st_dev;
}

/* The file that follows r->fd in time, -ENOENT when r->fd is the newest. */
static int open_next(const struct log_reader *r) {
    AUTO_CLOSE int newest = open_log(r, 0);
    if (newest < 0) return newest;
    if (same_file(newest, r->fd)) return -ENOENT;
    for (unsigned i = 1; i <= LOG_READER_FILES_MAX; i++) {
        AUTO_CLOSE int old = open_log(r, i);
        if (old < 0) break;
        if (same_file(old, r->fd)) return i > 1 ? open_log(r, i - 1) : STEAL_FD(newest);
    }
    return STEAL_FD(newest); /* renamed by somebody else, or fallen off */
}

static int open_oldest(const struct log_reader *r) {
    int found = -ENOENT;
    for (unsigned i = 0; i <= LOG_READER_FILES_MAX; i++) {
        int fd = open_log(r, i);
        if (fd < 0 && i > 0) break;
        if (fd < 0) continue;
        if (found >= 0) (void)close(found);
        found = fd;
    }
    return found;
}

static int write_line(struct log_reader *r, struct str line, struct err *e) {
    struct log_entry entry;
    (void)log_decode(line, &entry);
    int to = entry.source == LOG_OF_STDERR ? r->error_fd : r->out_fd;
    int w = file_write_all(to, entry.payload.p, entry.payload.n);
    if (w == 0 && entry.full) w = file_write_all(to, "\n", 1);
    return w < 0 ? err_sys(e, -w, "write the log") : 0;
}

static int write_lines(struct log_reader *r, struct err *e) {
    size_t done = 0;
    ptrdiff_t at;
    struct str all = buf_view(&r->line);
    while ((at = str_find(str_sub(all, done, all.n), '\n')) >= 0) {
        if (write_line(r, str_sub(all, done, done + (size_t)at), e) < 0) return -1;
        done += (size_t)at + 1;
    }
    buf_consume(&r->line, done);
    if (r->line.n < LOG_READER_LINE_MAX) return 0;
    int w = write_line(r, buf_view(&r->line), e); /* no CRI log: pass it on */
    buf_clear(&r->line);
    return w;
}

static int read_to_end(struct log_reader *r, struct err *e) {
    for (;;) {
        if (buf_reserve(&r->line, READ_BYTES) < 0) return err_set(e, ERR_LIMIT, "a log line");
        ssize_t n = file_read_full(r->fd, r->line.p + r->line.n, READ_BYTES);
        if (n < 0) return err_sys(e, (int)-n, "read the log '%s'", r->path);
        if (n == 0) return 0;
        r->line.n += (size_t)n;
        if (write_lines(r, e) < 0) return -1;
    }
}

int log_reader_drain(struct log_reader *r, struct err *e) {
    char events[4096];
    while (r->notify_fd >= 0 && read(r->notify_fd, events, sizeof events) > 0) {
    }
    if (r->fd < 0) r->fd = open_oldest(r);
    while (r->fd >= 0) {
        if (read_to_end(r, e) < 0) return -1;
        int next = open_next(r);
        if (next < 0) return 0;
        /* What was written between the last read and the rotation. */
        if (read_to_end(r, e) < 0) {
            (void)close(next);
            return -1;
        }
        (void)close(r->fd);
        r->fd = next;
    }
    return 0;
}

int log_reader_open(struct log_reader *r, const char *path, bool follow, struct err *e) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || !slash[1] || (size_t)(slash - path) >= sizeof folder)
        return err_set(e, ERR_INVALID, "the log path '%s' is not usable", path);
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    r->dir_fd = file_open_dir(AT_FDCWD, folder);
    if (r->dir_fd < 0) return err_sys(e, -r->dir_fd, "open the log's folder '%s'", folder);
    r->path = xstrdup(path);
    r->name = r->path + (slash - path) + 1;
    r->line = BUF(LOG_READER_LINE_MAX + READ_BYTES);
    r->out_fd = STDOUT_FILENO;
    r->error_fd = STDERR_FILENO;
    if (follow) {
        r->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (r->notify_fd < 0 ||
            inotify_add_watch(r->notify_fd, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
            return err_sys(e, errno, "watch the log's folder '%s'", folder);
    }
    r->fd = open_oldest(r);
    if (r->fd < 0 && !(follow && r->fd == -ENOENT))
        return err_sys(e, -r->fd, "open the log '%s'", path);
    return 0;
}

void log_reader_close(struct log_reader *r) {
    int fds[] = {r->fd, r->dir_fd, r->notify_fd};
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0) (void)close(fds[i]);
    free(r->path);
    buf_done(&r->line);
    *r = LOG_READER_NONE;
}
