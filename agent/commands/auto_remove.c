/* SPDX-License-Identifier: Apache-2.0 — auto_remove.c */
#include "agent/commands/auto_remove.h"

#include "agent/commands/exit_watch.h"
#include "base/log.h"

#include <stdio.h>

#define ID_BYTES 128

struct auto_remove {
    struct daemon *daemon;
    char pod[ID_BYTES];
};

static void removed(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct auto_remove *a = user;
    if (!reply) LOG_WARN("a pod that has ended could not be removed", F_C("pod", a->pod), F_ERR(e));
    free(a);
}

static void stopped(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct auto_remove *a = user;
    if (!reply) {
        removed(a, NULL, e);
        return;
    }
    Runtime__V1__RemovePodSandboxRequest r = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    r.pod_sandbox_id = a->pod;
    cri_call(a->daemon->cri, "RemovePodSandbox", &r.base, removed, a);
}

static void ended(void *user, const struct container_exit *x, const struct err *e) {
    struct auto_remove *a = user;
    (void)x;
    if (e && (e->kind == ERR_CANCELLED || e->kind == ERR_NOT_FOUND)) {
        free(a); /* the next daemon's, or done by somebody */
        return;
    }
    Runtime__V1__StopPodSandboxRequest r = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
    r.pod_sandbox_id = a->pod;
    cri_call(a->daemon->cri, "StopPodSandbox", &r.base, stopped, a);
}

void auto_remove_start(struct daemon *d, const char *container_id, const char *pod_id) {
    struct err e;
    struct auto_remove *a = xnew(struct auto_remove);
    a->daemon = d;
    (void)snprintf(a->pod, sizeof a->pod, "%s", pod_id);
    if (exit_watch_start(d, container_id, ended, a, &e)) return;
    LOG_WARN("a container will not be removed by itself", F_C("container", container_id),
             F_ERR(&e));
    free(a);
}

static void listed(void *user, const ProtobufCMessage *reply, const struct err *e) {
    const Runtime__V1__ListContainersResponse *r =
        (const Runtime__V1__ListContainersResponse *)reply;
    if (!r) LOG_WARN("containers to be removed could not be listed", F_ERR(e));
    for (size_t i = 0; r && i < r->n_containers; i++)
        auto_remove_start(user, r->containers[i]->id, r->containers[i]->pod_sandbox_id);
}

void auto_remove_adopt(struct daemon *d) {
    Runtime__V1__ListContainersRequest r = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerFilter__LabelSelectorEntry wanted =
        RUNTIME__V1__CONTAINER_FILTER__LABEL_SELECTOR_ENTRY__INIT;
    Runtime__V1__ContainerFilter__LabelSelectorEntry *list[] = {&wanted};
    wanted.key = (char *)(uintptr_t)AUTO_REMOVE_LABEL;
    wanted.value = (char *)(uintptr_t) "true";
    filter.label_selector = list;
    filter.n_label_selector = 1;
    r.filter = &filter;
    cri_call(d->cri, "ListContainers", &r.base, listed, d);
}
