/* SPDX-License-Identifier: Apache-2.0 — node_rig.h: a node for tests of the daemon's parts: real
 * folders, groups, network (in a namespace of its own) and image store, no programs.
 *
 * Shims are played by the tests: nothing is started. One node at a time, one thread. */
#pragma once

#include "base/file.h"
#include "cri/container.h"
#include "net/testbed.h"

#include <stdio.h>

static struct node_rig {
    struct loop *loop;
    struct cri_options options;
    struct image_store *images;
    struct pod_network *network;
    struct cri *cri;
    char root[128], run[128], cgroup[64];
    size_t admitted;
} rig;

static int rig_admit(void *self, const struct admission_request *r, struct err *e) {
    (void)self;
    (void)r;
    (void)e;
    rig.admitted++;
    return 0;
}

static void rig_release(void *self, struct str id) {
    (void)self;
    (void)id;
}

static void rig_write(const char *folder, const char *name, struct str content) {
    AUTO_CLOSE int dir = file_mkdirs_open(AT_FDCWD, folder, 0755);
    assert_true(dir >= 0);
    assert_int_equal(file_write_atomic(dir, name, content, 0755), 0);
}

/* As a daemon that starts; with rig_down() before it, as its successor. */
UNUSED static void rig_up(void) {
    struct err e = {0};
    struct pod_network_options net = {.root = rig.run,
                                      .bridge = "glrig0",
                                      .nft_table = "glrig",
                                      .cidr4 = STR("10.97.0.0/16"),
                                      .cidr6 = STR_NONE};
    rig.loop = loop_new(2);
    rig.images = image_store_open(rig.root, "/no/such/gridlet-unpack", &e);
    assert_non_null(rig.images);
    rig.network = pod_network_open(&net, &e);
    if (!rig.network) print_error("%s\n", e.msg);
    assert_non_null(rig.network);
    rig.options = (struct cri_options){.root = rig.root,
                                       .run = rig.run,
                                       .program_dir = rig.root,
                                       .cgroup_root = rig.cgroup,
                                       .images = rig.images,
                                       .network = rig.network,
                                       .admission = {.admit = rig_admit, .release = rig_release}};
    rig.admitted = 0;
    rig.cri = cri_open(rig.loop, &rig.options, &e);
    if (!rig.cri) print_error("%s\n", e.msg);
    assert_non_null(rig.cri);
}

/* Runs what is queued. */
UNUSED static void rig_settle(void) { loop_settle(rig.loop); }

UNUSED static void rig_down(void) {
    loop_settle(rig.loop);
    cri_free(rig.cri);
    pod_network_close(rig.network);
    loop_free(rig.loop);
    image_store_close(rig.images);
}

UNUSED static int rig_set_up(void **state) {
    static unsigned number;
    (void)state;
    number++;
    (void)snprintf(rig.root, sizeof rig.root, "/tmp/root%u", number);
    (void)snprintf(rig.run, sizeof rig.run, "/tmp/run%u", number);
    (void)snprintf(rig.cgroup, sizeof rig.cgroup, "gl-rig-%d-%u", (int)getpid(), number);
    rig_write(rig.root, "gridlet-init", STR("not run"));
    assert_int_equal(file_mkdirs(AT_FDCWD, rig.run, 0755), 0);
    rig_up();
    return 0;
}

UNUSED static int rig_tear_down(void **state) {
    struct err e;
    (void)state;
    AUTO_FREE char *group = xasprintf("/%s", rig.cgroup);
    int r = cgroup_remove(rig.cri->cgroups, group, &e);
    if (r == 0) r = pod_network_destroy(rig.network, &e); /* the next one is another node */
    rig_down();
    return r;
}

/* ---- pods and containers, as records of a predecessor ---- */

UNUSED static struct pod *rig_pod(const char *name, enum pod_state state) {
    struct err e = {0};
    char id[POD_ID_BYTES];
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    config.metadata = &metadata;
    metadata.name = metadata.uid = (char *)(uintptr_t)name;
    metadata.namespace_ = (char *)(uintptr_t) "test";
    (void)snprintf(id, sizeof id, "%s%0*d", name, (int)(POD_ID_BYTES - 1 - strlen(name)), 0);
    struct pod *p = pod_new(rig.cri, id, &config);
    p->state = state;
    p->created_at_ns = 42;
    p->owns_cgroup = true;
    (void)snprintf(p->cgroup, sizeof p->cgroup, "/%s/pod%s", rig.cgroup, id);
    enum pod_record_place place = state == POD_MAKING  ? POD_RECORD_INTENT
                                  : state == POD_READY ? POD_RECORD_READY
                                                       : POD_RECORD_NOTREADY;
    assert_int_equal(pod_save(p, place, &e), 0);
    return p;
}

UNUSED static struct container *rig_container(struct pod *p, const char *name) {
    struct err e = {0};
    Gridlet__Record__Container *r = xnew(Gridlet__Record__Container);
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    config.metadata = &metadata;
    config.image = &image;
    metadata.name = (char *)(uintptr_t)name;
    gridlet__record__container__init(r);
    r->version = 1;
    r->id = xasprintf("%s%0*d", name, (int)(POD_ID_BYTES - 1 - strlen(name)), 0);
    r->pod_id = xstrdup(p->id);
    r->config = message_copy(&config.base);
    r->image_id = xstrdup("sha256:0");
    r->image_config = xstrdup("{}");
    r->created_at_ns = 43;
    r->log_path = xstrdup("/tmp/log");
    r->cgroup = xasprintf("%s/%s", p->cgroup, r->id);
    struct container *k = container_new(p, r);
    AUTO_FREE char *path = xasprintf("%s/" CONTAINERS_FOLDER "/%s", rig.root, r->id);
    k->dir_fd = file_mkdirs_open(AT_FDCWD, path, 0755);
    assert_true(k->dir_fd >= 0);
    assert_int_equal(container_save(k, &e), 0);
    k->state = CONTAINER_CREATED;
    return k;
}
