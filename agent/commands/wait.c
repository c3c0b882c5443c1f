/* SPDX-License-Identifier: Apache-2.0 — wait.c: the end of a container, for the CLI. */
#include "agent/commands/commands.h"

#include "agent/commands/exit_watch.h"

struct waiting {
    struct admin_call *call;
    struct exit_watch *watch;
};

static void ended(void *user, const struct container_exit *x, const struct err *e) {
    struct waiting *w = user;
    AUTO(buf_done) struct buf b = BUF(8192);
    struct json_out j = JSON_OUT(&b);
    admin_on_gone(w->call, NULL, NULL);
    if (e) {
        admin_fail(w->call, e);
    } else {
        json_out_object(&j, NULL);
        json_out_i64(&j, "exit_code", x->code);
        json_out_c(&j, "reason", x->reason);
        json_out_c(&j, "message", x->message);
        json_out_i64(&j, "finished_at_ns", x->finished_at_ns);
        json_out_close(&j);
        command_answer(w->call, &j, &b);
    }
    free(w);
}

static void peer_gone(void *user) {
    struct waiting *w = user;
    struct err e;
    (void)err_set(&e, ERR_CANCELLED, "nobody waits any more");
    exit_watch_cancel(w->watch);
    admin_fail(w->call, &e);
    free(w);
}

static void wait_for(struct listing *l) {
    struct admin_call *call = l->call;
    struct str name;
    struct target t;
    struct err e;
    struct waiting *w = xnew(struct waiting);
    w->call = call;
    int r = json_need_str(admin_args(call), "name", &name, &e);
    if (r == 0) r = listing_find_container(l, name, &t, &e);
    if (r == 0) w->watch = exit_watch_start(l->daemon, t.container->id, ended, w, &e);
    listing_free(l);
    if (!w->watch) {
        admin_fail(call, &e);
        free(w);
        return;
    }
    admin_event(call, STR("{\"waiting\":true}"), NULL, 0);
    if (admin_gone(call))
        peer_gone(w);
    else
        admin_on_gone(call, peer_gone, w);
}

/* {"name"} -> event {"waiting"}, then at its end {"exit_code", "reason", "message",
 * "finished_at_ns"}; at once when it has ended */
void command_wait(struct admin_call *c, void *user) { listing_get(user, c, wait_for); }
