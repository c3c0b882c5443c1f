/* SPDX-License-Identifier: Apache-2.0 — s3d_walls.h: what gridlet-s3 keeps once it serves: its
 * sockets, its folder, and the system calls that serving makes. */
#pragma once

#include "base/err.h"

/* No capabilities, no new privileges, nothing outside of the folder. Before there are threads. */
int s3d_walls_fence(const char *root, struct err *e) MUST_CHECK;
/* The filter of system calls; the last step, with all threads. */
int s3d_walls_filter(struct err *e) MUST_CHECK;
