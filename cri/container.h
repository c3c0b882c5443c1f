/* SPDX-License-Identifier: Apache-2.0 — container.h: container records and their states.
 *
 *   CREATING --> CREATED --start--> STARTING --> RUNNING --> EXITED --remove--> REMOVING --> (gone)
 *                                       \--fails--> EXITED (128, StartError)
 * On disk: root/containers/<id>/record from CREATED on, and exit.json, written by the shim, once it
 * has ended. Whether a container runs is asked of the shim, never guessed. Loop thread only but for
 * immutable fields. */
#pragma once

#include "cri/container_spec.h"
#include "cri/op.h"
#include "cri/pod.h"
#include "cri/proto/record.pb-c.h"

enum container_state {
    CONTAINER_CREATING,
    CONTAINER_CREATED,
    CONTAINER_STARTING,
    CONTAINER_RUNNING,
    CONTAINER_EXITED,
    CONTAINER_REMOVING
};

struct container_exit {
    int code; /* 128 + signal when a signal ended it */
    int64_t started_at_ns, finished_at_ns;
    char reason[32], message[512];
};

struct container {
    struct pod *pod;        /* immutable, as is everything up to `state` once CREATED */
    struct container *next; /* in pod->containers */
    Gridlet__Record__Container
        *record;        /* owned; ->resources belongs to the ops of the pod's strand */
    struct arena arena; /* of what follows */
    struct image image; /* config and layers alone */
    struct container_spec_output spec; /* what was resolved: user, mounts, stop signal, limits */
    struct cgroup_path cgroup;
    int dir_fd;  /* its folder under root/containers; -1 until made */
    int spec_fd; /* sealed launch spec until started; -1: made anew from the record */
    bool held;   /* its layers are */

    enum container_state state;
    Runtime__V1__LinuxContainerResources
        *resources; /* owned: as in the record, for answers; or NULL */
    int pid;
    int64_t started_at_ns;
    struct container_exit exit;
    struct call_list creates, starts, stops, removes, log_reopens;
    struct timer grace; /* armed while a stop waits for the process to end by itself */
    uint64_t grace_until_ms;
    struct exec *execs; /* running ones (exec.c) */
    bool remove_wanted; /* remove when it has ended */
    bool kill_wanted;   /* kill as soon as it runs */

    struct image_usage disk; /* of the writable layer, when last counted (stats.c) */
    uint64_t disk_counted_ms;
};

#define EXIT_FILE           "exit.json"
#define EXEC_CGROUP_PREFIX  "exec-" /* of the groups of execs, below the container's */
#define CONTAINER_ARENA_MAX (32u << 20)
#define START_FAILED_CODE   128
#define LOST_CODE           255 /* ended, and nobody saw how */

/* An empty record in CREATING, listed in its pod and in cri->containers; takes over `record`. */
struct container *container_new(struct pod *p, Gridlet__Record__Container *record);
/* Unlists and frees it; gives back its hold on layers. Its ops must be over. */
void container_free(struct container *k);

/* By id or unique prefix; those in CREATING are not found. NULL: e is NOT_FOUND. */
struct container *container_find(struct cri *c, const char *id, struct err *e) MUST_CHECK;
/* The container that a call names; NULL: the call was answered NOT_FOUND. */
struct container *container_of_call(struct call *c, const char *id) MUST_CHECK;
bool container_is_visible(const struct container *k);
/* STARTING or RUNNING: has, or may have, a process. */
bool container_is_alive(const struct container *k);
Runtime__V1__ContainerState container_cri_state(const struct container *k);
static inline struct cri *container_cri(const struct container *k) { return k->pod->cri; }

/* ---- on disk; ops of the pod's strand ---- */
int container_save(const struct container *k, struct err *e) MUST_CHECK;
/* Loads the record of root/containers/<id>; out_pod_id: POD_ID_BYTES. The caller finds the pod and
 * calls container_new(). NULL: e. */
Gridlet__Record__Container *container_record_load(struct cri *c, const char *id,
                                                  struct err *e) MUST_CHECK;
/* exit.json of its folder: 0, or -1 with NOT_FOUND or CORRUPT. */
int container_exit_load(int dir_fd, struct container_exit *out, struct err *e) MUST_CHECK;
int container_exit_save(int dir_fd, const struct container_exit *x, struct err *e) MUST_CHECK;

/* Keeps room for exit.json, so that the end of a container is recorded on a full disk too. */
int container_exit_reserve(int dir_fd, struct err *e) MUST_CHECK;

/* Fills arena, image and spec from the record, and *out_spec_fd (unless NULL) with a sealed launch
 * spec. Checks all that the request asks for. */
int container_resolve(struct container *k, int *out_spec_fd, struct err *e) MUST_CHECK;
/* The input of spec builders for this container; borrowed parts live as long as k. hostname:
 * HOST_NAME_BYTES. */
struct container_spec_input container_spec_input_of(const struct container *k, char *hostname,
                                                    char *pod_dir);
#define POD_DIR_BYTES 4096

/* ContainerStatus, pointing into the record; NULL: the arena is full. */
Runtime__V1__ContainerStatus *container_status_message(struct arena *a, struct container *k);

/* ---- the life cycle (container_start.c, container_stop.c) ---- */

/* Events of the shim. */
void container_started(struct container *k, const struct shim_message *m);
void container_start_failed(struct container *k, const struct shim_message *m);
void container_exited(struct container *k, const struct shim_message *m);
/* What EXITED or START_FAILED says about the end of a container that started at started_at_ns. */
struct container_exit container_exit_told(const struct shim_message *m, int64_t started_at_ns);
void container_log_reopened(struct container *k, const struct shim_message *m);
/* Its shim is gone: reads how it ended, or records that nobody saw it. */
void container_lost(struct container *k, const char *reason);
/* Marks it ended, answers who waited for that, gives back its cgroup. */
void container_ended(struct container *k, const struct container_exit *x);
/* Runs now: does what a stop during its start asked for. */
void container_stop_resume(struct container *k);
/* Kills it now. */
void container_kill(struct container *k);
/* Removes it: at once when it has ended, else as soon as it has. */
void container_remove_begin(struct container *k);
/* exec.c: a message about an exec (by its number) in one of the pod's containers; a container's
 * end. */
void pod_exec_event(struct pod *p, const struct shim_message *m, const int *fds);
void container_execs_end(struct container *k);
/* The daemon stops: tells who waits for an exec, and frees it. No op is under way. */
void container_execs_forget(struct container *k);
