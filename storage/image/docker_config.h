/* SPDX-License-Identifier: Apache-2.0 — docker_config.h: credentials of a Docker config.json.
 *
 * Reads "auths" only. Credential helpers ("credsStore", "credHelpers") are programs, and this
 * daemon runs none: entries that they would complete are treated as absent. Bytes in, no I/O. Any
 * thread. Source: docker CLI reference, "docker login" and its configuration file. */
#pragma once

#include "storage/image/auth.h"

#define DOCKER_CONFIG_BYTES_MAX (1U << 20)

/* registry: "docker.io" (also found under https://index.docker.io/v1/), "r:5000". *out is anonymous
 * when there is nothing for it; lives in a. INVALID: the file is malformed. */
int docker_config_find(struct arena *a, struct str json, struct str registry,
                       struct auth_credential *out, struct err *e) MUST_CHECK;
