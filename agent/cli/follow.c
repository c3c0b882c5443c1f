/* SPDX-License-Identifier: Apache-2.0 — follow.c: the log's files, the command `wait`, signals and,
 * while there is no daemon, its run folder: four things to poll.
 *
 * The log needs no daemon, so it goes on while one is restarted. The name of the new admin socket
 * appears when it answers (admin.c), so its appearance is the moment to ask again. */
#include "agent/cli/follow.h"

#include "agent/cli/log_reader.h"
#include "agent/cli/signals.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>

#define DAEMON_BACK_MS 60000 /* a daemon that is restarted is back by then */

enum { POLL_LOG, POLL_WAIT, POLL_SIGNALS, POLL_RUN, POLLS };

struct session {
    struct follow *follow;
    struct log_reader log;
    struct admin_client client; /* fd -1 while there is no daemon */
    int run_fd;                 /* inotify of the run folder */
    uint64_t give_up_ms;        /* clock_ms(), while there is no daemon */
    int exit_code;
};

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

static int begin_wait(struct session *s, struct err *e) {
    AUTO(cli_request_done) struct cli_request r;
    cli_request_begin(&r, "wait");
    json_out_c(&r.w, "name", s->follow->name);
    if (admin_client_open(&s->client, s->follow->cli->run_dir, e) < 0) return -1;
    return cli_send(&r, &s->client, NULL, 0, e);
}

/* 0: asked again, or there is still no daemon; -1 when there was none for too long. */
static int ask_again(struct session *s, struct err *e) {
    char events[4096];
    while (read(s->run_fd, events, sizeof events) > 0) {
    }
    if (begin_wait(s, e) == 0) return 0;
    admin_client_close(&s->client);
    return clock_ms() < s->give_up_ms ? 0 : -1;
}

/* 1: the container has ended; 0: not yet. */
static int take_answer(struct session *s, struct err *e) {
    const struct json *v = NULL;
    int64_t code = 0;
    int next = admin_client_next(&s->client, &s->follow->cli->arena, &v, NULL, e);
    if (next < 0 && s->client.lost) {
        admin_client_close(&s->client);
        s->give_up_ms = clock_ms() + DAEMON_BACK_MS;
        return ask_again(s, e);
    }
    if (next != 0) return next < 0 ? -1 : 0;
    if (json_opt_i64(v, "exit_code", &code, e) < 0) return -1;
    s->exit_code = (int)code;
    return 1;
}

/* 1: the following ends. */
static int take_signal(struct session *s) {
    struct follow *f = s->follow;
    int signum = signals_next(f->signals);
    if (signum == 0 || (f->on_signal && f->on_signal(f, signum))) return 0;
    s->exit_code = 128 + signum;
    return 1;
}

static int patience_ms(const struct session *s) {
    if (s->client.fd >= 0) return admin_client_pending(&s->client) ? 0 : -1;
    uint64_t now = clock_ms();
    return now < s->give_up_ms ? (int)(s->give_up_ms - now) : 0;
}

static int follow_log(struct session *s, struct err *e) {
    int ended = 0;
    while (!ended) {
        struct pollfd polls[POLLS] = {
            [POLL_LOG] = {.fd = s->log.notify_fd, .events = POLLIN},
            [POLL_WAIT] = {.fd = s->client.fd, .events = POLLIN},
            [POLL_SIGNALS] = {.fd = s->follow->signals, .events = POLLIN},
            [POLL_RUN] = {.fd = s->client.fd < 0 ? s->run_fd : -1, .events = POLLIN}};
        if (log_reader_drain(&s->log, e) < 0) return -1;
        int n = poll(polls, POLLS, patience_ms(s));
        if (n < 0 && errno != EINTR) return err_sys(e, errno, "wait for the log");
        if (polls[POLL_SIGNALS].revents) ended = take_signal(s);
        if (!ended && s->client.fd < 0 && (n == 0 || polls[POLL_RUN].revents))
            ended = ask_again(s, e);
        else if (!ended && (polls[POLL_WAIT].revents || admin_client_pending(&s->client)))
            ended = take_answer(s, e);
        if (ended < 0) return -1;
    }
    return log_reader_drain(&s->log, e);
}

static int open_session(struct session *s, struct err *e) {
    const char *path = NULL;
    const char *run_dir = s->follow->cli->run_dir;
    if (follow_log_path(s->follow->cli, s->follow->name, &path, e) < 0) return -1;
    if (log_reader_open(&s->log, path, true, e) < 0) return -1;
    s->run_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (s->run_fd < 0 || inotify_add_watch(s->run_fd, run_dir, IN_MOVED_TO) < 0)
        return err_sys(e, errno, "watch the run folder '%s'", run_dir);
    return begin_wait(s, e);
}

int follow_run(struct follow *f, int *out_exit_code, struct err *e) {
    struct session s = {
        .follow = f, .log = LOG_READER_NONE, .client = ADMIN_CLIENT_NONE, .run_fd = -1};
    int r = open_session(&s, e);
    if (r == 0) r = follow_log(&s, e);
    if (r == 0) *out_exit_code = s.exit_code;
    log_reader_close(&s.log);
    admin_client_close(&s.client);
    if (s.run_fd >= 0) (void)close(s.run_fd);
    return r;
}
