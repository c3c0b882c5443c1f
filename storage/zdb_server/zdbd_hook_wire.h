/* SPDX-License-Identifier: Apache-2.0 — zdbd_hook_wire.h: between the server and its hook runner.
 *
 * One SOCK_SEQPACKET message a call: name and arguments, each with a NUL behind it, and one
 * descriptor to answer on: an int32 with the pid when it runs, an int32 with the status when it has
 * ended. A message without arguments and descriptor says that the server ends as it should. */
#pragma once

#define ZDBD_HOOK_ARGS_MAX  16
#define ZDBD_HOOK_RUNNER_FD 3
