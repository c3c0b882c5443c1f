/* SPDX-License-Identifier: Apache-2.0 — tls.h: the server's side of TLS 1.2 and 1.3, without I/O.
 *
 * A session takes the peer's bytes and gives bytes for the peer; sockets are the caller's. OpenSSL
 * is behind it. What it costs in memory while nothing moves is the session alone: the caller's
 * buffers and OpenSSL's record buffers are free then. A session belongs to one thread at a time; a
 * config may be shared by threads, but not while it is reloaded. Source: RFC 8446, RFC 5246, RFC
 * 7301. */
#pragma once

#include "base/err.h"

#include <sys/types.h>

#define TLS_RECORD_BYTES 16384 /* plain bytes of one record */
/* Room for one record of TLS_RECORD_BYTES with all that is around it. */
#define TLS_RECORD_ROOM (TLS_RECORD_BYTES + 512)

struct tls_config;
struct tls;

/* cert: path of a PEM file with the certificate and what chains it up; key: its private key in PEM
 * without passphrase. Protocol by ALPN: http/1.1 or http/1.0; a client that offers others only is
 * refused. INVALID: not such files, or they do not belong together; NOT_FOUND, DENIED, IO. */
int tls_config_load(const char *cert, const char *key, struct tls_config **out,
                    struct err *e) MUST_CHECK;
/* The same for sessions that begin from now on; when it fails, all stays as it is. */
int tls_config_reload(struct tls_config *c, const char *cert, const char *key,
                      struct err *e) MUST_CHECK;
/* Sessions that still run are not affected. NULL-safe. */
void tls_config_free(struct tls_config *c);

/* Bytes for the peer, in the caller's memory. */
struct tls_out {
    char *p;
    size_t n, bytes_max;
};

struct tls *tls_new(struct tls_config *c);
void tls_free(struct tls *t); /* NULL-safe */
/* Decrypts what the peer sent: takes what it needs off the front of *in. The handshake happens by
 * itself in here. Returns the number of plain bytes (at most n), 0 when the peer has ended the
 * session, -EAGAIN when more of the peer's bytes are needed (*in is used up then) or when there is
 * no room in out, -EPROTO when the session failed. Each call may put bytes for the peer into out.
 */
ssize_t tls_read(struct tls *t, struct str *in, struct tls_out *out, char *plain,
                 size_t n) MUST_CHECK;
/* Encrypts up to TLS_RECORD_BYTES of plain into out; returns how many, -EAGAIN when out has no room
 * (TLS_RECORD_ROOM is enough) or the handshake is not over, or -EPROTO. */
ssize_t tls_write(struct tls *t, struct str plain, struct tls_out *out) MUST_CHECK;
/* Says that nothing more will be written. */
void tls_end(struct tls *t, struct tls_out *out);
bool tls_is_open(const struct tls *t); /* the handshake is over */
bool tls_has_plain(
    const struct tls *t); /* tls_read() would give bytes without more of the peer's */
/* Why -EPROTO: static text of OpenSSL, or "". */
const char *tls_failure(const struct tls *t);
