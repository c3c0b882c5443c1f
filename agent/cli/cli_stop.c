/* SPDX-License-Identifier: Apache-2.0 — cli_stop.c: stop, rm, rmi: one request per name, and the
 * name printed when it is done. */
#include "agent/cli/cli.h"

struct ending {
    struct cli *cli;
    const char *command; /* of the daemon */
    const char *key;     /* "name" or "image" */
    bool force;
    bool has_seconds;
    uint64_t seconds;
};

static int end_one(struct ending *n, const char *name) {
    AUTO(cli_request_done) struct cli_request r;
    const struct json *v = NULL;
    struct err e = {0};
    cli_request_begin(&r, n->command);
    json_out_c(&r.w, n->key, name);
    if (n->force) json_out_bool(&r.w, "force", true);
    if (n->has_seconds) json_out_u64(&r.w, "seconds", n->seconds);
    if (cli_ask(n->cli, &r, &v, &e) < 0) return cli_fail(n->cli, &e);
    (void)printf("%s\n", name);
    return CLI_OK;
}

static int end_all(struct ending *n, int argc, char **argv, struct cli_options *o) {
    int status = CLI_OK;
    o->mixed = true;
    o->user = n;
    int at = cli_options(n->cli, argc, argv, o);
    if (at < 0) return cli_options_status(at);
    if (at == argc) return cli_usage(n->cli, "give at least one %s", n->key);
    for (; at < argc; at++) {
        int r = end_one(n, argv[at]);
        if (r != CLI_OK) status = r;
    }
    return status;
}

static int stop_option(void *user, int name, const char *value) {
    struct ending *n = user;
    (void)name; /* 't' is the only one */
    n->has_seconds = true;
    if (str_u64(str_of(value), &n->seconds) == 0) return 0;
    (void)cli_usage(n->cli, "'%s' is no number of seconds", value);
    return -1;
}

int cli_stop(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"time", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    struct ending n = {.cli = c, .command = "stop", .key = "name"};
    struct cli_options o = {.short_names = "t:", .long_names = names, .on_option = stop_option};
    return end_all(&n, argc, argv, &o);
}

static int rm_option(void *user, int name, const char *value) {
    (void)name; /* 'f' is the only one */
    (void)value;
    ((struct ending *)user)->force = true;
    return 0;
}

int cli_rm(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    struct ending n = {.cli = c, .command = "rm", .key = "name"};
    struct cli_options o = {.short_names = "f", .long_names = names, .on_option = rm_option};
    return end_all(&n, argc, argv, &o);
}

int cli_rmi(struct cli *c, int argc, char **argv) {
    struct ending n = {.cli = c, .command = "rmi", .key = "image"};
    struct cli_options o = {.short_names = NULL};
    return end_all(&n, argc, argv, &o);
}
