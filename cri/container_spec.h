/* SPDX-License-Identifier: Apache-2.0 — container_spec.h: from CRI messages to launch specs.
 *
 * Everything that a container is, is decided here, in the daemon; gridlet-init only obeys. What the
 * request asks for is checked before anything is made; a thing that is not offered is an error with
 * a text, never ignored. Any thread; blocks on the disk (image files, mount sources).
 * Sources: CRI api.proto, runtime-spec 1.3 config-linux.md, image-spec config; defaults are those
 * of containerd 2 where the sources leave a choice (cri.md sections 1, 3 and 5). */
#pragma once

#include "base/arena.h"
#include "cri/capability.h"
#include "cri/cgroup.h"
#include "cri/launch/launch_spec.h"
#include "cri/proto/api.pb-c.h"
#include "cri/user.h"
#include "storage/image/image.h"

struct launch_builder;

#define CONTAINER_ENV_MAX        16384
#define CONTAINER_MOUNTS_MAX     2048 /* that a request names */
#define CONTAINER_DEVICES_MAX    1024 /* nodes, folders expanded */
#define CONTAINER_NAMES_MAX      65536
#define CONTAINER_PATH_BYTES_MAX 4096
#define CONTAINER_SYSCTLS_MAX    256

struct container_spec_input { /* all borrowed */
    const Runtime__V1__ContainerConfig *config;
    const Runtime__V1__PodSandboxConfig *sandbox;
    const struct image *image;
    struct image_store *images;
    struct str id; /* of the container */
    struct str pod_hostname;
    const char *pod_dir; /* has the files of pod_files.h */
    const struct cgroup_node *cgroups;
    const struct cgroup_path *cgroup; /* of the container */
    const char *seccomp_dir;          /* Localhost profiles without '/' in front; or NULL */
};

struct container_mount {                  /* as ContainerStatus reports it */
    struct str container_path, host_path; /* as asked for */
    bool readonly, recursive_readonly;
    Runtime__V1__MountPropagation propagation;
};

struct container_spec_output { /* lives in the arena and the input */
    const struct container_mount *mounts;
    size_t mount_count;
    struct user user;
    uint32_t shim_flags;  /* SHIM_* of SHIM_START: PID mode, TTY, STDIN, STDIN_ONCE */
    struct str target_id; /* with SHIM_TARGET_PID */
    int stop_signal;      /* number; SIGTERM when nobody says */
    struct cgroup_limits limits;
    const struct cgroup_device *devices;
    size_t device_count;
    uint64_t memory_bytes, cpu_milli; /* for the admission interface; 0: no limit */
};

/* b: after launch_build_init(b, LAUNCH_CONTAINER). Sets everything. a must live as long as *out.
 * INVALID, NOT_FOUND (a mount's source), UNSUPPORTED (user namespaces, image volumes, AppArmor
 * profile without AppArmor), LIMIT. */
int container_spec_build(const struct container_spec_input *in, struct arena *a,
                         struct launch_builder *b, struct container_spec_output *out,
                         struct err *e) MUST_CHECK;

struct exec_request {
    char *const *argv;
    size_t argc;
    bool tty;
};
/* b: after launch_build_init(b, LAUNCH_EXEC). The same process attributes (environment, folder,
 * user, capabilities, seccomp, rlimits) as the container has, with another argv. */
int exec_spec_build(const struct container_spec_input *in, const struct exec_request *r,
                    struct arena *a, struct launch_builder *b, struct err *e) MUST_CHECK;

struct sandbox_spec_output {
    bool host_network, host_ipc, host_pid, pod_pid; /* pod_pid: one PID namespace for the pod */
    struct str hostname;                            /* the node's with host_network */
};
/* b: after launch_build_init(b, LAUNCH_SANDBOX). Refuses sysctls that are not namespaced or whose
 * namespace is the host's, user namespaces, and namespace modes that make no sense. */
int sandbox_spec_build(const Runtime__V1__PodSandboxConfig *config, struct arena *a,
                       struct launch_builder *b, struct sandbox_spec_output *out,
                       struct err *e) MUST_CHECK;

/* What the CRI and the image say about the signal to stop with; 0 or INVALID. "SIGQUIT", "QUIT",
 * "RTMIN+3", "15". */
int container_signal(struct str name, int *out, struct err *e) MUST_CHECK;
