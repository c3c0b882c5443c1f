/* SPDX-License-Identifier: Apache-2.0 — zdbd_privileges.h: what the server keeps once it serves:
 * its sockets, its two folders, and the system calls that serving makes. */
#pragma once

#include "base/err.h"

#define ZDBD_USER_NAME "gridlet-zdb" /* made by the package */

/* As many open files as the machine allows: each namespace keeps its own open. */
void zdbd_privileges_raise_files(void);
/* Whom to become. Fills out with the user when it exists and we are root; false: stay who we are.
 */
bool zdbd_privileges_user(const char *wanted, const char **out, struct err *e);
/* Becomes the user, with its groups. Needs root. Before there are threads. Errors: NOT_FOUND,
 * DENIED. */
int zdbd_privileges_become(const char *user, struct err *e) MUST_CHECK;
/* Gives the folder (made when it is missing) to the user, when it was made by us just now. */
int zdbd_privileges_folder(const char *path, const char *user, struct err *e) MUST_CHECK;
/* Whether the process, as that user, may work in the folder; the error says what to do. */
int zdbd_privileges_check(const char *path, const char *user, struct err *e) MUST_CHECK;
/* No capabilities, no new privileges, nothing outside of the folders (NULL ones are left out).
 * Before there are threads. */
int zdbd_privileges_fence(const char *const *folders, size_t count, struct err *e) MUST_CHECK;
/* The filter of system calls; the last step, with all threads. */
int zdbd_privileges_filter(struct err *e) MUST_CHECK;
/* The same for a program that has more in it: at most 16 further calls. */
struct confine_call;
int zdbd_privileges_filter_with(const struct confine_call *more, size_t count,
                                struct err *e) MUST_CHECK;
