/* SPDX-License-Identifier: Apache-2.0 — http_link.c: system calls on a socket. */
#include "base/http_link.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES_MAX 4

ssize_t http_link_recv(struct http_link *k, char *out, size_t n, bool *out_more) {
    ssize_t r;
    do r = recv(k->fd, out, n, 0);
    while (r < 0 && errno == EINTR);
    *out_more = r == (ssize_t)n;
    return r < 0 ? -errno : r;
}

int http_link_peek(struct http_link *k) {
    char byte;
    ssize_t r;
    do r = recv(k->fd, &byte, 1, MSG_PEEK);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : (int)r;
}

/* Drops the first n bytes of the pieces. */
static void advance(struct str *pieces, size_t count, size_t n) {
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t taken = pieces[i].n < n ? pieces[i].n : n;
        pieces[i] = str_sub(pieces[i], taken, pieces[i].n);
        n -= taken;
    }
}

ssize_t http_link_send(struct http_link *k, struct str *pieces, size_t count, bool more) {
    struct iovec iov[PIECES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < count && used < PIECES_MAX; i++)
        if (pieces[i].n) iov[used++] = (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].n};
    if (used == 0) return 0;
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = used};
    ssize_t n;
    do n = sendmsg(k->fd, &msg, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    advance(pieces, count, (size_t)n);
    return n;
}

ssize_t http_link_send_file(struct http_link *k, int fd, uint64_t offset, size_t n) {
    off_t at = (off_t)offset;
    ssize_t sent;
    do sent = sendfile(k->fd, fd, &at, n);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

void http_link_end(struct http_link *k) { (void)shutdown(k->fd, SHUT_WR); }

void http_link_close(struct http_link *k) {
    if (k->fd >= 0) (void)close(STEAL_FD(k->fd));
}
