/* SPDX-License-Identifier: Apache-2.0 — exit_file.h: exit.json, the truth about a container that
 * ended. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EXIT_FILE_NAME      "exit.json"
#define EXIT_FILE_BYTES_MAX 4096 /* what a reader needs */

struct exit_record {
    int exit_code; /* 128 + signal; 128 when it could not be started */
    int signal;    /* 0: it exited by itself */
    bool oom_killed;
    int64_t started_at_ns, finished_at_ns; /* wall clock; started 0: never ran */
    const char *reason;                    /* Completed, Error, OOMKilled, StartError */
    const char *message;                   /* any bytes */
};

/* One JSON object with the members exit_code, signal, oom_killed, started_at_ns, finished_at_ns,
 * reason, message. out: EXIT_FILE_BYTES_MAX. Returns the length; a message that is too long is
 * cut. */
int exit_file_format(const struct exit_record *r, char *out);
/* Writes exit.json into the folder `dir`, in the room that was reserved for it where it was; when
 * it returns 0, name and content are on stable storage. -errno. */
int exit_file_write(int dir, const struct exit_record *r);
