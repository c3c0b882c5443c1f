/* SPDX-License-Identifier: Apache-2.0 — node.c: version and status. */
#include "agent/commands/commands.h"

#include "base/clock.h"

/* {} -> {"version"} */
void command_version(struct admin_call *c, void *user) {
    AUTO(buf_done) struct buf b = BUF(1024);
    struct json_out w = JSON_OUT(&b);
    (void)user;
    json_out_object(&w, NULL);
    json_out_c(&w, "version", GRIDLET_VERSION);
    json_out_close(&w);
    command_answer(c, &w, &b);
}

static void write_contract(struct json_out *w, struct node_contract *contract) {
    struct admission_usage u;
    node_contract_usage(contract, &u);
    json_out_array(w, "contracts");
    json_out_object(w, NULL);
    json_out_c(w, "name", u.contract);
    json_out_u64(w, "memory_bytes", u.memory_bytes);
    json_out_u64(w, "promised_memory_bytes", u.promised_memory_bytes);
    json_out_u64(w, "cpu_milli", u.cpu_milli);
    json_out_u64(w, "promised_cpu_milli", u.promised_cpu_milli);
    json_out_u64(w, "pods", u.pods);
    json_out_u64(w, "containers", u.containers);
    json_out_u64(w, "containers_without_limit", u.unlimited);
    json_out_u64(w, "storage_bytes", u.storage_bytes);
    json_out_u64(w, "promised_storage_bytes", u.promised_storage_bytes);
    json_out_u64(w, "namespaces", u.namespaces);
    json_out_u64(w, "namespaces_without_limit", u.namespaces_unlimited);
    json_out_close(w);
    json_out_close(w);
}

static void write_counts(struct json_out *w, const struct listing *l) {
    uint64_t ready = 0;
    uint64_t running = 0;
    for (size_t i = 0; i < l->pods->n_items; i++)
        ready += l->pods->items[i]->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    for (size_t i = 0; i < l->containers->n_containers; i++)
        running +=
            l->containers->containers[i]->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    json_out_u64(w, "pods", l->pods->n_items);
    json_out_u64(w, "pods_ready", ready);
    json_out_u64(w, "containers", l->containers->n_containers);
    json_out_u64(w, "containers_running", running);
}

static void answer_status(struct listing *l) {
    const struct daemon *d = l->daemon;
    const struct settings *s = d->settings;
    struct image_usage images = {0};
    AUTO(buf_done) struct buf b = BUF(64 << 10);
    struct json_out w = JSON_OUT(&b);
    image_store_usage(d->images, &images);
    json_out_object(&w, NULL);
    json_out_c(&w, "version", GRIDLET_VERSION);
    json_out_i64(&w, "started_at_ns", d->started_ns);
    json_out_i64(&w, "now_ns", clock_wall_ns());
    json_out_c(&w, "root", s->root);
    json_out_c(&w, "run", s->run);
    json_out_c(&w, "cri_socket", s->cri_socket);
    json_out_c(&w, "cgroup_driver", s->cgroup_driver);
    json_out_c(&w, "cgroup_root", s->cgroup_root);
    json_out_c(&w, "bridge", s->bridge);
    json_out_c(&w, "pod_cidr", s->pod_cidr);
    json_out_c(&w, "pod_cidr6", s->pod_cidr6);
    json_out_u64(&w, "image_bytes", images.bytes);
    write_counts(&w, l);
    write_contract(&w, d->contract);
    json_out_close(&w);
    command_answer(l->call, &w, &b);
    listing_free(l);
}

/* {} -> the node: its settings, counts, contracts and what they have promised. */
void command_status(struct admin_call *c, void *user) { listing_get(user, c, answer_status); }
