/* SPDX-License-Identifier: Apache-2.0 — cli_pull.c */
#include "agent/cli/cli.h"
#include "agent/cli/progress.h"

#include <unistd.h>

#define PASSWORD_BYTES_MAX 4096

struct login {
    const struct cli *cli;
    struct str user, password;
    bool has_password;
};

static int pull_option(void *user, int name, const char *value) {
    struct login *l = user;
    struct str text = str_of(value);
    ptrdiff_t colon = str_find(text, ':');
    (void)name; /* 'u' is the only one */
    l->user = colon < 0 ? text : str_sub(text, 0, (size_t)colon);
    l->has_password = colon >= 0;
    if (colon >= 0) l->password = str_sub(text, (size_t)colon + 1, text.n);
    return 0;
}

/* One line from stdin, so that a password need not stand in the process list. */
static int read_password(struct cli *c, struct login *l, struct err *e) {
    char line[PASSWORD_BYTES_MAX];
    if (l->user.n == 0 || l->has_password) return 0;
    if (isatty(STDIN_FILENO)) (void)fputs("Password (shown as you type): ", stderr);
    if (!fgets(line, sizeof line, stdin))
        return err_set(e, ERR_INVALID, "no password came on standard input");
    l->password = arena_str(&c->arena, str_trim(str_of(line)));
    return 0;
}

int cli_pull(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"user", required_argument, NULL, 'u'},
                                          {NULL, 0, NULL, 0}};
    struct login l = {.cli = c};
    struct cli_options o = {.short_names = "u:",
                            .long_names = names,
                            .mixed = true,
                            .on_option = pull_option,
                            .user = &l};
    AUTO(admin_client_close) struct admin_client client = ADMIN_CLIENT_NONE;
    AUTO(cli_request_done) struct cli_request r = {.bytes = BUF(0)};
    struct progress p;
    const struct json *v = NULL;
    struct err e = {0};
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (at != argc - 1) return cli_usage(c, "give one image");
    if (read_password(c, &l, &e) < 0) return cli_fail(c, &e);
    cli_request_begin(&r, "pull");
    json_out_c(&r.w, "image", argv[at]);
    if (l.user.n) json_out_str(&r.w, "username", l.user);
    if (l.user.n) json_out_str(&r.w, "password", l.password);
    if (admin_client_open(&client, c->run_dir, &e) < 0 || cli_send(&r, &client, NULL, 0, &e) < 0)
        return cli_fail(c, &e);
    progress_begin(&p, c->format == OUTPUT_TABLE ? stdout : stderr,
                   c->format == OUTPUT_TABLE ? STDOUT_FILENO : STDERR_FILENO);
    for (;;) {
        AUTO(arena_done) struct arena event = ARENA(CLI_ARENA_BYTES); /* events can be many */
        int next = admin_client_next(&client, &event, &v, NULL, &e);
        if (next < 0) return cli_fail(c, &e);
        if (next > 0) {
            progress_show(&p, v);
            continue;
        }
        struct str id = STR("");
        if (c->format != OUTPUT_TABLE)
            output_value(stdout, c->format, v);
        else if (json_opt_str(v, "id", &id, &e) == 0)
            (void)printf("%s\n", id.p);
        return CLI_OK;
    }
}
