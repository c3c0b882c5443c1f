/* SPDX-License-Identifier: Apache-2.0 — keeper_container.c: the life of a container, from START to
 * exit.json.
 *
 * STARTING --report ends--> RUNNING --reaped--> DRAINING --output at its end--> TOLD --told--> FREE
 *     \------ failed ------------------------------------------------------------/
 *
 * At the end of the first process: the OOM counter is read while the cgroup is as it was, then
 * everything else in the cgroup is killed, then its output is read to the end (bounded: a process
 * outside of the cgroup may hold the pipe), then exit.json is made durable, then the daemon is
 * told.
 *
 * An exit.json that cannot be written (its room is reserved, but a disk may break) makes the slot
 * stay: each daemon that comes is told, after one more attempt. */
#include "cri/launch/kernel.h"
#include "cri/shim/exit_file.h"
#include "cri/shim/keeper.h"

#include "base/clock.h"
#include "base/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define START_FAILED_CODE 128
#define DRAIN_READS_MAX   128 /* at once; a pipe holds at most 1 MiB unless root made it larger */
#define EVENTS_BYTES      1024

struct container *keeper_find(struct keeper *k, const char *id) {
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        struct container *c = &k->containers[i];
        if (c->state != CONTAINER_FREE && c->state != CONTAINER_TOLD && strcmp(c->id, id) == 0)
            return c;
    }
    return NULL;
}

uint32_t keeper_slot(const struct keeper *k, const struct container *c) {
    return (uint32_t)(c - k->containers);
}

void keeper_container_free(struct container *c) {
    int *all[] = {&c->cgroup,
                  &c->oom,
                  &c->report,
                  &c->stdin_fd,
                  &c->streams[LOG_STDOUT],
                  &c->streams[LOG_STDERR],
                  &c->child.pidfd};
    for (size_t i = 0; i < COUNT(all); i++) keeper_close(all[i]);
    keeper_log_close(&c->log);
    if (c->unsaved) return;
    keeper_close(&c->dir);
    c->state = CONTAINER_FREE;
}

/* "... oom_kill N": v1's memory.oom_control and v2's memory.events alike. */
static uint64_t oom_kills(const struct container *c) {
    static const char key[] = "\noom_kill ";
    char text[EVENTS_BYTES] = "\n";
    int fd = c->oom;
    if (fd < 0) fd = c->cgroup >= 0 ? openat(c->cgroup, "memory.events", O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t n = pread(fd, text + 1, sizeof text - 2, 0);
    if (fd != c->oom) (void)close(fd);
    if (n < 0) return 0;
    text[n + 1] = '\0';
    const char *at = strstr(text, key);
    return at ? strtoull(at + sizeof key - 1, NULL, 10) : 0;
}

/* ---- start ---- */

static int take(const struct shim_message *m, int *fds, enum shim_role role) {
    for (uint32_t i = 0; i < m->fd_count; i++)
        if (m->roles[i] == role) return STEAL_FD(fds[i]);
    return -1;
}

/* False when it is not on the disk. */
static bool write_exit(const struct keeper *k, int dir, const struct exit_record *record) {
    keeper_raise();
    int r = dir >= 0 ? exit_file_write(dir, record) : 0;
    keeper_lower();
    if (r == -ENOENT) return true; /* the container is removed: nobody will read it */
    if (r < 0) (void)dprintf(2, "gridlet-shim: %s: write exit.json: %s\n", k->pod, strerror(-r));
    return r == 0;
}

bool keeper_container_failed(const struct keeper *k, const struct container *c) {
    return k->cold[keeper_slot(k, c)].failed_text[0] != '\0';
}

static struct exit_record failure_record(const char *message) {
    return (struct exit_record){.exit_code = START_FAILED_CODE,
                                .finished_at_ns = clock_wall_ns(),
                                .reason = "StartError",
                                .message = message};
}

static struct exit_record end_record(const struct container *c) {
    return (struct exit_record){.exit_code = c->exit_code,
                                .signal = c->signal,
                                .oom_killed = c->oom_killed,
                                .started_at_ns = c->started_ns,
                                .finished_at_ns = c->finished_ns,
                                .reason = c->exit_code == 0 ? "Completed"
                                          : c->oom_killed   ? "OOMKilled"
                                                            : "Error"};
}

static void save(struct keeper *k, struct container *c) {
    struct exit_record record = keeper_container_failed(k, c)
                                    ? failure_record(k->cold[keeper_slot(k, c)].failed_text)
                                    : end_record(c);
    c->unsaved = !write_exit(k, c->dir, &record);
}

void keeper_save_again(struct keeper *k) {
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        struct container *c = &k->containers[i];
        if (c->state != CONTAINER_TOLD || !c->unsaved || c->news) continue;
        save(k, c);
        keeper_container_free(c);
    }
}

/* For a request that gets no slot. */
static void refuse(struct keeper *k, const struct shim_message *m, int dir, int sys) {
    struct shim_message *answer = &k->out;
    memset(answer, 0, sizeof *answer);
    answer->op = SHIM_START_FAILED;
    answer->sys = sys;
    memcpy(answer->container, m->container, SHIM_ID_BYTES);
    (void)snprintf(answer->text, sizeof answer->text, "%s",
                   sys == EEXIST ? "a container of this name is running already"
                                 : "too many containers in this pod, or it is being stopped");
    if (sys != EEXIST) {
        struct exit_record record = failure_record(answer->text);
        (void)write_exit(k, dir, &record); /* without it, it reads as never started: so it is */
    }
    keeper_answer(k, answer);
}

static bool has_free_slot(const struct keeper *k) {
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++)
        if (k->containers[i].state == CONTAINER_FREE) return true;
    return false;
}

static struct container *new_slot(struct keeper *k, const struct shim_message *m) {
    if (!has_free_slot(k)) keeper_save_again(k);
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX && !k->closing; i++) {
        struct container *c = &k->containers[i];
        if (c->state != CONTAINER_FREE) continue;
        memset(c, 0, sizeof *c);
        memcpy(c->id, m->container, SHIM_ID_BYTES);
        c->dir = c->cgroup = c->oom = c->report = c->stdin_fd = c->child.pidfd = c->log.fd = -1;
        for (int s = 0; s < LOG_STREAMS; s++) {
            c->streams[s] = -1;
            c->lines[s].hold = k->holds[i][s];
        }
        k->cold[i].failed_text[0] = '\0';
        (void)snprintf(k->cold[i].log_path, SHIM_PATH_BYTES, "%s", m->path);
        c->state = CONTAINER_STARTING;
        return c;
    }
    return NULL;
}

static void set_failure(struct keeper *k, struct container *c, int sys, const char *what) {
    char *text = k->cold[keeper_slot(k, c)].failed_text;
    if (text[0]) return; /* the first one counts */
    c->failed_sys = sys;
    (void)snprintf(text, sizeof k->cold[0].failed_text, "%s: %s", what, strerror(sys));
}

static int open_log(struct keeper *k, struct container *c, const struct shim_message *m) {
    c->log.bytes_max = m->log_bytes_max;
    c->log.files_max = m->log_files_max;
    keeper_raise(); /* the folder may be another user's */
    int r = keeper_log_open(&c->log, k->cold[keeper_slot(k, c)].log_path);
    keeper_lower();
    return r;
}

/* Our end and init's end of one of its standard descriptors. */
static int make_pipe(int *out_read, int *out_write, int *ours) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0) return -errno;
    *out_read = pair[0];
    *out_write = pair[1];
    (void)fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static int make_stdio(struct container *c, const struct shim_message *m, struct keeper_spawn *s) {
    if (m->flags & SHIM_TTY) return 0;
    int r = 0;
    if (m->flags & SHIM_STDIN) r = make_pipe(&s->fds[0], &c->stdin_fd, &c->stdin_fd);
    if (r == 0) r = make_pipe(&c->streams[LOG_STDOUT], &s->fds[1], &c->streams[LOG_STDOUT]);
    if (r == 0) r = make_pipe(&c->streams[LOG_STDERR], &s->fds[2], &c->streams[LOG_STDERR]);
    return r;
}

static int choose_pid_ns(struct keeper *k, const struct shim_message *m, struct keeper_spawn *s) {
    if (m->flags & SHIM_HOST_PID) return 0;
    if (m->flags & SHIM_POD_PID) {
        s->pid_ns = k->reaper.pid ? k->reaper.pidfd : -1;
        return k->reaper.pid ? 0 : -ESRCH;
    }
    if (m->flags & SHIM_TARGET_PID) {
        const struct container *target = keeper_find(k, m->target);
        if (!target || !target->child.pid) return -ESRCH;
        s->pid_ns = target->child.pidfd;
        return 0;
    }
    s->new_pid_ns = true;
    return 0;
}

static int spawn(struct keeper *k, struct container *c, const struct shim_message *m,
                 const int *fds) {
    struct keeper_spawn s;
    keeper_spawn_init(&s);
    int r = choose_pid_ns(k, m, &s);
    if (r == 0) r = make_stdio(c, m, &s);
    if (r == 0) r = keeper_report_pair(&c->report, &s.fds[LAUNCH_FD_REPORT]);
    s.fds[LAUNCH_FD_SPEC] = shim_fd_of(m, fds, SHIM_ROLE_SPEC);
    s.fds[LAUNCH_FD_NET] = k->net;
    s.fds[LAUNCH_FD_IPC] = k->ipc;
    s.fds[LAUNCH_FD_UTS] = k->uts;
    s.fds[LAUNCH_FD_SHM] = k->shm;
    s.fds[LAUNCH_FD_DIR] = c->dir;
    s.fds[LAUNCH_FD_LAYERS] = shim_fd_of(m, fds, SHIM_ROLE_LAYERS);
    s.cgroup = c->cgroup;
    keeper_spawn_tasks(&s, m, fds);
    if (r == 0) r = keeper_spawn(k, &s, &c->child);
    for (int i = 0; i <= 2; i++) keeper_close(&s.fds[i]);
    keeper_close(&s.fds[LAUNCH_FD_REPORT]);
    return r;
}

/* It never ran, or init gave up and is reaped. */
static void conclude_failure(struct keeper *k, struct container *c) {
    keeper_kill_cgroup(c->cgroup);
    c->finished_ns = clock_wall_ns();
    save(k, c);
    c->news = NEWS_FAILED;
    c->state = CONTAINER_TOLD;
    for (int s = 0; s < LOG_STREAMS; s++) keeper_close(&c->streams[s]);
    keeper_close(&c->report);
}

void keeper_start(struct keeper *k, const struct shim_message *m, int *fds) {
    if (keeper_find(k, m->container)) return refuse(k, m, -1, EEXIST);
    struct container *c = new_slot(k, m);
    if (!c) return refuse(k, m, shim_fd_of(m, fds, SHIM_ROLE_DIR), EBUSY);
    uint32_t slot = keeper_slot(k, c);
    c->dir = take(m, fds, SHIM_ROLE_DIR);
    c->cgroup = take(m, fds, SHIM_ROLE_CGROUP);
    c->oom = take(m, fds, SHIM_ROLE_OOM);
    c->oom_kills = oom_kills(c);
    int r = open_log(k, c, m);
    if (r < 0) set_failure(k, c, -r, "open the log file");
    if (r == 0) {
        r = spawn(k, c, m, fds);
        if (r < 0) set_failure(k, c, -r, "start gridlet-init");
    }
    if (r < 0) return conclude_failure(k, c);
    c->first_pid = c->child.pid;
    keeper_watch(k, c->report, EVENT_REPORT, slot);
    if (c->streams[LOG_STDOUT] >= 0) keeper_watch(k, c->streams[LOG_STDOUT], EVENT_STDOUT, slot);
    if (c->streams[LOG_STDERR] >= 0) keeper_watch(k, c->streams[LOG_STDERR], EVENT_STDERR, slot);
}

void keeper_container_report(struct keeper *k, struct container *c) {
    struct launch_report report;
    while (c->report >= 0) {
        int fd = -1;
        int r = keeper_report_next(c->report, &report, &fd, 1);
        if (r == -EAGAIN) return;
        if (r <= 0) break;
        if (report.kind == LAUNCH_FAILED && !keeper_container_failed(k, c)) {
            c->failed_sys = report.sys;
            memcpy(k->cold[keeper_slot(k, c)].failed_text, report.text, sizeof report.text);
        } else if (report.kind == LAUNCH_TTY_MASTER && fd >= 0 && c->streams[LOG_STDOUT] < 0) {
            (void)fcntl(fd, F_SETFL, O_NONBLOCK);
            keeper_watch(k, fd, EVENT_STDOUT, keeper_slot(k, c));
            c->streams[LOG_STDOUT] = STEAL_FD(fd);
        }
        keeper_close(&fd);
    }
    keeper_close(&c->report);
    if (c->state != CONTAINER_STARTING || keeper_container_failed(k, c))
        return; /* told when it is reaped */
    c->state = CONTAINER_RUNNING;
    c->started_ns = clock_wall_ns();
    c->news |= NEWS_STARTED;
}

/* ---- output ---- */

static void arm_timer(const struct keeper *k, uint64_t at_ns) {
    struct itimerspec at = {.it_value = {(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)}};
    (void)timerfd_settime(k->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* All is written: the end becomes durable. */
static void conclude(struct keeper *k, struct container *c) {
    for (int s = 0; s < LOG_STREAMS; s++) keeper_log_end(&c->log, (enum log_stream)s, &c->lines[s]);
    keeper_log_close(&c->log);
    save(k, c);
    c->news |= NEWS_ENDED;
    c->state = CONTAINER_TOLD;
}

/* One read; false when there is nothing more now. Closes the stream at its end. */
static bool read_stream(struct keeper *k, struct container *c, enum log_stream stream) {
    if (c->streams[stream] < 0) return false;
    ssize_t n = read(c->streams[stream], k->read, sizeof k->read);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n > 0) {
        keeper_log_write(&c->log, stream, &c->lines[stream], str_make(k->read, (size_t)n));
        return true;
    }
    keeper_close(&c->streams[stream]); /* end of file, or EIO: the pty's other end is closed */
    keeper_log_end(&c->log, stream, &c->lines[stream]);
    return false;
}

static bool output_ended(const struct container *c) {
    return c->streams[LOG_STDOUT] < 0 && c->streams[LOG_STDERR] < 0;
}

void keeper_stream_ready(struct keeper *k, struct container *c, enum log_stream stream) {
    (void)read_stream(k, c, stream);
    if (c->state == CONTAINER_DRAINING && output_ended(c)) conclude(k, c);
}

void keeper_drain_expired(struct keeper *k) {
    uint64_t ticks = 0;
    uint64_t now = clock_ns();
    uint64_t next = 0;
    (void)!read(k->timer, &ticks, sizeof ticks);
    for (uint32_t i = 0; i < SHIM_CONTAINERS_MAX; i++) {
        struct container *c = &k->containers[i];
        if (c->state != CONTAINER_DRAINING) continue;
        if (c->deadline_ns <= now) {
            for (int s = 0; s < LOG_STREAMS; s++) keeper_close(&c->streams[s]);
            conclude(k, c);
        } else if (next == 0 || c->deadline_ns < next) {
            next = c->deadline_ns;
        }
    }
    if (next) arm_timer(k, next);
}

/* ---- end ---- */

void keeper_container_kill(const struct container *c) {
    keeper_kill_cgroup(c->cgroup);
    if (c->child.pid) keeper_kill(&c->child, SIGKILL);
}

void keeper_container_exited(struct keeper *k, struct container *c, int status) {
    c->child.pid = 0;
    keeper_close(&c->child.pidfd);
    c->finished_ns = clock_wall_ns();
    c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    c->exit_code = c->signal ? 128 + c->signal : WEXITSTATUS(status);
    if (c->report >= 0) keeper_container_report(k, c);
    if (c->state == CONTAINER_STARTING) {
        set_failure(k, c, ECHILD, "gridlet-init ended without a word");
        return conclude_failure(k, c);
    }
    c->oom_killed = c->exit_code != 0 && oom_kills(c) > c->oom_kills;
    keeper_kill_cgroup(c->cgroup);
    c->state = CONTAINER_DRAINING;
    for (int s = 0; s < LOG_STREAMS; s++)
        for (int i = 0; i < DRAIN_READS_MAX && read_stream(k, c, (enum log_stream)s); i++) continue;
    if (output_ended(c)) return conclude(k, c);
    c->deadline_ns = clock_ns() + KEEPER_DRAIN_MS * UINT64_C(1000000);
    keeper_drain_expired(k); /* arms the timer for the earliest of all */
}
