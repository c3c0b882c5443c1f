/* SPDX-License-Identifier: Apache-2.0 — http_reply.c: status line and fields into a fixed buffer.
 */
#include "base/http_reply.h"

#include <assert.h>

struct out {
    char *p;
    size_t n, bytes_max;
    bool full;
};

static void put(struct out *o, struct str s) {
    if (s.n > o->bytes_max - o->n) {
        o->full = true;
        return;
    }
    if (s.n) memcpy(o->p + o->n, s.p, s.n);
    o->n += s.n;
}

static void put_u64(struct out *o, uint64_t v) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put(o, str_make(digits + at, sizeof digits - at));
}

const char *http_status_text(unsigned status) {
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        if (texts[i].status == status) return texts[i].text;
    return "Unknown";
}

enum http_framing http_reply_framing(const struct http_reply_head *r) {
    if (r->head_only || r->status == 204 || r->status == 304) return HTTP_NO_BODY;
    if (r->length != HTTP_LENGTH_UNKNOWN) return HTTP_SIZED;
    return r->minor == 0 ? HTTP_UNTIL_CLOSE : HTTP_CHUNKED;
}

static void put_framing(struct out *o, const struct http_reply_head *r) {
    enum http_framing framing = http_reply_framing(r);
    /* RFC 9110 section 8.6: none with 204; with 304 it would have to be that of a 200. */
    bool silent = r->status == 204 || r->status == 304;
    if (framing == HTTP_CHUNKED) {
        put(o, STR("Transfer-Encoding: chunked\r\n"));
    } else if (!silent && r->length != HTTP_LENGTH_UNKNOWN) {
        put(o, STR("Content-Length: "));
        put_u64(o, r->length);
        put(o, STR("\r\n"));
    }
    if (r->close || framing == HTTP_UNTIL_CLOSE)
        put(o, STR("Connection: close\r\n"));
    else if (r->minor == 0)
        put(o, STR("Connection: keep-alive\r\n"));
}

static bool is_reserved(struct str name) {
    static const struct str reserved[] = {
        STR("connection"), STR("content-length"), STR("date"),    STR("transfer-encoding"),
        STR("keep-alive"), STR("upgrade"),        STR("trailer"),
    };
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (str_eq_nocase(name, reserved[i])) return true;
    return false;
}

static int put_field(struct out *o, const struct http_field *f, struct err *e) {
    if (!http_is_token(f->name))
        return err_set(e, ERR_INVALID, "write a header: '%.*s' is no name of a header",
                       STR_ARG(f->name));
    if (!http_is_value(f->value))
        return err_set(e, ERR_INVALID, "write the header '%.*s': a control byte in its value",
                       STR_ARG(f->name));
    if (is_reserved(f->name))
        return err_set(e, ERR_INVALID, "write the header '%.*s': only the server itself sets it",
                       STR_ARG(f->name));
    put(o, f->name);
    put(o, STR(": "));
    put(o, f->value);
    put(o, STR("\r\n"));
    return 0;
}

ssize_t http_reply_encode(const struct http_reply_head *r, char *out, size_t out_bytes_max,
                          struct err *e) {
    assert(r->status >= 200 && r->status <= 599);
    struct out o = {.p = out, .bytes_max = out_bytes_max};
    put(&o, STR("HTTP/1.1 "));
    put_u64(&o, r->status);
    put(&o, STR(" "));
    put(&o, str_of(http_status_text(r->status)));
    put(&o, STR("\r\nDate: "));
    put(&o, r->date);
    put(&o, STR("\r\n"));
    for (size_t i = 0; i < r->field_count; i++)
        if (put_field(&o, &r->fields[i], e) < 0) return -1;
    put_framing(&o, r);
    put(&o, STR("\r\n"));
    if (o.full)
        return err_set(e, ERR_LIMIT, "write a reply's headers: more than %zu bytes", out_bytes_max);
    return (ssize_t)o.n;
}
