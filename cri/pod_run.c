/* SPDX-License-Identifier: Apache-2.0 — pod_run.c: RunPodSandbox.
 *
 *   call -> [prepare: grant, intent record, folders, cgroups, shim, sandbox spec] -> the shim's
 * init makes the namespaces
 *        -> [connect: address, link, routes, host ports; record on stable storage] -> READY, reply
 * Brackets are ops on the pod's strand. Until the last step the pod is POD_MAKING and nobody sees
 * it; a failure at any point runs pod_undo(), which gives back whatever was made so far, and a
 * daemon that dies in between leaves the intent record to its successor, who calls the same
 * function. A client that gave up does not stop the making: its retry (same name, namespace, uid,
 * attempt) joins the waiting calls or is told the finished pod's id. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cri/container_spec.h"
#include "cri/launch_builder.h"
#include "cri/methods.h"
#include "cri/op.h"
#include "cri/pod.h"

#include <stdio.h>

#define SANDBOX_SPEC_ARENA_MAX (1u << 20)

struct pod_making {
    struct op op;
    struct pod *pod;
    int sock;          /* of the shim, from prepare until it is attached */
    int net_fd, nl_fd; /* from the shim, for connect */
    struct pod_addresses addresses;
    bool working;   /* an op is under way */
    bool shim_gone; /* the shim ended while it was */
    struct err e;   /* why it failed */
};

/* ---- giving up ---- */

static int undo_work(struct op *o, struct err *e) {
    return pod_undo(CONTAINER_OF(o, struct pod_making, op)->pod, e);
}

static void making_free(struct pod_making *m) {
    if (m->sock >= 0) (void)close(m->sock);
    if (m->net_fd >= 0) (void)close(m->net_fd);
    if (m->nl_fd >= 0) (void)close(m->nl_fd);
    free(m);
}

static void undo_done(struct op *o) {
    struct pod_making *m = CONTAINER_OF(o, struct pod_making, op);
    struct pod *p = m->pod;
    if (o->failed)
        LOG_ERROR("a pod that failed to start could not be undone", F_C("pod", p->id),
                  F_ERR(&o->e));
    call_list_fail(&p->runs, &m->e);
    pod_free(p);
    making_free(m);
}

static void give_up(struct pod_making *m, const struct err *e) {
    m->e = *e;
    m->working = true;
    shim_detach(m->pod);
    op_start(&m->op, m->pod->cri->loop, &m->pod->strand, undo_work, undo_done);
}

void pod_making_shim_gone(struct pod *p) {
    struct err e;
    p->making->shim_gone = true;
    if (p->making->working) return; /* its done() will look */
    (void)err_set(&e, ERR_INTERNAL, "the pod's shim ended while the pod was being made");
    give_up(p->making, &e);
}

/* ---- connect ---- */

static int connect_work(struct op *o, struct err *e) {
    struct pod_making *m = CONTAINER_OF(o, struct pod_making, op);
    struct pod *p = m->pod;
    size_t count = 0;
    struct port_mapping ports[POD_PORTS_MAX];
    if (!pod_host_network(p)) {
        if (pod_ports(p->config, ports, &count, e) < 0) return -1;
        struct pod_network_request r = {
            .netns_fd = m->net_fd, .nl_fd = m->nl_fd, .ports = ports, .port_count = count};
        if (pod_network_setup(p->cri->options.network, str_of(p->id), &r, &m->addresses, e) < 0)
            return -1;
        if (pod_write_files(p, &m->addresses, e) < 0) return -1;
    }
    p->addresses = m->addresses; /* nobody reads them before READY */
    return pod_save(p, POD_RECORD_READY, e);
}

static void connect_done(struct op *o) {
    struct pod_making *m = CONTAINER_OF(o, struct pod_making, op);
    struct pod *p = m->pod;
    m->working = false;
    if (!o->failed && m->shim_gone)
        o->failed = err_set(&o->e, ERR_INTERNAL, "the pod's shim ended at once") < 0;
    if (o->failed) {
        give_up(m, &o->e);
        return;
    }
    Runtime__V1__RunPodSandboxResponse reply = RUNTIME__V1__RUN_POD_SANDBOX_RESPONSE__INIT;
    reply.pod_sandbox_id = p->id;
    p->state = POD_READY;
    p->making = NULL;
    call_list_reply(&p->runs, &reply.base);
    making_free(m);
}

void pod_sandbox_ready(struct pod *p, const struct shim_message *msg, int *fds) {
    struct pod_making *m = p->making;
    if (!m || m->working) return;
    for (size_t i = 0; i < msg->fd_count; i++) {
        if (msg->roles[i] == SHIM_ROLE_NET && m->net_fd < 0) m->net_fd = STEAL_FD(fds[i]);
        if (msg->roles[i] == SHIM_ROLE_NETLINK && m->nl_fd < 0) m->nl_fd = STEAL_FD(fds[i]);
    }
    m->working = true;
    op_start(&m->op, p->cri->loop, &p->strand, connect_work, connect_done);
}

void pod_sandbox_failed(struct pod *p, const struct shim_message *msg) {
    struct err e;
    if (!p->making || p->making->working) return;
    (void)err_set(&e, msg->sys ? err_kind_of(msg->sys) : ERR_INTERNAL,
                  "make the pod's namespaces: %s", msg->text);
    give_up(p->making, &e);
}

/* ---- prepare ---- */

/* init is born in the shim's cgroups and stays there: a namespace has no process of its own. */
static int send_sandbox(struct pod_making *m, struct err *e) {
    struct pod *p = m->pod;
    AUTO(arena_done) struct arena a = ARENA(SANDBOX_SPEC_ARENA_MAX);
    AUTO(launch_build_done) struct launch_builder b;
    struct sandbox_spec_output out;
    launch_build_init(&b, LAUNCH_SANDBOX);
    if (sandbox_spec_build(p->config, &a, &b, &out, e) < 0) return -1;
    AUTO_CLOSE int spec_fd = -1;
    if (launch_build_seal(&b, &spec_fd, e) < 0) return -1;
    struct shim_message msg = shim_message_make(SHIM_SANDBOX, "");
    int fds[SHIM_FDS_MAX];
    shim_message_add_fd(&msg, fds, spec_fd, SHIM_ROLE_SPEC);
    if (out.pod_pid) msg.flags |= SHIM_POD_PID;
    int r = shim_send(m->sock, &msg, fds);
    return r < 0 ? err_sys(e, -r, "ask the pod's shim for its namespaces") : 0;
}

static int start_shim(struct pod_making *m, struct err *e) {
    struct pod *p = m->pod;
    struct cri *c = p->cri;
    struct cgroup_path leaf;
    if (pod_leaf(p, &leaf, e) < 0) return -1;
    if (cgroup_make(c->cgroups, leaf.c, NULL, e) < 0) return -1;
    AUTO_CLOSE int run = pod_open_folder(p, c->run_fd, e);
    if (run < 0) return -1;
    AUTO_CLOSE int cgroup_fd = cgroup_dir_fd(c->cgroups, leaf.c, e);
    if (cgroup_fd < 0) return -1;
    int tasks[CGROUP_HIERARCHIES_MAX];
    size_t count = 0;
    if (cgroup_tasks_fds(c->cgroups, leaf.c, tasks, &count, e) < 0) return -1;
    struct shim_start how = {.pod_id = p->id,
                             .pod_run_fd = run,
                             .cgroup_fd = cgroup_fd,
                             .tasks_fds = tasks,
                             .tasks_count = count};
    int r = shim_spawn(c, &how, &m->sock, &p->shim.proc, e);
    if (r == 0) r = send_sandbox(m, e);
    for (size_t i = 0; i < count; i++) (void)close(tasks[i]);
    return r;
}

static int prepare_work(struct op *o, struct err *e) {
    struct pod_making *m = CONTAINER_OF(o, struct pod_making, op);
    struct pod *p = m->pod;
    const struct admission *admission = &p->cri->options.admission;
    struct admission_request grant = {
        .id = str_of(p->id), .pod_id = str_of(p->id), .contract = pod_contract(p)};
    if (admission->admit(admission->self, &grant, e) < 0) return err_in(e, "admission");
    if (pod_save(p, POD_RECORD_INTENT, e) < 0) return -1;
    if (pod_write_files(p, &m->addresses, e) < 0) return -1;
    return start_shim(m, e);
}

static void prepare_done(struct op *o) {
    struct pod_making *m = CONTAINER_OF(o, struct pod_making, op);
    m->working = false;
    if (o->failed)
        give_up(m, &o->e);
    else
        shim_attach(m->pod, STEAL_FD(m->sock)); /* pod_sandbox_ready() follows */
}

/* ---- the call ---- */

static bool valid_config(struct call *c, const Runtime__V1__RunPodSandboxRequest *r) {
    const char *handler = text_of(r->runtime_handler);
    const Runtime__V1__PodSandboxMetadata *m = r->config ? r->config->metadata : NULL;
    if (!m || !*text_of(m->name)) {
        call_refuse(c, ERR_INVALID, "RunPodSandbox: config.metadata.name is missing");
        return false;
    }
    if (*handler && strcmp(handler, "gridlet") != 0) {
        call_refuse(c, ERR_INVALID,
                    "RunPodSandbox: no runtime handler '%s': there is one, named 'gridlet' or ''",
                    handler);
        return false;
    }
    return true;
}

/* True when an earlier request for the same pod takes the call over. */
static bool joined(struct call *c, struct pod *same) {
    if (!same) return false;
    Runtime__V1__RunPodSandboxResponse reply = RUNTIME__V1__RUN_POD_SANDBOX_RESPONSE__INIT;
    reply.pod_sandbox_id = same->id;
    if (same->state == POD_MAKING)
        call_wait(&same->runs, c);
    else if (same->state == POD_READY)
        call_reply(c, &reply.base);
    else
        call_refuse(c, ERR_EXISTS,
                    "RunPodSandbox: pod %s/%s attempt %u exists, stopped, as %s: remove it first",
                    text_of(same->config->metadata->namespace_),
                    text_of(same->config->metadata->name), same->config->metadata->attempt,
                    same->id);
    return true;
}

void pod_run_call(struct call *c) {
    const Runtime__V1__RunPodSandboxRequest *r = c->request;
    if (!valid_config(c, r)) return;
    if (joined(c, pod_find_same(c->cri, r->config->metadata))) return;
    struct err e;
    struct cgroup_path cgroup;
    char id[POD_ID_BYTES];
    random_id(id);
    struct str parent = str_of(r->config->linux ? text_of(r->config->linux->cgroup_parent) : "");
    if (cgroup_pod_path(c->cri->cgroups, parent, str_of(id), &cgroup, &e) < 0) {
        call_fail(c, &e);
        return;
    }
    struct pod *p = pod_new(c->cri, id, r->config);
    p->state = POD_MAKING;
    p->created_at_ns = clock_wall_ns();
    p->owns_cgroup = parent.n == 0;
    (void)snprintf(p->cgroup, sizeof p->cgroup, "%s", cgroup.c);
    struct pod_making *m = xnew(struct pod_making);
    m->pod = p;
    m->sock = m->net_fd = m->nl_fd = -1;
    m->working = true;
    p->making = m;
    call_wait(&p->runs, c);
    op_start(&m->op, c->cri->loop, &p->strand, prepare_work, prepare_done);
}
