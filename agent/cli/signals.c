/* SPDX-License-Identifier: Apache-2.0 — signals.c */
#include "agent/cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>

int signals_open(const int *signums, struct err *e) {
    sigset_t set;
    (void)sigemptyset(&set);
    for (; *signums; signums++) (void)sigaddset(&set, *signums);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return err_sys(e, errno, "block signals");
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_sys(e, errno, "watch signals") : fd;
}

int signals_next(int fd) {
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

int terminal_raw(struct terminal *t, int fd, struct err *e) {
    *t = (struct terminal){.fd = fd};
    if (tcgetattr(fd, &t->before) < 0)
        return errno == ENOTTY ? 0 : err_sys(e, errno, "read the terminal's settings");
    struct termios raw = t->before;
    cfmakeraw(&raw);
    if (tcsetattr(fd, TCSANOW, &raw) < 0) return err_sys(e, errno, "set up the terminal");
    t->raw = true;
    return 0;
}

void terminal_restore(struct terminal *t) {
    if (t->raw) (void)tcsetattr(t->fd, TCSANOW, &t->before);
    t->raw = false;
}

void terminal_copy_size(int from, int to) {
    struct winsize size;
    if (ioctl(from, TIOCGWINSZ, &size) == 0) (void)ioctl(to, TIOCSWINSZ, &size);
}
