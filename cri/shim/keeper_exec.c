/* SPDX-License-Identifier: Apache-2.0 — keeper_exec.c: further processes in running containers. */
#include "cri/launch/kernel.h"
#include "cri/shim/keeper.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct exec *keeper_exec_find(struct keeper *k, uint64_t number) {
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++)
        if (k->execs[i].state != EXEC_FREE && k->execs[i].number == number) return &k->execs[i];
    return NULL;
}

static void refuse(struct keeper *k, const struct shim_message *m, int sys, const char *what) {
    struct shim_message *answer = &k->out;
    memset(answer, 0, sizeof *answer);
    answer->op = SHIM_EXEC_FAILED;
    answer->exec = m->exec;
    answer->sys = sys;
    (void)snprintf(answer->text, sizeof answer->text, "%s: %s", what, strerror(sys));
    keeper_answer(k, answer);
}

static bool same_folder(int a, int b) {
    struct stat sa;
    struct stat sb;
    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static struct exec *free_slot(struct keeper *k) {
    for (uint32_t i = 0; i < SHIM_EXECS_MAX; i++)
        if (k->execs[i].state == EXEC_FREE) return &k->execs[i];
    return NULL;
}

static int spawn(struct keeper *k, struct exec *x, const struct container *c,
                 const struct shim_message *m, const int *fds) {
    struct keeper_spawn s;
    int theirs = -1;
    int r = keeper_report_pair(&x->report, &theirs);
    if (r < 0) return r;
    keeper_spawn_init(&s);
    s.fds[0] = shim_fd_of(m, fds, SHIM_ROLE_STDIN);
    s.fds[1] = shim_fd_of(m, fds, SHIM_ROLE_STDOUT);
    s.fds[2] = shim_fd_of(m, fds, SHIM_ROLE_STDERR);
    s.fds[LAUNCH_FD_SPEC] = shim_fd_of(m, fds, SHIM_ROLE_SPEC);
    s.fds[LAUNCH_FD_REPORT] = theirs;
    s.fds[LAUNCH_FD_TARGET] = c->child.pidfd;
    s.pid_ns = c->child.pidfd;
    int given = shim_fd_of(m, fds, SHIM_ROLE_CGROUP);
    s.cgroup = given >= 0 ? given : c->cgroup;
    keeper_spawn_tasks(&s, m, fds);
    r = keeper_spawn(k, &s, &x->child);
    (void)close(theirs);
    if (r < 0) keeper_close(&x->report);
    return r;
}

void keeper_exec(struct keeper *k, const struct shim_message *m, int *fds) {
    struct container *c = keeper_find(k, m->container);
    if (!c || c->state != CONTAINER_RUNNING)
        return refuse(k, m, ESRCH, "exec: the container is not running");
    struct exec *x = free_slot(k);
    if (!x || k->closing) return refuse(k, m, EBUSY, "exec: too many in this pod at a time");
    *x = (struct exec){.number = m->exec, .cgroup = -1, .report = -1, .tty = -1};
    x->child.pidfd = -1;
    int r = spawn(k, x, c, m, fds);
    if (r < 0) return refuse(k, m, -r, "exec: start gridlet-init");
    x->state = EXEC_STARTING;
    k->exec_text[x - k->execs][0] = '\0';
    keeper_watch(k, x->report, EVENT_EXEC_REPORT, (uint32_t)(x - k->execs));
    for (uint32_t i = 0; i < m->fd_count; i++)
        if (m->roles[i] == SHIM_ROLE_CGROUP && x->cgroup < 0 && !same_folder(fds[i], c->cgroup))
            x->cgroup = STEAL_FD(fds[i]);
}

void keeper_exec_report(struct keeper *k, struct exec *x) {
    struct launch_report report;
    char *text = k->exec_text[x - k->execs];
    while (x->report >= 0) {
        int fd = -1;
        int r = keeper_report_next(x->report, &report, &fd, 1);
        if (r == -EAGAIN) return;
        if (r <= 0) break;
        if (report.kind == LAUNCH_FAILED && !text[0]) {
            x->failed_sys = report.sys;
            memcpy(text, report.text, sizeof report.text);
        } else if (report.kind == LAUNCH_TTY_MASTER && x->tty < 0) {
            x->tty = STEAL_FD(fd);
        }
        keeper_close(&fd);
    }
    keeper_close(&x->report);
    if (x->state != EXEC_STARTING || text[0]) return; /* a failure is told when it is reaped */
    x->state = EXEC_RUNNING;
    x->news |= NEWS_STARTED;
}

void keeper_exec_exited(struct keeper *k, struct exec *x, int status) {
    x->child.pid = 0;
    keeper_close(&x->child.pidfd);
    x->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (x->report >= 0) keeper_exec_report(k, x);
    x->news |= x->state == EXEC_STARTING ? NEWS_FAILED : NEWS_ENDED;
    x->state = EXEC_ENDED;
}

void keeper_exec_kill(const struct exec *x) {
    keeper_kill_cgroup(x->cgroup);
    if (x->child.pid) keeper_kill(&x->child, SIGKILL);
}

void keeper_exec_free(struct exec *x) {
    keeper_close(&x->cgroup);
    keeper_close(&x->report);
    keeper_close(&x->tty);
    x->state = EXEC_FREE;
}
