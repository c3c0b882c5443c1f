/* SPDX-License-Identifier: Apache-2.0 — daemon.h: the running node, put together from its parts.
 *
 * The parts know nothing of each other beyond their own interfaces; this is where they meet. Loop
 * thread only. */
#pragma once

#include "agent/admin.h"
#include "agent/admission.h"
#include "agent/settings.h"
#include "agent/trim.h"
#include "agent/zdb_node.h"
#include "cri/cri.h"

struct daemon {
    struct loop *loop;
    const struct settings *settings;
    int root_fd, run_fd, lock_fd;
    struct trim trim;
    struct node_contract *contract;
    struct image_store *images;
    struct image_puller *puller;
    struct pod_network *network;
    struct cri *cri;
    struct zdb_node *zdb;
    struct admin *admin;
    struct exit_watch *exit_watches; /* commands/exit_watch.c */
    int64_t started_ns;
    bool stopping;
};

/* What gridletd's main does: settings, parts, serving, orderly end. Returns the exit status. */
int daemon_main(int argc, char *const *argv);
