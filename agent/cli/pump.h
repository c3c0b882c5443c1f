/* SPDX-License-Identifier: Apache-2.0 — pump.h: copies bytes from one descriptor to another inside
 * a poll loop, with one small buffer. One thread. */
#pragma once

#include "base/own.h"

#include <poll.h>
#include <stdbool.h>

#define PUMP_BYTES 4096 /* PIPE_BUF: a pipe that polls writable takes so much without waiting */

struct pump {
    int from, to; /* borrowed; -1: this end is over */
    bool own_to;  /* close `to` when `from` has ended: the other side sees the end */
    size_t at, n; /* bytes [at, n) of the buffer wait to be written */
    char bytes[PUMP_BYTES];
};

void pump_begin(struct pump *p, int from, int to);
/* Nothing is left to do: the source has ended and its bytes are written, or the target is gone. */
bool pump_ended(const struct pump *p);
/* What the pump waits for; out->fd is -1 when it has ended. */
void pump_poll(const struct pump *p, struct pollfd *out);
/* Does what can be done now, given what poll() said about the descriptor of pump_poll(). */
void pump_run(struct pump *p, const struct pollfd *polled);
/* Copies what is there without waiting for more, at the end of things. */
void pump_rest(struct pump *p);
