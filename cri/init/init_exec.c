/* SPDX-License-Identifier: Apache-2.0 — init_exec.c: one more process in a running container. */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

/* Joining the namespace one is in already is allowed for all of these, so nothing is compared; a
 * mount namespace is joined last because /proc/self of the host is needed before. */
void init_exec(const struct launch_spec *spec) {
    struct init in = {.spec = spec, .root = -1, .apparmor = -1};
    in.proc_self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (in.proc_self < 0) init_fail(errno, "open /proc/self");
    if (setns(LAUNCH_FD_TARGET,
              CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWNS) < 0) {
        if (errno == ESRCH) init_fail(0, "the container's process has ended");
        init_fail(errno, "enter the container's namespaces");
    }
    init_process(&in);
}
