/* SPDX-License-Identifier: Apache-2.0 — http_body.c: sized and chunked bodies.
 *
 * The framing between pieces is read one byte at a time by a small machine, each state a line of
 * the grammar: SIZE -> (EXTENSION ->) SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ... SIZE of 0
 * -> ... SIZE_LF -> TRAILER_LINE (one or more) -> END Data is never copied. Trailer lines are
 * collected in the caller's room, as they may be cut anywhere, and parsed in place there. */
#include "base/http_body.h"

#include <assert.h>

enum state {
    STATE_SIZED,
    STATE_SIZE,
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER,
    STATE_END,
    STATE_REFUSED
};

void http_body_init(struct http_body *b, const struct http_head *h,
                    struct http_trailer_room *room) {
    memset(b, 0, offsetof(struct http_body, trailers));
    b->refusal = (struct http_refusal){0};
    b->digits = b->line_bytes = b->extension_bytes = 0;
    b->trailer_bytes = b->trailer_at = 0;
    b->room = room;
    b->left = h->chunked ? 0 : h->length;
    b->state = h->chunked ? STATE_SIZE : h->length ? STATE_SIZED : STATE_END;
}

static int refuse(struct http_body *b, unsigned status, const char *why) {
    b->refusal = (struct http_refusal){.status = status, .why = why};
    b->state = STATE_REFUSED;
    return -1;
}

/* ---- trailers ---- */

/* What frames, routes or authenticates a request has no place after its body (RFC 9110 section
 * 6.5.1). */
static bool is_forbidden(struct str name) {
    static const struct str forbidden[] = {
        STR("transfer-encoding"),
        STR("content-length"),
        STR("host"),
        STR("trailer"),
        STR("authorization"),
        STR("content-encoding"),
        STR("content-type"),
        STR("content-range"),
        STR("connection"),
        STR("expect"),
        STR("te"),
        STR("cookie"),
        STR("range"),
        STR("x-amz-date"),
        STR("x-amz-security-token"),
    };
    for (size_t i = 0; i < COUNT(forbidden); i++)
        if (str_eq_nocase(name, forbidden[i])) return true;
    return false;
}

static int trailer_line(struct http_body *b, struct str line) {
    if (line.n == 0) {
        b->state = STATE_END;
        return 0;
    }
    struct http_field f;
    if (b->trailer_count == HTTP_TRAILERS_MAX) return refuse(b, 431, "too many trailers");
    const char *wrong = http_field_parse(line, &f);
    if (wrong) return refuse(b, 400, wrong);
    if (is_forbidden(f.name)) return refuse(b, 400, "a trailer that may only be a header");
    b->trailers[b->trailer_count++] = f;
    return 0;
}

static int trailer_byte(struct http_body *b, char c) {
    if (b->trailer_bytes == sizeof b->room->bytes) return refuse(b, 431, "trailers too long");
    char *bytes = b->room->bytes;
    bytes[b->trailer_bytes++] = c;
    size_t n = b->trailer_bytes - b->trailer_at;
    bool after_cr = n >= 2 && bytes[b->trailer_bytes - 2] == '\r';
    if (after_cr != (c == '\n')) return refuse(b, 400, "a trailer that does not end with CRLF");
    if (c != '\n') return 0;
    struct str line = str_make(bytes + b->trailer_at, n - 2);
    b->trailer_at = b->trailer_bytes;
    return trailer_line(b, line);
}

/* ---- chunks ---- */

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int size_byte(struct http_body *b, char c) {
    int value = hex_value(c);
    if (value >= 0) {
        if (++b->digits > 16 || b->left > HTTP_CHUNK_BYTES_MAX >> 4)
            return refuse(b, 400, "a chunk size that is too large");
        b->left = b->left << 4 | (unsigned)value;
        if (b->left > HTTP_CHUNK_BYTES_MAX - b->total)
            return refuse(b, 400, "a chunk size that is too large");
        return 0;
    }
    if (b->digits == 0 || (c != ';' && c != '\r')) return refuse(b, 400, "a malformed chunk size");
    b->state = c == ';' ? STATE_EXTENSION : STATE_SIZE_LF;
    return 0;
}

static int extension_byte(struct http_body *b, char c) {
    if (c == '\r') {
        b->state = STATE_SIZE_LF;
        return 0;
    }
    if (!http_is_value(str_make(&c, 1)))
        return refuse(b, 400, "a control byte in a chunk extension");
    if (++b->extension_bytes > HTTP_CHUNK_EXTENSION_BYTES_MAX)
        return refuse(b, 400, "chunk extensions too long");
    return 0;
}

static int size_line_byte(struct http_body *b, char c) {
    if (++b->line_bytes > HTTP_CHUNK_LINE_BYTES_MAX)
        return refuse(b, 400, "a chunk size line that is too long");
    if (b->state == STATE_SIZE) return size_byte(b, c);
    if (b->state == STATE_EXTENSION) return extension_byte(b, c);
    if (c != '\n') return refuse(b, 400, "a chunk size line that does not end with CRLF");
    b->state = b->left ? STATE_DATA : STATE_TRAILER;
    b->digits = b->line_bytes = 0;
    return 0;
}

static int framing_byte(struct http_body *b, char c) {
    switch ((enum state)b->state) {
    case STATE_SIZE:
    case STATE_EXTENSION:
    case STATE_SIZE_LF: return size_line_byte(b, c);
    case STATE_DATA_CR:
        if (c != '\r') return refuse(b, 400, "a chunk longer than its size");
        b->state = STATE_DATA_LF;
        return 0;
    case STATE_DATA_LF:
        if (c != '\n') return refuse(b, 400, "a chunk that does not end with CRLF");
        b->state = STATE_SIZE;
        return 0;
    case STATE_TRAILER: return trailer_byte(b, c);
    case STATE_SIZED:
    case STATE_DATA:
    case STATE_END:
    case STATE_REFUSED: break;
    }
    assert(false); /* the others are not framing */
    return -1;
}

static void take_piece(struct http_body *b, struct str *in, size_t piece_max, struct str *out) {
    size_t n = in->n < piece_max ? in->n : piece_max;
    if (n > b->left) n = (size_t)b->left;
    *out = str_sub(*in, 0, n);
    *in = str_sub(*in, n, in->n);
    b->left -= n;
    b->total += n;
    if (b->left == 0) b->state = b->state == STATE_SIZED ? STATE_END : STATE_DATA_CR;
}

enum http_body_event http_body_next(struct http_body *b, struct str *in, size_t piece_max,
                                    struct str *out_piece) {
    assert(piece_max > 0);
    for (;;) {
        if (b->state == STATE_END) return HTTP_BODY_END;
        if (b->state == STATE_REFUSED) return HTTP_BODY_REFUSED;
        if (in->n == 0) return HTTP_BODY_MORE;
        if (b->state == STATE_SIZED || b->state == STATE_DATA) {
            take_piece(b, in, piece_max, out_piece);
            return HTTP_BODY_PIECE;
        }
        char c = in->p[0];
        *in = (struct str){in->p + 1, in->n - 1};
        (void)framing_byte(b, c); /* a refusal is a state */
    }
}

uint64_t http_body_direct(const struct http_body *b) {
    return b->state == STATE_SIZED || b->state == STATE_DATA ? b->left : 0;
}

bool http_body_ended(const struct http_body *b) { return b->state == STATE_END; }

struct str http_body_trailer(const struct http_body *b, struct str name) {
    for (size_t i = 0; i < b->trailer_count; i++)
        if (str_eq_nocase(b->trailers[i].name, name)) return b->trailers[i].value;
    return STR_NONE;
}
