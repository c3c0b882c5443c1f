/* SPDX-License-Identifier: Apache-2.0 — stats_sample.h: one pod or container being measured. */
#pragma once

#include "cri/pod.h"

struct sample {
    bool is_pod;
    char id[POD_ID_BYTES];
    ProtobufCMessage *attributes; /* copy in the heap; owned */
    const char *cgroup;           /* in the call's arena */
    const char *layers_path;      /* borrowed */
    int upper_fd;           /* of the container's writable layer; owned, -1: not to be measured */
    size_t container_count; /* of a pod: its samples stand behind it */
    bool network;
    /* what was read; there: the group still was */
    bool there, has_traffic;
    struct cgroup_stats numbers;
    struct image_usage disk;
    struct pod_traffic traffic;
    uint64_t pids;
    void *message; /* Runtime__V1__ContainerStats or PodSandboxStats, in the call's arena */
};

/* Messages in a, pointing at the sample; NULL: the arena is full. A pod's takes the messages of its
 * containers' samples that are there. */
Runtime__V1__ContainerStats *container_stats_message(struct arena *a, const struct sample *s);
Runtime__V1__PodSandboxStats *pod_stats_message(struct arena *a, const struct sample *s);
