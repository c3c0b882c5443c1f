/* SPDX-License-Identifier: Apache-2.0 — cli.h: the gridlet command line.
 *
 * One function per command. stdout carries what was asked for, stderr everything else; a table for
 * people, JSON or YAML for scripts. One thread. */
#pragma once

#include "agent/admin_client.h"
#include "agent/cli/output.h"

#include <getopt.h>

/* Exit statuses of our own; run and exec otherwise pass on the container's. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CONTAINER_FAILED = 125 };

#define CLI_ARENA_BYTES (256u << 20)

struct cli_command;
struct cli {
    const char *run_dir;
    enum output_format format;
    const struct cli_command *command;
    struct arena arena; /* everything until the end of the program */
};

struct cli_command {
    const char *name;
    const char *synopsis; /* one line for the list */
    const char *help;     /* usage, options, examples */
    /* argv[0] is the command's name. Returns the exit status. */
    int (*run)(struct cli *c, int argc, char **argv);
};

int cli_main(int argc, char **argv);

/* cli_list.c */
int cli_version(struct cli *c, int argc, char **argv);
int cli_status(struct cli *c, int argc, char **argv);
int cli_pods(struct cli *c, int argc, char **argv);
int cli_ps(struct cli *c, int argc, char **argv);
int cli_images(struct cli *c, int argc, char **argv);
int cli_inspect(struct cli *c, int argc, char **argv);
/* cli_pull.c */
int cli_pull(struct cli *c, int argc, char **argv);
/* cli_stop.c */
int cli_stop(struct cli *c, int argc, char **argv);
int cli_rm(struct cli *c, int argc, char **argv);
int cli_rmi(struct cli *c, int argc, char **argv);
/* cli_run.c, cli_logs.c, cli_exec.c */
int cli_run(struct cli *c, int argc, char **argv);
int cli_logs(struct cli *c, int argc, char **argv);
int cli_exec(struct cli *c, int argc, char **argv);
/* cli_zdb.c */
int cli_zdb(struct cli *c, int argc, char **argv);

/* ---- for commands ---- */

/* Parses options with getopt_long; also takes --help, -o/--output and --run anywhere before the
 * first operand, which may be followed by options again only when `mixed`. on_option may be NULL
 * when there are none of the command's own; it returns 0, or -1 after cli_usage(). Returns the
 * index of the first operand, -1 for a usage error, -2 when --help was answered. */
struct cli_options {
    const char *short_names;         /* getopt's, without '+' and the common ones */
    const struct option *long_names; /* ends with a zeroed entry */
    bool mixed;
    int (*on_option)(void *user, int name, const char *value);
    void *user;
};
int cli_options(struct cli *c, int argc, char **argv, const struct cli_options *o);
/* The exit status for a negative cli_options(). */
int cli_options_status(int r);

/* Prints "gridlet COMMAND: message" and a hint to --help; returns CLI_USAGE. */
int cli_usage(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Prints the error; returns CLI_FAILED. */
int cli_fail(const struct cli *c, const struct err *e);

/* Starts {"command": name; the caller adds members and calls cli_send(). */
struct cli_request {
    struct buf bytes;
    struct json_out w;
};
void cli_request_begin(struct cli_request *r, const char *command);
void cli_request_done(struct cli_request *r);
int cli_send(struct cli_request *r, struct admin_client *to, const int *fds, size_t fd_count,
             struct err *e) MUST_CHECK;
/* Connects, sends, and waits for the result, past all events; shows {"note"} of them on stderr. */
int cli_ask(struct cli *c, struct cli_request *r, const struct json **out,
            struct err *e) MUST_CHECK;
/* {"command": command, key: value} and its result; key may be NULL. */
int cli_ask_one(struct cli *c, const char *command, const char *key, const char *value,
                const struct json **out, struct err *e) MUST_CHECK;
