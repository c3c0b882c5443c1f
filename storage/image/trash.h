/* SPDX-License-Identifier: Apache-2.0 — trash.h: folders on their way out.
 *
 * Throwing away is a rename, so a layer is gone at once; one thread of the lowest priority deletes
 * what was renamed. The trash folders themselves are the queue, so nothing is lost when the process
 * dies and nothing grows in memory. Any thread. */
#pragma once

#include "base/err.h"

struct trash;

/* dir_fd: borrowed for the trash's life. Goes on with what an earlier process left. */
struct trash *trash_open(int dir_fd, struct err *e) MUST_CHECK;
/* Stops between two files; what is left is found again by trash_open(). NULL-safe. */
void trash_close(struct trash *t);
/* Renames the entry of dir_fd and wakes the thread. Tier (a); -ENOENT when there is none. */
int trash_put(struct trash *t, const char *name) MUST_CHECK;
/* Waits until everything that was put before is deleted. */
void trash_drain(struct trash *t);
/* True for a name that trash_put() made. */
bool trash_has(const char *name);
