/* SPDX-License-Identifier: Apache-2.0 — keeper_log.h: a container's log file.
 *
 * Both streams go to one file in the CRI format. A log that cannot be written never stops the
 * container: its lines are counted as lost, and the file says so as soon as it can be written
 * again. */
#pragma once

#include "cri/shim/log_line.h"

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

struct keeper_log {
    int fd;           /* -1: no log */
    const char *path; /* absolute; borrowed */
    uint64_t bytes;   /* size of the file */
    uint64_t bytes_max, lost_bytes;
    uint32_t files_max;
};

/* Opens for appending, makes missing folders (0755) and the file (0640). path "": no log.
 * 0 or -errno. */
int keeper_log_open(struct keeper_log *log, const char *path);
/* Opens path anew and lets go of the old file; on -errno nothing has changed. */
int keeper_log_reopen(struct keeper_log *log);
/* Writes what `bytes` completes, keeps the rest in `line`. */
void keeper_log_write(struct keeper_log *log, enum log_stream stream, struct log_line *line,
                      struct str bytes);
/* The stream has ended. */
void keeper_log_end(struct keeper_log *log, enum log_stream stream, struct log_line *line);
void keeper_log_close(struct keeper_log *log);
