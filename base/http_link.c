/* SPDX-License-Identifier: Apache-2.0 — http_link.c: system calls on a socket, and TLS between them
 * and the bytes.
 *
 * Encrypted input lies in `in` until the session has taken it, encrypted output in `out` until the
 * socket has. Plain bytes count as sent when they are encrypted; http_link_flush() says when they
 * are gone. Small pieces are gathered into one record, large ones encrypted where they lie, a few
 * records per system call. */
#include "base/http_link.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES_MAX     4
#define RECVS_PER_CALL 4 /* of encrypted bytes that hold no plain ones: the rest waits its turn */

/* ---- blocks ---- */

static struct http_block *take_block(struct http_blocks *b) {
    struct http_block *block = b->spares;
    if (block) {
        b->spares = block->next_spare;
        b->spare_count--;
    } else {
        block = xrealloc(NULL, sizeof *block);
    }
    block->at = block->n = 0;
    return block;
}

static void give_block(struct http_blocks *b, struct http_block **block) {
    struct http_block *given = STEAL(*block);
    if (!given) return;
    if (b->spare_count == HTTP_SPARE_BLOCKS_MAX) {
        free(given);
        return;
    }
    given->next_spare = b->spares;
    b->spares = given;
    b->spare_count++;
}

void http_blocks_done(struct http_blocks *b) {
    for (struct http_block *block = b->spares, *next; block; block = next) {
        next = block->next_spare;
        free(block);
    }
    *b = (struct http_blocks){0};
}

/* ---- the socket ---- */

static ssize_t recv_raw(int fd, char *out, size_t n, int flags) {
    ssize_t r;
    do r = recv(fd, out, n, flags);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int http_link_peek(struct http_link *k) {
    char byte;
    return (int)recv_raw(k->fd, &byte, 1, MSG_PEEK);
}

/* Drops the first n bytes of the pieces. */
static void advance(struct str *pieces, size_t count, size_t n) {
    for (size_t i = 0; i < count && n > 0; i++) {
        size_t taken = pieces[i].n < n ? pieces[i].n : n;
        pieces[i] = str_sub(pieces[i], taken, pieces[i].n);
        n -= taken;
    }
}

static ssize_t send_raw(struct http_link *k, struct str *pieces, size_t count, bool more) {
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
    k->sent_bytes += (size_t)n;
    return n;
}

uint64_t http_link_acknowledged(const struct http_link *k) {
    int waiting = 0;
    if (ioctl(k->fd, SIOCOUTQ, &waiting) < 0 || waiting < 0) return k->sent_bytes;
    return (uint64_t)waiting < k->sent_bytes ? k->sent_bytes - (uint64_t)waiting : 0;
}

int http_link_flush(struct http_link *k) {
    while (k->out && k->out->n > k->out->at) {
        struct str rest = str_make(k->out->bytes + k->out->at, k->out->n - k->out->at);
        ssize_t n = send_raw(k, &rest, 1, false);
        if (n < 0) return (int)n;
        k->out->at += (size_t)n;
    }
    if (k->out) give_block(k->blocks, &k->out);
    return 0;
}

/* ---- encrypted ---- */

/* Room for output behind what waits already. */
static struct tls_out room_of(struct http_link *k) {
    if (!k->out) k->out = take_block(k->blocks);
    return (struct tls_out){k->out->bytes, k->out->n, sizeof k->out->bytes};
}

/* One step: what the session makes of the input that is here. */
static ssize_t decrypt(struct http_link *k, char *plain, size_t n) {
    struct str in = k->in ? str_make(k->in->bytes + k->in->at, k->in->n - k->in->at) : STR("");
    struct tls_out out = room_of(k);
    ssize_t r = tls_read(k->tls, &in, &out, plain, n);
    k->out->n = out.n;
    if (k->in) k->in->at = k->in->n - in.n;
    if (k->in && in.n == 0) give_block(k->blocks, &k->in);
    int flushed = http_link_flush(k); /* a handshake's next message, a ticket, an alert */
    return flushed < 0 && flushed != -EAGAIN ? flushed : r;
}

static ssize_t recv_encrypted(struct http_link *k, char *plain, size_t n, bool *out_more) {
    for (unsigned recvs = 0;; recvs++) {
        ssize_t r = decrypt(k, plain, n);
        *out_more = r > 0 && (k->in || k->filled || tls_has_plain(k->tls));
        if (r != -EAGAIN || k->in || recvs == RECVS_PER_CALL) return r;
        k->in = take_block(k->blocks);
        r = recv_raw(k->fd, k->in->bytes, sizeof k->in->bytes, 0);
        k->filled = r == (ssize_t)sizeof k->in->bytes;
        if (r > 0) k->in->n = (size_t)r;
        if (r <= 0) give_block(k->blocks, &k->in);
        if (r <= 0) return r;
    }
}

/* At most one record from the front of the pieces: their bytes where they lie when the first piece
 * fills it, else gathered in `room`. */
static struct str gather(const struct str *pieces, size_t count, char *room) {
    size_t n = 0;
    for (size_t i = 0; i < count && n < TLS_RECORD_BYTES; i++) {
        if (n == 0 && pieces[i].n >= TLS_RECORD_BYTES)
            return str_sub(pieces[i], 0, TLS_RECORD_BYTES);
        size_t left = TLS_RECORD_BYTES - n;
        size_t part = pieces[i].n < left ? pieces[i].n : left;
        if (part) memcpy(room + n, pieces[i].p, part);
        n += part;
    }
    return str_make(room, n);
}

/* Encrypts records of the pieces as long as they fit; returns the plain bytes taken. */
static ssize_t encrypt(struct http_link *k, struct str *pieces, size_t count) {
    char room[TLS_RECORD_BYTES];
    ssize_t taken = 0;
    for (;;) {
        struct str record = gather(pieces, count, room);
        if (record.n == 0) return taken;
        struct tls_out out = room_of(k);
        ssize_t r = tls_write(k->tls, record, &out);
        k->out->n = out.n;
        if (r < 0) return taken > 0 && r == -EAGAIN ? taken : r;
        advance(pieces, count, (size_t)r);
        taken += r;
    }
}

static ssize_t send_encrypted(struct http_link *k, struct str *pieces, size_t count) {
    int r = http_link_flush(k);
    if (r < 0) return r;
    ssize_t taken = encrypt(k, pieces, count);
    r = http_link_flush(k);
    return r < 0 && r != -EAGAIN ? r : taken;
}

/* ---- either ---- */

ssize_t http_link_recv(struct http_link *k, char *out, size_t n, bool *out_more) {
    if (k->tls) return recv_encrypted(k, out, n, out_more);
    ssize_t r = recv_raw(k->fd, out, n, 0);
    *out_more = r == (ssize_t)n;
    return r;
}

ssize_t http_link_send(struct http_link *k, struct str *pieces, size_t count, bool more) {
    return k->tls ? send_encrypted(k, pieces, count) : send_raw(k, pieces, count, more);
}

ssize_t http_link_send_file(struct http_link *k, int fd, uint64_t offset, size_t n) {
    ssize_t r;
    off_t at = (off_t)offset;
    if (!k->tls) {
        do r = sendfile(k->fd, fd, &at, n);
        while (r < 0 && errno == EINTR);
        if (r > 0) k->sent_bytes += (size_t)r;
        return r < 0 ? -errno : r;
    }
    r = http_link_flush(k);
    if (r < 0) return r;
    char bytes[2 * TLS_RECORD_BYTES];
    do r = pread(fd, bytes, n < sizeof bytes ? n : sizeof bytes, at);
    while (r < 0 && errno == EINTR);
    if (r <= 0) return r < 0 ? -errno : 0;
    struct str piece = str_make(bytes, (size_t)r);
    return send_encrypted(k, &piece, 1);
}

bool http_link_shakes_hands(const struct http_link *k) { return k->tls && !tls_is_open(k->tls); }

void http_link_end(struct http_link *k) {
    if (k->tls) {
        struct tls_out out = room_of(k);
        tls_end(k->tls, &out);
        k->out->n = out.n;
        if (http_link_flush(k) < 0) return; /* then the end comes with the close */
    }
    (void)shutdown(k->fd, SHUT_WR);
}

void http_link_close(struct http_link *k) {
    if (k->fd >= 0) (void)close(STEAL_FD(k->fd));
    give_block(k->blocks, &k->in);
    give_block(k->blocks, &k->out);
    tls_free(STEAL(k->tls));
}
