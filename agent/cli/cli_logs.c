/* SPDX-License-Identifier: Apache-2.0 — cli_logs.c */
#include "agent/cli/follow.h"
#include "agent/cli/log_reader.h"
#include "agent/cli/signals.h"

#include <signal.h>

static int logs_option(void *user, int name, const char *value) {
    (void)name; /* 'f' is the only one */
    (void)value;
    *(bool *)user = true;
    return 0;
}

static int show(struct cli *c, const char *name, struct err *e) {
    AUTO(log_reader_close) struct log_reader log = LOG_READER_NONE;
    const char *path = NULL;
    if (follow_log_path(c, name, &path, e) < 0) return -1;
    if (log_reader_open(&log, path, false, e) < 0) return -1;
    return log_reader_drain(&log, e);
}

static int follow(struct cli *c, const char *name, struct err *e) {
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, 0};
    int code = 0;
    AUTO_CLOSE int signals = signals_open(watched, e);
    if (signals < 0) return -1;
    struct follow f = {.cli = c, .name = name, .signals = signals};
    return follow_run(&f, &code, e);
}

int cli_logs(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"follow", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    bool following = false;
    struct cli_options o = {.short_names = "f",
                            .long_names = names,
                            .mixed = true,
                            .on_option = logs_option,
                            .user = &following};
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one container");
    int r = following ? follow(c, argv[at], &e) : show(c, argv[at], &e);
    return r < 0 ? cli_fail(c, &e) : CLI_OK;
}
