/* SPDX-License-Identifier: Apache-2.0 — signals.h: signals as something to poll, and the terminal
 * in raw mode while a command inside a container has it. Main thread. */
#pragma once

#include "base/err.h"

#include <termios.h>

/* Blocks the given signals (0-terminated) and returns a descriptor that tells of them, or -1. */
int signals_open(const int *signums, struct err *e) MUST_CHECK;
/* The next signal, or 0 when there is none now. */
int signals_next(int fd);

struct terminal {
    int fd;
    bool raw;
    struct termios before;
};
/* Raw mode when fd is a terminal; else nothing. */
int terminal_raw(struct terminal *t, int fd, struct err *e) MUST_CHECK;
void terminal_restore(struct terminal *t); /* idempotent */
/* Gives the pty behind `to` the size of the terminal `from`. */
void terminal_copy_size(int from, int to);
