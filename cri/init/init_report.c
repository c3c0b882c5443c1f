/* SPDX-License-Identifier: Apache-2.0 — init_report.c: init's words to the shim. */
#include "cri/init/init.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_FDS_MAX 8
#define EXIT_FAILED    127

void init_report(const struct launch_report *report, const int *fds, size_t count) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)report, .iov_len = sizeof *report};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * REPORT_FDS_MAX)];
    } control = {0};
    if (count > 0 && count <= REPORT_FDS_MAX) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    while (sendmsg(LAUNCH_FD_REPORT, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

void init_fail(int sys, const char *fmt, ...) {
    struct launch_report report = {.kind = LAUNCH_FAILED, .sys = sys};
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(report.text, sizeof report.text, fmt, args);
    va_end(args);
    if (sys > 0 && n >= 0 && (size_t)n < sizeof report.text)
        (void)snprintf(report.text + n, sizeof report.text - (size_t)n, ": %s", strerror(sys));
    init_report(&report, NULL, 0);
    _exit(EXIT_FAILED);
}
