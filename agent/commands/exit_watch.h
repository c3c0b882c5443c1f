/* SPDX-License-Identifier: Apache-2.0 — exit_watch.h: tells when a container has ended.
 *
 * exit.json is written for every end, by the shim or by whoever found the shim gone, and before
 * anybody is told. So this watches the container's folder for that name: it needs no hook in cri/,
 * sees an end that came long ago, and holds while the daemon is replaced. Loop thread. */
#pragma once

#include "agent/daemon.h"
#include "cri/container.h"

struct exit_watch;

/* on_exit comes once, from the loop, never from inside: x, or e (NOT_FOUND: removed before it ran;
 * CANCELLED: the daemon ends). NULL: e is set, and nothing will come. */
struct exit_watch *exit_watch_start(struct daemon *d, const char *container_id,
                                    void (*on_exit)(void *user, const struct container_exit *x,
                                                    const struct err *e),
                                    void *user, struct err *e) MUST_CHECK;
/* on_exit will not come. */
void exit_watch_cancel(struct exit_watch *w);
/* Ends all watches of the daemon with CANCELLED. */
void exit_watch_end_all(struct daemon *d);
