/* SPDX-License-Identifier: Apache-2.0 — follow.h: shows a container's log until the container ends.
 * A daemon that is restarted meanwhile is waited for: the container does not notice it either. */
#pragma once

#include "agent/cli/cli.h"

struct follow {
    struct cli *cli;
    const char *name; /* the container, id or name */
    int signals;      /* signals.h; -1: none */
    /* A signal came; returns true to go on following. NULL: it ends the following. */
    bool (*on_signal)(struct follow *f, int signum);
};
/* Copies the log to stdout and stderr until the container has ended and everything is shown.
 * *out_exit_code: the container's, or 128 + signal when a signal ended the following. */
int follow_run(struct follow *f, int *out_exit_code, struct err *e) MUST_CHECK;
/* Asks for the log's path; lives in cli->arena. */
int follow_log_path(struct cli *c, const char *name, const char **out, struct err *e) MUST_CHECK;
