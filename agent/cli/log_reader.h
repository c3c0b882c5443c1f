/* SPDX-License-Identifier: Apache-2.0 — log_reader.h: reads a container's log files, over
 * rotations, and writes what the container wrote.
 *
 * A rotated log is renamed NAME.1, NAME.2, ... (the shim) or anything else (a kubelet), and NAME is
 * made anew. The reader keeps the file it is in, finishes it, and goes on with the next newer one.
 * One thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define LOG_READER_LINE_MAX  (64 * 1024) /* a longer line is no line of a CRI log */
#define LOG_READER_FILES_MAX 16          /* rotated files that are looked for */

struct log_reader {
    char *path;       /* owned */
    int dir_fd;       /* the log's folder */
    const char *name; /* in path */
    int fd;           /* the file it is in; -1: not there yet */
    int notify_fd;    /* poll it: readable when there may be more; -1 without follow */
    struct buf line;
    int out_fd, error_fd; /* borrowed */
};
#define LOG_READER_NONE ((struct log_reader){.dir_fd = -1, .fd = -1, .notify_fd = -1})

/* Starts with the oldest rotated file. follow: make notify_fd. A log that does not exist yet is no
 * error when following. */
int log_reader_open(struct log_reader *r, const char *path, bool follow, struct err *e) MUST_CHECK;
/* Writes everything that is there by now. */
int log_reader_drain(struct log_reader *r, struct err *e) MUST_CHECK;
void log_reader_close(struct log_reader *r); /* idempotent */
