/* SPDX-License-Identifier: Apache-2.0 — call_test.c: CRI calls through the inner door: what each
 * answers without a program that runs. */
#include "cri/node_rig.h"

/* The one answer of a call. */
static struct {
    unsigned count;
    struct err e;
    void *reply; /* owned copy */
} got;

static void on_done(void *user, const ProtobufCMessage *reply, const struct err *e) {
    assert_ptr_equal(user, &got);
    assert_true(!reply == !!e);
    got.count++;
    if (reply) got.reply = message_copy(reply);
    if (e) got.e = *e;
}

static void forget(void) {
    if (got.reply) protobuf_c_message_free_unpacked(got.reply, NULL);
    memset(&got, 0, sizeof got);
}

/* The reply, or NULL and got.e; valid until the next call. */
static const void *call(const char *method, const ProtobufCMessage *request) {
    forget();
    cri_call(rig.cri, method, request, on_done, &got);
    assert_int_equal(got.count, 0); /* never from inside of the call */
    loop_settle(rig.loop);
    assert_int_equal(got.count, 1);
    return got.reply;
}

static int tear_down(void **state) {
    forget();
    return rig_tear_down(state);
}

/* ---- the door ---- */

static void a_call_is_answered_once_and_later(void **state) {
    (void)state;
    Runtime__V1__VersionRequest r = RUNTIME__V1__VERSION_REQUEST__INIT;
    const Runtime__V1__VersionResponse *v = call("Version", &r.base);
    assert_string_equal(v->runtime_name, "gridlet");
    assert_string_equal(v->runtime_api_version, "v1");
}

static void an_unknown_method_is_unsupported(void **state) {
    (void)state;
    Runtime__V1__VersionRequest r = RUNTIME__V1__VERSION_REQUEST__INIT;
    assert_null(call("Frobnicate", &r.base));
    assert_int_equal(got.e.kind, ERR_UNSUPPORTED);
}

/* ---- ids that nobody has ---- */

static void status_and_start_of_unknown_ids_are_not_found(void **state) {
    (void)state;
    static char id[] = "ffffffff";
    Runtime__V1__PodSandboxStatusRequest pod = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusRequest container = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__StartContainerRequest start = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
    pod.pod_sandbox_id = container.container_id = start.container_id = id;
    assert_null(call("PodSandboxStatus", &pod.base));
    assert_int_equal(got.e.kind, ERR_NOT_FOUND);
    assert_null(call("ContainerStatus", &container.base));
    assert_int_equal(got.e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(got.e.msg, id));
    assert_null(call("StartContainer", &start.base));
    assert_int_equal(got.e.kind, ERR_NOT_FOUND);
}

static void stopping_and_removing_unknown_ids_is_done_already(void **state) {
    (void)state;
    static char id[] = "ffffffff";
    Runtime__V1__StopPodSandboxRequest stop = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__RemovePodSandboxRequest remove = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__StopContainerRequest stopc = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    Runtime__V1__RemoveContainerRequest removec = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;
    stop.pod_sandbox_id = remove.pod_sandbox_id = stopc.container_id = removec.container_id = id;
    assert_non_null(call("StopPodSandbox", &stop.base));
    assert_non_null(call("RemovePodSandbox", &remove.base));
    assert_non_null(call("StopContainer", &stopc.base));
    assert_non_null(call("RemoveContainer", &removec.base));
}

/* ---- requests that lack something ---- */

static void a_request_that_lacks_a_name_says_which(void **state) {
    (void)state;
    Runtime__V1__RunPodSandboxRequest run = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__CreateContainerRequest create = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    assert_null(call("RunPodSandbox", &run.base));
    assert_int_equal(got.e.kind, ERR_INVALID);
    assert_non_null(strstr(got.e.msg, "metadata.name"));
    assert_null(call("CreateContainer", &create.base));
    assert_int_equal(got.e.kind, ERR_INVALID);
}

/* ---- the same pod again ---- */

static void the_same_pod_is_the_one_that_is_there(void **state) {
    (void)state;
    struct pod *p = rig_pod("podaaa", POD_READY);
    Runtime__V1__RunPodSandboxRequest r = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    r.config = message_copy(&p->config->base);
    const Runtime__V1__RunPodSandboxResponse *reply = call("RunPodSandbox", &r.base);
    assert_string_equal(reply->pod_sandbox_id, p->id);
    p->state = POD_NOTREADY;
    assert_null(call("RunPodSandbox", &r.base));
    assert_int_equal(got.e.kind, ERR_EXISTS);
    assert_non_null(strstr(got.e.msg, p->id));
    protobuf_c_message_free_unpacked(&r.config->base, NULL);
}

/* ---- lists ---- */

static size_t pods_listed(Runtime__V1__PodSandboxFilter *filter) {
    Runtime__V1__ListPodSandboxRequest r = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    r.filter = filter;
    const Runtime__V1__ListPodSandboxResponse *list = call("ListPodSandbox", &r.base);
    assert_non_null(list);
    return list->n_items;
}

static void pods_are_listed_by_id_state_and_only_once_made(void **state) {
    (void)state;
    static char prefix[] = "podb", absent[] = "x";
    Runtime__V1__PodSandboxFilter f = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__PodSandboxStateValue ready = RUNTIME__V1__POD_SANDBOX_STATE_VALUE__INIT;
    (void)rig_pod("podaaa", POD_READY);
    (void)rig_pod("podbbb", POD_NOTREADY);
    struct pod *making = rig_pod("podccc", POD_MAKING);
    assert_int_equal(pods_listed(NULL), 2);
    assert_int_equal(pods_listed(&f), 2);
    f.id = prefix;
    assert_int_equal(pods_listed(&f), 1);
    ready.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    f.state = &ready;
    assert_int_equal(pods_listed(&f), 0);
    f.id = (char *)(uintptr_t)protobuf_c_empty_string;
    assert_int_equal(pods_listed(&f), 1);
    f.id = absent;
    assert_int_equal(pods_listed(&f), 0);
    pod_free(making);
}

static size_t containers_listed(Runtime__V1__ContainerFilter *filter) {
    Runtime__V1__ListContainersRequest r = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    r.filter = filter;
    const Runtime__V1__ListContainersResponse *list = call("ListContainers", &r.base);
    assert_non_null(list);
    return list->n_containers;
}

static void containers_are_listed_by_pod_and_state(void **state) {
    (void)state;
    Runtime__V1__ContainerFilter f = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStateValue value = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;
    struct pod *p = rig_pod("podaaa", POD_READY);
    (void)rig_container(p, "conaaa");
    rig_container(p, "conbbb")->state = CONTAINER_EXITED;
    rig_container(rig_pod("podbbb", POD_READY), "conccc")->state = CONTAINER_REMOVING;
    assert_int_equal(containers_listed(NULL), 2);
    f.pod_sandbox_id = p->id;
    assert_int_equal(containers_listed(&f), 2);
    value.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
    f.state = &value;
    assert_int_equal(containers_listed(&f), 1);
    value.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    assert_int_equal(containers_listed(&f), 0);
}

/* ---- updates ---- */

static int update(struct container *k, Runtime__V1__LinuxContainerResources *resources) {
    Runtime__V1__UpdateContainerResourcesRequest r =
        RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
    r.container_id = k->record->id;
    r.linux = resources;
    return call("UpdateContainerResources", &r.base) ? 0 : -1;
}

static void an_update_replaces_what_it_names_and_is_recorded(void **state) {
    (void)state;
    struct err e = {0};
    static char cpus[] = "0";
    Runtime__V1__LinuxContainerResources first = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    Runtime__V1__LinuxContainerResources second = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    struct container *k = rig_container(rig_pod("podaaa", POD_READY), "conaaa");
    first.memory_limit_in_bytes = 64 << 20;
    first.cpu_shares = 512;
    second.memory_limit_in_bytes = 128 << 20;
    second.cpuset_cpus = cpus;
    assert_int_equal(update(k, &first), 0);
    assert_int_equal(update(k, &second), 0);
    assert_int_equal(k->resources->memory_limit_in_bytes, 128 << 20);
    Gridlet__Record__Container *r = container_record_load(rig.cri, k->record->id, &e);
    assert_non_null(r);
    assert_int_equal(r->resources->memory_limit_in_bytes, 128 << 20);
    assert_int_equal(r->resources->cpu_shares, 512);
    assert_string_equal(r->resources->cpuset_cpus, cpus);
    gridlet__record__container__free_unpacked(r, NULL);
}

static void an_absurd_update_changes_nothing(void **state) {
    (void)state;
    Runtime__V1__LinuxContainerResources bad = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    struct container *k = rig_container(rig_pod("podaaa", POD_READY), "conaaa");
    bad.cpu_period = 3;
    bad.cpu_quota = -5000;
    assert_int_equal(update(k, &bad), -1);
    assert_int_equal(got.e.kind, ERR_INVALID);
    assert_null(k->resources);
    assert_null(k->record->resources);
}

static void an_ended_container_is_not_updated(void **state) {
    (void)state;
    Runtime__V1__LinuxContainerResources r = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    struct container *k = rig_container(rig_pod("podaaa", POD_READY), "conaaa");
    k->state = CONTAINER_EXITED;
    assert_int_equal(update(k, &r), -1);
    assert_int_equal(got.e.kind, ERR_BUSY);
}

/* ---- removing ---- */

static void removing_a_stopped_pod_removes_its_containers_and_records(void **state) {
    (void)state;
    struct pod *p = rig_pod("podaaa", POD_NOTREADY);
    AUTO_FREE char *pod_id = xstrdup(p->id);
    Runtime__V1__RemovePodSandboxRequest r = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
    (void)rig_container(p, "conaaa");
    rig_container(p, "conbbb")->state = CONTAINER_EXITED;
    r.pod_sandbox_id = pod_id;
    assert_non_null(call("RemovePodSandbox", &r.base));
    assert_int_equal(rig.cri->pods.count, 0);
    assert_int_equal(rig.cri->containers.count, 0);
    assert_int_equal(pods_listed(NULL), 0);
}

#define ON_NODE(test) cmocka_unit_test_setup_teardown(test, rig_set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_NODE(a_call_is_answered_once_and_later),
        ON_NODE(an_unknown_method_is_unsupported),
        ON_NODE(status_and_start_of_unknown_ids_are_not_found),
        ON_NODE(stopping_and_removing_unknown_ids_is_done_already),
        ON_NODE(a_request_that_lacks_a_name_says_which),
        ON_NODE(the_same_pod_is_the_one_that_is_there),
        ON_NODE(pods_are_listed_by_id_state_and_only_once_made),
        ON_NODE(containers_are_listed_by_pod_and_state),
        ON_NODE(an_update_replaces_what_it_names_and_is_recorded),
        ON_NODE(an_absurd_update_changes_nothing),
        ON_NODE(an_ended_container_is_not_updated),
        ON_NODE(removing_a_stopped_pod_removes_its_containers_and_records),
    };
    return cmocka_run_group_tests(tests, testbed_start, NULL);
}
