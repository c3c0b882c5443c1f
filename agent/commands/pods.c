/* SPDX-License-Identifier: Apache-2.0 — pods.c: lists of pods and containers. */
#include "agent/commands/commands.h"

static void write_labels(struct json_out *w, size_t count,
                         Runtime__V1__PodSandbox__LabelsEntry *const *labels) {
    json_out_object(w, "labels");
    for (size_t i = 0; i < count; i++) {
        json_out_key(w, str_of(labels[i]->key));
        json_out_c(w, NULL, labels[i]->value);
    }
    json_out_close(w);
}

static void write_addresses(struct json_out *w, const struct daemon *d, const char *pod_id) {
    struct pod_addresses a = {{0}, {0}};
    struct err e; /* a pod of the host's network holds none */
    bool found = pod_network_find(d->network, str_of(pod_id), &a, &e) == 0;
    json_out_c(w, "ip", found ? a.ip4 : "");
    json_out_c(w, "ip6", found ? a.ip6 : "");
}

static void write_pod(struct json_out *w, const struct listing *l,
                      const Runtime__V1__PodSandbox *p) {
    uint64_t containers = 0;
    uint64_t running = 0;
    bool ready = p->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    for (size_t i = 0; i < l->containers->n_containers; i++) {
        const Runtime__V1__Container *k = l->containers->containers[i];
        if (strcmp(k->pod_sandbox_id, p->id) != 0) continue;
        containers++;
        running += k->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    }
    json_out_object(w, NULL);
    json_out_c(w, "id", p->id);
    json_out_c(w, "name", p->metadata->name);
    json_out_c(w, "namespace", p->metadata->namespace_);
    json_out_u64(w, "attempt", p->metadata->attempt);
    json_out_c(w, "state", ready ? "ready" : "notready");
    json_out_i64(w, "created_at_ns", p->created_at);
    write_addresses(w, l->daemon, p->id);
    json_out_u64(w, "containers", containers);
    json_out_u64(w, "running", running);
    write_labels(w, p->n_labels, p->labels);
    json_out_close(w);
}

static void answer_pods(struct listing *l) {
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    json_out_array(&w, NULL);
    for (size_t i = 0; i < l->pods->n_items; i++) write_pod(&w, l, l->pods->items[i]);
    json_out_close(&w);
    command_answer(l->call, &w, &b);
    listing_free(l);
}

/* {} -> [pod...] */
void command_pods(struct admin_call *c, void *user) { listing_get(user, c, answer_pods); }

static void write_container(struct json_out *w, const struct listing *l,
                            const Runtime__V1__Container *k) {
    const Runtime__V1__PodSandbox *p = listing_pod(l, k->pod_sandbox_id);
    const Runtime__V1__ImageSpec *image = k->image;
    const char *asked = image && image->user_specified_image && *image->user_specified_image
                            ? image->user_specified_image
                        : image ? image->image
                                : "";
    json_out_object(w, NULL);
    json_out_c(w, "id", k->id);
    json_out_c(w, "name", k->metadata->name);
    json_out_c(w, "image", asked);
    json_out_c(w, "image_id", k->image_id);
    json_out_c(w, "state", listing_state(k->state));
    json_out_i64(w, "created_at_ns", k->created_at);
    json_out_u64(w, "attempt", k->metadata->attempt);
    json_out_c(w, "pod_id", k->pod_sandbox_id);
    json_out_c(w, "pod", p ? p->metadata->name : "");
    json_out_c(w, "namespace", p ? p->metadata->namespace_ : "");
    json_out_close(w);
}

static void answer_ps(struct listing *l) {
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    bool all = false;
    struct err e;
    if (json_opt_bool(admin_args(l->call), "all", &all, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    json_out_array(&w, NULL);
    for (size_t i = 0; i < l->containers->n_containers; i++) {
        const Runtime__V1__Container *k = l->containers->containers[i];
        if (all || k->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING)
            write_container(&w, l, k);
    }
    json_out_close(&w);
    command_answer(l->call, &w, &b);
    listing_free(l);
}

/* {"all": bool} -> [container...], without "all" the running ones */
void command_ps(struct admin_call *c, void *user) { listing_get(user, c, answer_ps); }
