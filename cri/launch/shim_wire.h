/* SPDX-License-Identifier: Apache-2.0 — shim_wire.h: the words between gridletd and a pod's shim.
 *
 * One SOCK_SEQPACKET connection, fixed-size messages, descriptors by SCM_RIGHTS with a role each.
 * The daemon sends requests; the shim never blocks on one: what takes time is answered later by an
 * event. Exactly one of the named events follows each request that has one. A new connection (a
 * restarted daemon) replaces the old one and starts with HELLO. The shim is the truth about what
 * runs; exit.json in a container's folder is the truth about what ended: it is on stable storage
 * before EXITED is sent. When a daemon goes away, its execs are killed: their results have no
 * reader. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIM_WIRE_VERSION   1u
#define SHIM_ID_BYTES       72 /* 64 hex digits and a NUL, padded */
#define SHIM_PATH_BYTES     4096
#define SHIM_FDS_MAX        24
#define SHIM_CONTAINERS_MAX 64 /* alive at a time in one pod */
#define SHIM_EXECS_MAX      64 /* at a time in one pod */

/* gridlet-shim is started with: 0 /dev/null, 1 and 2 its own log, and */
enum shim_fd {
    SHIM_FD_LISTEN = 3, /* listening SEQPACKET socket, for daemons to come */
    SHIM_FD_DAEMON = 4, /* first connection */
    SHIM_FD_INIT = 5    /* sealed memfd with the gridlet-init program */
};

enum shim_op {
    /* requests */
    SHIM_HELLO = 1, /* fds [INIT] -> WELCOME, then one CONTAINER per live container, then LISTED. A
                       container that ended and whose exit.json cannot be written is listed as well,
                       its EXITED or START_FAILED right behind */
    SHIM_SANDBOX, /* fds SPEC [PROCS...] [CGROUP]; flag SHIM_POD_PID: start the pod's reaper too ->
                     SANDBOX_READY | SANDBOX_FAILED */
    SHIM_START,   /* container, path = log file ("" : no log), fds SPEC DIR LAYERS [CGROUP] [OOM]
                     [PROCS...] -> STARTED | START_FAILED, later EXITED */
    SHIM_SIGNAL,  /* container, number = signal; to its first process */
    SHIM_KILL,    /* container: everything in its cgroup, and its first process */
    SHIM_EXEC,    /* container, exec, fds SPEC [STDIN] [STDOUT] [STDERR] [CGROUP] [PROCS...] ->
                     EXEC_STARTED | EXEC_FAILED, later EXEC_EXITED */
    SHIM_EXEC_KILL,  /* exec: the process and, where it has an own cgroup, everything in it */
    SHIM_REOPEN_LOG, /* container -> LOG_REOPENED (sys: 0 or errno) */
    SHIM_SHUTDOWN,   /* kills everything and exits; end of file follows */
    /* events */
    SHIM_WELCOME = 100, /* number = SHIM_WIRE_VERSION; pid = of the reaper, or 0; fd NET once there
                           is a network namespace */
    SHIM_CONTAINER,     /* container, pid, at_ns = started; 0: is being started, STARTED or
                           START_FAILED follows */
    SHIM_LISTED,
    SHIM_SANDBOX_READY, /* fds NET NETLINK when a network namespace was made; pid = of the reaper */
    SHIM_SANDBOX_FAILED, /* sys, text */
    SHIM_STARTED,        /* container, pid, at_ns */
    SHIM_START_FAILED,   /* container, sys, text, at_ns; exit.json was written (code 128, reason
                          * StartError)
                          */
    SHIM_EXITED, /* container, number = exit code (128 + signal), at_ns, flags SHIM_OOM_KILLED;
                    exit.json is durable */
    SHIM_EXEC_STARTED, /* exec, pid; fds TTY with SHIM_TTY */
    SHIM_EXEC_FAILED,  /* exec, sys, text */
    SHIM_EXEC_EXITED,  /* exec, number = exit code */
    SHIM_LOG_REOPENED  /* container, sys */
};

enum shim_flag {
    SHIM_POD_PID = 1 << 0,    /* SANDBOX: make a pod-wide PID namespace; START: join it */
    SHIM_HOST_PID = 1 << 1,   /* START: no PID namespace */
    SHIM_TARGET_PID = 1 << 2, /* START: that of the container in `target` */
    SHIM_TTY =
        1 << 3, /* START, EXEC: init reports a pty master; START: its output is logged as stdout */
    SHIM_STDIN = 1 << 4, /* START: keep stdin open (a pipe held by the shim), else /dev/null */
    SHIM_STDIN_ONCE = 1 << 5,
    SHIM_OOM_KILLED = 1 << 6 /* EXITED */
};

enum shim_role {
    SHIM_ROLE_NONE,
    SHIM_ROLE_SPEC,
    SHIM_ROLE_DIR,
    SHIM_ROLE_LAYERS,
    SHIM_ROLE_CGROUP, /* cgroup v2 folder: born there (CLONE_INTO_CGROUP), cgroup.kill,
                         memory.events */
    SHIM_ROLE_TASKS,  /* "tasks" of a group in one v1 hierarchy, open for writing: the child enters
                         it  before it executes anything */
    SHIM_ROLE_OOM,    /* v1 memory.oom_control, open for reading */
    SHIM_ROLE_STDIN,
    SHIM_ROLE_STDOUT,
    SHIM_ROLE_STDERR,
    SHIM_ROLE_NET,
    SHIM_ROLE_NETLINK,
    SHIM_ROLE_TTY,
    SHIM_ROLE_INIT /* sealed memfd with the gridlet-init of this daemon */
};

struct shim_message {
    uint32_t op, flags;
    uint64_t exec; /* the daemon's number for an exec */
    int64_t number;
    int64_t at_ns; /* wall clock */
    int32_t pid, sys;
    uint64_t
        log_bytes_max; /* START: rotate the log at this size; 0: someone else rotates (a kubelet) */
    uint32_t log_files_max; /* START: how many rotated files stay */
    uint32_t fd_count;
    uint8_t roles[SHIM_FDS_MAX]; /* enum shim_role of each attached descriptor */
    char container[SHIM_ID_BYTES], target[SHIM_ID_BYTES];
    char text[512];
    char path[SHIM_PATH_BYTES]; /* last: only the used part travels */
};

/* Sends one message with its descriptors (borrowed); 0 or -errno (-EAGAIN: the peer's queue is
 * full; -EPIPE). Thread-safe. */
int shim_send(int sock, const struct shim_message *m, const int *fds);
/* Receives one message; 1, 0 at end of file, or -errno (-EAGAIN, -EBADMSG for a malformed one: its
 * descriptors are closed). fds: SHIM_FDS_MAX entries, owned by the caller, close-on-exec, those not
 * received are -1. */
int shim_receive(int sock, struct shim_message *m, int *fds);
/* The first descriptor with this role, or -1. */
int shim_fd_of(const struct shim_message *m, const int *fds, enum shim_role role);
