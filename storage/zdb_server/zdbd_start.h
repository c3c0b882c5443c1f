/* SPDX-License-Identifier: Apache-2.0 — zdbd_start.h: what comes before serving: the log, and the
 * way to the background. */
#pragma once

#include "storage/zdb_server/zdbd_settings.h"

/* Level and file of the log. */
int zdbd_start_log(const struct zdbd_settings *s, struct err *e) MUST_CHECK;
/* Starts the program again without --background, waits until that one serves, and prints its pid.
 * Returns the exit status. */
int zdbd_start_background(int argc, char *const *argv);
