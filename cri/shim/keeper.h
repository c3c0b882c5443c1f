/* SPDX-License-Identifier: Apache-2.0 — keeper.h: the state of a running gridlet-shim.
 *
 * One struct keeper per process, one thread, no allocation: every table has its size here, and
 * memory of a slot that is never used is never touched. Hot and cold parts of a slot lie in
 * separate tables for that reason. */
#pragma once

#include "cri/launch/launch_spec.h"
#include "cri/launch/shim_wire.h"
#include "cri/shim/keeper_log.h"

#include <sys/types.h>

#define KEEPER_FD_FIRST   16    /* our own descriptors lie above those that init expects */
#define KEEPER_READ_BYTES 16384 /* of one read of a container's output */
#define KEEPER_DRAIN_MS   1000  /* how long a stranger may hold a dead container's pipe */

/* A process that we started: not reaped yet while pid is not 0. */
struct child {
    pid_t pid;
    int pidfd;
};

enum container_state {
    CONTAINER_FREE,
    CONTAINER_STARTING, /* init is at work: ends by its report */
    CONTAINER_RUNNING,
    CONTAINER_DRAINING, /* reaped; its output is read to the end */
    CONTAINER_TOLD      /* it is over; the daemon has to be told, and each one if `unsaved` */
};

/* What the daemon has to be told about a slot, as soon as its queue has room. */
enum keeper_news { NEWS_STARTED = 1, NEWS_FAILED = 2, NEWS_ENDED = 4 };

struct container {
    char id[SHIM_ID_BYTES];
    enum container_state state;
    unsigned news; /* enum keeper_news */
    struct child child;
    pid_t first_pid;                        /* stays known after the end */
    int dir, cgroup, oom, report, stdin_fd; /* -1: none */
    int streams[LOG_STREAMS]; /* pipes, or the pty's master as stdout; -1 at their end */
    struct log_line lines[LOG_STREAMS];
    struct keeper_log log;
    uint64_t oom_kills;   /* counter at the start */
    uint64_t deadline_ns; /* DRAINING: then it is given up */
    int64_t started_ns, finished_ns;
    int exit_code, signal, failed_sys;
    bool oom_killed;
    bool unsaved; /* TOLD: exit.json could not be written, so this slot is what remembers the end */
};

struct container_cold {
    char log_path[SHIM_PATH_BYTES];
    char failed_text[sizeof((struct launch_report *)0)->text];
};

enum exec_state { EXEC_FREE, EXEC_STARTING, EXEC_RUNNING, EXEC_ENDED };
struct exec {
    uint64_t number;
    enum exec_state state;
    unsigned news;
    struct child child;
    int cgroup; /* its own one, else -1 */
    int report, tty;
    int exit_code, failed_sys;
};

enum sandbox_state { SANDBOX_NONE, SANDBOX_STARTING, SANDBOX_MADE, SANDBOX_BROKEN };

struct keeper {
    const char *pod;
    int epoll, listen, daemon, init, signals, timer, null, own_pid_ns;
    bool closing; /* SHUTDOWN was asked for */
    bool paused;  /* the daemon's requests are not read: an answer is waiting */

    enum sandbox_state sandbox;
    unsigned sandbox_news;
    struct child maker, reaper;
    bool wants_reaper;
    int sandbox_report;
    int net, ipc, uts, shm, netlink;
    int sandbox_sys;

    bool welcome, listing; /* HELLO is being answered */
    uint32_t list_next;
    bool has_answer; /* `answer` waits for room */

    struct container containers[SHIM_CONTAINERS_MAX];
    struct exec execs[SHIM_EXECS_MAX];
    struct container_cold cold[SHIM_CONTAINERS_MAX];
    char exec_text[SHIM_EXECS_MAX][sizeof((struct launch_report *)0)->text];
    char sandbox_text[sizeof((struct launch_report *)0)->text];
    struct shim_message in, out; /* scratch */
    struct shim_message answer;
    char read[KEEPER_READ_BYTES];
    char holds[SHIM_CONTAINERS_MAX][LOG_STREAMS][LOG_LINE_BYTES_MAX];
};

/* What an epoll event is about; the slot's number is added. */
enum keeper_event {
    EVENT_LISTEN,
    EVENT_DAEMON,
    EVENT_SIGNAL,
    EVENT_TIMER,
    EVENT_SANDBOX,
    EVENT_STDOUT,
    EVENT_STDERR,
    EVENT_REPORT,
    EVENT_EXEC_REPORT
};

/* ---- keeper.c ---- */
/* Runs until the end of the pod; the process's exit status. k is zeroed memory. */
int keeper_run(struct keeper *k, const char *pod);
/* Watches fd for reading. A failure ends the process: there is a watch for each slot. */
void keeper_watch(struct keeper *k, int fd, enum keeper_event event, uint32_t slot);
void keeper_close(int *fd);

/* ---- keeper_daemon.c ---- */
void keeper_accept(struct keeper *k);
/* Reads requests or sends what waits, whatever is possible. */
void keeper_daemon_ready(struct keeper *k, uint32_t events);
/* Sends all news that fit the daemon's queue; called after every event. */
void keeper_tell(struct keeper *k);
/* Answers a request that has no slot to keep its answer: kept until there is room. */
void keeper_answer(struct keeper *k, const struct shim_message *m);

/* ---- keeper_spawn.c ---- */
struct keeper_spawn {
    int fds[LAUNCH_FD_END]; /* what init gets as 0..11; -1: nothing (0-2: /dev/null) */
    int cgroup;             /* it is born in this cgroup v2; -1: in ours */
    int pid_ns;             /* pidfd of a process whose PID namespace it joins; -1: none */
    bool new_pid_ns;
    const char *argument;    /* of gridlet-init, or NULL */
    int tasks[SHIM_FDS_MAX]; /* "tasks" of the v1 cgroups it enters */
    uint32_t task_count;
};
void keeper_spawn_init(struct keeper_spawn *s);
/* Takes over the message's descriptors with role TASKS; they stay the caller's. */
void keeper_spawn_tasks(struct keeper_spawn *s, const struct shim_message *m, const int *fds);
/* Starts gridlet-init; 0 or -errno. */
int keeper_spawn(struct keeper *k, struct keeper_spawn *s, struct child *out);
/* A report socket pair: ours (non-blocking), and init's; 0 or -errno. */
int keeper_report_pair(int *out_ours, int *out_theirs);
/* One report; 1, 0 at the end, -errno. fds: up to `most`, -1 where none came. */
int keeper_report_next(int report, struct launch_report *out, int *fds, uint32_t most);
/* Capabilities are effective between the two only. */
void keeper_raise(void);
void keeper_lower(void);
void keeper_kill_cgroup(int cgroup);
void keeper_kill(const struct child *c, int number);

/* ---- keeper_sandbox.c ---- */
void keeper_sandbox(struct keeper *k, const struct shim_message *m, int *fds);
void keeper_sandbox_report(struct keeper *k);
/* True: the process was the sandbox's, and is reaped. */
bool keeper_sandbox_exited(struct keeper *k, pid_t pid);

/* ---- keeper_container.c ---- */
struct container *keeper_find(struct keeper *k, const char *id);
uint32_t keeper_slot(const struct keeper *k, const struct container *c);
/* Takes what it needs out of fds (those are set to -1). */
void keeper_start(struct keeper *k, const struct shim_message *m, int *fds);
void keeper_container_report(struct keeper *k, struct container *c);
void keeper_container_exited(struct keeper *k, struct container *c, int status);
/* Its output can be read, or has ended. */
void keeper_stream_ready(struct keeper *k, struct container *c, enum log_stream stream);
/* The timer: gives up pipes that somebody else holds. */
void keeper_drain_expired(struct keeper *k);
void keeper_container_kill(const struct container *c);
/* Its story is over and told: gives the slot back, unless nothing else remembers it. */
void keeper_container_free(struct container *c);
/* Tries once more to write what could not be written; folders that are gone need it no more. */
void keeper_save_again(struct keeper *k);
/* It never ran, or gridlet-init gave up: what failed is in its cold part. */
bool keeper_container_failed(const struct keeper *k, const struct container *c);

/* ---- keeper_exec.c ---- */
struct exec *keeper_exec_find(struct keeper *k, uint64_t number);
void keeper_exec(struct keeper *k, const struct shim_message *m, int *fds);
void keeper_exec_report(struct keeper *k, struct exec *x);
void keeper_exec_exited(struct keeper *k, struct exec *x, int status);
void keeper_exec_kill(const struct exec *x);
void keeper_exec_free(struct exec *x);
