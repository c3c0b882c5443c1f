/* SPDX-License-Identifier: Apache-2.0 — zdbd_server.c: namespaces, listening sockets, connections:
 * beginning and end.
 *
 * Stopping: nobody is accepted and nothing more is executed; each connection closes when its
 * replies are out, which for durable writes means after their commit. When the last one has gone,
 * or the grace is over, the owner is told. zdbd_server_free() then syncs every namespace. */
#include "storage/zdb_server/zdbd_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define ACCEPTS_PER_EVENT_MAX 64
#define ACCEPT_AGAIN_MS       100 /* after descriptors or memory ran out */
#define SWEEP_MS_MAX          5000
#define SWEEP_MS_MIN          20
#define STALL_MS              60000
#define KEEP_SPARE_BYTES      ((size_t)128 << 10)

/* ---- buffers ---- */

struct buf zdbd_buf_take(struct zdbd_server *s, bool large) {
    if (large && s->spare_large_count > 0) return s->spares_large[--s->spare_large_count];
    if (!large && s->spare_count > 0) return s->spares[--s->spare_count];
    return (struct buf){.p = NULL};
}

void zdbd_buf_give(struct zdbd_server *s, struct buf *b) {
    struct buf given = *b;
    *b = (struct buf){.p = NULL};
    given.n = 0;
    if (!given.p) return;
    if (given.capacity <= KEEP_SPARE_BYTES && s->spare_count < ZDBD_SPARES_MAX)
        s->spares[s->spare_count++] = given;
    else if (given.capacity > KEEP_SPARE_BYTES && s->spare_large_count < ZDBD_SPARES_LARGE_MAX)
        s->spares_large[s->spare_large_count++] = given;
    else
        buf_done(&given);
}

/* ---- connections ---- */

static void sweep(struct timer *t);

static void arm_sweep(struct zdbd_server *s) {
    uint64_t every = s->options.stall_ms / 4;
    if (s->options.idle_ms && s->options.idle_ms / 4 < every) every = s->options.idle_ms / 4;
    if (s->options.rotate_ms && s->options.rotate_ms / 4 < every) every = s->options.rotate_ms / 4;
    if (every > SWEEP_MS_MAX) every = SWEEP_MS_MAX;
    if (every < SWEEP_MS_MIN) every = SWEEP_MS_MIN;
    s->sweep.fire = sweep;
    timer_arm(s->loop, &s->sweep, every);
    s->is_sweeping = true;
}

/* --rotate: new files for what was written to long enough ago. */
static void rotate(struct zdbd_server *s, uint64_t now) {
    for (struct zdbd_link *l = s->spaces.next; l != &s->spaces; l = l->next) {
        struct zdbd_space *p = CONTAINER_OF(l, struct zdbd_space, link);
        struct err e = {0};
        if (!p->written_ms || now - p->written_ms < s->options.rotate_ms) continue;
        if (!p->ns || p->exclusive) continue;
        p->written_ms = 0;
        if (zdb_jump(p->ns, &e) < 0)
            LOG_WARN("new files could not be started", F_C("namespace", p->name), F_ERR(&e));
        else if (s->options.hook)
            zdbd_jump_note(p);
    }
}

static void sweep(struct timer *t) {
    struct zdbd_server *s = CONTAINER_OF(t, struct zdbd_server, sweep);
    uint64_t now = clock_ms();
    struct zdbd_link *l = s->sessions.next;
    while (l != &s->sessions) {
        struct zdbd_session *session = CONTAINER_OF(l, struct zdbd_session, link);
        l = l->next;
        zdbd_session_sweep(session, now);
    }
    if (s->options.rotate_ms) rotate(s, now);
    zdbd_maintenance_consider(s->maintenance, s->options.compact_percent);
    s->is_sweeping = false;
    if (s->session_count > 0 || s->options.rotate_ms) arm_sweep(s);
}

bool zdbd_server_adopt(struct zdbd_server *s, int fd) {
    int on = 1;
    if (s->session_count >= s->options.connections_max || s->is_stopping) {
        static const char full[] = "-Too many connections\r\n";
        s->counts.rejected++;
        (void)send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)close(fd);
        return false;
    }
    /* Of no use, and refused, on a unix socket. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    zdbd_session_new(s, fd);
    if (!s->is_sweeping) arm_sweep(s);
    return true;
}

/* ---- listening ---- */

static void listen_on(struct zdbd_server *s) {
    for (size_t i = 0; i < s->listener_count; i++) {
        struct zdbd_listener *l = &s->listeners[i];
        if (watch_start(s->loop, &l->watch, l->fd, WATCH_READ) < 0)
            timer_arm(s->loop, &s->accept_again, ACCEPT_AGAIN_MS);
    }
}

static void accept_again(struct timer *t) {
    listen_on(CONTAINER_OF(t, struct zdbd_server, accept_again));
}

static void accept_failed(struct zdbd_server *s, int error) {
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
    LOG_WARN("accept failed, trying again later", F_C("error", strerror(error)));
    /* They would stay readable and keep the loop busy. */
    for (size_t i = 0; i < s->listener_count; i++) watch_stop(&s->listeners[i].watch);
    s->accept_again.fire = accept_again;
    timer_arm(s->loop, &s->accept_again, ACCEPT_AGAIN_MS);
}

static void listener_ready(struct watch *w, int events) {
    struct zdbd_listener *l = CONTAINER_OF(w, struct zdbd_listener, watch);
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT_MAX; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            accept_failed(l->server, errno);
            return;
        }
        (void)zdbd_server_adopt(l->server, fd);
    }
}

int zdbd_server_listen(struct zdbd_server *s, int fd, struct err *e) {
    AUTO_CLOSE int owned = fd;
    if (s->listener_count == ZDBD_LISTENERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d listening sockets", ZDBD_LISTENERS_MAX);
    struct zdbd_listener *l = &s->listeners[s->listener_count];
    *l = (struct zdbd_listener){.server = s, .watch = {.ready = listener_ready}, .fd = owned};
    int r = watch_start(s->loop, &l->watch, owned, WATCH_READ);
    if (r < 0) return err_sys(e, -r, "watch a listening socket");
    s->listener_count++;
    (void)STEAL_FD(owned);
    return 0;
}

static void close_listeners(struct zdbd_server *s) {
    timer_cancel(&s->accept_again);
    for (size_t i = 0; i < s->listener_count; i++) {
        watch_stop(&s->listeners[i].watch);
        (void)close(s->listeners[i].fd);
    }
    s->listener_count = 0;
}

/* ---- beginning ---- */

static void take_options(struct zdbd_server *s, const struct zdbd_options *o) {
    s->options = *o;
    s->data_path = xstrdup(o->data_path);
    s->index_path = xstrdup(o->index_path);
    s->instance = xstrdup(o->instance ? o->instance : "");
    s->admin_password = xasprintf("%.*s", STR_ARG(o->admin_password));
    s->options.data_path = s->data_path;
    s->options.index_path = s->index_path;
    s->options.instance = s->instance;
    s->options.admin_password = str_of(s->admin_password);
    if (o->connections_max == 0 || o->connections_max > ZDBD_CONNECTIONS_MAX)
        s->options.connections_max = ZDBD_CONNECTIONS_MAX;
    if (o->stall_ms == 0) s->options.stall_ms = STALL_MS;
}

static int make_folders(const struct zdbd_server *s, struct err *e) {
    int r = file_mkdirs(AT_FDCWD, s->index_path, 0700);
    if (r < 0) return err_sys(e, -r, "make the folder '%s'", s->index_path);
    r = file_mkdirs(AT_FDCWD, s->data_path, 0700);
    return r < 0 ? err_sys(e, -r, "make the folder '%s'", s->data_path) : 0;
}

int zdbd_server_open(struct loop *l, const struct zdbd_options *o, struct zdbd_server **out,
                     struct err *e) {
    struct zdbd_server *s = xnew(struct zdbd_server);
    struct err ignored = {0};
    s->loop = l;
    s->started_ms = clock_ms();
    s->started_wall_ns = clock_wall_ns();
    s->instance_id = (uint32_t)random_below(UINT32_MAX);
    zdbd_list_init(&s->spaces);
    zdbd_list_init(&s->sessions);
    zdbd_list_init(&s->turn);
    zdbd_list_init(&s->watchers);
    zdbd_list_init(&s->mirrors);
    (void)pthread_mutex_init(&s->dirty_lock, NULL);
    (void)pthread_mutex_init(&s->config_lock, NULL);
    take_options(s, o);
    s->maintenance = zdbd_maintenance_new(s);
    if (make_folders(s, e) < 0 || zdbd_spaces_open(s, e) < 0) {
        (void)!zdbd_server_free(s, &ignored);
        return -1;
    }
    if (o->rotate_ms) arm_sweep(s);
    *out = s;
    return 0;
}

/* ---- end ---- */

static void tell_stopped(struct task *t) {
    struct zdbd_server *s = CONTAINER_OF(t, struct zdbd_server, stopped_task);
    s->stopped(s->stopped_user);
}

void zdbd_server_settle(struct zdbd_server *s) {
    if (!s->is_stopping || s->has_stopped || s->session_count > 0) return;
    s->has_stopped = true;
    timer_cancel(&s->grace);
    s->stopped_task.run = tell_stopped;
    loop_post(s->loop, &s->stopped_task);
}

static void close_sessions(struct zdbd_server *s) {
    while (!zdbd_list_empty(&s->sessions))
        zdbd_session_close(CONTAINER_OF(s->sessions.next, struct zdbd_session, link));
}

static void grace_over(struct timer *t) {
    struct zdbd_server *s = CONTAINER_OF(t, struct zdbd_server, grace);
    LOG_WARN("connections that did not take their replies are closed",
             F_U64("connections", s->session_count));
    close_sessions(s);
}

void zdbd_server_stop(struct zdbd_server *s, uint64_t grace_ms, void (*done)(void *user),
                      void *user) {
    s->is_stopping = true;
    s->stopped = done;
    s->stopped_user = user;
    close_listeners(s);
    s->grace.fire = grace_over;
    timer_arm(s->loop, &s->grace, grace_ms);
    struct zdbd_link *l = s->sessions.next;
    while (l != &s->sessions) {
        struct zdbd_session *session = CONTAINER_OF(l, struct zdbd_session, link);
        l = l->next;
        zdbd_session_stop(session);
    }
    zdbd_server_settle(s);
}

static int close_spaces(struct zdbd_server *s, struct err *e) {
    int r = 0;
    while (!zdbd_list_empty(&s->spaces)) {
        struct zdbd_space *p = CONTAINER_OF(s->spaces.next, struct zdbd_space, link);
        struct err one = {0};
        if (zdbd_space_close(p, &one) < 0) {
            r = err_set(e, one.kind, "namespace '%s': %s", p->name, one.msg);
        }
        zdbd_space_free(p);
    }
    return r;
}

int zdbd_server_free(struct zdbd_server *s, struct err *e) {
    if (!s) return 0;
    s->is_stopping = s->has_stopped = true;
    close_listeners(s);
    timer_cancel(&s->sweep);
    timer_cancel(&s->grace);
    close_sessions(s);
    loop_undefer(s->loop, &s->turn_end);
    zdbd_maintenance_join(s->maintenance);
    loop_settle(s->loop); /* works and commits under way end; sessions are freed */
    int r = close_spaces(s, e);
    for (size_t i = 0; i < s->spare_count; i++) buf_done(&s->spares[i]);
    for (size_t i = 0; i < s->spare_large_count; i++) buf_done(&s->spares_large[i]);
    (void)pthread_mutex_destroy(&s->dirty_lock);
    (void)pthread_mutex_destroy(&s->config_lock);
    zdbd_maintenance_free(s->maintenance);
    free(s->data_path);
    free(s->index_path);
    free(s->instance);
    free(s->admin_password);
    free(s);
    return r;
}
