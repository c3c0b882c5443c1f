/* SPDX-License-Identifier: Apache-2.0 — log_line.h: cuts a stream of bytes into the lines of a CRI
 * log.
 *
 * Sans-IO, no allocation. A line goes out whole (tag F) when its newline is there; a line longer
 * than LOG_LINE_BYTES_MAX goes out in parts (tag P), the last of them with F; what a stream leaves
 * without a newline at its end goes out with P, so that a reader that joins parts gets exactly the
 * bytes that were written (containerd does the same). One thread at a time. */
#pragma once

#include "base/str.h"

#define LOG_LINE_BYTES_MAX 16384u

struct log_line {
    char *hold;    /* LOG_LINE_BYTES_MAX bytes; borrowed from the owner */
    uint32_t held; /* bytes of an unfinished line in it */
};

/* One line or part: head (points into hold) followed by tail (points into the input). */
struct log_piece {
    struct str head, tail;
    bool full; /* F, else P */
};

/* Takes the next piece off *in. False when there is none: then *in is an unfinished rest (of at
 * most LOG_LINE_BYTES_MAX bytes with what is held), to be given to log_line_hold() after all pieces
 * were written. The held bytes count as taken by the first piece: its head must be written before
 * log_line_hold() is called. */
bool log_line_next(struct log_line *l, struct str *in, struct log_piece *out);
void log_line_hold(struct log_line *l, struct str rest);
/* At the end of the stream: the unfinished rest, if there is one. */
bool log_line_end(struct log_line *l, struct log_piece *out);
