/* SPDX-License-Identifier: Apache-2.0 — container.c: container records: making, finding, saving,
 * loading. */
#include "cri/container.h"

#include "base/file.h"
#include "base/json.h"
#include "cri/launch_builder.h"
#include "storage/image/image_config.h"

#include <errno.h>
#include <stdio.h>

#define EXIT_BYTES_MAX 4096u /* one block of most file systems */

struct container *container_new(struct pod *p, Gridlet__Record__Container *record) {
    struct container *k = xnew(struct container);
    k->pod = p;
    k->record = record;
    k->arena = ARENA(CONTAINER_ARENA_MAX);
    k->dir_fd = k->spec_fd = -1;
    (void)snprintf(k->cgroup.c, sizeof k->cgroup.c, "%s", record->cgroup);
    if (record->resources) k->resources = message_copy(&record->resources->base);
    k->next = p->containers;
    p->containers = k;
    idmap_add(&p->cri->containers, record->id, k);
    return k;
}

static void unlist(struct container *k) {
    struct container **at = &k->pod->containers;
    while (*at != k) at = &(*at)->next;
    *at = k->next;
    idmap_remove(&container_cri(k)->containers, k->record->id);
}

void container_free(struct container *k) {
    unlist(k);
    timer_cancel(&k->grace);
    if (k->held)
        image_release(container_cri(k)->options.images, k->image.layers, k->image.layer_count);
    if (k->dir_fd >= 0) (void)close(k->dir_fd);
    if (k->spec_fd >= 0) (void)close(k->spec_fd);
    gridlet__record__container__free_unpacked(k->record, NULL);
    if (k->resources) protobuf_c_message_free_unpacked(&k->resources->base, NULL);
    arena_done(&k->arena);
    free(k);
}

bool container_is_visible(const struct container *k) {
    return k->state != CONTAINER_CREATING && k->state != CONTAINER_REMOVING;
}

bool container_is_alive(const struct container *k) {
    return k->state == CONTAINER_STARTING || k->state == CONTAINER_RUNNING;
}

struct container *container_find(struct cri *c, const char *id, struct err *e) {
    struct container *k = idmap_find(&c->containers, str_of(text_of(id)));
    if (k && container_is_visible(k)) return k;
    (void)err_set(e, ERR_NOT_FOUND, "container '%s': not found", text_of(id));
    return NULL;
}

struct container *container_of_call(struct call *c, const char *id) {
    struct err e;
    struct container *k = container_find(c->cri, id, &e);
    if (!k) call_fail(c, &e);
    return k;
}

Runtime__V1__ContainerState container_cri_state(const struct container *k) {
    switch (k->state) {
    case CONTAINER_CREATING:
    case CONTAINER_CREATED:
    case CONTAINER_STARTING: return RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED;
    case CONTAINER_RUNNING: return RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    case CONTAINER_EXITED:
    case CONTAINER_REMOVING: break;
    }
    return RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
}

/* ---- records ---- */

int container_save(const struct container *k, struct err *e) {
    size_t bytes = protobuf_c_message_get_packed_size(&k->record->base);
    if (bytes > RECORD_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "the container's config is too large");
    AUTO_FREE uint8_t *packed = xmalloc(bytes);
    (void)protobuf_c_message_pack(&k->record->base, packed);
    int r = file_write_durable(k->dir_fd, RECORD_FILE, str_make((const char *)packed, bytes), 0600);
    if (r == 0) r = file_sync_dir(container_cri(k)->root_fd, CONTAINERS_FOLDER);
    return r < 0 ? err_sys(e, -r, "save the record of container %s", k->record->id) : 0;
}

Gridlet__Record__Container *container_record_load(struct cri *c, const char *id, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/%s/%s", CONTAINERS_FOLDER, id, RECORD_FILE);
    AUTO(buf_done) struct buf content = BUF(RECORD_BYTES_MAX);
    int r = file_read_all(c->root_fd, path, RECORD_BYTES_MAX, &content);
    if (r < 0) {
        (void)err_sys(e, -r, "read the record of container %s", id);
        if (record_is_none(r)) e->kind = ERR_CORRUPT;
        return NULL;
    }
    Gridlet__Record__Container *record =
        gridlet__record__container__unpack(NULL, content.n, (const uint8_t *)content.p);
    bool usable = record && record->version == 1 && record->config && record->config->metadata &&
                  record->config->image && strcmp(record->id, id) == 0;
    if (usable) return record;
    if (record) gridlet__record__container__free_unpacked(record, NULL);
    (void)err_set(e, ERR_CORRUPT, "the record of container %s is not one", id);
    return NULL;
}

/* ---- exit.json ---- */

int container_exit_load(int dir_fd, struct container_exit *out, struct err *e) {
    AUTO(arena_done) struct arena a = ARENA(EXIT_BYTES_MAX * 16);
    struct str text;
    int r = file_read_arena(&a, dir_fd, EXIT_FILE, EXIT_BYTES_MAX, &text);
    if (r < 0) return err_sys(e, -r, "read " EXIT_FILE);
    const struct json *j = NULL;
    uint64_t code = 0;
    struct str reason = STR_NONE;
    struct str message = STR_NONE;
    struct container_exit x = {0};
    if (json_parse(&a, text, JSON_LIMITS, &j, e) < 0 ||
        json_need_u64(j, "exit_code", &code, e) < 0 ||
        json_opt_i64(j, "started_at_ns", &x.started_at_ns, e) < 0 ||
        json_opt_i64(j, "finished_at_ns", &x.finished_at_ns, e) < 0 ||
        json_opt_str(j, "reason", &reason, e) < 0 || json_opt_str(j, "message", &message, e) < 0)
        return err_in(e, EXIT_FILE);
    x.code = (int)(code & 0xff);
    (void)snprintf(x.reason, sizeof x.reason, "%.*s", STR_ARG(reason));
    (void)snprintf(x.message, sizeof x.message, "%.*s", STR_ARG(message));
    *out = x;
    return 0;
}

int container_exit_save(int dir_fd, const struct container_exit *x, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(EXIT_BYTES_MAX);
    struct json_out w = JSON_OUT(&text);
    json_out_object(&w, NULL);
    json_out_i64(&w, "exit_code", x->code);
    json_out_i64(&w, "started_at_ns", x->started_at_ns);
    json_out_i64(&w, "finished_at_ns", x->finished_at_ns);
    json_out_c(&w, "reason", x->reason);
    json_out_c(&w, "message", x->message);
    json_out_close(&w);
    int r = json_out_end(&w);
    if (r == 0) r = file_write_durable(dir_fd, EXIT_FILE, buf_view(&text), 0600);
    return r < 0 ? err_sys(e, -r, "write " EXIT_FILE) : 0;
}

int container_exit_reserve(int dir_fd, struct err *e) {
    int r = file_reserve(dir_fd, EXIT_FILE, EXIT_BYTES_MAX);
    if (r == -EOPNOTSUPP) return 0; /* then it is written like any other file */
    return r < 0 ? err_sys(e, -r, "keep room on the disk for how the container ends") : 0;
}

/* ---- from the record to a spec ---- */

struct container_spec_input container_spec_input_of(const struct container *k, char *hostname,
                                                    char *pod_dir) {
    const struct cri *c = container_cri(k);
    pod_hostname(k->pod, hostname);
    (void)snprintf(pod_dir, POD_DIR_BYTES, "%s/%s/%s", c->options.root, PODS_FOLDER, k->pod->id);
    return (struct container_spec_input){.config = k->record->config,
                                         .sandbox = k->pod->config,
                                         .image = &k->image,
                                         .images = c->options.images,
                                         .id = str_of(k->record->id),
                                         .pod_hostname = str_of(hostname),
                                         .pod_dir = pod_dir,
                                         .cgroups = c->cgroups,
                                         .cgroup = &k->cgroup};
}

static int image_of_record(struct container *k, struct err *e) {
    Gridlet__Record__Container *r = k->record;
    struct str *layers = arena_array(&k->arena, r->n_layers + 1, sizeof *layers);
    if (!layers) return err_set(e, ERR_LIMIT, "image %s: too many layers", r->image_id);
    for (size_t i = 0; i < r->n_layers; i++) layers[i] = str_of(r->layers[i]);
    k->image = (struct image){.id = str_of(r->image_id),
                              .layers = layers,
                              .layer_count = r->n_layers,
                              .config_json = str_of(r->image_config)};
    return image_config_parse(&k->arena, k->image.config_json, &k->image.config, e);
}

int container_resolve(struct container *k, int *out_spec_fd, struct err *e) {
    char hostname[HOST_NAME_BYTES];
    AUTO_FREE char *pod_dir = xmalloc(POD_DIR_BYTES);
    if (image_of_record(k, e) < 0) return -1;
    struct container_spec_input in = container_spec_input_of(k, hostname, pod_dir);
    AUTO(launch_build_done) struct launch_builder b;
    launch_build_init(&b, LAUNCH_CONTAINER);
    if (container_spec_build(&in, &k->arena, &b, &k->spec, e) < 0) return -1;
    if (!out_spec_fd) return 0;
    return launch_build_seal(&b, out_spec_fd, e);
}
