/* SPDX-License-Identifier: Apache-2.0 — zdbd_settings.c: options of gridlet-zdb.
 *
 * Source: 0-db 2.0.7 (zdbd/zdbd.c: names, defaults, limits). What differs: without --admin, and
 * without --listen, it listens on loopback instead of everywhere, since everyone who connects is
 * admin; --listen elsewhere is refused then unless --open is given. */
#include "storage/zdb_server/zdbd_settings.h"

#include "base/log.h"

#include <errno.h>

#define DATASIZE_MIN    ((uint64_t)512 << 10)
#define PORT_MAX        65535
#define WORKERS_MAX     64
#define INTERVAL_PREFIX "interval:"

#define KEY(name_, type_, field, value_, arg_, help_)                                              \
    {                                                                                              \
        .name = (name_), .type = (type_), .offset = offsetof(struct zdbd_settings, field),         \
        .value = (value_), .arg = (arg_), .help = (help_)                                          \
    }

static const struct config_key keys[] = {
    KEY("data", CONFIG_STR, data, "./zdb-data", "DIR", "Folder of data files."),
    KEY("index", CONFIG_STR, index, "./zdb-index", "DIR", "Folder of index files."),
    KEY("mode", CONFIG_STR, mode, "", "MODE",
        "Of new namespaces: user (keys are the client's) or seq (keys are numbers, and need no "
        "memory). Empty: user, and NSSET can change it."),
    KEY("datasize", CONFIG_STR, datasize, "256M", "SIZE",
        "Data files end at this size: 512K to less than 4G, powers of 1024."),
    KEY("listen", CONFIG_STR, listen, NULL, "ADDR",
        "Address to listen on. Default: all (::) when there is --admin or --open, else loopback."),
    KEY("port", CONFIG_U64, port, "9900", "N", "Port to listen on; 0: a free one."),
    KEY("socket", CONFIG_STR, socket, NULL, "PATH",
        "Unix socket to listen on instead (with --dualnet: too)."),
    KEY("dualnet", CONFIG_BOOL, dualnet, "false", NULL, "Listens on --socket and on TCP."),
    KEY("hook", CONFIG_STR, hook, NULL, "FILE", "Program that is called for events."),
    KEY("admin", CONFIG_STR, admin, "", "PASSWORD",
        "Password of AUTH. Without it everyone who connects is admin."),
    KEY("open", CONFIG_BOOL, open, "false", NULL,
        "Listens beyond loopback even though everyone who connects is admin."),
    KEY("maxsize", CONFIG_U64, maxsize, "0", "BYTES", "Limit of the namespace default; 0: none."),
    KEY("protect", CONFIG_BOOL, protect, "false", NULL,
        "The namespace default takes the admin's password."),
    KEY("durability", CONFIG_STR, durability, "always", "HOW",
        "When writes are on the disk: always (before they are acknowledged), interval:MS, or "
        "never (the kernel decides). NSSET can set another one for a namespace."),
    KEY("sync", CONFIG_BOOL, sync, "false", NULL, "The same as --durability always."),
    KEY("secure", CONFIG_BOOL, secure, "false", NULL,
        "Accepted: a file is always synced before the next one is started."),
    KEY("rotate", CONFIG_U64, rotate_s, "0", "SECONDS",
        "Starts new files for a namespace that long after it was written to; 0: never."),
    KEY("dump", CONFIG_BOOL, dump, "false", NULL, "Prints all live keys and ends."),
    KEY("background", CONFIG_BOOL, background, "false", NULL,
        "Goes to the background when it serves."),
    KEY("logfile", CONFIG_STR, logfile, NULL, "FILE", "Where the log goes instead of stderr."),
    KEY("verbose", CONFIG_BOOL, verbose, "false", NULL, "The same as --log-level debug."),
    KEY("log-level", CONFIG_STR, log_level, "info", "LEVEL", "debug, info, warn or error."),
    KEY("reserve", CONFIG_STR, reserve, NULL, "SIZE",
        "Space that is kept for deletions and reads when the disk is full; 0: none. Default: a "
        "data file's, or less on a small disk."),
    KEY("compact-percent", CONFIG_U64, compact_percent, "50", "N",
        "Compacts a namespace in the background when so much of its data is dead; 0: only when "
        "COMPACT says so."),
    KEY("compact-rate", CONFIG_STR, compact_rate, "64M", "SIZE",
        "Bytes a second that compaction reads and writes at most, beside writers; 0: as many as it "
        "can."),
    KEY("scrub-rate", CONFIG_STR, scrub_rate, "32M", "SIZE",
        "Bytes a second that SCRUB reads at most; 0: as many as it can."),
    KEY("metrics", CONFIG_STR, metrics, NULL, "ADDR:PORT",
        "Serves counters in Prometheus text there."),
    KEY("user", CONFIG_STR, user, NULL, "NAME",
        "Whom to become when started as root. Default: gridlet-zdb, when there is such a user."),
    KEY("connections", CONFIG_U64, connections, "4096", "N", "At once; one more is refused."),
    KEY("idle-timeout", CONFIG_MS, idle_ms, "1h", "TIME",
        "A connection without requests is closed after it; 0: never."),
    KEY("stall-timeout", CONFIG_MS, stall_ms, "60s", "TIME",
        "A connection that stops within a request, or does not take its replies, is closed after "
        "it."),
    KEY("workers", CONFIG_U64, workers, "4", "N", "Threads for what waits for the disk: 1 to 64."),
    KEY("ready-fd", CONFIG_U64, ready_fd, "18446744073709551615", "N",
        "Descriptor that READY=1 is written to when it serves."),
    KEY("unconfined", CONFIG_BOOL, unconfined, "false", NULL,
        "Leaves out Landlock and seccomp: for debuggers and leak checkers."),
};

static const struct config_program program = {
    .name = "gridlet-zdb",
    .synopsis = "a 0-db compatible key-value server",
    .notes = "Everything it keeps is in --data and --index, in 0-db's own format. A client speaks "
             "RESP:\n  redis-cli -p 9900 SET key value\n",
    .keys = keys,
    .key_count = COUNT(keys),
};

int zdbd_size_parse(struct str text, uint64_t *out) {
    static const char units[] = "KMGT";
    unsigned shift = 0;
    uint64_t n = 0;
    if (text.n > 0) {
        const char *unit = strchr(units, text.p[text.n - 1] & ~0x20);
        if (unit && *unit) {
            shift = 10 * (unsigned)(unit - units + 1);
            text.n--;
        }
    }
    int r = str_u64(text, &n);
    if (r == 0 && n > UINT64_MAX >> shift) r = -ERANGE;
    if (r == 0) *out = n << shift;
    return r;
}

static int take_mode(struct zdbd_settings *s, struct err *e) {
    struct str mode = str_of(s->mode);
    if (mode.n == 0)
        s->server_mode = ZDBD_MIXED;
    else if (str_eq(mode, STR("user")))
        s->server_mode = ZDBD_USER;
    else if (str_eq(mode, STR("seq")) || str_eq(mode, STR("direct"))) /* 0-db's old name */
        s->server_mode = ZDBD_SEQ;
    else
        return err_set(e, ERR_INVALID, "'mode' must be user or seq, not '%.60s'", s->mode);
    return 0;
}

static int take_sizes(struct zdbd_settings *s, struct err *e) {
    if (zdbd_size_parse(str_of(s->datasize), &s->data_file_bytes) < 0)
        return err_set(e, ERR_INVALID, "'datasize' must be a size such as 256M, not '%.60s'",
                       s->datasize);
    if (s->data_file_bytes < DATASIZE_MIN || s->data_file_bytes > ZDB_DATA_FILE_BYTES_MAX)
        return err_set(e, ERR_INVALID, "'datasize' must be 512K to less than 4G, not '%.60s'",
                       s->datasize);
    if (zdbd_size_parse(str_of(s->scrub_rate), &s->scrub_bytes_per_s) < 0)
        return err_set(e, ERR_INVALID, "'scrub-rate' must be a size such as 32M, not '%.60s'",
                       s->scrub_rate);
    if (zdbd_size_parse(str_of(s->compact_rate), &s->compact_bytes_per_s) < 0)
        return err_set(e, ERR_INVALID, "'compact-rate' must be a size such as 64M, not '%.60s'",
                       s->compact_rate);
    if (s->compact_percent > 100)
        return err_set(e, ERR_INVALID, "'compact-percent' must be 0 to 100");
    if (s->port > PORT_MAX) return err_set(e, ERR_INVALID, "'port' must be 0 to %d", PORT_MAX);
    if (s->workers < 1 || s->workers > WORKERS_MAX)
        return err_set(e, ERR_INVALID, "'workers' must be 1 to %d", WORKERS_MAX);
    if (s->connections < 1 || s->connections > ZDBD_CONNECTIONS_MAX)
        return err_set(e, ERR_INVALID, "'connections' must be 1 to %d", ZDBD_CONNECTIONS_MAX);
    return 0;
}

static int take_durability(struct zdbd_settings *s, struct err *e) {
    struct str how = str_of(s->sync ? "always" : s->durability);
    if (zdbd_durability_parse(how, &s->default_durability, &s->interval_ms) == 0) return 0;
    return err_set(e, ERR_INVALID,
                   "'durability' must be always, never or " INTERVAL_PREFIX "MS, not '%.60s'",
                   s->durability);
}

static int take_rights(struct zdbd_settings *s, struct err *e) {
    if (s->protect && !s->admin[0])
        return err_set(e, ERR_INVALID, "'protect' needs the admin's password: --admin PASSWORD");
    s->listens_on_tcp = !s->socket || s->dualnet;
    if (s->listen || s->admin[0] || s->open) return 0;
    s->is_loopback_by_default = true;
    return 0;
}

int zdbd_settings_load(int argc, char *const *argv, struct zdbd_settings *s,
                       enum config_result *out, struct err *e) {
    if (config_load(&program, argc, argv, s, out, e) < 0) return -1;
    if (*out == CONFIG_ANSWERED) return 0;
    if (take_mode(s, e) < 0 || take_sizes(s, e) < 0 || take_durability(s, e) < 0) return -1;
    return take_rights(s, e);
}

void zdbd_settings_done(struct zdbd_settings *s) { config_done(&program, s); }
