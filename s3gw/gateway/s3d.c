/* SPDX-License-Identifier: Apache-2.0 — s3d.c: settings, walls, serving, stopping.
 *
 * Order: folder, the fence around it (before there are threads), the gateway, its listeners, the
 * filter of system calls, and only then READY. A failure before READY is one line and exit 1. */
#include "s3gw/gateway/s3d.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "s3gw/gateway/gateway.h"
#include "s3gw/gateway/s3d_walls.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define STOP_GRACE_MS 10000
#define WORKERS_MAX   64
#define NO_FD         UINT64_MAX

struct settings {
    char *root, *run, *listen, *tls_listen, *domain, *region, *log_level;
    uint64_t workers, ready_fd, connections;
    bool unconfined;
};

#define KEY(name_, type_, field, value_, arg_, help_)                                              \
    {                                                                                              \
        .name = (name_), .type = (type_), .offset = offsetof(struct settings, field),              \
        .value = (value_), .arg = (arg_), .help = (help_)                                          \
    }
static const struct config_key KEYS[] = {
    KEY("root", CONFIG_STR, root, "/var/lib/gridlet-s3", "DIR", "Folder of all that lasts."),
    KEY("run", CONFIG_STR, run, "/run/gridlet-s3", "DIR", "Folder of what ends with a reboot."),
    KEY("listen", CONFIG_STR, listen, "127.0.0.1:9000", "ADDR:PORT",
        "Where HTTP is served; port 0: a free one; empty: nowhere."),
    KEY("tls-listen", CONFIG_STR, tls_listen, "", "ADDR:PORT",
        "Where HTTPS is served, with ROOT/tls/cert.pem and key.pem (made when missing)."),
    KEY("domain", CONFIG_STR, domain, "", "NAME",
        "Buckets are also served as hosts of this domain (virtual-host style)."),
    KEY("region", CONFIG_STR, region, "us-east-1", "NAME",
        "Region of the gateway; us-east-1 is always accepted, too."),
    KEY("workers", CONFIG_U64, workers, "8", "N", "Threads that serve requests: 1 to 64."),
    KEY("connections", CONFIG_U64, connections, "10000", "N", "At once; one more is refused."),
    KEY("log-level", CONFIG_STR, log_level, "info", "LEVEL", "debug, info, warn or error."),
    KEY("ready-fd", CONFIG_U64, ready_fd, "18446744073709551615", "N",
        "Descriptor that READY=1 is written to when it serves."),
    KEY("unconfined", CONFIG_BOOL, unconfined, "false", NULL,
        "Without the fence and the filter of system calls, for debugging."),
};
static const struct config_program PROGRAM = {
    .name = "gridlet-s3",
    .synopsis = "S3 from the node's own storage.",
    .notes = "The root user's keys come from GRIDLET_S3_ACCESS_KEY and GRIDLET_S3_SECRET_KEY, or "
             "are made at the first start into ROOT/root.json.",
    .keys = KEYS,
    .key_count = COUNT(KEYS)};

struct s3d {
    const struct settings *settings;
    struct loop *loop;
    struct gateway *gateway;
    uint16_t port, tls_port;
    bool is_stopping;
};

static int check(const struct settings *s, struct err *e) {
    enum log_level level = LOG_LEVEL_INFO;
    if (s->workers < 1 || s->workers > WORKERS_MAX)
        return err_set(e, ERR_INVALID, "'workers' must be 1 to %d", WORKERS_MAX);
    if (s->connections < 1 || s->connections > 1000000)
        return err_set(e, ERR_INVALID, "'connections' must be 1 to 1000000");
    if (log_level_parse(str_of(s->log_level), &level) < 0)
        return err_set(e, ERR_INVALID, "'log-level' must be debug, info, warn or error");
    if (!s->listen[0] && !s->tls_listen[0])
        return err_set(e, ERR_INVALID, "neither 'listen' nor 'tls-listen' says where to serve");
    log_set_level(level);
    return 0;
}

static int open_gateway(struct s3d *d, struct err *e) {
    const struct settings *s = d->settings;
    const struct gateway_options o = {
        .root = s->root,
        .loop = d->loop = loop_new((unsigned)s->workers),
        .workers = (unsigned)s->workers,
        .domain = str_of(s->domain),
        .region = str_of(s->region),
        .given = {getenv("GRIDLET_S3_ACCESS_KEY"), getenv("GRIDLET_S3_SECRET_KEY")},
        .limits = {.connections_max = (uint32_t)s->connections,
                   .connections_per_address_max = (uint32_t)s->connections},
    };
    if (gateway_open(&o, &d->gateway, e) < 0) return -1;
    if (s->listen[0] && gateway_listen(d->gateway, s->listen, &d->port, e) < 0) return -1;
    if (s->tls_listen[0] && gateway_listen_tls(d->gateway, s->tls_listen, &d->tls_port, e) < 0)
        return -1;
    return 0;
}

static int open_parts(struct s3d *d, struct err *e) {
    const struct settings *s = d->settings;
    int r = file_mkdirs(AT_FDCWD, s->root, 0700);
    if (r < 0) return err_sys(e, -r, "make the folder '%s'", s->root);
    if (!s->unconfined && s3d_walls_fence(s->root, e) < 0) return -1;
    if (open_gateway(d, e) < 0) return -1;
    return s->unconfined ? 0 : s3d_walls_filter(e);
}

static void on_stopped(void *user) { loop_stop(((struct s3d *)user)->loop); }

static void on_signal(int signum, void *user) {
    struct s3d *d = user;
    if (d->is_stopping) return;
    d->is_stopping = true;
    LOG_INFO("stopping", F_INT("signal", signum));
    int r = notify_systemd("STOPPING=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    gateway_stop(d->gateway, STOP_GRACE_MS, on_stopped, d);
}

static void tell_ready(const struct s3d *d) {
    const struct identities *i = gateway_identities(d->gateway);
    LOG_INFO("gridlet-s3 serves", F_C("version", GRIDLET_VERSION), F_U64("port", d->port),
             F_U64("tls_port", d->tls_port), F_C("root", d->settings->root),
             F_C("access_key", i->access_key));
    int r = notify_systemd("READY=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    r = d->settings->ready_fd == NO_FD ? 0 : notify_fd((int)d->settings->ready_fd);
    if (r < 0) LOG_WARN("--ready-fd could not be written", F_C("error", strerror(-r)));
}

static int serve(const struct settings *s) {
    struct s3d d = {.settings = s};
    struct err e = {0};
    int r = open_parts(&d, &e);
    if (r == 0) {
        loop_on_signal(d.loop, SIGTERM, on_signal, &d);
        loop_on_signal(d.loop, SIGINT, on_signal, &d);
        tell_ready(&d);
        loop_run(d.loop);
    } else {
        LOG_ERROR("gridlet-s3 cannot start", F_ERR(&e));
    }
    gateway_close(d.gateway);
    if (d.loop) loop_free(d.loop);
    if (r == 0) LOG_INFO("gridlet-s3 has ended");
    return r < 0;
}

int s3d_main(int argc, char **argv) {
    struct settings s = {.workers = 0};
    struct err e = {0};
    enum config_result result = CONFIG_RUN;
    int status = 1;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    int r = config_load(&PROGRAM, argc, argv, &s, &result, &e);
    if (r == 0 && result == CONFIG_RUN) r = check(&s, &e);
    if (r < 0)
        (void)fprintf(stderr, "gridlet-s3: %s\n", e.msg);
    else
        status = result == CONFIG_ANSWERED ? 0 : serve(&s);
    config_done(&PROGRAM, &s);
    return status;
}
