/* SPDX-License-Identifier: Apache-2.0 — settings.c */
#include "agent/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define FIELD(name) offsetof(struct settings, name)

/* The longest socket name under run: sun_path has 108 bytes. */
#define RUN_BYTES_MAX    90
#define BRIDGE_BYTES_MAX 15 /* IFNAMSIZ - 1 */
#define WORKERS_MAX      64
#define MTU_MIN          1280 /* RFC 8200 section 5 */
#define MTU_MAX          65535

static const struct config_key keys[] = {
    {"root", CONFIG_STR, FIELD(root), SETTINGS_ROOT, "DIR",
     "Folder of everything lasting: images, records of pods and containers, logs."},
    {"run", CONFIG_STR, FIELD(run), SETTINGS_RUN, "DIR",
     "Folder of everything that ends with a reboot; the sockets are in it."},
    {"cri-socket", CONFIG_STR, FIELD(cri_socket), NULL, "PATH",
     "Where the CRI is served for kubelet and crictl. Default: RUN/cri.sock."},
    {"cgroup-root", CONFIG_STR, FIELD(cgroup_root), NULL, "NAME",
     "The cgroup of pods that name no parent. Default: gridlet, with a mark of the root folder "
     "unless that is the standard one."},
    {"cgroup-driver", CONFIG_STR, FIELD(cgroup_driver), "cgroupfs", "cgroupfs|systemd",
     "How kubelet names cgroups; must be kubelet's own driver."},
    {"pod-cidr", CONFIG_STR, FIELD(pod_cidr), NULL, "CIDR",
     "IPv4 range of the pods. Default: 10.88.0.0/16, or a range derived from the root folder."},
    {"pod-cidr6", CONFIG_STR, FIELD(pod_cidr6), NULL, "CIDR",
     "IPv6 range of the pods; empty (--pod-cidr6=): no IPv6. Default: fd00:88::/64, or a range "
     "derived from the root folder."},
    {"bridge", CONFIG_STR, FIELD(bridge), NULL, "NAME",
     "Bridge of the pod network. Default: gridlet0, or gl- and a mark of the root folder."},
    {"nft-table", CONFIG_STR, FIELD(nft_table), NULL, "NAME",
     "nftables table of this node. Default: gridlet, or gridlet_ and a mark of the root folder."},
    {"mtu", CONFIG_U64, FIELD(mtu), "1500", "N", "Largest packet of the pod network."},
    {"registries", CONFIG_STR, FIELD(registries), "/etc/gridlet/certs.d", "DIR",
     "Mirrors and TLS settings per registry, in containerd's hosts.toml layout."},
    {"docker-config", CONFIG_STR, FIELD(docker_config), NULL, "FILE",
     "A Docker config.json with credentials for pulls that bring none."},
    {"layers-at-once", CONFIG_U64, FIELD(layers_at_once), "4", "N",
     "Layers of one image that are downloaded side by side."},
    {"container-log-size", CONFIG_BYTES, FIELD(container_log_bytes), "16Mi", "SIZE",
     "Where the log of a container that no kubelet watches is rotated."},
    {"stop-grace", CONFIG_MS, FIELD(stop_grace_ms), "5s", "TIME",
     "How long requests may go on when gridletd is told to stop. Pods always go on."},
    {"program-dir", CONFIG_STR, FIELD(program_dir), NULL, "DIR",
     "Where gridlet-shim, gridlet-init and gridlet-unpack are. Default: beside gridletd."},
    {"zdb-listen", CONFIG_STR, FIELD(zdb_listen), NULL, "ADDR:PORT",
     "Where the 0-db server of this node's namespaces listens besides RUN/zdb.sock. Default: "
     "nowhere."},
    {"workers", CONFIG_U64, FIELD(workers), "8", "N", "Threads for work that blocks, 1 to 64."},
    {"log-level", CONFIG_STR, FIELD(log_level), "info", "debug|info|warn|error",
     "What is logged to stderr."},
    {"ready-fd", CONFIG_U64, FIELD(ready_fd), "4294967295", "N",
     "A descriptor that gets the line READY=1 when gridletd serves, for scripts. systemd is told "
     "by itself."},
};

const struct config_program settings_program = {
    .name = "gridletd",
    .synopsis = "the gridlet node: Kubernetes CRI, images, pod network",
    .notes = "Examples:\n"
             "  gridletd                                    the machine's node\n"
             "  gridletd --root /srv/n2 --run /run/n2       a second node beside it\n"
             "  gridlet status                              is it well?\n"
             "  crictl --runtime-endpoint unix:///run/gridlet/cri.sock ps\n",
    .keys = keys,
    .key_count = COUNT(keys),
};

static void set_default(char **field, char *value) {
    if (*field)
        free(value);
    else
        *field = value;
}

static void make_absolute(char **path) {
    char cwd[PATH_MAX];
    if ((*path)[0] == '/' || !getcwd(cwd, sizeof cwd)) return;
    char *absolute = xasprintf("%s/%s", cwd, *path);
    free(*path);
    *path = absolute;
}

static int check(const struct settings *s, struct err *e) {
    bool cgroupfs = strcmp(s->cgroup_driver, "cgroupfs") == 0;
    if (!cgroupfs && strcmp(s->cgroup_driver, "systemd") != 0)
        return err_set(e, ERR_INVALID, "'cgroup-driver' must be cgroupfs or systemd, not '%.60s'",
                       s->cgroup_driver);
    if (strlen(s->run) > RUN_BYTES_MAX)
        return err_set(e, ERR_INVALID,
                       "'run' must be shorter than %d bytes: socket names have a limit",
                       RUN_BYTES_MAX);
    if (!*s->bridge || strlen(s->bridge) > BRIDGE_BYTES_MAX)
        return err_set(e, ERR_INVALID, "'bridge' must have 1 to %d bytes", BRIDGE_BYTES_MAX);
    if (s->workers < 1 || s->workers > WORKERS_MAX)
        return err_set(e, ERR_INVALID, "'workers' must be 1 to %d", WORKERS_MAX);
    if (s->mtu < MTU_MIN || s->mtu > MTU_MAX)
        return err_set(e, ERR_INVALID, "'mtu' must be %d to %d", MTU_MIN, MTU_MAX);
    return 0;
}

static int own_folder(char **out, struct err *e) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) return err_sys(e, errno, "find the program's own folder");
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
    *out = xstrdup(*path ? path : "/");
    return 0;
}

int settings_derive(struct settings *s, struct err *e) {
    make_absolute(&s->root);
    make_absolute(&s->run);
    bool standard = strcmp(s->root, SETTINGS_ROOT) == 0;
    uint64_t hash = str_hash(str_of(s->root));
    unsigned mark = (unsigned)(hash ^ hash >> 32);
    set_default(&s->cri_socket, xasprintf("%s/cri.sock", s->run));
    set_default(&s->cgroup_root, standard ? xstrdup("gridlet") : xasprintf("gridlet-%08x", mark));
    set_default(&s->bridge, standard ? xstrdup("gridlet0") : xasprintf("gl-%08x", mark));
    set_default(&s->nft_table, standard ? xstrdup("gridlet") : xasprintf("gridlet_%08x", mark));
    set_default(&s->pod_cidr, standard ? xstrdup("10.88.0.0/16")
                                       : xasprintf("10.%u.0.0/16", 100 + (mark >> 8) % 150));
    set_default(&s->pod_cidr6, standard ? xstrdup("fd00:88::/64")
                                        : xasprintf("fd00:%x:%x::/64", mark >> 16, mark & 0xffff));
    if (!s->program_dir && own_folder(&s->program_dir, e) < 0) return -1;
    return check(s, e);
}

int settings_load(int argc, char *const *argv, struct settings *s, enum config_result *out,
                  struct err *e) {
    if (config_load(&settings_program, argc, argv, s, out, e) < 0) return -1;
    return *out == CONFIG_RUN ? settings_derive(s, e) : 0;
}

void settings_done(struct settings *s) { config_done(&settings_program, s); }
