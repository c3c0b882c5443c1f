/* SPDX-License-Identifier: Apache-2.0 — follow.c */
#include "agent/cli/follow.h"

#include "agent/cli/log_reader.h"
#include "agent/cli/signals.h"

#include <errno.h>
#include <poll.h>

enum { POLL_LOG, POLL_WAIT, POLL_SIGNALS, POLLS };

int follow_log_path(struct cli *c, const char *name, const char **out, struct err *e) {
    const struct json *v = NULL;
    struct str path;
    if (cli_ask_one(c, "logs", "name", name, &v, e) < 0) return -1;
    if (json_need_str(v, "log_path", &path, e) < 0) return -1;
    if (path.n == 0)
        return err_set(e, ERR_UNSUPPORTED, "'%s' has no log file: its pod was made without one",
                       name);
    *out = path.p;
    return 0;
}

static int begin_wait(struct follow *f, struct admin_client *client, struct err *e) {
    AUTO(cli_request_done) struct cli_request r;
    cli_request_begin(&r, "wait");
    json_out_c(&r.w, "name", f->name);
    if (admin_client_open(client, f->cli->run_dir, e) < 0) return -1;
    return cli_send(&r, client, NULL, 0, e);
}

/* 1: the container has ended; 0: not yet. */
static int take_answer(struct follow *f, struct admin_client *client, int *out_exit_code,
                       struct err *e) {
    const struct json *v = NULL;
    int64_t code = 0;
    int next = admin_client_next(client, &f->cli->arena, &v, NULL, e);
    if (next != 0) return next < 0 ? -1 : 0;
    if (json_opt_i64(v, "exit_code", &code, e) < 0) return -1;
    *out_exit_code = (int)code;
    return 1;
}

/* 1: the following ends. */
static int take_signal(struct follow *f, int *out_exit_code) {
    int signum = signals_next(f->signals);
    if (signum == 0 || (f->on_signal && f->on_signal(f, signum))) return 0;
    *out_exit_code = 128 + signum;
    return 1;
}

static int follow_log(struct follow *f, struct log_reader *log, struct admin_client *client,
                      int *out_exit_code, struct err *e) {
    int ended = 0;
    while (!ended) {
        struct pollfd polls[POLLS] = {{.fd = log->notify_fd, .events = POLLIN},
                                      {.fd = client->fd, .events = POLLIN},
                                      {.fd = f->signals, .events = POLLIN}};
        if (log_reader_drain(log, e) < 0) return -1;
        if (poll(polls, POLLS, admin_client_pending(client) ? 0 : -1) < 0 && errno != EINTR)
            return err_sys(e, errno, "wait for the log");
        if (polls[POLL_SIGNALS].revents) ended = take_signal(f, out_exit_code);
        bool answer = polls[POLL_WAIT].revents || admin_client_pending(client);
        if (!ended && answer) ended = take_answer(f, client, out_exit_code, e);
        if (ended < 0) return -1;
    }
    return log_reader_drain(log, e);
}

int follow_run(struct follow *f, int *out_exit_code, struct err *e) {
    AUTO(admin_client_close) struct admin_client client = ADMIN_CLIENT_NONE;
    AUTO(log_reader_close) struct log_reader log = LOG_READER_NONE;
    const char *path = NULL;
    if (follow_log_path(f->cli, f->name, &path, e) < 0) return -1;
    if (log_reader_open(&log, path, true, e) < 0) return -1;
    if (begin_wait(f, &client, e) < 0) return -1;
    return follow_log(f, &log, &client, out_exit_code, e);
}
