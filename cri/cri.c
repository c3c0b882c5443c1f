/* SPDX-License-Identifier: Apache-2.0 — cri.c: the method table, its two doors, opening and
 * closing. */
#include "cri/cri.h"

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "cri/apparmor.h"
#include "cri/container.h"
#include "cri/methods.h"
#include "cri/recovery.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#define INIT_PROGRAM   "gridlet-init"
#define SHIM_PROGRAM   "gridlet-shim"
#define INIT_BYTES_MAX (8u << 20)
#define BOOT_ID_PATH   "/proc/sys/kernel/random/boot_id"
#define APPARMOR_FILE  "../share/gridlet/apparmor/gridlet-default" /* from program_dir */

#define RUNTIME(method, message, function)                                                         \
    { "RuntimeService", #method, &runtime__v1__##message##_request__descriptor, function }
#define IMAGES(method, message, function)                                                          \
    { "ImageService", #method, &runtime__v1__##message##_request__descriptor, function }

static const struct method {
    const char *service, *name;
    const ProtobufCMessageDescriptor *request;
    call_handler *handler;
} methods[] = {
    RUNTIME(Version, version, version_call),
    RUNTIME(Status, status, status_call),
    RUNTIME(RuntimeConfig, runtime_config, runtime_config_call),
    RUNTIME(UpdateRuntimeConfig, update_runtime_config, update_runtime_config_call),
    RUNTIME(RunPodSandbox, run_pod_sandbox, pod_run_call),
    RUNTIME(StopPodSandbox, stop_pod_sandbox, pod_stop_call),
    RUNTIME(RemovePodSandbox, remove_pod_sandbox, pod_remove_call),
    RUNTIME(PodSandboxStatus, pod_sandbox_status, pod_status_call),
    RUNTIME(ListPodSandbox, list_pod_sandbox, pod_list_call),
    RUNTIME(UpdatePodSandboxResources, update_pod_sandbox_resources, pod_update_resources_call),
    RUNTIME(CreateContainer, create_container, container_create_call),
    RUNTIME(StartContainer, start_container, container_start_call),
    RUNTIME(StopContainer, stop_container, container_stop_call),
    RUNTIME(RemoveContainer, remove_container, container_remove_call),
    RUNTIME(ContainerStatus, container_status, container_status_call),
    RUNTIME(ListContainers, list_containers, container_list_call),
    RUNTIME(UpdateContainerResources, update_container_resources, container_update_call),
    RUNTIME(ReopenContainerLog, reopen_container_log, container_reopen_log_call),
    RUNTIME(ExecSync, exec_sync, exec_sync_call),
    RUNTIME(ContainerStats, container_stats, container_stats_call),
    RUNTIME(ListContainerStats, list_container_stats, container_stats_list_call),
    RUNTIME(PodSandboxStats, pod_sandbox_stats, pod_stats_call),
    RUNTIME(ListPodSandboxStats, list_pod_sandbox_stats, pod_stats_list_call),
    IMAGES(ListImages, list_images, image_list_call),
    IMAGES(ImageStatus, image_status, image_status_call),
    IMAGES(PullImage, pull_image, image_pull_call),
    IMAGES(RemoveImage, remove_image, image_remove_call),
    IMAGES(ImageFsInfo, image_fs_info, image_fs_info_call),
};
static const char *const packages[] = {"runtime.v1", "runtime.v1alpha2", NULL};

static const struct method *method_named(const char *name) {
    for (size_t i = 0; i < COUNT(methods); i++)
        if (strcmp(methods[i].name, name) == 0) return &methods[i];
    return NULL;
}

/* ---- doors ---- */

static void from_grpc(struct grpc_call *g, void *user) {
    call_from_grpc(user, g, method_named(grpc_method_name(g))->handler);
}

int cri_listen(struct cri *c, const char *socket_path, struct err *e) {
    static struct grpc_method table[COUNT(methods)];
    for (size_t i = 0; i < COUNT(methods); i++)
        table[i] = (struct grpc_method){methods[i].service, methods[i].name, methods[i].request,
                                        from_grpc};
    struct grpc_options o = {
        .packages = packages, .methods = table, .method_count = COUNT(table), .user = c};
    c->server = grpc_listen(c->loop, socket_path, &o, e);
    return c->server ? 0 : -1;
}

static void refuse(struct call *c) {
    call_refuse(c, ERR_UNSUPPORTED, "there is no call %s", c->method);
}

void cri_call(struct cri *c, const char *method, const ProtobufCMessage *request,
              void (*on_done)(void *user, const ProtobufCMessage *reply, const struct err *e),
              void *user) {
    const struct method *m = method_named(method);
    struct call_inside how = {.loop = c->loop,
                              .method = method,
                              .request = request,
                              .handler = m ? m->handler : refuse,
                              .on_done = on_done,
                              .user = user};
    call_from_inside(c, &how);
}

/* ---- opening ---- */

static int make_folders(struct cri *c, struct err *e) {
    static const char *const lasting[] = {PODS_FOLDER, CONTAINERS_FOLDER, TRASH_FOLDER,
                                          CORRUPT_FOLDER};
    c->root_fd = file_mkdirs_open(AT_FDCWD, c->options.root, 0711);
    if (c->root_fd < 0) return err_sys(e, -c->root_fd, "open '%s'", c->options.root);
    c->run_fd = file_mkdirs_open(AT_FDCWD, c->options.run, 0711);
    if (c->run_fd < 0) return err_sys(e, -c->run_fd, "open '%s'", c->options.run);
    for (size_t i = 0; i < COUNT(lasting); i++) {
        int r = file_mkdirs(c->root_fd, lasting[i], 0711);
        if (r < 0) return err_sys(e, -r, "make '%s/%s'", c->options.root, lasting[i]);
    }
    int r = file_mkdirs(c->run_fd, PODS_FOLDER, 0711);
    return r < 0 ? err_sys(e, -r, "make '%s/%s'", c->options.run, PODS_FOLDER) : 0;
}

/* init runs from a sealed copy in memory: a container that gets hold of its /proc/PID/exe cannot
 * write to the program that the next container starts with (CVE-2019-5736), and an upgrade does not
 * change a pod under way. */
static int seal_init(struct cri *c, struct err *e) {
    AUTO_FREE char *path = xasprintf("%s/%s", c->options.program_dir, INIT_PROGRAM);
    AUTO(buf_done) struct buf program = BUF(INIT_BYTES_MAX);
    int r = file_read_all(AT_FDCWD, path, INIT_BYTES_MAX, &program);
    if (r < 0) return err_sys(e, -r, "read '%s'", path);
    AUTO_CLOSE int fd = memfd_create(INIT_PROGRAM, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return err_sys(e, errno, "make a memory file for %s", INIT_PROGRAM);
    r = file_write_all(fd, program.p, program.n);
    if (r < 0) return err_sys(e, -r, "copy '%s' to memory", path);
    if (fchmod(fd, 0755) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return err_sys(e, errno, "seal %s", INIT_PROGRAM);
    c->init_fd = STEAL_FD(fd);
    return 0;
}

static int read_boot_id(struct cri *c, struct err *e) {
    AUTO(buf_done) struct buf text = BUF(sizeof c->boot_id - 1);
    int r = file_read_all(AT_FDCWD, BOOT_ID_PATH, sizeof c->boot_id - 1, &text);
    if (r < 0) return err_sys(e, -r, "read '%s'", BOOT_ID_PATH);
    struct str id = str_trim(buf_view(&text));
    (void)snprintf(c->boot_id, sizeof c->boot_id, "%.*s", STR_ARG(id));
    return 0;
}

/* Not fatal: containers run without it, as they do where the kernel has no AppArmor. */
static void load_apparmor(const char *program_dir) {
    AUTO_FREE char *file = xasprintf("%s/" APPARMOR_FILE, program_dir);
    bool loaded = false;
    struct err e;
    if (apparmor_load_default(file, &loaded, &e) < 0)
        LOG_ERROR("containers run without the default AppArmor profile", F_ERR(&e));
    else if (!loaded && apparmor_enabled())
        LOG_WARN("containers run without an AppArmor profile: there is no apparmor_parser (install "
                 "the package apparmor), or no file",
                 F_C("file", file));
}

struct cri *cri_open(struct loop *l, const struct cri_options *o, struct err *e) {
    struct cri *c = xnew(struct cri);
    c->loop = l;
    c->options = *o;
    c->root_fd = c->run_fd = c->init_fd = -1;
    strand_init(&c->trash, l);
    /* A shim may still have execs of a predecessor to tell about: ours must have other numbers. */
    random_bytes(&c->exec_number, sizeof c->exec_number);
    int n = snprintf(c->shim_path, sizeof c->shim_path, "%s/%s", o->program_dir, SHIM_PROGRAM);
    bool fits = n > 0 && (size_t)n < sizeof c->shim_path;
    load_apparmor(o->program_dir);
    if (!fits) (void)err_set(e, ERR_LIMIT, "the program folder's name is too long");
    if (fits && make_folders(c, e) == 0 && seal_init(c, e) == 0 && read_boot_id(c, e) == 0 &&
        cgroup_open(o->cgroup_root, o->cgroup_driver, &c->cgroups, e) == 0 && recover(c, e) == 0)
        return c;
    cri_free(c);
    return NULL;
}

/* ---- closing ---- */

void cri_close(struct cri *c, uint64_t grace_ms, void (*done)(void *user), void *user) {
    if (c->server)
        grpc_drain(c->server, grace_ms, done, user);
    else
        done(user);
}

void cri_free(struct cri *c) {
    if (!c) return;
    if (c->server) grpc_server_free(c->server);
    for (size_t i = 0; i < c->containers.count; i++)
        container_execs_forget(c->containers.entries[i].thing);
    while (c->containers.count) container_free(c->containers.entries[0].thing);
    while (c->pods.count) pod_free(c->pods.entries[0].thing);
    idmap_done(&c->containers);
    idmap_done(&c->pods);
    cgroup_close(c->cgroups);
    if (c->root_fd >= 0) (void)close(c->root_fd);
    if (c->run_fd >= 0) (void)close(c->run_fd);
    if (c->init_fd >= 0) (void)close(c->init_fd);
    free(c);
}
