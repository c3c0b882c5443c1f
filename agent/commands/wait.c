/* SPDX-License-Identifier: Apache-2.0 — wait.c: the end of a container.
 *
 * exit.json is written for every end, by the shim or by whoever found the shim gone, and before
 * anybody is told. So waiting is watching the container's folder for that name: it needs no hook,
 * holds across a restart of the shim's reader, and sees an end that came long ago. */
#include "agent/commands/commands.h"

#include "base/file.h"
#include "cri/container.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>

struct waiting {
    struct admin_call *call;
    struct loop *loop;
    struct watch watch;
    struct task end; /* after the peer has gone: answers outside of its callback */
    int notify_fd;
    int dir_fd;
};

static void waiting_free(struct waiting *w) {
    watch_stop(&w->watch);
    if (w->notify_fd >= 0) (void)close(w->notify_fd);
    if (w->dir_fd >= 0) (void)close(w->dir_fd);
    free(w);
}

static void answer(struct waiting *w, const struct container_exit *x) {
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out j = JSON_OUT(&b);
    json_out_object(&j, NULL);
    json_out_i64(&j, "exit_code", x->code);
    json_out_c(&j, "reason", x->reason);
    json_out_c(&j, "message", x->message);
    json_out_i64(&j, "finished_at_ns", x->finished_at_ns);
    json_out_close(&j);
    admin_on_gone(w->call, NULL, NULL);
    command_answer(w->call, &j, &b);
    waiting_free(w);
}

static void fail(struct waiting *w, const struct err *e) {
    admin_on_gone(w->call, NULL, NULL);
    admin_fail(w->call, e);
    waiting_free(w);
}

/* Answers when the end is on disk; true when w is gone. */
static bool look(struct waiting *w) {
    struct container_exit x;
    struct err e;
    if (container_exit_load(w->dir_fd, &x, &e) == 0) {
        answer(w, &x);
        return true;
    }
    if (e.kind == ERR_NOT_FOUND) return false;
    fail(w, &e);
    return true;
}

static void folder_changed(struct watch *watch, int events) {
    struct waiting *w = CONTAINER_OF(watch, struct waiting, watch);
    _Alignas(struct inotify_event) char bytes[sizeof(struct inotify_event) + NAME_MAX + 1];
    bool gone = false;
    ssize_t n;
    (void)events;
    while ((n = read(w->notify_fd, bytes, sizeof bytes)) > 0) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)bytes;
        gone |= (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED)) != 0;
    }
    if (look(w) || !gone) return;
    struct err e;
    (void)err_set(&e, ERR_NOT_FOUND, "the container was removed before it had run");
    fail(w, &e);
}

static void end_task(struct task *t) {
    struct waiting *w = CONTAINER_OF(t, struct waiting, end);
    struct err e;
    (void)err_set(&e, ERR_CANCELLED, "nobody waits any more");
    admin_fail(w->call, &e);
    waiting_free(w);
}

static void peer_gone(void *user) {
    struct waiting *w = user;
    watch_stop(&w->watch);
    w->end.run = end_task;
    loop_post(w->loop, &w->end);
}

static int begin(struct waiting *w, const struct daemon *d, const char *id, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" CONTAINERS_FOLDER "/%s", d->settings->root, id);
    w->dir_fd = file_open_dir(AT_FDCWD, path);
    if (w->dir_fd < 0) return err_sys(e, -w->dir_fd, "open the container's folder '%s'", path);
    w->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->notify_fd < 0) return err_sys(e, errno, "wait for the container");
    if (inotify_add_watch(w->notify_fd, path,
                          IN_MOVED_TO | IN_CREATE | IN_MOVE_SELF | IN_DELETE_SELF) < 0)
        return err_sys(e, errno, "watch '%s'", path);
    w->watch.ready = folder_changed;
    int r = watch_start(w->loop, &w->watch, w->notify_fd, WATCH_READ);
    return r < 0 ? err_sys(e, -r, "watch '%s'", path) : 0;
}

static void wait_for(struct listing *l) {
    struct str name;
    struct target t;
    struct err e;
    if (json_need_str(admin_args(l->call), "name", &name, &e) < 0 ||
        listing_find_container(l, name, &t, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    struct waiting *w = xnew(struct waiting);
    w->call = l->call;
    w->loop = l->daemon->loop;
    w->notify_fd = w->dir_fd = -1;
    int r = begin(w, l->daemon, t.container->id, &e);
    listing_free(l);
    if (r < 0) {
        fail(w, &e);
        return;
    }
    admin_event(w->call, STR("{\"waiting\":true}"), NULL, 0);
    if (look(w)) return; /* it has ended before we watched */
    if (admin_gone(w->call))
        peer_gone(w);
    else
        admin_on_gone(w->call, peer_gone, w);
}

/* {"name"} -> event {"waiting"}, then at its end {"exit_code", "reason", "message",
 * "finished_at_ns"}; at once when it has ended */
void command_wait(struct admin_call *c, void *user) { listing_get(user, c, wait_for); }
