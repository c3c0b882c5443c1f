/* SPDX-License-Identifier: Apache-2.0 — init_main.c: gridlet-init, the only program that clones,
 * mounts and enters namespaces for a pod.
 *
 * Started by gridlet-shim with the descriptors of enum launch_fd and nothing else; not by people.
 */
#include "cri/init/init.h"
#include "cri/launch/kernel.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static const struct launch_spec *map_spec(void) {
    struct stat st;
    if (fstat(LAUNCH_FD_SPEC, &st) < 0) init_fail(errno, "launch spec: no descriptor");
    if (st.st_size < (off_t)sizeof(struct launch_spec) || st.st_size > LAUNCH_SPEC_BYTES_MAX)
        init_fail(0, "launch spec: has %lld bytes", (long long)st.st_size);
    void *block = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, LAUNCH_FD_SPEC, 0);
    if (block == MAP_FAILED) init_fail(errno, "launch spec: map");
    const char *field = NULL;
    if (launch_spec_check(block, (size_t)st.st_size, &field) < 0)
        init_fail(0, "launch spec: bad field '%s'", field);
    return block;
}

static void join(int fd, int kind, const char *what) {
    if (setns(fd, kind) < 0) init_fail(errno, "join the pod's %s namespace", what);
}

static void container(const struct launch_spec *spec) {
    struct init in = {.spec = spec, .root = -1, .proc_self = -1, .apparmor = -1};
    if (spec->flags & LAUNCH_NEW_NET) join(LAUNCH_FD_NET, CLONE_NEWNET, "network");
    if (spec->flags & LAUNCH_NEW_IPC) join(LAUNCH_FD_IPC, CLONE_NEWIPC, "IPC");
    if (spec->flags & LAUNCH_NEW_UTS) join(LAUNCH_FD_UTS, CLONE_NEWUTS, "UTS");
    if ((spec->flags & LAUNCH_NEW_CGROUP) && unshare(CLONE_NEWCGROUP) < 0)
        init_fail(errno, "make a cgroup namespace");
    init_rootfs(&in);
    init_process(&in);
}

/* Every signal back to its default, none blocked: the shim had its own ideas. */
static void reset_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int i = 1; i < _NSIG; i++)
        if (i != SIGKILL && i != SIGSTOP) (void)sigaction(i, &standard, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        (void)printf("gridlet-init %s\n", GRIDLET_VERSION);
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "reaper") != 0) {
        (void)printf("gridlet-init: makes and enters containers; gridlet-shim starts it.\n"
                     "usage: gridlet-init [reaper | --version | --help]\n");
        return strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* nobody inside the container may look into this process */
    if (kernel_close_range(LAUNCH_FD_SPEC, ~0U, KERNEL_CLOSE_RANGE_CLOEXEC) < 0)
        init_fail(errno, "mark descriptors close-on-exec");
    reset_signals();
    if (argc > 1) init_reaper();
    const struct launch_spec *spec = map_spec();
    switch ((enum launch_mode)spec->mode) {
    case LAUNCH_SANDBOX: init_sandbox(spec);
    case LAUNCH_REAPER: init_reaper();
    case LAUNCH_CONTAINER: container(spec); break;
    case LAUNCH_EXEC: init_exec(spec);
    }
    return 127;
}
