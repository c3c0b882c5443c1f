/* SPDX-License-Identifier: Apache-2.0 — http_body.h: where a request's body ends, and what of it
 * are bytes of the body: sized and chunked framing with trailers.
 *
 * No I/O, no allocation: bytes in, pieces of them out. As strict as http_head.h and for the same
 * reason: a chunk's size is 1 to 16 hex digits and nothing else, line ends are CRLF, control bytes
 * are refused, and a trailer cannot hold what frames or routes a request. Chunk extensions are
 * skipped, within limits. One thread at a time. Source: RFC 9112 sections 6 and 7; RFC 9110 section
 * 6.5. */
#pragma once

#include "base/http_head.h"

#define HTTP_CHUNK_LINE_BYTES_MAX      256          /* size, extension and CRLF */
#define HTTP_CHUNK_EXTENSION_BYTES_MAX (16U << 10)  /* of all chunks of a body */
#define HTTP_CHUNK_BYTES_MAX           (1ULL << 62) /* the sum of all of them too */
#define HTTP_TRAILER_BYTES_MAX         4096         /* all lines */
#define HTTP_TRAILERS_MAX              16

enum http_body_event {
    HTTP_BODY_MORE,    /* *in is used up */
    HTTP_BODY_PIECE,   /* the piece is body */
    HTTP_BODY_END,     /* what *in still holds belongs to the next request */
    HTTP_BODY_REFUSED, /* see refusal; the connection cannot be used any more */
};

struct http_trailer_room {
    char bytes[HTTP_TRAILER_BYTES_MAX];
};

struct http_body {
    uint64_t left;  /* bytes of the body or of the present chunk that are to come */
    uint64_t total; /* bytes of the body that came */
    size_t trailer_count;
    struct http_field trailers[HTTP_TRAILERS_MAX]; /* views into the room, after HTTP_BODY_END */

    struct http_refusal refusal;
    /* The decoder's own. */
    int state;
    unsigned digits, line_bytes, extension_bytes;
    size_t trailer_bytes, trailer_at;
    struct http_trailer_room *room; /* borrowed */
};

/* A body as the head announces it; without length or chunks it is empty. room: for trailers, kept
 * as long as they are looked at. */
void http_body_init(struct http_body *b, const struct http_head *h, struct http_trailer_room *room);
/* Takes what it understands off the front of *in. A piece has piece_max bytes at most; it is a view
 * into *in's bytes. After END, again END; after REFUSED, again REFUSED. */
enum http_body_event http_body_next(struct http_body *b, struct str *in, size_t piece_max,
                                    struct str *out_piece) MUST_CHECK;
/* How many of the next bytes are certainly body, framing not among them: they may be received where
 * they are wanted and then shown to http_body_next(). */
uint64_t http_body_direct(const struct http_body *b);
/* True once HTTP_BODY_END was or would be returned without more input. */
bool http_body_ended(const struct http_body *b);
/* A trailer's value; .p is NULL when there is none. */
struct str http_body_trailer(const struct http_body *b, struct str name);
