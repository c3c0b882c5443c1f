/* SPDX-License-Identifier: Apache-2.0 — container_spec.c: a container's launch spec from its parts,
 * and an exec's.
 *
 * The network, IPC and UTS namespaces are the pod's, as its own config says; the container's config
 * decides about its PID namespace only. A container that asks for the pod's PID namespace in a pod
 * that has the host's gets the host's; in a pod that has none, one of its own. */
#include "cri/container_parts.h"

#include "cri/launch/shim_wire.h"

#include <signal.h>
#include <stdio.h>

#define CPU_PERIOD_US 100000 /* the kernel's own */

static int check_user_namespace(const Runtime__V1__NamespaceOption *o, struct err *e) {
    if (!o || !o->userns_options || o->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__NODE)
        return 0;
    if (o->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__POD)
        return err_set(e, ERR_UNSUPPORTED,
                       "a user namespace is asked for, which is not offered here; set "
                       "hostUsers: true");
    return err_set(e, ERR_INVALID, "user namespace mode %d: must be POD or NODE",
                   (int)o->userns_options->mode);
}

int container_build_init(struct container_build *b, const struct container_spec_input *in,
                         struct arena *a, struct launch_builder *spec, struct err *e) {
    *b = (struct container_build){.in = in, .arena = a, .spec = spec};
    b->sandbox_linux = in->sandbox->linux;
    if (in->config->linux) b->security = in->config->linux->security_context;
    const Runtime__V1__LinuxSandboxSecurityContext *pod =
        b->sandbox_linux ? b->sandbox_linux->security_context : NULL;
    b->privileged = b->security && b->security->privileged;
    if (b->privileged && !(pod && pod->privileged))
        return err_set(e, ERR_INVALID, "a privileged container needs a privileged pod sandbox");
    if (pod && pod->namespace_options) {
        b->host_network = pod->namespace_options->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
        b->host_ipc = pod->namespace_options->ipc == RUNTIME__V1__NAMESPACE_MODE__NODE;
    }
    return check_user_namespace(b->security ? b->security->namespace_options : NULL, e);
}

static uint32_t namespace_flags(const struct container_build *b) {
    uint32_t flags = 0;
    if (!b->host_network) flags |= LAUNCH_NEW_NET | LAUNCH_NEW_UTS;
    if (!b->host_ipc) flags |= LAUNCH_NEW_IPC;
    if (!b->privileged) flags |= LAUNCH_NEW_CGROUP;
    return flags;
}

/* ---- what the shim is told ---- */

static int pid_flags(const struct container_build *b, struct container_spec_output *out,
                     struct err *e) {
    const Runtime__V1__NamespaceOption *own = b->security ? b->security->namespace_options : NULL;
    const Runtime__V1__LinuxSandboxSecurityContext *s =
        b->sandbox_linux ? b->sandbox_linux->security_context : NULL;
    const Runtime__V1__NamespaceOption *pod = s ? s->namespace_options : NULL;
    Runtime__V1__NamespaceMode pod_mode = pod ? pod->pid : RUNTIME__V1__NAMESPACE_MODE__POD;
    Runtime__V1__NamespaceMode mode = own ? own->pid : pod_mode;
    if (mode == RUNTIME__V1__NAMESPACE_MODE__POD) mode = pod_mode;
    switch (mode) {
    case RUNTIME__V1__NAMESPACE_MODE__POD: out->shim_flags |= SHIM_POD_PID; return 0;
    case RUNTIME__V1__NAMESPACE_MODE__NODE: out->shim_flags |= SHIM_HOST_PID; return 0;
    case RUNTIME__V1__NAMESPACE_MODE__CONTAINER: return 0;
    case RUNTIME__V1__NAMESPACE_MODE__TARGET:
        if (!own || str_of(own->target_id).n == 0 || str_of(own->target_id).n >= SHIM_ID_BYTES)
            return err_set(e, ERR_INVALID, "PID namespace mode TARGET needs a target_id");
        out->shim_flags |= SHIM_TARGET_PID;
        out->target_id = str_of(own->target_id);
        return 0;
    case _RUNTIME__V1__NAMESPACE_MODE_IS_INT_SIZE: break;
    }
    return err_set(e, ERR_INVALID, "unknown PID namespace mode %d", (int)mode);
}

/* "SIGRTMINPLUS3" of the CRI's enum, else the image's, else SIGTERM. */
static int stop_signal(const struct container_build *b, int *out, struct err *e) {
    const Runtime__V1__ContainerConfig *c = b->in->config;
    struct str image = b->in->image->config.stop_signal;
    *out = SIGTERM;
    if (c->stop_signal != RUNTIME__V1__SIGNAL__RUNTIME_DEFAULT) {
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
            &runtime__v1__signal__descriptor, (int)c->stop_signal);
        if (!value) return err_set(e, ERR_INVALID, "unknown stop_signal %d", (int)c->stop_signal);
        return container_signal(str_of(value->name), out, e);
    }
    struct err ignored;
    if (image.n && container_signal(image, out, &ignored) < 0) *out = SIGTERM;
    return 0;
}

static int set_limits(const struct container_build *b, struct container_spec_output *out,
                      struct err *e) {
    const Runtime__V1__LinuxContainerConfig *l = b->in->config->linux;
    if (cgroup_limits_of(l ? l->resources : NULL, b->arena, &out->limits, e) < 0)
        return err_in(e, "resources");
    uint64_t period = out->limits.cpu_period_us ? out->limits.cpu_period_us : CPU_PERIOD_US;
    if (out->limits.memory_bytes > 0) out->memory_bytes = (uint64_t)out->limits.memory_bytes;
    if (out->limits.cpu_quota_us > 0)
        out->cpu_milli = ((uint64_t)out->limits.cpu_quota_us * 1000 + period - 1) / period;
    return 0;
}

/* ---- the root ---- */

/* "12:7:1": topmost first; the image lists the lowest first. */
static int set_lowers(const struct container_build *b, struct err *e) {
    const struct image *i = b->in->image;
    AUTO(buf_done) struct buf text = BUF(IMAGE_LAYERS_MAX * 64);
    if (i->layer_count > IMAGE_LAYERS_MAX)
        return err_set(e, ERR_LIMIT, "the image has more than %d layers", IMAGE_LAYERS_MAX);
    for (size_t k = i->layer_count; k-- > 0;)
        if (buf_fmt(&text, "%s%.*s", text.n ? ":" : "", STR_ARG(i->layers[k])) < 0)
            return err_set(e, ERR_LIMIT, "the names of the image's layers are too long");
    b->spec->spec.lowers = launch_build_str(b->spec, buf_view(&text));
    return 0;
}

int container_spec_build(const struct container_spec_input *in, struct arena *a,
                         struct launch_builder *b, struct container_spec_output *out,
                         struct err *e) {
    struct container_spec_output o = {0};
    struct container_build build;
    const Runtime__V1__ContainerConfig *c = in->config;
    if (container_build_init(&build, in, a, b, e) < 0) return -1;
    b->spec.flags |= namespace_flags(&build);
    if (build.security && build.security->readonly_rootfs) b->spec.flags |= LAUNCH_READONLY_ROOT;
    if (pid_flags(&build, &o, e) < 0 || stop_signal(&build, &o.stop_signal, e) < 0 ||
        set_limits(&build, &o, e) < 0 || set_lowers(&build, e) < 0)
        return -1;
    if (container_user(&build, &o.user, e) < 0 || container_argv(&build, e) < 0 ||
        container_process(&build, &o.user, c->tty, e) < 0 || container_security(&build, e) < 0)
        return -1;
    if (container_mounts(&build, &o, e) < 0 || container_devices(&build, &o, e) < 0) return -1;
    if (c->tty) o.shim_flags |= SHIM_TTY;
    if (c->stdin) o.shim_flags |= SHIM_STDIN;
    if (c->stdin && c->stdin_once) o.shim_flags |= SHIM_STDIN_ONCE;
    *out = o;
    return 0;
}

int exec_spec_build(const struct container_spec_input *in, const struct exec_request *r,
                    struct arena *a, struct launch_builder *b, struct err *e) {
    struct container_build build;
    struct user user;
    if (r->argc == 0 || str_of(r->argv[0]).n == 0)
        return err_set(e, ERR_INVALID, "no command to run");
    if (r->argc > CONTAINER_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "more than %d arguments", CONTAINER_NAMES_MAX);
    struct str *argv = arena_array(a, r->argc, sizeof *argv);
    if (!argv) return err_set(e, ERR_LIMIT, "arguments: the request is too large");
    for (size_t i = 0; i < r->argc; i++) argv[i] = str_of(r->argv[i]);
    if (container_build_init(&build, in, a, b, e) < 0 || container_user(&build, &user, e) < 0 ||
        container_process(&build, &user, r->tty, e) < 0 || container_security(&build, e) < 0)
        return -1;
    b->spec.argv = launch_build_strs(b, argv, r->argc);
    b->spec.flags |= namespace_flags(&build);
    return 0;
}
