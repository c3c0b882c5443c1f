/* SPDX-License-Identifier: Apache-2.0 — launch_spec.h: everything gridlet-init must know, as one
 * sealed block of bytes.
 *
 * gridletd decides, gridlet-init obeys: the daemon computes users, capabilities, mounts and the
 * seccomp program and writes them with launch_builder.h into a memfd that it seals; the shim hands
 * the descriptor on without looking inside; init maps it read-only and executes it. Offsets instead
 * of pointers, fixed-width fields, native byte order (a spec never leaves the machine and lives for
 * milliseconds). Every reference is checked against the block before use, so a damaged spec is an
 * error text, never a wild read. No library needed: compiled against musl too.
 *
 * Order of work in init, by mode:
 *   SANDBOX    unshare NET|IPC|UTS|NS as flagged; host name; sysctls; a NETLINK_ROUTE socket inside
 * the new network; a mount namespace whose only mount is the pod's /dev/shm tmpfs; report the
 * descriptors; exit. REAPER     pid 1 of a pod-wide PID namespace: reaps until SIGTERM/SIGKILL (the
 * shim starts it as `gridlet-init reaper`, without a spec). CONTAINER  clone bind sources (in the
 * host's mount namespace) -> join pod namespaces -> unshare mounts (and cgroup)
 *              -> overlay -> mounts in order, targets resolved inside the root -> /dev ->
 * pivot_root -> masked and read-only paths -> process attributes -> execve. EXEC       join all
 * namespaces of the container's pidfd -> process attributes -> execve. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LAUNCH_MAGIC          0x31444c47u /* "GLD1" */
#define LAUNCH_SPEC_BYTES_MAX (8u << 20)
#define LAUNCH_ARGS_MAX       65536u
#define LAUNCH_MOUNTS_MAX     4096u
#define LAUNCH_DEVICES_MAX    4096u
#define LAUNCH_PATHS_MAX      1024u
#define LAUNCH_GROUPS_MAX     65536u

enum launch_mode { LAUNCH_SANDBOX = 1, LAUNCH_REAPER, LAUNCH_CONTAINER, LAUNCH_EXEC };

/* Descriptors in gridlet-init. An absent one is closed. */
enum launch_fd {
    LAUNCH_FD_SPEC = 3,   /* sealed memfd with a struct launch_spec */
    LAUNCH_FD_REPORT = 4, /* SOCK_SEQPACKET to the shim: struct launch_report both ways */
    LAUNCH_FD_NET = 5,    /* namespaces of the pod */
    LAUNCH_FD_IPC = 6,
    LAUNCH_FD_UTS = 7,
    LAUNCH_FD_SHM = 8,     /* mount namespace whose root is the pod's shm tmpfs */
    LAUNCH_FD_TARGET = 9,  /* EXEC: pidfd of the container's first process */
    LAUNCH_FD_DIR = 10,    /* CONTAINER: its folder: upper/ work/ rootfs/ */
    LAUNCH_FD_LAYERS = 11, /* CONTAINER: the folder that `lowers` is relative to */
    LAUNCH_FD_END
};

enum launch_flag {
    LAUNCH_NEW_NET = 1 << 0, /* SANDBOX: make; CONTAINER: join (absent: the host's) */
    LAUNCH_NEW_IPC = 1 << 1,
    LAUNCH_NEW_UTS = 1 << 2,
    LAUNCH_NEW_CGROUP = 1 << 3, /* CONTAINER: own cgroup namespace */
    LAUNCH_NO_NEW_PRIVS = 1 << 4,
    LAUNCH_READONLY_ROOT = 1 << 5,
    LAUNCH_TTY = 1 << 6,     /* pty from the container's devpts; its master is reported */
    LAUNCH_SECCOMP = 1 << 7, /* `seccomp` holds a program */
    LAUNCH_SETSID = 1 << 8,  /* always with TTY */
};

/* `n` bytes at offset `at` (strings: without the terminating NUL, which is always there), or `n`
 * items of a table. */
struct launch_ref {
    uint32_t at, n;
};

enum launch_mount_kind {
    LAUNCH_MOUNT_BIND, /* source: path in the host's mount namespace */
    LAUNCH_MOUNT_FS,   /* new file system: type in `source`, "k=v,flag" in `options` (fsconfig
                          strings) */
    LAUNCH_MOUNT_SHM   /* the pod's shm, cloned from LAUNCH_FD_SHM */
};
enum launch_mount_flag {
    LAUNCH_MOUNT_RECURSIVE = 1 << 0, /* BIND: with the mounts below */
    LAUNCH_MOUNT_READONLY = 1 << 1,
    LAUNCH_MOUNT_READONLY_RECURSIVE = 1 << 2, /* mount_setattr(AT_RECURSIVE) */
    LAUNCH_MOUNT_NOSUID = 1 << 3,
    LAUNCH_MOUNT_NODEV = 1 << 4,
    LAUNCH_MOUNT_NOEXEC = 1 << 5,
    LAUNCH_MOUNT_OPTIONAL = 1 << 6 /* a failure to mount is no failure of the launch */
};
enum launch_propagation { LAUNCH_PRIVATE, LAUNCH_SLAVE, LAUNCH_SHARED };

struct launch_mount {
    uint32_t kind, flags, propagation; /* propagation: BIND, always recursive */
    struct launch_ref source, target, options;
};

struct launch_device { /* node below the container's root, missing folders are made */
    struct launch_ref path;
    uint32_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
    uint32_t major, minor, mode, uid, gid;
};

struct launch_rlimit {
    uint32_t resource, reserved;
    uint64_t soft, hard;
};

struct launch_pair { /* sysctl: "net.ipv4.ip_forward" with dots, value */
    struct launch_ref key, value;
};

struct launch_spec {
    uint32_t magic, bytes, mode, flags;
    struct launch_ref hostname; /* SANDBOX */
    struct launch_ref sysctls;  /* SANDBOX: struct launch_pair[] */
    uint64_t shm_bytes;         /* SANDBOX: size of the pod's shm; 0: none */
    struct launch_ref lowers; /* CONTAINER: "12:7:1", topmost first, names below LAUNCH_FD_LAYERS */
    struct launch_ref mounts; /* struct launch_mount[], in order */
    struct launch_ref devices;    /* struct launch_device[] */
    struct launch_ref masked;     /* struct launch_ref[] of paths */
    struct launch_ref readonly;   /* struct launch_ref[] of paths */
    struct launch_ref argv, envp; /* struct launch_ref[]; argv[0] is looked up in PATH of envp */
    struct launch_ref cwd;        /* made when missing (CONTAINER) */
    struct launch_ref groups;     /* uint32_t[]: supplementary groups */
    struct launch_ref rlimits;    /* struct launch_rlimit[] */
    struct launch_ref seccomp;    /* struct sock_filter[] (8 bytes each) */
    struct launch_ref apparmor;   /* profile to change to on exec, or empty */
    uint32_t seccomp_flags;       /* SECCOMP_FILTER_FLAG_* */
    uint32_t uid, gid, umask;
    int32_t oom_score_adj; /* INT32_MIN: leave; a refusal by the kernel (EACCES) is tolerated */
    uint32_t reserved;
    uint64_t caps_effective, caps_permitted, caps_inheritable, caps_bounding, caps_ambient;
};

/* What passes over LAUNCH_FD_REPORT. End of file without a message after READY or nothing: execve
 * succeeded. */
enum launch_report_kind {
    LAUNCH_FAILED = 1, /* sys, text: "mount /proc: ..." ; init exits */
    LAUNCH_TTY_MASTER, /* one descriptor */
    LAUNCH_NAMESPACES, /* SANDBOX: descriptors in the order net, ipc, uts, shm, netlink; those not
                          made are left out, `made` has a bit LAUNCH_NEW_* each (shm: bit 16,
                          netlink: with NEW_NET) */
};
#define LAUNCH_MADE_SHM (1u << 16)
struct launch_report {
    uint32_t kind;
    int32_t sys;
    uint32_t made;
    char text[500]; /* NUL-terminated */
};

/* Checks magic, size, every table and every string (bounds, alignment, terminating NULs, limits
 * above). 0, or -EINVAL with *out_field naming the bad field. block: what was mapped. */
int launch_spec_check(const void *block, size_t bytes, const char **out_field);

/* After a successful check; never fail. */
const char *launch_str(const struct launch_spec *s, struct launch_ref r); /* "" for n == 0 */
const void *launch_table(const struct launch_spec *s, struct launch_ref r);
