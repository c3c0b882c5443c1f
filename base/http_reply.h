/* SPDX-License-Identifier: Apache-2.0 — http_reply.h: the encoder of a reply's head.
 *
 * No I/O, no allocation. Fields of the caller that hold a control byte are refused, so that nothing
 * that came from a request can end a header early and begin another (header injection, response
 * splitting). What frames the reply is written here and nowhere else. Any thread. Source: RFC 9112
 * sections 4 and 6, RFC 9110 sections 6.4 and 15. */
#pragma once

#include "base/err.h"
#include "base/http_field.h"

#include <sys/types.h>

#define HTTP_REPLY_HEAD_BYTES_MAX (16U << 10)

/* Instead of a length: it is not known before the end, so the body goes out in chunks. */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

struct http_reply_head {
    unsigned status; /* 200 to 599 */
    struct str date; /* IMF-fixdate */
    const struct http_field *fields;
    size_t field_count;
    uint64_t length; /* of the body; of one to a HEAD request: what a GET would have got */
    unsigned minor;  /* HTTP/1.x of the request: 1.0 knows no chunks */
    bool head_only;  /* the request was HEAD */
    bool close;      /* the connection ends with this reply */
};

/* How the body of a reply goes out. */
enum http_framing { HTTP_NO_BODY, HTTP_SIZED, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

/* HEAD, 204 and 304 have none. */
enum http_framing http_reply_framing(const struct http_reply_head *r);
/* Writes status line, fields and the empty line into out; returns the length, or -1: INVALID (a
 * name that is no token, a control byte in a value, or a field that only the server writes:
 * Connection, Content-Length, Date, Transfer-Encoding, Keep-Alive, Upgrade, Trailer), LIMIT (longer
 * than out_bytes_max). */
ssize_t http_reply_encode(const struct http_reply_head *r, char *out, size_t out_bytes_max,
                          struct err *e) MUST_CHECK;
/* "Not Found"; "Unknown" for a status without a name. Static storage. */
const char *http_status_text(unsigned status);
