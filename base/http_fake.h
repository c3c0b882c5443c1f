/* SPDX-License-Identifier: Apache-2.0 — http_fake.h: a small HTTP/1.1 server inside a test program.
 *
 * For tests only, hence all static. A thread accepts on an ephemeral loopback port, each connection
 * has a thread, and the test's handler writes raw bytes as the reply: so it can lie, cut and stall.
 */
#pragma once

#include "base/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#define HTTP_FAKE_CONNECTIONS_MAX   512
#define HTTP_FAKE_REQUEST_BYTES_MAX 65536

struct http_fake {
    int listener;
    unsigned port;
    pthread_t acceptor;
    pthread_t threads[HTTP_FAKE_CONNECTIONS_MAX];
    int fds[HTTP_FAKE_CONNECTIONS_MAX];
    size_t count;
    pthread_mutex_t lock; /* handlers take it for what they share with the test */
    /* request: header and body, NUL-terminated. False: close the connection. Connection thread. */
    bool (*handle)(struct http_fake *f, int fd, const char *request);
    void *user;
};

struct http_fake_connection {
    struct http_fake *fake;
    int fd;
};

/* False when the peer is gone. */
static UNUSED bool http_fake_send(int fd, struct str bytes) {
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return true;
}

/* Status line, headers (each ending in CRLF) and body with its length. */
static UNUSED bool http_fake_reply(int fd, const char *status, const char *headers,
                                   struct str body) {
    AUTO_FREE char *head =
        xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, body.n, headers);
    return http_fake_send(fd, str_of(head)) && http_fake_send(fd, body);
}

/* The value of a request's header into fresh memory, or NULL. */
static UNUSED char *http_fake_header(const char *request, const char *name) {
    AUTO_FREE char *key = xasprintf("\n%s: ", name);
    const char *at = strcasestr(request, key);
    if (!at) return NULL;
    at += strlen(key);
    return xasprintf("%.*s", (int)strcspn(at, "\r\n"), at);
}

/* True when the peer has closed: how a stalling handler waits. */
static UNUSED void http_fake_wait_close(int fd) {
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

static bool http_fake_whole(const char *request) {
    const char *end = strstr(request, "\r\n\r\n");
    if (!end) return false;
    AUTO_FREE char *length = http_fake_header(request, "content-length");
    uint64_t n = 0;
    return !length || (str_u64(str_of(length), &n) == 0 && strlen(end + 4) >= n);
}

static void *http_fake_serve(void *user) {
    struct http_fake_connection *c = user;
    AUTO_FREE char *request = xmalloc(HTTP_FAKE_REQUEST_BYTES_MAX + 1);
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(c->fd, request + n, HTTP_FAKE_REQUEST_BYTES_MAX - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        request[n] = '\0';
        if (!http_fake_whole(request)) continue;
        if (!c->fake->handle(c->fake, c->fd, request)) break;
        n = 0;
    }
    (void)shutdown(c->fd, SHUT_RDWR);
    free(c);
    return NULL;
}

static void *http_fake_accept(void *user) {
    struct http_fake *f = user;
    while (f->count < HTTP_FAKE_CONNECTIONS_MAX) {
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0) break;
        struct http_fake_connection *c = xnew(struct http_fake_connection);
        *c = (struct http_fake_connection){f, fd};
        f->fds[f->count] = fd;
        if (pthread_create(&f->threads[f->count++], NULL, http_fake_serve, c) != 0) abort();
    }
    return NULL;
}

static UNUSED struct http_fake *http_fake_start(bool (*handle)(struct http_fake *, int,
                                                               const char *),
                                                void *user) {
    struct http_fake *f = xnew(struct http_fake);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(address);
    f->handle = handle;
    f->user = user;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pthread_mutex_init(&f->lock, NULL) != 0 ||
        bind(f->listener, (struct sockaddr *)&address, n) < 0 || listen(f->listener, 64) < 0 ||
        getsockname(f->listener, (struct sockaddr *)&address, &n) < 0 ||
        pthread_create(&f->acceptor, NULL, http_fake_accept, f) != 0)
        abort();
    f->port = ntohs(address.sin_port);
    return f;
}

static UNUSED void http_fake_stop(struct http_fake *f) {
    if (!f) return;
    (void)shutdown(f->listener, SHUT_RDWR);
    (void)pthread_join(f->acceptor, NULL);
    (void)close(f->listener);
    for (size_t i = 0; i < f->count; i++) (void)shutdown(f->fds[i], SHUT_RDWR);
    for (size_t i = 0; i < f->count; i++) {
        (void)pthread_join(f->threads[i], NULL);
        (void)close(f->fds[i]);
    }
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}
