/* SPDX-License-Identifier: Apache-2.0 — cli_exec.c: a command inside a container.
 *
 * With -t the daemon sends the master of the command's pty, and our terminal is raw until the end.
 * Without, we make three pipes, send their other ends along and copy; so our own terminal is never
 * handed into a container. The command has ended when the daemon says so: what it wrote by then is
 * in the pipes and is copied before we leave. */
#include "agent/cli/cli.h"
#include "agent/cli/pump.h"
#include "agent/cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

enum { IN, OUT, ERROR, PUMPS };
enum { POLL_ADMIN = PUMPS, POLL_SIGNALS, POLLS };

struct execution {
    struct cli *cli;
    bool interactive, tty;
    struct admin_client client;
    struct pump pumps[PUMPS];
    struct terminal terminal;
    int signals;
    int fds[PUMPS]; /* owned: our ends of the pipes; with tty, [0] is the master */
    bool ended;
    int status;
};

static int exec_option(void *user, int name, const char *value) {
    struct execution *x = user;
    (void)value;
    if (name == 'i')
        x->interactive = true;
    else
        x->tty = true;
    return 0;
}

/* ---- setting up ---- */

/* Ends of pipes: ours to x->fds, the command's to theirs. */
static int make_pipes(struct execution *x, int *theirs, struct err *e) {
    for (int i = 0; i < PUMPS; i++) {
        int ends[2];
        if (i == IN && !x->interactive) {
            theirs[IN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (theirs[IN] < 0) return err_sys(e, errno, "open /dev/null");
            continue;
        }
        if (pipe2(ends, O_CLOEXEC) < 0) return err_sys(e, errno, "make a pipe");
        theirs[i] = ends[i == IN ? 0 : 1];
        x->fds[i] = ends[i == IN ? 1 : 0];
    }
    return 0;
}

static void start_pumps(struct execution *x) {
    if (x->interactive) {
        pump_begin(&x->pumps[IN], STDIN_FILENO, x->fds[IN]);
        x->pumps[IN].own_to = !x->tty;
        if (!x->tty) x->fds[IN] = -1; /* the pump's from here */
    }
    pump_begin(&x->pumps[OUT], x->tty ? x->fds[IN] : x->fds[OUT], STDOUT_FILENO);
    if (!x->tty) pump_begin(&x->pumps[ERROR], x->fds[ERROR], STDERR_FILENO);
}

static int send_request(struct execution *x, char **argv, struct err *e) {
    AUTO(cli_request_done) struct cli_request r;
    int theirs[PUMPS] = {-1, -1, -1};
    cli_request_begin(&r, "exec");
    json_out_c(&r.w, "name", argv[0]);
    json_out_bool(&r.w, "tty", x->tty);
    json_out_array(&r.w, "argv");
    for (char **arg = argv + 1; *arg; arg++) json_out_c(&r.w, NULL, *arg);
    json_out_close(&r.w);
    if (!x->tty) json_out_u64(&r.w, "fds", PUMPS);
    int sent = admin_client_open(&x->client, x->cli->run_dir, e);
    if (sent == 0 && !x->tty) sent = make_pipes(x, theirs, e);
    if (sent == 0) sent = cli_send(&r, &x->client, theirs, x->tty ? 0 : PUMPS, e);
    for (int i = 0; i < PUMPS; i++)
        if (theirs[i] >= 0) (void)close(theirs[i]);
    return sent;
}

/* The first event: it runs. With tty it brings the master. */
static int wait_started(struct execution *x, struct err *e) {
    const struct json *v = NULL;
    int fds[ADMIN_FRAME_FDS_MAX];
    int next = admin_client_next(&x->client, &x->cli->arena, &v, fds, e);
    if (next < 0) return -1;
    if (next == 0) return err_set(e, ERR_INTERNAL, "the command ended before it began");
    if (!x->tty) return 0;
    if (fds[0] < 0) return err_set(e, ERR_INTERNAL, "the daemon sent no terminal");
    x->fds[IN] = fds[0];
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* a pty may take less than it polls for */
    terminal_copy_size(STDIN_FILENO, fds[0]);
    return x->interactive ? terminal_raw(&x->terminal, STDIN_FILENO, e) : 0;
}

/* ---- running ---- */

static int take_answer(struct execution *x, struct err *e) {
    const struct json *v = NULL;
    int64_t code = 0;
    int next = admin_client_next(&x->client, &x->cli->arena, &v, NULL, e);
    if (next != 0) return next < 0 ? -1 : 0;
    if (json_opt_i64(v, "exit_code", &code, e) < 0) return -1;
    x->ended = true;
    x->status = (int)code;
    return 0;
}

static void take_signal(struct execution *x) {
    int signum = signals_next(x->signals);
    if (signum == SIGWINCH && x->tty) terminal_copy_size(STDIN_FILENO, x->fds[IN]);
    if (signum == 0 || signum == SIGWINCH) return;
    x->ended = true; /* the command sees the end of its pipes or terminal */
    x->status = 128 + signum;
}

static int copy_until_end(struct execution *x, struct err *e) {
    while (!x->ended) {
        struct pollfd polls[POLLS];
        for (int i = 0; i < PUMPS; i++) pump_poll(&x->pumps[i], &polls[i]);
        polls[POLL_ADMIN] = (struct pollfd){.fd = x->client.fd, .events = POLLIN};
        polls[POLL_SIGNALS] = (struct pollfd){.fd = x->signals, .events = POLLIN};
        if (poll(polls, POLLS, admin_client_pending(&x->client) ? 0 : -1) < 0 && errno != EINTR)
            return err_sys(e, errno, "wait for the command");
        for (int i = 0; i < PUMPS; i++) pump_run(&x->pumps[i], &polls[i]);
        if (polls[POLL_SIGNALS].revents) take_signal(x);
        bool answer = polls[POLL_ADMIN].revents || admin_client_pending(&x->client);
        if (!x->ended && answer && take_answer(x, e) < 0) return -1;
    }
    pump_rest(&x->pumps[OUT]);
    pump_rest(&x->pumps[ERROR]);
    return 0;
}

static int execute(struct execution *x, char **argv, struct err *e) {
    static const int watched[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, 0};
    if (send_request(x, argv, e) < 0) return -1;
    if (wait_started(x, e) < 0) return -1;
    x->signals = signals_open(watched, e);
    if (x->signals < 0) return -1;
    (void)signal(SIGPIPE, SIG_IGN);
    start_pumps(x);
    return copy_until_end(x, e);
}

static void execution_done(struct execution *x) {
    terminal_restore(&x->terminal);
    admin_client_close(&x->client);
    for (int i = 0; i < PUMPS; i++)
        if (x->fds[i] >= 0) (void)close(x->fds[i]);
    if (x->signals >= 0) (void)close(x->signals);
}

int cli_exec(struct cli *c, int argc, char **argv) {
    static const struct option names[] = {{"interactive", no_argument, NULL, 'i'},
                                          {"tty", no_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    AUTO(execution_done)
    struct execution x = {
        .cli = c, .client = ADMIN_CLIENT_NONE, .signals = -1, .fds = {-1, -1, -1}};
    struct cli_options o = {
        .short_names = "it", .long_names = names, .on_option = exec_option, .user = &x};
    struct err e = {0};
    for (int i = 0; i < PUMPS; i++) pump_begin(&x.pumps[i], -1, -1);
    int at = cli_options(c, argc, argv, &o);
    if (at < 0) return cli_options_status(at);
    if (argc - at < 2) return cli_usage(c, "give a container and a command");
    if (x.tty && x.interactive && !isatty(STDIN_FILENO))
        return cli_usage(c, "-t needs a terminal on standard input: leave -t out in scripts");
    if (execute(&x, argv + at, &e) == 0) return x.status;
    terminal_restore(&x.terminal);
    (void)cli_fail(c, &e);
    return CLI_CONTAINER_FAILED;
}
