/* SPDX-License-Identifier: Apache-2.0 — error.c: codes, messages, and the document of an error. */
#include "s3gw/error.h"

#include "s3gw/xml_out.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    int status;
    const char *message;
} codes[S3_CODES] = {
    [S3_OK] = {"OK", 200, "OK"},
#define S3_CODE(constant, code, status, message) [constant] = {code, status, message},
#include "s3gw/error_codes.inc"
#undef S3_CODE
};

const char *s3_code_name(enum s3_code code) { return codes[code].name; }
int s3_code_status(enum s3_code code) { return codes[code].status; }

int s3_fail(struct s3_error *x, enum s3_code code) {
    x->code = code;
    x->details = 0;
    (void)snprintf(x->message, sizeof x->message, "%s", codes[code].message);
    return -1;
}

int s3_fail_with(struct s3_error *x, enum s3_code code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    x->code = code;
    x->details = 0;
    (void)vsnprintf(x->message, sizeof x->message, fmt, args);
    va_end(args);
    return -1;
}

int s3_detail(struct s3_error *x, const char *name, struct str value) {
    assert(x->details < S3_ERROR_DETAILS_MAX);
    (void)snprintf(x->detail[x->details].value, S3_ERROR_VALUE_MAX, "%.*s", STR_ARG(value));
    x->detail[x->details++].name = name;
    return -1;
}

enum s3_code s3_code_of_kind(enum err_kind kind) {
    switch (kind) {
    case ERR_INVALID: return S3_INVALID_ARGUMENT;
    case ERR_NOT_FOUND: return S3_NO_SUCH_KEY;
    case ERR_EXISTS: return S3_PRECONDITION_FAILED;
    case ERR_DENIED: return S3_ACCESS_DENIED;
    case ERR_BUSY: return S3_OPERATION_ABORTED;
    case ERR_LIMIT: return S3_SLOW_DOWN;
    case ERR_TIMEOUT: return S3_SERVICE_UNAVAILABLE;
    case ERR_CANCELLED: return S3_SERVICE_UNAVAILABLE;
    case ERR_UNSUPPORTED: return S3_NOT_IMPLEMENTED;
    case ERR_NONE:
    case ERR_CORRUPT:
    case ERR_IO:
    case ERR_INTERNAL:
    case ERR_KINDS: break;
    }
    return S3_INTERNAL_ERROR;
}

int s3_error_of_err(struct s3_error *x, const struct err *e) {
    enum s3_code code = s3_code_of_kind(e->kind);
    if (codes[code].status >= 500 && code != S3_NOT_IMPLEMENTED) return s3_fail(x, code);
    return s3_fail_with(x, code, "%s", e->msg[0] ? e->msg : codes[code].message);
}

int s3_error_document(const struct s3_error *x, const struct s3_error_place *place,
                      struct buf *to) {
    struct xml_out w = XML_OUT(to);
    xml_out_declaration(&w);
    xml_out_open(&w, "Error");
    xml_out_c(&w, "Code", codes[x->code].name);
    xml_out_c(&w, "Message", x->message[0] ? x->message : codes[x->code].message);
    for (size_t i = 0; i < x->details; i++) xml_out_c(&w, x->detail[i].name, x->detail[i].value);
    if (place->resource.n) xml_out_str(&w, "Resource", place->resource);
    xml_out_str(&w, "RequestId", place->request_id);
    xml_out_str(&w, "HostId", place->host_id);
    xml_out_close(&w);
    return xml_out_end(&w);
}
