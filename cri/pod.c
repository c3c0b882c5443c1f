/* SPDX-License-Identifier: Apache-2.0 — pod.c: pod records: making, finding, saving, loading. */
#include "cri/pod.h"

#include "base/file.h"
#include "cri/pod_files.h"
#include "cri/proto/record.pb-c.h"

#include <errno.h>
#include <stdio.h>

#define CONTRACT_ANNOTATION "gridlet.io/contract"

struct pod *pod_new(struct cri *c, const char *id, const Runtime__V1__PodSandboxConfig *config) {
    struct pod *p = xnew(struct pod);
    p->cri = c;
    (void)snprintf(p->id, sizeof p->id, "%s", id);
    p->config = message_copy(&config->base);
    p->handler = xstrdup("");
    p->shim = SHIM_NONE;
    strand_init(&p->strand, c->loop);
    idmap_add(&c->pods, p->id, p);
    return p;
}

void pod_free(struct pod *p) {
    idmap_remove(&p->cri->pods, p->id);
    shim_detach(p);
    shim_close(&p->shim);
    protobuf_c_message_free_unpacked(&p->config->base, NULL);
    free(p->handler);
    free(p);
}

bool pod_is_visible(const struct pod *p) {
    return p->state == POD_READY || p->state == POD_STOPPING || p->state == POD_NOTREADY;
}

Runtime__V1__PodSandboxState pod_cri_state(const struct pod *p) {
    return p->state == POD_READY ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY
                                 : RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
}

struct pod *pod_find(struct cri *c, const char *id, struct err *e) {
    struct pod *p = idmap_find(&c->pods, str_of(text_of(id)));
    if (p && pod_is_visible(p)) return p;
    (void)err_set(e, ERR_NOT_FOUND, "pod sandbox '%s': not found", text_of(id));
    return NULL;
}

struct pod *pod_of_call(struct call *c, const char *id) {
    struct err e;
    struct pod *p = pod_find(c->cri, id, &e);
    if (!p) call_fail(c, &e);
    return p;
}

static bool same_metadata(const Runtime__V1__PodSandboxMetadata *a,
                          const Runtime__V1__PodSandboxMetadata *b) {
    return a->attempt == b->attempt && strcmp(text_of(a->name), text_of(b->name)) == 0 &&
           strcmp(text_of(a->uid), text_of(b->uid)) == 0 &&
           strcmp(text_of(a->namespace_), text_of(b->namespace_)) == 0;
}

struct pod *pod_find_same(struct cri *c, const Runtime__V1__PodSandboxMetadata *m) {
    for (size_t i = 0; i < c->pods.count; i++) {
        struct pod *p = c->pods.entries[i].thing;
        if (p->state != POD_REMOVING && same_metadata(p->config->metadata, m)) return p;
    }
    return NULL;
}

static const Runtime__V1__NamespaceOption *namespaces(const Runtime__V1__PodSandboxConfig *config) {
    const Runtime__V1__LinuxPodSandboxConfig *l = config->linux;
    return l && l->security_context ? l->security_context->namespace_options : NULL;
}

bool pod_host_network(const struct pod *p) {
    const Runtime__V1__NamespaceOption *ns = namespaces(p->config);
    return ns && ns->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
}

Runtime__V1__NamespaceMode pod_pid_mode(const Runtime__V1__PodSandboxConfig *config) {
    const Runtime__V1__NamespaceOption *ns = namespaces(config);
    return ns ? ns->pid : RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
}

void pod_hostname(const struct pod *p, char *out) {
    const char *asked = text_of(p->config->hostname);
    if (*asked)
        (void)snprintf(out, HOST_NAME_BYTES, "%s", asked);
    else if (gethostname(out, HOST_NAME_BYTES) < 0)
        out[0] = '\0';
    out[HOST_NAME_BYTES - 1] = '\0';
}

static bool port_number(int32_t value) { return value > 0 && value <= UINT16_MAX; }

int pod_ports(const Runtime__V1__PodSandboxConfig *config, struct port_mapping *out,
              size_t *out_count, struct err *e) {
    static const enum port_protocol protocols[] = {
        [RUNTIME__V1__PROTOCOL__TCP] = PORT_TCP,
        [RUNTIME__V1__PROTOCOL__UDP] = PORT_UDP,
        [RUNTIME__V1__PROTOCOL__SCTP] = PORT_SCTP,
    };
    *out_count = 0;
    for (size_t i = 0; i < config->n_port_mappings; i++) {
        const Runtime__V1__PortMapping *m = config->port_mappings[i];
        if (m->host_port == 0) continue;
        if (!port_number(m->host_port) || !port_number(m->container_port) ||
            (size_t)m->protocol >= COUNT(protocols))
            return err_set(e, ERR_INVALID, "port mapping %d -> %d: not a port or protocol",
                           m->host_port, m->container_port);
        if (*out_count == POD_PORTS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d host ports in one pod", POD_PORTS_MAX);
        out[(*out_count)++] = (struct port_mapping){.protocol = protocols[m->protocol],
                                                    .host_port = (uint16_t)m->host_port,
                                                    .container_port = (uint16_t)m->container_port,
                                                    .host_ip = str_of(m->host_ip)};
    }
    return 0;
}

struct str pod_contract(const struct pod *p) {
    for (size_t i = 0; i < p->config->n_annotations; i++)
        if (strcmp(p->config->annotations[i]->key, CONTRACT_ANNOTATION) == 0)
            return str_of(p->config->annotations[i]->value);
    return STR_NONE;
}

/* ---- on disk ---- */

int pod_open_folder(const struct pod *p, int folder_fd, struct err *e) {
    char path[sizeof PODS_FOLDER + POD_ID_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", PODS_FOLDER, p->id);
    int fd = file_mkdirs_open(folder_fd, path, 0755);
    return fd < 0 ? err_sys(e, -fd, "make the folder of pod %s", p->id) : fd;
}

int pod_write_files(const struct pod *p, const struct pod_addresses *addresses, struct err *e) {
    AUTO_CLOSE int dir = pod_open_folder(p, p->cri->root_fd, e);
    if (dir < 0) return -1;
    char hostname[HOST_NAME_BYTES];
    pod_hostname(p, hostname);
    struct pod_files files = {.dns = p->config->dns_config,
                              .hostname = str_of(hostname),
                              .ip4 = str_of(addresses->ip4),
                              .ip6 = str_of(addresses->ip6),
                              .host_network = pod_host_network(p)};
    return pod_files_write(dir, &files, e);
}

int pod_leaf(const struct pod *p, struct cgroup_path *out, struct err *e) {
    struct cgroup_path pod;
    (void)snprintf(pod.c, sizeof pod.c, "%s", p->cgroup);
    return cgroup_leaf_path(p->cri->cgroups, &pod, str_of(p->id), out, e);
}

int pod_save(const struct pod *p, enum pod_record_place place, struct err *e) {
    Gridlet__Record__Pod record = GRIDLET__RECORD__POD__INIT;
    struct pod *owner = (struct pod *)(uintptr_t)p; /* generated types know no const */
    record.version = 1;
    record.id = owner->id;
    record.config = owner->config;
    record.runtime_handler = owner->handler;
    record.created_at_ns = p->created_at_ns;
    record.ready = place == POD_RECORD_READY;
    record.cgroup = owner->cgroup;
    record.owns_cgroup = p->owns_cgroup;
    record.ip4 = owner->addresses.ip4;
    record.ip6 = owner->addresses.ip6;
    record.boot_id = p->cri->boot_id;
    size_t bytes = protobuf_c_message_get_packed_size(&record.base);
    if (bytes > RECORD_BYTES_MAX) return err_set(e, ERR_LIMIT, "the pod's config is too large");
    AUTO_FREE uint8_t *packed = xmalloc(bytes);
    (void)protobuf_c_message_pack(&record.base, packed);
    bool intent = place == POD_RECORD_INTENT;
    AUTO_CLOSE int dir = pod_open_folder(p, intent ? p->cri->run_fd : p->cri->root_fd, e);
    if (dir < 0) return -1;
    struct str content = str_make((const char *)packed, bytes);
    int r = intent ? file_write_atomic(dir, RECORD_FILE, content, 0600)
                   : file_write_durable(dir, RECORD_FILE, content, 0600);
    if (r == 0 && !intent) r = file_sync_dir(p->cri->root_fd, PODS_FOLDER);
    /* So that a pod can be stopped on a full disk; without room now, it may be there by then. */
    if (r == 0 && place == POD_RECORD_READY) (void)!file_reserve(dir, RECORD_FILE, bytes);
    return r < 0 ? err_sys(e, -r, "save the record of pod %s", p->id) : 0;
}

struct pod *pod_load(struct cri *c, int folder_fd, const char *id, bool *out_ready,
                     bool *out_same_boot, struct err *e) {
    char path[sizeof PODS_FOLDER + POD_ID_BYTES + sizeof RECORD_FILE];
    (void)snprintf(path, sizeof path, "%s/%s/%s", PODS_FOLDER, id, RECORD_FILE);
    AUTO(buf_done) struct buf content = BUF(RECORD_BYTES_MAX);
    int r = file_read_all(folder_fd, path, RECORD_BYTES_MAX, &content);
    if (r < 0) {
        (void)err_sys(e, -r, "read the record of pod %s", id);
        if (record_is_none(r)) e->kind = ERR_CORRUPT;
        return NULL;
    }
    Gridlet__Record__Pod *record =
        gridlet__record__pod__unpack(NULL, content.n, (const uint8_t *)content.p);
    bool usable = record && record->version == 1 && record->config && record->config->metadata &&
                  strcmp(record->id, id) == 0;
    struct pod *p = NULL;
    if (usable) {
        p = pod_new(c, id, record->config);
        free(p->handler);
        p->handler = xstrdup(record->runtime_handler);
        p->created_at_ns = record->created_at_ns;
        p->owns_cgroup = record->owns_cgroup;
        (void)snprintf(p->cgroup, sizeof p->cgroup, "%s", record->cgroup);
        (void)snprintf(p->addresses.ip4, sizeof p->addresses.ip4, "%s", record->ip4);
        (void)snprintf(p->addresses.ip6, sizeof p->addresses.ip6, "%s", record->ip6);
        *out_ready = record->ready;
        *out_same_boot = strcmp(record->boot_id, c->boot_id) == 0;
    } else {
        (void)err_set(e, ERR_CORRUPT, "the record of pod %s is not one", id);
    }
    if (record) gridlet__record__pod__free_unpacked(record, NULL);
    return p;
}
