/* SPDX-License-Identifier: Apache-2.0 — zdbd_hook.h: a program that is told of events.
 *
 * HOOK NAME INSTANCE ARGS... It is started by a runner, a process of ours that was made before the
 * server confined itself: what the hook runs (an interpreter, a network client) would not work
 * within the server's walls. All the server can do is name an event and its arguments. When the
 * server is gone without having said so, the runner calls the event `crash`.
 * Source: 0-db 2.0.7 (libzdb/hook.c). */
#pragma once

#include "base/buf.h"
#include "base/loop.h"

struct zdbd_hook;

#define ZDBD_HOOK_BYTES_MAX   (128 * 1024) /* name and arguments */
#define ZDBD_HOOK_RECORDS_MAX 256          /* that HOOKS shows; more at once are not started */
#define ZDBD_HOOK_RECORD_MS   60000        /* how long an ended one is shown */

/* Starts the runner (program: this one's path; user: whose rights the hook gets, or NULL). Errors:
 * what starting it gives, NOT_FOUND when path is no program. */
struct zdbd_hook_options {
    const char *program, *path, *instance, *user;
};
int zdbd_hook_open(const struct zdbd_hook_options *o, struct zdbd_hook **out,
                   struct err *e) MUST_CHECK;
/* Waits for the end of the runner, and with it of all hooks; `crash` is not called. NULL-safe. */
void zdbd_hook_close(struct zdbd_hook *h);

/* Calls and waits. args: NULL-terminated, after the instance. Returns the exit status (128 + signal
 * when it was killed); -1: it could not be called. Any thread. */
int zdbd_hook_call(struct zdbd_hook *h, const char *name, const char *const *args,
                   struct err *e) MUST_CHECK;
/* Calls and does not wait; failures are logged. Loop thread. */
void zdbd_hook_post(struct zdbd_hook *h, struct loop *l, const char *name, const char *const *args);

/* What HOOKS shows. */
struct zdbd_hook_record {
    char *name;
    char **args;                   /* NULL-terminated */
    int64_t created_s, finished_s; /* finished_s 0: it runs */
    int32_t pid, status;
};
/* Forgets ended ones that are too old; *out is valid until the next call of this module. */
size_t zdbd_hook_records(struct zdbd_hook *h, const struct zdbd_hook_record **out);

/* The runner's main: `gridlet-zdb hook-runner PATH INSTANCE USER`, descriptor 3 is the server. */
int zdbd_hook_runner_main(int argc, char **argv);
#define ZDBD_HOOK_RUNNER "hook-runner"
