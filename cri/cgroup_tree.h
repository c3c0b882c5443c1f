/* SPDX-License-Identifier: Apache-2.0 — cgroup_tree.h: what the cgroup_*.c files share: the node,
 * its hierarchies and their control files. Not for others. */
#pragma once

#include "cri/cgroup.h"

#include <pthread.h>

enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_CPUACCT, /* v1 only; on v2 a part of cpu */
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_IO, /* v1: blkio */
    CGROUP_PIDS,
    CGROUP_HUGETLB,
    CGROUP_DEVICES, /* v1 only */
    CGROUP_CONTROLLERS
};

#define CGROUP_UNIFIED        0 /* index of the unified hierarchy */
#define CGROUP_FILE_BYTES_MAX 96
#define CGROUP_WRITES_MAX     (32 + 2 * CGROUP_HUGEPAGES_MAX + CGROUP_UNIFIED_MAX)
#define CGROUP_PROGRAMS_MAX   16

struct cgroup_hierarchy {
    int fd;               /* its root folder, owned */
    uint32_t controllers; /* bits of enum cgroup_controller */
    char *point;          /* where it is mounted, owned */
};

struct cgroup_program { /* a device program in the kernel, by its rules */
    uint64_t hash;
    struct cgroup_device *rules; /* owned */
    size_t count;
    int fd; /* owned */
};

struct cgroup_node {
    enum cgroup_driver driver;
    bool imitation;
    struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
    size_t hierarchy_count;
    int at[CGROUP_CONTROLLERS]; /* index of the controller's hierarchy, or -1 */
    char root[CGROUP_PATH_BYTES_MAX];
    pthread_mutex_t programs_lock; /* leaf lock of `programs` */
    struct cgroup_program programs[CGROUP_PROGRAMS_MAX];
    size_t program_next;
};

/* Fills hierarchies and at[] from a mountinfo text. UNSUPPORTED: no unified hierarchy. */
int cgroup_mounts_open(struct cgroup_node *n, struct str mountinfo, struct err *e) MUST_CHECK;
const char *cgroup_controller_name(enum cgroup_controller c);
/* True when the controller is there and one of v1. */
bool cgroup_in_v1(const struct cgroup_node *n, enum cgroup_controller c);

/* ---- control files; 0 or a count, else -errno ---- */
int cgroup_file_open(const struct cgroup_node *n, int hierarchy, const char *path, const char *file,
                     int flags) MUST_CHECK;
int cgroup_file_write(const struct cgroup_node *n, int hierarchy, const char *path,
                      const char *file, struct str value) MUST_CHECK;
struct cgroup_text { /* room for a file's content and a NUL */
    char *p;
    size_t bytes;
};
/* Up to bytes - 1 bytes, NUL-terminated; returns the length. */
ssize_t cgroup_file_read(const struct cgroup_node *n, int hierarchy, const char *path,
                         const char *file, struct cgroup_text out) MUST_CHECK;
/* A file that holds one number ("max": UINT64_MAX). */
int cgroup_file_number(const struct cgroup_node *n, int hierarchy, const char *path,
                       const char *file, uint64_t *out) MUST_CHECK;

/* ---- limits as a list of writes ---- */
struct cgroup_write {
    int hierarchy;
    bool optional; /* the file may be missing */
    char file[CGROUP_FILE_BYTES_MAX];
    struct str value;
};
struct cgroup_plan {
    struct arena *arena;
    const char *path;
    const struct cgroup_limits *limits;
    struct cgroup_write *writes;
    size_t count;
    bool failed; /* more than CGROUP_WRITES_MAX, or the arena is full */
};
enum cgroup_need { CGROUP_REQUIRED, CGROUP_OPTIONAL };
void cgroup_plan_text(struct cgroup_plan *p, int hierarchy, enum cgroup_need need, const char *file,
                      struct str value);
/* Negative: "max" on v2 files, "-1" on v1's. */
void cgroup_plan_number(struct cgroup_plan *p, int hierarchy, enum cgroup_need need,
                        const char *file, int64_t value);
/* The writes of the limits whose controllers are in v1 (or v2). */
void cgroup_v1_plan(const struct cgroup_node *n, struct cgroup_plan *p);
void cgroup_v2_plan(const struct cgroup_node *n, struct cgroup_plan *p);
/* BUSY: the memory in use is over the new limit and could only be freed by killing. */
int cgroup_v2_check(const struct cgroup_node *n, const char *path, const struct cgroup_limits *l,
                    struct err *e) MUST_CHECK;
/* Sets limits on an existing group, all or nothing. */
int cgroup_limits_apply(const struct cgroup_node *n, const char *path,
                        const struct cgroup_limits *l, struct err *e) MUST_CHECK;

/* v1: a new cpuset group has no CPUs and memory nodes: takes its parent's. 0 or -errno. */
int cgroup_v1_inherit(const struct cgroup_node *n, const char *parent, const char *path) MUST_CHECK;
/* v2: gives every controller of a group to its children. 0 or -errno. */
int cgroup_v2_enable(const struct cgroup_node *n, const char *path) MUST_CHECK;

void cgroup_programs_done(struct cgroup_node *n);
/* The v2 way of cgroup_devices_set(), whatever hierarchies there are. */
int cgroup_devices_attach(struct cgroup_node *n, const char *path,
                          const struct cgroup_device *rules, size_t count,
                          struct err *e) MUST_CHECK;
