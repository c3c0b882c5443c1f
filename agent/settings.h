/* SPDX-License-Identifier: Apache-2.0 — settings.h: gridletd's settings.
 *
 * The table of options, and what is derived from them: names of machine-wide things (bridge,
 * nftables table, cgroup) carry a mark of the root folder unless it is the standard one, so that
 * any number of nodes can run on one machine. Start-up only. */
#pragma once

#include "base/config.h"

#define SETTINGS_ROOT "/var/lib/gridlet"
#define SETTINGS_RUN  "/run/gridlet"

struct settings {
    char *root, *run;
    char *cri_socket; /* RUN/cri.sock unless given */
    char *cgroup_root;
    char *cgroup_driver; /* "cgroupfs", "systemd" */
    char *pod_cidr, *pod_cidr6;
    char *bridge, *nft_table;
    char *registries, *docker_config;
    char *program_dir; /* where the other programs are: beside gridletd unless given */
    char *zdb_listen;  /* where the node's 0-db server listens besides its socket, or NULL */
    char *log_level;
    uint64_t mtu, workers, layers_at_once, container_log_bytes, stop_grace_ms;
    uint64_t ready_fd; /* SETTINGS_NO_FD: none */
};
#define SETTINGS_NO_FD 4294967295ULL

extern const struct config_program settings_program;

/* config_load, then the derived values; the folders become absolute. settings_done() in every case.
 */
int settings_load(int argc, char *const *argv, struct settings *s, enum config_result *out,
                  struct err *e) MUST_CHECK;
/* The second half of settings_load, for tests. */
int settings_derive(struct settings *s, struct err *e) MUST_CHECK;
void settings_done(struct settings *s);
