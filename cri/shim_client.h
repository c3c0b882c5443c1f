/* SPDX-License-Identifier: Apache-2.0 — shim_client.h: the daemon's end of a pod's shim.
 *
 * Starting a shim, reaching one that a former daemon started, sending it requests, and the watch
 * that turns its messages into calls of the pod (pod_on_shim_message() in shim_events.c). The shim
 * lives on when the connection is closed. */
#pragma once

#include "base/loop.h"
#include "base/proc.h"
#include "cri/launch/shim_wire.h"

struct cri;
struct pod;

struct shim {
    int sock; /* owned; -1: no connection. Requests of ops use it: it is closed on the strand */
    bool attached; /* the loop hears it */
    struct watch watch;
    struct proc
        proc; /* when it is a child of this daemon; belongs to the ops of the pod's strand */
};
#define SHIM_NONE ((struct shim){.sock = -1, .proc = PROC_NONE})

#define SHIM_SOCKET_FILE "shim.sock"

/* Starts a shim for the pod inside the cgroup folder cgroup_fd (v2) and attaches it to the v1
 * hierarchies tasks_fds; it listens on RUN/pods/<id>/shim.sock. *out_sock: the connection, owned by
 * the caller. Any thread. */
struct shim_start {
    const char *pod_id;
    int pod_run_fd; /* RUN/pods/<id> */
    int cgroup_fd;
    const int *tasks_fds;
    size_t tasks_count;
};
int shim_spawn(struct cri *c, const struct shim_start *how, int *out_sock, struct proc *out_proc,
               struct err *e) MUST_CHECK;
/* Waits for a shim that has ended, or is about to, and forgets it; idempotent. Any thread. */
void shim_reap(struct proc *p);

/* Connects to a shim that runs already; NOT_FOUND or IO when nobody listens. Any thread. */
int shim_connect(int pod_run_fd, int *out_sock, struct err *e) MUST_CHECK;

/* ---- loop thread ---- */

/* Takes the connection and begins to watch it. */
void shim_attach(struct pod *p, int sock);
/* Ends the conversation; idempotent. Ops may be about to send, so the descriptor stays. */
void shim_detach(struct pod *p);
/* Closes the descriptor. On the pod's strand, or without ops under way; idempotent. */
void shim_close(struct shim *s);

/* Sends a request about the pod (or a container of it). fds are borrowed; roles are already in m.
 * Any thread. */
int shim_request(const struct shim *s, const struct shim_message *m, const int *fds,
                 struct err *e) MUST_CHECK;
/* A message of this kind about a container ("" for none). */
struct shim_message shim_message_make(enum shim_op op, const char *container_id);
/* Adds a descriptor to a message under construction; fds has SHIM_FDS_MAX entries. fd < 0: nothing.
 */
void shim_message_add_fd(struct shim_message *m, int *fds, int fd, enum shim_role role);

/* shim_events.c: what a message of the shim means. fds are owned by the callee. */
void pod_on_shim_message(struct pod *p, const struct shim_message *m, int *fds);
