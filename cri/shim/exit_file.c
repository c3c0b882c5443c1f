/* SPDX-License-Identifier: Apache-2.0 — exit_file.c: writes exit.json durably. */
#include "cri/shim/exit_file.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMP_NAME          ".exit.json.tmp"
#define MESSAGE_BYTES_MAX 3072
#define ESCAPE_BYTES      6 /* \u001f */

/* Escapes up to the limit; control bytes and all beyond ASCII (it may be no UTF-8) become \u00xx.
 */
static void escape(const char *text, char *out) {
    size_t n = 0;
    for (; *text && n + ESCAPE_BYTES < MESSAGE_BYTES_MAX; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20 || c >= 0x7f) {
            n += (size_t)snprintf(out + n, ESCAPE_BYTES + 1, "\\u%04x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n] = '\0';
}

int exit_file_format(const struct exit_record *r, char *out) {
    char message[MESSAGE_BYTES_MAX + 1];
    escape(r->message ? r->message : "", message);
    return snprintf(out, EXIT_FILE_BYTES_MAX,
                    "{\"exit_code\":%d,\"signal\":%d,\"oom_killed\":%s,\"started_at_ns\":%lld,"
                    "\"finished_at_ns\":%lld,\"reason\":\"%s\",\"message\":\"%s\"}\n",
                    r->exit_code, r->signal, r->oom_killed ? "true" : "false",
                    (long long)r->started_at_ns, (long long)r->finished_at_ns, r->reason, message);
}

/* The data is on the disk before the name is: see base/file.c, which is too large for a shim. The
 * file is there already, with room on the disk, since the container was created (file_reserve()).
 */
static int write_tmp(int fd, const char *text, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t w = pwrite(fd, text + at, n - at, (off_t)at);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return -errno;
        at += (size_t)w;
    }
    if (ftruncate(fd, (off_t)n) < 0) return -errno;
    unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    return sync_file_range(fd, 0, 0, how) < 0 ? -errno : 0;
}

int exit_file_write(int dir, const struct exit_record *record) {
    char text[EXIT_FILE_BYTES_MAX];
    int n = exit_file_format(record, text);
    AUTO_CLOSE int fd = openat(dir, TMP_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    int r = write_tmp(fd, text, (size_t)n);
    if (r < 0) return r;
    if (renameat(dir, TMP_NAME, dir, EXIT_FILE_NAME) < 0 || fsync(fd) < 0) return -errno;
    AUTO_CLOSE int folder =
        openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* dir may be O_PATH */
    if (folder < 0) return -errno;
    return fsync(folder) < 0 ? -errno : 0;
}
