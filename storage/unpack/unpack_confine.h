/* SPDX-License-Identifier: Apache-2.0 — unpack_confine.h: gridlet-unpack gives up what it does not
 * need.
 *
 * After it: no new privileges, six capabilities (files' owners, modes, devices, attributes), no
 * path outside of the one folder reachable where the kernel has Landlock, and only the system calls
 * that unpacking makes: no network, no execve, no new executable memory. */
#pragma once

#include "base/err.h"

/* root_fd: the folder that stays writable. All threads are confined; the caller is the main thread
 * and others may exist only parked. */
int unpack_confine_privileges(int root_fd, struct err *e) MUST_CHECK;
/* The last step: the filter of system calls, on all threads. */
int unpack_confine_syscalls(struct err *e) MUST_CHECK;
