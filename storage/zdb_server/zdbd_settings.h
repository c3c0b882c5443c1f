/* SPDX-License-Identifier: Apache-2.0 — zdbd_settings.h: the command line of gridlet-zdb: 0-db's
 * own options and defaults, and ours. Start-up only. */
#pragma once

#include "base/config.h"
#include "storage/zdb_server/zdbd_server.h"

#define ZDBD_NO_FD UINT64_MAX

struct zdbd_settings {
    /* as they are given */
    char *data, *index, *mode, *datasize, *listen, *socket, *hook, *admin, *logfile, *durability;
    char *user, *metrics, *log_level, *reserve, *scrub_rate, *compact_rate;
    uint64_t port, compact_percent, maxsize, rotate_s, ready_fd, connections, idle_ms, stall_ms,
        workers;
    bool dualnet, protect, verbose, dump, sync, secure, background, open, unconfined;
    /* what follows from them */
    enum zdbd_mode server_mode;
    uint64_t data_file_bytes, scrub_bytes_per_s, compact_bytes_per_s;
    enum zdb_durability default_durability;
    uint32_t interval_ms;
    bool listens_on_tcp, is_loopback_by_default;
};

/* Fills *s. Errors: INVALID, LIMIT, and what reading the file gives; the message says what to do.
 * zdbd_settings_done() in every case. */
int zdbd_settings_load(int argc, char *const *argv, struct zdbd_settings *s,
                       enum config_result *out, struct err *e) MUST_CHECK;
void zdbd_settings_done(struct zdbd_settings *s);
/* "256M": K, M, G are powers of 1024, as 0-db means them. Tier (a). */
int zdbd_size_parse(struct str text, uint64_t *out) MUST_CHECK;
