/* SPDX-License-Identifier: Apache-2.0 — run_request.c: fills the CRI's messages as a careful client
 * would.
 *
 * What a kubelet sends by default is sent here too: the runtime's seccomp profile, masked and
 * read-only paths of /proc and /sys, a PID namespace of the container's own. Strings point into the
 * JSON document, which lives in the same arena. */
#include "agent/commands/run_request.h"

#include "agent/commands/auto_remove.h"
#include "agent/commands/commands.h"

#define CPU_PERIOD_US  100000
#define CPU_MILLI_MAX  1000000
#define CPU_SHARES_ONE 1024 /* of one CPU */
#define CPU_SHARES_MIN 2
#define PORT_MAX       65535

/* Source: the paths that a kubelet hides from a container that is not privileged. */
static const char *const masked_paths[] = {
    "/proc/asound",     "/proc/acpi",        "/proc/interrupts",
    "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
static const char *const readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                             "/proc/sysrq-trigger"};

static int no_room(struct err *e) {
    return err_set(e, ERR_LIMIT, "the request needs too much memory");
}

/* Strings of the JSON reader end with NUL and hold none. */
static char *text(struct str s) { return (char *)(uintptr_t)s.p; }

#define NEW_MESSAGE(a, type, init)                                                                 \
    __extension__({                                                                                \
        type *message_ = arena_new(a, type);                                                       \
        if (message_) init(message_);                                                              \
        message_;                                                                                  \
    })

/* ---- names ---- */

static int check_name(struct str name, struct err *e) {
    bool good = name.n > 0 && name.n <= RUN_NAME_BYTES_MAX;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool inner = i > 0 && i + 1 < name.n && (c == '-' || c == '.' || c == '_');
        good = plain || inner;
    }
    if (good) return 0;
    return err_set(e, ERR_INVALID,
                   "the name '%.*s' is not usable: 1 to %d lower-case letters, digits and '-'",
                   (int)(name.n < 80 ? name.n : 80), name.p, RUN_NAME_BYTES_MAX);
}

/* "docker.io/library/nginx:1.27" gives "nginx-<suffix>". */
static char *made_name(struct arena *a, struct str image, const char *suffix) {
    char base[RUN_NAME_BYTES_MAX + 1];
    size_t n = 0;
    ptrdiff_t slash = str_rfind(image, '/');
    if (slash >= 0) image = str_sub(image, (size_t)slash + 1, image.n);
    for (size_t i = 0; i < image.n && n < 40 && image.p[i] != ':' && image.p[i] != '@'; i++) {
        char c = image.p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (n > 0 && c == '-')) base[n++] = c;
    }
    base[n] = '\0';
    return arena_fmt(a, "%s-%s", n ? base : "container", suffix);
}

/* ---- lists ---- */

static int get_list(const struct json *args, const char *key, const struct json **out,
                    struct err *e) {
    if (json_opt_tree(args, key, JSON_ARRAY, out, e) < 0) return -1;
    if (*out && (*out)->count > RUN_LIST_MAX)
        return err_set(e, ERR_LIMIT, "'%s' has more than %d elements", key, RUN_LIST_MAX);
    return 0;
}

static int read_args(struct arena *a, const struct json *args, Runtime__V1__ContainerConfig *out,
                     struct err *e) {
    const struct json *list = NULL;
    struct str item;
    if (get_list(args, "argv", &list, e) < 0) return -1;
    if (!list) return 0;
    out->args = arena_array(a, list->count + 1, sizeof *out->args);
    if (!out->args) return no_room(e);
    for (const struct json *v = list->first; v; v = v->next) {
        if (json_str(v, &item) < 0) return err_set(e, ERR_INVALID, "'argv' must hold strings");
        out->args[out->n_args++] = text(item);
    }
    return 0;
}

static int read_env(struct arena *a, const struct json *args, Runtime__V1__ContainerConfig *out,
                    struct err *e) {
    const struct json *list = NULL;
    struct str item;
    if (get_list(args, "env", &list, e) < 0) return -1;
    if (!list) return 0;
    out->envs = arena_array(a, list->count + 1, sizeof *out->envs);
    if (!out->envs) return no_room(e);
    for (const struct json *v = list->first; v; v = v->next) {
        Runtime__V1__KeyValue *kv =
            NEW_MESSAGE(a, Runtime__V1__KeyValue, runtime__v1__key_value__init);
        ptrdiff_t equals = json_str(v, &item) < 0 ? -1 : str_find(item, '=');
        if (equals <= 0)
            return err_set(e, ERR_INVALID, "an environment variable is written NAME=VALUE");
        if (!kv || !(kv->key = str_to_c(a, str_sub(item, 0, (size_t)equals)))) return no_room(e);
        kv->value = text(item) + equals + 1;
        out->envs[out->n_envs++] = kv;
    }
    return 0;
}

static int read_mount(struct arena *a, const struct json *v, Runtime__V1__Mount **out,
                      struct err *e) {
    struct str source;
    struct str target;
    bool readonly = false;
    if (json_need_str(v, "source", &source, e) < 0 || json_need_str(v, "target", &target, e) < 0 ||
        json_opt_bool(v, "readonly", &readonly, e) < 0)
        return -1;
    if (source.n == 0 || target.n == 0 || source.p[0] != '/' || target.p[0] != '/')
        return err_set(e, ERR_INVALID, "the mount '%s' to '%s': both paths must begin with '/'",
                       source.p, target.p);
    *out = NEW_MESSAGE(a, Runtime__V1__Mount, runtime__v1__mount__init);
    if (!*out) return no_room(e);
    (*out)->host_path = text(source);
    (*out)->container_path = text(target);
    (*out)->readonly = readonly;
    return 0;
}

static int read_mounts(struct arena *a, const struct json *args, Runtime__V1__ContainerConfig *out,
                       struct err *e) {
    const struct json *list = NULL;
    if (get_list(args, "mounts", &list, e) < 0) return -1;
    if (!list) return 0;
    out->mounts = arena_array(a, list->count + 1, sizeof *out->mounts);
    if (!out->mounts) return no_room(e);
    for (const struct json *v = list->first; v; v = v->next)
        if (read_mount(a, v, &out->mounts[out->n_mounts++], e) < 0) return -1;
    return 0;
}

static int read_port(struct arena *a, const struct json *v, Runtime__V1__PortMapping **out,
                     struct err *e) {
    uint64_t host = 0;
    uint64_t container = 0;
    struct str protocol = STR("tcp");
    struct str ip = STR("");
    if (json_need_u64(v, "host_port", &host, e) < 0 ||
        json_need_u64(v, "container_port", &container, e) < 0 ||
        json_opt_str(v, "protocol", &protocol, e) < 0 || json_opt_str(v, "host_ip", &ip, e) < 0)
        return -1;
    if (host < 1 || host > PORT_MAX || container < 1 || container > PORT_MAX)
        return err_set(e, ERR_INVALID, "the port %llu:%llu: ports are 1 to %d",
                       (unsigned long long)host, (unsigned long long)container, PORT_MAX);
    *out = NEW_MESSAGE(a, Runtime__V1__PortMapping, runtime__v1__port_mapping__init);
    if (!*out) return no_room(e);
    (*out)->host_port = (int32_t)host;
    (*out)->container_port = (int32_t)container;
    (*out)->host_ip = text(ip);
    if (str_eq(protocol, STR("tcp")))
        (*out)->protocol = RUNTIME__V1__PROTOCOL__TCP;
    else if (str_eq(protocol, STR("udp")))
        (*out)->protocol = RUNTIME__V1__PROTOCOL__UDP;
    else if (str_eq(protocol, STR("sctp")))
        (*out)->protocol = RUNTIME__V1__PROTOCOL__SCTP;
    else
        return err_set(e, ERR_INVALID, "the protocol '%s': tcp, udp and sctp are known",
                       protocol.p);
    return 0;
}

static int read_ports(struct arena *a, const struct json *args, Runtime__V1__PodSandboxConfig *out,
                      struct err *e) {
    const struct json *list = NULL;
    if (get_list(args, "ports", &list, e) < 0) return -1;
    if (list && list->count > POD_PORTS_MAX)
        return err_set(e, ERR_LIMIT, "a pod has at most %d ports", POD_PORTS_MAX);
    if (!list) return 0;
    out->port_mappings = arena_array(a, list->count + 1, sizeof *out->port_mappings);
    if (!out->port_mappings) return no_room(e);
    for (const struct json *v = list->first; v; v = v->next)
        if (read_port(a, v, &out->port_mappings[out->n_port_mappings++], e) < 0) return -1;
    return 0;
}

/* ---- limits and security ---- */

static int read_resources(struct arena *a, const struct json *args,
                          Runtime__V1__LinuxContainerConfig *out, struct err *e) {
    uint64_t memory = 0;
    uint64_t cpu = 0;
    if (json_opt_u64(args, "memory_bytes", &memory, e) < 0 ||
        json_opt_u64(args, "cpu_milli", &cpu, e) < 0)
        return -1;
    if (memory > INT64_MAX || cpu > CPU_MILLI_MAX)
        return err_set(e, ERR_INVALID, "the limits are larger than any machine");
    Runtime__V1__LinuxContainerResources *r = NEW_MESSAGE(
        a, Runtime__V1__LinuxContainerResources, runtime__v1__linux_container_resources__init);
    if (!r) return no_room(e);
    r->memory_limit_in_bytes = (int64_t)memory;
    r->memory_swap_limit_in_bytes = (int64_t)memory;
    if (cpu) {
        int64_t shares = (int64_t)cpu * CPU_SHARES_ONE / 1000;
        r->cpu_period = CPU_PERIOD_US;
        r->cpu_quota = (int64_t)cpu * CPU_PERIOD_US / 1000;
        r->cpu_shares = shares < CPU_SHARES_MIN ? CPU_SHARES_MIN : shares;
    }
    out->resources = r;
    return 0;
}

static Runtime__V1__NamespaceOption *namespaces(struct arena *a) {
    Runtime__V1__NamespaceOption *n =
        NEW_MESSAGE(a, Runtime__V1__NamespaceOption, runtime__v1__namespace_option__init);
    if (n) n->pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    return n;
}

static int set_security(struct arena *a, Runtime__V1__LinuxContainerConfig *out, struct err *e) {
    Runtime__V1__LinuxContainerSecurityContext *s =
        NEW_MESSAGE(a, Runtime__V1__LinuxContainerSecurityContext,
                    runtime__v1__linux_container_security_context__init);
    Runtime__V1__SecurityProfile *seccomp =
        NEW_MESSAGE(a, Runtime__V1__SecurityProfile, runtime__v1__security_profile__init);
    if (!s || !seccomp || !(s->namespace_options = namespaces(a))) return no_room(e);
    seccomp->profile_type = RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
    s->seccomp = seccomp;
    s->masked_paths = (char **)(uintptr_t)masked_paths;
    s->n_masked_paths = COUNT(masked_paths);
    s->readonly_paths = (char **)(uintptr_t)readonly_paths;
    s->n_readonly_paths = COUNT(readonly_paths);
    out->security_context = s;
    return 0;
}

/* ---- the two messages ---- */

static int make_pod(struct arena *a, const struct json *args, const char *suffix,
                    struct run_request *r, struct err *e) {
    Runtime__V1__PodSandboxConfig *p =
        NEW_MESSAGE(a, Runtime__V1__PodSandboxConfig, runtime__v1__pod_sandbox_config__init);
    Runtime__V1__PodSandboxMetadata *m =
        NEW_MESSAGE(a, Runtime__V1__PodSandboxMetadata, runtime__v1__pod_sandbox_metadata__init);
    Runtime__V1__LinuxPodSandboxConfig *linux_part = NEW_MESSAGE(
        a, Runtime__V1__LinuxPodSandboxConfig, runtime__v1__linux_pod_sandbox_config__init);
    Runtime__V1__LinuxSandboxSecurityContext *s =
        NEW_MESSAGE(a, Runtime__V1__LinuxSandboxSecurityContext,
                    runtime__v1__linux_sandbox_security_context__init);
    Runtime__V1__PodSandboxConfig__LabelsEntry *label =
        NEW_MESSAGE(a, Runtime__V1__PodSandboxConfig__LabelsEntry,
                    runtime__v1__pod_sandbox_config__labels_entry__init);
    Runtime__V1__PodSandboxConfig__LabelsEntry **labels = arena_array(a, 1, sizeof *labels);
    if (!p || !m || !linux_part || !s || !label || !labels) return no_room(e);
    if (!(m->uid = arena_fmt(a, "%s-%s", r->name, suffix))) return no_room(e);
    if (!(s->namespace_options = namespaces(a))) return no_room(e);
    m->name = r->name;
    m->namespace_ = (char *)(uintptr_t)COMMAND_NAMESPACE;
    label->key = (char *)(uintptr_t)COMMAND_LABEL;
    label->value = r->name;
    labels[0] = label;
    linux_part->security_context = s;
    p->metadata = m;
    p->hostname = r->name;
    p->labels = labels;
    p->n_labels = 1;
    p->linux = linux_part;
    r->pod = p;
    return read_ports(a, args, p, e);
}

static int set_remove(struct arena *a, Runtime__V1__ContainerConfig *k, struct err *e) {
    Runtime__V1__ContainerConfig__LabelsEntry *label =
        NEW_MESSAGE(a, Runtime__V1__ContainerConfig__LabelsEntry,
                    runtime__v1__container_config__labels_entry__init);
    Runtime__V1__ContainerConfig__LabelsEntry **labels = arena_array(a, 1, sizeof *labels);
    if (!label || !labels) return no_room(e);
    label->key = (char *)(uintptr_t)AUTO_REMOVE_LABEL;
    label->value = (char *)(uintptr_t) "true";
    labels[0] = label;
    k->labels = labels;
    k->n_labels = 1;
    return 0;
}

static int make_container(struct arena *a, const struct json *args, struct run_request *r,
                          struct err *e) {
    struct str working_dir = STR("");
    Runtime__V1__ContainerConfig *k =
        NEW_MESSAGE(a, Runtime__V1__ContainerConfig, runtime__v1__container_config__init);
    Runtime__V1__ContainerMetadata *m =
        NEW_MESSAGE(a, Runtime__V1__ContainerMetadata, runtime__v1__container_metadata__init);
    Runtime__V1__ImageSpec *image =
        NEW_MESSAGE(a, Runtime__V1__ImageSpec, runtime__v1__image_spec__init);
    Runtime__V1__LinuxContainerConfig *linux_part = NEW_MESSAGE(
        a, Runtime__V1__LinuxContainerConfig, runtime__v1__linux_container_config__init);
    if (!k || !m || !image || !linux_part) return no_room(e);
    m->name = r->name;
    image->image = r->image;
    image->user_specified_image = r->image;
    k->metadata = m;
    k->image = image;
    k->linux = linux_part;
    r->container = k;
    if (json_opt_str(args, "working_dir", &working_dir, e) < 0) return -1;
    k->working_dir = text(working_dir);
    if (json_opt_bool(args, "remove", &r->remove, e) < 0) return -1;
    if (r->remove && set_remove(a, k, e) < 0) return -1;
    if (read_args(a, args, k, e) < 0 || read_env(a, args, k, e) < 0) return -1;
    if (read_mounts(a, args, k, e) < 0 || read_resources(a, args, linux_part, e) < 0) return -1;
    return set_security(a, linux_part, e);
}

int run_request_parse(struct arena *a, const struct json *args, const char *suffix,
                      struct run_request *out, struct err *e) {
    struct run_request r = {.name = NULL};
    struct str image;
    struct str name = STR("");
    if (json_need_str(args, "image", &image, e) < 0) return -1;
    if (image.n == 0 || image.n > RUN_IMAGE_BYTES_MAX)
        return err_set(e, ERR_INVALID, "an image's name has 1 to %d bytes", RUN_IMAGE_BYTES_MAX);
    if (json_opt_str(args, "name", &name, e) < 0) return -1;
    if (name.n && check_name(name, e) < 0) return -1;
    r.image = text(image);
    r.name = name.n ? text(name) : made_name(a, image, suffix);
    if (!r.name) return no_room(e);
    if (make_pod(a, args, suffix, &r, e) < 0 || make_container(a, args, &r, e) < 0) return -1;
    *out = r;
    return 0;
}
