/* SPDX-License-Identifier: Apache-2.0 — grpc_status.c: the table from error kinds to gRPC codes,
 * and percent-encoding. */
#include "base/grpc_status.h"

#include "base/grpc.h"

#define UTF8_TAIL_BYTES_MAX 3 /* continuation bytes of one character */

enum grpc_code grpc_code_of(enum err_kind kind) {
    switch (kind) {
    case ERR_NONE: return GRPC_OK;
    case ERR_INVALID: return GRPC_INVALID_ARGUMENT;
    case ERR_NOT_FOUND: return GRPC_NOT_FOUND;
    case ERR_EXISTS: return GRPC_ALREADY_EXISTS;
    case ERR_DENIED: return GRPC_PERMISSION_DENIED;
    case ERR_BUSY: return GRPC_FAILED_PRECONDITION;
    case ERR_LIMIT: return GRPC_RESOURCE_EXHAUSTED;
    case ERR_TIMEOUT: return GRPC_DEADLINE_EXCEEDED;
    case ERR_CANCELLED: return GRPC_CANCELLED;
    case ERR_CORRUPT: return GRPC_DATA_LOSS;
    case ERR_UNSUPPORTED: return GRPC_UNIMPLEMENTED;
    case ERR_IO: return GRPC_UNKNOWN;
    case ERR_INTERNAL:
    case ERR_KINDS: return GRPC_INTERNAL;
    }
    return GRPC_INTERNAL;
}

static struct str cut(struct str text) {
    if (text.n <= GRPC_STATUS_TEXT_BYTES_MAX) return text;
    size_t n = GRPC_STATUS_TEXT_BYTES_MAX;
    size_t least = n - UTF8_TAIL_BYTES_MAX;
    while (n > least && ((unsigned char)text.p[n] & 0xc0) == 0x80) n--;
    return str_sub(text, 0, n);
}

size_t grpc_status_encode(struct str text, char *out) {
    static const char hex[] = "0123456789ABCDEF";
    text = cut(text);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = '\0';
    return n;
}
