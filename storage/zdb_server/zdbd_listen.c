/* SPDX-License-Identifier: Apache-2.0 — zdbd_listen.c */
#include "storage/zdb_server/zdbd_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 1024

void zdbd_sockets_done(struct zdbd_sockets *s) {
    for (size_t i = 0; i < s->count; i++) (void)close(s->fds[i]);
    s->count = 0;
}

static bool is_loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) return in6->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static void set_port(struct sockaddr *a, uint16_t port) {
    if (a->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0) return 0;
    if (a.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&a)->sin_port);
    return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
}

/* Tier (a): the descriptor. */
static int open_at(const struct addrinfo *at) {
    int on = 1;
    int off = 0;
    AUTO_CLOSE int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return -errno;
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) return -errno;
    return STEAL_FD(fd);
}

/* All addresses of one name; at least one must be there. */
static int open_name(const struct zdbd_listen *l, const char *name, struct zdbd_sockets *s,
                     struct err *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(name, NULL, &hints, &list);
    if (r != 0) return err_set(e, ERR_INVALID, "listen on '%s': %s", name, gai_strerror(r));
    int last = -EAFNOSUPPORT;
    size_t before = s->count;
    r = 0;
    for (struct addrinfo *at = list; at && r == 0 && s->count < ZDBD_LISTEN_FDS_MAX;
         at = at->ai_next) {
        if (!l->beyond_loopback && !is_loopback(at->ai_addr)) {
            r = err_set(e, ERR_DENIED,
                        "listen on '%s': without --admin PASSWORD everyone who connects is admin; "
                        "set one, listen on loopback, or say --open",
                        name);
            break;
        }
        set_port(at->ai_addr, s->port ? s->port : l->port);
        int fd = open_at(at);
        if (fd < 0) {
            last = fd;
            if (fd == -EADDRINUSE || fd == -EACCES) break;
            continue;
        }
        s->fds[s->count++] = fd;
        if (!s->port) s->port = port_of(fd);
    }
    freeaddrinfo(list);
    if (r == 0 && (s->count == before || last == -EADDRINUSE || last == -EACCES))
        r = err_sys(e, -last, "listen on '%s' port %u", name, s->port ? s->port : l->port);
    return r;
}

int zdbd_listen_tcp(const struct zdbd_listen *l, struct zdbd_sockets *s, struct err *e) {
    struct err other = {0};
    if (l->address && strcmp(l->address, "::") == 0) {
        if (open_name(l, "::", s, e) == 0) return 0;
        if (e->sys != EAFNOSUPPORT && e->sys != EADDRNOTAVAIL) return -1;
        return open_name(l, "0.0.0.0", s, e); /* a machine without IPv6 */
    }
    if (l->address) return open_name(l, l->address, s, e);
    if (open_name(l, "127.0.0.1", s, e) < 0) return -1;
    if (open_name(l, "::1", s, &other) == 0 || other.sys == EAFNOSUPPORT ||
        other.sys == EADDRNOTAVAIL)
        return 0;
    *e = other;
    return -1;
}

/* ---- unix ---- */

static int remove_stale(const char *path, const struct sockaddr_un *a, struct err *e) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "look for an old socket at '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_EXISTS, "listen on '%s': a file that is no socket is there", path);
    AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return err_sys(e, errno, "make a socket");
    if (connect(probe, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN)
        return err_set(e, ERR_BUSY, "listen on '%s': another process serves there; stop it first",
                       path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(e, errno, "remove the old socket '%s'", path);
    return 0;
}

int zdbd_listen_unix(const char *path, struct zdbd_sockets *s, struct err *e) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof a.sun_path)
        return err_set(e, ERR_INVALID, "listen on '%s': a socket's path has 1 to %zu bytes", path,
                       sizeof a.sun_path - 1);
    if (s->count == ZDBD_LISTEN_FDS_MAX) return err_set(e, ERR_LIMIT, "too many sockets");
    memcpy(a.sun_path, path, n);
    if (remove_stale(path, &a, e) < 0) return -1;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_sys(e, errno, "make a socket");
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) < 0)
        return err_sys(e, errno, "bind a socket to '%s'", path);
    if (listen(fd, BACKLOG) < 0) return err_sys(e, errno, "listen on '%s'", path);
    s->fds[s->count++] = STEAL_FD(fd);
    return 0;
}
