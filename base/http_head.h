/* SPDX-License-Identifier: Apache-2.0 — http_head.h: the strict parser of a request's head: its
 * line and its header fields.
 *
 * No I/O, no allocation: bytes in, a head or a refusal out. Two servers that read one request
 * differently are what request smuggling is made of, so whatever has two readings is refused, and
 * the connection must be closed after a refusal. Refused with 400 are: a CR without LF and an LF
 * without CR, NUL and control bytes, folded lines, white space before the colon, a missing, double
 * or malformed Host, an absolute target with another host than Host, Content-Length beside
 * Transfer-Encoding, twice, with sign, list, leading zero or more than 18 digits, a
 * Transfer-Encoding other than "chunked" alone or in HTTP/1.0, and a second one of the fields that
 * have a single value (http_head.c has the list). 414 and 431: a limit below; 417: an Expect other
 * than 100-continue; 501: CONNECT; 505: not HTTP/1.0 or 1.1.
 * One thread at a time. Source: RFC 9112; RFC 9110 sections 5, 7.2, 10.1.1. */
#pragma once

#include "base/http_field.h"
#include "base/http_uri.h"

#define HTTP_HEAD_BYTES_MAX   (32U << 10) /* line, fields and the empty line */
#define HTTP_LINE_BYTES_MAX   (16U << 10) /* the request line with its CRLF */
#define HTTP_FIELD_BYTES_MAX  (16U << 10) /* one field's line with its CRLF */
#define HTTP_FIELDS_MAX       100
#define HTTP_METHOD_BYTES_MAX 32
#define HTTP_LENGTH_DIGITS    18 /* of Content-Length: fits in int64_t whatever the digits are */

enum http_verb {
    HTTP_VERB_GET,
    HTTP_VERB_HEAD,
    HTTP_VERB_PUT,
    HTTP_VERB_POST,
    HTTP_VERB_DELETE,
    HTTP_VERB_OPTIONS,
    HTTP_VERB_OTHER
};

struct http_refusal {
    unsigned status; /* 4xx or 5xx */
    const char *why; /* static text, a noun phrase for people */
};

struct http_head { /* views into the bytes that were fed */
    enum http_verb verb;
    struct str method;
    struct str target; /* as sent: signatures are made over it */
    struct http_uri uri;
    struct http_host host; /* of an HTTP/1.0 request without Host: empty */
    unsigned minor;        /* HTTP/1.x */
    bool keep_alive;       /* what the client wants */
    bool expects_continue;
    bool chunked;
    bool has_length;
    uint64_t length; /* of the body; 0 when chunked */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX]; /* in the order of arrival */

    struct http_refusal refusal; /* after http_head_feed() gave -1 */
    /* The parser's own. */
    size_t line_at, scanned;
    bool has_line;
    uint32_t seen; /* of the fields that may come once */
};

void http_head_init(struct http_head *h);
/* bytes: all that was received since the request's beginning, at the same address each time, n
 * never smaller. Returns the head's length once it is complete (what follows is the body), 0 when
 * more bytes are needed, -1 when it is refused. After a length or -1, init before the next feed.
 * One empty line before the request line is skipped (RFC 9112 section 2.2). */
ssize_t http_head_feed(struct http_head *h, const char *bytes, size_t n) MUST_CHECK;

/* The nth (from 0) field of this name, in any case; NULL when there is none. Fields that may come
 * once (see above) never have a second; of all others the caller decides what a second one means.
 */
const struct http_field *http_head_nth(const struct http_head *h, struct str name, size_t nth);
/* The first value; .p is NULL when there is none. */
struct str http_head_value(const struct http_head *h, struct str name);
