/* SPDX-License-Identifier: Apache-2.0 — cgroup.h: control groups of pods and containers, on v1 and
 * v2.
 *
 * A path here ("/gridlet/pod1/abc") is relative to the root of every hierarchy and begins with '/'.
 * On a v2 machine there is one hierarchy; on a hybrid one each v1 controller has its own and the
 * unified one (which every process is in too) gives cgroup.kill, cgroup.events, pressure and
 * CLONE_INTO_CGROUP. Where a controller lives is found out once, per controller. A v1 machine
 * without a unified mount is refused. Everything may be called from any thread, one caller at a
 * time for each path; a call blocks on the kernel only, and at most CGROUP_EMPTY_MS_MAX.
 * Sources: kernel Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; cri.md section 3. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "cri/proto/api.pb-c.h"

struct cgroup_node;

/* CGROUPFS: parents are paths ("/kubepods/burstable/podUID"), leaves are ids.
 * SYSTEMD: parents are slices whose last element ("a-b.slice") names its whole way
 * ("/a.slice/a-b.slice"), leaves are "gridlet-ID.scope", as kubelet and cAdvisor expect. The groups
 * are made by writing to cgroupfs; systemd is not asked, so nothing is delegated. Where systemd
 * runs on v2 that cannot work and is refused: it takes controllers out of a slice's subtree_control
 * when none of its own units needs them, and limits below are gone without a word. A v1 hierarchy
 * has nothing of the kind. Source: systemd's CGROUP_DELEGATION.md, "Three Different Tree Setups"
 * and "Delegation"; kernel cgroup-v2.rst, "Enabling and Disabling". */
enum cgroup_driver { CGROUP_DRIVER_CGROUPFS, CGROUP_DRIVER_SYSTEMD };

#define CGROUP_PATH_BYTES_MAX  1024 /* with the NUL */
#define CGROUP_HIERARCHIES_MAX 16
#define CGROUP_CHILDREN_MAX    65536
#define CGROUP_DEPTH_MAX       32
#define CGROUP_EMPTY_MS_MAX    2000 /* how long killed processes may take to be gone */
#define CGROUP_UNIFIED_MAX     256
#define CGROUP_VALUE_BYTES_MAX 4096
#define CGROUP_HUGEPAGES_MAX   16
#define CGROUP_DEVICES_MAX     2048

/* Finds the hierarchies and makes the node's own root group "/<root_name>" (which may be a longer
 * path) with every controller that is there given to its children. Where the daemon itself sits in
 * a group that must give controllers away (a delegated systemd service), all processes of that
 * group are moved to a leaf "daemon" below it first. UNSUPPORTED: no unified hierarchy, or the
 * systemd driver where systemd would take its limits away. */
int cgroup_open(const char *root_name, enum cgroup_driver driver, struct cgroup_node **out,
                struct err *e) MUST_CHECK;
/* For tests: the hierarchies that this mountinfo text names. imitation: they are plain folders,
 * where control files are made by writing them. systemd_runs: as the machine's first process. */
struct cgroup_source {
    struct str mountinfo;
    bool imitation;
    bool systemd_runs;
};
int cgroup_open_from(const struct cgroup_source *source, const char *root_name,
                     enum cgroup_driver driver, struct cgroup_node **out, struct err *e) MUST_CHECK;
void cgroup_close(struct cgroup_node *n); /* NULL-safe; leaves all groups */
/* "/<root_name>"; borrowed. */
const char *cgroup_root_path(const struct cgroup_node *n);
enum cgroup_driver cgroup_driver_of(const struct cgroup_node *n);
/* True on a machine whose resource controllers are all in v2. */
bool cgroup_is_v2(const struct cgroup_node *n);

/* Where the hierarchies are mounted, the unified one first; borrowed, NULL behind the last. */
const char *cgroup_mount_point(const struct cgroup_node *n, size_t index);

/* ---- names; 0, or -1 with INVALID / LIMIT ---- */
struct cgroup_path {
    char c[CGROUP_PATH_BYTES_MAX];
};
/* parent: LinuxPodSandboxConfig.cgroup_parent; empty: "/<root_name>/pod<pod_id>". ".." is refused.
 */
int cgroup_pod_path(const struct cgroup_node *n, struct str parent, struct str pod_id,
                    struct cgroup_path *out, struct err *e) MUST_CHECK;
/* The group of a container, or (id = the pod's) of the pod's shim, below the pod's. */
int cgroup_leaf_path(const struct cgroup_node *n, const struct cgroup_path *pod, struct str id,
                     struct cgroup_path *out, struct err *e) MUST_CHECK;

/* ---- limits ---- */
struct cgroup_hugepage {
    struct str size; /* "2MB" */
    uint64_t limit_bytes;
};
struct cgroup_setting { /* a file of the v2 interface and what to write */
    struct str key, value;
};
struct cgroup_limits { /* 0 or empty: leave as it is; -1: no limit */
    uint64_t cpu_period_us;
    int64_t cpu_quota_us;
    uint64_t cpu_shares; /* 2 .. 262144 as in v1 */
    int64_t memory_bytes;
    int64_t memory_swap_bytes; /* memory plus swap, as in v1 */
    int64_t pids;
    struct str cpuset_cpus, cpuset_mems;
    const struct cgroup_hugepage *hugepages;
    const struct cgroup_setting *unified;
    size_t hugepage_count, unified_count;
};
/* Checks and converts; r may be NULL (nothing is limited). What *out points at is borrowed from r
 * and lives in a. INVALID names the field. oom_score_adj belongs to the process, not here. */
int cgroup_limits_of(const Runtime__V1__LinuxContainerResources *r, struct arena *a,
                     struct cgroup_limits *out, struct err *e) MUST_CHECK;
/* v2 weight of v1 shares: 2 -> 1, 1024 -> 100, 262144 -> 10000 (runc and crun since 2025). */
uint64_t cgroup_weight_of_shares(uint64_t shares);

/* Makes the group (and missing ones above it) in every hierarchy and sets limits (may be NULL). On
 * failure what was made for it is removed. An existing group is taken over. */
int cgroup_make(struct cgroup_node *n, const char *path, const struct cgroup_limits *limits,
                struct err *e) MUST_CHECK;
/* All or nothing: what was written before a failure is written back. BUSY: more memory is in use
 * than the new limit allows. NOT_FOUND: no such group. */
int cgroup_update(struct cgroup_node *n, const char *path, const struct cgroup_limits *limits,
                  struct err *e) MUST_CHECK;
/* Kills what is in the group, waits until it is gone and removes it with all groups below it from
 * every hierarchy. No such group: 0. TIMEOUT: a process cannot be killed. */
int cgroup_remove(struct cgroup_node *n, const char *path, struct err *e) MUST_CHECK;
/* SIGKILL to everything in and below the group; does not wait. No such group: 0. */
int cgroup_kill(struct cgroup_node *n, const char *path, struct err *e) MUST_CHECK;

/* ---- what a shim is given; descriptors owned by the caller, close-on-exec ---- */
/* "tasks" of each v1 hierarchy, for writing: who writes "0" enters. fds: CGROUP_HIERARCHIES_MAX
 * entries; *out_count is 0 on v2. */
int cgroup_tasks_fds(struct cgroup_node *n, const char *path, int *fds, size_t *out_count,
                     struct err *e) MUST_CHECK;
/* The group's folder in the unified hierarchy; a descriptor, or -1. */
int cgroup_dir_fd(struct cgroup_node *n, const char *path, struct err *e) MUST_CHECK;
/* *out_fd: memory.oom_control for reading, or -1 where memory is a v2 controller. */
int cgroup_oom_fd(struct cgroup_node *n, const char *path, int *out_fd, struct err *e) MUST_CHECK;
/* Makes a group "<path>/<name>" in the unified hierarchy only (an exec that can be killed whole).
 * It goes with cgroup_remove of either path. */
int cgroup_sub(struct cgroup_node *n, const char *path, const char *name, struct cgroup_path *out,
               struct err *e) MUST_CHECK;
/* Names of the groups right below path in any hierarchy, sorted, each once; no such group: none. */
int cgroup_list(struct cgroup_node *n, const char *path, struct arena *a, const struct str **out,
                size_t *out_count, struct err *e) MUST_CHECK;

/* ---- stats ---- */
struct cgroup_pressure_line {
    double avg10, avg60, avg300; /* percent */
    uint64_t total_us;
};
struct cgroup_pressure {
    struct cgroup_pressure_line some, full;
};
struct cgroup_stats { /* UINT64_MAX: no limit */
    uint64_t cpu_usage_ns;
    uint64_t memory_usage_bytes, memory_working_set_bytes, memory_rss_bytes;
    uint64_t memory_available_bytes, memory_limit_bytes; /* the tightest on the way to the root */
    uint64_t swap_usage_bytes, swap_available_bytes, page_faults, major_page_faults;
    bool has_pressure;
    struct cgroup_pressure cpu_pressure, memory_pressure, io_pressure;
};
/* NOT_FOUND: no such group. A controller that is not there leaves zeros. */
int cgroup_stats(const struct cgroup_node *n, const char *path, struct cgroup_stats *out,
                 struct err *e) MUST_CHECK;
/* Processes in and below the group; 0 when it is gone or nobody counts them. */
uint64_t cgroup_pids(const struct cgroup_node *n, const char *path);

/* ---- devices ---- */
enum cgroup_device_access {
    CGROUP_DEVICE_MKNOD = 1, /* the values of BPF_DEVCG_ACC_* */
    CGROUP_DEVICE_READ = 2,
    CGROUP_DEVICE_WRITE = 4,
    CGROUP_DEVICE_ALL = 7
};
struct cgroup_device {
    char type;            /* 'c', 'b', or 'a': everything */
    int64_t major, minor; /* -1: any */
    uint32_t access;      /* enum cgroup_device_access */
};
/* From now on the group may use these devices and no others: v1 devices.deny and .allow where that
 * hierarchy exists, else a BPF program on the v2 group (compiled once per rule set). A rule 'a'
 * lifts all limits. */
int cgroup_devices_set(struct cgroup_node *n, const char *path, const struct cgroup_device *rules,
                       size_t count, struct err *e) MUST_CHECK;
