/* SPDX-License-Identifier: Apache-2.0 — http_head.c: a request's head, line by line.
 *
 * Each byte is looked at once for line ends and control bytes, as soon as it is there
 * (take_line), so that garbage is refused with its first line and a slow sender gains nothing; a
 * complete line is then parsed in place. The result does not depend on how the bytes were cut: a
 * CR at the end of what is there waits for its LF, and limits are positions in the stream.
 *
 * Fields with a meaning for framing are kept in `seen`, one bit each: the second one is refused.
 * Cross-checks between fields (Host and target, Content-Length and Transfer-Encoding) run at the
 * empty line, when all are known. */
#include "base/http_head.h"

#include <errno.h>

/* Fields that may come once. The first four are parsed here. A second one of the others would let
 * two readers of the request choose differently. Source: RFC 9110, the fields' own sections. */
enum single {
    SINGLE_HOST,
    SINGLE_LENGTH,
    SINGLE_CODING,
    SINGLE_EXPECT,
    SINGLE_AUTHORIZATION,
    SINGLE_CONTENT_TYPE,
    SINGLE_CONTENT_MD5,
    SINGLE_CONTENT_RANGE,
    SINGLE_RANGE,
    SINGLE_IF_RANGE,
    SINGLE_IF_MODIFIED,
    SINGLE_IF_UNMODIFIED,
    SINGLE_DATE,
    SINGLE_ORIGIN,
    SINGLE_REFERER,
    SINGLE_USER_AGENT,
    SINGLES
};

static const struct str single_names[SINGLES] = {
    [SINGLE_HOST] = STR("host"),
    [SINGLE_LENGTH] = STR("content-length"),
    [SINGLE_CODING] = STR("transfer-encoding"),
    [SINGLE_EXPECT] = STR("expect"),
    [SINGLE_AUTHORIZATION] = STR("authorization"),
    [SINGLE_CONTENT_TYPE] = STR("content-type"),
    [SINGLE_CONTENT_MD5] = STR("content-md5"),
    [SINGLE_CONTENT_RANGE] = STR("content-range"),
    [SINGLE_RANGE] = STR("range"),
    [SINGLE_IF_RANGE] = STR("if-range"),
    [SINGLE_IF_MODIFIED] = STR("if-modified-since"),
    [SINGLE_IF_UNMODIFIED] = STR("if-unmodified-since"),
    [SINGLE_DATE] = STR("date"),
    [SINGLE_ORIGIN] = STR("origin"),
    [SINGLE_REFERER] = STR("referer"),
    [SINGLE_USER_AGENT] = STR("user-agent"),
};

static const struct str verb_names[HTTP_VERB_OTHER] = {
    [HTTP_VERB_GET] = STR("GET"),       [HTTP_VERB_HEAD] = STR("HEAD"),
    [HTTP_VERB_PUT] = STR("PUT"),       [HTTP_VERB_POST] = STR("POST"),
    [HTTP_VERB_DELETE] = STR("DELETE"), [HTTP_VERB_OPTIONS] = STR("OPTIONS"),
};

static int refuse(struct http_head *h, unsigned status, const char *why) {
    h->refusal = (struct http_refusal){.status = status, .why = why};
    return -1;
}

void http_head_init(struct http_head *h) {
    /* Not the fields: they are counted, and clearing them costs more than parsing a small head. */
    memset(h, 0, offsetof(struct http_head, fields));
    h->refusal = (struct http_refusal){0};
    h->line_at = h->scanned = 0;
    h->has_line = false;
    h->seen = 0;
    h->host.port = -1;
    h->keep_alive = true;
}

/* ---- lines ---- */

static int refuse_length(struct http_head *h) {
    return h->has_line ? refuse(h, 431, "a header that is too long")
                       : refuse(h, 414, "a request line that is too long");
}

/* True when bytes [from, to) hold a control byte that cannot be part of a line. A CR counts unless
 * it is the last one: then the byte after `to` decides. */
static bool has_control(const char *bytes, size_t from, size_t to) {
    bool bad = false;
    for (size_t i = from; i < to; i++) {
        uint8_t c = (uint8_t)bytes[i];
        bad |= (c < ' ' && c != '\t' && !(c == '\r' && i + 1 == to)) || c == 0x7f;
    }
    return bad;
}

/* The next line without its CRLF: 1, 0 (not complete yet) or -1. */
static int take_line(struct http_head *h, const char *bytes, size_t n, struct str *out) {
    size_t line_max = h->has_line ? HTTP_FIELD_BYTES_MAX : HTTP_LINE_BYTES_MAX;
    size_t limit = h->line_at + line_max;
    if (limit > HTTP_HEAD_BYTES_MAX) limit = HTTP_HEAD_BYTES_MAX;
    size_t end = n < limit ? n : limit;
    const char *lf = memchr(bytes + h->scanned, '\n', end - h->scanned);
    size_t stop = lf ? (size_t)(lf - bytes) : end;
    if (has_control(bytes, h->scanned, stop)) return refuse(h, 400, "a control byte in the head");
    if (!lf) {
        if (end == limit) return refuse_length(h);
        /* A CR at the end is looked at again, with what follows it. */
        h->scanned = stop > h->scanned && bytes[stop - 1] == '\r' ? stop - 1 : stop;
        return 0;
    }
    if (stop == h->line_at || bytes[stop - 1] != '\r')
        return refuse(h, 400, "a line that ends without CR");
    *out = str_make(bytes + h->line_at, stop - 1 - h->line_at);
    h->line_at = h->scanned = stop + 1;
    return 1;
}

/* ---- the request line ---- */

static enum http_verb verb_of(struct str method) {
    for (unsigned v = 0; v < HTTP_VERB_OTHER; v++)
        if (str_eq(method, verb_names[v])) return (enum http_verb)v;
    return HTTP_VERB_OTHER;
}

static int parse_version(struct http_head *h, struct str version) {
    if (version.n != 8 || !str_starts(version, STR("HTTP/")) || version.p[6] != '.' ||
        version.p[5] < '0' || version.p[5] > '9' || version.p[7] < '0' || version.p[7] > '9')
        return refuse(h, 400, "a request line without an HTTP version");
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(h, 505, "an HTTP version other than 1.0 and 1.1");
    h->minor = (unsigned)(version.p[7] - '0');
    h->keep_alive = h->minor == 1;
    return 0;
}

static int check_form(struct http_head *h) {
    if (str_eq(h->method, STR("CONNECT"))) return refuse(h, 501, "CONNECT: this is no proxy");
    if (h->uri.form == HTTP_AUTHORITY_FORM ||
        (h->uri.form == HTTP_ASTERISK_FORM && h->verb != HTTP_VERB_OPTIONS))
        return refuse(h, 400, "a request target that does not fit the method");
    return 0;
}

static int parse_request_line(struct http_head *h, struct str line) {
    ptrdiff_t first = str_find(line, ' ');
    ptrdiff_t last = str_rfind(line, ' ');
    if (first < 0 || first == last)
        return refuse(h, 400, "a request line without method, target and version");
    h->method = str_sub(line, 0, (size_t)first);
    h->target = str_sub(line, (size_t)first + 1, (size_t)last);
    if (!http_is_token(h->method) || h->method.n > HTTP_METHOD_BYTES_MAX)
        return refuse(h, 400, "a method that is no token");
    h->verb = verb_of(h->method);
    if (parse_version(h, str_sub(line, (size_t)last + 1, line.n)) < 0) return -1;
    if (http_uri_parse(h->target, &h->uri) < 0)
        return refuse(h, 400, "a request target that is malformed");
    h->has_line = true;
    return check_form(h);
}

/* ---- fields ---- */

static int parse_content_length(struct http_head *h, struct str value) {
    if (value.n == 0 || value.n > HTTP_LENGTH_DIGITS || (value.n > 1 && value.p[0] == '0') ||
        str_u64(value, &h->length) < 0)
        return refuse(h, 400, "a malformed Content-Length");
    h->has_length = true;
    return 0;
}

static int parse_coding(struct http_head *h, struct str value) {
    if (!str_eq_nocase(value, STR("chunked")))
        return refuse(h, 400, "a Transfer-Encoding other than chunked");
    h->chunked = true;
    return 0;
}

static int parse_expect(struct http_head *h, struct str value) {
    if (!str_eq_nocase(value, STR("100-continue")))
        return refuse(h, 417, "an Expect other than 100-continue");
    h->expects_continue = h->minor == 1; /* RFC 9110 section 10.1.1: ignored in HTTP/1.0 */
    return 0;
}

static int parse_host(struct http_head *h, struct str value) {
    return http_host_parse(value, &h->host) < 0 ? refuse(h, 400, "a malformed Host") : 0;
}

static void parse_connection(struct http_head *h, struct str value) {
    if (http_list_has(value, STR("close")))
        h->keep_alive = false;
    else if (h->minor == 0 && http_list_has(value, STR("keep-alive")))
        h->keep_alive = true;
}

static int note_single(struct http_head *h, enum single single, struct str value) {
    if (h->seen & 1U << single) return refuse(h, 400, "a header twice that may come once");
    h->seen |= 1U << single;
    switch (single) {
    case SINGLE_HOST: return parse_host(h, value);
    case SINGLE_LENGTH: return parse_content_length(h, value);
    case SINGLE_CODING: return parse_coding(h, value);
    case SINGLE_EXPECT: return parse_expect(h, value);
    case SINGLE_AUTHORIZATION:
    case SINGLE_CONTENT_TYPE:
    case SINGLE_CONTENT_MD5:
    case SINGLE_CONTENT_RANGE:
    case SINGLE_RANGE:
    case SINGLE_IF_RANGE:
    case SINGLE_IF_MODIFIED:
    case SINGLE_IF_UNMODIFIED:
    case SINGLE_DATE:
    case SINGLE_ORIGIN:
    case SINGLE_REFERER:
    case SINGLE_USER_AGENT:
    case SINGLES: break;
    }
    return 0;
}

static int parse_field(struct http_head *h, struct str line) {
    if (h->field_count == HTTP_FIELDS_MAX) return refuse(h, 431, "too many headers");
    struct http_field f;
    const char *wrong = http_field_parse(line, &f);
    if (wrong) return refuse(h, 400, wrong);
    h->fields[h->field_count++] = f;
    if (str_eq_nocase(f.name, STR("connection"))) parse_connection(h, f.value);
    for (unsigned s = 0; s < SINGLES; s++)
        if (str_eq_nocase(f.name, single_names[s])) return note_single(h, (enum single)s, f.value);
    return 0;
}

/* ---- the whole ---- */

static bool same_host(struct http_host a, struct http_host b) {
    return a.port == b.port && str_eq_nocase(a.name, b.name);
}

/* RFC 9112 section 3.2.2 lets the target win over Host; when they differ, somebody before us may
 * have gone by the other one. */
static int check_host(struct http_head *h) {
    if (!(h->seen & 1U << SINGLE_HOST) && h->minor == 1)
        return refuse(h, 400, "a request without Host");
    if (h->uri.form != HTTP_ABSOLUTE_FORM) return 0;
    struct http_host host = {0};
    if (http_host_parse(h->uri.authority, &host) < 0)
        return refuse(h, 400, "a request target that is malformed");
    if (h->seen & 1U << SINGLE_HOST && !same_host(host, h->host))
        return refuse(h, 400, "a request target with another host than Host");
    h->host = host;
    return 0;
}

static int check_whole(struct http_head *h) {
    if (check_host(h) < 0) return -1;
    if (h->chunked && h->has_length)
        return refuse(h, 400, "Content-Length beside Transfer-Encoding");
    if (h->chunked && h->minor == 0) return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    /* Without a body there is nothing to wait for. A body of no bytes is answered all the same:
     * aws-cli 2.9 takes a final status without a 100 for the state of its next requests. */
    if (!h->chunked && !h->has_length) h->expects_continue = false;
    return 0;
}

ssize_t http_head_feed(struct http_head *h, const char *bytes, size_t n) {
    struct str line;
    for (;;) {
        int r = take_line(h, bytes, n, &line);
        if (r <= 0) return r;
        if (!h->has_line) {
            bool first = h->line_at == 2; /* an empty line, at the very beginning */
            if (line.n == 0 && first) continue;
            if (parse_request_line(h, line) < 0) return -1;
        } else if (line.n > 0) {
            if (parse_field(h, line) < 0) return -1;
        } else {
            return check_whole(h) < 0 ? -1 : (ssize_t)h->line_at;
        }
    }
}

const struct http_field *http_head_nth(const struct http_head *h, struct str name, size_t nth) {
    for (size_t i = 0; i < h->field_count; i++)
        if (str_eq_nocase(h->fields[i].name, name) && nth-- == 0) return &h->fields[i];
    return NULL;
}

struct str http_head_value(const struct http_head *h, struct str name) {
    const struct http_field *f = http_head_nth(h, name, 0);
    return f ? f->value : STR_NONE;
}
