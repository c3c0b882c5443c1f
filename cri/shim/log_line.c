/* SPDX-License-Identifier: Apache-2.0 — log_line.c: lines, parts and rests. */
#include "cri/shim/log_line.h"

#include <assert.h>

bool log_line_next(struct log_line *l, struct str *in, struct log_piece *out) {
    size_t room = LOG_LINE_BYTES_MAX - l->held;
    struct str view = str_sub(*in, 0, room + 1); /* the newline may follow a line of full length */
    ptrdiff_t at = str_find(view, '\n');
    if (at < 0 && view.n <= room) return false;
    size_t n = at < 0 ? room : (size_t)at;
    *out = (struct log_piece){.head = {l->hold, l->held}, .tail = {in->p, n}, .full = at >= 0};
    *in = str_sub(*in, n + (at >= 0), in->n);
    l->held = 0;
    return true;
}

void log_line_hold(struct log_line *l, struct str rest) {
    assert(rest.n <= LOG_LINE_BYTES_MAX - l->held);
    if (rest.n) memcpy(l->hold + l->held, rest.p, rest.n);
    l->held += (uint32_t)rest.n;
}

bool log_line_end(struct log_line *l, struct log_piece *out) {
    if (l->held == 0) return false;
    *out = (struct log_piece){.head = {l->hold, l->held}};
    l->held = 0;
    return true;
}
