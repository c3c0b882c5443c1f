/* SPDX-License-Identifier: Apache-2.0 — shim_wire.c: sending and receiving shim messages.
 *
 * A message travels up to the end of its path's text. What arrives is checked once here: length,
 * terminated strings, and that as many descriptors came as were announced; so no reader has to
 * check again. */
#include "cri/launch/shim_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES offsetof(struct shim_message, path)

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * SHIM_FDS_MAX)];
};

int shim_send(int sock, const struct shim_message *m, const int *fds) {
    if (m->fd_count > SHIM_FDS_MAX) return -EINVAL;
    size_t path = strnlen(m->path, SHIM_PATH_BYTES - 1) + 1;
    struct iovec part = {.iov_base = (void *)(uintptr_t)m, .iov_len = HEAD_BYTES + path};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {0};
    if (m->fd_count > 0) {
        size_t bytes = sizeof(int) * m->fd_count;
        msg.msg_control = control.bytes;
        msg.msg_controllen = (socklen_t)CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = (socklen_t)CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), fds, bytes);
    }
    for (;;) {
        ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}

/* Takes the descriptors out of msg; returns how many there were. */
static uint32_t take_fds(struct msghdr *msg, int *fds) {
    uint32_t count = 0;
    /* one control message is all that fits the buffer: the kernel never splits SCM_RIGHTS */
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) return 0;
    count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (count > SHIM_FDS_MAX) count = SHIM_FDS_MAX;
    memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    return count;
}

static bool message_ok(const struct shim_message *m, size_t bytes, uint32_t fds) {
    return bytes > HEAD_BYTES && m->fd_count == fds && memchr(m->container, 0, SHIM_ID_BYTES) &&
           memchr(m->target, 0, SHIM_ID_BYTES) && memchr(m->text, 0, sizeof m->text) &&
           memchr(m->path, 0, bytes - HEAD_BYTES);
}

int shim_receive(int sock, struct shim_message *m, int *fds) {
    for (int i = 0; i < SHIM_FDS_MAX; i++) fds[i] = -1;
    struct iovec part = {.iov_base = m, .iov_len = sizeof *m};
    union control control = {0};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n = 0;
    do n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    uint32_t count = take_fds(&msg, fds);
    if (n == 0 && count == 0) return 0;
    if (!(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && message_ok(m, (size_t)n, count)) return 1;
    for (uint32_t i = 0; i < count; i++) {
        (void)close(fds[i]);
        fds[i] = -1;
    }
    return -EBADMSG;
}

int shim_fd_of(const struct shim_message *m, const int *fds, enum shim_role role) {
    for (uint32_t i = 0; i < m->fd_count && i < SHIM_FDS_MAX; i++)
        if (m->roles[i] == role) return fds[i];
    return -1;
}
