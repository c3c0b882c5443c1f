/* SPDX-License-Identifier: Apache-2.0 — auto_remove.h: `gridlet run -d --rm`: a pod goes when its
 * container has ended.
 *
 * The wish is a label on the container, so it survives the daemon. Loop thread. */
#pragma once

#include "agent/daemon.h"

#define AUTO_REMOVE_LABEL "gridlet.io/remove"

/* From now on. A failure is logged: the pod stays and `gridlet rm` removes it. */
void auto_remove_start(struct daemon *d, const char *container_id, const char *pod_id);
/* After a restart: for all containers with the label. */
void auto_remove_adopt(struct daemon *d);
