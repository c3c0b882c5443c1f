/* SPDX-License-Identifier: Apache-2.0 — listing.c */
#include "agent/commands/listing.h"

#include "cri/call.h"

#define PREFIX_CHARS_MIN 3

typedef Runtime__V1__PodSandbox pod_item;
typedef Runtime__V1__Container container_item;

void listing_free(struct listing *l) {
    if (!l) return;
    if (l->pods) protobuf_c_message_free_unpacked(&l->pods->base, NULL);
    if (l->containers) protobuf_c_message_free_unpacked(&l->containers->base, NULL);
    free(l);
}

static void got_containers(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct listing *l = user;
    if (!reply) {
        admin_fail(l->call, e);
        listing_free(l);
        return;
    }
    l->containers = message_copy(reply);
    l->then(l);
}

static void got_pods(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct listing *l = user;
    if (!reply) {
        admin_fail(l->call, e);
        listing_free(l);
        return;
    }
    l->pods = message_copy(reply);
    Runtime__V1__ListContainersRequest request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    cri_call(l->daemon->cri, "ListContainers", &request.base, got_containers, l);
}

void listing_get(struct daemon *d, struct admin_call *call, void (*then)(struct listing *l)) {
    struct listing *l = xnew(struct listing);
    l->daemon = d;
    l->call = call;
    l->then = then;
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    cri_call(d->cri, "ListPodSandbox", &request.base, got_pods, l);
}

const Runtime__V1__PodSandbox *listing_pod(const struct listing *l, const char *id) {
    for (size_t i = 0; i < l->pods->n_items; i++)
        if (strcmp(l->pods->items[i]->id, id) == 0) return l->pods->items[i];
    return NULL;
}

const char *listing_state(Runtime__V1__ContainerState state) {
    switch (state) {
    case RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED: return "created";
    case RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING: return "running";
    case RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED: return "exited";
    case RUNTIME__V1__CONTAINER_STATE__CONTAINER_UNKNOWN:
    case _RUNTIME__V1__CONTAINER_STATE_IS_INT_SIZE: break;
    }
    return "unknown";
}

/* ---- finding ---- */

enum way { BY_ID, BY_NAME, BY_PREFIX, WAYS };

static bool fits(enum way way, struct str ref, const char *id, const char *name) {
    switch (way) {
    case BY_ID: return str_eq(ref, str_of(id));
    case BY_NAME: return str_eq(ref, str_of(name));
    case BY_PREFIX:
        return ref.n >= PREFIX_CHARS_MIN && str_is_hex(ref) && str_starts(str_of(id), ref);
    case WAYS: break;
    }
    return false;
}

struct search {
    struct target found;
    size_t count;   /* things that fit */
    size_t running; /* of them running */
    char ids[160];  /* of the first few, for the message */
};

static void consider(struct search *s, const pod_item *pod, const container_item *container,
                     bool running) {
    const char *id = container ? container->id : pod->id;
    if (s->count++ < 4) {
        size_t n = strlen(s->ids);
        (void)snprintf(s->ids + n, sizeof s->ids - n, " %.12s", id);
    }
    if (running) s->running++;
    if (s->count == 1 || (running && s->running == 1))
        s->found = (struct target){.pod = pod, .container = container};
}

static void search_containers(const struct listing *l, enum way way, struct str ref,
                              struct search *s) {
    for (size_t i = 0; i < l->containers->n_containers; i++) {
        const container_item *k = l->containers->containers[i];
        const pod_item *pod = listing_pod(l, k->pod_sandbox_id);
        if (pod && fits(way, ref, k->id, k->metadata->name))
            consider(s, pod, k, k->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    }
}

static void search_pods(const struct listing *l, enum way way, struct str ref, struct search *s) {
    for (size_t i = 0; i < l->pods->n_items; i++) {
        const pod_item *p = l->pods->items[i];
        if (fits(way, ref, p->id, p->metadata->name))
            consider(s, p, NULL, p->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY);
    }
}

int listing_find(const struct listing *l, struct str ref, struct target *out, struct err *e) {
    for (int way = 0; way < WAYS; way++) {
        struct search s = {.count = 0};
        search_containers(l, (enum way)way, ref, &s);
        if (s.count == 0) search_pods(l, (enum way)way, ref, &s);
        if (s.count == 0) continue;
        if (s.count > 1 && s.running != 1)
            return err_set(e, ERR_INVALID, "'%.*s' fits %zu of them (%s ...): give more of the id",
                           STR_ARG(ref), s.count, s.ids + 1);
        *out = s.found;
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND,
                   "no pod or container is called '%.*s' (gridlet ps -a shows all)",
                   (int)(ref.n < 100 ? ref.n : 100), ref.p);
}

int listing_find_container(const struct listing *l, struct str ref, struct target *out,
                           struct err *e) {
    struct target t;
    size_t count = 0;
    if (listing_find(l, ref, &t, e) < 0) return -1;
    for (size_t i = 0; !t.container && i < l->containers->n_containers; i++)
        count += strcmp(l->containers->containers[i]->pod_sandbox_id, t.pod->id) == 0;
    if (!t.container && count != 1)
        return err_set(e, ERR_INVALID, "the pod '%s' has %zu containers: name one of them",
                       t.pod->metadata->name, count);
    for (size_t i = 0; !t.container; i++)
        if (strcmp(l->containers->containers[i]->pod_sandbox_id, t.pod->id) == 0)
            t.container = l->containers->containers[i];
    *out = t;
    return 0;
}
