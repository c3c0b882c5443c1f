/* SPDX-License-Identifier: Apache-2.0 — err.c: filling and extending `struct err`. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err_kind err_kind_of(int sys) {
    switch (sys) {
    case 0: return ERR_NONE;
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO: return ERR_NOT_FOUND;
    case EEXIST: return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    case EBUSY:
    case EAGAIN:
    case ETXTBSY: return ERR_BUSY;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case E2BIG:
    case EFBIG: return ERR_LIMIT;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case ECANCELED: return ERR_CANCELLED;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case ENOEXEC: return ERR_INVALID;
    case ENOSYS:
    case EOPNOTSUPP: return ERR_UNSUPPORTED;
    default: return ERR_IO;
    }
}

const char *err_kind_name(enum err_kind kind) {
    switch (kind) {
    case ERR_NONE: return "none";
    case ERR_INVALID: return "invalid";
    case ERR_NOT_FOUND: return "not found";
    case ERR_EXISTS: return "exists";
    case ERR_DENIED: return "denied";
    case ERR_BUSY: return "busy";
    case ERR_LIMIT: return "limit reached";
    case ERR_TIMEOUT: return "timed out";
    case ERR_CANCELLED: return "cancelled";
    case ERR_CORRUPT: return "corrupt";
    case ERR_UNSUPPORTED: return "unsupported";
    case ERR_IO: return "i/o";
    case ERR_INTERNAL:
    case ERR_KINDS: return "internal";
    }
    return "internal";
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) {
    assert(e && kind != ERR_NONE && kind < ERR_KINDS);
    e->kind = kind;
    e->sys = 0;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e->msg, sizeof e->msg, fmt, args);
    va_end(args);
    return -1;
}

int err_sys(struct err *e, int sys, const char *fmt, ...) {
    assert(e && sys > 0);
    e->kind = err_kind_of(sys);
    e->sys = sys;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof e->msg)
        (void)snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", strerror(sys));
    return -1;
}

int err_in(struct err *e, const char *fmt, ...) {
    assert(e && e->kind != ERR_NONE);
    char inner[ERR_MSG_BYTES_MAX];
    memcpy(inner, e->msg, sizeof inner);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e->msg, sizeof e->msg, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof e->msg) {
        size_t room = sizeof e->msg - (size_t)n;
        (void)snprintf(e->msg + n, room, ": %.*s", (int)room, inner);
    }
    return -1;
}

void err_clear(struct err *e) {
    e->kind = ERR_NONE;
    e->sys = 0;
    e->msg[0] = '\0';
}
