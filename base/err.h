/* SPDX-License-Identifier: Apache-2.0 — err.h: one error value for everything the world does wrong.
 *
 * Two tiers, one border. (a) A helper whose failure errno fully describes returns 0/>=0 or -errno
 * and no text. (b) Everything else returns 0 or -1 and fills a caller-owned `struct err`. `kind` is
 * what code branches on, `msg` is what people read: what was attempted, on what, what went wrong.
 * Each protocol maps kinds to its codes in one table. assert() is for our own bugs, never for the
 * world's faults. Any thread; a `struct err` belongs to its caller. */
#pragma once

#include "base/own.h"
#include "base/str.h"

enum err_kind {
    ERR_NONE,
    ERR_INVALID,     /* the request is wrong and will stay wrong */
    ERR_NOT_FOUND,   /* the named thing does not exist */
    ERR_EXISTS,      /* the named thing exists already */
    ERR_DENIED,      /* no permission, or a credential was refused */
    ERR_BUSY,        /* the thing's present state does not allow it */
    ERR_LIMIT,       /* a limit of ours or of the machine was reached */
    ERR_TIMEOUT,     /* it took longer than allowed */
    ERR_CANCELLED,   /* the caller went away */
    ERR_CORRUPT,     /* bytes are not what their digest or format says */
    ERR_UNSUPPORTED, /* understood, but not offered here */
    ERR_IO,          /* the kernel, a disk or a peer failed */
    ERR_INTERNAL,    /* ours */
    ERR_KINDS
};

#define ERR_MSG_BYTES_MAX 512

struct err {
    enum err_kind kind;
    int sys; /* errno behind it, or 0 */
    char msg[ERR_MSG_BYTES_MAX];
};

/* All return -1, so that every exit is one line. A message that is too long is cut, never lost. */

/* Sets kind and text. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Sets text plus ": strerror(sys)"; the kind follows from sys (positive errno). */
int err_sys(struct err *e, int sys, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "context: " in front of the message that is there. */
int err_in(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

void err_clear(struct err *e);
/* Kind that a positive errno stands for. */
enum err_kind err_kind_of(int sys);
/* "not found", ... for people; static storage. */
const char *err_kind_name(enum err_kind kind);
