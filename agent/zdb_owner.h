/* SPDX-License-Identifier: Apache-2.0 — zdb_owner.h: which process serves a unix socket. */
#pragma once

#include "base/proc.h"

/* 0 and the process (its pidfd is the caller's), or -errno: ECONNREFUSED, ENOENT (nobody serves it
 * yet), ESRCH (it has just ended). Does not wait. Source: unix(7), SO_PEERCRED. */
int zdb_owner_find(const char *socket_path, struct proc *out) MUST_CHECK;
