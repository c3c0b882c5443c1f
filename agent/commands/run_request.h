/* SPDX-License-Identifier: Apache-2.0 — run_request.h: `gridlet run` in CRI messages.
 *
 * Pure: JSON in, messages out, all in one arena. */
#pragma once

#include "base/json.h"
#include "cri/proto/api.pb-c.h"

#define RUN_LIST_MAX        4096 /* arguments, variables, mounts */
#define RUN_NAME_BYTES_MAX  63
#define RUN_IMAGE_BYTES_MAX 512

struct run_request {
    char *name;  /* of pod and container: given, or made of the image's name */
    char *image; /* as it was written */
    bool remove; /* when it has ended */
    Runtime__V1__PodSandboxConfig *pod;
    Runtime__V1__ContainerConfig *container;
};

/* args: the command's JSON: "image", "name", "argv", "env" ["K=V"], "mounts" [{"source", "target",
 * "readonly"}], "ports" [{"host_port", "container_port", "protocol", "host_ip"}], "memory_bytes",
 * "cpu_milli", "working_dir", "remove". suffix: what makes a made name unique. INVALID names what
 * is wrong; LIMIT. */
int run_request_parse(struct arena *a, const struct json *args, const char *suffix,
                      struct run_request *out, struct err *e) MUST_CHECK;
