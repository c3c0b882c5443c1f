/* SPDX-License-Identifier: Apache-2.0 — http_server.h: an HTTP/1.1 server on the event loop.
 *
 * Connections are kept alive and may be pipelined; requests of one connection are served one after
 * the other. Heads and bodies are read as strictly as http_head.h and http_body.h say; what they
 * refuse is answered here and the connection closed.
 *
 * A call is one request and its reply. It is always either the handler's turn or the server's:
 *   on_request -> handler -> read, or reply -> server -> on_body, on_more, or on_done
 * Each function that gives the turn away (http_call_read, _reply, _reply_file, _reply_pieces,
 * _send, _fail) ends in exactly one callback, never from inside itself; on_done is the last and
 * comes exactly once for each call whose handler was set. When the client goes away in the
 * handler's turn nothing happens before the handler gives it away: it must, in every call, at any
 * later time. So a call is valid until on_done, however long a worker is busy for it.
 *
 * A connection that waits for its next request holds no buffers. Loop thread only, unless said
 * otherwise; callbacks come from the loop. SIGPIPE is not raised. Source: RFC 9110, RFC 9112. */
#pragma once

#include "base/http_body.h"
#include "base/http_reply.h"
#include "base/loop.h"
#include "base/tls.h"

#define HTTP_LISTENERS_MAX     16
#define HTTP_DRAIN_BYTES_MAX   (64U << 10) /* of a body that the handler left: read to keep alive */
#define HTTP_CALL_ID_CHARS     16
#define HTTP_REFUSAL_BYTES_MAX 512 /* of the body of a refusal */
#define HTTP_PEER_CHARS        64
#define HTTP_LINGER_BYTES_MAX                                                                      \
    (1U << 20) /* read and dropped after a reply that ends a connection                            \
                */

struct http_server;
struct http_call;

struct http_limits {                      /* 0: the default */
    uint32_t connections_max;             /* 10,000; more are closed at once */
    uint32_t connections_per_address_max; /* 10,000; of an IPv4 address or an IPv6 /64 */
    uint32_t head_ms;                     /* 10,000: from a request's first byte to its whole head;
                                             also from connect to the first byte,
                                             TLS handshake included */
    uint32_t idle_ms;                     /* 75,000: between two requests */
    uint32_t body_window_ms;              /* 20,000: while a body is waited for, each window ... */
    uint32_t body_bytes_per_s_min;        /* 512: ... must bring so much on average */
    uint32_t write_window_ms;             /* 30,000: while a reply waits for the client, each
                                             window ... */
    uint32_t write_bytes_per_s_min;       /* 512: ... must see so much acknowledged on average */
    uint32_t linger_ms;                   /* 2,000: for the client to read a reply that ends the
                                             connection while it still sends */
};

/* What is known of a call that is over, for access logs and metrics. Borrowed for the call. */
struct http_access {
    struct str id;
    const char *peer;             /* as of http_call_peer() */
    const struct http_head *head; /* NULL: the head was refused */
    unsigned status;              /* 0: no reply was begun */
    uint64_t received_bytes;      /* of the body, without framing */
    uint64_t sent_bytes;          /* of the reply's body, without framing */
    int64_t at_wall_ns;           /* when the head was complete */
    uint64_t took_ns;             /* from then to the reply's last byte */
    uint64_t first_byte_ns;       /* from then to the reply's first one */
    bool encrypted;
    const struct err *error; /* NULL: the reply was given to the kernel whole */
};

struct http_options {
    void *user;
    /* A request's head is here. The handler has the turn. */
    void (*on_request)(void *user, struct http_call *c);
    void (*on_access)(void *user, const struct http_access *a); /* may be NULL */
    /* Makes the body of a reply that the server itself gives, because it refused a request: writes
     * at most bytes_max bytes into out and returns how many. NULL: a line of text. */
    size_t (*refusal)(void *user, const struct http_refusal *r, struct str id, char *out,
                      size_t bytes_max);
    const char *refusal_type; /* of it; NULL: "text/plain". Borrowed */
    struct http_limits limits;
};

struct http_counts {
    uint64_t connections; /* now */
    uint64_t calls;       /* now: requests that are being read or served */
    uint64_t accepted, over_limit, over_address_limit, timed_out, refused, requests; /* ever */
};

struct http_server *http_server_new(struct loop *l, const struct http_options *o);
/* where: "1.2.3.4:80", "[::1]:80", ":80" (IPv4 and IPv6) or "unix:/path" (mode 0600; a socket file
 * that nobody serves is replaced; it stays after the end, as the next start replaces it). Port 0:
 * the kernel chooses. out_port may be NULL. INVALID, IO, BUSY (in use), LIMIT (HTTP_LISTENERS_MAX).
 */
int http_server_listen(struct http_server *s, const char *where, uint16_t *out_port,
                       struct err *e) MUST_CHECK;
/* The same, encrypted. tls: borrowed until the server is freed; may be reloaded meanwhile. */
int http_server_listen_tls(struct http_server *s, const char *where, struct tls_config *tls,
                           uint16_t *out_port, struct err *e) MUST_CHECK;
/* Accepts no more, closes connections that are idle, lets calls that run end; after grace_ms breaks
 * them off. done is called once, when none is left or the grace is over. */
void http_server_stop(struct http_server *s, uint64_t grace_ms, void (*done)(void *user),
                      void *user);
/* Breaks everything off; not from a callback of this server. Calls in the server's turn end in
 * on_done with CANCELLED before it returns; those in the handler's turn stay valid until it has
 * given the turn away. NULL-safe. */
void http_server_free(struct http_server *s);
void http_server_counts(const struct http_server *s, struct http_counts *out);

/* ---- a call ---- */

struct http_handler {
    /* The end of http_call_read(): n bytes are in its buffer, fewer than asked for only when `end`:
     * the body is complete, http_call_trailer() is valid. The handler has the turn. */
    void (*on_body)(void *user, struct http_call *c, size_t n, bool end);
    /* The next piece of the reply is wanted, and the one before may be reused. The handler has the
     * turn. */
    void (*on_more)(void *user, struct http_call *c);
    /* The last of a call. e: NULL when the reply was given to the kernel whole, else CANCELLED (the
     * client or the server went away), TIMEOUT, INVALID (the body was malformed), IO, or what the
     * handler failed with. */
    void (*on_done)(void *user, struct http_call *c, const struct err *e);
};

/* To be set in on_request before the turn is given away; NULL: there is nothing to be told. */
void http_call_handle(struct http_call *c, const struct http_handler *h, void *user);

const struct http_head *http_call_head(const struct http_call *c); /* valid until on_done */
struct str http_call_id(const struct http_call *c); /* HTTP_CALL_ID_CHARS, unlike any other's */
/* "1.2.3.4:567", "[::1]:567" or "unix"; valid until on_done. */
const char *http_call_peer(struct http_call *c);
bool http_call_encrypted(const struct http_call *c);
/* The client is known to have gone: work for it is in vain. The turn must still be given away. */
bool http_call_gone(const struct http_call *c);
bool http_call_has_body(const struct http_call *c); /* and it was not read to its end */

/* Gives the turn to read at least bytes_min (>= 1) and at most bytes_max bytes of the body into
 * out, which stays the handler's and must live until on_body or on_done. The first read answers an
 * Expect: 100-continue: until then a client that asked sends no body. */
void http_call_read(struct http_call *c, char *out, size_t bytes_min, size_t bytes_max);
/* After on_body with `end`: a trailer's value, .p NULL when there is none. */
struct str http_call_trailer(const struct http_call *c, struct str name);

struct http_answer { /* all is copied */
    unsigned status; /* 200 to 599 */
    const struct http_field *fields;
    size_t field_count;
    bool close; /* end the connection after it */
};
/* Give the turn to reply; once per call, at any time, even when the body was not read. A reply that
 * cannot be written (see http_reply_encode()) becomes a 500 and the call fails with that error. To
 * a HEAD request give what a GET would get: no body goes out, and on_more is not called. */

/* body: borrowed until on_done. */
void http_call_reply(struct http_call *c, const struct http_answer *a, struct str body);
/* length bytes of fd from offset, which must be there; fd is borrowed until on_done. Reading it may
 * block the loop when it is not cached: for files of a program, not for stored data. */
struct http_range {
    int fd;
    uint64_t offset, length;
};
void http_call_reply_file(struct http_call *c, const struct http_answer *a, struct http_range r);
/* The body comes from on_more and http_call_send(). length: exact, or HTTP_LENGTH_UNKNOWN. */
void http_call_reply_pieces(struct http_call *c, const struct http_answer *a, uint64_t length);

enum http_piece { HTTP_PIECE, HTTP_LAST_PIECE };
/* In the turn of on_more: the next piece, borrowed until the next callback. Pieces of a known
 * length add up to it and the last one ends there; an empty piece that is not the last is refused
 * (assert).
 */
void http_call_send(struct http_call *c, struct str bytes, enum http_piece which);
/* Breaks the connection off, so that the client cannot take what it has for the whole. */
void http_call_fail(struct http_call *c, const struct err *e);
