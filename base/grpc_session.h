/* SPDX-License-Identifier: Apache-2.0 — grpc_session.h: the server's end of one HTTP/2 connection
 * that carries unary gRPC calls; bytes in, events and bytes out, no I/O.
 *
 * Feed what was read, then take events until there is none, then take output; replying makes more
 * output. Requests that break HTTP/2 or gRPC rules are answered here and give no event. nghttp2 is
 * wrapped here alone and is never entered from its own callbacks. One thread at a time.
 * Sources: RFC 9113; grpc doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md. */
#pragma once

#include "base/buf.h"
#include "base/grpc.h"
#include "base/grpc_frame.h"

#define GRPC_STREAMS_MAX 1000 /* open at a time on one connection */
#define GRPC_HEADER_BYTES_MAX                                                                      \
    (16 * 1024) /* of a request's header list, as RFC 9113 6.5.2 counts                            \
                 */
#define GRPC_PATH_BYTES_MAX 256
/* Streams that a client opens and resets at once: so many in a burst, then so many per second; what
 * is over it ends the connection (the "rapid reset" attack, CVE-2023-44487). */
#define GRPC_RESET_BURST_MAX       1000
#define GRPC_RESETS_PER_S_MAX      100
#define GRPC_ACKS_MAX              1000                /* queued answers to SETTINGS and PING */
#define GRPC_SETTINGS_MAX          32                  /* entries of one SETTINGS frame */
#define GRPC_REPLIES_BYTES_MAX     ((size_t)64 << 20)  /* waiting for one client to read them */
#define GRPC_REQUESTS_BYTES_MAX    ((size_t)256 << 20) /* half-received, all connections together */
#define GRPC_OUTPUT_BYTES_PER_TAKE ((size_t)256 << 10) /* grpc_session_output() stops there */

/* What all connections of a server share. */
struct grpc_budget {
    size_t message_bytes_max;  /* of one request */
    size_t requests_bytes_max; /* of all requests that are being received */
    size_t requests_bytes_used;
};

struct grpc_session;
struct grpc_stream;

enum grpc_event {
    GRPC_EVENT_NONE,
    GRPC_EVENT_HEAD,    /* the path is known: the stream may be refused before its message came */
    GRPC_EVENT_REQUEST, /* the message is complete; reply is awaited */
    GRPC_EVENT_CLOSED   /* the stream ended, by our reply or by the client; gone at the next call */
};

/* budget: borrowed, outlives the session. */
struct grpc_session *grpc_session_new(struct grpc_budget *budget);
/* 0 or -EPROTO: the peer does not speak HTTP/2, or floods; close the connection. */
int grpc_session_feed(struct grpc_session *s, const uint8_t *bytes, size_t n) MUST_CHECK;
/* Takes the next event; out_stream is borrowed until its GRPC_EVENT_CLOSED. */
enum grpc_event grpc_session_event(struct grpc_session *s, struct grpc_stream **out_stream);
/* Appends waiting output to out, about GRPC_OUTPUT_BYTES_PER_TAKE at most: call again until
 * nothing is appended. 0 or -EPROTO. Take events again afterwards. */
int grpc_session_output(struct grpc_session *s, struct buf *out) MUST_CHECK;
/* Nothing will be read or written any more. */
bool grpc_session_over(struct grpc_session *s);
/* Tells the client to open no more streams; those that are open go on. Idempotent. */
void grpc_session_goaway(struct grpc_session *s);
/* Gives GRPC_EVENT_CLOSED for every open stream; only events and free may follow. */
void grpc_session_abort(struct grpc_session *s);
void grpc_session_free(struct grpc_session *s);

/* "/runtime.v1.RuntimeService/Version"; what is longer than GRPC_PATH_BYTES_MAX is cut. */
struct str grpc_stream_path(const struct grpc_stream *st);
/* clock_ns() at which the client gives up, or UINT64_MAX. */
uint64_t grpc_stream_deadline_ns(const struct grpc_stream *st);
/* Hands the message over; once, after GRPC_EVENT_REQUEST. */
struct buf grpc_stream_take_message(struct grpc_stream *st);
/* A pointer of the caller's, NULL at first. */
void **grpc_stream_user(struct grpc_stream *st);

/* Answers with a message. framed: malloc'd, prefix included, owned by the stream from here on. */
void grpc_stream_reply(struct grpc_stream *st, uint8_t *framed, size_t n);
/* Answers with an error. Either answer is given once; a second one is ignored. */
void grpc_stream_fail(struct grpc_stream *st, enum grpc_code code, struct str message);
