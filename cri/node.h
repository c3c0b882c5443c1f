/* SPDX-License-Identifier: Apache-2.0 — node.h: what all files of the CRI service share: `struct
 * cri` itself.
 *
 * Loop thread only, but for the fields marked immutable, which ops may read. */
#pragma once

#include "cri/call.h"
#include "cri/cgroup.h"
#include "cri/idmap.h"

struct cri {
    struct loop *loop;
    struct cri_options options;  /* immutable */
    struct cgroup_node *cgroups; /* immutable handle, any thread */
    int root_fd, run_fd;         /* immutable: the two folders */
    int init_fd;                 /* immutable: sealed memfd with gridlet-init */
    char shim_path[4096];        /* immutable */
    char boot_id[64];            /* immutable */
    struct idmap pods, containers;
    struct grpc_server *server;
    struct strand trash; /* deletes what was removed, one after another */
    uint64_t exec_number;
};

/* Folder names below root and run. */
#define PODS_FOLDER       "pods"
#define RECORD_FILE       "record" /* in the folder of a pod or container */
#define CONTAINERS_FOLDER "containers"
#define TRASH_FOLDER      "trash"
#define CORRUPT_FOLDER    "corrupt" /* records that could not be read */

#define CORRUPT_RECORDS_MAX 64 /* that are kept for a person to look at */

/* Moves FOLDER/id of root to the trash (durable at return) and has it deleted in the background.
 * Any thread. */
int node_discard(struct cri *c, const char *folder, const char *id, struct err *e) MUST_CHECK;
/* The same, but FOLDER/id/record is kept as root/corrupt/FOLDER-id; with CORRUPT_RECORDS_MAX there
 * already it goes with the rest. *out_kept tells. */
int node_set_aside(struct cri *c, const char *folder, const char *id, bool *out_kept,
                   struct err *e) MUST_CHECK;
/* Empties the trash; an op's work. */
void node_empty_trash(struct cri *c);
