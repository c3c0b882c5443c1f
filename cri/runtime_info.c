/* SPDX-License-Identifier: Apache-2.0 — runtime_info.c: Version, Status, RuntimeConfig: what this
 * runtime is. */
#include "base/json_out.h"
#include "cri/methods.h"
#include "cri/node.h"

#define CRI_VERSION     "0.1.0" /* what the kubelet's client demands in VersionResponse.version */
#define API_VERSION     "v1"
#define STATUS_INFO_MAX (64u << 10)

void version_call(struct call *c) {
    Runtime__V1__VersionResponse reply = RUNTIME__V1__VERSION_RESPONSE__INIT;
    reply.version = (char *)(uintptr_t)CRI_VERSION;
    reply.runtime_name = (char *)(uintptr_t) "gridlet";
    reply.runtime_version = (char *)(uintptr_t)GRIDLET_VERSION;
    reply.runtime_api_version = (char *)(uintptr_t)API_VERSION;
    call_reply(c, &reply.base);
}

static void condition(Runtime__V1__RuntimeCondition *out, const char *type) {
    runtime__v1__runtime_condition__init(out);
    out->type = (char *)(uintptr_t)type;
    out->status = true;
}

/* critest and people read the folders from here. */
static char *status_info(struct call *c) {
    const struct cri_options *o = &c->cri->options;
    AUTO(buf_done) struct buf text = BUF(STATUS_INFO_MAX);
    struct json_out w = JSON_OUT(&text);
    json_out_object(&w, NULL);
    json_out_c(&w, "rootDir", o->root);
    json_out_c(&w, "stateDir", o->run);
    json_out_c(&w, "cgroupRoot", o->cgroup_root);
    json_out_close(&w);
    if (json_out_end(&w) < 0) return NULL;
    return arena_strdup(c->arena, buf_c(&text));
}

void status_call(struct call *c) {
    const Runtime__V1__StatusRequest *request = c->request;
    Runtime__V1__RuntimeCondition conditions[2];
    Runtime__V1__RuntimeCondition *condition_list[2] = {&conditions[0], &conditions[1]};
    condition(&conditions[0], "RuntimeReady");
    condition(&conditions[1], "NetworkReady");
    Runtime__V1__RuntimeStatus status = RUNTIME__V1__RUNTIME_STATUS__INIT;
    status.n_conditions = COUNT(conditions);
    status.conditions = condition_list;

    Runtime__V1__RuntimeHandlerFeatures handler_features =
        RUNTIME__V1__RUNTIME_HANDLER_FEATURES__INIT;
    handler_features.recursive_read_only_mounts = true;
    Runtime__V1__RuntimeHandler handler = RUNTIME__V1__RUNTIME_HANDLER__INIT;
    handler.features = &handler_features;
    Runtime__V1__RuntimeHandler *handlers[] = {&handler};
    Runtime__V1__RuntimeFeatures features = RUNTIME__V1__RUNTIME_FEATURES__INIT;
    features.supplemental_groups_policy = true;

    Runtime__V1__StatusResponse__InfoEntry info = RUNTIME__V1__STATUS_RESPONSE__INFO_ENTRY__INIT;
    Runtime__V1__StatusResponse__InfoEntry *infos[] = {&info};
    Runtime__V1__StatusResponse reply = RUNTIME__V1__STATUS_RESPONSE__INIT;
    reply.status = &status;
    reply.n_runtime_handlers = 1;
    reply.runtime_handlers = handlers;
    reply.features = &features;
    if (request->verbose) {
        info.key = (char *)(uintptr_t) "config";
        info.value = status_info(c);
        reply.n_info = info.value ? 1 : 0;
        reply.info = infos;
    }
    call_reply(c, &reply.base);
}

void runtime_config_call(struct call *c) {
    Runtime__V1__LinuxRuntimeConfiguration linux_config =
        RUNTIME__V1__LINUX_RUNTIME_CONFIGURATION__INIT;
    linux_config.cgroup_driver = c->cri->options.cgroup_driver == CGROUP_DRIVER_SYSTEMD
                                     ? RUNTIME__V1__CGROUP_DRIVER__SYSTEMD
                                     : RUNTIME__V1__CGROUP_DRIVER__CGROUPFS;
    Runtime__V1__RuntimeConfigResponse reply = RUNTIME__V1__RUNTIME_CONFIG_RESPONSE__INIT;
    reply.linux = &linux_config;
    call_reply(c, &reply.base);
}

/* The pod range is the operator's (--pod-cidr): a range that the kubelet announces is acknowledged,
 * not obeyed. */
void update_runtime_config_call(struct call *c) {
    Runtime__V1__UpdateRuntimeConfigResponse reply =
        RUNTIME__V1__UPDATE_RUNTIME_CONFIG_RESPONSE__INIT;
    call_reply(c, &reply.base);
}
