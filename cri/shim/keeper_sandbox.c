/* SPDX-License-Identifier: Apache-2.0 — keeper_sandbox.c: the pod's namespaces and its reaper. Both
 * processes are born in the shim's own cgroups and stay there. */
#include "cri/launch/kernel.h"
#include "cri/shim/keeper.h"

#include "base/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define NAMESPACES_MAX 5

static void broken(struct keeper *k, int sys, const char *what) {
    k->sandbox_sys = sys;
    if (sys)
        (void)snprintf(k->sandbox_text, sizeof k->sandbox_text, "%s: %s", what, strerror(sys));
    else if (what != k->sandbox_text)
        (void)snprintf(k->sandbox_text, sizeof k->sandbox_text, "%s", what);
    k->sandbox = SANDBOX_BROKEN;
    k->sandbox_news = NEWS_FAILED;
}

static int start_maker(struct keeper *k, int spec) {
    struct keeper_spawn s;
    int theirs = -1;
    int r = keeper_report_pair(&k->sandbox_report, &theirs);
    if (r < 0) return r;
    keeper_spawn_init(&s);
    s.fds[LAUNCH_FD_SPEC] = spec;
    s.fds[LAUNCH_FD_REPORT] = theirs;
    r = keeper_spawn(k, &s, &k->maker);
    (void)close(theirs);
    if (r < 0) keeper_close(&k->sandbox_report);
    return r;
}

void keeper_sandbox(struct keeper *k, const struct shim_message *m, int *fds) {
    if (k->sandbox != SANDBOX_NONE) return broken(k, EEXIST, "make the sandbox");
    k->sandbox = SANDBOX_STARTING;
    k->wants_reaper = m->flags & SHIM_POD_PID;
    int r = start_maker(k, shim_fd_of(m, fds, SHIM_ROLE_SPEC));
    if (r < 0) return broken(k, -r, "start gridlet-init");
    keeper_watch(k, k->sandbox_report, EVENT_SANDBOX, 0);
}

static void take_namespaces(struct keeper *k, const struct launch_report *report, int *fds) {
    int next = 0;
    if (report->made & LAUNCH_NEW_NET) k->net = fds[next++];
    if (report->made & LAUNCH_NEW_IPC) k->ipc = fds[next++];
    if (report->made & LAUNCH_NEW_UTS) k->uts = fds[next++];
    if (report->made & LAUNCH_MADE_SHM) k->shm = fds[next++];
    if (report->made & LAUNCH_NEW_NET) k->netlink = fds[next++];
    for (; next < NAMESPACES_MAX; next++) keeper_close(&fds[next]);
    k->sandbox = SANDBOX_MADE;
}

static int start_reaper(struct keeper *k) {
    struct keeper_spawn s;
    keeper_spawn_init(&s);
    s.fds[LAUNCH_FD_NET] = k->net;
    s.fds[LAUNCH_FD_IPC] = k->ipc;
    s.fds[LAUNCH_FD_UTS] = k->uts;
    s.new_pid_ns = true;
    s.argument = "reaper";
    return keeper_spawn(k, &s, &k->reaper);
}

/* init has said all. */
static void conclude(struct keeper *k) {
    keeper_close(&k->sandbox_report);
    if (k->sandbox == SANDBOX_BROKEN) return;
    if (k->sandbox == SANDBOX_STARTING && k->sandbox_text[0]) return broken(k, 0, k->sandbox_text);
    if (k->sandbox == SANDBOX_STARTING)
        return broken(k, 0, "gridlet-init ended without making the sandbox");
    int r = k->wants_reaper ? start_reaper(k) : 0;
    if (r < 0) return broken(k, -r, "start the pod's first process");
    k->sandbox_news = NEWS_STARTED;
}

void keeper_sandbox_report(struct keeper *k) {
    struct launch_report report;
    int fds[NAMESPACES_MAX];
    for (;;) {
        int r = keeper_report_next(k->sandbox_report, &report, fds, NAMESPACES_MAX);
        if (r == -EAGAIN) return;
        if (r <= 0) return conclude(k);
        if (report.kind == LAUNCH_NAMESPACES && k->sandbox == SANDBOX_STARTING) {
            take_namespaces(k, &report, fds);
            continue;
        }
        for (int i = 0; i < NAMESPACES_MAX; i++) keeper_close(&fds[i]);
        if (report.kind != LAUNCH_FAILED || k->sandbox != SANDBOX_STARTING) continue;
        k->sandbox_sys = report.sys;
        memcpy(k->sandbox_text, report.text, sizeof k->sandbox_text);
    }
}

bool keeper_sandbox_exited(struct keeper *k, pid_t pid) {
    struct child *c = k->maker.pid == pid ? &k->maker : k->reaper.pid == pid ? &k->reaper : NULL;
    if (!c) return false;
    c->pid = 0;
    keeper_close(&c->pidfd);
    if (c == &k->maker && k->sandbox_report >= 0) keeper_sandbox_report(k);
    return true;
}
