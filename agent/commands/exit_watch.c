/* SPDX-License-Identifier: Apache-2.0 — exit_watch.c */
#include "agent/commands/exit_watch.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>

struct exit_watch {
    struct daemon *daemon;
    struct exit_watch *next; /* in daemon->exit_watches */
    struct watch watch;
    struct timer first; /* looks once the caller has returned: the end may be there already */
    int notify_fd, dir_fd;
    void (*on_exit)(void *user, const struct container_exit *x, const struct err *e);
    void *user;
};

static void watch_free(struct exit_watch *w) {
    watch_stop(&w->watch);
    timer_cancel(&w->first);
    if (w->notify_fd >= 0) (void)close(w->notify_fd);
    if (w->dir_fd >= 0) (void)close(w->dir_fd);
    free(w);
}

void exit_watch_cancel(struct exit_watch *w) {
    struct exit_watch **at = &w->daemon->exit_watches;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    watch_free(w);
}

static void tell(struct exit_watch *w, const struct container_exit *x, const struct err *e) {
    void (*on_exit)(void *, const struct container_exit *, const struct err *) = w->on_exit;
    void *user = w->user;
    exit_watch_cancel(w);
    on_exit(user, x, e);
}

/* gone: the folder is no more where it was. */
static void look(struct exit_watch *w, bool gone) {
    struct container_exit x;
    struct err e;
    if (container_exit_load(w->dir_fd, &x, &e) == 0) {
        tell(w, &x, NULL);
        return;
    }
    if (e.kind == ERR_NOT_FOUND && !gone) return;
    if (e.kind == ERR_NOT_FOUND)
        (void)err_set(&e, ERR_NOT_FOUND, "the container was removed before it had run");
    tell(w, NULL, &e);
}

static void folder_changed(struct watch *watch, int events) {
    struct exit_watch *w = CONTAINER_OF(watch, struct exit_watch, watch);
    _Alignas(struct inotify_event) char bytes[4 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    bool gone = false;
    ssize_t n;
    (void)events;
    while ((n = read(w->notify_fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(bytes + at);
            gone |= (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED)) != 0;
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    look(w, gone);
}

static void first_look(struct timer *t) { look(CONTAINER_OF(t, struct exit_watch, first), false); }

static int begin(struct exit_watch *w, const char *id, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/" CONTAINERS_FOLDER "/%s", w->daemon->settings->root, id);
    w->dir_fd = file_open_dir(AT_FDCWD, path);
    if (w->dir_fd < 0) return err_sys(e, -w->dir_fd, "open the container's folder '%s'", path);
    w->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->notify_fd < 0) return err_sys(e, errno, "wait for the container");
    if (inotify_add_watch(w->notify_fd, path,
                          IN_MOVED_TO | IN_CREATE | IN_MOVE_SELF | IN_DELETE_SELF) < 0)
        return err_sys(e, errno, "watch '%s'", path);
    w->watch.ready = folder_changed;
    int r = watch_start(w->daemon->loop, &w->watch, w->notify_fd, WATCH_READ);
    return r < 0 ? err_sys(e, -r, "watch '%s'", path) : 0;
}

struct exit_watch *exit_watch_start(struct daemon *d, const char *container_id,
                                    void (*on_exit)(void *user, const struct container_exit *x,
                                                    const struct err *e),
                                    void *user, struct err *e) {
    struct exit_watch *w = xnew(struct exit_watch);
    w->daemon = d;
    w->on_exit = on_exit;
    w->user = user;
    w->notify_fd = w->dir_fd = -1;
    if (begin(w, container_id, e) < 0) {
        watch_free(w);
        return NULL;
    }
    w->next = d->exit_watches;
    d->exit_watches = w;
    w->first.fire = first_look;
    timer_arm(d->loop, &w->first, 0);
    return w;
}

void exit_watch_end_all(struct daemon *d) {
    struct err e;
    (void)err_set(&e, ERR_CANCELLED, "gridletd is stopping");
    while (d->exit_watches) tell(d->exit_watches, NULL, &e);
}
