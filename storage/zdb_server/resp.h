/* SPDX-License-Identifier: Apache-2.0 — resp.h: the bytes of RESP version 2: requests in, replies
 * out.
 *
 * A request is an array of bulk strings: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n". Nothing else is taken
 * (inline commands, null bulks, nested arrays): what follows it could not be told from a request.
 * Bytes in, views into them out: no I/O, no memory, no state between calls, so large payloads are
 * copied by nobody here. Any thread.
 * Source: redis.io/docs/reference/protocol-spec; the limits are 0-db's (zdbd/redis.c). */
#pragma once

#include "base/buf.h"

#define RESP_ARGS_MAX          1024
#define RESP_BULK_BYTES_MAX    ((size_t)8 << 20)
#define RESP_REQUEST_BYTES_MAX (RESP_BULK_BYTES_MAX + ((size_t)512 << 10)) /* headers and all */

enum resp_result {
    RESP_MORE,    /* in ends within a request */
    RESP_REQUEST, /* args and bytes are set */
    RESP_BAD,     /* error is set; what comes behind it has no meaning: close */
};

struct resp_request {
    struct str args[RESP_ARGS_MAX]; /* views into the input */
    size_t count;                   /* may be 0: "*0" */
    size_t bytes;                   /* that the request takes of the input */
    size_t need;                    /* RESP_MORE: calling again before the input has so many bytes
                                     * gives RESP_MORE again; at most RESP_REQUEST_BYTES_MAX */
    const char *error;              /* static, without '-' and line end */
};

/* Looks at the first request in `in`. The whole is parsed again when more has come, but a payload
 * is skipped by its length and `need` says when it is worth it. */
enum resp_result resp_parse(struct str in, struct resp_request *r);

/* ---- replies: appended to out, which must have room (asserted: the caller keeps its limits) ----
 */

#define RESP_LINE_BYTES_MAX 32 /* of a number or a header, with its line end */

void resp_simple(struct buf *out, struct str text); /* "+OK" */
/* "-text"; line ends and other control characters within become spaces. */
void resp_error(struct buf *out, struct str text);
void resp_int(struct buf *out, int64_t n);
void resp_nil(struct buf *out);             /* "$-1" */
void resp_array(struct buf *out, size_t n); /* n replies follow */
void resp_bulk(struct buf *out, struct str bytes);
/* A bulk in parts: the header, n bytes by the caller, the end. */
void resp_bulk_head(struct buf *out, size_t n);
void resp_bulk_end(struct buf *out);
