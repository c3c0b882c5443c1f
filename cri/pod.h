/* SPDX-License-Identifier: Apache-2.0 — pod.h: pod records and their states.
 *
 *   MAKING --ok--> READY --stop, or its shim is gone--> STOPPING --> NOTREADY --remove--> REMOVING
 * --> (gone)
 *      \--fails: undone, gone
 * Only READY and NOTREADY are visible to clients and on disk (root/pods/<id>/record); a pod in
 * MAKING has its record under run/, so that a killed daemon's successor knows what to undo. Loop
 * thread only but for immutable fields. */
#pragma once

#include "cri/node.h"
#include "cri/proto/api.pb-c.h"
#include "cri/shim_client.h"

#include <errno.h>

#define POD_ID_BYTES     65
#define POD_CGROUP_BYTES 1024
#define RECORD_BYTES_MAX (16u << 20)
/* What reading a record file failed with says that it is no record, not that reading is impossible.
 */
static inline bool record_is_none(int r) { return r == -EFBIG || r == -EISDIR || r == -ELOOP; }

enum pod_state { POD_MAKING, POD_READY, POD_STOPPING, POD_NOTREADY, POD_REMOVING };

struct pod {
    struct cri *cri; /* immutable, as is everything up to `state` */
    char id[POD_ID_BYTES];
    Runtime__V1__PodSandboxConfig *config; /* owned */
    char *handler;                         /* owned; runtime handler */
    int64_t created_at_ns;
    char cgroup[POD_CGROUP_BYTES];
    bool owns_cgroup;
    struct strand strand; /* its ops, one at a time */

    enum pod_state state;
    struct pod_addresses addresses;
    struct shim shim;
    struct pod_making *making;             /* owned while POD_MAKING (pod_run.c) */
    struct container *containers;          /* list by container.next */
    struct call_list runs, stops, removes; /* waiting for the state to settle */
    bool giving_back;                      /* STOPPING: no container is left, the op is under way */
};

/* A record in memory with a fresh or given id, listed in cri->pods; config is copied. */
struct pod *pod_new(struct cri *c, const char *id, const Runtime__V1__PodSandboxConfig *config);
/* Unlists and frees; its ops must be over. */
void pod_free(struct pod *p);

/* By id or unique prefix; pods in MAKING are not found. NULL: e is NOT_FOUND. */
struct pod *pod_find(struct cri *c, const char *id, struct err *e) MUST_CHECK;
/* The pod that a call names; NULL: the call was answered NOT_FOUND. */
struct pod *pod_of_call(struct call *c, const char *id) MUST_CHECK;
/* The pod with the same name, namespace, uid and attempt, in any state but REMOVING; NULL. */
struct pod *pod_find_same(struct cri *c, const Runtime__V1__PodSandboxMetadata *m);
bool pod_is_visible(const struct pod *p);
Runtime__V1__PodSandboxState pod_cri_state(const struct pod *p);

bool pod_host_network(const struct pod *p);
Runtime__V1__NamespaceMode pod_pid_mode(const Runtime__V1__PodSandboxConfig *config);
/* Host name inside the pod; out has HOST_NAME_BYTES. */
#define HOST_NAME_BYTES 65
void pod_hostname(const struct pod *p, char *out);
/* Host ports of the config; those with host port 0 are left out. out: POD_PORTS_MAX entries. */
int pod_ports(const Runtime__V1__PodSandboxConfig *config, struct port_mapping *out,
              size_t *out_count, struct err *e) MUST_CHECK;
/* Contract named by the pod's annotation, or empty. */
struct str pod_contract(const struct pod *p);

/* Writes the record: ready or not, durable under root/ or (intent) only until reboot under run/.
 * Any thread that runs the pod's ops. */
enum pod_record_place { POD_RECORD_INTENT, POD_RECORD_READY, POD_RECORD_NOTREADY };
int pod_save(const struct pod *p, enum pod_record_place place, struct err *e) MUST_CHECK;
/* Reads FOLDER_FD/pods/<id>/record into a listed pod. out_ready, out_same_boot: what the record
 * says. */
struct pod *pod_load(struct cri *c, int folder_fd, const char *id, bool *out_ready,
                     bool *out_same_boot, struct err *e) MUST_CHECK;

/* ---- the life cycle (pod_run.c, pod_stop.c) ---- */

/* Events of the pod's shim. */
void pod_sandbox_ready(struct pod *p, const struct shim_message *m, int *fds);
void pod_sandbox_failed(struct pod *p, const struct shim_message *m);
void pod_shim_gone(struct pod *p);
void pod_making_shim_gone(struct pod *p);
/* Kills what runs in it and gives back what it holds, until it is NOTREADY. */
void pod_stop_begin(struct pod *p);
void pod_remove_begin(struct pod *p); /* of a NOTREADY pod, with its containers */
/* A container of the pod has ended, or its record is gone: goes on with what waited for that. */
void pod_container_ended(struct pod *p);
void pod_container_gone(struct pod *p);
/* A container could not be removed: the removal of the pod fails with it. */
void pod_container_stuck(struct pod *p, const struct err *e);

/* What a pod holds beside its records - shim, cgroups, addresses, grant, folder under run/ - is
 * given back; idempotent. Any thread that runs the pod's ops. */
int pod_undo(struct pod *p, struct err *e) MUST_CHECK;
/* The cgroup of the pod's shim. */
int pod_leaf(const struct pod *p, struct cgroup_path *out, struct err *e) MUST_CHECK;
/* Folder under run/ or root/, open; -1: e. */
int pod_open_folder(const struct pod *p, int folder_fd, struct err *e) MUST_CHECK;
/* Writes resolv.conf, hostname and hosts. */
int pod_write_files(const struct pod *p, const struct pod_addresses *addresses,
                    struct err *e) MUST_CHECK;
