/* SPDX-License-Identifier: Apache-2.0 — container_parts.h: the parts that container_spec.c puts
 * together. Not for others. */
#pragma once

#include "cri/container_spec.h"
#include "cri/launch_builder.h"

/* What the parts work on; `security` and `sandbox_linux` may be NULL. */
struct container_build {
    const struct container_spec_input *in;
    const Runtime__V1__LinuxContainerSecurityContext *security;
    const Runtime__V1__LinuxPodSandboxConfig *sandbox_linux;
    struct arena *arena;
    struct launch_builder *spec;
    bool privileged, host_network, host_ipc;
};

int container_build_init(struct container_build *b, const struct container_spec_input *in,
                         struct arena *a, struct launch_builder *spec, struct err *e) MUST_CHECK;

/* container_process.c: argv, environment, folder, user, limits. */
int container_user(const struct container_build *b, struct user *out, struct err *e) MUST_CHECK;
int container_argv(const struct container_build *b, struct err *e) MUST_CHECK;
int container_process(const struct container_build *b, const struct user *u, bool tty,
                      struct err *e) MUST_CHECK;

/* container_security.c: capabilities, seccomp, AppArmor, no_new_privs. */
int container_security(const struct container_build *b, struct err *e) MUST_CHECK;

/* container_mounts.c */
int container_mounts(const struct container_build *b, struct container_spec_output *out,
                     struct err *e) MUST_CHECK;
/* Lexically: absolute, without "//", "." and ".."; ".." stops at the root. .p NULL: arena is full.
 */
struct str container_path_clean(struct arena *a, struct str path) MUST_CHECK;
/* True when one of the request's mounts has this target. */
bool container_mounts_has(const struct container_build *b, const char *target);

/* container_devices.c: nodes in the spec and rules for the cgroup. */
int container_devices(const struct container_build *b, struct container_spec_output *out,
                      struct err *e) MUST_CHECK;
