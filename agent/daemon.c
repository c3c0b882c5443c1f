/* SPDX-License-Identifier: Apache-2.0 — daemon.c: opens the parts in order, serves, closes them.
 *
 * Order: folders and lock (so that a second daemon on the same folders never touches a thing),
 * image store, network, puller, CRI (adopts what runs), sockets, and only then READY. Stopping is
 * the reverse and leaves every pod running. Every failure before READY is one line and exit
 * status 1; there is nothing to undo that a restart would not find. */
#include "agent/daemon.h"

#include "agent/commands/auto_remove.h"
#include "agent/commands/commands.h"
#include "agent/commands/exit_watch.h"
#include "agent/limits.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>

#define LOCK_FILE      "gridletd.lock"
#define CGROUP_SYSTEMD "systemd"

static int open_folder(const char *path, mode_t mode, struct err *e) {
    int fd = file_mkdirs_open(AT_FDCWD, path, mode);
    return fd < 0 ? err_sys(e, -fd, "make the folder '%s' (run gridletd as root)", path) : fd;
}

/* One daemon per run folder and per root folder. */
static int lock_folder(int dir, const char *path, struct err *e) {
    AUTO_CLOSE int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, errno, "open '%s/" LOCK_FILE "'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return err_set(e, ERR_BUSY,
                       "another gridletd works on '%s': stop it, or give this one its own --root "
                       "and --run",
                       path);
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0)
        return err_sys(e, errno, "write '%s/" LOCK_FILE "'", path);
    return STEAL_FD(fd);
}

static int open_folders(struct daemon *d, struct err *e) {
    d->root_fd = open_folder(d->settings->root, 0711, e);
    if (d->root_fd < 0) return -1;
    d->run_fd = open_folder(d->settings->run, 0711, e);
    if (d->run_fd < 0) return -1;
    d->lock_fd = lock_folder(d->run_fd, d->settings->run, e);
    if (d->lock_fd < 0) return -1;
    /* The root folder may be shared by mistake under another run folder: its own lock. */
    int r = flock(d->root_fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
    if (r == EWOULDBLOCK)
        return err_set(e, ERR_BUSY, "another gridletd works on '%s': give this one its own --root",
                       d->settings->root);
    return r ? err_sys(e, r, "lock '%s'", d->settings->root) : 0;
}

static int open_images(struct daemon *d, struct err *e) {
    const struct settings *s = d->settings;
    AUTO_FREE char *unpack = xasprintf("%s/gridlet-unpack", s->program_dir);
    d->images = image_store_open(s->root, unpack, e);
    if (!d->images) return err_in(e, "image store");
    struct image_puller_options o = {.registries_dir = s->registries,
                                     .docker_config = s->docker_config,
                                     .layers_at_once = (unsigned)s->layers_at_once};
    d->puller = image_puller_new(d->loop, d->images, &o, e);
    return d->puller ? 0 : err_in(e, "image puller");
}

static int open_network(struct daemon *d, struct err *e) {
    const struct settings *s = d->settings;
    /* Addresses live no longer than the pods that hold them, and those end with the boot. */
    struct pod_network_options o = {.root = s->run,
                                    .bridge = s->bridge,
                                    .nft_table = s->nft_table,
                                    .cidr4 = str_of(s->pod_cidr),
                                    .cidr6 = str_of(s->pod_cidr6),
                                    .mtu = (uint32_t)s->mtu};
    struct pod_network_health health = {.ip6 = false};
    d->network = pod_network_open(&o, e);
    if (!d->network) return err_in(e, "pod network");
    pod_network_health(d->network, &health);
    if (s->pod_cidr6[0] && !health.ip6) LOG_WARN("pods get no IPv6: the kernel has none");
    if (health.corrupt_records)
        LOG_ERROR("address records could not be read and were put aside",
                  F_U64("records", health.corrupt_records), F_C("first", health.corrupt_first));
    return 0;
}

/* cri/ asks the contract through these two, which also tell that there was work. */
static int admit(void *self, const struct admission_request *r, struct err *e) {
    struct daemon *d = self;
    struct admission contract = node_contract_admission(d->contract);
    trim_note(&d->trim);
    return contract.admit(contract.self, r, e);
}

static void release(void *self, struct str id) {
    struct daemon *d = self;
    struct admission contract = node_contract_admission(d->contract);
    trim_note(&d->trim);
    contract.release(contract.self, id);
}

static int open_cri(struct daemon *d, struct err *e) {
    const struct settings *s = d->settings;
    bool systemd = strcmp(s->cgroup_driver, CGROUP_SYSTEMD) == 0;
    struct cri_options o = {.root = s->root,
                            .run = s->run,
                            .program_dir = s->program_dir,
                            .cgroup_root = s->cgroup_root,
                            .cgroup_driver =
                                systemd ? CGROUP_DRIVER_SYSTEMD : CGROUP_DRIVER_CGROUPFS,
                            .images = d->images,
                            .puller = d->puller,
                            .network = d->network,
                            .admission = {.self = d, .admit = admit, .release = release},
                            .log_bytes_max = s->container_log_bytes};
    d->cri = cri_open(d->loop, &o, e);
    return d->cri ? 0 : err_in(e, "CRI");
}

static int open_zdb(struct daemon *d, struct err *e) {
    const struct settings *s = d->settings;
    struct zdb_node_options o = {.root = s->root,
                                 .run = s->run,
                                 .program_dir = s->program_dir,
                                 .listen = s->zdb_listen && *s->zdb_listen ? s->zdb_listen : NULL,
                                 .admission = node_contract_admission(d->contract)};
    node_contract_measure_storage(d->contract, d->root_fd);
    return zdb_node_open(d->loop, &o, &d->zdb, e) < 0 ? err_in(e, "0-db server") : 0;
}

static int open_sockets(struct daemon *d, struct err *e) {
    struct admin_options o = {.commands = commands_table, .count = commands_count, .user = d};
    AUTO_FREE char *path = xasprintf("%s/admin.sock", d->settings->run);
    if (cri_listen(d->cri, d->settings->cri_socket, e) < 0) return -1;
    d->admin = admin_listen(d->loop, path, &o, e);
    return d->admin ? 0 : -1;
}

static int open_parts(struct daemon *d, struct err *e) {
    d->contract = node_contract_new();
    if (open_folders(d, e) < 0) return -1;
    if (open_images(d, e) < 0) return -1;
    if (open_network(d, e) < 0) return -1;
    if (open_cri(d, e) < 0) return -1;
    if (open_zdb(d, e) < 0) return -1;
    return open_sockets(d, e);
}

/* After loop_run(), or when opening failed half way. */
static void close_parts(struct daemon *d) {
    admin_close(STEAL(d->admin));
    trim_done(&d->trim);
    exit_watch_end_all(d);
    zdb_node_close(d->zdb);
    loop_settle(d->loop); /* ops under way end before the records that they change */
    zdb_node_free(d->zdb);
    if (d->cri) cri_free(d->cri);
    if (d->puller) image_puller_free(d->puller);
    if (d->network) pod_network_close(d->network);
    loop_free(d->loop);
    if (d->images) image_store_close(d->images);
    node_contract_free(d->contract);
    int fds[] = {d->lock_fd, d->run_fd, d->root_fd};
    for (size_t i = 0; i < COUNT(fds); i++)
        if (fds[i] >= 0) (void)close(fds[i]);
}

static void on_drained(void *user) { loop_stop(((struct daemon *)user)->loop); }

static void on_signal(int signum, void *user) {
    struct daemon *d = user;
    if (d->stopping) return;
    d->stopping = true;
    LOG_INFO("stopping; pods go on", F_INT("signal", signum));
    int r = notify_systemd("STOPPING=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    admin_close(STEAL(d->admin));
    cri_close(d->cri, d->settings->stop_grace_ms, on_drained, d);
}

static void tell_ready(const struct settings *s) {
    int r = notify_systemd("READY=1");
    if (r < 0) LOG_WARN("systemd could not be told", F_C("error", strerror(-r)));
    r = s->ready_fd == SETTINGS_NO_FD ? 0 : notify_fd((int)s->ready_fd);
    if (r < 0) LOG_WARN("--ready-fd could not be written", F_C("error", strerror(-r)));
}

static int serve(const struct settings *s) {
    struct daemon d = {
        .settings = s, .root_fd = -1, .run_fd = -1, .lock_fd = -1, .started_ns = clock_wall_ns()};
    struct err e = {0};
    d.loop = loop_new((unsigned)s->workers);
    trim_init(&d.trim, d.loop);
    if (open_parts(&d, &e) < 0) {
        LOG_ERROR("gridletd cannot start", F_ERR(&e));
        close_parts(&d);
        return 1;
    }
    loop_on_signal(d.loop, SIGTERM, on_signal, &d);
    loop_on_signal(d.loop, SIGINT, on_signal, &d);
    LOG_INFO("gridletd serves", F_C("version", GRIDLET_VERSION), F_C("root", s->root),
             F_C("cri", s->cri_socket),
             F_U64("took_ms", (uint64_t)(clock_wall_ns() - d.started_ns) / 1000000));
    auto_remove_adopt(&d);
    tell_ready(s);
    loop_run(d.loop);
    close_parts(&d);
    LOG_INFO("gridletd has ended");
    return 0;
}

int daemon_main(int argc, char *const *argv) {
    struct settings s = {0};
    struct err e = {0};
    enum config_result result = CONFIG_RUN;
    enum log_level level = LOG_LEVEL_INFO;
    int status = 1;
    limits_set();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(022);
    int r = settings_load(argc, argv, &s, &result, &e);
    if (r == 0 && result == CONFIG_RUN && log_level_parse(str_of(s.log_level), &level) < 0)
        r = err_set(&e, ERR_INVALID, "'log-level' must be debug, info, warn or error, not '%.60s'",
                    s.log_level);
    if (r < 0) {
        (void)fprintf(stderr, "gridletd: %s\n", e.msg);
    } else if (result == CONFIG_ANSWERED) {
        status = 0;
    } else {
        log_set_level(level);
        status = serve(&s);
    }
    settings_done(&s);
    return status;
}
