/* SPDX-License-Identifier: Apache-2.0 — notify.h: telling who started us how we are.
 *
 * Source: sd_notify(3): a datagram to the unix socket in $NOTIFY_SOCKET. Main thread. */
#pragma once

#include "base/err.h"

/* "READY=1", "STOPPING=1", "STATUS=..."; without $NOTIFY_SOCKET nothing happens. Tier (a). */
int notify_systemd(const char *state) MUST_CHECK;
/* Writes "READY=1\n" to fd and closes it. Tier (a). */
int notify_fd(int fd) MUST_CHECK;
