/* SPDX-License-Identifier: Apache-2.0 — cri.h: the pods and containers of a node, spoken to in CRI
 * messages.
 *
 * One method table serves two doors: the gRPC socket (kubelet, crictl) and cri_call() for the rest
 * of the daemon, so a person's `gridlet run` takes the same path as a kubelet. Records are on disk
 * before a reply; shims keep what runs. */
#pragma once

#include "base/grpc.h"
#include "cri/admission.h"
#include "cri/cgroup.h"
#include "net/pod_network.h"
#include "storage/image/pull.h"

struct cri;

struct cri_options {
    const char *root;        /* lasting folder */
    const char *run;         /* folder until reboot */
    const char *program_dir; /* where gridlet-shim and gridlet-init are */
    const char *cgroup_root; /* name of the node's cgroup when a pod names no parent: "gridlet" */
    enum cgroup_driver cgroup_driver;
    struct image_store *images; /* all borrowed */
    struct image_puller *puller;
    struct pod_network *network;
    struct admission admission;
    uint64_t
        log_bytes_max; /* rotation of logs that no kubelet rotates: pods without a log directory */
};

/* Loads the records, adopts living shims, undoes what was half made. Loop thread, before
 * loop_run(). */
struct cri *cri_open(struct loop *l, const struct cri_options *o, struct err *e) MUST_CHECK;
/* Answers on a unix socket as runtime.v1 and runtime.v1alpha2. */
int cri_listen(struct cri *c, const char *socket_path, struct err *e) MUST_CHECK;
/* Stops answering (running calls get grace_ms), leaves every pod running, then calls done on the
 * loop. */
void cri_close(struct cri *c, uint64_t grace_ms, void (*done)(void *user), void *user);
void cri_free(struct cri *c); /* after done */

/* One CRI call from inside the daemon. Loop thread. method: "RunPodSandbox"; request: its
 * packed-able message (copied). on_done: loop thread, exactly once, reply is NULL on failure (e is
 * set) and borrowed for the call. */
void cri_call(struct cri *c, const char *method, const ProtobufCMessage *request,
              void (*on_done)(void *user, const ProtobufCMessage *reply, const struct err *e),
              void *user);

/* ---- exec with the caller's own descriptors (gridlet exec) ---- */
struct cri_exec_request {
    struct str container_id; /* id, or a prefix or name that is unique */
    const struct str *argv;
    size_t argc;
    bool tty;
    int stdin_fd, stdout_fd, stderr_fd; /* borrowed; -1: /dev/null; ignored with tty */
    void *user;
    /* Loop thread. tty_fd: the pty master, owned by the callee; -1 without tty. Not called when the
     * start failed. */
    void (*on_started)(void *user, int tty_fd);
    /* Loop thread, exactly once: the exit code, or e. */
    void (*on_done)(void *user, int exit_code, const struct err *e);
};
void cri_exec(struct cri *c, const struct cri_exec_request *r);
