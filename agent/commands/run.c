/* SPDX-License-Identifier: Apache-2.0 — run.c: a pod with one container from an image.
 *
 *   name free? -> image here? --no--> pull -> RunPodSandbox -> CreateContainer -> StartContainer
 * Each step's callback starts the next. After the pod exists, a failure stops and removes it again,
 * and the first error is what the caller gets; so a failed run leaves nothing. A peer that goes
 * away cancels a pull; later steps go on, and `gridlet ps` shows what came of them. */
#include "agent/commands/auto_remove.h"
#include "agent/commands/commands.h"
#include "agent/commands/pulling.h"
#include "agent/commands/run_request.h"

#include "base/log.h"
#include "base/random.h"

#include <stdio.h>

#define SUFFIX_CHARS 6
#define ID_BYTES     128

struct running {
    struct daemon *daemon;
    struct admin_call *call;
    struct run_request request; /* in the call's arena */
    char pod[ID_BYTES], container[ID_BYTES];
    struct err error; /* the first one, while the pod is removed */
};

static void finish(struct running *r) {
    AUTO(buf_done) struct buf b = BUF(4096);
    struct json_out w = JSON_OUT(&b);
    json_out_object(&w, NULL);
    json_out_c(&w, "id", r->container);
    json_out_c(&w, "pod_id", r->pod);
    json_out_c(&w, "name", r->request.name);
    json_out_close(&w);
    command_answer(r->call, &w, &b);
    free(r);
}

static void fail(struct running *r, const struct err *e) {
    admin_fail(r->call, e);
    free(r);
}

/* ---- undoing ---- */

static void undone(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) LOG_WARN("a failed run left its pod", F_C("pod", r->pod), F_ERR(e));
    fail(r, &r->error);
}

static void undo_stopped(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) {
        undone(r, NULL, e);
        return;
    }
    Runtime__V1__RemovePodSandboxRequest q = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    q.pod_sandbox_id = r->pod;
    cri_call(r->daemon->cri, "RemovePodSandbox", &q.base, undone, r);
}

static void undo(struct running *r, const struct err *e) {
    Runtime__V1__StopPodSandboxRequest q = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
    r->error = *e;
    q.pod_sandbox_id = r->pod;
    cri_call(r->daemon->cri, "StopPodSandbox", &q.base, undo_stopped, r);
}

/* ---- the steps, last first ---- */

static void started(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) {
        undo(r, e);
        return;
    }
    if (r->request.remove) auto_remove_start(r->daemon, r->container, r->pod);
    finish(r);
}

static void created(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) {
        undo(r, e);
        return;
    }
    const char *id = ((const Runtime__V1__CreateContainerResponse *)reply)->container_id;
    (void)snprintf(r->container, sizeof r->container, "%s", id);
    Runtime__V1__StartContainerRequest q = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
    q.container_id = r->container;
    cri_call(r->daemon->cri, "StartContainer", &q.base, started, r);
}

static void pod_runs(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) {
        fail(r, e);
        return;
    }
    const char *id = ((const Runtime__V1__RunPodSandboxResponse *)reply)->pod_sandbox_id;
    (void)snprintf(r->pod, sizeof r->pod, "%s", id);
    Runtime__V1__CreateContainerRequest q = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    q.pod_sandbox_id = r->pod;
    q.config = r->request.container;
    q.sandbox_config = r->request.pod;
    cri_call(r->daemon->cri, "CreateContainer", &q.base, created, r);
}

static void run_pod(struct running *r) {
    Runtime__V1__RunPodSandboxRequest q = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    q.config = r->request.pod;
    cri_call(r->daemon->cri, "RunPodSandbox", &q.base, pod_runs, r);
}

static void pulled(struct admin_call *c, void *user, struct str image_id, const struct err *e) {
    struct running *r = user;
    (void)c;
    (void)image_id;
    if (e)
        fail(r, e);
    else
        run_pod(r);
}

static void image_known(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct running *r = user;
    if (!reply) {
        fail(r, e);
        return;
    }
    if (((const Runtime__V1__ImageStatusResponse *)reply)->image) {
        run_pod(r);
        return;
    }
    struct pulling_request pull = {.ref = str_of(r->request.image), .user = r, .then = pulled};
    pulling_start(r->daemon, r->call, &pull);
}

static void find_image(struct running *r) {
    Runtime__V1__ImageStatusRequest q = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    spec.image = r->request.image;
    q.image = &spec;
    cri_call(r->daemon->cri, "ImageStatus", &q.base, image_known, r);
}

static bool name_taken(const struct listing *l, const char *name) {
    for (size_t i = 0; i < l->pods->n_items; i++) {
        const Runtime__V1__PodSandboxMetadata *m = l->pods->items[i]->metadata;
        if (strcmp(m->name, name) == 0 && strcmp(m->namespace_, COMMAND_NAMESPACE) == 0)
            return true;
    }
    return false;
}

static void begin(struct listing *l) {
    char suffix[SUFFIX_CHARS + 1];
    struct err e;
    struct run_request request;
    struct admin_call *c = l->call;
    int r = run_request_parse(admin_arena(c), admin_args(c), random_hex(suffix, SUFFIX_CHARS),
                              &request, &e);
    if (r == 0 && name_taken(l, request.name))
        r = err_set(&e, ERR_EXISTS,
                    "there is a container '%s' already: gridlet rm -f %s, or give another --name",
                    request.name, request.name);
    if (r < 0) {
        admin_fail(c, &e);
    } else {
        struct running *run = xnew(struct running);
        run->daemon = l->daemon;
        run->call = c;
        run->request = request;
        find_image(run);
    }
    listing_free(l);
}

/* See run_request.h -> events of pulling.h, {"id", "pod_id", "name"} once it runs */
void command_run_container(struct admin_call *c, void *user) { listing_get(user, c, begin); }
