/* SPDX-License-Identifier: Apache-2.0 — keeper_log.c: CRI log lines into a file, with rotation.
 *
 * A batch (what one read of a pipe gave) is written by as few writev calls as its lines allow; all
 * its lines carry one time stamp. A batch that is cut short by an error is cut off again, so the
 * file holds whole lines only; its bytes are counted as lost. Rotation, where a limit is set,
 * happens between batches: name -> name.1 -> ... -> name.files_max. */
#include "cri/shim/keeper_log.h"

#include "base/clock.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_FILE_MODE   0640
#define LOG_FOLDER_MODE 0755
#define LOG_PARTS_MAX   128 /* iovecs of one writev */
#define LOG_HEAD_BYTES  (CLOCK_RFC3339_BYTES + sizeof " stdout F ")

static void make_folders(const char *path) {
    char part[PATH_MAX];
    for (size_t i = 1; path[i] && i < sizeof part; i++) {
        if (path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        (void)mkdir(part, LOG_FOLDER_MODE); /* what really fails is seen when the file is opened */
    }
}

static int open_file(const char *path) {
    for (int tries = 0; tries < 2; tries++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                      LOG_FILE_MODE);
        if (fd >= 0 || errno != ENOENT) return fd >= 0 ? fd : -errno;
        make_folders(path);
    }
    return -ENOENT;
}

static int take_file(struct keeper_log *log, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return -EINVAL;
    }
    if (log->fd >= 0) (void)close(log->fd);
    log->fd = fd;
    log->bytes = (uint64_t)st.st_size;
    return 0;
}

int keeper_log_open(struct keeper_log *log, const char *path) {
    log->fd = -1;
    log->path = path;
    return *path ? keeper_log_reopen(log) : 0;
}

int keeper_log_reopen(struct keeper_log *log) {
    if (log->path[0] == '\0') return 0;
    int fd = open_file(log->path);
    return fd < 0 ? fd : take_file(log, fd);
}

void keeper_log_close(struct keeper_log *log) {
    if (log->fd >= 0) (void)close(log->fd);
    log->fd = -1;
}

/* name -> name.1, the oldest falls off. A failure leaves the log as it is. */
static void rotate(struct keeper_log *log) {
    char from[PATH_MAX + 16];
    char to[PATH_MAX + 16];
    for (uint32_t i = log->files_max; i > 0; i--) {
        (void)snprintf(to, sizeof to, "%s.%u", log->path, i);
        if (i > 1)
            (void)snprintf(from, sizeof from, "%s.%u", log->path, i - 1);
        else
            (void)snprintf(from, sizeof from, "%s", log->path);
        (void)rename(from, to);
    }
    if (log->files_max == 0) (void)unlink(log->path);
    (void)keeper_log_reopen(log);
}

/* ---- one batch ---- */

struct batch {
    struct keeper_log *log;
    char head[2][LOG_HEAD_BYTES]; /* [full] */
    size_t head_bytes;
    uint64_t start_bytes; /* size of the file before */
    uint64_t payload;     /* bytes of the container's in this batch */
    bool failed;
    int count;
};

static struct iovec parts[LOG_PARTS_MAX]; /* one thread, one batch at a time */

static void batch_begin(struct batch *b, struct keeper_log *log, enum log_stream stream) {
    char stamp[CLOCK_RFC3339_BYTES];
    (void)clock_rfc3339(clock_wall_ns(), stamp);
    const char *name = stream == LOG_STDOUT ? "stdout" : "stderr";
    *b = (struct batch){.log = log, .start_bytes = log->bytes};
    int n = snprintf(b->head[0], LOG_HEAD_BYTES, "%s %s P ", stamp, name);
    (void)snprintf(b->head[1], LOG_HEAD_BYTES, "%s %s F ", stamp, name);
    b->head_bytes = (size_t)n;
}

/* Drops what was written of the batch. */
static void batch_fail(struct batch *b) {
    b->failed = true;
    if (ftruncate(b->log->fd, (off_t)b->start_bytes) == 0) b->log->bytes = b->start_bytes;
}

static void batch_flush(struct batch *b) {
    struct iovec *next = parts;
    int left = b->count;
    b->count = 0;
    while (left > 0 && !b->failed) {
        ssize_t n = writev(b->log->fd, next, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return batch_fail(b);
        b->log->bytes += (uint64_t)n;
        while (left > 0 && (size_t)n >= next->iov_len) {
            n -= (ssize_t)next->iov_len;
            next++;
            left--;
        }
        if (left > 0) {
            next->iov_base = (char *)next->iov_base + n;
            next->iov_len -= (size_t)n;
        }
    }
}

static void batch_part(struct batch *b, const char *p, size_t n) {
    if (n) parts[b->count++] = (struct iovec){(void *)(uintptr_t)p, n};
}

static void batch_piece(struct batch *b, const struct log_piece *piece) {
    if (b->count > LOG_PARTS_MAX - 4) batch_flush(b);
    batch_part(b, b->head[piece->full], b->head_bytes);
    batch_part(b, piece->head.p, piece->head.n);
    batch_part(b, piece->tail.p, piece->tail.n);
    batch_part(b, "\n", 1);
    b->payload += piece->head.n + piece->tail.n + piece->full;
}

/* Tells what was lost, in front of the first line that can be written again. */
static void batch_confess(struct batch *b) {
    char text[96];
    if (b->log->lost_bytes == 0) return;
    int n = snprintf(text, sizeof text,
                     "gridlet: %llu bytes of output were lost: the log could not be written",
                     (unsigned long long)b->log->lost_bytes);
    struct log_piece piece = {.tail = {text, (size_t)n}, .full = true};
    batch_piece(b, &piece);
    b->payload = 0;
    batch_flush(b);
}

static void batch_end(struct batch *b) {
    batch_flush(b);
    if (b->failed)
        b->log->lost_bytes += b->payload;
    else if (b->payload)
        b->log->lost_bytes = 0;
}

void keeper_log_write(struct keeper_log *log, enum log_stream stream, struct log_line *line,
                      struct str bytes) {
    struct log_piece piece;
    struct batch b;
    if (log->fd < 0) return;
    if (log->bytes_max && log->bytes > 0 && log->bytes + bytes.n > log->bytes_max) rotate(log);
    batch_begin(&b, log, stream);
    bool first = true;
    while (log_line_next(line, &bytes, &piece)) {
        if (first) batch_confess(&b);
        first = false;
        batch_piece(&b, &piece);
    }
    if (!first) batch_end(&b);
    log_line_hold(line, bytes);
}

void keeper_log_end(struct keeper_log *log, enum log_stream stream, struct log_line *line) {
    struct log_piece piece;
    struct batch b;
    if (log->fd < 0 || !log_line_end(line, &piece)) return;
    batch_begin(&b, log, stream);
    batch_confess(&b);
    batch_piece(&b, &piece);
    batch_end(&b);
}
