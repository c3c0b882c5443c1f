/* SPDX-License-Identifier: Apache-2.0 — http_link.h: the bytes of one connection of the HTTP
 * server, encrypted or not.
 *
 * Never blocks. Tier (a): counts or -errno. Loop thread only. An encrypted link that has nothing to
 * keep holds no buffers: it borrows blocks of the server's. */
#pragma once

#include "base/tls.h"

#define HTTP_BLOCK_BYTES      (4 * TLS_RECORD_ROOM)
#define HTTP_SPARE_BLOCKS_MAX 32

struct http_block { /* encrypted bytes: [at, n) */
    struct http_block *next_spare;
    size_t at, n;
    char bytes[HTTP_BLOCK_BYTES];
};

struct http_blocks {
    struct http_block *spares; /* owned */
    size_t spare_count;
};

struct http_link {
    int fd;                      /* owned; -1 when closed */
    struct tls *tls;             /* owned; NULL: not encrypted */
    struct http_blocks *blocks;  /* borrowed */
    struct http_block *in, *out; /* owned; NULL when empty */
    uint64_t sent_bytes;         /* given to the socket */
    bool filled; /* the last recv of encrypted bytes left perhaps more in the socket */
};

/* Up to n bytes; 0 at the end of what the peer sends, -EAGAIN when there is nothing now. *out_more:
 * there may be more at once, so it is worth asking again before the socket says so. */
ssize_t http_link_recv(struct http_link *k, char *out, size_t n, bool *out_more) MUST_CHECK;
/* What the socket has, without taking it: 1 bytes, 0 the end, or -errno. */
int http_link_peek(struct http_link *k) MUST_CHECK;
/* Takes from the front of the pieces what it can send, in order; returns how many bytes that were,
 * or -EAGAIN when it was none. more: further bytes follow at once. */
ssize_t http_link_send(struct http_link *k, struct str *pieces, size_t count, bool more) MUST_CHECK;
/* Up to n bytes of the file fd from offset; 0 at the end of the file. */
ssize_t http_link_send_file(struct http_link *k, int fd, uint64_t offset, size_t n) MUST_CHECK;
/* Sends what was taken but not sent yet: 0, or -EAGAIN, or -errno. */
int http_link_flush(struct http_link *k) MUST_CHECK;
/* How much of what was sent the peer has acknowledged. */
uint64_t http_link_acknowledged(const struct http_link *k);
/* The handshake is still to come or under way. */
bool http_link_shakes_hands(const struct http_link *k);
/* Tells the peer that nothing more comes. */
void http_link_end(struct http_link *k);
void http_link_close(struct http_link *k); /* idempotent */
void http_blocks_done(struct http_blocks *b);
