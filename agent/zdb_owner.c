/* SPDX-License-Identifier: Apache-2.0 — zdb_owner.c */
#include "agent/zdb_owner.h"

#include <errno.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>

int zdb_owner_find(const char *socket_path, struct proc *out) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t n = sizeof peer;
    char byte;
    if (strlen(socket_path) >= sizeof at.sun_path) return -ENAMETOOLONG;
    memcpy(at.sun_path, socket_path, strlen(socket_path));
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) return -errno;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0) return -errno;
    AUTO_CLOSE int pidfd = pidfd_open(peer.pid, 0);
    if (pidfd < 0) return -errno;
    /* Still connected: so it lived when its pidfd was taken, and the number is no other's. */
    if (recv(fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN) return -ESRCH;
    *out = (struct proc){.pid = peer.pid, .pidfd = STEAL_FD(pidfd)};
    return 0;
}
