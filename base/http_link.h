/* SPDX-License-Identifier: Apache-2.0 — http_link.h: the bytes of one connection of the HTTP
 * server.
 *
 * Never blocks. Tier (a): counts or -errno. Loop thread only. */
#pragma once

#include "base/own.h"
#include "base/str.h"

#include <sys/types.h>

struct http_link {
    int fd; /* owned; -1 when closed */
};

/* Up to n bytes; 0 at the end of what the peer sends, -EAGAIN when there is nothing now. *out_more:
 * there may be more at once, so it is worth asking again before the socket says so. */
ssize_t http_link_recv(struct http_link *k, char *out, size_t n, bool *out_more) MUST_CHECK;
/* What a recv would find, without taking it: 1 bytes, 0 the end, or -errno. */
int http_link_peek(struct http_link *k) MUST_CHECK;
/* Takes from the front of the pieces what it can send, in order; returns how many bytes that were,
 * or -EAGAIN when it was none. more: further bytes follow at once. */
ssize_t http_link_send(struct http_link *k, struct str *pieces, size_t count, bool more) MUST_CHECK;
/* Up to n bytes of the file fd from offset; 0 at the end of the file. */
ssize_t http_link_send_file(struct http_link *k, int fd, uint64_t offset, size_t n) MUST_CHECK;
/* Tells the peer that nothing more comes. */
void http_link_end(struct http_link *k);
void http_link_close(struct http_link *k); /* idempotent */
