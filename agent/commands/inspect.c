/* SPDX-License-Identifier: Apache-2.0 — inspect.c: everything about one pod, container or image;
 * where a container's log is. */
#include "agent/commands/commands.h"

#include "cri/call.h"
#include "cri/labels.h"

#define REF_BYTES_MAX 512

struct inspection {
    struct daemon *daemon;
    struct admin_call *call;
    char name[REF_BYTES_MAX + 1]; /* as it was asked */
};

static bool asked_name(struct admin_call *c, struct str *out) {
    struct err e;
    if (json_need_str(admin_args(c), "name", out, &e) < 0) {
        admin_fail(c, &e);
        return false;
    }
    if (out->n > 0 && out->n <= REF_BYTES_MAX) return true;
    command_refuse(c, ERR_INVALID, "'name' has 1 to %d bytes", REF_BYTES_MAX);
    return false;
}

static void write_strings(struct json_out *w, const char *key, size_t count, char *const *items) {
    json_out_array(w, key);
    for (size_t i = 0; i < count; i++) json_out_c(w, NULL, items[i]);
    json_out_close(w);
}

/* ---- a container ---- */

static void write_resources(struct json_out *w, const Runtime__V1__ContainerResources *r) {
    const Runtime__V1__LinuxContainerResources *linux_part = r ? r->linux : NULL;
    if (!linux_part) return;
    json_out_object(w, "resources");
    json_out_i64(w, "memory_limit_bytes", linux_part->memory_limit_in_bytes);
    json_out_i64(w, "cpu_quota", linux_part->cpu_quota);
    json_out_i64(w, "cpu_period", linux_part->cpu_period);
    json_out_i64(w, "cpu_shares", linux_part->cpu_shares);
    json_out_c(w, "cpuset_cpus", linux_part->cpuset_cpus);
    json_out_i64(w, "oom_score_adj", linux_part->oom_score_adj);
    json_out_close(w);
}

static void write_mounts(struct json_out *w, const Runtime__V1__ContainerStatus *s) {
    json_out_array(w, "mounts");
    for (size_t i = 0; i < s->n_mounts; i++) {
        json_out_object(w, NULL);
        json_out_c(w, "source", s->mounts[i]->host_path);
        json_out_c(w, "target", s->mounts[i]->container_path);
        json_out_bool(w, "readonly", s->mounts[i]->readonly);
        json_out_close(w);
    }
    json_out_close(w);
}

static void write_labels(struct json_out *w, const struct labels *l) {
    json_out_object(w, "labels");
    for (size_t i = 0; i < l->count; i++) {
        json_out_key(w, str_of(l->entries[i]->key));
        json_out_c(w, NULL, l->entries[i]->value);
    }
    json_out_close(w);
}

static void write_container(struct json_out *w, const Runtime__V1__ContainerStatusResponse *r) {
    const Runtime__V1__ContainerStatus *s = r->status;
    json_out_object(w, NULL);
    json_out_c(w, "type", "container");
    json_out_c(w, "id", s->id);
    json_out_c(w, "name", s->metadata->name);
    json_out_u64(w, "attempt", s->metadata->attempt);
    json_out_c(w, "state", listing_state(s->state));
    json_out_c(w, "image", s->image ? s->image->image : "");
    json_out_c(w, "image_id", s->image_id);
    json_out_i64(w, "created_at_ns", s->created_at);
    json_out_i64(w, "started_at_ns", s->started_at);
    json_out_i64(w, "finished_at_ns", s->finished_at);
    json_out_i64(w, "exit_code", s->exit_code);
    json_out_c(w, "reason", text_of(s->reason));
    json_out_c(w, "message", text_of(s->message));
    json_out_c(w, "log_path", text_of(s->log_path));
    write_mounts(w, s);
    write_resources(w, s->resources);
    write_labels(w, &(struct labels){(void *)s->labels, s->n_labels});
    for (size_t i = 0; i < r->n_info; i++) json_out_raw(w, "runtime", str_of(r->info[i]->value));
    json_out_close(w);
}

static void container_known(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct inspection *i = user;
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    if (reply) {
        write_container(&w, (const Runtime__V1__ContainerStatusResponse *)reply);
        command_answer(i->call, &w, &b);
    } else {
        admin_fail(i->call, e);
    }
    free(i);
}

/* ---- a pod ---- */

static void write_pod(struct json_out *w, const Runtime__V1__PodSandboxStatusResponse *r) {
    const Runtime__V1__PodSandboxStatus *s = r->status;
    bool ready = s->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    json_out_object(w, NULL);
    json_out_c(w, "type", "pod");
    json_out_c(w, "id", s->id);
    json_out_c(w, "name", s->metadata->name);
    json_out_c(w, "namespace", s->metadata->namespace_);
    json_out_c(w, "uid", s->metadata->uid);
    json_out_u64(w, "attempt", s->metadata->attempt);
    json_out_c(w, "state", ready ? "ready" : "notready");
    json_out_i64(w, "created_at_ns", s->created_at);
    json_out_c(w, "ip", s->network ? text_of(s->network->ip) : "");
    json_out_array(w, "additional_ips");
    for (size_t i = 0; s->network && i < s->network->n_additional_ips; i++)
        json_out_c(w, NULL, s->network->additional_ips[i]->ip);
    json_out_close(w);
    write_labels(w, &(struct labels){(void *)s->labels, s->n_labels});
    for (size_t i = 0; i < r->n_info; i++) json_out_raw(w, "runtime", str_of(r->info[i]->value));
    json_out_close(w);
}

static void pod_known(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct inspection *i = user;
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    if (reply) {
        write_pod(&w, (const Runtime__V1__PodSandboxStatusResponse *)reply);
        command_answer(i->call, &w, &b);
    } else {
        admin_fail(i->call, e);
    }
    free(i);
}

/* ---- an image ---- */

static void image_known(void *user, const ProtobufCMessage *reply, const struct err *e) {
    struct inspection *i = user;
    const Runtime__V1__ImageStatusResponse *r = (const Runtime__V1__ImageStatusResponse *)reply;
    const Runtime__V1__Image *image = r ? r->image : NULL;
    AUTO(buf_done) struct buf b = BUF(ADMIN_FRAME_BYTES_MAX);
    struct json_out w = JSON_OUT(&b);
    if (!r && e->kind != ERR_INVALID) {
        admin_fail(i->call, e);
    } else if (!image) {
        command_refuse(
            i->call, ERR_NOT_FOUND,
            "no pod, container or image is called '%s' (gridlet ps -a and gridlet images "
            "list them)",
            i->name);
    } else {
        json_out_object(&w, NULL);
        json_out_c(&w, "type", "image");
        json_out_c(&w, "id", image->id);
        write_strings(&w, "tags", image->n_repo_tags, image->repo_tags);
        write_strings(&w, "digests", image->n_repo_digests, image->repo_digests);
        json_out_u64(&w, "size_bytes", image->size);
        for (size_t k = 0; k < r->n_info; k++)
            json_out_raw(&w, r->info[k]->key, str_of(r->info[k]->value));
        json_out_close(&w);
        command_answer(i->call, &w, &b);
    }
    free(i);
}

/* ---- the commands ---- */

static void inspect_found(struct listing *l, const struct target *t, struct inspection *i) {
    if (t->container) {
        Runtime__V1__ContainerStatusRequest r = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
        r.container_id = t->container->id;
        r.verbose = true;
        cri_call(l->daemon->cri, "ContainerStatus", &r.base, container_known, i);
    } else {
        Runtime__V1__PodSandboxStatusRequest r = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
        r.pod_sandbox_id = t->pod->id;
        r.verbose = true;
        cri_call(l->daemon->cri, "PodSandboxStatus", &r.base, pod_known, i);
    }
}

static void inspect_image(struct inspection *i) {
    Runtime__V1__ImageStatusRequest r = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    spec.image = i->name;
    r.image = &spec;
    r.verbose = true;
    cri_call(i->daemon->cri, "ImageStatus", &r.base, image_known, i);
}

static void inspect(struct listing *l) {
    struct target t;
    struct err e;
    struct str name;
    if (!asked_name(l->call, &name)) {
        listing_free(l);
        return;
    }
    struct inspection *i = xnew(struct inspection);
    i->daemon = l->daemon;
    i->call = l->call;
    memcpy(i->name, name.p, name.n);
    if (listing_find(l, name, &t, &e) == 0) {
        inspect_found(l, &t, i);
    } else if (e.kind == ERR_NOT_FOUND) {
        inspect_image(i);
    } else {
        admin_fail(l->call, &e);
        free(i);
    }
    listing_free(l);
}

/* {"name"} -> {"type": "container" | "pod" | "image", ...} */
void command_inspect(struct admin_call *c, void *user) { listing_get(user, c, inspect); }

static void logs(struct listing *l) {
    Runtime__V1__ContainerStatusRequest r = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    struct target t;
    struct err e;
    struct str name;
    if (!asked_name(l->call, &name)) {
        listing_free(l);
        return;
    }
    if (listing_find_container(l, name, &t, &e) < 0) {
        admin_fail(l->call, &e);
        listing_free(l);
        return;
    }
    struct inspection *i = xnew(struct inspection);
    i->daemon = l->daemon;
    i->call = l->call;
    r.container_id = t.container->id;
    cri_call(l->daemon->cri, "ContainerStatus", &r.base, container_known, i);
    listing_free(l);
}

/* {"name"} -> as inspect of the one container that is meant: "id", "state", "log_path" */
void command_logs(struct admin_call *c, void *user) { listing_get(user, c, logs); }
