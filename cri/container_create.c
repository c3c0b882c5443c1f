/* SPDX-License-Identifier: Apache-2.0 — container_create.c: CreateContainer.
 *
 *   call -> [find the image, resolve and check everything, folders, record on stable storage] ->
 * CREATED, reply Nothing runs yet and no cgroup exists, but whatever can be wrong with a request is
 * wrong here: users, mounts, devices, profiles, signals. The resolved launch spec is kept for the
 * start that usually follows at once. A retry after a client's deadline (same pod, name, attempt)
 * joins the first request or gets the finished container's id. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "cri/container.h"
#include "cri/methods.h"

#include <errno.h>
#include <stdio.h>

#define DEFAULT_LOG_FOLDER "logs" /* below the pod's own folder, for pods that name none */

struct creating {
    struct op op;
    struct container *container;
};

/* ---- the op ---- */

static int take_image(struct container *k, struct err *e) {
    Gridlet__Record__Container *r = k->record;
    struct cri *c = container_cri(k);
    AUTO(arena_done) struct arena a = ARENA(CONTAINER_ARENA_MAX);
    struct image image;
    struct str ref = str_of(r->config->image->image);
    if (image_find(c->options.images, &a, ref, &image, e) < 0)
        return err_in(e, "CreateContainer '%s'", r->config->metadata->name);
    image_hold(c->options.images, image.layers, image.layer_count);
    k->held = true;
    free(r->image_id);
    free(r->image_config);
    r->image_id = xasprintf("%.*s", STR_ARG(image.id));
    r->image_config = xasprintf("%.*s", STR_ARG(image.config_json));
    r->layers = xmalloc((image.layer_count + 1) * sizeof *r->layers);
    for (size_t i = 0; i < image.layer_count; i++)
        r->layers[r->n_layers++] = xasprintf("%.*s", STR_ARG(image.layers[i]));
    return 0;
}

/* What the container sees as "/" has the attributes of the writable layer's root: those of the
 * image's topmost one. */
static int copy_root_attributes(const struct container *k, struct err *e) {
    const Gridlet__Record__Container *r = k->record;
    int layers = image_layers_fd(container_cri(k)->options.images);
    struct stat st;
    if (r->n_layers == 0) return 0;
    const char *top = r->layers[r->n_layers - 1];
    if (fstatat(layers, top, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "look at layer %s of image %s", top, r->image_id);
    if (fchownat(k->dir_fd, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        fchmodat(k->dir_fd, "upper", st.st_mode & 07777, 0) < 0)
        return err_sys(e, errno, "set the attributes of the container's root");
    return 0;
}

static int make_folders(struct container *k, struct err *e) {
    static const char *const parts[] = {"upper", "work", "rootfs"};
    AUTO_FREE char *path = xasprintf("%s/%s", CONTAINERS_FOLDER, k->record->id);
    k->dir_fd = file_mkdirs_open(container_cri(k)->root_fd, path, 0711);
    if (k->dir_fd < 0) return err_sys(e, -k->dir_fd, "make the folder '%s'", path);
    for (size_t i = 0; i < COUNT(parts); i++)
        if (mkdirat(k->dir_fd, parts[i], 0755) < 0)
            return err_sys(e, errno, "make the folder '%s/%s'", path, parts[i]);
    if (container_exit_reserve(k->dir_fd, e) < 0) return -1;
    return copy_root_attributes(k, e);
}

static int create_work(struct op *o, struct err *e) {
    struct container *k = CONTAINER_OF(o, struct creating, op)->container;
    const struct admission *admission = &container_cri(k)->options.admission;
    if (take_image(k, e) < 0) return -1;
    if (container_resolve(k, &k->spec_fd, e) < 0)
        return err_in(e, "CreateContainer '%s'", k->record->config->metadata->name);
    struct admission_request grant = {.id = str_of(k->record->id),
                                      .pod_id = str_of(k->pod->id),
                                      .contract = pod_contract(k->pod),
                                      .memory_bytes = k->spec.memory_bytes,
                                      .cpu_milli = k->spec.cpu_milli};
    if (admission->admit(admission->self, &grant, e) < 0) return err_in(e, "admission");
    if (make_folders(k, e) == 0 && container_save(k, e) == 0) return 0;
    admission->release(admission->self, grant.id);
    struct err ignored; /* the first error is the one to tell; a folder without a record goes at the
                           next start */
    if (k->dir_fd >= 0 &&
        node_discard(container_cri(k), CONTAINERS_FOLDER, k->record->id, &ignored))
        LOG_WARN("a container's folder stays behind", F_ERR(&ignored));
    return -1;
}

static void create_done(struct op *o) {
    struct creating *s = CONTAINER_OF(o, struct creating, op);
    struct container *k = s->container;
    struct pod *p = k->pod;
    Runtime__V1__CreateContainerResponse reply = RUNTIME__V1__CREATE_CONTAINER_RESPONSE__INIT;
    if (o->failed) {
        call_list_fail(&k->creates, &o->e);
        container_free(k);
        pod_container_gone(p);
    } else {
        k->state = CONTAINER_CREATED;
        reply.container_id = k->record->id;
        call_list_reply(&k->creates, &reply.base);
        if (k->remove_wanted) container_remove_begin(k);
    }
    free(s);
}

/* ---- the call ---- */

static bool valid_config(struct call *c, const Runtime__V1__ContainerConfig *config) {
    const char *missing = NULL;
    if (!config)
        missing = "config";
    else if (!config->metadata || !*text_of(config->metadata->name))
        missing = "config.metadata.name";
    else if (!config->image || !*text_of(config->image->image))
        missing = "config.image.image";
    if (missing) call_refuse(c, ERR_INVALID, "CreateContainer: %s is missing", missing);
    return !missing;
}

static bool joined(struct call *c, struct pod *p, const Runtime__V1__ContainerMetadata *m) {
    Runtime__V1__CreateContainerResponse reply = RUNTIME__V1__CREATE_CONTAINER_RESPONSE__INIT;
    for (struct container *k = p->containers; k; k = k->next) {
        const Runtime__V1__ContainerMetadata *have = k->record->config->metadata;
        if (k->state == CONTAINER_REMOVING || have->attempt != m->attempt ||
            strcmp(have->name, m->name) != 0)
            continue;
        reply.container_id = k->record->id;
        if (k->state == CONTAINER_CREATING)
            call_wait(&k->creates, c);
        else if (k->state == CONTAINER_CREATED)
            call_reply(c, &reply.base);
        else
            call_refuse(
                c, ERR_EXISTS,
                "CreateContainer: '%s' attempt %u was started already, as %s: remove it first",
                m->name, m->attempt, k->record->id);
        return true;
    }
    return false;
}

static char *log_path_of(const struct pod *p, const Runtime__V1__ContainerConfig *config,
                         const char *id) {
    const char *folder = text_of(p->config->log_directory);
    const char *file = text_of(config->log_path);
    if (*folder && *file) return xasprintf("%s/%s", folder, file);
    return xasprintf("%s/%s/%s/%s/%s.log", p->cri->options.root, PODS_FOLDER, p->id,
                     DEFAULT_LOG_FOLDER, id);
}

static Gridlet__Record__Container *record_new(const struct pod *p,
                                              const Runtime__V1__ContainerConfig *config,
                                              struct err *e) {
    struct cgroup_path pod_path;
    struct cgroup_path leaf;
    char id[POD_ID_BYTES];
    random_id(id);
    (void)snprintf(pod_path.c, sizeof pod_path.c, "%s", p->cgroup);
    if (cgroup_leaf_path(p->cri->cgroups, &pod_path, str_of(id), &leaf, e) < 0) return NULL;
    Gridlet__Record__Container *r = xnew(Gridlet__Record__Container);
    gridlet__record__container__init(r);
    r->version = 1;
    r->id = xstrdup(id);
    r->pod_id = xstrdup(p->id);
    r->config = message_copy(&config->base);
    r->image_id = xstrdup("");
    r->image_config = xstrdup("");
    r->created_at_ns = clock_wall_ns();
    r->log_path = log_path_of(p, config, id);
    r->cgroup = xstrdup(leaf.c);
    if (config->linux && config->linux->resources)
        r->resources = message_copy(&config->linux->resources->base);
    return r;
}

void container_create_call(struct call *c) {
    const Runtime__V1__CreateContainerRequest *r = c->request;
    struct err e;
    if (!valid_config(c, r->config)) return;
    struct pod *p = pod_of_call(c, r->pod_sandbox_id);
    if (!p) return;
    if (p->state != POD_READY) {
        call_refuse(c, ERR_BUSY, "CreateContainer: pod sandbox %s is not ready", p->id);
        return;
    }
    if (joined(c, p, r->config->metadata)) return;
    Gridlet__Record__Container *record = record_new(p, r->config, &e);
    if (!record) {
        call_fail(c, &e);
        return;
    }
    struct container *k = container_new(p, record);
    struct creating *s = xnew(struct creating);
    s->container = k;
    call_wait(&k->creates, c);
    op_start(&s->op, c->cri->loop, &p->strand, create_work, create_done);
}
