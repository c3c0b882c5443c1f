/* SPDX-License-Identifier: Apache-2.0 — zdbd_start.c */
#include "storage/zdb_server/zdbd_start.h"

#include "base/log.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define SELF "/proc/self/exe"

extern char **environ;

int zdbd_start_background(int argc, char *const *argv) {
    struct err e = {0};
    struct proc child = PROC_NONE;
    int pipe_fds[2];
    char ready[16];
    const char **args = xmalloc(((size_t)argc + 4) * sizeof *args);
    for (int i = 0; i < argc; i++) args[i] = argv[i];
    args[argc] = "--background=false";
    args[argc + 1] = "--ready-fd=3";
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) return 1;
    const struct proc_fd fds[] = {{2, 2}, {pipe_fds[1], 3}};
    struct proc_spec spec = PROC_SPEC;
    spec.path = SELF;
    spec.argv = args;
    spec.envp = (const char *const *)environ;
    spec.fds = fds;
    spec.fd_count = COUNT(fds);
    spec.flags = PROC_NEW_SESSION;
    int r = proc_spawn(&spec, &child, &e);
    free(args);
    (void)close(pipe_fds[1]);
    if (r < 0) (void)fprintf(stderr, "gridlet-zdb: go to the background: %s\n", e.msg);
    bool is_ready = r == 0 && read(pipe_fds[0], ready, sizeof ready) > 0;
    (void)close(pipe_fds[0]);
    if (is_ready) (void)printf("gridlet-zdb: in the background, pid %d\n", (int)child.pid);
    proc_done(&child);
    return is_ready ? 0 : 1;
}

int zdbd_start_log(const struct zdbd_settings *s, struct err *e) {
    enum log_level level = LOG_LEVEL_INFO;
    if (log_level_parse(str_of(s->verbose ? "debug" : s->log_level), &level) < 0)
        return err_set(e, ERR_INVALID,
                       "'log-level' must be debug, info, warn or error, not '%.60s'", s->log_level);
    log_set_level(level);
    if (!s->logfile) return 0;
    AUTO_CLOSE int fd = open(s->logfile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return err_sys(e, errno, "open the log '%s'", s->logfile);
    if (dup2(fd, STDERR_FILENO) < 0) return err_sys(e, errno, "log to '%s'", s->logfile);
    return 0;
}
