/* SPDX-License-Identifier: Apache-2.0 — shim_events.c: what each message of a shim means for its
 * pod. */
#include "cri/container.h"

static void container_event(struct pod *p, const struct shim_message *m) {
    struct container *k = idmap_find(&p->cri->containers, str_of(m->container));
    if (!k || k->pod != p) return; /* of a container that is removed already */
    if (m->op == SHIM_STARTED)
        container_started(k, m);
    else if (m->op == SHIM_START_FAILED)
        container_start_failed(k, m);
    else if (m->op == SHIM_EXITED)
        container_exited(k, m);
    else if (m->op == SHIM_LOG_REOPENED)
        container_log_reopened(k, m);
    /* anything else is a newer shim's event, of which we know nothing */
}

void pod_on_shim_message(struct pod *p, const struct shim_message *m, int *fds) {
    if (m->op == SHIM_SANDBOX_READY)
        pod_sandbox_ready(p, m, fds);
    else if (m->op == SHIM_SANDBOX_FAILED)
        pod_sandbox_failed(p, m);
    else if (m->op == SHIM_EXEC_STARTED || m->op == SHIM_EXEC_FAILED || m->op == SHIM_EXEC_EXITED)
        pod_exec_event(p, m, fds);
    else
        container_event(p, m);
}
