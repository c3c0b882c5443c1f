/* SPDX-License-Identifier: Apache-2.0 — resp.c: RESP without I/O. */
#include "storage/zdb_server/resp.h"

#include <assert.h>

#define DIGITS_MAX 10 /* of a length or a count: more is over every limit */

/* Takes "<mark><digits>\r\n" at *at. 1: *out is the number; 0: in ends within it; -1: it is
 * something else. */
static int take_number(struct str in, size_t *at, char mark, size_t *out) {
    size_t i = *at;
    if (i == in.n) return 0;
    if (in.p[i++] != mark) return -1;
    size_t value = 0;
    size_t first = i;
    while (i < in.n && in.p[i] >= '0' && in.p[i] <= '9' && i - first < DIGITS_MAX)
        value = value * 10 + (size_t)(in.p[i++] - '0');
    if (i == in.n) return 0;
    if (i == first || in.p[i] != '\r') return -1;
    if (++i == in.n) return 0;
    if (in.p[i] != '\n') return -1;
    *at = i + 1;
    *out = value;
    return 1;
}

static enum resp_result bad(struct resp_request *r, const char *error) {
    r->error = error;
    return RESP_BAD;
}

static enum resp_result more(struct resp_request *r, size_t need) {
    r->need = need;
    return RESP_MORE;
}

/* One argument at *at. */
static enum resp_result take_arg(struct str in, size_t *at, struct resp_request *r) {
    size_t n = 0;
    int got = take_number(in, at, '$', &n);
    if (got < 0) return bad(r, "Protocol error: expected the length of a bulk string");
    if (got == 0) return more(r, in.n + 1);
    if (n > RESP_BULK_BYTES_MAX) return bad(r, "Protocol error: a payload has at most 8 MiB");
    if (*at + n + 2 > RESP_REQUEST_BYTES_MAX)
        return bad(r, "Protocol error: the request is too large");
    if (in.n - *at < n + 2) return more(r, *at + n + 2);
    if (in.p[*at + n] != '\r' || in.p[*at + n + 1] != '\n')
        return bad(r, "Protocol error: a bulk string is longer than its length says");
    r->args[r->count++] = str_make(in.p + *at, n);
    *at += n + 2;
    return RESP_REQUEST;
}

enum resp_result resp_parse(struct str in, struct resp_request *r) {
    size_t at = 0;
    size_t count = 0;
    r->count = 0;
    int got = take_number(in, &at, '*', &count);
    if (got < 0)
        return bad(r, "Protocol error: expected an array; inline commands are not supported");
    if (got == 0) return more(r, in.n + 1);
    if (count > RESP_ARGS_MAX)
        return bad(r, "Protocol error: a request has at most 1024 arguments");
    while (r->count < count) {
        enum resp_result result = take_arg(in, &at, r);
        if (result != RESP_REQUEST) return result;
    }
    r->bytes = at;
    return RESP_REQUEST;
}

/* ---- replies ---- */

static char *room(struct buf *out, size_t n) {
    int r = buf_reserve(out, n);
    assert(r == 0);
    (void)r;
    return out->p + out->n;
}

static void put(struct buf *out, const void *bytes, size_t n) {
    char *at = room(out, n);
    if (n) memcpy(at, bytes, n);
    out->n += n;
}

static void put_number(struct buf *out, char mark, uint64_t n, bool is_negative) {
    char line[RESP_LINE_BYTES_MAX];
    size_t at = sizeof line;
    line[--at] = '\n';
    line[--at] = '\r';
    do line[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    if (is_negative) line[--at] = '-';
    line[--at] = mark;
    put(out, line + at, sizeof line - at);
}

void resp_simple(struct buf *out, struct str text) {
    put(out, "+", 1);
    put(out, text.p, text.n);
    put(out, "\r\n", 2);
}

void resp_error(struct buf *out, struct str text) {
    char *at = room(out, text.n + 3);
    *at++ = '-';
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        *at++ = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    out->n += text.n + 1;
    put(out, "\r\n", 2);
}

void resp_int(struct buf *out, int64_t n) {
    uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
    put_number(out, ':', size, n < 0);
}

void resp_nil(struct buf *out) { put(out, "$-1\r\n", 5); }

void resp_array(struct buf *out, size_t n) { put_number(out, '*', n, false); }

void resp_bulk_head(struct buf *out, size_t n) { put_number(out, '$', n, false); }

void resp_bulk_end(struct buf *out) { put(out, "\r\n", 2); }

void resp_bulk(struct buf *out, struct str bytes) {
    resp_bulk_head(out, bytes.n);
    put(out, bytes.p, bytes.n);
    resp_bulk_end(out);
}
