/* SPDX-License-Identifier: Apache-2.0 — zdbd.c: opens the parts in order, serves, closes them.
 *
 * Order: sockets (a port may need root, and a second server stops here), folders, the hook runner
 * (outside of all walls), the user, the fence, then threads and namespaces, the hook `ready`, the
 * filter of system calls, and only then READY. Stopping: every request that was taken gets its
 * reply, every namespace is synced. A failure before READY is one line and exit status 1. */
#include "storage/zdb_server/zdbd.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "storage/zdb_server/zdbd_hook.h"
#include "storage/zdb_server/zdbd_listen.h"
#include "storage/zdb_server/zdbd_metrics_port.h"
#include "storage/zdb_server/zdbd_privileges.h"
#include "storage/zdb_server/zdbd_start.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define STOP_GRACE_MS 5000
#define SELF          "/proc/self/exe"

struct zdbd {
    const struct zdbd_settings *settings;
    struct loop *loop;
    struct zdbd_server *server;
    struct zdbd_sockets sockets;
    struct zdbd_hook *hook;
    struct zdbd_metrics_port *metrics;
    struct zdb_reserve *reserve;
    const char *user;    /* whom to become, or NULL */
    char *socket_folder; /* owned; that the fence leaves open */
    char instance[512];
    uint64_t started_ms;
    bool is_stopping;
};

/* ---- parts ---- */

static int open_sockets(struct zdbd *z, struct err *e) {
    const struct zdbd_settings *s = z->settings;
    const char *address = s->listen;
    if (!address && !s->is_loopback_by_default) address = "::";
    struct zdbd_listen l = {
        .address = address, .port = (uint16_t)s->port, .beyond_loopback = s->admin[0] || s->open};
    if (s->socket && zdbd_listen_unix(s->socket, &z->sockets, e) < 0) return -1;
    if (s->listens_on_tcp && zdbd_listen_tcp(&l, &z->sockets, e) < 0) return -1;
    if (s->socket)
        (void)snprintf(z->instance, sizeof z->instance, "unix://%s", s->socket);
    else
        (void)snprintf(z->instance, sizeof z->instance, "tcp://%s:%u",
                       address ? address : "localhost", z->sockets.port);
    if (s->listens_on_tcp && s->is_loopback_by_default)
        LOG_WARN("listening on loopback only: without --admin everyone who connects is admin");
    return 0;
}

static void choose_user(struct zdbd *z) {
    struct err e = {0};
    if (geteuid() != 0) return;
    if (!zdbd_privileges_user(z->settings->user, &z->user, &e) && !z->settings->user)
        LOG_WARN("staying root, without capabilities", F_C("reason", e.msg));
}

static int open_hook(struct zdbd *z, struct err *e) {
    if (!z->settings->hook) return 0;
    struct zdbd_hook_options o = {
        .program = SELF, .path = z->settings->hook, .instance = z->instance, .user = z->user};
    return zdbd_hook_open(&o, &z->hook, e);
}

static int drop_rights(struct zdbd *z, struct err *e) {
    const struct zdbd_settings *s = z->settings;
    if (s->user && !z->user)
        return err_set(e, ERR_NOT_FOUND,
                       "become the user '%s': there is none, or it was not started as root",
                       s->user);
    if (zdbd_privileges_folder(s->data, z->user, e) < 0) return -1;
    if (zdbd_privileges_folder(s->index, z->user, e) < 0) return -1;
    if (open_hook(z, e) < 0) return -1;
    if (z->user && zdbd_privileges_become(z->user, e) < 0) return -1;
    if (z->user && zdbd_privileges_check(s->data, z->user, e) < 0) return -1;
    if (z->user && zdbd_privileges_check(s->index, z->user, e) < 0) return -1;
    if (s->unconfined) return 0;
    if (s->socket) {
        const char *slash = strrchr(s->socket, '/');
        z->socket_folder =
            slash ? xasprintf("%.*s/", (int)(slash - s->socket), s->socket) : xstrdup(".");
    }
    const char *const folders[] = {s->data, s->index, z->socket_folder};
    return zdbd_privileges_fence(folders, COUNT(folders), e);
}

static int call_hook(struct zdbd *z, const char *event, const char *const *args, struct err *e) {
    if (!z->hook) return 0;
    int status = zdbd_hook_call(z->hook, event, args, e);
    if (status > 0) (void)err_set(e, ERR_IO, "hook '%s' ended with status %d", event, status);
    return status == 0 ? 0 : -1;
}

/* Space that keeps deletions and reads going on a full disk. Not given: what fits this disk, and
 * none where it cannot be had. */
static int open_reserve(struct zdbd *z, struct err *e) {
    const struct zdbd_settings *s = z->settings;
    uint64_t bytes = 0;
    struct err why = {0};
    if (s->reserve) {
        if (zdbd_size_parse(str_of(s->reserve), &bytes) < 0)
            return err_set(e, ERR_INVALID, "'reserve' must be a size such as 256M, not '%.60s'",
                           s->reserve);
        return zdb_reserve_open(s->data, bytes, &z->reserve, e);
    }
    int r = zdb_reserve_default(s->data, s->data_file_bytes, &bytes, &why);
    if (r == 0) r = zdb_reserve_open(s->data, bytes, &z->reserve, &why);
    if (r == 0) return 0;
    if (why.kind == ERR_BUSY) {
        *e = why;
        return -1;
    }
    LOG_WARN("no space is reserved for a full disk", F_ERR(&why));
    return 0;
}

static int open_server(struct zdbd *z, struct err *e) {
    const struct zdbd_settings *s = z->settings;
    const char *const init[] = {s->index, s->data, NULL};
    struct err hook_e = {0};
    z->loop = loop_new((unsigned)s->workers);
    if (open_reserve(z, e) < 0) return -1;
    if (call_hook(z, "namespaces-init", init, &hook_e) < 0)
        LOG_WARN("hook failed", F_C("hook", "namespaces-init"), F_ERR(&hook_e));
    struct zdbd_options o = {.data_path = s->data,
                             .index_path = s->index,
                             .mode = s->server_mode,
                             .data_file_bytes = s->data_file_bytes,
                             .default_max_bytes = s->maxsize,
                             .durability = s->default_durability,
                             .interval_ms = s->interval_ms,
                             .admin_password = str_of(s->admin),
                             .is_protected = s->protect,
                             .connections_max = (uint32_t)s->connections,
                             .idle_ms = s->idle_ms,
                             .stall_ms = s->stall_ms,
                             .rotate_ms = s->rotate_s * 1000,
                             .scrub_bytes_per_s = s->scrub_bytes_per_s,
                             .compact_bytes_per_s = s->compact_bytes_per_s,
                             .compact_percent = (uint32_t)s->compact_percent,
                             .hook = z->hook,
                             .reserve = z->reserve,
                             .instance = z->instance};
    if (zdbd_server_open(z->loop, &o, &z->server, e) < 0) return -1;
    if (!s->metrics || s->dump) return 0;
    return zdbd_metrics_open(z->loop, z->server, s->metrics, &z->metrics, e);
}

static int start_serving(struct zdbd *z, struct err *e) {
    const char *const none[] = {NULL};
    if (call_hook(z, "ready", none, e) < 0) return -1;
    while (z->sockets.count > 0)
        if (zdbd_server_listen(z->server, z->sockets.fds[--z->sockets.count], e) < 0) return -1;
    return z->settings->unconfined ? 0 : zdbd_privileges_filter(e);
}

static int open_parts(struct zdbd *z, struct err *e) {
    zdbd_privileges_raise_files();
    choose_user(z);
    if (!z->settings->dump && open_sockets(z, e) < 0) return -1;
    if (drop_rights(z, e) < 0 || open_server(z, e) < 0) return -1;
    return z->settings->dump ? zdbd_dump(z->server, e) : start_serving(z, e);
}

static int close_parts(struct zdbd *z) {
    const char *const none[] = {NULL};
    struct err e = {0};
    struct err hook_e = {0};
    zdbd_sockets_done(&z->sockets);
    bool was_open = z->server != NULL;
    zdbd_metrics_close(z->metrics);
    int r = zdbd_server_free(z->server, &e);
    if (r < 0) LOG_ERROR("the last writes may not be on the disk", F_ERR(&e));
    if (was_open && call_hook(z, "close", none, &hook_e) < 0)
        LOG_WARN("hook failed", F_C("hook", "close"), F_ERR(&hook_e));
    zdb_reserve_close(z->reserve);
    zdbd_hook_close(z->hook);
    loop_free(z->loop);
    if (z->settings->socket && was_open) (void)unlink(z->settings->socket);
    free(z->socket_folder);
    return r;
}

/* ---- serving ---- */

static void on_stopped(void *user) { loop_stop(((struct zdbd *)user)->loop); }

static void on_signal(int signum, void *user) {
    struct zdbd *z = user;
    if (z->is_stopping) return;
    z->is_stopping = true;
    LOG_INFO("stopping", F_INT("signal", signum));
    int r = notify_systemd("STOPPING=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    zdbd_server_stop(z->server, STOP_GRACE_MS, on_stopped, z);
}

static void tell_ready(const struct zdbd_settings *s) {
    int r = notify_systemd("READY=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    r = s->ready_fd == ZDBD_NO_FD ? 0 : notify_fd((int)s->ready_fd);
    if (r < 0) LOG_WARN("--ready-fd could not be written", F_C("error", strerror(-r)));
}

static int serve(const struct zdbd_settings *s) {
    struct zdbd z = {.settings = s, .started_ms = clock_ms()};
    struct err e = {0};
    if (open_parts(&z, &e) < 0) {
        LOG_ERROR("gridlet-zdb cannot start", F_ERR(&e));
        (void)close_parts(&z);
        return 1;
    }
    if (s->dump) return close_parts(&z) < 0;
    loop_on_signal(z.loop, SIGTERM, on_signal, &z);
    loop_on_signal(z.loop, SIGINT, on_signal, &z);
    LOG_INFO("gridlet-zdb serves", F_C("version", GRIDLET_VERSION), F_C("at", z.instance),
             F_U64("port", z.sockets.port), F_C("data", s->data), F_C("index", s->index),
             F_MS("took", clock_ms() - z.started_ms));
    tell_ready(s);
    loop_run(z.loop);
    int r = close_parts(&z);
    LOG_INFO("gridlet-zdb has ended");
    return r < 0;
}

int zdbd_main(int argc, char **argv) {
    struct zdbd_settings s = {.port = 0};
    struct err e = {0};
    enum config_result result = CONFIG_RUN;
    int status = 1;
    if (argc > 1 && strcmp(argv[1], ZDBD_HOOK_RUNNER) == 0)
        return zdbd_hook_runner_main(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    int r = zdbd_settings_load(argc, argv, &s, &result, &e);
    if (r == 0 && result == CONFIG_RUN && !s.background) r = zdbd_start_log(&s, &e);
    if (r < 0)
        (void)fprintf(stderr, "gridlet-zdb: %s\n", e.msg);
    else if (result == CONFIG_ANSWERED)
        status = 0;
    else
        status = s.background ? zdbd_start_background(argc, argv) : serve(&s);
    zdbd_settings_done(&s);
    return status;
}
