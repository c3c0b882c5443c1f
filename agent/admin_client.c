/* SPDX-License-Identifier: Apache-2.0 — admin_client.c */
#include "agent/admin_client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_BYTES (64 * 1024)

static int explain(const char *path, int sys, struct err *e) {
    if (sys == ENOENT || sys == ECONNREFUSED)
        return err_set(
            e, ERR_NOT_FOUND,
            "no gridletd answers on '%s': start it (systemctl start gridlet, or gridletd "
            "in a terminal), or name its folder with --run",
            path);
    if (sys == EACCES || sys == EPERM)
        return err_set(e, ERR_DENIED, "no access to '%s': run gridlet as root (sudo)", path);
    return err_sys(e, sys, "connect to '%s'", path);
}

int admin_client_open(struct admin_client *c, const char *run_dir, struct err *e) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    AUTO_FREE char *path = xasprintf("%s/admin.sock", run_dir);
    if (strlen(path) >= sizeof at.sun_path)
        return err_set(e, ERR_LIMIT, "the socket path '%s' is longer than %zu bytes", path,
                       sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path));
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_sys(e, errno, "make a socket");
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) return explain(path, errno, e);
    *c = (struct admin_client){.fd = STEAL_FD(fd),
                               .in = BUF(ADMIN_FRAME_BYTES_MAX + ADMIN_FRAME_HEADER + READ_BYTES)};
    return 0;
}

static int lost(struct admin_client *c, int sys, struct err *e) {
    c->lost = true;
    if (sys) return err_sys(e, sys, "the connection to gridletd broke");
    return err_set(e, ERR_IO,
                   "gridletd closed the connection: it was stopped or restarted; what "
                   "runs goes on, so try again");
}

int admin_client_send(struct admin_client *c, struct str request, const int *fds, size_t fd_count,
                      struct err *e) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ADMIN_FRAME_FDS_MAX)];
        struct cmsghdr align;
    } control = {{0}};
    uint8_t header[ADMIN_FRAME_HEADER];
    if (request.n == 0 || request.n > ADMIN_FRAME_BYTES_MAX || fd_count > ADMIN_FRAME_FDS_MAX)
        return err_set(e, ERR_LIMIT, "the request is longer than %d bytes", ADMIN_FRAME_BYTES_MAX);
    admin_frame_header(request.n, header);
    AUTO(buf_done) struct buf frame = BUF(request.n + sizeof header);
    if (buf_append(&frame, header, sizeof header) < 0 || buf_str(&frame, request) < 0)
        return err_set(e, ERR_INTERNAL, "the request's buffer is too small");
    for (size_t sent = 0; sent < frame.n;) {
        struct iovec part = {.iov_base = frame.p + sent, .iov_len = frame.n - sent};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (fd_count && sent == 0) {
            m.msg_control = control.bytes;
            m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
            struct cmsghdr *h = CMSG_FIRSTHDR(&m);
            h->cmsg_level = SOL_SOCKET;
            h->cmsg_type = SCM_RIGHTS;
            h->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
            memcpy(CMSG_DATA(h), fds, sizeof(int) * fd_count);
        }
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return lost(c, errno == EPIPE ? 0 : errno, e);
        sent += (size_t)n;
    }
    return 0;
}

static void keep_fds(struct admin_client *c, struct msghdr *m) {
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (c->fd_count < ADMIN_FRAME_FDS_MAX)
                c->fds[c->fd_count++] = fd;
            else
                (void)close(fd);
        }
    }
}

static int receive(struct admin_client *c, struct err *e) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ADMIN_FRAME_FDS_MAX)];
        struct cmsghdr align;
    } control;
    if (buf_reserve(&c->in, READ_BYTES) < 0) return err_set(e, ERR_LIMIT, "gridletd says too much");
    struct iovec part = {.iov_base = c->in.p + c->in.n, .iov_len = READ_BYTES};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return lost(c, n < 0 && errno != ECONNRESET ? errno : 0, e);
    keep_fds(c, &m);
    c->in.n += (size_t)n;
    return 0;
}

/* Moves the descriptors of a frame to the caller, or closes them. */
static void take_fds(struct admin_client *c, size_t count, int *out_fds) {
    if (count > c->fd_count) count = c->fd_count;
    for (size_t i = 0; i < ADMIN_FRAME_FDS_MAX && out_fds; i++) out_fds[i] = -1;
    for (size_t i = 0; i < count; i++) {
        if (out_fds)
            out_fds[i] = c->fds[i];
        else
            (void)close(c->fds[i]);
    }
    c->fd_count -= count;
    memmove(c->fds, c->fds + count, c->fd_count * sizeof(int));
}

int admin_client_next(struct admin_client *c, struct arena *a, const struct json **out,
                      int *out_fds, struct err *e) {
    struct admin_reply reply;
    struct str body;
    size_t bytes = 0;
    int r;
    while ((r = admin_frame_next(buf_view(&c->in), &body, &bytes)) == 0)
        if (receive(c, e) < 0) return -1;
    if (r < 0) return err_set(e, ERR_CORRUPT, "gridletd's answer is no frame");
    r = admin_reply_parse(a, body, &reply, e);
    buf_consume(&c->in, bytes);
    if (r < 0) return err_in(e, "gridletd's answer");
    take_fds(c, reply.fd_count, out_fds);
    if (reply.kind == ADMIN_ERROR) {
        *e = reply.error;
        return -1;
    }
    *out = reply.value;
    return reply.kind == ADMIN_EVENT ? 1 : 0;
}

bool admin_client_pending(const struct admin_client *c) {
    struct str body;
    size_t bytes;
    return admin_frame_next(buf_view(&c->in), &body, &bytes) != 0;
}

void admin_client_close(struct admin_client *c) {
    if (c->fd >= 0) (void)close(c->fd);
    for (size_t i = 0; i < c->fd_count; i++) (void)close(c->fds[i]);
    buf_done(&c->in);
    *c = ADMIN_CLIENT_NONE;
}
