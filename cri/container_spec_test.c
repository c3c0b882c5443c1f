/* SPDX-License-Identifier: Apache-2.0 — container_spec_test.c: CRI messages in, launch specs out.
 */
#include "cri/container_spec.h"

#include "base/file.h"
#include "cri/launch/shim_wire.h"
#include "cri/launch_builder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ARENA_BYTES_MAX (8u << 20)

/* A request with everything it may hang on, and the result. */
struct fixture {
    Runtime__V1__ContainerConfig config;
    Runtime__V1__LinuxContainerConfig linux_config;
    Runtime__V1__LinuxContainerSecurityContext security;
    Runtime__V1__LinuxContainerResources resources;
    Runtime__V1__NamespaceOption options;
    Runtime__V1__PodSandboxConfig sandbox;
    Runtime__V1__LinuxPodSandboxConfig sandbox_linux;
    Runtime__V1__LinuxSandboxSecurityContext sandbox_security;
    Runtime__V1__NamespaceOption sandbox_options;
    struct image image;
    struct str layers[2], env[2], entrypoint[1], cmd[1];
    struct cgroup_node *cgroups;
    struct cgroup_path cgroup;
    struct container_spec_input in;
    struct arena arena;
    struct launch_builder builder;
    struct container_spec_output out;
    struct err e;
    void *block;
    size_t bytes;
    char root[64];
};

static void init_messages(struct fixture *f) {
    runtime__v1__container_config__init(&f->config);
    runtime__v1__linux_container_config__init(&f->linux_config);
    runtime__v1__linux_container_security_context__init(&f->security);
    runtime__v1__linux_container_resources__init(&f->resources);
    runtime__v1__namespace_option__init(&f->options);
    runtime__v1__pod_sandbox_config__init(&f->sandbox);
    runtime__v1__linux_pod_sandbox_config__init(&f->sandbox_linux);
    runtime__v1__linux_sandbox_security_context__init(&f->sandbox_security);
    runtime__v1__namespace_option__init(&f->sandbox_options);
    f->config.linux = &f->linux_config;
    f->linux_config.security_context = &f->security;
    f->linux_config.resources = &f->resources;
    f->sandbox.linux = &f->sandbox_linux;
    f->sandbox_linux.security_context = &f->sandbox_security;
    f->sandbox_security.namespace_options = &f->sandbox_options;
}

static int set_up(void **state) {
    struct fixture *f = xnew(struct fixture);
    char mountinfo[160];
    init_messages(f);
    (void)snprintf(f->root, sizeof f->root, "/tmp/container_spec_test.XXXXXX");
    if (!mkdtemp(f->root)) return -1;
    AUTO_CLOSE int dir = file_open_dir(AT_FDCWD, f->root);
    AUTO_CLOSE int fd = openat(dir, "cgroup.controllers", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file_write_all(fd, "cpu memory pids\n", 16) < 0) return -1;
    (void)snprintf(mountinfo, sizeof mountinfo, "1 2 0:1 / %s rw - cgroup2 cgroup2 rw\n", f->root);
    struct cgroup_source source = {.mountinfo = str_of(mountinfo), .imitation = true};
    if (cgroup_open_from(&source, "gridlet", CGROUP_DRIVER_CGROUPFS, &f->cgroups, &f->e) < 0)
        return -1;
    (void)snprintf(f->cgroup.c, sizeof f->cgroup.c, "/gridlet/podX/c1");
    f->layers[0] = STR("1");
    f->layers[1] = STR("2z");
    f->env[0] = STR("A=image");
    f->env[1] = STR("B=image");
    f->entrypoint[0] = STR("/entry");
    f->cmd[0] = STR("cmd");
    f->image.config = (struct image_config){.env = f->env,
                                            .env_count = 2,
                                            .entrypoint = f->entrypoint,
                                            .entrypoint_count = 1,
                                            .cmd = f->cmd,
                                            .cmd_count = 1,
                                            .working_dir = STR("/srv/./x/.."),
                                            .stop_signal = STR("SIGQUIT")};
    f->arena = ARENA(ARENA_BYTES_MAX);
    f->in = (struct container_spec_input){.config = &f->config,
                                          .sandbox = &f->sandbox,
                                          .image = &f->image,
                                          .id = STR("c1"),
                                          .pod_hostname = STR("web-0"),
                                          .pod_dir = "/run/pod",
                                          .cgroups = f->cgroups,
                                          .cgroup = &f->cgroup};
    launch_build_init(&f->builder, LAUNCH_CONTAINER);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    if (f->block) (void)munmap(f->block, f->bytes);
    launch_build_done(&f->builder);
    arena_done(&f->arena);
    cgroup_close(f->cgroups);
    int r = file_remove_tree(AT_FDCWD, f->root);
    free(f);
    return r;
}

static const struct launch_spec *seal(struct fixture *f) {
    AUTO_CLOSE int fd = -1;
    struct stat st;
    const char *field = "";
    if (launch_build_seal(&f->builder, &fd, &f->e) < 0) fail_msg("%s", f->e.msg);
    assert_int_equal(fstat(fd, &st), 0);
    f->bytes = (size_t)st.st_size;
    f->block = mmap(NULL, f->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(f->block != MAP_FAILED);
    if (launch_spec_check(f->block, f->bytes, &field) < 0) fail_msg("bad field %s", field);
    return f->block;
}

static const struct launch_spec *build(struct fixture *f) {
    if (container_spec_build(&f->in, &f->arena, &f->builder, &f->out, &f->e) < 0)
        fail_msg("%s", f->e.msg);
    return seal(f);
}

static void refuse(struct fixture *f, enum err_kind kind, const char *text) {
    assert_int_equal(container_spec_build(&f->in, &f->arena, &f->builder, &f->out, &f->e), -1);
    assert_int_equal(f->e.kind, kind);
    if (!strstr(f->e.msg, text)) fail_msg("'%s' is not in '%s'", text, f->e.msg);
}

static const char *item(const struct launch_spec *s, struct launch_ref table, uint32_t i) {
    assert_true(i < table.n);
    return launch_str(s, ((const struct launch_ref *)launch_table(s, table))[i]);
}

static bool has(const struct launch_spec *s, struct launch_ref table, const char *text) {
    for (uint32_t i = 0; i < table.n; i++)
        if (strcmp(item(s, table, i), text) == 0) return true;
    return false;
}

static const struct launch_mount *mount_on(const struct launch_spec *s, const char *target) {
    const struct launch_mount *m = launch_table(s, s->mounts);
    for (uint32_t i = 0; i < s->mounts.n; i++)
        if (strcmp(launch_str(s, m[i].target), target) == 0) return &m[i];
    return NULL;
}

/* ---- process ---- */

static void an_empty_request_runs_what_the_image_says(void **state) {
    struct fixture *f = *state;
    f->image.layers = f->layers;
    f->image.layer_count = 0; /* so that no store is asked */
    const struct launch_spec *s = build(f);
    assert_int_equal(s->argv.n, 2);
    assert_string_equal(item(s, s->argv, 0), "/entry");
    assert_string_equal(item(s, s->argv, 1), "cmd");
    assert_string_equal(launch_str(s, s->cwd), "/srv");
    assert_true(has(s, s->envp, "A=image"));
    assert_true(has(s, s->envp, "HOSTNAME=web-0"));
    assert_true(has(s, s->envp, "HOME=/"));
    assert_int_equal(f->out.stop_signal, SIGQUIT);
    assert_int_equal(f->out.shim_flags, SHIM_POD_PID);
    assert_true(s->flags & LAUNCH_NEW_NET && s->flags & LAUNCH_NEW_CGROUP);
    assert_false(s->flags & LAUNCH_SECCOMP);
    assert_int_equal(s->rlimits.n, 1);
}

static void a_command_replaces_the_images_cmd_too(void **state) {
    struct fixture *f = *state;
    char sh[] = "sh", *command[] = {sh};
    f->config.command = command;
    f->config.n_command = 1;
    const struct launch_spec *s = build(f);
    assert_int_equal(s->argv.n, 1);
    assert_string_equal(item(s, s->argv, 0), "sh");
}

static void later_variables_replace_earlier_ones(void **state) {
    struct fixture *f = *state;
    Runtime__V1__KeyValue kv = RUNTIME__V1__KEY_VALUE__INIT, *envs[] = {&kv};
    char key[] = "B", value[] = "request";
    kv.key = key;
    kv.value = value;
    f->config.envs = envs;
    f->config.n_envs = 1;
    f->config.tty = true;
    const struct launch_spec *s = build(f);
    assert_true(has(s, s->envp, "B=request"));
    assert_false(has(s, s->envp, "B=image"));
    assert_true(has(s, s->envp, "TERM=xterm"));
    assert_true(s->flags & LAUNCH_TTY);
    assert_true(f->out.shim_flags & SHIM_TTY);
}

static void a_variable_without_a_name_is_refused(void **state) {
    struct fixture *f = *state;
    Runtime__V1__KeyValue kv = RUNTIME__V1__KEY_VALUE__INIT, *envs[] = {&kv};
    f->config.envs = envs;
    f->config.n_envs = 1;
    refuse(f, ERR_INVALID, "environment");
    f->config.n_envs = CONTAINER_ENV_MAX + 1;
    refuse(f, ERR_LIMIT, "environment");
}

static void no_command_at_all_is_refused(void **state) {
    struct fixture *f = *state;
    f->image.config.entrypoint_count = f->image.config.cmd_count = 0;
    refuse(f, ERR_INVALID, "no command");
}

/* ---- mounts ---- */

static void parents_are_mounted_before_what_lies_in_them(void **state) {
    struct fixture *f = *state;
    Runtime__V1__Mount deep = RUNTIME__V1__MOUNT__INIT, top = RUNTIME__V1__MOUNT__INIT;
    Runtime__V1__Mount *mounts[] = {&deep, &top};
    char tmp[] = "/tmp", proc_self[] = "/proc/1/..", a[] = "/a/b//c/", b[] = "a",
         hosts[] = "/etc/hosts";
    deep.container_path = a;
    deep.host_path = tmp;
    deep.readonly = true;
    top.container_path = b;
    top.host_path = proc_self;
    top.propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL;
    f->config.mounts = mounts;
    f->config.n_mounts = 2;
    const struct launch_spec *s = build(f);
    assert_true(mount_on(s, "/a") < mount_on(s, "/a/b/c"));
    assert_true(mount_on(s, "/dev") < mount_on(s, "/dev/shm"));
    assert_true(mount_on(s, "/sys") < mount_on(s, "/sys/fs/cgroup"));
    assert_string_equal(launch_str(s, mount_on(s, "/a")->source), "/proc");
    assert_int_equal(mount_on(s, "/a")->propagation, LAUNCH_SHARED);
    assert_true(mount_on(s, "/a/b/c")->flags & LAUNCH_MOUNT_READONLY);
    assert_true(mount_on(s, "/sys")->flags & LAUNCH_MOUNT_READONLY);
    assert_string_equal(launch_str(s, mount_on(s, hosts)->source), "/run/pod/hosts");
    assert_int_equal(f->out.mount_count, 2);
    assert_true(str_eq(f->out.mounts[1].host_path, str_of(proc_self)));
}

static void a_mount_of_the_request_replaces_ours(void **state) {
    struct fixture *f = *state;
    Runtime__V1__Mount hosts = RUNTIME__V1__MOUNT__INIT, dev = RUNTIME__V1__MOUNT__INIT;
    Runtime__V1__Mount *mounts[] = {&hosts, &dev};
    char etc_hosts[] = "/etc/hosts", tmp[] = "/tmp", dev_path[] = "/dev";
    hosts.container_path = etc_hosts;
    hosts.host_path = tmp;
    dev.container_path = dev_path;
    dev.host_path = dev_path;
    f->config.mounts = mounts;
    f->config.n_mounts = 2;
    const struct launch_spec *s = build(f);
    assert_string_equal(launch_str(s, mount_on(s, "/etc/hosts")->source), "/tmp");
    assert_null(mount_on(s, "/dev/pts"));
    assert_int_equal(s->devices.n, 0);
}

static void mounts_that_cannot_be_are_refused(void **state) {
    struct fixture *f = *state;
    Runtime__V1__Mount m = RUNTIME__V1__MOUNT__INIT, *mounts[] = {&m};
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    char a[] = "/a", none[] = "/nosuchfolder/x", tmp[] = "/tmp", slash[] = "/", name[] = "x";
    f->config.mounts = mounts;
    f->config.n_mounts = 1;
    m.container_path = a;
    m.host_path = none;
    refuse(f, ERR_NOT_FOUND, none);
    m.host_path = tmp;
    m.recursive_read_only = true;
    refuse(f, ERR_INVALID, "readonly");
    m.readonly = true;
    m.propagation = RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER;
    refuse(f, ERR_INVALID, "private");
    m.recursive_read_only = false;
    m.container_path = slash;
    refuse(f, ERR_INVALID, "'/'");
    image.image = name;
    m.image = &image;
    refuse(f, ERR_UNSUPPORTED, "image volumes");
    f->config.n_mounts = CONTAINER_MOUNTS_MAX + 1;
    refuse(f, ERR_LIMIT, "mounts");
}

/* ---- security ---- */

static void a_privileged_container_needs_a_privileged_pod(void **state) {
    struct fixture *f = *state;
    char acpi[] = "/proc/acpi", *masked[] = {acpi};
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    f->security.seccomp = &profile;
    f->security.masked_paths = masked;
    f->security.n_masked_paths = 1;
    f->security.privileged = true;
    refuse(f, ERR_INVALID, "privileged");
    f->sandbox_security.privileged = true;
    const struct launch_spec *s = build(f);
    assert_int_equal(s->masked.n, 0);
    assert_false(s->flags & LAUNCH_SECCOMP);
    assert_true(s->caps_bounding == capability_own());
    assert_int_equal(f->out.device_count, 1);
    assert_int_equal(f->out.devices[0].type, 'a');
    assert_false(mount_on(s, "/sys")->flags & LAUNCH_MOUNT_READONLY);
}

static void the_security_context_reaches_the_spec(void **state) {
    struct fixture *f = *state;
    char acpi[] = "/proc/acpi", *masked[] = {acpi};
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    Runtime__V1__Int64Value user = RUNTIME__V1__INT64_VALUE__INIT;
    user.value = 1000;
    f->security.run_as_user = &user;
    f->security.seccomp = &profile;
    f->security.masked_paths = masked;
    f->security.n_masked_paths = 1;
    f->security.no_new_privs = true;
    f->security.readonly_rootfs = true;
    f->resources.oom_score_adj = 500;
    const struct launch_spec *s = build(f);
    assert_int_equal(s->uid, 1000);
    assert_string_equal(item(s, s->masked, 0), acpi);
    assert_true(s->flags & LAUNCH_SECCOMP && s->seccomp.n > 10);
    assert_true(s->flags & LAUNCH_NO_NEW_PRIVS && s->flags & LAUNCH_READONLY_ROOT);
    assert_int_equal(s->oom_score_adj, 500);
    assert_true(mount_on(s, "/etc/hosts")->flags & LAUNCH_MOUNT_READONLY);
}

static void what_is_not_offered_is_refused(void **state) {
    struct fixture *f = *state;
    Runtime__V1__UserNamespace userns = RUNTIME__V1__USER_NAMESPACE__INIT;
    f->security.namespace_options = &f->options;
    f->options.userns_options = &userns;
    refuse(f, ERR_UNSUPPORTED, "user namespace");
    userns.mode = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    refuse(f, ERR_INVALID, "user namespace");
    userns.mode = RUNTIME__V1__NAMESPACE_MODE__NODE;
    f->resources.oom_score_adj = 1001;
    refuse(f, ERR_INVALID, "oom_score_adj");
    f->resources.oom_score_adj = 0;
    Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    profile.profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
    f->security.seccomp = &profile;
    refuse(f, ERR_INVALID, "localhost_ref");
}

static void pid_modes_become_flags(void **state) {
    struct fixture *f = *state;
    char target[] = "other";
    f->security.namespace_options = &f->options;
    f->options.pid = RUNTIME__V1__NAMESPACE_MODE__TARGET;
    refuse(f, ERR_INVALID, "target_id");
    f->options.target_id = target;
    (void)build(f);
    assert_int_equal(f->out.shim_flags, SHIM_TARGET_PID);
    assert_true(str_eq(f->out.target_id, STR("other")));
}

/* ---- devices, limits ---- */

static void a_device_brings_its_node_and_its_rule(void **state) {
    struct fixture *f = *state;
    Runtime__V1__Device d = RUNTIME__V1__DEVICE__INIT, *devices[] = {&d};
    char zero[] = "/dev/zero", mine[] = "/dev/mine", read_only[] = "r", wrong[] = "x",
         tmp[] = "/etc/hostname";
    d.host_path = zero;
    d.container_path = mine;
    d.permissions = read_only;
    f->config.devices = devices;
    f->config.n_devices = 1;
    const struct launch_spec *s = build(f);
    const struct launch_device *nodes = launch_table(s, s->devices);
    const struct launch_device *last = &nodes[s->devices.n - 1];
    assert_string_equal(launch_str(s, last->path), mine);
    assert_int_equal(last->minor, 5);
    const struct cgroup_device *rule = &f->out.devices[f->out.device_count - 1];
    assert_int_equal(rule->access, CGROUP_DEVICE_READ);
    assert_int_equal(rule->major, 1);
    d.permissions = wrong;
    refuse(f, ERR_INVALID, "permissions");
    d.permissions = read_only;
    d.host_path = tmp;
    if (file_exists(AT_FDCWD, tmp) == 1) refuse(f, ERR_INVALID, "neither a device");
}

static void limits_are_told_to_admission(void **state) {
    struct fixture *f = *state;
    f->resources.cpu_quota = 150000;
    f->resources.memory_limit_in_bytes = 1 << 30;
    (void)build(f);
    assert_int_equal(f->out.cpu_milli, 1500);
    assert_int_equal(f->out.memory_bytes, 1 << 30);
    f->resources.cpu_period = 7;
    refuse(f, ERR_INVALID, "cpu_period");
}

/* ---- exec, signals ---- */

static void an_exec_has_the_containers_attributes(void **state) {
    struct fixture *f = *state;
    char ls[] = "ls", *argv[] = {ls};
    struct exec_request r = {.argv = argv, .argc = 1, .tty = true};
    struct exec_request none = {0};
    assert_int_equal(exec_spec_build(&f->in, &none, &f->arena, &f->builder, &f->e), -1);
    assert_int_equal(f->e.kind, ERR_INVALID);
    launch_build_done(&f->builder);
    launch_build_init(&f->builder, LAUNCH_EXEC);
    if (exec_spec_build(&f->in, &r, &f->arena, &f->builder, &f->e) < 0) fail_msg("%s", f->e.msg);
    const struct launch_spec *s = seal(f);
    assert_string_equal(item(s, s->argv, 0), "ls");
    assert_true(has(s, s->envp, "A=image") && has(s, s->envp, "TERM=xterm"));
    assert_true(s->caps_bounding != 0);
}

static void signals_have_names_and_numbers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int number;
    } good[] = {{"SIGTERM", 15},       {"term", 15},           {"9", 9},        {"SIGRTMIN+3", 37},
                {"SIGRTMINPLUS3", 37}, {"SIGRTMAXMINUS1", 63}, {"RTMAX", 64},   {"SIGCLD", 17},
                {"SIGIO", 29},         {"SIGIOT", 6},          {"SIGWINCH", 28}};
    static const char *const bad[] = {"", "0", "65", "SIG", "SIGNOTHING", "RTMIN+99", "RTMIN3"};
    struct err e = {0};
    int number;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (container_signal(str_of(good[i].name), &number, &e) < 0) fail_msg("%s", e.msg);
        assert_int_equal(number, good[i].number);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(container_signal(str_of(bad[i]), &number, &e), -1);
}

static void every_stop_signal_of_the_cri_has_a_number(void **state) {
    struct fixture *f = *state;
    for (unsigned i = 1; i < runtime__v1__signal__descriptor.n_values; i++) {
        int number;
        const char *name = runtime__v1__signal__descriptor.values[i].name;
        if (container_signal(str_of(name), &number, &f->e) < 0) fail_msg("%s", f->e.msg);
    }
    f->config.stop_signal = RUNTIME__V1__SIGNAL__SIGUSR1;
    (void)build(f);
    assert_int_equal(f->out.stop_signal, SIGUSR1);
}

/* ---- sandboxes ---- */

static int sandbox(struct fixture *f, struct sandbox_spec_output *out) {
    launch_build_done(&f->builder);
    launch_build_init(&f->builder, LAUNCH_SANDBOX);
    return sandbox_spec_build(&f->sandbox, &f->arena, &f->builder, out, &f->e);
}

static void a_sandbox_has_namespaces_shm_and_default_sysctls(void **state) {
    struct fixture *f = *state;
    struct sandbox_spec_output o;
    char name[] = "web-0";
    f->sandbox.hostname = name;
    if (sandbox(f, &o) < 0) fail_msg("%s", f->e.msg);
    const struct launch_spec *s = seal(f);
    assert_int_equal(s->flags, LAUNCH_NEW_NET | LAUNCH_NEW_IPC | LAUNCH_NEW_UTS);
    assert_string_equal(launch_str(s, s->hostname), name);
    assert_int_equal(s->shm_bytes, 64 << 20);
    assert_int_equal(s->sysctls.n, 2);
    assert_true(o.pod_pid && !o.host_network);
}

static void the_nodes_namespaces_are_not_made(void **state) {
    struct fixture *f = *state;
    struct sandbox_spec_output o;
    f->sandbox_options.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
    f->sandbox_options.ipc = RUNTIME__V1__NAMESPACE_MODE__NODE;
    f->sandbox_options.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    if (sandbox(f, &o) < 0) fail_msg("%s", f->e.msg);
    const struct launch_spec *s = seal(f);
    assert_int_equal(s->flags, 0);
    assert_int_equal(s->sysctls.n, 0);
    assert_int_equal(s->shm_bytes, 0);
    assert_true(o.host_network && o.host_ipc && !o.pod_pid && !o.host_pid && o.hostname.n);
}

static void sysctls_of_the_node_are_refused(void **state) {
    struct fixture *f = *state;
    struct sandbox_spec_output o;
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry entry =
        RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__SYSCTLS_ENTRY__INIT;
    Runtime__V1__LinuxPodSandboxConfig__SysctlsEntry *entries[] = {&entry};
    static const char *const bad[] = {"kernel.panic",
                                      "vm.swappiness",
                                      "net/../kernel/x",
                                      "net..x",
                                      "",
                                      "net.ipv4./../../kernel/core_pattern"};
    static const char *const good[] = {"net.core.somaxconn", "net/core/somaxconn",
                                       "kernel.shm_rmid_forced", "fs.mqueue.msg_max"};
    char value[] = "1";
    entry.value = value;
    f->sandbox_linux.sysctls = entries;
    f->sandbox_linux.n_sysctls = 1;
    for (size_t i = 0; i < COUNT(bad); i++) {
        entry.key = (char *)(uintptr_t)bad[i];
        assert_int_equal(sandbox(f, &o), -1);
        assert_int_equal(f->e.kind, ERR_INVALID);
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        entry.key = (char *)(uintptr_t)good[i];
        if (sandbox(f, &o) < 0) fail_msg("%s", f->e.msg);
    }
    entry.key = (char *)(uintptr_t)good[0];
    f->sandbox_options.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
    assert_int_equal(sandbox(f, &o), -1);
    f->sandbox_linux.n_sysctls = CONTAINER_SYSCTLS_MAX + 1;
    assert_int_equal(sandbox(f, &o), -1);
    assert_int_equal(f->e.kind, ERR_LIMIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_empty_request_runs_what_the_image_says),
        TEST(a_command_replaces_the_images_cmd_too),
        TEST(later_variables_replace_earlier_ones),
        TEST(a_variable_without_a_name_is_refused),
        TEST(no_command_at_all_is_refused),
        TEST(parents_are_mounted_before_what_lies_in_them),
        TEST(a_mount_of_the_request_replaces_ours),
        TEST(mounts_that_cannot_be_are_refused),
        TEST(a_privileged_container_needs_a_privileged_pod),
        TEST(the_security_context_reaches_the_spec),
        TEST(what_is_not_offered_is_refused),
        TEST(pid_modes_become_flags),
        TEST(a_device_brings_its_node_and_its_rule),
        TEST(limits_are_told_to_admission),
        TEST(an_exec_has_the_containers_attributes),
        TEST(signals_have_names_and_numbers),
        TEST(every_stop_signal_of_the_cri_has_a_number),
        TEST(a_sandbox_has_namespaces_shm_and_default_sysctls),
        TEST(the_nodes_namespaces_are_not_made),
        TEST(sysctls_of_the_node_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
