/* SPDX-License-Identifier: Apache-2.0 — exec.c: a command inside a running container.
 *
 * Without a terminal the peer sends the three ends of its own pipes with the request, so no byte
 * passes through the daemon. With one, the event {"started": true} carries the pty's master. The
 * process does not end with the peer: its terminal or pipes do. */
#include "agent/commands/commands.h"

#define ARGS_MAX 4096

struct execution {
    struct daemon *daemon;
    struct admin_call *call;
};

static void started(void *user, int tty_fd) {
    struct execution *x = user;
    AUTO_CLOSE int fd = tty_fd;
    admin_event(x->call, STR("{\"started\":true}"), &fd, fd >= 0 ? 1 : 0);
}

static void done(void *user, int exit_code, const struct err *e) {
    struct execution *x = user;
    AUTO(buf_done) struct buf b = BUF(1024);
    struct json_out w = JSON_OUT(&b);
    if (e && e->kind != ERR_NONE) {
        admin_fail(x->call, e);
    } else {
        json_out_object(&w, NULL);
        json_out_i64(&w, "exit_code", exit_code);
        json_out_close(&w);
        command_answer(x->call, &w, &b);
    }
    free(x);
}

static int read_argv(struct admin_call *c, const struct str **out, size_t *out_count,
                     struct err *e) {
    const struct json *list = NULL;
    if (json_need_tree(admin_args(c), "argv", JSON_ARRAY, &list, e) < 0) return -1;
    if (list->count == 0 || list->count > ARGS_MAX)
        return err_set(e, ERR_INVALID, "'argv' has 1 to %d elements", ARGS_MAX);
    struct str *argv = arena_array(admin_arena(c), list->count, sizeof *argv);
    if (!argv) return err_set(e, ERR_LIMIT, "the command is too long");
    size_t n = 0;
    for (const struct json *item = list->first; item; item = item->next)
        if (json_str(item, &argv[n++]) < 0)
            return err_set(e, ERR_INVALID, "'argv' must hold strings");
    *out = argv;
    *out_count = n;
    return 0;
}

static int prepare(const struct listing *l, struct cri_exec_request *r, struct err *e) {
    struct str name;
    struct target t;
    if (json_need_str(admin_args(l->call), "name", &name, e) < 0) return -1;
    if (listing_find_container(l, name, &t, e) < 0) return -1;
    if (t.container->state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING)
        return err_set(e, ERR_BUSY, "'%s' is not running, it is %s", t.container->metadata->name,
                       listing_state(t.container->state));
    if (json_opt_bool(admin_args(l->call), "tty", &r->tty, e) < 0) return -1;
    r->container_id = str_of(t.container->id);
    return read_argv(l->call, &r->argv, &r->argc, e);
}

static void exec(struct listing *l) {
    struct cri_exec_request r = {
        .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .on_started = started, .on_done = done};
    struct err e;
    if (prepare(l, &r, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    struct execution *x = xnew(struct execution);
    x->daemon = l->daemon;
    x->call = l->call;
    r.user = x;
    AUTO_CLOSE int in = admin_take_fd(l->call, 0);
    AUTO_CLOSE int out = admin_take_fd(l->call, 1);
    AUTO_CLOSE int error = admin_take_fd(l->call, 2);
    r.stdin_fd = in;
    r.stdout_fd = out;
    r.stderr_fd = error;
    cri_exec(l->daemon->cri, &r);
    listing_free(l);
}

/* {"name", "argv", "tty"} and, without tty, 3 descriptors -> event {"started"}, {"exit_code"} */
void command_exec(struct admin_call *c, void *user) { listing_get(user, c, exec); }
