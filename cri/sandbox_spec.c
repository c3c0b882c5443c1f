/* SPDX-License-Identifier: Apache-2.0 — sandbox_spec.c: the launch spec of a pod's namespaces. */
#include "cri/container_parts.h"

#include "cri/pod_files.h"

#include <stdio.h>
#include <sys/utsname.h>

#define SHM_BYTES (64ull << 20)

enum sysctl_namespace { SYSCTL_NET, SYSCTL_IPC, SYSCTL_NONE };

/* Source: namespaces(7), proc(5): what ipc_namespaces(7) lists, and everything below net. */
static enum sysctl_namespace namespace_of(struct str key) {
    static const struct str ipc[] = {{"kernel.sem", 10},    {"kernel.shmall", 13},
                                     {"kernel.shmmax", 13}, {"kernel.shmmni", 13},
                                     {"kernel.msgmax", 13}, {"kernel.msgmnb", 13},
                                     {"kernel.msgmni", 13}, {"kernel.shm_rmid_forced", 22}};
    if (str_starts(key, STR("net."))) return SYSCTL_NET;
    if (str_starts(key, STR("fs.mqueue."))) return SYSCTL_IPC;
    for (size_t i = 0; i < COUNT(ipc); i++)
        if (str_eq(key, ipc[i])) return SYSCTL_IPC;
    return SYSCTL_NONE;
}

/* "net/ipv4/conf/eth0.1/x" and "net.ipv4..." are the same name with its separators swapped, as
 * sysctl(8) reads it. Ours has dots. */
static struct str key_of(struct arena *a, struct str key) {
    struct str copy = arena_str(a, key);
    ptrdiff_t slash = str_find(key, '/'), dot = str_find(key, '.');
    bool swapped = copy.p && slash >= 0 && (dot < 0 || slash < dot);
    for (size_t i = 0; swapped && i < copy.n; i++) {
        char *c = (char *)(uintptr_t)&copy.p[i];
        if (*c == '/')
            *c = '.';
        else if (*c == '.')
            *c = '/';
    }
    return copy;
}

static bool is_plain(struct str key) {
    struct str part;
    for (size_t i = 0; i < key.n; i++)
        if ((unsigned char)key.p[i] <= ' ' || key.p[i] == 0x7f) return false;
    while (str_next(&key, '.', &part))
        if (part.n == 0 || part.p[0] == '/' || part.p[part.n - 1] == '/') return false;
    return true;
}

static int check_sysctl(struct str key, const struct sandbox_spec_output *o, struct err *e) {
    enum sysctl_namespace n = namespace_of(key);
    if (key.n > 200 || !is_plain(key) || n == SYSCTL_NONE)
        return err_set(e, ERR_INVALID, "sysctl '%.*s' does not belong to a namespace of the pod",
                       STR_ARG(str_sub(key, 0, 200)));
    if (n == SYSCTL_NET && o->host_network)
        return err_set(e, ERR_INVALID, "sysctl '%.*s': the pod has the node's network",
                       STR_ARG(key));
    if (n == SYSCTL_IPC && o->host_ipc)
        return err_set(e, ERR_INVALID, "sysctl '%.*s': the pod has the node's IPC", STR_ARG(key));
    return 0;
}

struct sysctl_list {
    struct launch_builder *spec;
    struct launch_pair *pairs;
    struct str *keys;
    size_t count;
};

static void add_sysctl(struct sysctl_list *l, struct str key, struct str value) {
    l->keys[l->count] = key;
    l->pairs[l->count++] = (struct launch_pair){.key = launch_build_str(l->spec, key),
                                                .value = launch_build_str(l->spec, value)};
}

static void add_default(struct sysctl_list *l, struct str key, struct str value) {
    for (size_t i = 0; i < l->count; i++)
        if (str_eq(l->keys[i], key)) return;
    add_sysctl(l, key, value);
}

static int set_sysctls(const Runtime__V1__LinuxPodSandboxConfig *c, struct arena *a,
                       struct launch_builder *b, const struct sandbox_spec_output *o,
                       struct err *e) {
    size_t wanted = c ? c->n_sysctls : 0;
    if (wanted > CONTAINER_SYSCTLS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d sysctls", CONTAINER_SYSCTLS_MAX);
    struct sysctl_list l = {.spec = b};
    l.pairs = arena_array(a, wanted + 2, sizeof *l.pairs);
    l.keys = arena_array(a, wanted + 2, sizeof *l.keys);
    if (!l.pairs || !l.keys) return err_set(e, ERR_LIMIT, "sysctls: the request is too large");
    for (size_t i = 0; i < wanted; i++) {
        struct str key = key_of(a, str_of(c->sysctls[i]->key));
        if (!key.p) return err_set(e, ERR_LIMIT, "sysctls: the request is too large");
        if (check_sysctl(key, o, e) < 0) return -1;
        add_sysctl(&l, key, str_of(c->sysctls[i]->value));
    }
    if (!o->host_network) { /* as root is not needed for either in a network of one's own */
        add_default(&l, STR("net.ipv4.ip_unprivileged_port_start"), STR("0"));
        add_default(&l, STR("net.ipv4.ping_group_range"), STR("0 2147483647"));
    }
    b->spec.sysctls = launch_build_table(b, l.pairs, sizeof *l.pairs, l.count);
    return 0;
}

static int check_namespaces(const Runtime__V1__NamespaceOption *n, struct err *e) {
    if (!n) return 0;
    if (n->network != RUNTIME__V1__NAMESPACE_MODE__POD &&
        n->network != RUNTIME__V1__NAMESPACE_MODE__NODE)
        return err_set(e, ERR_INVALID, "network namespace mode %d: must be POD or NODE",
                       (int)n->network);
    if (n->ipc != RUNTIME__V1__NAMESPACE_MODE__POD && n->ipc != RUNTIME__V1__NAMESPACE_MODE__NODE)
        return err_set(e, ERR_INVALID, "IPC namespace mode %d: must be POD or NODE", (int)n->ipc);
    if (n->pid != RUNTIME__V1__NAMESPACE_MODE__POD && n->pid != RUNTIME__V1__NAMESPACE_MODE__NODE &&
        n->pid != RUNTIME__V1__NAMESPACE_MODE__CONTAINER)
        return err_set(e, ERR_INVALID,
                       "PID namespace mode %d of a pod: must be POD, CONTAINER or "
                       "NODE",
                       (int)n->pid);
    if (!n->userns_options || n->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__NODE)
        return 0;
    if (n->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__POD)
        return err_set(e, ERR_UNSUPPORTED,
                       "a user namespace is asked for, which is not offered here; set "
                       "hostUsers: true");
    return err_set(e, ERR_INVALID, "user namespace mode %d: must be POD or NODE",
                   (int)n->userns_options->mode);
}

static int set_hostname(const Runtime__V1__PodSandboxConfig *c, struct arena *a,
                        struct sandbox_spec_output *o, struct err *e) {
    struct utsname node;
    o->hostname = str_of(c->hostname);
    if (o->hostname.n > POD_HOSTNAME_BYTES_MAX)
        return err_set(e, ERR_INVALID, "hostname '%.100s' is longer than %d bytes", c->hostname,
                       POD_HOSTNAME_BYTES_MAX);
    for (size_t i = 0; i < o->hostname.n; i++)
        if ((unsigned char)o->hostname.p[i] <= ' ' || strchr("/:#", o->hostname.p[i]))
            return err_set(e, ERR_INVALID, "hostname '%.100s' has a byte that no name has",
                           c->hostname);
    if (o->hostname.n && !o->host_network) return 0;
    if (uname(&node) < 0) return err_set(e, ERR_INTERNAL, "ask for the node's name");
    o->hostname = arena_str(a, str_of(node.nodename));
    return o->hostname.p ? 0 : err_set(e, ERR_LIMIT, "hostname: the request is too large");
}

int sandbox_spec_build(const Runtime__V1__PodSandboxConfig *config, struct arena *a,
                       struct launch_builder *b, struct sandbox_spec_output *out, struct err *e) {
    const Runtime__V1__LinuxPodSandboxConfig *l = config->linux;
    const Runtime__V1__LinuxSandboxSecurityContext *s = l ? l->security_context : NULL;
    const Runtime__V1__NamespaceOption *n = s ? s->namespace_options : NULL;
    struct sandbox_spec_output o = {.pod_pid = true};
    if (s && s->run_as_group && !s->run_as_user)
        return err_set(e, ERR_INVALID, "run_as_group is given without run_as_user");
    if (check_namespaces(n, e) < 0) return -1;
    if (n) {
        o.host_network = n->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
        o.host_ipc = n->ipc == RUNTIME__V1__NAMESPACE_MODE__NODE;
        o.host_pid = n->pid == RUNTIME__V1__NAMESPACE_MODE__NODE;
        o.pod_pid = n->pid == RUNTIME__V1__NAMESPACE_MODE__POD;
    }
    if (set_hostname(config, a, &o, e) < 0 || set_sysctls(l, a, b, &o, e) < 0) return -1;
    if (!o.host_network) {
        b->spec.flags |= LAUNCH_NEW_NET | LAUNCH_NEW_UTS;
        b->spec.hostname = launch_build_str(b, o.hostname);
    }
    if (!o.host_ipc) {
        b->spec.flags |= LAUNCH_NEW_IPC;
        b->spec.shm_bytes = SHM_BYTES;
    }
    *out = o;
    return 0;
}
