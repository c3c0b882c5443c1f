/* SPDX-License-Identifier: Apache-2.0 — error.h: an error as S3 gives it: code, HTTP status,
 * message, and the elements that some codes have beside them.
 *
 * Whatever answers a client of S3 fills a caller-owned `struct s3_error`; what lies below and knows
 * nothing of S3 fills a `struct err`, and s3_error_of_err() is the one place that turns one into
 * the other. Any thread; an error belongs to its caller. The codes are in error_codes.inc. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum s3_code {
    S3_OK,
#define S3_CODE(constant, code, status, message) constant,
#include "s3gw/error_codes.inc"
#undef S3_CODE
    S3_CODES
};

#define S3_ERROR_MESSAGE_MAX  400
#define S3_ERROR_VALUE_MAX    256
#define S3_ERROR_DETAILS_MAX  4
#define S3_ERROR_DOCUMENT_MAX (16 << 10)

struct s3_error {
    enum s3_code code;
    char message[S3_ERROR_MESSAGE_MAX]; /* never empty once there is a code: clients die of that */
    size_t details;
    struct {
        const char *name; /* of the element: "Region", "ArgumentName"; static */
        char value[S3_ERROR_VALUE_MAX];
    } detail[S3_ERROR_DETAILS_MAX];
};

const char *s3_code_name(enum s3_code code); /* "NoSuchKey" */
int s3_code_status(enum s3_code code);       /* 404; 200 of S3_OK */

/* Both return -1, so that every exit is one line. Values that are too long are cut. */
int s3_fail(struct s3_error *x, enum s3_code code); /* with the code's own message */
int s3_fail_with(struct s3_error *x, enum s3_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds an element; at most S3_ERROR_DETAILS_MAX (asserted). name: static. Returns -1 too. */
int s3_detail(struct s3_error *x, const char *name, struct str value);

/* The code of a kind when nothing more is known, and the whole error. What is ours (IO, INTERNAL,
 * CORRUPT) keeps its text to itself: it goes to the log, not to a stranger. Returns -1. */
enum s3_code s3_code_of_kind(enum err_kind kind);
int s3_error_of_err(struct s3_error *x, const struct err *e);

/* What stands beside an error in its document. */
struct s3_error_place {
    struct str resource; /* "/bucket/key" as it was asked for */
    struct str request_id, host_id;
};
/* Appends the XML document. 0, or -ENOSPC when the buffer is too small (S3_ERROR_DOCUMENT_MAX is
 * enough for a resource of 1100 bytes). Source: Amazon S3 API reference, "REST error responses". */
int s3_error_document(const struct s3_error *x, const struct s3_error_place *place,
                      struct buf *to) MUST_CHECK;
