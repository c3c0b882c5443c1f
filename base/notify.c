/* SPDX-License-Identifier: Apache-2.0 — notify.c */
#include "base/notify.h"

#include "base/file.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_systemd(const char *state) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || !*path) return 0;
    size_t n = strlen(path);
    if (n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return -EINVAL;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') to.sun_path[0] = '\0'; /* abstract */
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, bytes);
    return sent < 0 ? -errno : 0;
}

int notify_fd(int fd) {
    int r = file_write_all(fd, "READY=1\n", 8);
    if (close(fd) < 0 && r == 0) r = -errno;
    return r;
}
