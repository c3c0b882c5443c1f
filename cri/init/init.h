/* SPDX-License-Identifier: Apache-2.0 — init.h: the parts of gridlet-init.
 *
 * A linear set-up program of one thread: the first thing that fails is reported over
 * LAUNCH_FD_REPORT and ends the process (init_fail does not return), so its functions return no
 * errors. It allocates nothing but three anonymous mappings: the spec, the pointer arrays of argv
 * and envp, and the list of bind sources. */
#pragma once

#include "base/own.h"
#include "cri/launch/launch_spec.h"

#include <stdbool.h>

struct init {
    const struct launch_spec *spec; /* checked, mapped read-only */
    int root;      /* CONTAINER: O_PATH descriptor of the container's root; else -1 */
    int proc_self; /* the host's /proc/self, taken while it could be seen */
    int apparmor;  /* attr/apparmor/exec of this process, or -1 */
    int *trees;    /* CONTAINER: detached mount of each entry of spec->mounts, or -1 */
};

/* ---- init_report.c ---- */
/* Reports "text: strerror(sys)" (sys 0: the text alone) as LAUNCH_FAILED and exits. */
void init_fail(int sys, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((noreturn));
/* Sends one report with its descriptors; a shim that has gone away is not an error. */
void init_report(const struct launch_report *report, const int *fds, size_t count);

/* ---- init_sandbox.c ---- */
void init_sandbox(const struct launch_spec *spec) __attribute__((noreturn));
/* Pid 1 of a pod-wide PID namespace; sees an empty root and holds no capability. */
void init_reaper(void) __attribute__((noreturn));

/* ---- init_target.c ---- */
enum target_kind { TARGET_FOLDER, TARGET_FILE };
/* O_PATH descriptor of `path` below root, made when missing (folders 0755, files 0644). Symbolic
 * links are followed inside of root only. Owned by the caller. Tier (a): -errno. */
int init_target(int root, const char *path, enum target_kind kind) MUST_CHECK;
/* The same, but -ELOOP when any component is a symbolic link (proc, sysfs, /dev and below). */
int init_target_strict(int root, const char *path, enum target_kind kind) MUST_CHECK;
/* What is there, or -errno. */
int init_target_find(int root, const char *path) MUST_CHECK;

/* ---- init_rootfs.c ---- */
/* Makes the container's root of overlay and mounts, and moves into it. */
void init_rootfs(struct init *in);

/* ---- init_mounts.c ---- */
/* In the host's mount namespace: clones bind sources and the pod's shm. */
void init_mounts_collect(struct init *in);
/* In the container's mount namespace, in->root is there: attaches everything. */
void init_mounts_attach(struct init *in);
void init_devices(struct init *in);
void init_masked(struct init *in);

/* ---- init_process.c ---- */
/* Becomes the container's process; the last thing that happens. */
void init_process(struct init *in) __attribute__((noreturn));

/* ---- init_tty.c ---- */
/* A pty of the container's devpts as controlling terminal and 0, 1, 2; its master goes to the
 * shim. */
void init_tty(const struct launch_spec *spec);

/* ---- init_exec.c ---- */
void init_exec(const struct launch_spec *spec) __attribute__((noreturn));
