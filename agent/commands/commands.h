/* SPDX-License-Identifier: Apache-2.0 — commands.h: the admin commands, one function each.
 *
 * What each takes and answers is said above its function. All of them run on the loop and go
 * through the CRI's own method table, so a person and a kubelet take the same path. */
#pragma once

#include "agent/commands/listing.h"
#include "agent/daemon.h"

extern const struct admin_command commands_table[];
extern const size_t commands_count;

typedef void command_run(struct admin_call *c, void *user);

command_run command_version, command_status;           /* node.c */
command_run command_pods, command_ps;                  /* pods.c */
command_run command_inspect, command_logs;             /* inspect.c */
command_run command_images, command_pull, command_rmi; /* images.c */
command_run command_run_container;                     /* run.c */
command_run command_stop, command_rm;                  /* stop.c */
command_run command_exec;                              /* exec.c */
command_run command_wait;                              /* wait.c */
command_run command_zdb, command_zdb_create;           /* zdb.c */
command_run command_zdb_set, command_zdb_rm;           /* zdb.c */

/* Ends a call with what w wrote into b: a result, or LIMIT when it did not fit. */
void command_answer(struct admin_call *c, const struct json_out *w, const struct buf *b);
/* err_set + admin_fail. */
void command_refuse(struct admin_call *c, enum err_kind kind, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Label of pods that `gridlet run` made; its value is the CLI's name for them. */
#define COMMAND_LABEL     "gridlet.io/run"
#define COMMAND_NAMESPACE "gridlet"
